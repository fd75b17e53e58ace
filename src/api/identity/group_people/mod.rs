//! People in groups: listing, adding and removing them.

mod eligible;
mod logs;

pub(super) use eligible::list_eligible;
pub(super) use logs::list_logs;

use super::call::{Call, HandlerResult, Parameters, PlainBody};
use super::documents::{Reply, Resource};
use super::groups::{GroupView, ViewOptions};
use super::named::{self, UserReferences};
use super::people;
use super::refusals::member;
use crate::access::resource::GroupAct;
use crate::api::common::ApiError;
use crate::processes::groups;
use registrar_aggregates::group::staffing::Post;
use registrar_aggregates::values::{GroupId, IndividualId};
use registrar_projections::groups::GroupDocument;
use registrar_projections::{Direction, IndividualDocument, Query, UserDocument, individuals, users};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct GroupParameter {
    individual_group_id: Uuid,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Individuals {
    individual_ids: Vec<IndividualId>,
    remove_from_group: Option<Uuid>,
    #[serde(flatten)]
    shown: ViewOptions,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Staff {
    #[serde(flatten)]
    users: UserReferences,
    remove_from_group: Option<Uuid>,
    #[serde(flatten)]
    shown: ViewOptions,
}

pub(super) async fn list_individuals(call: Call, Parameters(listed): Parameters<GroupParameter>) -> HandlerResult {
    let group = listed.group(&call).await?;
    let query = Query::<IndividualDocument>::sorted(&individuals::BY_CREATION, Direction::Ascending)
        .contains(&individuals::SCOPES, group.id.to_string());
    let page = call.page(query).await?;
    let persons = people::Persons::behind(&call, &page.items).await?;
    Ok(page.show(|individual| {
        let attributes = json!({ "individual-group-id": group.id, "individual": persons.individual(individual) });
        Resource::row("individual-group-individuals", attributes)
    }))
}

pub(super) async fn list_leaders(call: Call, Parameters(listed): Parameters<GroupParameter>) -> HandlerResult {
    let group = listed.group(&call).await?;
    let query = Query::<UserDocument>::sorted(&users::BY_CREATION, Direction::Ascending)
        .contains(&users::PLACES, users::leading(group.id));
    call.list(query, |user| {
        let attributes = json!({ "individual-group-id": group.id, "leader": people::leader_ref(user) });
        Resource::row("individual-group-leaders", attributes)
    })
    .await
}

impl GroupParameter {
    /// The group whose people are listed.
    async fn group(&self, call: &Call) -> Result<Arc<GroupDocument>, ApiError> {
        call.load_by::<GroupDocument>(&self.individual_group_id.to_string(), GroupAct::See).await
    }
}

pub(super) async fn add_individuals(call: Call, PlainBody(asked): PlainBody<Individuals>) -> HandlerResult {
    let group = call.load::<GroupDocument>(GroupAct::Change).await?;
    let organization = group.organization_id;
    let added = named::individuals(&call, organization, "/individual-ids", &asked.individual_ids).await?;
    let left = left(&call, &group, asked.remove_from_group).await?;
    let prepared = GroupView::of(&call, &group, asked.shown, &BTreeSet::new(), &added).await?;
    prepared
        .commit(&call, Reply::created, |node, context| async move {
            groups::add_individuals(node, context, (&*group).into(), &added, left).await
        })
        .await
}

pub(super) async fn remove_individuals(call: Call, PlainBody(asked): PlainBody<Individuals>) -> HandlerResult {
    let group = call.load::<GroupDocument>(GroupAct::Change).await?;
    named::bounded("/individual-ids", asked.individual_ids.len())?;
    let removed: BTreeSet<_> = asked.individual_ids.into_iter().collect();
    let prepared = GroupView::of(&call, &group, asked.shown, &BTreeSet::new(), &removed).await?;
    prepared
        .commit(&call, Reply::created, |node, context| async move {
            groups::remove_individuals(node, context, (&*group).into(), &removed).await
        })
        .await
}

pub(super) async fn add_leaders(call: Call, PlainBody(asked): PlainBody<Staff>) -> HandlerResult {
    appoint(call, asked, Post::Leader).await
}

pub(super) async fn remove_leaders(call: Call, PlainBody(asked): PlainBody<Staff>) -> HandlerResult {
    relieve(call, asked, Post::Leader).await
}

pub(super) async fn add_members(call: Call, PlainBody(asked): PlainBody<Staff>) -> HandlerResult {
    appoint(call, asked, Post::Member).await
}

pub(super) async fn remove_members(call: Call, PlainBody(asked): PlainBody<Staff>) -> HandlerResult {
    relieve(call, asked, Post::Member).await
}

async fn appoint(call: Call, asked: Staff, post: Post) -> HandlerResult {
    let group = call.load::<GroupDocument>(GroupAct::Change).await?;
    let users = asked.users.eligible(&call, group.organization_id).await?;
    let left = left(&call, &group, asked.remove_from_group).await?;
    let prepared = GroupView::of(&call, &group, asked.shown, &users, &BTreeSet::new()).await?;
    prepared
        .commit(&call, Reply::created, |node, context| async move {
            groups::appoint(node, context, (&*group).into(), post, &users, left).await
        })
        .await
}

/// Users without the post are skipped, known or not: so the response does not disclose which users exist.
async fn relieve(call: Call, asked: Staff, post: Post) -> HandlerResult {
    let group = call.load::<GroupDocument>(GroupAct::Change).await?;
    let users = asked.users.known(&call).await?;
    let prepared = GroupView::of(&call, &group, asked.shown, &users, &BTreeSet::new()).await?;
    prepared
        .commit(&call, Reply::created, |node, context| async move {
            groups::relieve(node, context, (&*group).into(), post, &users).await
        })
        .await
}

/// The group that people leave in a move: one of the same organization that the caller may change as well.
async fn left(call: &Call, group: &GroupDocument, named: Option<Uuid>) -> Result<Option<GroupId>, ApiError> {
    let Some(id) = named else { return Ok(None) };
    let found = call.seen::<GroupDocument>(id).await?;
    if let Some(left) = found.filter(|left| left.organization_id == group.organization_id)
        && call.may(&*left, GroupAct::Change).await?
    {
        return Ok(Some(left.id));
    }
    Err(member("remove-from-group", "names no group of the organization that the caller may change"))
}
