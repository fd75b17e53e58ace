//! Signing up, and the confirmation of sign-ups. Whether there is an account is told to holders of a valid code alone;
//! other answers are alike for known and unknown names, and come in equal time.

use super::call::{Call, HandlerResult, Parsed, PlainBody, Secret};
use super::documents::Reply;
use super::organization_codes;
use super::passwords::REQUIRED;
use super::refusals::{code_invalid, into_api_error, login_error, member};
use super::sessions::login_info;
use crate::api::common::ApiError;
use crate::processes::codes::Pace;
use crate::processes::sessions::{Person, SessionOpenError, SessionRequest};
use crate::processes::sign_in::{PendingSignIn, SignInError, SignInResult};
use crate::processes::sign_up::{
    CodeForm, ConfirmationForm, ReferralForm, ResendForm, SignUpKind, address, confirmed as confirmed_user,
};
use registrar_aggregates::message::Channel;
use registrar_aggregates::onboarding::OnboardKind;
use registrar_aggregates::session::Origin;
use registrar_aggregates::user::{BirthDate, Contact, Enrollment, Gender, Locale, Username};
use registrar_aggregates::values::{EmailAddress, Problem};
use registrar_projections::UserDocument;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Accounts of participants.
const REGULAR: &str = "regular";
/// Accounts of people who work for an organization.
const PROVIDER: &str = "provider";

/// Of both variants: the contract has checked that the members of one are there, and no other.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SignUp {
    organization_code: Option<String>,
    referral_code: Option<String>,
    username: String,
    password: Secret,
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: String,
    email: Option<String>,
    contact_phone_mobile: Option<String>,
    birth_date: Option<Parsed<BirthDate>>,
    enrollment_data: Option<Map<String, Value>>,
    gender: Option<Gender>,
    preferred_name: Option<String>,
    #[serde(default)]
    notifications: Vec<Channel>,
    #[serde(default)]
    service_document_agreements: Vec<String>,
    set_username: Option<Username>,
    /// Channel of the code.
    source: Option<Channel>,
    locale: Option<Locale>,
    tz: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Confirmation {
    username: String,
    confirmation_code: String,
    #[serde(default)]
    login: bool,
    tz: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Resend {
    username: Option<String>,
    email: Option<Parsed<EmailAddress>>,
    new_email: Option<Parsed<EmailAddress>>,
    #[serde(default)]
    notifications: Vec<Channel>,
}

/// Opens an account, by the code of an organization or that of an invitation.
pub(super) async fn sign_up(call: Call, PlainBody(mut form): PlainBody<SignUp>) -> HandlerResult {
    match (form.organization_code.take(), form.referral_code.take()) {
        (Some(code), _) => by_code(&call, &code, form).await,
        (None, Some(code)) => by_referral(&call, code, form).await,
        (None, None) => Err(member("organization-code", REQUIRED)),
    }
}

async fn by_code(call: &Call, code: &str, form: SignUp) -> HandlerResult {
    let code = organization_codes::look_up(call, code).await?;
    let code = code.ok_or_else(|| member("organization-code", Problem::ClosedCode.to_string()))?;
    let form = CodeForm {
        username: form.username,
        password: form.password.0,
        first_name: form.first_name,
        last_name: form.last_name,
        email: form.email,
        phone: form.contact_phone_mobile,
        birth_date: form.birth_date.map(|Parsed(date)| date),
        set_username: form.set_username,
        locale: form.locale,
        time_zone: form.tz,
        enrollment: Enrollment {
            data: form.enrollment_data,
            gender: form.gender,
            preferred_name: form.preferred_name,
            notifications: form.notifications,
        },
        agreements: form.service_document_agreements,
        source: form.source,
    };
    let prepared = call.sign_ups().by_code(&code, form, &call.client_info()).await.map_err(into_api_error)?;
    call.commit(signed_up(OnboardKind::Patient), |_, context| prepared.commit(context)).await
}

async fn by_referral(call: &Call, code: String, form: SignUp) -> HandlerResult {
    let form = ReferralForm {
        code,
        username: form.username,
        password: form.password.0,
        set_username: form.set_username,
        locale: form.locale,
        time_zone: form.tz,
        agreements: form.service_document_agreements,
        source: form.source,
    };
    let prepared = call.sign_ups().by_referral(form, &call.client_info()).await;
    let prepared = prepared.map_err(|error| call.refused(into_api_error(error)))?;
    call.commit(signed_up(prepared.kind()), |_, context| prepared.commit(context)).await
}

/// Confirms a sign-up by the code that was sent, and signs in if asked to. A refused sign-in is told in the body: the
/// sign-up stays confirmed.
pub(super) async fn confirm(call: Call, PlainBody(confirmation): PlainBody<Confirmation>) -> HandlerResult {
    let pace = Pace::start();
    let done = confirmed(&call, confirmation).await;
    // The reader of a right code learns nothing by the time.
    if done.is_err() {
        pace.hold().await;
    }
    done
}

async fn confirmed(call: &Call, confirmation: Confirmation) -> HandlerResult {
    let Confirmation { username, confirmation_code: code, login, tz: time_zone } = confirmation;
    let form = ConfirmationForm { username, code, time_zone };
    // With a sign-in the response is committed with the session.
    let reply = (!login).then_some(completed as fn(&UserDocument) -> Reply);
    let outcome = call.confirm_sign_up(&form, reply).await?.ok_or_else(code_invalid)?;
    let user = confirmed_user(&outcome);
    let user = user.ok_or_else(|| ApiError::internal("a sign-up was confirmed without a document"))?;
    if login { sign_in(call, user).await } else { Ok(completed(user)) }
}

async fn sign_in(call: &Call, user: &UserDocument) -> HandlerResult {
    let person = Person::User(Arc::new(user.clone()));
    let session = SessionRequest::plain(Origin::SignIn);
    let reply = |pending: &PendingSignIn<'_>| match pending {
        PendingSignIn::Here(opened, person) => {
            let mut info = login_info(opened, person);
            info["account-type"] = json!(account_type(user));
            Reply::said(info)
        }
        PendingSignIn::SetUp(_) => completed(user),
    };
    let refused = match call.sign_in_proven(person, &session, reply).await {
        Ok(SignInResult::Here(signed_in)) => return Ok(reply(&PendingSignIn::Here(&signed_in.0, &signed_in.1))),
        Ok(SignInResult::Elsewhere(url)) => into_api_error(SessionOpenError::SignInElsewhere(url)),
        // It is not asked for here.
        Ok(SignInResult::SetUp(_)) => into_api_error(SignInError::SetUpNeeded),
        Err(error) => into_api_error(error),
    };
    Ok(Reply::said(json!({ "account-type": account_type(user), "login-error": login_error(&refused) })))
}

