//! Users: listed, read, changed, disabled and enabled.

pub(super) mod filters;
mod shown;

pub(super) use shown::{Organizations, display_name};

use super::call::{Answered, Call, Members};
use super::documents::Reply;
use super::refusals::{NO_USER, attribute, member};
use crate::api::common::ApiError;
use crate::directory::{DirectoryError, Refusal, membership};
use crate::executor::Outcome;
use registrar_aggregates::user::{
    Amendment, BirthDate, Classification, Locale, Phone, Preferences, User, UserCommand, UserError, Username,
};
use registrar_aggregates::values::{EmailAddress, OrganizationId, UserId};
use registrar_projections::UserDocument;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The user in the path, if the caller may see it.
pub(super) async fn found(call: &Call) -> Result<Arc<UserDocument>, ApiError> {
    let id = UserId(call.path_id(NO_USER)?);
    let user = call.user_by_id(id).await?.filter(|user| call.holder.sees(user));
    user.ok_or(NO_USER)
}

/// The user in the path, if the caller administers it.
async fn managed(call: &Call) -> Result<Arc<UserDocument>, ApiError> {
    let user = found(call).await?;
    if call.holder.manages(&user) { Ok(user) } else { Err(call.forbidden()) }
}

/// Users that the caller may see.
pub(super) async fn list(call: Call) -> Answered {
    let window = call.window()?;
    let query = filters::query(&call).await?.page(window.offset, window.limit);
    let page = call.documents().page(query).await?.value;
    let organizations = Organizations::of(&call, page.items.iter()).await?;
    let rows = page.items.iter().map(|user| shown::resource(&call, user, &organizations));
    Ok(Reply::Page(rows.collect(), window, page.total))
}

/// One user.
pub(super) async fn get(call: Call) -> Answered {
    let user = found(&call).await?;
    let organizations = Organizations::of(&call, std::iter::once(&*user)).await?;
    Ok(Reply::found(shown::detail(&call, &user, &organizations)))
}

/// Partial change.
pub(super) async fn update(mut call: Call) -> Answered {
    let user = found(&call).await?;
    if !call.is(user.profile.id) && !call.holder.manages(&user) {
        return Err(call.forbidden());
    }
    let attributes = call.attributes()?;
    if attributes.contains_key("classification") && !call.holder.holds_everything() {
        return Err(call.forbidden());
    }
    let amendment = amendment(&attributes)?;
    let command = UserCommand::Amend(Box::new(amendment));
    let (id, context) = (user.profile.id.to_string(), call.context.clone());
    let outcome = call.app.node.executor.execute::<User>(&context, &id, command, None).await;
    let outcome = outcome.map_err(DirectoryError::from)?;
    answer(&call, &outcome, user.profile.id, Reply::found).await
}

fn amendment(attributes: &Map<String, Value>) -> Result<Amendment, ApiError> {
    let wrong = |name: &str, problem: registrar_aggregates::values::Problem| attribute(name, problem.to_string());
    let text = |name: &str| attributes.text(name).map(str::to_owned);
    let email = text("email").map(|email| EmailAddress::parse(&email).map_err(|problem| wrong("email", problem)));
    let phone = text("phone").map(|phone| Phone::parse(&phone).map_err(|problem| wrong("phone", problem)));
    let locale = match attributes.text("locale") {
        Some(_) => {
            Some(attributes.word::<Locale>("locale").ok_or_else(|| attribute("locale", "must be en_US or es_US"))?)
        }
        None => None,
    };
    let preferences = match attributes.get("communication-preferences") {
        Some(preferences) => {
            let read = serde_json::from_value::<Preferences>(preferences.clone());
            Some(read.map_err(|_| attribute("communication-preferences", "has a channel that there is not"))?)
        }
        None => None,
    };
    Ok(Amendment {
        first_name: text("first-name"),
        last_name: text("last-name"),
        email: email.transpose()?,
        phone: phone.transpose()?,
        username: attributes.word::<Username>("username"),
        locale,
        time_zone: text("tz"),
        preferences,
        default_organization: attributes.uuid("default-organization-id").map(OrganizationId),
        classification: attributes.word::<Classification>("classification"),
        birth_date: text("birth-date").and_then(|date| BirthDate::parse(&date).ok()),
    })
}

