//! Passwords: rating and changing them.

use super::call::{Call, HandlerResult, PlainBody, Secret};
use super::documents::Reply;
use super::refusals::{into_api_error, member, refused};
use crate::access::resource::UserAct;
use crate::api::common::ApiError;
use crate::processes::accounts::{self, NewPassword};
use crate::processes::passwords::{self, PasswordError, Rules};
use crate::processes::sessions::{self, Person};
use crate::processes::sign_in::SignInError;
use axum::http::StatusCode;
use registrar_aggregates::text;
use registrar_projections::{AdminDocument, UserDocument};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Finding for a missing confirmation by password.
pub(super) const REQUIRED: &str = "is required";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Candidate {
    password: Secret,
    #[serde(default)]
    check_pwned: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Change {
    new_password: Secret,
    /// Former password, entered by its owner.
    old_password: Option<Secret>,
    /// Sent by support.
    context: Option<String>,
    #[serde(default)]
    maintain_active_sessions: bool,
}

/// Rates a password without storing anything.
pub(super) async fn strength(call: Call, PlainBody(candidate): PlainBody<Candidate>) -> HandlerResult {
    let Secret(password) = candidate.password;
    let (times, message) = match &call.app.settings.pwned {
        Some(pwned) if candidate.check_pwned => match pwned.times(&password).await {
            Ok(0) => (0, "not found among stolen passwords"),
            Ok(times) => (i64::try_from(times).unwrap_or(i64::MAX), "found among stolen passwords"),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "stolen passwords were not looked up");
                (-1, "could not be checked")
            }
        },
        Some(_) | None => (-1, "not checked"),
    };
    let strength = call.app.passwords.run(move || passwords::strength(&password)).await?;
    Ok(Reply::said(json!({
        "strength": { "value": strength.value, "label": strength.label },
        "suggestions": strength.suggestions,
        "pwned": { "times": times, "message": message },
    })))
}

/// Changes a password: a person their own, by the former one, or support another's, to be changed at the next sign-in.
pub(super) async fn change(call: Call, PlainBody(change): PlainBody<Change>) -> HandlerResult {
    if let Ok(Person::Admin(admin)) = call.account().await
        && admin.id.to_string().eq_ignore_ascii_case(call.path_text())
    {
        return change_of_admin(&call, admin, change).await;
    }
    let by_support = change.context.is_some();
    let act = if by_support { UserAct::SetPassword } else { UserAct::Own };
    let user = call.load::<UserDocument>(act).await?;
    call.own_acts_only()?;
    let (keep_sessions, rules) = (change.maintain_active_sessions, Rules::from(&user.profile));
    let (composer, user) = (&call.app.settings.composer, &user);
    if by_support {
        let new = NewPassword { hash: accepted(&call, change.new_password.0, rules).await?, keep_sessions };
        return call
            .commit(Reply::done(), |node, context| accounts::set_password_and_tell(node, composer, context, user, new))
            .await;
    }
    let (former, hash) = another(&call, Person::User(Arc::clone(user)), change, rules).await?;
    let (session, new) = (call.session_id(), NewPassword { hash, keep_sessions });
    call.commit(Reply::done(), |node, context| {
        accounts::change_password(node, composer, context, user, session, former, new)
    })
    .await
}

/// As [`change`] for an admin with an account; support cannot change an admin's password.
async fn change_of_admin(call: &Call, admin: Arc<AdminDocument>, change: Change) -> HandlerResult {
    call.require(change.context.is_none())?;
    let (keep, rules) = (change.maintain_active_sessions, Rules::from(&*admin));
    let (former, hash) = another(call, Person::Admin(Arc::clone(&admin)), change, rules).await?;
    let session = call.session_id();
    call.commit(Reply::done(), |node, context| async move {
        sessions::change_admin_password(node, context, &admin, session, former, hash, keep).await
    })
    .await
}

/// Hashes of the former password, which must be right, and of the new one, which must differ.
async fn another(call: &Call, person: Person, change: Change, rules: Rules) -> Result<(String, String), ApiError> {
    let (Secret(old), Secret(new)) = (change.old_password.unwrap_or_default(), change.new_password);
    let unchanged = text::compatible(&old) == text::compatible(&new);
    let former = confirmed(call, person, old).await?;
    if unchanged {
        return Err(member("new-password", "must be another one"));
    }
    Ok((former, accepted(call, new, rules).await?))
}

/// The stored hash that the password matches.
///
/// # Errors
/// 403 for a wrong one.
pub(super) async fn confirmed(call: &Call, person: Person, password: Zeroizing<String>) -> Result<String, ApiError> {
    let wrong = || refused(StatusCode::FORBIDDEN, "bad-credentials", "the password is wrong");
    match call.confirm(&person, password).await {
        Ok(Some(hash)) => Ok(hash),
        Ok(None) | Err(SignInError::BadCredentials) => Err(wrong()),
        Err(error) => Err(into_api_error(error)),
    }
}

/// Requires a person in a session to confirm a change by password, if the settings demand it. A password that is sent
/// must be right in any case.
///
/// # Errors
/// `missing` without a required password, 403 for a wrong one.
pub(super) async fn confirmed_again(call: &Call, password: Option<Secret>, missing: ApiError) -> Result<(), ApiError> {
    match password {
        Some(Secret(password)) => confirmed(call, call.account().await?, password).await.map(drop),
        // Tokens of the command line belong to no session: their users have access to the database and the master key.
        None if call.app.settings.confirm_changes && call.session_id().is_some() => Err(missing),
        None => Ok(()),
    }
}

/// Hash of a password that satisfies the rules.
async fn accepted(call: &Call, password: Zeroizing<String>, rules: Rules) -> Result<String, ApiError> {
    let hash = passwords::accept(&call.app.passwords, call.app.settings.pwned.as_ref(), password, rules).await;
    hash.map_err(|error| match error {
        PasswordError::Weak(weak) => member("new-password", weak.to_string()),
        PasswordError::Busy(busy) => busy.into(),
        PasswordError::NotLookedUp => ApiError::Unavailable(None),
    })
}
