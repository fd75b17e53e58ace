//! The `api_keys` read model: one document an API key, as it is now; none for one that was deleted. It knows nothing of
//! secrets.

use crate::collection::{Collection, Document, KeyColumn, KeyKind, KeyValue};
use crate::query::{Sort, TextKey};
use crate::recorded::RecordedEvent;
use crate::state_document::StateDocument;
use chrono::{DateTime, SecondsFormat, Utc};
use registrar_aggregates::api_key::{ApiKeyEvent, Role};
use registrar_aggregates::values::{ApiKeyId, OrganizationId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::marker::PhantomData;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// Finds the keys of an organization.
pub const ORGANIZATION_ID: TextKey<ApiKeyDocument> = TextKey("organization_id", PhantomData);
/// Oldest first.
pub const BY_CREATION: Sort<ApiKeyDocument> = Sort(&["created_at"], PhantomData);

/// An API key as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyDocument {
    /// The key.
    pub id: ApiKeyId,
    /// Version of its stream that the document reflects.
    pub version: u64,
    /// The organization that it belongs to.
    pub organization_id: OrganizationId,
    /// Name for people.
    pub name: String,
    /// What it may be used for.
    pub roles: BTreeSet<Role>,
    /// Whether it may be used.
    pub enabled: bool,
    /// From when on it is no longer accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Which of its organization's places it holds.
    pub place: u8,
    /// Since when it has its secret.
    pub secret_since: DateTime<Utc>,
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
}

impl Document for ApiKeyDocument {
    const COLLECTION: &'static Collection = &Collection {
        name: "api_keys",
        keys: &[
            KeyColumn { name: "organization_id", kind: KeyKind::Text },
            KeyColumn { name: "created_at", kind: KeyKind::Text },
        ],
        indexes: &[&["organization_id", "created_at"]],
        counted: &[],
        hot: false,
    };

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn keys(&self) -> Vec<KeyValue> {
        vec![
            KeyValue::Text(self.organization_id.to_string()),
            KeyValue::Text(self.created_at.to_rfc3339_opts(SecondsFormat::Millis, true)),
        ]
    }
}

impl StateDocument for ApiKeyDocument {
    type Event = ApiKeyEvent;
    /// The place is nobody's business; the rest stands in the entry itself.
    const UNLISTED: &'static [&'static str] = &["version", "place", "createdAt", "updatedAt"];

    fn creates(change: &ApiKeyEvent) -> bool {
        matches!(change, ApiKeyEvent::Created(_))
    }

    fn create(event: &RecordedEvent, change: &ApiKeyEvent) -> Option<Self> {
        let ApiKeyEvent::Created(creation) = change else { return None };
        Some(ApiKeyDocument {
            id: creation.id,
            version: event.sequence,
            organization_id: creation.organization_id,
            name: creation.name.clone(),
            roles: creation.roles.clone(),
            enabled: creation.enabled,
            expires_at: creation.expires_at,
            place: creation.place,
            secret_since: event.recorded_at,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
        })
    }

    fn change(mut self, event: &RecordedEvent, change: &ApiKeyEvent) -> Option<Self> {
        self.version = event.sequence;
        self.updated_at = event.recorded_at;
        match change {
            ApiKeyEvent::Created(_) => {}
            ApiKeyEvent::SecretRolled { .. } => self.secret_since = event.recorded_at,
            ApiKeyEvent::Renamed { name } => self.name.clone_from(name),
            ApiKeyEvent::RolesChanged { roles } => self.roles.clone_from(roles),
            ApiKeyEvent::ExpiryChanged { expires_at } => self.expires_at = *expires_at,
            ApiKeyEvent::Enabled {} => self.enabled = true,
            ApiKeyEvent::Disabled {} => self.enabled = false,
            ApiKeyEvent::Deleted { .. } => return None,
        }
        Some(self)
    }

    fn state(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}
