//! Invitations of friends to register, read by their senders and by system admins.

use super::call::{Attributes, Call, HandlerResult, Parsed, QueryExt};
use super::documents::{Reply, Resource};
use super::{named, times};
use crate::processes::{DirectoryError, registration_invitations};
use registrar_aggregates::values::{EmailAddress, RegistrationInvitationId};
use registrar_projections::registration_invitations::{BY_CREATION, CREATED_BY, RegistrationInvitationDocument};
use registrar_projections::{Direction, Query};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewInvitation {
    invited_email: Parsed<EmailAddress>,
}

/// All invitations for system admins, for others their own, the newest first. Callers without a user account have none:
/// 403.
pub(super) async fn list(call: Call) -> HandlerResult {
    let sender = if call.holder.holds_everything() { None } else { Some(call.user()?.profile.id) };
    let query = Query::sorted(&BY_CREATION, Direction::Descending);
    call.list(query.when(sender, |query, sender| query.equal(&CREATED_BY, sender.to_string())), resource).await
}

/// The answer tells whether the address is known, so each address counts as a look-up unless its user is seen anyway.
pub(super) async fn create(call: Call, Attributes(new): Attributes<NewInvitation>) -> HandlerResult {
    let sender = Arc::clone(call.user()?);
    call.own_acts_only()?;
    let NewInvitation { invited_email: Parsed(email) } = new;
    named::by_address(&call, email.as_str()).await?;
    let (id, composer) = (RegistrationInvitationId(Uuid::now_v7()), &call.app.settings.composer);
    call.commit_document::<RegistrationInvitationDocument, DirectoryError, _>(
        id.to_string(),
        Reply::created,
        resource,
        |node, context| registration_invitations::create(node, context, composer, &sender, id, email),
    )
    .await
}

pub(super) async fn get(call: Call) -> HandlerResult {
    Ok(Reply::found(resource(&*call.load::<RegistrationInvitationDocument>(()).await?)))
}

fn resource(entry: &RegistrationInvitationDocument) -> Resource {
    let invitation = &entry.invitation;
    let attributes = json!({
        "claimed-time": entry.claimed_at.map(times::write),
        "created-by": invitation.created_by,
        "created-time": times::write(entry.created_at),
        "invited-email": invitation.email,
    });
    Resource::new("registration-invitations", invitation.id, attributes).at(entry)
}
