//! What happens to an API key.

use super::Role;
use crate::facts::{EventFacts, event_names};
use crate::values::{ApiKeyId, OrganizationId};
use crate::{Claim, ClaimKey};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A key as it is created.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Creation {
    /// The API key.
    pub id: ApiKeyId,
    /// The organization that it belongs to.
    pub organization_id: OrganizationId,
    /// Name for people, 1 to 255 characters; surrounding space is dropped.
    pub name: String,
    /// What it may be used for; at least one.
    pub roles: BTreeSet<Role>,
    /// Whether it may be used from the start.
    pub enabled: bool,
    /// From when on it is no longer accepted; without end if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Which of its organization's places it takes, from 0. Two keys that are created at once cannot take the same, so
    /// that there are never more keys than places.
    pub place: u8,
    /// Digest of the secret, base64. A secret.
    pub secret_digest: String,
}

impl fmt::Debug for Creation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Creation").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Facts of an API key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum ApiKeyEvent {
    /// An API key of an organization was created.
    #[serde(rename = "api-key.created")]
    Created(Creation),
    /// An API key has another secret.
    #[serde(rename = "api-key.secret-rolled")]
    SecretRolled {
        /// Digest of the secret from now on, base64. A secret.
        secret_digest: String,
    },
    /// An API key has another name.
    #[serde(rename = "api-key.renamed")]
    Renamed {
        /// Name from now on.
        name: String,
    },
    /// An API key may be used for something else.
    #[serde(rename = "api-key.roles-changed")]
    RolesChanged {
        /// All roles from now on.
        roles: BTreeSet<Role>,
    },
    /// An API key ends at another time.
    #[serde(rename = "api-key.expiry-changed")]
    ExpiryChanged {
        /// The end from now on; none if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<DateTime<Utc>>,
    },
    /// An API key may be used again.
    #[serde(rename = "api-key.enabled")]
    Enabled {},
    /// An API key may not be used.
    #[serde(rename = "api-key.disabled")]
    Disabled {},
    /// An API key is gone.
    #[serde(rename = "api-key.deleted")]
    Deleted {
        /// The organization that it belonged to.
        organization_id: OrganizationId,
        /// The place that is free again.
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

/// Names the event and nothing of what it holds: part of it is a secret.
impl fmt::Debug for ApiKeyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cqrs_es::DomainEvent::event_type(self))
    }
}

impl EventFacts for ApiKeyEvent {
    // The key is no person, but it acts, and it has a secret.
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
