//! The `tasks` read model: one document per task with its present state.

use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use chrono::{DateTime, Utc};
use registrar_aggregates::task::{TaskEvent, Work};
use registrar_aggregates::values::TaskId;
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 2;

/// The present state of a task.
pub type TaskDocument = Stamped<Task>;

crate::collection! {
    "tasks" of TaskDocument, hot: false, id: |task| task.id.to_string();
    keys {
        /// `true` for a task that has not ended.
        pub OPEN: Text = |task| task.finished_at.is_none().to_string();
        CREATED_AT: Text = |task| time_key(task.created_at);
    }
    indexes { [OPEN, CREATED_AT] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// State of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waiting for a worker.
    Queued,
    /// A worker runs it.
    Running,
    /// Done.
    Done,
    /// Failed, without effect.
    Failed,
}

impl State {
    /// The name as written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Done => "done",
            State::Failed => "failed",
        }
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// The task.
    pub id: TaskId,
    /// Work of the task.
    pub work: Work,
    /// State of the task.
    #[serde(rename = "state")]
    pub progress: State,
    /// Actor who started it, by the identifier in the metadata of events.
    pub started_by: String,
    /// Time of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
    /// Reason of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl AggregateState for Task {
    type Event = TaskEvent;
    /// The entries themselves have time and actor.
    const UNLISTED: &'static [&'static str] = &["finishedAt", "startedBy"];

    fn create(event: &RecordedEvent, change: &TaskEvent) -> Option<Self> {
        let TaskEvent::Queued { id, work } = change else { return None };
        let started_by = event.metadata.actor.id.clone();
        Some(Task { id: *id, work: *work, progress: State::Queued, started_by, finished_at: None, error: None })
    }

    fn change(mut self, event: &RecordedEvent, change: &TaskEvent) -> Option<Self> {
        self.progress = match change {
            TaskEvent::Queued { .. } => State::Queued,
            TaskEvent::Started {} => State::Running,
            TaskEvent::Finished { .. } => State::Done,
            TaskEvent::Failed { .. } => State::Failed,
        };
        if matches!(self.progress, State::Done | State::Failed) {
            self.finished_at = Some(event.recorded_at);
        }
        if let TaskEvent::Failed { error, .. } = change {
            self.error = Some(error.clone());
        }
        Some(self)
    }
}
