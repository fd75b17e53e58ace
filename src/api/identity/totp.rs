//! The second factor of a user: made, put in force, put out of force, taken away.

use super::call::{Answered, Call, Members};
use super::documents::{Reply, Resource, Window};
use super::passwords::confirmed;
use super::times;
use crate::api::common::ApiError;
use crate::directory::second_factor;
use crate::directory::sessions::{self, Person};
use crate::executor::Outcome;
use chrono::Utc;
use registrar_aggregates::values::{TotpId, UserId};
use registrar_projections::UserDocument;
use registrar_projections::totps::TotpDocument;
use serde_json::{Value, json};
use zeroize::Zeroizing;

const TYPE: &str = "mfa-totp";
const NO_CONFIGURATION: ApiError = ApiError::NotFound("TOTP configuration not found");

/// The configurations of the caller, or of somebody whom the caller administers.
pub(super) async fn list(call: Call) -> Answered {
    let node = &call.app.node;
    let user = match call.uuid("filter[user-id]").map(UserId) {
        Some(other) if !call.is(other) => {
            let other = call.user_by_id(other).await?.filter(|other| call.holder.manages(other));
            other.ok_or_else(|| call.forbidden())?
        }
        _ => call.user()?.clone(),
    };
    let own = call.is(user.profile.id);
    let mut rows = Vec::new();
    for document in second_factor::of_user(node, user.profile.id).await? {
        rows.push(resource(&call, &document, &user, own).await?);
    }
    let total = rows.len() as u64;
    Ok(Reply::Page(rows, Window { limit: total, offset: 0 }, total))
}

/// A configuration with a fresh secret.
pub(super) async fn create(call: Call) -> Answered {
    let (node, user) = (&call.app.node, call.user()?.clone());
    let former = second_factor::of_user(node, user.profile.id).await?;
    if former.iter().any(|former| former.enabled) {
        return Err(ApiError::Conflict("a configuration is enabled already".to_owned()));
    }
    let (_, outcome) = second_factor::create(node, call.context(), user.profile.id, &former).await?;
    answer(&call, &outcome, &user).await
}

/// In force from now on.
pub(super) async fn enable(call: Call) -> Answered {
    let (id, user) = own(&call).await?;
    let codes = call.body().texts("codes").unwrap_or_default();
    let [first, second] = codes.as_slice() else { return Err(NO_CONFIGURATION) };
    confirmed(&call, Person::User(user.clone()), password(&call)).await?;
    let enabled = second_factor::enable(&call.app.node, call.context(), id, [first, second], Utc::now()).await;
    let outcome = enabled.map_err(|error| {
        if sessions::is_taken(&error) {
            ApiError::Conflict("another configuration is enabled".to_owned())
        } else {
            error.into()
        }
    })?;
    answer(&call, &outcome, &user).await
}

/// Out of force.
pub(super) async fn disable(call: Call) -> Answered {
    let (id, user) = own(&call).await?;
    confirmed(&call, Person::User(user.clone()), password(&call)).await?;
    let outcome = second_factor::disable(&call.app.node, call.context(), id).await?;
    answer(&call, &outcome, &user).await
}

/// Gone.
pub(super) async fn delete(call: Call) -> Answered {
    let (id, _) = own(&call).await?;
    second_factor::delete(&call.app.node, call.context(), id).await?;
    Ok(Reply::Empty)
}

fn password(call: &Call) -> Zeroizing<String> {
    Zeroizing::new(call.body().text("password").unwrap_or_default().to_owned())
}

/// The configuration in the path, which must be the caller's.
async fn own(call: &Call) -> Result<(TotpId, std::sync::Arc<UserDocument>), ApiError> {
    let id = TotpId(call.path_id(NO_CONFIGURATION)?);
    let user = call.user().map_err(|_| NO_CONFIGURATION)?.clone();
    let found = call.documents().find::<TotpDocument>(&id.to_string()).await?.value;
    match found {
        Some(document) if document.user_id == user.profile.id => Ok((id, user)),
        _ => Err(NO_CONFIGURATION),
    }
}

async fn answer(call: &Call, outcome: &Outcome, user: &UserDocument) -> Answered {
    let changed = outcome.documents.iter().find_map(|document| match &**document {
        registrar_projections::AnyDocument::TotpConfigurations(document) => Some(document.clone()),
        _ => None,
    });
    // Nothing was different: what was found is what there is.
    let document = match changed {
        Some(document) => document,
        None => {
            let found = call.documents().find::<TotpDocument>(call.path_text()).await?.value;
            (*found.ok_or(NO_CONFIGURATION)?).clone()
        }
    };
    Ok(Reply::created(resource(call, &document, user, true).await?))
}

/// Only its owner sees the secret, and only as long as it is not in force.
async fn resource(call: &Call, document: &TotpDocument, user: &UserDocument, own: bool) -> Result<Resource, ApiError> {
    let secret = if own && !document.enabled {
        let shown = second_factor::provisioning(&call.app.node, document.id, user.username_text()).await?;
        shown.map_or(Value::Null, |shown| {
            json!({
                "shared-secret-key": shown.secret.as_str(),
                "provisioning-uri": shown.uri.as_str(),
                "provisioning-qrcode": {
                    "contents-base64": shown.image_text(),
                    "mimetype": "image/png",
                    "width": shown.size.0,
                    "height": shown.size.1,
                },
            })
        })
    } else {
        Value::Null
    };
    let attributes = json!({
        "user-id": document.user_id,
        "enabled": document.enabled,
        "created-at": times::write(document.created_at),
        "enabled-at": document.enabled_at.map(times::write),
        "last-used": document.used_at.map(times::write),
        "secret": secret,
    });
    Ok(Resource::new(TYPE, document.id, attributes))
}
