//! The `api_keys` read model: one document per API key with its present state, without its secret. A deleted key has no
//! document.

use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use chrono::{DateTime, Utc};
use registrar_aggregates::api_key::{ApiKeyEvent, Role};
use registrar_aggregates::values::{ApiKeyId, OrganizationId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 2;

/// The present state of an API key.
pub type ApiKeyDocument = Stamped<ApiKey>;

crate::collection! {
    "api_keys" of ApiKeyDocument, hot: false, id: |key| key.id.to_string();
    keys {
        /// Finds the keys of an organization.
        pub ORGANIZATION_ID: Text = |key| key.organization_id.to_string();
        CREATED_AT: Text = |key| time_key(key.created_at);
    }
    indexes { [ORGANIZATION_ID, CREATED_AT] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// The key.
    pub id: ApiKeyId,
    /// The organization that owns the key.
    pub organization_id: OrganizationId,
    /// Display name.
    pub name: String,
    /// Roles of the key.
    pub roles: BTreeSet<Role>,
    /// Whether the key is enabled.
    pub enabled: bool,
    /// Expiry of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Slot of the key among those of its organization.
    pub place: u8,
    /// Creation time of the present secret.
    pub secret_since: DateTime<Utc>,
}

impl AggregateState for ApiKey {
    type Event = ApiKeyEvent;
    /// The slot is internal.
    const UNLISTED: &'static [&'static str] = &["place"];

    fn create(event: &RecordedEvent, change: &ApiKeyEvent) -> Option<Self> {
        let ApiKeyEvent::Created(creation) = change else { return None };
        Some(ApiKey {
            id: creation.id,
            organization_id: creation.organization_id,
            name: creation.name.clone(),
            roles: creation.roles.clone(),
            enabled: creation.enabled,
            expires_at: creation.expires_at,
            place: creation.place,
            secret_since: event.recorded_at,
        })
    }

    fn change(mut self, event: &RecordedEvent, change: &ApiKeyEvent) -> Option<Self> {
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
}
