//! The documents loaded for the folding of events, with the changes that the folds made.

use crate::collection::Document;
use crate::document::{AnyDocument, DocumentKey};
use std::collections::HashMap;
use std::sync::Arc;

/// Reasons why an event cannot be folded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The event changes a missing document.
    #[error("document {0:?} does not exist")]
    Missing(DocumentKey),
    /// The fold read a document that it had not asked for.
    #[error("document {0:?} was not asked for")]
    NotAskedFor(DocumentKey),
    /// The event creates an existing document.
    #[error("document {0:?} exists already")]
    Exists(DocumentKey),
    /// A value could not be written as JSON.
    #[error("a value cannot be written as JSON: {0}")]
    Json(String),
}

/// Kind of a document's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The document is new.
    Insert,
    /// The document existed before.
    Update,
    /// The document was removed.
    Delete,
}

/// The change of a document for the store.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentChange {
    /// The changed document.
    pub key: DocumentKey,
    /// Kind of the change.
    pub kind: ChangeKind,
    /// The stored document; `None` for an insert.
    pub before: Option<Arc<AnyDocument>>,
    /// The new document; `None` for a delete.
    pub after: Option<Arc<AnyDocument>>,
}

#[derive(Debug, Clone)]
struct Entry {
    stored: Option<Arc<AnyDocument>>,
    current: Option<Arc<AnyDocument>>,
    changed: bool,
}

/// Documents by key: as stored, and as folded so far.
#[derive(Debug, Clone, Default)]
pub struct WorkingSet {
    entries: HashMap<DocumentKey, Entry>,
    order: Vec<DocumentKey>,
    undo: Option<Undo>,
}

/// Documents before an attempt, each once: a change of many parts changes the same document many times.
#[derive(Debug, Clone, Default)]
struct Undo {
    former: HashMap<DocumentKey, Option<Entry>>,
    order: Vec<DocumentKey>,
}

impl WorkingSet {
    /// Whether the document, or its absence, is loaded.
    #[must_use]
    pub fn knows(&self, key: &DocumentKey) -> bool {
        self.entries.contains_key(key)
    }

    /// Adds a stored document, `None` for an absent one.
    pub fn provide(&mut self, key: DocumentKey, document: Option<Arc<AnyDocument>>) {
        self.entries.entry(key).or_insert(Entry { stored: document.clone(), current: document, changed: false });
    }

    /// A requested document, as folded so far.
    ///
    /// # Errors
    /// `NotAskedFor`.
    pub fn get<D: Document>(&self, id: &str) -> Result<Option<&D>, FoldError> {
        let key = DocumentKey::of::<D>(id);
        match self.entries.get(&key) {
            Some(entry) => Ok(entry.current.as_deref().and_then(D::unwrap)),
            None => Err(FoldError::NotAskedFor(key)),
        }
    }

    /// A document that must exist.
    ///
    /// # Errors
    /// `NotAskedFor`, `Missing`.
    pub fn need<D: Document>(&self, id: &str) -> Result<&D, FoldError> {
        self.get(id)?.ok_or_else(|| FoldError::Missing(DocumentKey::of::<D>(id)))
    }

    /// Creates a document with a new unique identifier; it need not have been requested.
    ///
    /// # Errors
    /// `Exists`.
    pub fn insert<D: Document>(&mut self, document: D) -> Result<(), FoldError> {
        let key = DocumentKey::of::<D>(document.id());
        if self.entries.get(&key).is_some_and(|entry| entry.current.is_some()) {
            return Err(FoldError::Exists(key));
        }
        self.set(key, Some(document.wrap()));
        Ok(())
    }

    /// Changes a requested document.
    ///
    /// # Errors
    /// `NotAskedFor`, `Missing`.
    pub fn update<D: Document>(&mut self, id: &str, change: impl FnOnce(&mut D)) -> Result<(), FoldError> {
        self.replace(id, |mut document: D| {
            change(&mut document);
            Some(document)
        })
    }

