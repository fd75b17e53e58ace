//! Background work after the response to its request: once begun it is done or failed, whichever node dies in between.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{GroupId, OrganizationId, TaskId};
use crate::{Claim, ClaimKey, Decide, decide::aggregate};
use serde::{Deserialize, Serialize};

/// Work of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "TaskWork"))]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", tag = "kind")]
pub enum Work {
    /// A move of a group, with its subtree.
    MoveGroup {
        /// The organization; one move at a time runs in it.
        organization_id: OrganizationId,
        /// The group.
        group_id: GroupId,
        /// The new parent division; absent for the top of the tree.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<GroupId>,
    },
}

impl Work {
    /// The organization of the work.
    #[must_use]
    pub fn organization(self) -> OrganizationId {
        let Work::MoveGroup { organization_id, .. } = self;
        organization_id
    }

    fn claim(self) -> ClaimKey {
        let Work::MoveGroup { organization_id, .. } = self;
        ClaimKey::group_move(organization_id)
    }
}

/// Events of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum TaskEvent {
    /// Background work was queued.
    #[serde(rename = "task.queued")]
    Queued {
        /// The task.
        id: TaskId,
        /// Work to be done.
        work: Work,
    },
    /// Work on a task began.
    #[serde(rename = "task.started")]
    Started {},
    /// A task is done.
    #[serde(rename = "task.finished")]
    Finished {
        /// Work that was done.
        work: Work,
    },
    /// A task failed and changed nothing.
    #[serde(rename = "task.failed")]
    Failed {
        /// Work that was to be done.
        work: Work,
        /// Reason of the failure.
        error: String,
    },
}

event_names!(TaskEvent {
    Queued => "task.queued" @ "1.0" Insert, clear [
        "/id", "/work/kind", "/work/organizationId", "/work/groupId", "/work/to",
    ];
    Started => "task.started" @ "1.0" Update, clear [];
    Finished => "task.finished" @ "1.0" Update, clear [
        "/work/kind", "/work/organizationId", "/work/groupId", "/work/to",
    ];
    Failed => "task.failed" @ "1.0" Update, clear [
        "/work/kind", "/work/organizationId", "/work/groupId", "/work/to", "/error",
    ];
});

impl EventFacts for TaskEvent {
    fn claims(&self) -> Vec<Claim> {
        match self {
            TaskEvent::Queued { work, .. } => vec![Claim::Take(work.claim())],
            TaskEvent::Finished { work } | TaskEvent::Failed { work, .. } => vec![Claim::Release(work.claim())],
            TaskEvent::Started {} => vec![],
        }
    }
}

/// Life cycle of a task.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Never queued.
    #[default]
    Absent,
    /// Waiting for a worker.
    Queued(Work),
    /// A worker runs it; after the death of its node, another worker takes over.
    Running(Work),
    /// Done, or failed.
    Ended,
}

/// Commands of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskCommand {
    /// Queues the task.
    Queue {
        /// The task.
        id: TaskId,
        /// Work to be done.
        work: Work,
    },
    /// Records that a worker started.
    Start,
    /// Records success; committed with the changes of the work.
    Finish,
    /// Records failure.
    Fail {
        /// Reason of the failure.
        error: String,
    },
}

/// Refusals of a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The identifier is taken.
    #[error("task already exists")]
    AlreadyExists,
    /// Task not found.
    #[error("task not found")]
    NotFound,
    /// The task has ended, perhaps by another worker.
    #[error("the task has ended")]
    Ended,
}

impl Refuse for TaskError {
    fn kind(&self) -> RefusalKind {
        match self {
            TaskError::NotFound => RefusalKind::NotFound,
            TaskError::AlreadyExists | TaskError::Ended => RefusalKind::Conflict,
        }
    }
}

