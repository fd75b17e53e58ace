//! Forgotten passwords: a code is asked for, and lets a new one be set. Answers are alike for known and unknown names, and
//! come in equal time.

use super::call::{Call, HandlerResult, PlainBody, Secret};
use super::documents::Reply;
use super::refusals::{code_invalid, into_api_error, login_error};
use super::sessions::login_info;
use crate::processes::codes::Pace;
use crate::processes::recovery::ResetRequest;
use crate::processes::sessions::{SessionOpenError, SessionRequest};
use crate::processes::sign_in::{Credentials, PendingSignIn, SignInError, SignInResult};
use registrar_aggregates::session::Origin;
use registrar_aggregates::user::Username;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// Channel of a code.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Email,
    Sms,
}

impl From<Source> for Username {
    fn from(source: Source) -> Self {
        match source {
            Source::Email => Username::Email,
            Source::Sms => Username::Phone,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Forgotten {
    username: String,
    source: Option<Source>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Confirmation {
    username: String,
    confirmation_code: String,
    password: Secret,
    #[serde(default)]
    login: bool,
    source: Option<Source>,
}

/// Sends a code for a new password, if there is such an account; the answer does not tell.
pub(super) async fn forgot(
    call: Call,
    PlainBody(Forgotten { username, source }): PlainBody<Forgotten>,
) -> HandlerResult {
    let pace = Pace::start();
    let (recovery, source) = (call.recovery(), source.map(Username::from));
    let sent = call.commit(Reply::done(), |_, context| recovery.send(context, &username, source)).await;
    pace.hold().await;
    sent
}

/// Sets a new password by a code, and signs in if asked to. A refused sign-in is told in the body: the password stays set.
pub(super) async fn confirm(call: Call, PlainBody(confirmation): PlainBody<Confirmation>) -> HandlerResult {
    let pace = Pace::start();
    let confirmed = reset(&call, confirmation).await;
    pace.hold().await;
    confirmed
}

async fn reset(call: &Call, confirmation: Confirmation) -> HandlerResult {
    let Confirmation { username, confirmation_code: code, password: Secret(password), login, source } = confirmation;
    let (credentials, done) = (credentials(&username, &password), Reply::said(json!({})));
    let request = ResetRequest { username, source: source.map(Username::from), code, password };
    // With a sign-in the response is committed with the session.
    let remembered = (!login).then(|| done.clone());
    if !call.reset_password(&request, remembered).await.map_err(into_api_error)? {
        return Err(code_invalid());
    }
    if !login {
        return Ok(done);
    }
    let session = SessionRequest::plain(Origin::SignIn);
    let reply = |pending: &PendingSignIn<'_>| match pending {
        PendingSignIn::Here(opened, person) => Reply::said(login_info(opened, person)),
        PendingSignIn::SetUp(_) => done.clone(),
    };
    let refused = match call.sign_in(credentials, &session, reply).await {
        Ok(SignInResult::Here(signed_in)) => return Ok(reply(&PendingSignIn::Here(&signed_in.0, &signed_in.1))),
        Ok(SignInResult::Elsewhere(url)) => into_api_error(SessionOpenError::SignInElsewhere(url)),
        // It is not asked for here.
        Ok(SignInResult::SetUp(_)) => into_api_error(SignInError::SetUpNeeded),
        Err(error) => into_api_error(error),
    };
    Ok(Reply::said(json!({ "login-error": login_error(&refused) })))
}

/// A sign-in by name and password, by a client that can ask its user for more.
fn credentials(username: &str, password: &Zeroizing<String>) -> Credentials {
    Credentials {
        username: username.to_owned(),
        password: password.clone(),
        new_password: None,
        code: None,
        set_up: None,
        agreements: BTreeSet::new(),
        interactive: true,
    }
}
