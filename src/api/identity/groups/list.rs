//! Lists of groups, and their filters.

use super::super::call::{Call, HandlerResult, Parameters, Parsed, QueryExt, compared};
use super::super::times::Comparison;
use super::view::{self, ViewOptions};
use crate::access::Operation;
use crate::api::common::ApiError;
use crate::processes::groups::{JoinCapacity, only_joinable};
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, UserId};
use registrar_projections::groups::{self, GroupDocument};
use registrar_projections::users::name_key;
use registrar_projections::{Direction, IndividualDocument, Query, UserDocument};
use serde::Deserialize;

/// The filter for active groups changes nothing, as long as every group is active.
#[derive(Deserialize)]
pub(in crate::api::identity) struct GroupFilters {
    #[serde(rename = "type")]
    kinds: Vec<String>,
    #[serde(rename = "organization-id")]
    organization: Option<OrganizationId>,
    name: Option<String>,
    ids: Option<Vec<GroupId>>,
    #[serde(rename = "filter[exclude-ids]")]
    without: Option<Vec<GroupId>>,
    #[serde(rename = "filter[node-type]")]
    node_type: Option<String>,
    #[serde(rename = "filter[tree-node-type]")]
    tree_node_type: Option<String>,
    #[serde(default, rename = "filter[tags]")]
    tags: Vec<String>,
    #[serde(rename = "filter[text]")]
    text: Option<String>,
    #[serde(default, rename = "filter[cmp-last-modified-time]")]
    modified: Vec<Parsed<Comparison>>,
    #[serde(rename = "filter[parent-group-id]")]
    parent: Option<GroupId>,
    #[serde(rename = "filter[leader-id]")]
    leader: Option<UserId>,
    #[serde(rename = "filter[individual-id]")]
    individual: Option<IndividualId>,
    #[serde(rename = "exclude[individual-id]")]
    without_individual: Option<IndividualId>,
    #[serde(rename = "filter[eligible-individual-id]")]
    eligible: Option<IndividualId>,
    #[serde(default, rename = "with-individuals")]
    with_individuals: bool,
}

pub(in crate::api::identity) async fn list(call: Call, Parameters(filters): Parameters<GroupFilters>) -> HandlerResult {
    let Some(query) = query(&call, filters).await? else { return call.nothing() };
    let page = call.page(query).await?;
    let rows = view::summaries(&call, &page.items).await?;
    Ok(page.with(rows))
}

pub(in crate::api::identity) async fn list_v1(
    call: Call,
    Parameters(filters): Parameters<GroupFilters>,
) -> HandlerResult {
    let people = ViewOptions { individuals: filters.with_individuals, members: true };
    let Some(query) = query(&call, filters).await? else { return call.nothing() };
    let page = call.page(query).await?;
    let rows = view::full(&call, &page.items, people).await?;
    Ok(page.with(rows))
}

/// Query for the groups that the caller may read; `None` if it cannot match.
async fn query(call: &Call, filters: GroupFilters) -> Result<Option<Query<GroupDocument>>, ApiError> {
    let query = Query::<GroupDocument>::sorted(&groups::BY_CREATION, Direction::Ascending);
    let Some(query) = by_others(call, query, &filters).await? else { return Ok(None) };
    Ok(Some(call.access().only_groups(by_itself(query, filters), &call.holder, Operation::Read).await?))
}

/// Filters on the group's own values.
fn by_itself(query: Query<GroupDocument>, filters: GroupFilters) -> Query<GroupDocument> {
    let tags = filters.tags.into_iter().fold(query, |query, tag| query.contains(&groups::TAGS, tag));
    let query = tags
        .one_of(&groups::KIND, filters.kinds)
        .when(filters.organization, |query, id| query.equal(&groups::ORGANIZATION_ID, id.to_string()))
        .when(filters.node_type, |query, node_type| query.equal(&groups::NODE_TYPE, node_type))
        .when(filters.tree_node_type, |query, kind| query.equal(&groups::LEAF, (kind == "leaf").to_string()))
        .when(filters.text, |query, text| query.search(&groups::SEARCH, &text))
        .when(filters.name, |query, name| query.equal(&groups::NAME, name_key(name.trim())))
        .when(filters.ids, |query, ids| query.one_of(&groups::ID, texts(ids)))
        .when(filters.without, |query, ids| query.none_of(&groups::ID, texts(ids)));
    compared(query, &groups::UPDATED_AT, filters.modified)
}

/// Filters that name other resources. Resources hidden from the caller count as not found: `None` if none is left.
async fn by_others(
    call: &Call,
    mut query: Query<GroupDocument>,
    filters: &GroupFilters,
) -> Result<Option<Query<GroupDocument>>, ApiError> {
    if let Some(parent) = filters.parent {
        let Some(parent) = call.seen::<GroupDocument>(parent).await? else { return Ok(None) };
        query = query.equal(&groups::PARENT, parent.id.to_string());
    }
    if let Some(leader) = filters.leader {
        let Some(leader) = call.seen::<UserDocument>(leader).await? else { return Ok(None) };
        query = query.one_of(&groups::ID, texts(leader.standing_posts().flat_map(|(_, posts)| &posts.leads).copied()));
    }
    if let Some(individual) = filters.individual {
        let Some(individual) = call.seen::<IndividualDocument>(individual).await? else { return Ok(None) };
        query = query.one_of(&groups::ID, texts(individual.groups()));
    }
    if let Some(individual) = filters.without_individual
        && let Some(individual) = call.seen::<IndividualDocument>(individual).await?
    {
        query = query.none_of(&groups::ID, texts(individual.groups()));
    }
    if let Some(individual) = filters.eligible {
        let Some(individual) = call.seen::<IndividualDocument>(individual).await? else { return Ok(None) };
        let organizations = individual.places.keys().map(ToString::to_string).collect();
        query = only_joinable(query, JoinCapacity::Individuals)
            .one_of(&groups::ORGANIZATION_ID, organizations)
            .none_of(&groups::ID, texts(individual.groups()));
    }
    Ok(Some(query))
}

fn texts(groups: impl IntoIterator<Item = GroupId>) -> Vec<String> {
    groups.into_iter().map(|group| group.to_string()).collect()
}
