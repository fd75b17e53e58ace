//! Who is in groups: the lists of them, and how they come and leave.

mod eligible;
mod logs;
pub(super) mod named;

pub(super) use eligible::list_eligible;
pub(super) use logs::list_logs;

use super::call::{Answered, Call, Members};
use super::documents::{Reply, Resource};
use super::groups::{Shown, after, readable, writable};
use super::people;
use super::refusals::{NO_GROUP, member};
use crate::access::Operation;
use crate::api::common::ApiError;
use crate::directory::groups;
use named::Named;
use registrar_aggregates::group::staffing::Post;
use registrar_aggregates::values::{GroupId, IndividualId, UserId};
use registrar_projections::groups::GroupDocument;
use registrar_projections::{Direction, IndividualDocument, Query, UserDocument, individuals, users};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) async fn list_individuals(call: Call) -> Answered {
    let (group, window) = (listed(&call).await?, call.window()?);
    let query = Query::<IndividualDocument>::sorted(&individuals::BY_CREATION, Direction::Ascending)
        .contains(&individuals::SCOPES, group.id.to_string())
        .page(window.offset, window.limit);
    let documents = call.documents();
    let page = documents.page(query).await?.value;
    let persons = people::persons(documents, &page.items).await?;
    let rows = page.items.iter().map(|individual| {
        let shown = people::group_individual(individual, persons.get(&individual.id).map(AsRef::as_ref));
        let attributes = json!({ "individual-group-id": group.id, "individual": shown });
        Resource::row("individual-group-individuals", attributes)
    });
    Ok(Reply::Page(rows.collect(), window, page.total))
}

pub(super) async fn list_leaders(call: Call) -> Answered {
    let (group, window) = (listed(&call).await?, call.window()?);
    let query = Query::<UserDocument>::sorted(&users::BY_CREATION, Direction::Ascending)
        .contains(&users::PLACES, users::leading(group.id))
        .page(window.offset, window.limit);
    let page = call.documents().page(query).await?.value;
    let rows = page.items.iter().map(|user| {
        let attributes = json!({ "individual-group-id": group.id, "leader": people::leader_ref(user) });
        Resource::row("individual-group-leaders", attributes)
    });
    Ok(Reply::Page(rows.collect(), window, page.total))
}

pub(super) async fn add_individuals(call: Call) -> Answered {
    let group = writable(&call).await?;
    let named = Named::in_body("individual-ids", call.body.uuids("individual-ids").unwrap_or_default())?;
    let individuals = named::individuals(&call, group.organization_id, named).await?;
    let left = left(&call, &group).await?;
    groups::add_individuals(&call.app.node, &call.context, (&*group).into(), &individuals, left).await?;
    changed(call, &group).await
}

pub(super) async fn remove_individuals(call: Call) -> Answered {
    let group = writable(&call).await?;
    let named = Named::in_body("individual-ids", call.body.uuids("individual-ids").unwrap_or_default())?;
    let individuals: BTreeSet<_> = named.people().iter().copied().map(IndividualId).collect();
    groups::remove_individuals(&call.app.node, &call.context, (&*group).into(), &individuals).await?;
    changed(call, &group).await
}

pub(super) async fn add_leaders(call: Call) -> Answered {
    appoint(call, Post::Leader).await
}

pub(super) async fn remove_leaders(call: Call) -> Answered {
    relieve(call, Post::Leader).await
}

pub(super) async fn add_members(call: Call) -> Answered {
    appoint(call, Post::Member).await
}

pub(super) async fn remove_members(call: Call) -> Answered {
    relieve(call, Post::Member).await
}

async fn appoint(call: Call, post: Post) -> Answered {
    let group = writable(&call).await?;
    let organization = group.organization_id;
    let users = match call.body.uuids("user-ids") {
        Some(ids) => named::users(&call, organization, Named::in_body("user-ids", ids)?, &BTreeSet::new()).await?,
        None => named::users_by_email(&call, organization, emails(&call)?).await?,
    };
    let left = left(&call, &group).await?;
    groups::appoint(&call.app.node, &call.context, (&*group).into(), post, &users, left).await?;
    changed(call, &group).await
}

/// Whoever is not there is passed over, known or not: with that nobody learns who is known.
async fn relieve(call: Call, post: Post) -> Answered {
    let group = writable(&call).await?;
    let users: BTreeSet<_> = match call.body.uuids("user-ids") {
        Some(ids) => Named::in_body("user-ids", ids)?.people().iter().copied().map(UserId).collect(),
        None => named::known_by_email(&call, &emails(&call)?).await?,
    };
    groups::relieve(&call.app.node, &call.context, (&*group).into(), post, &users).await?;
    changed(call, &group).await
}

fn emails(call: &Call) -> Result<Named<String>, ApiError> {
    Named::in_body("user-emails", call.body.texts("user-emails").unwrap_or_default())
}

/// The group whose people a list is of.
async fn listed(call: &Call) -> Result<Arc<GroupDocument>, ApiError> {
    readable(call, call.uuid("individual-group-id").ok_or(NO_GROUP)?).await
}

/// The group that people are to leave: one of the same organization that the caller may change as well.
async fn left(call: &Call, group: &GroupDocument) -> Result<Option<GroupId>, ApiError> {
    let Some(id) = call.body.uuid("remove-from-group") else { return Ok(None) };
    let found = call.documents().find::<GroupDocument>(&id.to_string()).await?.value;
    if let Some(left) = found.filter(|left| left.organization_id == group.organization_id)
        && call.access().group_as(&call.holder, &left, Operation::Write).await?
    {
        return Ok(Some(left.id));
    }
    Err(member("remove-from-group", "names no group of the organization"))
}

async fn changed(call: Call, group: &GroupDocument) -> Answered {
    let shown = Shown { individuals: call.body.flag("with-individuals"), members: call.body.flag("with-members") };
    after(call, group.id, shown).await.map(Reply::created)
}
