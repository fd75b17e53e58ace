//! The ApiKey aggregate: credentials of a program of an organization.
//!
//! The aggregate receives only a digest of the secret. The secret consists of 32 random bytes, so that a plain keyed
//! digest protects it as well as a slow hash protects a password. The expiry of a key is no event: it is checked when
//! the key is used.

mod event;
#[cfg(test)]
mod tests;

pub use event::{ApiKeyEvent, Creation};

use crate::refusal::{RefusalKind, Refuse};
use crate::values::{ApiKeyId, OrganizationId, Problem, trimmed_name};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Most keys of one organization. Each holds one of as many numbered slots, see [`Creation::place`].
pub const KEYS_MAX: u8 = 100;
/// Longest name, in characters.
pub const NAME_LENGTH_MAX: usize = 255;

/// Access that a key grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "ApiKeyRole"))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything in its organization.
    Admin,
    /// Reads its organization.
    Developer,
    /// No access here; queries the organization's services.
    QueryEndpoints,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Admin, Role::Developer, Role::QueryEndpoints];

    /// The role as written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Developer => "developer",
            Role::QueryEndpoints => "query_endpoints",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Error for a text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role; there are {}", Role::ALL.map(Role::name).join(", "))]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or(UnknownRole)
    }
}

/// Life cycle of a key. A deleted key stays deleted.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiKey {
    /// Never created.
    #[default]
    Absent,
    /// Usable, unless disabled or expired.
    Present(Box<Key>),
    /// Deleted.
    Deleted,
}

/// State of a key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// Identifier: the key's stream, and the user name of its holder.
    pub id: ApiKeyId,
    /// The organization that owns the key, and the only one that it reaches.
    pub organization_id: OrganizationId,
    /// Display name.
    pub name: String,
    /// Roles of the key; at least one.
    pub roles: BTreeSet<Role>,
    /// Whether the key is enabled.
    pub enabled: bool,
    /// Expiry of the key; absent for a key without expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Slot of the key among those of its organization.
    pub place: u8,
    /// Digest of the secret, base64. Set by events only: no stored state contains it.
    #[serde(skip)]
    pub secret_digest: String,
}

impl Key {
    /// Whether the key is accepted at `now`.
    #[must_use]
    pub fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.enabled && self.expires_at.is_none_or(|end| now < end)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("organization_id", &self.organization_id)
            .field("name", &self.name)
            .field("roles", &self.roles)
            .field("enabled", &self.enabled)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Commands of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyCommand {
    /// Creates the key.
    Create {
        /// Data of the key.
        creation: Creation,
        /// The current time.
        now: DateTime<Utc>,
    },
    /// Replaces the secret; the former one is no longer accepted.
    Roll {
        /// Digest of the new secret.
        secret_digest: String,
    },
    /// Changes the given members, all of them or none.
    Amend {
        /// The changes.
        amendment: Amendment,
        /// The current time.
        now: DateTime<Utc>,
    },
    /// Deletes the key for good.
    Delete {
        /// Identifier of the calling actor; a key cannot delete itself.
        by: String,
    },
}

/// Changes of a key. Absent members stay as they are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// The new name.
    pub name: Option<String>,
    /// The new roles.
    pub roles: Option<BTreeSet<Role>>,
    /// The new expiry; `Some(None)` for a key without expiry.
    pub expires_at: Option<Option<DateTime<Utc>>>,
    /// Whether the key is enabled.
    pub enabled: Option<bool>,
}

/// Refusals of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// Key not found, or deleted.
    #[error("API key not found")]
    NotFound,
    /// The identifier is taken.
    #[error("API key already exists")]
    AlreadyExists,
    /// The name is invalid.
    #[error("name {0}")]
    UnfitName(Problem),
    /// A key has at least one role.
    #[error("an API key has at least one role")]
    NoRole,
    /// The expiry lies in the past.
    #[error("an API key must expire in the future")]
    PastExpiry,
    /// No slot has this number.
    #[error("an organization has {KEYS_MAX} API keys at most")]
    NoSuchPlace,
    /// A key cannot delete itself.
    #[error("an API key cannot delete itself")]
    OwnDeletion,
}

impl Refuse for ApiKeyError {
    fn kind(&self) -> RefusalKind {
        match self {
            ApiKeyError::NotFound => RefusalKind::NotFound,
            ApiKeyError::UnfitName(problem) => RefusalKind::invalid("name", problem),
            ApiKeyError::NoRole => RefusalKind::invalid("roles", Problem::Blank),
            ApiKeyError::PastExpiry => RefusalKind::invalid("expiresAt", "must be in the future"),
            ApiKeyError::AlreadyExists | ApiKeyError::NoSuchPlace | ApiKeyError::OwnDeletion => RefusalKind::Conflict,
        }
    }
}

impl Decide for ApiKey {
    fn creates(command: &ApiKeyCommand) -> bool {
        matches!(command, ApiKeyCommand::Create { .. })
    }

