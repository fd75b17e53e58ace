//! API keys: creation, new secrets, and authentication of their holders.
//!
//! A secret is 32 random bytes, shown once and not stored. The key's events keep a keyed digest of it, sealed like all
//! secrets. A fast digest is right here: 2^256 secrets cannot be tried, while a slow hash, made for passwords that
//! people choose, would cost every request that carries a key.

use super::{AuthError, Principal};
use crate::executor::{ExecuteError, Outcome, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::vault::{Vault, random};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use registrar_aggregates::api_key::{ApiKey, ApiKeyCommand, ApiKeyError, Creation, KEYS_MAX, Role};
use registrar_aggregates::values::{ApiKeyId, OrganizationId};
use registrar_projections::api_keys::{BY_CREATION, ORGANIZATION_ID};
use registrar_projections::{ApiKeyDocument, Direction, Query};
use std::collections::BTreeSet;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Length of a UUID in text form.
const UUID_LENGTH: usize = 36;
/// Longest credentials that are parsed; those of a key have about a hundred characters.
const CREDENTIALS_LENGTH_MAX: usize = 1024;
/// Retries with another place after the free one has just been taken.
const PLACES_TRIED_MAX: usize = 32;

/// Request for a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    /// The organization that the key will belong to.
    pub organization_id: OrganizationId,
    /// Display name.
    pub name: String,
    /// Roles of the key.
    pub roles: BTreeSet<Role>,
    /// Whether the key may be used from the start.
    pub enabled: bool,
    /// Time from which the key is rejected.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The credentials of a key's holder.
#[derive(Clone)]
pub struct Credentials {
    /// The key, used as the user name.
    pub id: ApiKeyId,
    /// The password; shown here and never again.
    pub secret: Arc<Zeroizing<String>>,
}

impl Credentials {
    /// Generates a secret for the key `id`.
    #[must_use]
    pub fn generate(id: ApiKeyId) -> Self {
        let bytes = Zeroizing::new(random::<32>());
        Credentials { id, secret: Arc::new(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes))) }
    }

    fn digest(&self, vault: &Vault) -> String {
        BASE64.encode(digest(vault, self.id, &self.secret))
    }
}

/// Reason why a key was not created or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key refuses the command.
    #[error(transparent)]
    Refused(ApiKeyError),
    /// The organization has as many keys as it may have.
    #[error("an organization has {KEYS_MAX} API keys at most")]
    NoPlaceLeft,
    /// The change could not be stored.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl From<ExecuteError<ApiKeyError>> for KeyError {
    fn from(error: ExecuteError<ApiKeyError>) -> Self {
        match error {
            ExecuteError::Refused(refused) => KeyError::Refused(refused),
            ExecuteError::Journal(error) => KeyError::Journal(error),
        }
    }
}

/// Creates a key with `credentials`.
///
/// # Errors
/// `Refused`, `NoPlaceLeft`, `Journal`. The key was not created then.
pub async fn create(
    node: &Node,
    context: &RequestContext,
    request: &KeyRequest,
    credentials: &Credentials,
) -> Result<Outcome, KeyError> {
    for _ in 0..PLACES_TRIED_MAX {
        let creation = Creation {
            id: credentials.id,
            organization_id: request.organization_id,
            name: request.name.clone(),
            roles: request.roles.clone(),
            enabled: request.enabled,
            expires_at: request.expires_at,
            place: free_place(node, request.organization_id).await?.ok_or(KeyError::NoPlaceLeft)?,
            secret_digest: credentials.digest(&node.vault),
        };
        let command = ApiKeyCommand::Create { creation, now: Utc::now() };
        match node.executor.execute::<ApiKey>(context, &credentials.id.to_string(), command, None).await {
            Err(ExecuteError::Journal(JournalError::ClaimTaken { .. })) => {}
            other => return Ok(other?),
        }
    }
    Err(JournalError::VersionConflict.into())
}

/// Replaces the secret of a key; the former secret is rejected from the next request on.
///
/// # Errors
/// `Refused`, `Journal`.
pub async fn roll(node: &Node, context: &RequestContext, credentials: &Credentials) -> Result<Outcome, KeyError> {
    let command = ApiKeyCommand::Roll { secret_digest: credentials.digest(&node.vault) };
    Ok(node.executor.execute::<ApiKey>(context, &credentials.id.to_string(), command, None).await?)
}

/// The keys of an organization, oldest first, and the journal position of this list.
///
/// # Errors
/// As [`crate::read_store::Documents::find`].
pub async fn of_organization(node: &Node, organization: OrganizationId) -> JournalResult<(u64, Vec<ApiKeyDocument>)> {
    let query = Query::<ApiKeyDocument>::sorted(&BY_CREATION, Direction::Ascending)
        .equal(&ORGANIZATION_ID, organization.to_string())
        .uncounted();
    let found = node.documents.page(query).await?;
    Ok((found.position, found.value.items))
}

