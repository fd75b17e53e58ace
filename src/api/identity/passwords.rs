//! Passwords: how strong one is, and setting another one.

use super::call::{Answered, Call, Members};
use super::documents::Reply;
use super::refusals::{NO_USER, member, refused};
use crate::api::common::ApiError;
use crate::directory::membership;
use crate::directory::passwords::{self, Weak};
use crate::directory::sessions::Person;
use crate::directory::sign_in::SignInError;
use axum::http::StatusCode;
use registrar_aggregates::user::SystemRole;
use registrar_aggregates::values::UserId;
use registrar_projections::UserDocument;
use serde_json::json;
use zeroize::Zeroizing;

/// How strong a password is. Nothing of it is kept.
pub(super) async fn strength(call: Call) -> Answered {
    let password = Zeroizing::new(call.body().text("password").unwrap_or_default().to_owned());
    let asked = call.body().flag("check-pwned");
    let (times, message) = match &call.app.settings.pwned {
        Some(pwned) if asked => match pwned.times(&password).await {
            Ok(0) => (0, "not found among stolen passwords"),
            Ok(times) => (i64::try_from(times).unwrap_or(i64::MAX), "found among stolen passwords"),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "stolen passwords were not looked up");
                (-1, "could not be checked")
            }
        },
        Some(_) | None => (-1, "not checked"),
    };
    let strength = judged(password).await?;
    Ok(Reply::said(json!({
        "strength": { "value": strength.value, "label": strength.label },
        "suggestions": strength.suggestions,
        "pwned": { "times": times, "message": message },
    })))
}

/// Judging takes some milliseconds of a core.
async fn judged(password: Zeroizing<String>) -> Result<passwords::Strength, ApiError> {
    let judged = tokio::task::spawn_blocking(move || passwords::strength(&password)).await;
    judged.map_err(ApiError::internal)
}

/// Another password: the user's own after the former one, or by support, to be changed at the next sign-in.
pub(super) async fn change(call: Call) -> Answered {
    let node = &call.app.node;
    let id = UserId(call.path_id(NO_USER)?);
    let user = call.user_by_id(id).await?.filter(|user| call.holder.sees(user)).ok_or(NO_USER)?;
    let new = Zeroizing::new(call.body().text("new-password").unwrap_or_default().to_owned());
    let keep = call.body().flag("maintain-active-sessions");
    let by_support = call.body().get("context").is_some();
    if by_support {
        if !call.holder.has_system_role(SystemRole::Support) && !call.holder.holds_everything() {
            return Err(call.forbidden());
        }
        // Who administers the system is helped by others who do.
        if user.system_roles.contains(&SystemRole::Admin) && !call.holder.holds_everything() {
            return Err(call.forbidden());
        }
        let hash = accepted(&call, new, &user).await?;
        call.remember(|_| Some(Reply::done()));
        membership::set_password(node, call.context(), id, hash, keep).await?;
        return Ok(Reply::done());
    }
    if !call.is(id) {
        return Err(call.forbidden());
    }
    let old = Zeroizing::new(call.body().text("old-password").unwrap_or_default().to_owned());
    let unchanged = *old == *new;
    let former = confirmed(&call, Person::User(user.clone()), old).await?;
    if unchanged {
        return Err(member("new-password", "must be another one"));
    }
    let hash = accepted(&call, new, &user).await?;
    let session = call.caller.as_ref().and_then(|caller| caller.principal.session);
    call.remember(|_| Some(Reply::done()));
    membership::change_password(node, call.context(), id, session, former, hash, keep).await?;
    Ok(Reply::done())
}

/// The hash that a password was right for.
///
/// # Errors
/// 403 for a wrong one.
pub(super) async fn confirmed(call: &Call, person: Person, password: Zeroizing<String>) -> Result<String, ApiError> {
    let wrong = || refused(StatusCode::FORBIDDEN, "bad-credentials", "the password is wrong");
    match call.desk().confirm(call.context(), &person, password).await {
        Ok(Some(hash)) => Ok(hash),
        Ok(None) | Err(SignInError::BadCredentials) => Err(wrong()),
        Err(error) => Err(error.into()),
    }
}

/// The hash of a password that the rules accept.
async fn accepted(call: &Call, password: Zeroizing<String>, user: &UserDocument) -> Result<String, ApiError> {
    let weak = |weak: Weak| member("new-password", weak.to_string());
    let (checked, profile) = (password.clone(), user.profile.clone());
    let checked = tokio::task::spawn_blocking(move || passwords::check(&checked, Some(&profile))).await;
    checked.map_err(ApiError::internal)?.map_err(weak)?;
    if let Some(pwned) = &call.app.settings.pwned {
        match pwned.times(&password).await {
            Ok(0) => {}
            Ok(_) => return Err(weak(Weak::Pwned)),
            // Who cannot be asked keeps nobody from setting a password.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "stolen passwords were not looked up");
            }
        }
    }
    Ok(call.app.passwords.hash(password).await?)
}
