//! The `user_checkins` read model: what devices told of themselves, one document each.

use crate::collection::{Collection, Document, KeyColumn, KeyKind, KeyValue};
use crate::query::{Sort, TextKey};
use crate::recorded::RecordedEvent;
use crate::stamped::time_key;
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::checkin::{CheckinEvent, Device};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// Finds the check-ins of a user.
pub const USER_ID: TextKey<CheckinDocument> = TextKey("user_id", PhantomData);
/// Finds the check-ins of a kind of device, by its name.
pub const SOURCE: TextKey<CheckinDocument> = TextKey("source", PhantomData);
/// In time.
pub const BY_CREATION: Sort<CheckinDocument> = Sort(&["created_at"], PhantomData);

/// What a device told of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckinDocument {
    /// The check-in.
    pub id: String,
    /// What was told.
    pub device: Device,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl Document for CheckinDocument {
    const COLLECTION: &'static Collection = &Collection {
        name: "user_checkins",
        keys: &[
            KeyColumn { name: "user_id", kind: KeyKind::Text },
            KeyColumn { name: "source", kind: KeyKind::Text },
            KeyColumn { name: "created_at", kind: KeyKind::Text },
        ],
        indexes: &[&["user_id", "created_at"], &["user_id", "source", "created_at"]],
        counted: &[],
        hot: false,
    };

    fn id(&self) -> String {
        self.id.clone()
    }

    fn keys(&self) -> Vec<KeyValue> {
        vec![
            KeyValue::Text(self.device.user_id.to_string()),
            KeyValue::Text(self.device.source.name().to_owned()),
            KeyValue::Text(time_key(self.created_at)),
        ]
    }
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let DomainEvent::Checkin(CheckinEvent::Recorded(device)) = &*event.event else { return Ok(()) };
    let id = event.aggregate_id.clone();
    documents.insert(CheckinDocument { id, device: device.clone(), created_at: event.recorded_at })
}
