//! The `tasks` read model: one document a task, as it is now.

use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use chrono::{DateTime, Utc};
use registrar_aggregates::task::{TaskEvent, Work};
use registrar_aggregates::values::TaskId;
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 2;

/// A task as it is now.
pub type TaskDocument = Stamped<Task>;

crate::collection! {
    "tasks" of TaskDocument, hot: false, id: |task| task.id.to_string();
    keys {
        /// `true` for a task that is not ended.
        pub OPEN: Text = |task| task.finished_at.is_none().to_string();
        CREATED_AT: Text = |task| time_key(task.created_at);
    }
    indexes { [OPEN, CREATED_AT] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// Where a task is in life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// To be done.
    Queued,
    /// Somebody is at it.
    Running,
    /// Done.
    Done,
    /// It could not be done.
    Failed,
}

impl State {
    /// As it is written.
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
    /// What is to be done.
    pub work: Work,
    /// Where it is in life.
    #[serde(rename = "state")]
    pub progress: State,
    /// Who started it, by the identifier that events name them by.
    pub started_by: String,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl AggregateState for Task {
    type Event = TaskEvent;
    /// When and by whom stands in the entries.
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
