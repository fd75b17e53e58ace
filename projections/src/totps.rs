//! The `totp_configurations` read model: one document a configuration, without its secret.

use crate::collection::{Collection, Document, KeyColumn, KeyKind, KeyValue};
use crate::query::{Sort, TextKey};
use crate::recorded::RecordedEvent;
use crate::stamped::time_key;
use crate::state_document::StateDocument;
use chrono::{DateTime, Utc};
use registrar_aggregates::totp::TotpEvent;
use registrar_aggregates::values::{TotpId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::marker::PhantomData;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// Finds the configurations of a user.
pub const USER_ID: TextKey<TotpDocument> = TextKey("user_id", PhantomData);
/// Oldest first.
pub const BY_CREATION: Sort<TotpDocument> = Sort(&["created_at"], PhantomData);

/// A configuration as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TotpDocument {
    /// The configuration.
    pub id: TotpId,
    /// Whose it is.
    pub user_id: UserId,
    /// Whether sign-in needs a code.
    pub enabled: bool,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Since when it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled_at: Option<DateTime<Utc>>,
    /// When a code was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<DateTime<Utc>>,
}

impl Document for TotpDocument {
    const COLLECTION: &'static Collection = &Collection {
        name: "totp_configurations",
        keys: &[
            KeyColumn { name: "user_id", kind: KeyKind::Text },
            KeyColumn { name: "created_at", kind: KeyKind::Text },
        ],
        indexes: &[&["user_id", "created_at"]],
        counted: &[],
        hot: false,
    };

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn keys(&self) -> Vec<KeyValue> {
        vec![KeyValue::Text(self.user_id.to_string()), KeyValue::Text(time_key(self.created_at))]
    }
}

impl StateDocument for TotpDocument {
    type Event = TotpEvent;
    /// When stands in the entries.
    const UNLISTED: &'static [&'static str] = &["createdAt", "enabledAt"];

    fn creates(change: &TotpEvent) -> bool {
        matches!(change, TotpEvent::Created { .. })
    }

    fn create(event: &RecordedEvent, change: &TotpEvent) -> Option<Self> {
        let TotpEvent::Created { id, user_id, .. } = change else { return None };
        Some(TotpDocument {
            id: *id,
            user_id: *user_id,
            enabled: false,
            created_at: event.recorded_at,
            enabled_at: None,
            used_at: None,
        })
    }

    fn change(mut self, event: &RecordedEvent, change: &TotpEvent) -> Option<Self> {
        match change {
            TotpEvent::Created { .. } => {}
            TotpEvent::Enabled { .. } => (self.enabled, self.enabled_at) = (true, Some(event.recorded_at)),
            TotpEvent::CodeUsed { .. } | TotpEvent::RecoveryCodeUsed { .. } => self.used_at = Some(event.recorded_at),
            TotpEvent::Disabled { .. } => (self.enabled, self.enabled_at) = (false, None),
            TotpEvent::Deleted { .. } => return None,
        }
        Some(self)
    }

    fn state(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}
