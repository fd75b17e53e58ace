//! The lists of groups: what narrows them.

use super::super::call::{Answered, Call};
use super::super::documents::{Reply, Window};
use super::super::times::{Comparison, Relation};
use super::view::{self, Shown};
use crate::access::Operation;
use crate::api::common::ApiError;
use crate::directory::groups::{Taking, only_taking};
use registrar_aggregates::values::{GroupId, IndividualId, UserId};
use registrar_projections::groups::{self, GroupDocument};
use registrar_projections::stamped::time_key;
use registrar_projections::users::name_key;
use registrar_projections::{Direction, IndividualDocument, Query};
use std::sync::Arc;
use uuid::Uuid;

pub(in crate::api::identity) async fn list(call: Call) -> Answered {
    let (groups, window, total) = page(&call).await?;
    Ok(Reply::Page(view::summaries(&call, &groups).await?, window, total))
}

pub(in crate::api::identity) async fn list_v1(call: Call) -> Answered {
    let individuals = call.arguments.flag("with-individuals").unwrap_or_default();
    let (groups, window, total) = page(&call).await?;
    Ok(Reply::Page(view::full(&call, &groups, Shown { individuals, members: true }).await?, window, total))
}

async fn page(call: &Call) -> Result<(Vec<GroupDocument>, Window, u64), ApiError> {
    let window = call.window()?;
    let query = Query::<GroupDocument>::sorted(&groups::BY_CREATION, Direction::Ascending);
    let query = by_itself(call, query)?;
    let Some(query) = by_others(call, query).await? else { return Ok((vec![], window, 0)) };
    let query = call.access().only_groups(query, &call.holder, Operation::Read).await?;
    let page = call.documents().page(query.page(window.offset, window.limit)).await?.value;
    Ok((page.items, window, page.total))
}

/// Filters that say something of the group itself. Whether it is active is no question, as long as every one is.
fn by_itself(call: &Call, mut query: Query<GroupDocument>) -> Result<Query<GroupDocument>, ApiError> {
    let arguments = &call.arguments;
    query = query.one_of(&groups::KIND, arguments.texts("type").map(str::to_owned).collect());
    if let Some(organization) = call.uuid("organization-id") {
        query = query.equal(&groups::ORGANIZATION_ID, organization.to_string());
    }
    if let Some(node_type) = arguments.text("filter[node-type]") {
        query = query.equal(&groups::NODE_TYPE, node_type);
    }
    if let Some(tree_node_type) = arguments.text("filter[tree-node-type]") {
        query = query.equal(&groups::LEAF, (tree_node_type == "leaf").to_string());
    }
    for tag in arguments.texts("filter[tags]") {
        query = query.contains(&groups::TAGS, tag);
    }
    if let Some(text) = arguments.text("filter[text]") {
        query = query.search(&groups::SEARCH, text);
    }
    if let Some(name) = arguments.text("name") {
        query = query.equal(&groups::NAME, name_key(name.trim()));
    }
    if let Some(ids) = call.uuids("ids") {
        query = query.one_of(&groups::ID, ids);
    }
    if let Some(ids) = call.uuids("filter[exclude-ids]") {
        query = query.none_of(&groups::ID, ids);
    }
    for Comparison { relation, time } in call.comparisons("filter[cmp-last-modified-time]", true)? {
        let (key, time) = (&groups::UPDATED_AT, time_key(time));
        query = match relation {
            Relation::Before => query.below(key, time),
            Relation::Until => query.at_most(key, time),
            Relation::After => query.above(key, time),
            Relation::Since => query.at_least(key, time),
        };
    }
    Ok(query)
}

/// Filters that name something else. What the caller does not see is as if it were not there: `None` if nothing is left.
async fn by_others(call: &Call, mut query: Query<GroupDocument>) -> Result<Option<Query<GroupDocument>>, ApiError> {
    if let Some(parent) = call.uuid("filter[parent-group-id]") {
        if !call.access().group(&call.holder, GroupId(parent), Operation::Read).await? {
            return Ok(None);
        }
        query = query.equal(&groups::PARENT, parent.to_string());
    }
    if let Some(leader) = call.uuid("filter[leader-id]") {
        let leader = call.user_by_id(UserId(leader)).await?;
        let Some(leader) = leader.filter(|leader| call.holder.sees(leader)) else { return Ok(None) };
        query = query.one_of(&groups::ID, texts(leader.posts.values().flat_map(|posts| &posts.leads).copied()));
    }
    if let Some(individual) = call.uuid("filter[individual-id]") {
        let Some(individual) = seen_individual(call, individual).await? else { return Ok(None) };
        query = query.one_of(&groups::ID, texts(individual.groups()));
    }
    if let Some(individual) = call.uuid("exclude[individual-id]")
        && let Some(individual) = seen_individual(call, individual).await?
    {
        query = query.none_of(&groups::ID, texts(individual.groups()));
    }
    if let Some(individual) = call.uuid("filter[eligible-individual-id]") {
        let Some(individual) = seen_individual(call, individual).await? else { return Ok(None) };
        let organizations = individual.places.keys().map(ToString::to_string).collect();
        query = only_taking(query, Taking::Individuals)
            .one_of(&groups::ORGANIZATION_ID, organizations)
            .none_of(&groups::ID, texts(individual.groups()));
    }
    Ok(Some(query))
}

async fn seen_individual(call: &Call, id: Uuid) -> Result<Option<Arc<IndividualDocument>>, ApiError> {
    let id = IndividualId(id);
    let Some(found) = call.documents().find::<IndividualDocument>(&id.to_string()).await?.value else {
        return Ok(None);
    };
    let seen = call.access().individual_as(&call.holder, &found).await?;
    Ok(seen.then_some(found))
}

fn texts(groups: impl Iterator<Item = GroupId>) -> Vec<String> {
    groups.map(|group| group.to_string()).collect()
}
