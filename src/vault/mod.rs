//! The vault: keys of persons, and the sealing of their values before they are stored in the journal.
//!
//! Each person has a key of their own, wrapped by the master key. Sealed values are replaced by a mark and stored
//! together in the document's member `sealed`, by the person whose key opens them. Erasing a person destroys the key:
//! the document and its hash stay, the values read as erased.
//!
//! The master key wraps keys of persons, the digest key and remembered answers directly (`wrapping`); `rewrap` puts
//! them under another one while they are in use.
//!
//! Token-signing keys, the checkpoint key and every secret in events are sealed by keys like those of persons. The
//! digest key is stored among the keys of persons, so that exports, imports and backups carry it; digested values are
//! stored nowhere else, so it is never replaced.

mod digests;
mod master_key;
pub(crate) mod private_file;
mod rewrap;
mod sealing_key;
mod subject;
mod wrapping;

pub use digests::DigestKey;
pub use master_key::{MasterKey, MasterKeyError, MasterKeys};
pub use private_file::TlsFiles;
pub use rewrap::{RewrapCounts, RewrapError, rewrap};
pub use sealing_key::UnsealError;
pub(crate) use subject::may_be_sealed;
pub use subject::{KeysBySubject, SubjectKey, SubjectKeys};
pub use wrapping::{KeyId, WrapError};

use crate::store::{
    DIGEST_KEY_ID, FORMER_KEY_ID, JournalError, JournalResult, JournalStore, Store, SubjectKeyStep, WrappedKeys,
};
use hmac::{Hmac, KeyInit, Mac};
use quick_cache::sync::Cache;
use sealing_key::SealingKey;
use serde_json::Value;
use sha2::Sha256;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use subject::subjects;
use wrapping::{Kind, WrappingKey, WrappingKeys};
use zeroize::Zeroizing;

const KEY_LENGTH: usize = 32;
/// Most unwrapped keys cached.
const CACHED_KEYS: usize = 20_000;
/// Lifetime of a cached key: after this long at most, every server notices that another one has destroyed it.
pub const KEY_AGE_MAX: Duration = Duration::from_secs(60);

/// Random bytes from the operating system.
///
/// # Panics
/// If the operating system has no randomness; no operation that needs it may continue then.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

fn mac(key: &[u8; KEY_LENGTH], parts: &[&[u8]]) -> [u8; KEY_LENGTH] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Reasons why a vault cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The journal is under another master key.
    #[error("the master key is not the one that the journal is under")]
    WrongMasterKey,
    /// Boxes are still wrapped by a former master key, which this process does not have.
    #[error("the former master key is still needed")]
    FormerKeyMissing,
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// State of a journal's stored digest key.
struct DigestState {
    /// The box that it was read from.
    stored: Vec<u8>,
    digests: DigestKey,
    /// The journal's master key, by which new boxes are wrapped; `None` if this process does not have it.
    wrapping: Option<Arc<WrappingKey>>,
}

impl DigestState {
    fn of(stored: Vec<u8>, keys: &WrappingKeys) -> Result<Self, WrapError> {
        let (key, by) = keys.open_key(DIGEST_KEY_ID, &stored)?;
        let wrapping = Some(Arc::clone(by));
        Ok(DigestState { stored, digests: DigestKey::new(key), wrapping })
    }
}

/// A cached key.
#[derive(Clone)]
struct CachedKey {
    key: Arc<SubjectKey>,
    since: Instant,
}

/// Wraps and unwraps the keys of persons, and everything else under the master key.
///
/// A journal is under one master key: the one that wraps its digest key. All servers wrap by that one, and open boxes
/// of any key that they have. So servers can be given a new master key one after the other; [`rewrap()`] then puts the
/// journal under it, for all of them at once.
pub struct Vault {
    journal: Arc<dyn JournalStore>,
    keys: WrappingKeys,
    digest_state: RwLock<Arc<DigestState>>,
    unwrapped: Cache<String, CachedKey>,
    key_age_max: Duration,
}

