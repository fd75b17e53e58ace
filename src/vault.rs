//! The vault: keys of persons, and the sealing of their values before they reach the journal.
//!
//! Each person has a key of their own, wrapped by the master key. Sealed values leave a mark in their place and stand
//! together in the document's member `sealed`, by the person whose key opens them. Erasing a person is destroying the
//! key: the document stays, its hash stays right, the values read as erased.

use crate::journal::{Journal, JournalError, JournalResult, SubjectKeyStep};
use crate::private_file::{self, PrivateFileError};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use quick_cache::sync::Cache;
use registrar_aggregates::personal::{self, ERASED, SEALED};
use serde_json::{Map, Value};
use sha2::Sha256;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 24;
/// First byte of every box, so that another cipher can come later.
const BOX_VERSION: u8 = 1;
/// Member of a document that holds its sealed values.
const SEALED_MEMBER: &str = "sealed";
/// Keys kept unwrapped in memory.
const CACHED_KEYS: usize = 20_000;

/// The key that wraps all others: 32 bytes from the configuration.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; KEY_LENGTH]);

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Not 32 bytes of base64.
    #[error("{origin} must hold 32 bytes as base64 (try: openssl rand -base64 32)")]
    Malformed {
        /// Where it was read from.
        origin: String,
    },
    /// Others may read or write the key file.
    #[error(
        "the key file {path} may be read or written by others: chmod 600 {path}, and let its owner be the one who runs this"
    )]
    Exposed {
        /// Its path.
        path: String,
    },
    /// The key file cannot be read or made.
    #[error("cannot use the key file {path}: {source}")]
    File {
        /// Its path.
        path: String,
        /// What went wrong.
        source: std::io::Error,
    },
}

impl MasterKey {
    /// Reads base64 text.
    ///
    /// # Errors
    /// `Malformed`, naming `origin`.
    pub fn parse(text: &str, origin: &str) -> Result<Self, MasterKeyError> {
        let bytes = Zeroizing::new(BASE64.decode(text.trim()).unwrap_or_default());
        let key = bytes.as_slice().try_into().map_err(|_| MasterKeyError::Malformed { origin: origin.to_owned() })?;
        Ok(MasterKey(key))
    }

    /// Reads the key file; where there is none, makes one that only its owner may read.
    ///
    /// # Errors
    /// `Malformed`, `File`.
    pub fn from_file(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |source| MasterKeyError::File { path: path.display().to_string(), source };
        match private_file::read(path) {
            Ok(text) => Self::parse(&text, &path.display().to_string()),
            Err(PrivateFileError::Exposed) => Err(MasterKeyError::Exposed { path: path.display().to_string() }),
            Err(PrivateFileError::File(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                Self::create(path).map_err(failed)
            }
            Err(PrivateFileError::File(error)) => Err(failed(error)),
        }
    }

    fn create(path: &Path) -> std::io::Result<Self> {
        use std::io::Write;
        let key = random();
        // Written aside and linked into place: two first starts at once end up with one key, never with half of one.
        // The name is random, since processes of two containers may have one id.
        let aside = path.with_extension(format!("{:016x}.tmp", u64::from_ne_bytes(random())));
        let mut file = private_file::create(&aside)?;
        file.write_all(format!("{}\n", BASE64.encode(key)).as_bytes())?;
        file.sync_all()?;
        let linked = std::fs::hard_link(&aside, path);
        std::fs::remove_file(&aside)?;
        match linked {
            Ok(()) => Ok(MasterKey(key)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Self::parse(&std::fs::read_to_string(path)?, "the key file").map_err(std::io::Error::other)
            }
            Err(error) => Err(error),
        }
    }

    /// A key for one purpose, independent of those for others (HMAC-SHA-256 as the extract-free step of HKDF).
    fn derive(&self, purpose: &str) -> [u8; KEY_LENGTH] {
        mac(&self.0, &[b"registrar/v1/", purpose.as_bytes()])
    }
}

/// Random bytes from the operating system.
///
/// # Panics
/// Where the operating system has no randomness to give; nothing that needs it may go on then.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

fn mac(key: &[u8; KEY_LENGTH], parts: &[&[u8]]) -> [u8; KEY_LENGTH] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// A cipher whose nonce is a keyed digest of what it seals: sealing the same thing twice gives the same bytes, and no
/// nonce ever stands for two things.
struct SealingKey {
    cipher: XChaCha20Poly1305,
    nonce_key: Zeroizing<[u8; KEY_LENGTH]>,
}

impl SealingKey {
    fn new(key: &[u8; KEY_LENGTH]) -> Self {
        let cipher_key = Zeroizing::new(mac(key, &[b"cipher"]));
        SealingKey {
            cipher: XChaCha20Poly1305::new((&*cipher_key).into()),
            nonce_key: Zeroizing::new(mac(key, &[b"nonce"])),
        }
    }

