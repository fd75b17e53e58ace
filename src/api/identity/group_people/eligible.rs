//! People eligible for a group.

use super::super::call::{Call, HandlerResult, Parameters};
use super::super::documents::{Paging, Reply};
use super::super::people::{Personal, Persons, eligible_user};
use crate::access::resource::GroupAct;
use crate::api::common::ApiError;
use crate::journal::JournalResult;
use crate::processes::groups::{JoinCapacity, only_joinable};
use crate::read_store::Documents;
use axum::http::StatusCode;
use registrar_aggregates::group::staffing::{CARRYING, Post};
use registrar_aggregates::user::InvitationState;
use registrar_aggregates::values::{GroupId, OrganizationId};
use registrar_projections::groups::{self, CountDocument, GroupDocument};
use registrar_projections::{Direction, IndividualDocument, Query, UserDocument, individuals, users};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[derive(Deserialize)]
pub(in crate::api::identity) struct Filters {
    #[serde(rename = "member-type")]
    member_type: String,
    #[serde(default, rename = "for-children")]
    for_children: bool,
    #[serde(default, rename = "filter[text]")]
    text: String,
    #[serde(rename = "filter[verified]")]
    verified: Option<bool>,
    #[serde(rename = "filter[registration-invite]")]
    invite: Option<String>,
}

/// Kind of people and nodes of the request.
struct EligibleQuery {
    organization: OrganizationId,
    /// Nodes that people could be added to; not empty.
    nodes: BTreeSet<GroupId>,
    paging: Paging,
    filters: Filters,
}

/// A page of people, and their total count.
type PeoplePage = (Vec<Value>, u64);

/// Users or individuals of the organization that the caller sees and that lack the requested post in the group. With
/// `for-children` they lack it in at least one node of the group's subtree, the group included, that accepts such
/// people. If no node accepts them, the list is empty.
pub(in crate::api::identity) async fn list_eligible(
    call: Call,
    Parameters(filters): Parameters<Filters>,
) -> HandlerResult {
    let (group, paging) = (call.load::<GroupDocument>(GroupAct::Change).await?, call.paging()?);
    let capacity = match filters.member_type.as_str() {
        "individual" => JoinCapacity::Individuals,
        "member" => JoinCapacity::Users(Post::Member),
        _ => JoinCapacity::Users(Post::Leader),
    };
    let nodes = nodes(&call, &group, capacity, filters.for_children).await?;
    let (people, total) = if nodes.is_empty() {
        (vec![], 0)
    } else {
        let wanted = EligibleQuery { organization: group.organization_id, nodes, paging, filters };
        match capacity {
            JoinCapacity::Individuals => individuals(&call, &wanted).await?,
            JoinCapacity::Users(post) => users(&call, &wanted, post).await?,
        }
    };
    Ok(Reply::Plain(StatusCode::OK, json!({ "data": people, "meta": paging.meta(total) })))
}

/// Nodes that people could be added to.
async fn nodes(
    call: &Call,
    group: &GroupDocument,
    capacity: JoinCapacity,
    for_children: bool,
) -> JournalResult<BTreeSet<GroupId>> {
    let below = if for_children { call.access().below(group.id).await? } else { [group.id].into() };
    let query = Query::<GroupDocument>::sorted(&groups::BY_ID, Direction::Ascending)
        .one_of(&groups::ID, below.iter().map(ToString::to_string).collect())
        .uncounted();
    let nodes = call.documents().page(only_joinable(query, capacity)).await?.value.items;
    Ok(nodes.iter().map(|node| node.id).collect())
}

async fn users(call: &Call, wanted: &EligibleQuery, post: Post) -> Result<PeoplePage, ApiError> {
    let documents = call.documents();
    let mut query = Query::<UserDocument>::sorted(&users::BY_CREATION, Direction::Ascending)
        .equal(&users::ENABLED, "true")
        .contains_any(&users::PLACES, CARRYING.map(|role| users::holding(role.id(wanted.organization))).into())
        .search(&users::SEARCH, &wanted.filters.text);
    if let Some(verified) = wanted.filters.verified {
        query = query.equal(&users::VERIFIED, verified.to_string());
    }
    if let Some(state) = &wanted.filters.invite {
        query = query.equal(&users::INVITATION, state);
    }
    query = match wanted.only_node() {
        Some(node) => query.lacks(&users::PLACES, place(post, node)),
        None => query.none_of(&users::ID, users_in_all(documents, wanted, post).await?),
    };
    let query = call.holder.only_seen(query).page(wanted.paging.offset, wanted.paging.limit);
    let page = documents.page(query).await?.value;
    let personal = Personal::of(call, &page.items).await?;
    let people = page.items.iter().map(|user| eligible_user(user, &personal, &wanted.filters.member_type));
    Ok((people.collect(), page.total))
}

