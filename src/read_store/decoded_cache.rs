//! Cache of opened and typed documents, valid while the stored text is unchanged: the store is asked every time, only
//! decoding is saved.

use super::digest;
use crate::store::{Body, JournalError, JournalResult};
use crate::vault::{self, KeysBySubject, SubjectKeys, Vault};
use quick_cache::{Weighter, sync::Cache};
use registrar_projections::{CollectionId, Document};
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;

/// Approximate memory of the cache, in bytes.
const BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Capacity for documents of minimal length; the actual number depends on their size.
const DOCUMENTS_ABOUT: usize = 16_000;

type Key = (CollectionId, String);

/// A cached document.
#[derive(Clone)]
struct Known {
    /// The stored text it was decoded from, digest verified.
    body: Body,
    /// The keys that opened it; `None` for an erased person.
    keys: Arc<KeysBySubject>,
    document: Arc<dyn Any + Send + Sync>,
}

/// Weighs an entry in bytes; a document takes about as much as its text.
#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Known> for Bytes {
    fn weight(&self, (_, id): &Key, known: &Known) -> u64 {
        (id.len() + 2 * known.body.text.len()) as u64
    }
}

/// Documents read lately, opened.
pub(super) struct Opened(Cache<Key, Known, Bytes>);

impl Default for Opened {
    fn default() -> Self {
        Opened(Cache::with_weighter(DOCUMENTS_ABOUT, BYTES_MAX, Bytes))
    }
}

impl Opened {
    /// The document stored as `body`.
    ///
    /// # Errors
    /// `Corrupt` if its digest is wrong, it is not a `D`, or it cannot be opened; `Unavailable` if its keys cannot be
    /// fetched.
    pub(super) async fn document<D: Document>(&self, vault: &Vault, body: Body) -> JournalResult<Arc<D>> {
        let key = (D::ID, body.id.clone());
        // The person may have been erased since.
        let known = self.0.get(&key).filter(|known| known.body.is_stored_as(&body) && vault.are_current(&known.keys));
        if let Some(known) = known
            && let Ok(document) = Arc::clone(&known.document).downcast()
        {
            if !Arc::ptr_eq(&known.body.text, &body.text) {
                // The row was read again meanwhile: with the new text, the next comparison is by pointer.
                self.0.insert(key, Known { body, ..known });
            }
            return Ok(document);
        }
        digest::verify(vault, D::ID, &body)?;
        let stored = Stored::<D>::parse(&body.text)?;
        let keys = vault.keys_of(stored.sealed()).await?;
        let document = Arc::new(stored.open(&keys)?);
        let known = Known { body, keys: Arc::new(keys.into_inner()), document: Arc::clone(&document) as _ };
        self.0.insert(key, known);
        Ok(document)
    }
}

/// Opens the documents of a page.
///
/// # Errors
/// As [`Opened::document`].
pub(super) async fn read<D: Document>(vault: &Vault, texts: impl Iterator<Item = &str>) -> JournalResult<Vec<D>> {
    let stored = texts.map(Stored::<D>::parse).collect::<JournalResult<Vec<_>>>()?;
    let keys = vault.keys_of(stored.iter().filter_map(Stored::sealed)).await?;
    stored.into_iter().map(|stored| stored.open(&keys)).collect()
}

/// A parsed document.
enum Stored<D> {
    /// Without sealed values, typed directly from its text.
    Plain(D),
    /// Possibly with sealed values.
    Sealed(Value),
}

impl<D: Document> Stored<D> {
    fn parse(text: &str) -> JournalResult<Self> {
        let parsed = match vault::may_be_sealed(text) {
            true => serde_json::from_str(text).map(Stored::Sealed),
            false => serde_json::from_str(text).map(Stored::Plain),
        };
        parsed.map_err(|_| shapeless::<D>())
    }

    /// The value to open, if any.
    fn sealed(&self) -> Option<&Value> {
        match self {
            Stored::Plain(_) => None,
            Stored::Sealed(value) => Some(value),
        }
    }

    fn open(self, keys: &SubjectKeys) -> JournalResult<D> {
        match self {
            Stored::Plain(document) => Ok(document),
            Stored::Sealed(mut value) => {
                keys.open(&mut value).map_err(JournalError::corrupt)?;
                serde_json::from_value(value).map_err(|_| shapeless::<D>())
            }
        }
    }
}

fn shapeless<D: Document>() -> JournalError {
    JournalError::corrupt(format!("a document of {} does not have its shape", D::COLLECTION.name))
}