    fn seal(&self, associated: &[u8], context: &[u8], plain: &[u8]) -> Vec<u8> {
        let length = (context.len() as u64).to_be_bytes();
        let digest = mac(&self.nonce_key, &[&length, context, plain]);
        let mut nonce = [0; NONCE_LENGTH];
        nonce.copy_from_slice(&digest[..NONCE_LENGTH]);
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: associated })
            .expect("only texts beyond 256 GiB are refused");
        let mut boxed = Vec::with_capacity(1 + NONCE_LENGTH + sealed.len());
        boxed.push(BOX_VERSION);
        boxed.extend_from_slice(&nonce);
        boxed.extend_from_slice(&sealed);
        boxed
    }

    fn open(&self, associated: &[u8], boxed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let (&version, rest) = boxed.split_first().ok_or(NotOpened)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(NotOpened)?;
        if version != BOX_VERSION {
            return Err(NotOpened);
        }
        self.cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: associated })
            .map(Zeroizing::new)
            .map_err(|_| NotOpened)
    }
}

/// A box that this key does not open: another key, or altered bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("sealed values cannot be opened with the key at hand; is it the right master key?")]
pub struct NotOpened;

/// The key of one person.
pub struct SubjectKey {
    subject_id: String,
    sealing: SealingKey,
}

impl SubjectKey {
    /// Seals what `patterns` match in `document`. `context` keeps equal values apart, e.g. a document's name.
    ///
    /// # Errors
    /// `Corrupt` if `document` is no JSON object.
    pub fn seal<P: AsRef<str>>(&self, document: &mut Value, patterns: &[P], context: &str) -> JournalResult<()> {
        let taken = personal::take(document, patterns);
        if taken.is_empty() {
            return Ok(());
        }
        let plain = Zeroizing::new(serde_json::to_vec(&taken).map_err(JournalError::corrupt)?);
        let boxed = BASE64.encode(self.sealing.seal(self.subject_id.as_bytes(), context.as_bytes(), &plain));
        let members = document.as_object_mut().ok_or_else(|| JournalError::corrupt("only objects are sealed"))?;
        let sealed = members.entry(SEALED_MEMBER).or_insert_with(|| Value::Object(Map::new()));
        if let Some(sealed) = sealed.as_object_mut() {
            sealed.insert(self.subject_id.clone(), Value::String(boxed));
        }
        Ok(())
    }
}

/// Keys by person; `None` for one who was erased.
pub type KeysBySubject = HashMap<String, Option<Arc<SubjectKey>>>;

/// Keys fetched for a number of documents.
#[derive(Default)]
pub struct SubjectKeys(KeysBySubject);

impl SubjectKeys {
    /// Whether this person's key was destroyed.
    #[must_use]
    pub fn is_erased(&self, subject_id: &str) -> bool {
        matches!(self.0.get(subject_id), Some(None))
    }

    /// The keys themselves.
    #[must_use]
    pub fn into_inner(self) -> KeysBySubject {
        self.0
    }

    /// Opens a document in place. What belongs to an erased person reads [`ERASED`].
    ///
    /// # Errors
    /// `NotOpened` for a key that was never there or does not fit.
    pub fn open(&self, document: &mut Value) -> Result<(), NotOpened> {
        let Some(sealed) = document.as_object_mut().and_then(|members| members.remove(SEALED_MEMBER)) else {
            return Ok(());
        };
        let mut erased = false;
        for (subject_id, boxed) in sealed.as_object().ok_or(NotOpened)? {
            let Some(key) = self.0.get(subject_id).ok_or(NotOpened)? else {
                erased = true;
                continue;
            };
            let boxed = BASE64.decode(boxed.as_str().ok_or(NotOpened)?).map_err(|_| NotOpened)?;
            let plain = key.sealing.open(subject_id.as_bytes(), &boxed)?;
            personal::restore(document, serde_json::from_slice(&plain).map_err(|_| NotOpened)?);
        }
        if erased {
            mark_erased(document);
        }
        Ok(())
    }
}

/// Whether a document with this text may have something sealed in it; one that has not needs no key.
#[must_use]
pub(crate) fn may_be_sealed(text: &str) -> bool {
    text.contains(SEALED_MEMBER)
}

fn mark_erased(value: &mut Value) {
    match value {
        Value::String(text) if text == SEALED => ERASED.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(mark_erased),
        Value::Object(members) => members.values_mut().for_each(mark_erased),
        _ => {}
    }
}

fn subjects(document: &Value) -> impl Iterator<Item = &String> {
    document.get(SEALED_MEMBER).and_then(Value::as_object).into_iter().flat_map(Map::keys)
}

/// Wraps and unwraps the keys of persons, and everything else that the master key is for.
pub struct Vault {
    journal: Arc<dyn Journal>,
    wrapping: SealingKey,
    answers: SealingKey,
    digest_key: Zeroizing<[u8; KEY_LENGTH]>,
    unwrapped: Cache<String, Arc<SubjectKey>>,
}

