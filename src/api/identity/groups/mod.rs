//! Groups of individuals: names and hierarchy. For the people in them see [`super::group_people`].

mod list;
mod view;

pub(super) use list::{list, list_v1};
pub(super) use view::{GroupView, ViewOptions};

use super::call::{Attributes, Call, HandlerResult, Parameters, PlainBody};
use super::documents::Reply;
use super::named;
use super::people;
use super::refusals::{attribute, into_api_error, member};
use crate::access::resource::{GroupAct, Guarded, OrganizationAct};
use crate::api::common::ApiError;
use crate::api::common::error::Source;
use crate::journal::JournalError;
use crate::processes::groups::{self, Amendment, GroupRef, NewGroup};
use crate::processes::{DirectoryError, Refusal, moves};
use registrar_aggregates::group::{GroupError, GroupKind, NodeType};
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, TaskId, UserId};
use registrar_projections::OrganizationDocument;
use registrar_projections::groups::GroupDocument;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Creation {
    organization_id: OrganizationId,
    name: String,
    #[serde(rename = "type")]
    kind: GroupKind,
    node_type: Option<NodeType>,
    #[serde(default)]
    tags: BTreeSet<String>,
    #[serde(default)]
    individual_ids: Vec<IndividualId>,
    #[serde(default)]
    leader_ids: Vec<UserId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Changes {
    name: Option<String>,
    tags: Option<BTreeSet<String>>,
    leader_ids: Option<Vec<UserId>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Move {
    to_parent_group_id: Uuid,
}

pub(super) async fn get(call: Call) -> HandlerResult {
    let group = call.load::<GroupDocument>(GroupAct::See).await?;
    let shown = view::summaries(&call, std::slice::from_ref(&*group)).await?;
    shown.into_iter().next().map(Reply::found).ok_or(ApiError::NotFound(GroupDocument::NOT_FOUND))
}

pub(super) async fn get_v1(call: Call, Parameters(people): Parameters<ViewOptions>) -> HandlerResult {
    let group = call.load::<GroupDocument>(GroupAct::See).await?;
    let shown = view::full(&call, std::slice::from_ref(&*group), people).await?;
    shown.into_iter().next().map(Reply::found).ok_or(ApiError::NotFound(GroupDocument::NOT_FOUND))
}

pub(super) async fn create(call: Call, Attributes(creation): Attributes<Creation>) -> HandlerResult {
    let at = Source::attribute("organization-id");
    let (id, act) = (creation.organization_id, OrganizationAct::Administer);
    let organization = call.named::<OrganizationDocument>(at, id, act).await?.id;
    let pointer = "/data/attributes/individual-ids";
    let individuals = named::individuals(&call, organization, pointer, &creation.individual_ids).await?;
    let leaders = named::leaders(&call, organization, &creation.leader_ids, &BTreeSet::new()).await?;
    let new = NewGroup {
        group: GroupRef { organization, id: GroupId(Uuid::now_v7()) },
        name: creation.name,
        kind: creation.kind,
        node_type: creation.node_type.unwrap_or(NodeType::Group),
        tags: creation.tags,
        individuals,
        leaders,
    };
    let personal = people::Personal::among(&call, &new.leaders).await?;
    let count = new.individuals.len() as u64;
    let created = call
        .commit_rendered(
            move |outcome| view::created(outcome, count, &personal).map(Reply::created),
            |node, context| async move {
                groups::create(node, context, &new).await.map_err(|error| match error {
                    // Reported like other violations of the request, since nothing is stored yet that it could conflict
                    // with.
                    DirectoryError::Refused(Refusal::Group(error @ GroupError::TakesNoIndividuals)) => {
                        attribute("individual-ids", error.to_string())
                    }
                    other => into_api_error(other),
                })
            },
        )
        .await?;
    created.ok_or_else(|| ApiError::internal("a new group has no document"))
}

pub(super) async fn update(call: Call, Attributes(changes): Attributes<Changes>) -> HandlerResult {
    let group = call.load::<GroupDocument>(GroupAct::Change).await?;
    let expected = call.expected(&*group)?;
    let leaders = match changes.leader_ids {
        Some(ids) => {
            let present = groups::leaders_of(&call.app.node, group.id).await?;
            Some(named::leaders(&call, group.organization_id, &ids, &present).await?)
        }
        None => None,
    };
    let involved = leaders.clone().unwrap_or_default();
    let prepared = GroupView::of(&call, &group, ViewOptions::default(), &involved, &BTreeSet::new()).await?;
    let amendment = Amendment { name: changes.name, tags: changes.tags, leaders };
    prepared
        .commit(&call, Reply::found, |node, context| async move {
            groups::amend(node, context, (&*group).into(), &amendment, expected).await
        })
        .await
}

pub(super) async fn start_move(call: Call, PlainBody(wanted): PlainBody<Move>) -> HandlerResult {
    let group = call.load::<GroupDocument>(GroupAct::Move).await?;
    let to = match wanted.to_parent_group_id {
        top if top == group.organization_id.0 => None,
        to => {
            let found = call.seen::<GroupDocument>(to).await?;
            Some(found.ok_or_else(|| member("to-parent-group-id", GroupDocument::NAMES_NONE))?.id)
        }
    };
    let task = TaskId(Uuid::now_v7());
    let reply = Reply::said(json!({ "data": { "task-id": task } }));
    let reply = call
        .commit(reply, |node, context| async move {
            moves::queue(node, context, task, (&*group).into(), to).await.map_err(|error| match error {
                DirectoryError::Journal(JournalError::ClaimTaken { .. }) => {
                    ApiError::Conflict("another group of the organization is being moved".to_owned())
                }
                other => into_api_error(other),
            })
        })
        .await?;
    moves::begin(&call.app.node, task);
    Ok(reply)
}
