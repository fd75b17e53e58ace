//! Individuals: whom records are about, and whose they are.

use super::call::{Answered, Call, Members};
use super::documents::{Reply, Resource};
use super::refusals::{NO_INDIVIDUAL, attribute};
use crate::api::common::ApiError;
use crate::directory::membership;
use crate::executor::Outcome;
use registrar_aggregates::individual::Owner;
use registrar_aggregates::values::{IndividualId, OrganizationId, UserId};
use registrar_projections::{IndividualDocument, OrganizationDocument};
use serde_json::json;

pub(super) async fn create(mut call: Call) -> Answered {
    if !call.holder.is_service() {
        return Err(call.forbidden());
    }
    let attributes = call.attributes()?;
    let needed = |name| attributes.uuid(name).ok_or_else(|| attribute(name, "is needed"));
    let (id, owner) = (IndividualId(needed("individual-id")?), needed("owner-id")?);
    let key = owner.to_string();
    let organization = call.documents().find::<OrganizationDocument>(&key);
    let (user, organization) = futures::try_join!(call.user_by_id(UserId(owner)), organization)?;
    let owner = match (user, organization.value) {
        (Some(user), _) => Owner::User(user.profile.id),
        (None, Some(organization)) => Owner::Organization(organization.profile.id),
        (None, None) => return Err(attribute("owner-id", "is neither a user nor an organization")),
    };
    let context = match owner {
        Owner::Organization(organization) => call.context.within(organization),
        Owner::User(_) => call.context.clone(),
    };
    let answer = move |_: &Outcome| Some(Reply::created(resource(id, owner)));
    call.remember(answer);
    let outcome = membership::record_individual(&call.app.node, &context, id, owner).await?;
    answer(&outcome).ok_or_else(|| ApiError::internal("an individual was recorded and is not shown"))
}

pub(super) async fn get(call: Call) -> Answered {
    let id = call.path_id(NO_INDIVIDUAL)?.to_string();
    let found = call.documents().find::<IndividualDocument>(&id).await?.value.ok_or(NO_INDIVIDUAL)?;
    if !call.access().individual_as(&call.holder, &found).await? {
        return Err(NO_INDIVIDUAL);
    }
    Ok(Reply::found(resource(found.id, found.owner)))
}

fn resource(id: IndividualId, owner: Owner) -> Resource {
    let (Owner::User(UserId(owner)) | Owner::Organization(OrganizationId(owner))) = owner;
    Resource::new("individuals", id, json!({ "owner-id": owner }))
}
