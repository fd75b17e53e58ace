//! The `user_checkins` read model: reports of devices, one document each.

use crate::recorded::RecordedEvent;
use crate::stamped::time_key;
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::checkin::{CheckinEvent, Device};
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

crate::collection! {
    "user_checkins" of CheckinDocument, hot: false, id: |checkin| checkin.id.clone();
    keys {
        /// Finds the check-ins of a user.
        pub USER_ID: Text = |checkin| checkin.device.user_id.to_string();
        /// Finds the check-ins of a kind of device, by its name.
        pub SOURCE: Text = |checkin| checkin.device.source.name().to_owned();
        CREATED_AT: Text = |checkin| time_key(checkin.created_at);
    }
    indexes { [USER_ID, CREATED_AT], [USER_ID, SOURCE, CREATED_AT] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// The report of a device: a single event without later changes, so it is not stamped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckinDocument {
    /// The check-in.
    pub id: String,
    /// The report.
    pub device: Device,
    /// Time of the check-in.
    pub created_at: DateTime<Utc>,
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let DomainEvent::Checkin(CheckinEvent::Recorded(device)) = &*event.event else { return Ok(()) };
    let id = event.aggregate_id.clone();
    documents.insert(CheckinDocument { id, device: device.clone(), created_at: event.recorded_at })
}
