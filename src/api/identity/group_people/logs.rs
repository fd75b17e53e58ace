//! Log of people added to groups and removed from them.

use super::super::call::{Call, HandlerResult, Parameters};
use super::super::documents::Resource;
use super::super::refusals::parameter;
use super::super::times;
use crate::access::Operation;
use crate::access::resource::{GroupAct, OrganizationAct};
use crate::api::common::ApiError;
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId};
use registrar_projections::groups::{self, Author, GroupDocument, LogDocument, Subject};
use registrar_projections::{Direction, IndividualDocument, OrganizationDocument, Query};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

#[derive(Deserialize)]
pub(in crate::api::identity) struct Scope {
    #[serde(rename = "individual-group-id")]
    group: Option<GroupId>,
    #[serde(rename = "organization-id")]
    organization: Option<OrganizationId>,
    #[serde(rename = "individual-id")]
    individual: Option<IndividualId>,
    #[serde(rename = "filter[individual-id]")]
    only: Option<IndividualId>,
}

pub(in crate::api::identity) async fn list_logs(call: Call, Parameters(scope): Parameters<Scope>) -> HandlerResult {
    call.list(scope.query(&call).await?, row).await
}

impl Scope {
    /// The requested rows, newest first. The caller must see the resource of every given identifier, and may read the
    /// log of at least one: a group they manage, an organization they administer, or an individual, whose rows are then
    /// limited to groups that they manage.
    async fn query(&self, call: &Call) -> Result<Query<LogDocument>, ApiError> {
        let individuals: Vec<_> = [self.individual, self.only].into_iter().flatten().collect();
        if self.group.is_none() && self.organization.is_none() && individuals.is_empty() {
            return Err(parameter("individual-group-id", "or another scope is required"));
        }
        let mut query = Query::<LogDocument>::sorted(&groups::LATEST_FIRST, Direction::Descending);
        let mut readable = false;
        if let Some(group) = self.group {
            // Only managers of a group read its log. Callers who may only see the group have no other access to it
            // either.
            let group = call.load_by::<GroupDocument>(&group.to_string(), GroupAct::Change).await?;
            readable = true;
            query = query.equal(&groups::GROUP_ID, group.id.to_string());
        }
        if let Some(organization) = self.organization {
            let (id, act) = (organization.to_string(), OrganizationAct::See);
            let found = call.load_by::<OrganizationDocument>(&id, act).await?;
            readable |= call.may(&*found, OrganizationAct::Administer).await?;
            query = query.equal(&groups::LOG_ORGANIZATION_ID, organization.to_string());
        }
        for individual in &individuals {
            call.load_by::<IndividualDocument>(&individual.to_string(), ()).await?;
            query = query.equal(&groups::INDIVIDUAL_ID, individual.to_string());
        }
        if readable {
            return Ok(query);
        }
        let managed = Query::<GroupDocument>::sorted(&groups::BY_ID, Direction::Ascending).uncounted();
        let managed = call.access().only_groups(managed, &call.holder, Operation::Write).await?;
        let managed = call.documents().ids(managed).await?.value.items;
        call.require(!individuals.is_empty() && !managed.is_empty())?;
        Ok(query.one_of(&groups::GROUP_ID, managed))
    }
}

fn row(row: &LogDocument) -> Resource {
    // The system, and an author whose identifier is not a UUID, get the nil UUID.
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