/// The user as a command left it; read again where nothing was different.
async fn answer(
    call: &Call,
    outcome: &Outcome,
    id: UserId,
    reply: fn(super::documents::Resource) -> Reply,
) -> Answered {
    let user = match outcome.document::<UserDocument>() {
        Some(user) => Arc::new(user.clone()),
        None => call.user_by_id(id).await?.ok_or(NO_USER)?,
    };
    let organizations = Organizations::of(call, std::iter::once(&*user)).await?;
    Ok(reply(shown::resource(call, &user, &organizations)))
}

/// Another e-mail address.
pub(super) async fn change_email(call: Call) -> Answered {
    let user = found(&call).await?;
    if !call.is(user.profile.id) && !call.holder.manages(&user) {
        return Err(call.forbidden());
    }
    let email = EmailAddress::parse(call.body.text("email").unwrap_or_default());
    let email = email.map_err(|problem| member("email", problem.to_string()))?;
    let command = UserCommand::Amend(Box::new(Amendment { email: Some(email), ..Amendment::default() }));
    call.remember(|_| Some(Reply::done()));
    execute(&call, user.profile.id, command).await?;
    Ok(Reply::done())
}

/// The telephone number was found to be the user's.
pub(super) async fn confirm_phone(call: Call) -> Answered {
    let user = found(&call).await?;
    if !call.holder.manages(&user) && !call.holder.is_service() {
        return Err(call.forbidden());
    }
    let phone = Phone::parse(call.body.text("phone-number").unwrap_or_default());
    let phone = phone.map_err(|problem| member("phone-number", problem.to_string()))?;
    call.remember(|_| Some(Reply::done()));
    execute(&call, user.profile.id, UserCommand::ConfirmPhone(phone)).await?;
    Ok(Reply::done())
}

/// Blocks sign-in.
pub(super) async fn disable(call: Call) -> Answered {
    let user = managed(&call).await?;
    let admin = call.caller.as_ref().and_then(|caller| caller.principal.admin_id).map(|admin| UserId(admin.0));
    let by = call.holder.user_id().or(admin).ok_or_else(|| call.forbidden())?;
    let outcome = membership::disable(&call.app.node, &call.context, user.profile.id, by).await?;
    answer(&call, &outcome, user.profile.id, Reply::created).await
}

/// Allows sign-in again.
pub(super) async fn enable(call: Call) -> Answered {
    let user = managed(&call).await?;
    let outcome = membership::enable(&call.app.node, &call.context, user.profile.id).await?;
    answer(&call, &outcome, user.profile.id, Reply::created).await
}

/// Staff forget their own agreements, so that they are asked again.
pub(super) async fn forget_agreements(call: Call) -> Answered {
    let user = found(&call).await?;
    let staff = user.classification == Some(Classification::Carium) || !user.system_roles.is_empty();
    if !call.is(user.profile.id) || !staff {
        return Err(call.forbidden());
    }
    call.remember(|_| Some(Reply::done()));
    execute(&call, user.profile.id, UserCommand::ForgetAgreements).await?;
    Ok(Reply::done())
}

async fn execute(call: &Call, id: UserId, command: UserCommand) -> Result<Outcome, ApiError> {
    let done = call.app.node.executor.execute::<User>(&call.context, &id.to_string(), command, None).await;
    done.map_err(|error| match DirectoryError::from(error) {
        // Of a plain command there are no attributes.
        DirectoryError::Refused(Refusal::User(UserError::Archived)) => {
            ApiError::Conflict("the user is archived".into())
        }
        error => error.into(),
    })
}