    /// Replaces or removes a requested document. It is copied only if shared, so that many changes of one document cost
    /// no more than their parts.
    ///
    /// # Errors
    /// `NotAskedFor`, `Missing`.
    pub fn replace<D: Document>(&mut self, id: &str, change: impl FnOnce(D) -> Option<D>) -> Result<(), FoldError> {
        self.need::<D>(id)?;
        let key = DocumentKey::of::<D>(id);
        self.note(&key);
        let Some(entry) = self.entries.get_mut(&key) else { return Err(FoldError::NotAskedFor(key)) };
        let current = entry.current.take().map(Arc::unwrap_or_clone).and_then(D::take);
        entry.current = current.and_then(change).map(|document| Arc::new(document.wrap()));
        Ok(())
    }

    /// Removes a requested document.
    ///
    /// # Errors
    /// `NotAskedFor`, `Missing`.
    pub fn remove<D: Document>(&mut self, id: &str) -> Result<(), FoldError> {
        self.need::<D>(id)?;
        self.set(DocumentKey::of::<D>(id), None);
        Ok(())
    }

    fn set(&mut self, key: DocumentKey, document: Option<AnyDocument>) {
        self.note(&key);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.current = document.map(Arc::new);
        }
    }

    /// Saves a document for an undo before its change.
    fn note(&mut self, key: &DocumentKey) {
        if let Some(undo) = &mut self.undo
            && !undo.former.contains_key(key)
        {
            undo.former.insert(key.clone(), self.entries.get(key).cloned());
            undo.order.push(key.clone());
        }
        let entry = self.entries.entry(key.clone()).or_insert(Entry { stored: None, current: None, changed: false });
        if !entry.changed {
            entry.changed = true;
            self.order.push(key.clone());
        }
    }

    /// Runs `act`, and then `complete` with the changed documents, in the order of first change; if either fails, the
    /// set is restored.
    ///
    /// # Errors
    /// Errors of `act` and `complete`.
    pub fn attempt<T, E>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<(), E>,
        complete: impl FnOnce(&Self, &[DocumentKey]) -> Result<T, E>,
    ) -> Result<T, E> {
        let changed_before = self.order.len();
        self.undo = Some(Undo::default());
        let acted = act(self);
        let Undo { former, order } = self.undo.take().unwrap_or_default();
        let completed = acted.and_then(|()| complete(self, &order));
        if completed.is_err() {
            for (key, former) in former {
                match former {
                    Some(entry) => self.entries.insert(key, entry),
                    None => self.entries.remove(&key),
                };
            }
            self.order.truncate(changed_before);
        }
        completed
    }

    /// Every changed document, in the order of first change.
    pub fn changes(&self) -> impl Iterator<Item = DocumentChange> + '_ {
        self.order.iter().filter_map(|key| self.change(key))
    }

    /// The change of a document since it was stored; `None` if unchanged, or created and removed again.
    #[must_use]
    pub fn change(&self, key: &DocumentKey) -> Option<DocumentChange> {
        let entry = self.entries.get(key).filter(|entry| entry.changed)?;
        let kind = match (&entry.stored, &entry.current) {
            (None, Some(_)) => ChangeKind::Insert,
            (Some(_), Some(_)) => ChangeKind::Update,
            (Some(_), None) => ChangeKind::Delete,
            (None, None) => return None,
        };
        Some(DocumentChange { key: key.clone(), kind, before: entry.stored.clone(), after: entry.current.clone() })
    }

    /// A document as folded so far, of any type.
    #[must_use]
    pub fn current(&self, key: &DocumentKey) -> Option<Arc<AnyDocument>> {
        self.entries.get(key)?.current.clone()
    }

    /// Marks the folded documents as stored: the next fold starts from here.
    pub fn settle(&mut self) {
        for key in self.order.drain(..) {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.stored = entry.current.clone();
                entry.changed = false;
            }
        }
    }
}