impl Task {
    fn evolve(&mut self, event: TaskEvent) {
        *self = match (&*self, event) {
            (_, TaskEvent::Queued { work, .. }) => Task::Queued(work),
            (Task::Queued(work), TaskEvent::Started {}) => Task::Running(*work),
            (state, TaskEvent::Started {}) => state.clone(),
            (_, TaskEvent::Finished { .. } | TaskEvent::Failed { .. }) => Task::Ended,
        };
    }
}

impl Decide for Task {
    fn creates(command: &TaskCommand) -> bool {
        matches!(command, TaskCommand::Queue { .. })
    }

    fn decide(&self, command: TaskCommand) -> Result<Vec<TaskEvent>, TaskError> {
        match (self, command) {
            (Task::Absent, TaskCommand::Queue { id, work }) => Ok(vec![TaskEvent::Queued { id, work }]),
            (_, TaskCommand::Queue { .. }) => Err(TaskError::AlreadyExists),
            (Task::Absent, _) => Err(TaskError::NotFound),
            (Task::Ended, _) => Err(TaskError::Ended),
            (Task::Queued(_), TaskCommand::Start) => Ok(vec![TaskEvent::Started {}]),
            (Task::Running(_), TaskCommand::Start) => Ok(vec![]),
            (Task::Queued(work) | Task::Running(work), TaskCommand::Finish) => {
                Ok(vec![TaskEvent::Finished { work: *work }])
            }
            (Task::Queued(work) | Task::Running(work), TaskCommand::Fail { error }) => {
                Ok(vec![TaskEvent::Failed { work: *work, error }])
            }
        }
    }
}

aggregate!(Task, "task", TaskCommand, TaskEvent, TaskError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};
    use uuid::Uuid;

    fn given(events: Vec<TaskEvent>) -> AggregateTestExecutor<Task> {
        TestFramework::with(()).given(events)
    }

    fn id() -> TaskId {
        TaskId(Uuid::from_u128(1))
    }

    fn work() -> Work {
        Work::MoveGroup {
            organization_id: OrganizationId(Uuid::from_u128(2)),
            group_id: GroupId(Uuid::from_u128(3)),
            to: Some(GroupId(Uuid::from_u128(4))),
        }
    }

    impl Samples for TaskEvent {
        fn samples() -> Vec<Self> {
            vec![
                TaskEvent::Queued { id: id(), work: work() },
                TaskEvent::Started {},
                TaskEvent::Finished { work: work() },
                TaskEvent::Failed { work: work(), error: "a group cannot hang under itself".into() },
            ]
        }
    }

    #[test]
    fn a_task_is_queued_started_and_ended_once() {
        let [queued, started, finished, failed] = <[TaskEvent; 4]>::try_from(TaskEvent::samples()).expect("four");
        let queue = || TaskCommand::Queue { id: id(), work: work() };
        let fail = || TaskCommand::Fail { error: "a group cannot hang under itself".into() };
        given(vec![]).when(queue()).then_expect_events(vec![queued.clone()]);
        given(vec![queued.clone()]).when(queue()).then_expect_error(TaskError::AlreadyExists);
        given(vec![queued.clone()]).when(TaskCommand::Start).then_expect_events(vec![started.clone()]);
        let running = || vec![queued.clone(), started.clone()];
        given(running()).when(TaskCommand::Start).then_expect_events(vec![]);
        given(running()).when(TaskCommand::Finish).then_expect_events(vec![finished.clone()]);
        given(running()).when(fail()).then_expect_events(vec![failed.clone()]);
        for end in [finished, failed] {
            let ended = || [running(), vec![end.clone()]].concat();
            for command in [TaskCommand::Start, TaskCommand::Finish, fail()] {
                given(ended()).when(command).then_expect_error(TaskError::Ended);
            }
            assert_eq!(end.claims(), [Claim::Release(work().claim())]);
        }
        given(vec![]).when(TaskCommand::Start).then_expect_error(TaskError::NotFound);
        assert_eq!(queued.claims(), [Claim::Take(work().claim())]);
    }
}
