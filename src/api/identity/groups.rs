//! Groups of individuals: what they are called and how they hang together. Who is in them is in [`super::group_people`].

mod list;
mod view;

pub(super) use list::{list, list_v1};
pub(super) use view::Shown;

use super::call::{Answered, Call, Members};
use super::documents::Reply;
use super::group_people::named::{self, Named};
use super::refusals::{NO_GROUP, attribute, member};
use crate::access::Operation;
use crate::api::common::ApiError;
use crate::directory::groups::{self, Amendment, GroupRef, NewGroup};
use crate::directory::{DirectoryError, Refusal, moves};
use crate::executor::Outcome;
use crate::journal::JournalError;
use registrar_aggregates::group::{GroupError, GroupKind, NodeType};
use registrar_aggregates::values::{GroupId, OrganizationId, TaskId};
use registrar_projections::UserDocument;
use registrar_projections::document::HasCollection;
use registrar_projections::groups::GroupDocument;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// What is said of a group that is not there, and of one that the caller does not see.
const NAMES_NONE: &str = "names no group";

pub(super) async fn get(call: Call) -> Answered {
    let group = readable(&call, call.path_id(NO_GROUP)?).await?;
    let shown = view::summaries(&call, std::slice::from_ref(&*group)).await?;
    shown.into_iter().next().map(Reply::found).ok_or(NO_GROUP)
}

pub(super) async fn get_v1(call: Call) -> Answered {
    let group = readable(&call, call.path_id(NO_GROUP)?).await?;
    let flag = |name| call.arguments.flag(name).unwrap_or_default();
    let shown = Shown { individuals: flag("with-individuals"), members: flag("with-members") };
    let shown = view::full(&call, std::slice::from_ref(&*group), shown).await?;
    shown.into_iter().next().map(Reply::found).ok_or(NO_GROUP)
}

pub(super) async fn create(mut call: Call) -> Answered {
    let attributes = call.attributes()?;
    let organization = organization(&call, &attributes).await?;
    let named = |name| Named::in_document(name, attributes.uuids(name).unwrap_or_default());
    let individuals = named::individuals(&call, organization, named("individual-ids")?).await?;
    let leaders = named::users(&call, organization, named("leader-ids")?, &BTreeSet::new()).await?;
    let new = NewGroup {
        group: GroupRef { organization, id: GroupId(Uuid::now_v7()) },
        name: attributes.text("name").unwrap_or_default().to_owned(),
        kind: attributes.word("type").unwrap_or(GroupKind::Regular),
        node_type: attributes.word("node-type").unwrap_or(NodeType::Group),
        tags: tags(&attributes).unwrap_or_default(),
        individuals,
        leaders,
    };
    let count = new.individuals.len() as u64;
    let reply = move |outcome: &Outcome| {
        let leaders = outcome.documents.iter().filter_map(|document| UserDocument::unwrap(document));
        Some(Reply::created(view::created(outcome.document::<GroupDocument>()?, leaders, count)))
    };
    call.remember(reply);
    let outcome = groups::create(&call.app.node, &call.context, &new).await.map_err(|error| match error {
        // As wrong as the rest of what was sent, since nothing is there yet that it could contradict.
        DirectoryError::Refused(Refusal::Group(error @ GroupError::TakesNoIndividuals)) => {
            attribute("individual-ids", error.to_string())
        }
        other => other.into(),
    })?;
    reply(&outcome).ok_or_else(|| ApiError::internal("a new group has no document"))
}

pub(super) async fn update(mut call: Call) -> Answered {
    let group = writable(&call).await?;
    let attributes = call.attributes()?;
    let leaders = match attributes.uuids("leader-ids") {
        Some(ids) => {
            let present = groups::leaders_of(&call.app.node, group.id).await?;
            let named = Named::in_document("leader-ids", ids)?;
            Some(named::users(&call, group.organization_id, named, &present).await?)
        }
        None => None,
    };
    let amendment = Amendment { name: attributes.text("name").map(str::to_owned), tags: tags(&attributes), leaders };
    groups::amend(&call.app.node, &call.context, (&*group).into(), &amendment).await?;
    after(call, group.id, Shown::default()).await.map(Reply::found)
}

