//! The ApiKey aggregate: what a program of an organization identifies itself with, as long as the key is in force.
//!
//! Of the secret only a digest comes here. It is made of 32 random bytes, so that a plain keyed digest keeps it as safe
//! as a slow hash keeps a password. That a key expires is no event: it is seen when the key is used.

mod event;
#[cfg(test)]
mod tests;

pub use event::{ApiKeyEvent, Creation};

use crate::refusal::{RefusalKind, Refuse};
use crate::values::{ApiKeyId, OrganizationId, Problem, check_name};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Most keys of one organization. Each holds one of as many numbered places, see [`Creation::place`].
pub const KEYS_MAX: u8 = 100;
/// Longest name, in characters.
pub const NAME_LENGTH_MAX: usize = 255;

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "ApiKeyRole"))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything in its organization.
    Admin,
    /// Reads its organization.
    Developer,
    /// Nothing here; asks the organization's services.
    QueryEndpoints,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 3] = [Role::Admin, Role::Developer, Role::QueryEndpoints];

    /// The role as it is written.
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

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role; there are {}", Role::ALL.map(Role::name).join(", "))]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or(UnknownRole)
    }
}

/// A key's life. What was deleted stays so.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiKey {
    /// Never created.
    #[default]
    Absent,
    /// There to be used, unless it is disabled or has expired.
    Present(Box<Key>),
    /// Gone.
    Deleted,
}

/// What is known of a key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The key: its stream, and the user name of its holder.
    pub id: ApiKeyId,
    /// The organization that it belongs to, and the only one that it reaches.
    pub organization_id: OrganizationId,
    /// Name for people.
    pub name: String,
    /// What it may be used for; at least one.
    pub roles: BTreeSet<Role>,
    /// Whether it may be used at all.
    pub enabled: bool,
    /// From when on it is no longer accepted; without end if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Which of its organization's places it holds.
    pub place: u8,
    /// Digest of the secret, base64. Known from events only: a state that is written down anywhere has none.
    #[serde(skip)]
    pub secret_digest: String,
}

impl Key {
    /// Whether it may be used at `now`.
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

/// What can be asked of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyCommand {
    /// Creates it.
    Create {
        /// What it is.
        creation: Creation,
        /// The present moment.
        now: DateTime<Utc>,
    },
    /// Gives it another secret; the one before is no longer accepted.
    Roll {
        /// Digest of the new secret.
        secret_digest: String,
    },
    /// Changes what is given, all of it or nothing.
    Amend {
        /// The changes.
        amendment: Amendment,
        /// The present moment.
        now: DateTime<Utc>,
    },
    /// Takes it away for good.
    Delete {
        /// Identifier of the actor who asks; no key saws off the branch that it sits on.
        by: String,
    },
}

/// Changes of a key. What is absent stays as it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// Another name.
    pub name: Option<String>,
    /// Other roles.
    pub roles: Option<BTreeSet<Role>>,
    /// Another end; `Some(None)` for none.
    pub expires_at: Option<Option<DateTime<Utc>>>,
    /// Whether it may be used.
    pub enabled: Option<bool>,
}

/// Why a key refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// There is no such key, or none any more.
    #[error("API key not found")]
    NotFound,
    /// The identifier is taken.
    #[error("API key already exists")]
    AlreadyExists,
    /// The name cannot be used.
    #[error("name {0}")]
    UnfitName(Problem),
    /// A key has at least one role.
    #[error("an API key has at least one role")]
    NoRole,
    /// A key does not end before it is given its end.
    #[error("an API key must expire in the future")]
    PastExpiry,
    /// There is no such place.
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

/// One event for each thing that is different.
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
        // The end that it has may have come; only a new one must lie ahead.
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
    let name = name.trim();
    check_name(name).map_err(ApiKeyError::UnfitName)?;
    if name.chars().count() > NAME_LENGTH_MAX {
        return Err(ApiKeyError::UnfitName(Problem::TooLong { max: NAME_LENGTH_MAX }));
    }
    Ok(name.to_owned())
}

fn check_roles(roles: &BTreeSet<Role>) -> Result<(), ApiKeyError> {
    if roles.is_empty() { Err(ApiKeyError::NoRole) } else { Ok(()) }
}

fn check_expiry(expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), ApiKeyError> {
    if expires_at.is_some_and(|end| end <= now) { Err(ApiKeyError::PastExpiry) } else { Ok(()) }
}

impl ApiKey {
    /// What is known of the key, while there is one.
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
            // Nothing but a creation can come first; what happened, happened.
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
