//! Moves of groups. A client that requests one gets a task, which runs in the background: the group moves with
//! everything below it, in the same commit in which the task ends.
//!
//! A queued task is on disk. If the node that queued it is gone, any node that finds it open runs it; two nodes running
//! it do not disturb each other, since only one can end it.

use super::groups::GroupRef;
use super::{DirectoryError, ProcessResult, Refusal, commit};
use crate::executor::RequestContext;
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use registrar_aggregates::processes::moves as rules;
use registrar_aggregates::task::{Task, TaskCommand, TaskError, Work};
use registrar_aggregates::values::{GroupId, TaskId};
use registrar_projections::tasks::{self, TaskDocument};
use registrar_projections::{Direction, Query};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Interval of a node's search for abandoned tasks.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// Open tasks read at once.
const PAGE: u64 = 100;
/// Reason of a failed move when another group has the name there.
const NAME_TAKEN: &str = "another group there has the name already";

/// Queues a move of a group below a division, or to the top, if it is possible at present.
///
/// # Errors
/// `OfTheSystem`, `OtherOrganization`, `NotADivision`, `Cycle`, `TooDeep`; `ClaimTaken` while another group of the
/// organization is moving.
pub async fn queue(
    node: &Node,
    context: &RequestContext,
    task: TaskId,
    group: GroupRef,
    to: Option<GroupId>,
) -> ProcessResult {
    let context = context.within(group.organization);
    commit(node, &context, |streams| rules::queue(streams, task, group, to)).await
}

/// Runs a task, unless it has ended. Safe to call at any time and concurrently.
///
/// # Errors
/// The reason why the task could not be ended; it is still open then. An impossible move is not an error: the task
/// fails.
pub async fn carry_out(node: &Node, task: TaskId) -> Result<(), DirectoryError> {
    match attempt(node, task).await {
        // Lost race: another node has ended the task.
        Err(DirectoryError::Refused(Refusal::Task(TaskError::Ended))) => Ok(()),
        other => other,
    }
}

/// Runs all open tasks.
///
/// # Errors
/// `Unavailable`, `Corrupt` if the search fails.
pub async fn resume(node: &Node) -> JournalResult<()> {
    let query = Query::<TaskDocument>::sorted(&tasks::BY_CREATION, Direction::Ascending).equal(&tasks::OPEN, "true");
    for task in node.documents.page(query.uncounted().page(0, PAGE)).await?.value.items {
        note(task.id, carry_out(node, task.id).await);
    }
    Ok(())
}

/// Runs a task in the background.
pub fn begin(node: &Arc<Node>, task: TaskId) {
    let node = Arc::clone(node);
    tokio::spawn(async move { note(task, carry_out(&node, task).await) });
}

/// Runs open tasks periodically, for as long as the server runs: those of stopped nodes, and those that failed while
/// the database was away.
pub async fn keep_up(node: Arc<Node>) {
    loop {
        if !node.needs_rebuild()
            && let Err(error) = resume(&node).await
        {
            tracing::warn!(error = &error as &dyn Error, "open tasks could not be looked for");
        }
        tokio::time::sleep(LOOK_AROUND).await;
    }
}

fn note(task: TaskId, done: Result<(), DirectoryError>) {
    if let Err(error) = done {
        tracing::warn!(%task, error = &error as &dyn Error, "a task is still open");
    }
}

async fn attempt(node: &Node, task: TaskId) -> Result<(), DirectoryError> {
    let id = &task.to_string();
    let (_, state) = node.executor.state::<Task>(id).await?;
    let (Task::Queued(work) | Task::Running(work)) = state else { return Ok(()) };
    let mut context = RequestContext::system().within(work.organization());
    let started = node.executor.execute::<Task>(&context, id, TaskCommand::Start, None).await?;
    context.metadata.causation = started.events.first().map(|event| event.position);

    let Work::MoveGroup { organization_id, group_id, to } = work;
    let group = GroupRef { organization: organization_id, id: group_id };
    let error = match commit(node, &context, |streams| rules::carry_out(streams, task, group, to)).await {
        Ok(_) => return Ok(()),
        Err(DirectoryError::Refused(refusal @ (Refusal::Tree(_) | Refusal::Group(_)))) => refusal.to_string(),
        Err(DirectoryError::Journal(JournalError::ClaimTaken { .. })) => NAME_TAKEN.to_owned(),
        Err(other) => return Err(other),
    };
    node.executor.execute::<Task>(&context, id, TaskCommand::Fail { error }, None).await?;
    Ok(())
}