impl Vault {
    /// A vault over the wrapped keys in a database. A missing digest key is created: at random on an empty journal,
    /// otherwise the one that earlier releases derived.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn open(masters: impl Into<MasterKeys>, store: &Store) -> Result<Self, VaultError> {
        let (keys, journal) = (WrappingKeys::of(&masters.into()), store.journal_store());
        let own = journal.subject_keys(&[DIGEST_KEY_ID.to_owned(), FORMER_KEY_ID.to_owned()]).await?;
        if let Some(Some(former)) = own.get(FORMER_KEY_ID) {
            keys.open(Kind::Key, FORMER_KEY_ID.as_bytes(), former).map_err(|_| VaultError::FormerKeyMissing)?;
        }
        let found = match own.get(DIGEST_KEY_ID) {
            Some(Some(found)) => found.clone(),
            Some(None) | None => establish(&keys, &*journal, &*store.wrapped_keys()).await?,
        };
        let digest_state = DigestState::of(found, &keys).map_err(|_| VaultError::WrongMasterKey)?;
        Ok(Vault {
            journal,
            keys,
            digest_state: RwLock::new(Arc::new(digest_state)),
            unwrapped: Cache::new(CACHED_KEYS),
            key_age_max: KEY_AGE_MAX,
        })
    }

    fn digest_state(&self) -> Arc<DigestState> {
        Arc::clone(&self.digest_state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Checks whether the journal has come under another master key, which is used from then on if this process has it.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn look(&self) -> JournalResult<()> {
        let found = self.journal.subject_keys(&[DIGEST_KEY_ID.to_owned()]).await?.remove(DIGEST_KEY_ID).flatten();
        let known = self.digest_state();
        // A removed key is noticed at the next start: its value has not changed.
        let Some(found) = found.filter(|found| *found != known.stored) else { return Ok(()) };
        let digest_state = DigestState::of(found.clone(), &self.keys).unwrap_or_else(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the journal is under another master key: start this server with it, see REGISTRAR_FORMER_MASTER_KEY"
            );
            DigestState { stored: found, digests: known.digests.clone(), wrapping: None }
        });
        if let Some(wrapping) = &digest_state.wrapping {
            tracing::info!(key = %wrapping.id, "the journal is under this master key now");
        }
        *self.digest_state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(digest_state);
        Ok(())
    }

    /// Whether this process has the master key that the journal is under.
    #[must_use]
    pub fn has_master_key(&self) -> bool {
        self.digest_state().wrapping.is_some()
    }

    fn wrapping(&self) -> JournalResult<Arc<WrappingKey>> {
        let digest_state = self.digest_state();
        let known = || JournalError::unavailable(VaultError::WrongMasterKey);
        digest_state.wrapping.clone().ok_or_else(known)
    }

    /// Opens the boxed digest key of a journal file.
    ///
    /// # Errors
    /// `UnknownKey`, `NotOpened`.
    pub fn open_digest_key(&self, boxed: &[u8]) -> Result<DigestKey, WrapError> {
        Ok(DigestKey::new(self.keys.open_key(DIGEST_KEY_ID, boxed)?.0))
    }

    /// The digest key of a journal of an earlier release, derived from any person's key; and its box to store.
    ///
    /// # Errors
    /// `UnknownKey`, `NotOpened`.
    pub fn derive_digest_key(&self, subject_id: &str, wrapped: &[u8]) -> Result<(DigestKey, Vec<u8>), WrapError> {
        let (_, by) = self.keys.open_key(subject_id, wrapped)?;
        Ok((by.derived_digests.clone(), wrap_digests(by, &by.derived_digests)))
    }

    /// This journal's digest key; and its box to store.
    #[must_use]
    pub fn own_digest_key(&self) -> (DigestKey, Vec<u8>) {
        let digest_state = self.digest_state();
        (digest_state.digests.clone(), digest_state.stored.clone())
    }

    /// Whether the box stored under an id is wrapped by a key that this process has.
    #[must_use]
    pub fn opens(&self, subject_id: &str, boxed: &[u8]) -> bool {
        self.keys.open(Kind::Key, subject_id.as_bytes(), boxed).is_ok()
    }

    /// Creates a key for a person without one; it is valid once the step is committed.
    ///
    /// # Errors
    /// `Unavailable` if this process does not have the master key that the journal is under.
    pub fn new_subject(&self, subject_id: &str) -> JournalResult<(Arc<SubjectKey>, SubjectKeyStep)> {
        let key = Zeroizing::new(random::<KEY_LENGTH>());
        let wrapped = self.wrapping()?.wrap(Kind::Key, subject_id.as_bytes(), &*key);
        let subject = SubjectKey { subject_id: subject_id.to_owned(), sealing: SealingKey::new(&key) };
        Ok((Arc::new(subject), SubjectKeyStep { subject_id: subject_id.to_owned(), wrapped }))
    }

    /// Caches a committed key, since it will be needed next.
    pub(crate) fn remember(&self, subject_id: String, key: Arc<SubjectKey>) {
        self.unwrapped.insert(subject_id, CachedKey { key, since: Instant::now() });
    }

    /// The cached key of a person, if recent enough.
    fn known(&self, subject_id: &str) -> Option<Arc<SubjectKey>> {
        self.unwrapped.get(subject_id).filter(|known| self.is_young(known)).map(|known| known.key)
    }

    fn is_young(&self, known: &CachedKey) -> bool {
        known.since.elapsed() < self.key_age_max
    }

    /// Drops cached keys that are too old to be used.
    pub(crate) fn forget_old(&self) {
        self.unwrapped.retain(|_, known| self.is_young(known));
    }

    /// Drops all cached keys.
    pub(crate) fn forget(&self) {
        self.unwrapped.clear();
    }

    /// The key of a person: absent if there never was one, `None` if it was destroyed.
    ///
    /// # Errors
    /// `Unavailable`, also if the key is wrapped by a master key that this process does not have; `Corrupt` if it was
    /// altered.
    pub async fn subject_key(&self, subject_id: &str) -> JournalResult<Option<Option<Arc<SubjectKey>>>> {
        if let Some(key) = self.known(subject_id) {
            return Ok(Some(Some(key)));
        }
        Ok(self.fetch(vec![subject_id.to_owned()]).await?.0.remove(subject_id))
    }

    /// Fetches the keys that open `documents`.
    ///
    /// # Errors
    /// As [`Vault::subject_key`].
    pub async fn keys_of<'a>(&self, documents: impl IntoIterator<Item = &'a Value>) -> JournalResult<SubjectKeys> {
        Ok(SubjectKeys(self.keys_by_subject(documents.into_iter().flat_map(subjects).cloned().collect()).await?))
    }

    /// Keys by person, for all of `subject_ids`; absent if there never was one.
    ///
    /// # Errors
    /// As [`Vault::subject_key`].
    pub async fn keys_by_subject(&self, subject_ids: HashSet<String>) -> JournalResult<KeysBySubject> {
        let mut keys = KeysBySubject::new();
        let mut missing = Vec::new();
        for subject in subject_ids {
            match self.known(&subject) {
                Some(key) => {
                    keys.insert(subject, Some(key));
                }
                None => missing.push(subject),
            }
        }
        if !missing.is_empty() {
            keys.extend(self.fetch(missing).await?.0);
        }
        Ok(keys)
    }

    /// Whether these keys are still valid, as far as the cache can tell. For an erased person it cannot.
    #[must_use]
    pub fn are_current(&self, keys: &KeysBySubject) -> bool {
        keys.iter().all(|(subject_id, had)| {
            had.as_ref().zip(self.known(subject_id)).is_some_and(|(had, now)| Arc::ptr_eq(had, &now))
        })
    }

    async fn fetch(&self, subject_ids: Vec<String>) -> JournalResult<SubjectKeys> {
        let mut keys = HashMap::new();
        for (subject_id, wrapped) in self.journal.subject_keys(&subject_ids).await? {
            let key = match wrapped {
                None => None,
                Some(wrapped) => Some(self.unwrap(&subject_id, &wrapped)?),
            };
            keys.insert(subject_id, key);
        }
        Ok(SubjectKeys(keys))
    }

    /// Unwraps keys that are not in the journal, or not yet.
    ///
    /// # Errors
    /// `Corrupt` for one that the master key does not open.
    pub fn unwrap_all(&self, wrapped: HashMap<String, Option<Vec<u8>>>) -> JournalResult<SubjectKeys> {
        let mut keys = KeysBySubject::new();
        for (subject_id, wrapped) in wrapped {
            let key = wrapped.map(|wrapped| self.open_key(&subject_id, &wrapped)).transpose()?;
            keys.insert(subject_id, key);
        }
        Ok(SubjectKeys(keys))
    }

    fn unwrap(&self, subject_id: &str, wrapped: &[u8]) -> JournalResult<Arc<SubjectKey>> {
        let subject = self.open_key(subject_id, wrapped)?;
        self.remember(subject_id.to_owned(), Arc::clone(&subject));
        Ok(subject)
    }

    fn open_key(&self, subject_id: &str, wrapped: &[u8]) -> JournalResult<Arc<SubjectKey>> {
        let (key, _) = self.keys.open_key(subject_id, wrapped)?;
        Ok(Arc::new(SubjectKey { subject_id: subject_id.to_owned(), sealing: SealingKey::new(&key) }))
    }

    /// Digest that replaces a unique or private value in storage: a claim, an idempotency key.
    #[must_use]
    pub fn digest(&self, scope: &str, parts: &[&[u8]]) -> [u8; KEY_LENGTH] {
        self.digest_state().digests.digest(scope, parts)
    }

    /// Key of a claim as it is stored.
    #[must_use]
    pub fn claim(&self, key: &registrar_aggregates::ClaimKey) -> String {
        self.digest_state().digests.claim(key)
    }

    /// Seals an answer that is remembered for an idempotency key.
    ///
    /// # Errors
    /// As [`Vault::new_subject`].
    pub fn seal_answer(&self, key: &[u8], answer: &[u8]) -> JournalResult<Vec<u8>> {
        Ok(self.wrapping()?.wrap(Kind::Answer, key, answer))
    }

    /// Opens an answer sealed by [`Vault::seal_answer`].
    ///
    /// # Errors
    /// As [`Vault::subject_key`].
    pub fn open_answer(&self, key: &[u8], sealed: &[u8]) -> JournalResult<Zeroizing<Vec<u8>>> {
        Ok(self.keys.open(Kind::Answer, key, sealed)?.0)
    }
}