/// Sends the message of an open sign-up once more; the answer does not tell whether there is one.
pub(super) async fn resend(call: Call, PlainBody(asked): PlainBody<Resend>) -> HandlerResult {
    let pace = Pace::start();
    let sent = sent_again(&call, asked).await;
    pace.hold().await;
    sent
}

async fn sent_again(call: &Call, asked: Resend) -> HandlerResult {
    let Resend { username, email, new_email, notifications } = asked;
    let name = match (username, email) {
        (Some(username), _) => address(&username).map_err(|problem| member("username", problem.to_string()))?,
        (None, Some(Parsed(email))) => Contact::Email(email),
        (None, None) => return Err(member("username", REQUIRED)),
    };
    let form = ResendForm { name, new_email: new_email.map(|Parsed(email)| email), notifications };
    let planned = call.sign_ups().plan_resend(form, &call.client_info()).await.map_err(into_api_error)?;
    let kind = match planned.kind {
        SignUpKind::Onboard => "onboard",
        SignUpKind::OrgCode => "org-code",
    };
    let reply = Reply::said(json!({ "signup-request-type": kind, "signup-request-id": planned.id }));
    call.commit(reply, |_, context| planned.commit(context)).await
}

fn signed_up(kind: OnboardKind) -> Reply {
    let account_type = match kind {
        OnboardKind::Patient => REGULAR,
        OnboardKind::Provider => PROVIDER,
    };
    Reply::said(json!({ "account-type": account_type }))
}

fn completed(user: &UserDocument) -> Reply {
    Reply::said(json!({ "account-type": account_type(user) }))
}

fn account_type(user: &UserDocument) -> &'static str {
    if user.works() { PROVIDER } else { REGULAR }
}