/// A free place for a key, chosen at random, since several keys may be created at once.
async fn free_place(node: &Node, organization: OrganizationId) -> JournalResult<Option<u8>> {
    let (_, keys) = of_organization(node, organization).await?;
    let held: BTreeSet<_> = keys.iter().map(|key| key.place).collect();
    let free: Vec<_> = (0..KEYS_MAX).filter(|place| !held.contains(place)).collect();
    if free.is_empty() {
        return Ok(None);
    }
    let chance = usize::from(u16::from_ne_bytes(random()));
    Ok(free.get(chance % free.len()).copied())
}

/// Authenticates the holder of a key by an `Authorization` header with the scheme `Basic` (RFC 7617).
///
/// An unknown key costs the same as a wrong secret: one journal read, one digest. The journal is read on every request,
/// so a change on any node counts at once.
///
/// # Errors
/// `Unauthenticated` without the secret of an enabled key; `Unavailable` when the database cannot be read.
pub async fn authenticate(node: &Node, authorization: Option<&str>) -> Result<Principal, AuthError> {
    let (id, secret) = authorization.and_then(basic).ok_or(AuthError::Unauthenticated("an API key is needed"))?;
    let (_, state) = node.executor.state::<ApiKey>(&id.to_string()).await?;
    let key = state.key();
    let kept = key.and_then(|key| BASE64.decode(&key.secret_digest).ok()).unwrap_or_else(|| vec![0; 32]);
    let matches = bool::from(digest(&node.vault, id, &secret).as_slice().ct_eq(&kept));
    match key {
        Some(key) if matches && key.is_active(Utc::now()) => Ok(Principal::of_key(key)),
        Some(_) if matches => Err(AuthError::Unauthenticated("the API key is disabled or has expired")),
        Some(_) | None => Err(AuthError::Unauthenticated("no API key has this id and secret")),
    }
}

fn digest(vault: &Vault, id: ApiKeyId, secret: &str) -> [u8; 32] {
    vault.digest("api-key-secret", &[id.0.as_bytes(), secret.as_bytes()])
}

/// Key and secret of an `Authorization` header.
fn basic(authorization: &str) -> Option<(ApiKeyId, Zeroizing<String>)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    let encoded = encoded.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > CREDENTIALS_LENGTH_MAX {
        return None;
    }
    let decoded = Zeroizing::new(BASE64.decode(encoded).ok()?);
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let id = Uuid::try_parse(id).ok().filter(|_| id.len() == UUID_LENGTH)?;
    Some((ApiKeyId(id), Zeroizing::new(secret.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3c90c3cc-0d44-4b50-8888-8dd25736052a";

    fn header(credentials: &str) -> String {
        format!("Basic {}", BASE64.encode(credentials))
    }

    #[test]
    fn key_and_secret_stand_beside_a_colon() {
        let read =
            |credentials: &str| basic(&header(credentials)).map(|(id, secret)| (id.to_string(), (*secret).clone()));
        assert_eq!(read(&format!("{ID}:s3cret")), Some((ID.into(), "s3cret".into())));
        assert_eq!(read(&format!("{}:a:b", ID.to_uppercase())), Some((ID.into(), "a:b".into())));
        assert_eq!(read(&format!("{ID}:")), Some((ID.into(), String::new())));
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case() {
        let encoded = BASE64.encode(format!("{ID}:s"));
        assert!(basic(&format!("bAsIc {encoded}")).is_some() && basic(&format!("Basic   {encoded} ")).is_some());
    }

    #[test]
    fn anything_else_names_no_key() {
        let long = format!("{ID}:{}", "x".repeat(CREDENTIALS_LENGTH_MAX));
        for credentials in [
            "",
            ":",
            ID,
            "x:y",
            "3c90c3cc0d444b5088888dd25736052a:y",
            "{3c90c3cc-0d44-4b50-8888-8dd25736052a}:y",
            &long,
        ] {
            assert!(basic(&header(credentials)).is_none(), "{credentials}");
        }
        for authorization in ["", "Basic", "Basic ", "Basic *", "Bearer eDp5", "Basic eDp5 eDp5"] {
            assert!(basic(authorization).is_none(), "{authorization}");
        }
    }

    #[test]
    fn secrets_are_long_and_differ() {
        let secret = || Credentials::generate(ApiKeyId(Uuid::nil())).secret.to_string();
        assert_eq!(secret().len(), 43);
        assert_ne!(secret(), secret());
    }
}
