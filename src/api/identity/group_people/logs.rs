//! The log of who came to groups and who left them.

use super::super::call::{Answered, Call};
use super::super::documents::{Reply, Resource};
use super::super::refusals::parameter;
use super::super::times;
use crate::access::Operation;
use crate::api::common::ApiError;
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId};
use registrar_projections::groups::{self, Author, GroupDocument, LogDocument, Subject};
use registrar_projections::{Direction, Query};
use serde_json::json;
use uuid::Uuid;

pub(in crate::api::identity) async fn list_logs(call: Call) -> Answered {
    let window = call.window()?;
    let query = scoped(&call).await?.page(window.offset, window.limit);
    let page = call.documents().page(query).await?.value;
    Ok(Reply::Page(page.items.iter().map(row).collect(), window, page.total))
}

/// What is asked for, newest first. Every identifier that is given must be of something that the caller sees, and one of
/// them of something whose log they may read: a group they manage, an organization they administer, or an individual, of
/// which they then get what happened in groups that they manage.
async fn scoped(call: &Call) -> Result<Query<LogDocument>, ApiError> {
    let group = call.uuid("individual-group-id").map(GroupId);
    let organization = call.uuid("organization-id").map(OrganizationId);
    let individuals = [call.uuid("individual-id"), call.uuid("filter[individual-id]")];
    let individuals: Vec<_> = individuals.into_iter().flatten().map(IndividualId).collect();
    if group.is_none() && organization.is_none() && individuals.is_empty() {
        return Err(parameter("individual-group-id", "or another scope is needed"));
    }
    let (access, holder) = (call.access(), &call.holder);
    let mut query = Query::<LogDocument>::sorted(&groups::LATEST_FIRST, Direction::Descending);
    let mut readable = false;
    if let Some(group) = group {
        // A log is read by those who manage the group, so that who may only look at it has no other way to it either.
        if !access.group(holder, group, Operation::Write).await? {
            return Err(call.forbidden());
        }
        readable = true;
        query = query.equal(&groups::GROUP_ID, group.to_string());
    }
    if let Some(organization) = organization {
        if !access.organization(holder, organization, Operation::Read).await? {
            return Err(call.forbidden());
        }
        readable |= access.organization(holder, organization, Operation::Write).await?;
        query = query.equal(&groups::LOG_ORGANIZATION_ID, organization.to_string());
    }
    for individual in &individuals {
        if !access.individual(holder, *individual).await? {
            return Err(call.forbidden());
        }
        query = query.equal(&groups::INDIVIDUAL_ID, individual.to_string());
    }
    if readable {
        return Ok(query);
    }
    let managed = Query::<GroupDocument>::sorted(&groups::BY_ID, Direction::Ascending).uncounted();
    let managed = access.only_groups(managed, holder, Operation::Write).await?;
    let managed = call.documents().ids(managed).await?.value.items;
    if individuals.is_empty() || managed.is_empty() {
        return Err(call.forbidden());
    }
    Ok(query.one_of(&groups::GROUP_ID, managed))
}

fn row(row: &LogDocument) -> Resource {
    // The system, and whoever is named by something else than a UUID, is nobody in particular.
    let author = match &row.author {
        Author::Somebody(id) => Uuid::try_parse(id).unwrap_or_default(),
        Author::System => Uuid::nil(),
    };
    let (individual, user) = match row.subject {
        Subject::Individual(individual) => (Some(individual), None),
        Subject::Leader(user) | Subject::Member(user) => (None, Some(user)),
    };
    let attributes = json!({
        "individual-group-id": row.group_id,
        "individual-id": individual,
        "user-id": user,
        "subject": row.subject.name(),
        "event": row.change.name(),
        "created-by": { "id": author },
        "created-time": times::write(row.at),
    });
    Resource::new("individual-group-logs", row.id, attributes)
}
