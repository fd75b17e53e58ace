//! Second factors of accounts: creating, enabling, disabling and deleting them.

use super::call::{Call, EmptyBody, HandlerResult, Parameters, PlainBody, Secret, whole};
use super::documents::{Reply, Resource};
use super::passwords::confirmed;
use super::refusals::into_api_error;
use super::times;
use crate::access::resource::{TotpAct, UserAct};
use crate::api::common::ApiError;
use crate::executor::{Outcome, RequestContext};
use crate::node::Node;
use crate::processes::second_factor::{self, Provisioning, RecoveryCodes, account_name};
use crate::processes::sessions::{self, Person};
use crate::processes::{DirectoryError, ProcessResult};
use chrono::Utc;
use registrar_aggregates::values::{TotpId, UserId};
use registrar_projections::UserDocument;
use registrar_projections::totps::TotpDocument;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

const TYPE: &str = "mfa-totp";

#[derive(Deserialize)]
pub(super) struct Filters {
    #[serde(rename = "filter[user-id]")]
    user: Option<UserId>,
}

#[derive(Deserialize)]
pub(super) struct EnableRequest {
    codes: [String; 2],
    password: Secret,
}

#[derive(Deserialize)]
pub(super) struct Password {
    password: Secret,
}

/// Configurations of the caller, or of a user whose account the caller administers.
pub(super) async fn list(call: Call, Parameters(filters): Parameters<Filters>) -> HandlerResult {
    let own = call.account().await;
    let person = match (filters.user, own) {
        (None, own) => own?,
        (Some(id), Ok(own)) if own.id() == id => own,
        (Some(other), _) => match call.rightful::<UserDocument>(&other.to_string(), UserAct::Administer).await? {
            Some(other) => Person::User(other),
            None => return Ok(whole(vec![])),
        },
    };
    // Only the owner sees the secret, and no program that acts for them.
    let own = call.account().await.is_ok_and(|own| own.id() == person.id()) && !call.acts_for_another();
    let mut rows = Vec::new();
    for document in second_factor::of_user(&call.app.node, person.id()).await? {
        let secret = if own { secret(&call, &document, &person).await? } else { Value::Null };
        rows.push(resource(&document, secret));
    }
    Ok(whole(rows))
}

/// Creates a configuration with a fresh secret.
pub(super) async fn create(call: Call, PlainBody(EmptyBody {}): PlainBody<EmptyBody>) -> HandlerResult {
    call.own_acts_only()?;
    let person = call.account().await?;
    let draft = second_factor::Draft::fresh();
    let secret = shown(&draft.provisioning(&account_name(&person))?);
    let made = call
        .commit_rendered(
            move |outcome| changed(outcome, secret.clone()),
            |node, context| async { second_factor::create(node, context, person.id(), &draft).await.map_err(taken) },
        )
        .await?;
    made.ok_or_else(|| ApiError::internal("a configuration was made without a document"))
}

/// Enables a configuration.
pub(super) async fn enable(
    call: Call,
    PlainBody(EnableRequest { codes, password: Secret(password) }): PlainBody<EnableRequest>,
) -> HandlerResult {
    let recovery = &RecoveryCodes::fresh();
    let given = json!({ "recovery-codes": recovery.texts().collect::<Vec<_>>() });
    let render = move |document: &TotpDocument| resource(document, Value::Null).beside(given.clone());
    change(&call, TotpAct::Enable, password, render, |node, context, id| async move {
        let [first, second] = &codes;
        second_factor::enable(node, context, id, [first, second], recovery, Utc::now()).await
    })
    .await
}

/// Disables a configuration.
pub(super) async fn disable(
    call: Call,
    PlainBody(Password { password: Secret(password) }): PlainBody<Password>,
) -> HandlerResult {
    // A configuration that is or was enabled has no secret to show.
    let render = |document: &TotpDocument| resource(document, Value::Null);
    let composer = &call.app.settings.composer;
    change(&call, TotpAct::TakeAway, password, render, |node, context, id| {
        second_factor::disable(node, context, composer, id)
    })
    .await
}

/// Carries out an act that its owner confirms by password.
async fn change<'c, Act>(
    call: &'c Call,
    what: TotpAct,
    password: Zeroizing<String>,
    render: impl Fn(&TotpDocument) -> Resource + Clone + Send + Sync + 'static,
    act: impl FnOnce(&'c Node, &'c RequestContext, TotpId) -> Act,
) -> HandlerResult
where
    Act: Future<Output = ProcessResult>,
{
    call.own_acts_only()?;
    let document = call.load::<TotpDocument>(what).await?;
    let person = call.account().await?;
    confirmed(call, person.clone(), password).await?;
    let id = document.id;
    let reply = call
        .commit_rendered(
            move |outcome| outcome.document::<TotpDocument>().map(|document| Reply::created(render(document))),
            |node, context| async move { act(node, context, id).await.map_err(taken) },
        )
        .await?;
    match reply {
        Some(reply) => Ok(reply),
        None => {
            let own = person.id() == document.user_id;
            let secret = if own { secret(call, &document, &person).await? } else { Value::Null };
            Ok(Reply::created(resource(&document, secret)))
        }
    }
}

/// Deletes a configuration.
pub(super) async fn delete(call: Call) -> HandlerResult {
    call.own_acts_only()?;
    let id = call.load::<TotpDocument>(TotpAct::TakeAway).await?.id;
    call.commit(Reply::Empty, |node, context| second_factor::delete(node, context, id)).await
}

/// The configuration after a commit. A replacement deletes the former one.
fn changed(outcome: &Outcome, secret: Value) -> Option<Reply> {
    outcome.document::<TotpDocument>().map(|document| Reply::created(resource(document, secret)))
}

fn taken(error: DirectoryError) -> ApiError {
    if sessions::is_taken(&error) {
        ApiError::Conflict("another configuration is enabled, or was just made".to_owned())
    } else {
        into_api_error(error)
    }
}

/// The secret for its owner, only while the configuration was never enabled.
async fn secret(call: &Call, document: &TotpDocument, person: &Person) -> Result<Value, ApiError> {
    if document.enabled {
        return Ok(Value::Null);
    }
    let known = second_factor::provisioning(&call.app.node, document.id, &account_name(person)).await?;
    Ok(known.as_ref().map_or(Value::Null, shown))
}

pub(super) fn shown(provisioning: &Provisioning) -> Value {
    json!({
        "shared-secret-key": provisioning.secret.as_str(),
        "provisioning-uri": provisioning.uri.as_str(),
        "provisioning-qrcode": {
            "contents-base64": provisioning.image_text(),
            "mimetype": "image/png",
            "width": provisioning.size.0,
            "height": provisioning.size.1,
        },
    })
}

fn resource(document: &TotpDocument, secret: Value) -> Resource {
    let attributes = json!({
        "user-id": document.user_id,
        "enabled": document.enabled,
        "created-at": times::write(document.created_at),
        "enabled-at": document.enabled_at.map(times::write),
        "last-used": document.used_at.map(times::write),
        "secret": secret,
    });
    Resource::new(TYPE, document.id, attributes)
}
