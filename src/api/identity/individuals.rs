//! Individuals: the subjects of records, with their owners.

use super::call::{Attributes, Call, HandlerResult};
use super::documents::{Reply, Resource};
use super::refusals::attribute;
use crate::processes::membership;
use registrar_aggregates::individual::Owner;
use registrar_aggregates::values::{IndividualId, OrganizationId, UserId};
use registrar_projections::{IndividualDocument, OrganizationDocument};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewIndividual {
    individual_id: IndividualId,
    owner_id: Uuid,
}

pub(super) async fn create(call: Call, Attributes(new): Attributes<NewIndividual>) -> HandlerResult {
    call.require(call.holder.is_service())?;
    let organization = OrganizationId(new.owner_id);
    let (user, organization) =
        futures::try_join!(call.user_by_id(UserId(new.owner_id)), call.seen::<OrganizationDocument>(organization))?;
    let owner = match (user, organization) {
        (Some(user), _) => Owner::User(user.profile.id),
        (None, Some(organization)) => Owner::Organization(organization.id),
        (None, None) => return Err(attribute("owner-id", "names neither a user nor an organization")),
    };
    let id = new.individual_id;
    call.commit(Reply::created(resource(id, owner)), |node, context| {
        membership::record_individual(node, context, id, owner)
    })
    .await
}

pub(super) async fn get(call: Call) -> HandlerResult {
    let found = call.load::<IndividualDocument>(()).await?;
    Ok(Reply::found(resource(found.id, found.owner)))
}

fn resource(id: IndividualId, owner: Owner) -> Resource {
    let (Owner::User(UserId(owner)) | Owner::Organization(OrganizationId(owner))) = owner;
    Resource::new("individuals", id, json!({ "owner-id": owner }))
}