pub(super) async fn start_move(call: Call) -> Answered {
    let group = readable(&call, call.path_id(NO_GROUP)?).await?;
    let organization = group.organization_id;
    if !call.access().organization(&call.holder, organization, Operation::Write).await? {
        return Err(call.forbidden());
    }
    let unknown = || member("to-parent-group-id", NAMES_NONE);
    let to = match call.body.uuid("to-parent-group-id").ok_or_else(unknown)? {
        top if top == organization.0 => None,
        to => Some(seen(&call, to).await?.ok_or_else(unknown)?.id),
    };
    let task = TaskId(Uuid::now_v7());
    let reply = move || Reply::said(json!({ "data": { "task-id": task } }));
    call.remember(move |_| Some(reply()));
    moves::queue(&call.app.node, &call.context, task, (&*group).into(), to).await.map_err(|error| match error {
        DirectoryError::Journal(JournalError::ClaimTaken { .. }) => {
            ApiError::Conflict("another group of the organization is being moved".to_owned())
        }
        other => other.into(),
    })?;
    moves::begin(&call.app.node, task);
    Ok(reply())
}

/// A group that the caller may look at.
///
/// # Errors
/// 404; `Unavailable`.
pub(super) async fn readable(call: &Call, id: Uuid) -> Result<Arc<GroupDocument>, ApiError> {
    seen(call, id).await?.ok_or(NO_GROUP)
}

/// The same, of a group that is not named by the path: nothing for one that the caller may not look at.
///
/// # Errors
/// `Unavailable`.
pub(super) async fn seen(call: &Call, id: Uuid) -> Result<Option<Arc<GroupDocument>>, ApiError> {
    let Some(group) = call.documents().find::<GroupDocument>(&id.to_string()).await?.value else {
        return Ok(None);
    };
    let readable = call.access().group_as(&call.holder, &group, Operation::Read).await?;
    Ok(readable.then_some(group))
}

/// The group of the path, which the caller may change.
///
/// # Errors
/// 404; 403; `Unavailable`.
pub(super) async fn writable(call: &Call) -> Result<Arc<GroupDocument>, ApiError> {
    let group = readable(call, call.path_id(NO_GROUP)?).await?;
    let writable = call.access().group_as(&call.holder, &group, Operation::Write).await?;
    if writable { Ok(group) } else { Err(call.forbidden()) }
}

/// The group after a change, as the caller sees it, whose own rights may have changed with it.
pub(super) async fn after(
    mut call: Call,
    group: GroupId,
    shown: Shown,
) -> Result<super::documents::Resource, ApiError> {
    if let Some(user) = call.holder.user_id() {
        call.holder = call.access().holder(user).await?;
    }
    let group = call.documents().find::<GroupDocument>(&group.to_string()).await?.value.ok_or(NO_GROUP)?;
    let shown = view::full(&call, std::slice::from_ref(&*group), shown).await?;
    shown.into_iter().next().ok_or(NO_GROUP)
}

/// The organization that a group is to belong to.
async fn organization(call: &Call, attributes: &Map<String, Value>) -> Result<OrganizationId, ApiError> {
    let unknown = || attribute("organization-id", "names no organization");
    let organization = attributes.uuid("organization-id").map(OrganizationId).ok_or_else(unknown)?;
    let access = call.access();
    if access.organization(&call.holder, organization, Operation::Write).await? {
        return Ok(organization);
    }
    let seen = access.organization(&call.holder, organization, Operation::Read).await?;
    Err(if seen { call.forbidden() } else { unknown() })
}

fn tags(attributes: &Map<String, Value>) -> Option<BTreeSet<String>> {
    attributes.texts("tags").map(|tags| tags.into_iter().collect())
}
