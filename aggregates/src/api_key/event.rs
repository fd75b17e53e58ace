//! Events of an API key.

use super::Role;
use crate::facts::{EventFacts, event_names};
use crate::values::{ApiKeyId, OrganizationId};
use crate::{Claim, ClaimKey};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Data of a new key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Creation {
    /// The API key.
    pub id: ApiKeyId,
    /// The organization that owns the key.
    pub organization_id: OrganizationId,
    /// Display name, 1 to 255 characters; surrounding space is dropped.
    pub name: String,
    /// Roles of the key; at least one.
    pub roles: BTreeSet<Role>,
    /// Whether the key is enabled from the start.
    pub enabled: bool,
    /// Expiry of the key; absent for a key without expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Slot of the key among those of its organization, from 0. Two keys created at once cannot take the same slot, so
    /// the number of keys never exceeds the number of slots.
    pub place: u8,
    /// Digest of the secret, base64. A secret.
    pub secret_digest: String,
}

impl fmt::Debug for Creation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Creation").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Events of an API key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum ApiKeyEvent {
    /// An API key of an organization was created.
    #[serde(rename = "api-key.created")]
    Created(Creation),
    /// The secret of an API key was replaced.
    #[serde(rename = "api-key.secret-rolled")]
    SecretRolled {
        /// Digest of the new secret, base64. A secret.
        secret_digest: String,
    },
    /// An API key was renamed.
    #[serde(rename = "api-key.renamed")]
    Renamed {
        /// The new name.
        name: String,
    },
    /// The roles of an API key changed.
    #[serde(rename = "api-key.roles-changed")]
    RolesChanged {
        /// All roles after the change.
        roles: BTreeSet<Role>,
    },
    /// The expiry of an API key changed.
    #[serde(rename = "api-key.expiry-changed")]
    ExpiryChanged {
        /// The new expiry; absent for a key without expiry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<DateTime<Utc>>,
    },
    /// An API key was enabled.
    #[serde(rename = "api-key.enabled")]
    Enabled {},
    /// An API key was disabled.
    #[serde(rename = "api-key.disabled")]
    Disabled {},
    /// An API key was deleted.
    #[serde(rename = "api-key.deleted")]
    Deleted {
        /// The organization that owned the key.
        organization_id: OrganizationId,
        /// The slot that is free again.
        place: u8,
    },
}

event_names!(ApiKeyEvent {
    Created => "api-key.created" @ "1.0" Insert, clear ["/id", "/organizationId", "/name", "/roles/*", "/expiresAt"];
    SecretRolled => "api-key.secret-rolled" @ "1.0" Update, clear [];
    Renamed => "api-key.renamed" @ "1.0" Update, clear ["/name"];
    RolesChanged => "api-key.roles-changed" @ "1.0" Update, clear ["/roles/*"];
    ExpiryChanged => "api-key.expiry-changed" @ "1.0" Update, clear ["/expiresAt"];
    Enabled => "api-key.enabled" @ "1.0" Update, clear [];
    Disabled => "api-key.disabled" @ "1.0" Update, clear [];
    Deleted => "api-key.deleted" @ "1.0" Delete, clear ["/organizationId"];
});

/// Prints the event's name but not its content: part of it is a secret.
impl fmt::Debug for ApiKeyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cqrs_es::DomainEvent::event_type(self))
    }
}

impl EventFacts for ApiKeyEvent {
    // The key is no person, but it is an actor and has a secret.
    const HAS_SUBJECT: bool = true;

    fn claims(&self) -> Vec<Claim> {
        match self {
            ApiKeyEvent::Created(creation) => {
                vec![Claim::Take(ClaimKey::api_key_place(creation.organization_id, creation.place))]
            }
            ApiKeyEvent::Deleted { organization_id, place } => {
                vec![Claim::Release(ClaimKey::api_key_place(*organization_id, *place))]
            }
            ApiKeyEvent::SecretRolled { .. }
            | ApiKeyEvent::Renamed { .. }
            | ApiKeyEvent::RolesChanged { .. }
            | ApiKeyEvent::ExpiryChanged { .. }
            | ApiKeyEvent::Enabled {}
            | ApiKeyEvent::Disabled {} => vec![],
        }
    }

    fn secret_fields(&self) -> &'static [&'static str] {
        match self {
            ApiKeyEvent::Created(_) | ApiKeyEvent::SecretRolled { .. } => &["/secretDigest"],
            ApiKeyEvent::Renamed { .. }
            | ApiKeyEvent::RolesChanged { .. }
            | ApiKeyEvent::ExpiryChanged { .. }
            | ApiKeyEvent::Enabled {}
            | ApiKeyEvent::Disabled {}
            | ApiKeyEvent::Deleted { .. } => &[],
        }
    }
}
