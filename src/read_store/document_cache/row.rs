//! A cached document: its stored form, and its decoded forms, so that each is made once.

use crate::read_store::digest;
use crate::read_store::opening::Stored;
use crate::store::{Body, DocumentStep, JournalError, JournalResult};
use crate::vault::{KeysBySubject, Vault};
use registrar_projections::{AnyDocument, CollectionId, Document};
use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// An opened and typed document.
#[derive(Clone)]
struct Opened {
    /// The keys that opened it; `None` for an erased person.
    keys: Arc<KeysBySubject>,
    document: Arc<dyn Any + Send + Sync>,
}

/// A stored document.
pub(crate) struct Row {
    pub(in crate::read_store) body: Body,
    /// Whether this node wrote it, or has verified its digest.
    verified: AtomicBool,
    /// The form that events are folded upon, with sealed values sealed. Only of collections that almost every commit
    /// changes: elsewhere it is parsed once for each change.
    folded: OnceLock<Arc<AnyDocument>>,
    opened: Mutex<Option<Opened>>,
}

impl Row {
    /// A row read from the store.
    pub(super) fn stored(body: Body) -> Self {
        Row { body, verified: AtomicBool::new(false), folded: OnceLock::new(), opened: Mutex::default() }
    }

    /// A row that this node has written, with the document that it was made from, if known.
    pub(super) fn written(step: &DocumentStep, document: Option<&Arc<AnyDocument>>) -> Self {
        let row = Row::stored(Body::new(step.key.id.clone(), step.body.clone(), Some(step.digest.clone())));
        row.verified.store(true, Ordering::Release);
        if let Some(document) = document {
            row.keep_folded(step.key.collection, document);
        }
        row
    }

    fn keep_folded(&self, collection: CollectionId, document: &Arc<AnyDocument>) {
        if collection.collection().hot {
            let _ = self.folded.set(Arc::clone(document));
        }
    }

    fn opened(&self) -> MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verify(&self, vault: &Vault, collection: CollectionId) -> JournalResult<()> {
        if !self.verified.load(Ordering::Acquire) {
            digest::verify(vault, collection, &self.body)?;
            self.verified.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// The document, opened.
    ///
    /// # Errors
    /// `Corrupt` if its digest is wrong, it is not a `D`, or it cannot be opened; `Unavailable` if its keys cannot be
    /// fetched.
    pub(in crate::read_store) async fn document<D: Document>(&self, vault: &Vault) -> JournalResult<Arc<D>> {
        // The person may have been erased since.
        let known = self.opened().clone().filter(|known| vault.are_current(&known.keys));
        if let Some(known) = known
            && let Ok(document) = known.document.downcast()
        {
            return Ok(document);
        }
        self.verify(vault, D::ID)?;
        let stored = Stored::<D>::parse(&self.body.text)?;
        let keys = vault.keys_of(stored.sealed()).await?;
        let document = Arc::new(stored.open(&keys)?);
        *self.opened() = Some(Opened { keys: Arc::new(keys.into_inner()), document: Arc::clone(&document) as _ });
        Ok(document)
    }

    /// The document for a fold. Folds build upon documents, so they must not get one written by another party.
    ///
    /// # Errors
    /// `Corrupt` if its digest is wrong, or its body does not have the expected shape.
    pub(crate) fn folded(&self, vault: &Vault, collection: CollectionId) -> JournalResult<Arc<AnyDocument>> {
        if let Some(document) = self.folded.get() {
            return Ok(Arc::clone(document));
        }
        self.verify(vault, collection)?;
        let document = Arc::new(parse(collection, &self.body)?);
        self.keep_folded(collection, &document);
        Ok(document)
    }
}

fn parse(collection: CollectionId, body: &Body) -> JournalResult<AnyDocument> {
    let body = serde_json::from_str(&body.text).map_err(|_| JournalError::corrupt("a document is not JSON"))?;
    AnyDocument::from_body(collection, body).map_err(|_| JournalError::corrupt("a document does not have its shape"))
}

/// Parses a document for a fold.
///
/// # Errors
/// As [`Row::folded`].
pub(crate) fn parse_document(vault: &Vault, collection: CollectionId, body: &Body) -> JournalResult<AnyDocument> {
    digest::verify(vault, collection, body)?;
    parse(collection, body)
}
