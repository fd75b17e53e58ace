//! How many events of each type there are, and when they came: what operators watch. One hot document a type, so it
//! follows the journal instead of being written with every event.

use crate::collection::{Collection, Document, KeyColumn, KeyKind, KeyValue};
use crate::document::DocumentKey;
use crate::query::Sort;
use crate::recorded::RecordedEvent;
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// By event type.
pub const BY_EVENT_TYPE: Sort<EventStatistic> = Sort(&["event_type"], PhantomData);

/// The events of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventStatistic {
    /// Name of the event.
    pub event_type: String,
    /// How many there are.
    pub events: u64,
    /// Commit time of the first.
    pub first_recorded_at: DateTime<Utc>,
    /// Commit time of the latest.
    pub last_recorded_at: DateTime<Utc>,
}

impl Document for EventStatistic {
    const COLLECTION: &'static Collection = &Collection {
        name: "event_statistics",
        keys: &[KeyColumn { name: "event_type", kind: KeyKind::Text }],
        indexes: &[],
        counted: &[],
        hot: true,
    };

    fn id(&self) -> String {
        self.event_type.clone()
    }

    fn keys(&self) -> Vec<KeyValue> {
        vec![KeyValue::Text(self.event_type.clone())]
    }
}

/// Documents that the fold looks at.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    vec![DocumentKey::of::<EventStatistic>(event.event.event_type())]
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let event_type = event.event.event_type();
    if documents.get::<EventStatistic>(&event_type)?.is_none() {
        return documents.insert(EventStatistic {
            event_type,
            events: 1,
            first_recorded_at: event.recorded_at,
            last_recorded_at: event.recorded_at,
        });
    }
    documents.update::<EventStatistic>(&event_type, |statistic| {
        statistic.events += 1;
        statistic.last_recorded_at = event.recorded_at;
    })
}
