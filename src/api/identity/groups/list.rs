//! Lists of groups, and their filters.

use super::super::call::{Answered, Call, Narrow, Parameters, Parsed, compared};
use super::super::times::Comparison;
use super::view::{self, People};
use crate::access::Operation;
use crate::api::common::ApiError;
use crate::processes::groups::{Taking, only_taking};
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, UserId};
use registrar_projections::groups::{self, GroupDocument};
use registrar_projections::users::name_key;
use registrar_projections::{Direction, IndividualDocument, Query, UserDocument};
use serde::Deserialize;

/// The filter for active groups changes nothing, as long as every group is active.
#[derive(Deserialize)]
pub(in crate::api::identity) struct Wanted {
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

pub(in crate::api::identity) async fn list(call: Call, Parameters(wanted): Parameters<Wanted>) -> Answered {
    let Some(query) = query(&call, wanted).await? else { return call.nothing() };
    let page = call.page(query).await?;
    let rows = view::summaries(&call, &page.items).await?;
    Ok(page.with(rows))
}

pub(in crate::api::identity) async fn list_v1(call: Call, Parameters(wanted): Parameters<Wanted>) -> Answered {
    let people = People { individuals: wanted.with_individuals, members: true };
    let Some(query) = query(&call, wanted).await? else { return call.nothing() };
    let page = call.page(query).await?;
    let rows = view::full(&call, &page.items, people).await?;
    Ok(page.with(rows))
}

/// Query for the groups that the caller may read; `None` if it cannot match.
async fn query(call: &Call, wanted: Wanted) -> Result<Option<Query<GroupDocument>>, ApiError> {
    let query = Query::<GroupDocument>::sorted(&groups::BY_CREATION, Direction::Ascending);
    let Some(query) = by_others(call, query, &wanted).await? else { return Ok(None) };
    Ok(Some(call.access().only_groups(by_itself(query, wanted), &call.holder, Operation::Read).await?))
}

/// Filters on the group's own values.
fn by_itself(query: Query<GroupDocument>, wanted: Wanted) -> Query<GroupDocument> {
    let tags = wanted.tags.into_iter().fold(query, |query, tag| query.contains(&groups::TAGS, tag));
    let query = tags
        .one_of(&groups::KIND, wanted.kinds)
        .when(wanted.organization, |query, id| query.equal(&groups::ORGANIZATION_ID, id.to_string()))
        .when(wanted.node_type, |query, node_type| query.equal(&groups::NODE_TYPE, node_type))
        .when(wanted.tree_node_type, |query, kind| query.equal(&groups::LEAF, (kind == "leaf").to_string()))
        .when(wanted.text, |query, text| query.search(&groups::SEARCH, &text))
        .when(wanted.name, |query, name| query.equal(&groups::NAME, name_key(name.trim())))
        .when(wanted.ids, |query, ids| query.one_of(&groups::ID, texts(ids)))
        .when(wanted.without, |query, ids| query.none_of(&groups::ID, texts(ids)));
    compared(query, &groups::UPDATED_AT, wanted.modified.into_iter().map(|Parsed(comparison)| comparison))
}

/// Filters that name other resources. Resources hidden from the caller count as not found: `None` if none is left.
async fn by_others(
    call: &Call,
    mut query: Query<GroupDocument>,
    wanted: &Wanted,
) -> Result<Option<Query<GroupDocument>>, ApiError> {
    if let Some(parent) = wanted.parent {
        let Some(parent) = call.seen::<GroupDocument>(parent).await? else { return Ok(None) };
        query = query.equal(&groups::PARENT, parent.id.to_string());
    }
    if let Some(leader) = wanted.leader {
        let Some(leader) = call.seen::<UserDocument>(leader).await? else { return Ok(None) };
        query = query.one_of(&groups::ID, texts(leader.standing_posts().flat_map(|(_, posts)| &posts.leads).copied()));
    }
    if let Some(individual) = wanted.individual {
        let Some(individual) = call.seen::<IndividualDocument>(individual).await? else { return Ok(None) };
        query = query.one_of(&groups::ID, texts(individual.groups()));
    }
    if let Some(individual) = wanted.without_individual
        && let Some(individual) = call.seen::<IndividualDocument>(individual).await?
    {
        query = query.none_of(&groups::ID, texts(individual.groups()));
    }
    if let Some(individual) = wanted.eligible {
        let Some(individual) = call.seen::<IndividualDocument>(individual).await? else { return Ok(None) };
        let organizations = individual.places.keys().map(ToString::to_string).collect();
        query = only_taking(query, Taking::Individuals)
            .one_of(&groups::ORGANIZATION_ID, organizations)
            .none_of(&groups::ID, texts(individual.groups()));
    }
    Ok(Some(query))
}

fn texts(groups: impl IntoIterator<Item = GroupId>) -> Vec<String> {
    groups.into_iter().map(|group| group.to_string()).collect()
}