    fn decide(&self, command: ApiKeyCommand) -> Result<Vec<ApiKeyEvent>, ApiKeyError> {
        use ApiKey::{Absent, Deleted, Present};
        use ApiKeyCommand::{Amend, Create, Delete, Roll};
        match (self, command) {
            (Absent, Create { creation, now }) => Ok(vec![ApiKeyEvent::Created(create(creation, now)?)]),
            (Present(_) | Deleted, Create { .. }) => Err(ApiKeyError::AlreadyExists),
            (Absent | Deleted, Roll { .. } | Amend { .. } | Delete { .. }) => Err(ApiKeyError::NotFound),
            (Present(key), Roll { secret_digest }) if key.secret_digest == secret_digest => Ok(vec![]),
            (Present(_), Roll { secret_digest }) => Ok(vec![ApiKeyEvent::SecretRolled { secret_digest }]),
            (Present(key), Amend { amendment, now }) => amend(key, amendment, now),
            (Present(key), Delete { by }) => delete(key, &by),
        }
    }
}

fn create(creation: Creation, now: DateTime<Utc>) -> Result<Creation, ApiKeyError> {
    if creation.place >= KEYS_MAX {
        return Err(ApiKeyError::NoSuchPlace);
    }
    let name = fit_name(&creation.name)?;
    check_roles(&creation.roles)?;
    check_expiry(creation.expires_at, now)?;
    Ok(Creation { name, ..creation })
}

/// One event for each changed member.
fn amend(key: &Key, amendment: Amendment, now: DateTime<Utc>) -> Result<Vec<ApiKeyEvent>, ApiKeyError> {
    let Amendment { name, roles, expires_at, enabled } = amendment;
    let mut events = Vec::new();
    if let Some(name) = name.map(|name| fit_name(&name)).transpose()?
        && name != key.name
    {
        events.push(ApiKeyEvent::Renamed { name });
    }
    if let Some(roles) = roles {
        check_roles(&roles)?;
        if roles != key.roles {
            events.push(ApiKeyEvent::RolesChanged { roles });
        }
    }
    if let Some(expires_at) = expires_at
        && expires_at != key.expires_at
    {
        // The present expiry may have passed; only a new one must lie ahead.
        check_expiry(expires_at, now)?;
        events.push(ApiKeyEvent::ExpiryChanged { expires_at });
    }
    match enabled {
        Some(true) if !key.enabled => events.push(ApiKeyEvent::Enabled {}),
        Some(false) if key.enabled => events.push(ApiKeyEvent::Disabled {}),
        Some(_) | None => {}
    }
    Ok(events)
}

fn delete(key: &Key, by: &str) -> Result<Vec<ApiKeyEvent>, ApiKeyError> {
    if key.id.to_string() == by {
        return Err(ApiKeyError::OwnDeletion);
    }
    Ok(vec![ApiKeyEvent::Deleted { organization_id: key.organization_id, place: key.place }])
}

fn fit_name(name: &str) -> Result<String, ApiKeyError> {
    trimmed_name(name, NAME_LENGTH_MAX).map_err(ApiKeyError::UnfitName)
}

fn check_roles(roles: &BTreeSet<Role>) -> Result<(), ApiKeyError> {
    if roles.is_empty() { Err(ApiKeyError::NoRole) } else { Ok(()) }
}

fn check_expiry(expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), ApiKeyError> {
    if expires_at.is_some_and(|end| end <= now) { Err(ApiKeyError::PastExpiry) } else { Ok(()) }
}

impl ApiKey {
    /// The key, unless absent or deleted.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        match self {
            ApiKey::Present(key) => Some(key),
            ApiKey::Absent | ApiKey::Deleted => None,
        }
    }

    fn evolve(&mut self, event: ApiKeyEvent) {
        *self = match (std::mem::take(self), event) {
            (_, ApiKeyEvent::Deleted { .. }) | (ApiKey::Deleted, _) => ApiKey::Deleted,
            (_, ApiKeyEvent::Created(creation)) => ApiKey::Present(Box::new(creation.into())),
            (ApiKey::Present(mut key), event) => {
                key.evolve(event);
                ApiKey::Present(key)
            }
            // Only a creation can be the first event; recorded events are never refused.
            (ApiKey::Absent, _) => ApiKey::Absent,
        };
    }
}

impl From<Creation> for Key {
    fn from(creation: Creation) -> Self {
        let Creation { id, organization_id, name, roles, enabled, expires_at, place, secret_digest } = creation;
        Key { id, organization_id, name, roles, enabled, expires_at, place, secret_digest }
    }
}

impl Key {
    fn evolve(&mut self, event: ApiKeyEvent) {
        match event {
            ApiKeyEvent::Created(_) | ApiKeyEvent::Deleted { .. } => {}
            ApiKeyEvent::SecretRolled { secret_digest } => self.secret_digest = secret_digest,
            ApiKeyEvent::Renamed { name } => self.name = name,
            ApiKeyEvent::RolesChanged { roles } => self.roles = roles,
            ApiKeyEvent::ExpiryChanged { expires_at } => self.expires_at = expires_at,
            ApiKeyEvent::Enabled {} => self.enabled = true,
            ApiKeyEvent::Disabled {} => self.enabled = false,
        }
    }
}

aggregate!(ApiKey, "api-key", ApiKeyCommand, ApiKeyEvent, ApiKeyError);