fn wrap_digests(by: &WrappingKey, digests: &DigestKey) -> Vec<u8> {
    by.wrap(Kind::Key, DIGEST_KEY_ID.as_bytes(), digests.bytes())
}

/// Stores a digest key, unless another process wins the race, and returns the stored one.
async fn establish(
    keys: &WrappingKeys,
    journal: &dyn JournalStore,
    stored: &dyn WrappedKeys,
) -> Result<Vec<u8>, VaultError> {
    let (by, digests) = match stored.any_key().await? {
        None if journal.head().await?.position == 0 => {
            (&keys.configured, DigestKey::new(Zeroizing::new(random::<KEY_LENGTH>())))
        }
        Some((subject_id, Some(wrapped))) => {
            let (_, by) = keys.open_key(&subject_id, &wrapped).map_err(|_| VaultError::WrongMasterKey)?;
            (by, by.derived_digests.clone())
        }
        // The key that was used is not recorded. With two keys, the new one cannot be older than the journal.
        _ => {
            let by = keys.former.as_ref().unwrap_or(&keys.configured);
            (by, by.derived_digests.clone())
        }
    };
    stored.add_key(DIGEST_KEY_ID, &wrap_digests(by, &digests)).await?;
    let found = journal.subject_keys(&[DIGEST_KEY_ID.to_owned()]).await?.remove(DIGEST_KEY_ID).flatten();
    found.ok_or_else(|| JournalError::corrupt("the digest key is missing").into())
}

#[cfg(test)]
mod tests;
