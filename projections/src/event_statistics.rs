//! Number and times of the events of each type, for operators. One hot document per type, so it follows the journal
//! instead of being written with every event.

use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

crate::collection! {
    "event_statistics" of EventStatistic, hot: true, id: |statistic| statistic.event_type.clone();
    keys {
        EVENT_TYPE: Text = |statistic| statistic.event_type.clone();
    }
    sorts {
        /// By event type.
        pub BY_EVENT_TYPE = [EVENT_TYPE];
    }
}

/// Statistics of one event type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventStatistic {
    /// Name of the event.
    pub event_type: String,
    /// Number of events.
    pub events: u64,
    /// Commit time of the first.
    pub first_recorded_at: DateTime<Utc>,
    /// Commit time of the latest.
    pub last_recorded_at: DateTime<Utc>,
}

/// Documents that the fold reads.
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