impl Vault {
    /// A vault over the wrapped keys in `journal`.
    #[must_use]
    pub fn new(master: &MasterKey, journal: Arc<dyn Journal>) -> Self {
        Vault {
            journal,
            wrapping: SealingKey::new(&Zeroizing::new(master.derive("wrap"))),
            answers: SealingKey::new(&Zeroizing::new(master.derive("answers"))),
            digest_key: Zeroizing::new(master.derive("digest")),
            unwrapped: Cache::new(CACHED_KEYS),
        }
    }

    /// Makes a key for a person who has none; it counts once the step is committed.
    #[must_use]
    pub fn new_subject(&self, subject_id: &str) -> (Arc<SubjectKey>, SubjectKeyStep) {
        let key = Zeroizing::new(random::<KEY_LENGTH>());
        let wrapped = self.wrapping.seal(subject_id.as_bytes(), b"", &*key);
        let subject = SubjectKey { subject_id: subject_id.to_owned(), sealing: SealingKey::new(&key) };
        (Arc::new(subject), SubjectKeyStep { subject_id: subject_id.to_owned(), wrapped })
    }

    /// Keeps a key that was committed in memory, where it will be needed next.
    pub(crate) fn remember(&self, subject_id: String, key: Arc<SubjectKey>) {
        self.unwrapped.insert(subject_id, key);
    }

    /// Forgets unwrapped keys.
    pub(crate) fn forget(&self) {
        self.unwrapped.clear();
    }

    /// The key of a person: absent where there never was one, `None` where it was destroyed.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt` if the master key is another one than the key was wrapped with.
    pub async fn subject_key(&self, subject_id: &str) -> JournalResult<Option<Option<Arc<SubjectKey>>>> {
        if let Some(key) = self.unwrapped.get(subject_id) {
            return Ok(Some(Some(key)));
        }
        Ok(self.fetch(vec![subject_id.to_owned()]).await?.0.remove(subject_id))
    }

    /// The keys that open `documents`.
    ///
    /// # Errors
    /// As [`Vault::subject_key`].
    pub async fn keys_of<'a>(&self, documents: impl IntoIterator<Item = &'a Value>) -> JournalResult<SubjectKeys> {
        Ok(SubjectKeys(self.keys_by_subject(documents.into_iter().flat_map(subjects).cloned().collect()).await?))
    }

    /// Keys by person, for all of `subject_ids`; absent where there never was one.
    ///
    /// # Errors
    /// As [`Vault::subject_key`].
    pub async fn keys_by_subject(&self, subject_ids: HashSet<String>) -> JournalResult<KeysBySubject> {
        let mut keys = KeysBySubject::new();
        let mut missing = Vec::new();
        for subject in subject_ids {
            match self.unwrapped.get(&subject) {
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

    /// Whether the keys that were had are still the keys of these persons, as far as that can be told from memory. Of an
    /// erased person it cannot.
    #[must_use]
    pub fn are_current(&self, keys: &KeysBySubject) -> bool {
        keys.iter().all(|(subject_id, had)| {
            had.as_ref().zip(self.unwrapped.get(subject_id)).is_some_and(|(had, now)| Arc::ptr_eq(had, &now))
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

    /// Unwraps keys that are not, or not yet, those of the journal.
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
        self.unwrapped.insert(subject_id.to_owned(), Arc::clone(&subject));
        Ok(subject)
    }

    fn open_key(&self, subject_id: &str, wrapped: &[u8]) -> JournalResult<Arc<SubjectKey>> {
        let key = self.wrapping.open(subject_id.as_bytes(), wrapped).map_err(JournalError::corrupt)?;
        let key: Zeroizing<[u8; KEY_LENGTH]> =
            Zeroizing::new(key.as_slice().try_into().map_err(JournalError::corrupt)?);
        Ok(Arc::new(SubjectKey { subject_id: subject_id.to_owned(), sealing: SealingKey::new(&key) }))
    }

    /// Digest under which a unique or private value is kept without being told: a claim, an idempotency key.
    #[must_use]
    pub fn digest(&self, scope: &str, parts: &[&[u8]]) -> [u8; KEY_LENGTH] {
        let mut text = Vec::new();
        for part in std::iter::once(&scope.as_bytes()).chain(parts) {
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part);
        }
        mac(&self.digest_key, &[&text])
    }

    /// Key of a claim as it is stored.
    #[must_use]
    pub fn claim(&self, key: &registrar_aggregates::ClaimKey) -> String {
        BASE64.encode(self.digest(key.scope, &[key.value.as_bytes()]))
    }

    /// Seals an answer that is remembered for an idempotency key.
    #[must_use]
    pub fn seal_answer(&self, key: &[u8], answer: &[u8]) -> Vec<u8> {
        self.answers.seal(key, b"", answer)
    }

    /// Opens what [`Vault::seal_answer`] sealed.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn open_answer(&self, key: &[u8], sealed: &[u8]) -> JournalResult<Zeroizing<Vec<u8>>> {
        self.answers.open(key, sealed).map_err(JournalError::corrupt)
    }
}

#[cfg(test)]
mod tests;
