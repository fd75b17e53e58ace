//! The `tasks` read model: one document a task, as it is now.

use crate::collection::{Collection, Document, KeyColumn, KeyKind, KeyValue};
use crate::query::{Sort, TextKey};
use crate::recorded::RecordedEvent;
use crate::stamped::time_key;
use crate::state_document::StateDocument;
use chrono::{DateTime, Utc};
use registrar_aggregates::task::{TaskEvent, Work};
use registrar_aggregates::values::TaskId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::marker::PhantomData;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// `true` for a task that is not ended.
pub const OPEN: TextKey<TaskDocument> = TextKey("open", PhantomData);
/// Oldest first.
pub const BY_CREATION: Sort<TaskDocument> = Sort(&["created_at"], PhantomData);

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

/// A task as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDocument {
    /// The task.
    pub id: TaskId,
    /// What is to be done.
    pub work: Work,
    /// Where it is in life.
    pub state: State,
    /// Who started it, by the identifier that events name them by.
    pub started_by: String,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Document for TaskDocument {
    const COLLECTION: &'static Collection = &Collection {
        name: "tasks",
        keys: &[KeyColumn { name: "open", kind: KeyKind::Text }, KeyColumn { name: "created_at", kind: KeyKind::Text }],
        indexes: &[&["open", "created_at"]],
        counted: &[],
        hot: false,
    };

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn keys(&self) -> Vec<KeyValue> {
        vec![KeyValue::Text(self.finished_at.is_none().to_string()), KeyValue::Text(time_key(self.created_at))]
    }
}

impl StateDocument for TaskDocument {
    type Event = TaskEvent;
    /// When and by whom stands in the entries.
    const UNLISTED: &'static [&'static str] = &["createdAt", "finishedAt", "startedBy"];

    fn creates(change: &TaskEvent) -> bool {
        matches!(change, TaskEvent::Queued { .. })
    }

    fn create(event: &RecordedEvent, change: &TaskEvent) -> Option<Self> {
        let TaskEvent::Queued { id, work } = change else { return None };
        Some(TaskDocument {
            id: *id,
            work: *work,
            state: State::Queued,
            started_by: event.metadata.actor.id.clone(),
            created_at: event.recorded_at,
            finished_at: None,
            error: None,
        })
    }

    fn change(mut self, event: &RecordedEvent, change: &TaskEvent) -> Option<Self> {
        self.state = match change {
            TaskEvent::Queued { .. } => State::Queued,
            TaskEvent::Started {} => State::Running,
            TaskEvent::Finished { .. } => State::Done,
            TaskEvent::Failed { .. } => State::Failed,
        };
        if matches!(self.state, State::Done | State::Failed) {
            self.finished_at = Some(event.recorded_at);
        }
        if let TaskEvent::Failed { error, .. } = change {
            self.error = Some(error.clone());
        }
        Some(self)
    }

    fn state(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}