async fn individuals(call: &Call, wanted: &EligibleQuery) -> Result<PeoplePage, ApiError> {
    let documents = call.documents();
    let Some(seen) = call.access().individuals(&call.holder, Some(wanted.organization)).await? else {
        return Ok((vec![], 0));
    };
    let mut query = Query::<IndividualDocument>::sorted(&individuals::BY_CREATION, Direction::Ascending);
    query.filters.clone_from(&seen.filters);
    // Names and contacts belong to the user whose primary individual it is.
    let everybody = || Query::<UserDocument>::sorted(&users::BY_ID, Direction::Ascending);
    if !&wanted.filters.text.trim().is_empty() {
        let named = everybody().search(&users::SEARCH, &wanted.filters.text);
        query = query.related(&users::PRIMARY_INDIVIDUAL, named, true);
    }
    if let Some(verified) = wanted.filters.verified {
        query = query.related(&users::PRIMARY_INDIVIDUAL, everybody().equal(&users::VERIFIED, "true"), verified);
    }
    let uninvited = InvitationState::None.name();
    query = match &wanted.filters.invite {
        // Also individuals without a person.
        Some(state) if state == uninvited => {
            let invited = everybody().none_of(&users::INVITATION, vec![uninvited.to_owned()]);
            query.related(&users::PRIMARY_INDIVIDUAL, invited, false)
        }
        Some(state) => query.related(&users::PRIMARY_INDIVIDUAL, everybody().equal(&users::INVITATION, state), true),
        None => query,
    };
    query = match wanted.only_node() {
        Some(node) => query.lacks(&individuals::SCOPES, node.to_string()),
        None => query.none_of(&individuals::ID, individuals_in_all(documents, wanted).await?),
    };
    let page = documents.page(query.page(wanted.paging.offset, wanted.paging.limit)).await?.value;
    let persons = Persons::behind(call, &page.items).await?;
    let people = page.items.iter().map(|individual| persons.eligible(individual, &wanted.filters.member_type));
    Ok((people.collect(), page.total))
}

/// Users who already have the post in every node. Few have one in any node.
async fn users_in_all(documents: &Documents, wanted: &EligibleQuery, post: Post) -> JournalResult<Vec<String>> {
    let Some(first) = wanted.nodes.first() else { return Ok(vec![]) };
    let query = Query::<UserDocument>::sorted(&users::BY_ID, Direction::Ascending)
        .contains(&users::PLACES, place(post, *first))
        .uncounted();
    let found = documents.page(query).await?.value.items.into_iter().filter(|user| {
        let posts = user.posts.get(&wanted.organization);
        posts.is_some_and(|posts| wanted.nodes.is_subset(posts.groups(post)))
    });
    Ok(found.map(|user| user.profile.id.to_string()).collect())
}

/// Individuals that are already in every node, searched from the node with the fewest.
async fn individuals_in_all(documents: &Documents, wanted: &EligibleQuery) -> JournalResult<Vec<String>> {
    let counts = documents.find_all::<CountDocument>(wanted.nodes.iter().map(ToString::to_string)).await?;
    let Some(fewest) = counts.iter().min_by_key(|count| count.individuals) else { return Ok(vec![]) };
    // A node that never had individuals has no count.
    if fewest.individuals == 0 || counts.len() < wanted.nodes.len() {
        return Ok(vec![]);
    }
    let query = Query::<IndividualDocument>::sorted(&individuals::BY_ID, Direction::Ascending)
        .contains(&individuals::SCOPES, fewest.id.to_string())
        .uncounted();
    let found = documents.page(query).await?.value.items.into_iter().filter(|individual| {
        let groups = individual.places.get(&wanted.organization);
        groups.is_some_and(|groups| wanted.nodes.is_subset(groups))
    });
    Ok(found.map(|individual| individual.id.to_string()).collect())
}

impl EligibleQuery {
    fn only_node(&self) -> Option<GroupId> {
        self.nodes.first().copied().filter(|_| self.nodes.len() == 1)
    }
}

fn place(post: Post, group: GroupId) -> String {
    match post {
        Post::Leader => users::leading(group),
        Post::Member => users::working_in(group),
    }
}
