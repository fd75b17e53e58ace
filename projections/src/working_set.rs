//! The documents at hand while events are folded, and what the folds made of them.

use crate::collection::Document;
use crate::document::{AnyDocument, DocumentKey};
use std::collections::HashMap;
use std::sync::Arc;

/// Why an event cannot be folded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The event changes a document that is not there.
    #[error("document {0:?} does not exist")]
    Missing(DocumentKey),
    /// The fold looked at a document that it had not asked for.
    #[error("document {0:?} was not asked for")]
    NotAskedFor(DocumentKey),
    /// The event creates a document that is there already.
    #[error("document {0:?} exists already")]
    Exists(DocumentKey),
    /// A value could not be written as JSON.
    #[error("a value cannot be written as JSON: {0}")]
    Json(String),
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It is new.
    Insert,
    /// It was there before.
    Update,
    /// It is gone.
    Delete,
}

/// A document as the store must have it after the fold.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentChange {
    /// Which.
    pub key: DocumentKey,
    /// What became of it.
    pub kind: ChangeKind,
    /// As the store has it now; `None` for an insert.
    pub before: Option<Arc<AnyDocument>>,
    /// As it shall be; `None` for a delete.
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
    undo: Option<Vec<(DocumentKey, Option<Entry>)>>,
}

impl WorkingSet {
    /// Whether the document, or its absence, is at hand.
    #[must_use]
    pub fn knows(&self, key: &DocumentKey) -> bool {
        self.entries.contains_key(key)
    }

    /// Brings in a document as the store has it, `None` where it has none.
    pub fn provide(&mut self, key: DocumentKey, document: Option<Arc<AnyDocument>>) {
        self.entries.entry(key).or_insert(Entry { stored: document.clone(), current: document, changed: false });
    }

    /// A document that was asked for, as folded so far.
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

    /// A document that must be there.
    ///
    /// # Errors
    /// `NotAskedFor`, `Missing`.
    pub fn need<D: Document>(&self, id: &str) -> Result<&D, FoldError> {
        self.get(id)?.ok_or_else(|| FoldError::Missing(DocumentKey::of::<D>(id)))
    }

    /// Creates a document whose identifier is new by its nature; it need not have been asked for.
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

    /// Changes a document that was asked for.
    ///
    /// # Errors
    /// `NotAskedFor`, `Missing`.
    pub fn update<D: Document>(&mut self, id: &str, change: impl FnOnce(&mut D)) -> Result<(), FoldError> {
        let mut document = self.need::<D>(id)?.clone();
        change(&mut document);
        self.set(DocumentKey::of::<D>(id), Some(document.wrap()));
        Ok(())
    }

    /// Takes a document away that was asked for.
    ///
    /// # Errors
    /// `NotAskedFor`, `Missing`.
    pub fn remove<D: Document>(&mut self, id: &str) -> Result<(), FoldError> {
        self.need::<D>(id)?;
        self.set(DocumentKey::of::<D>(id), None);
        Ok(())
    }

    fn set(&mut self, key: DocumentKey, document: Option<AnyDocument>) {
        if let Some(undo) = &mut self.undo {
            undo.push((key.clone(), self.entries.get(&key).cloned()));
        }
        let entry = self.entries.entry(key.clone()).or_insert(Entry { stored: None, current: None, changed: false });
        if !entry.changed {
            entry.changed = true;
            self.order.push(key);
        }
        entry.current = document.map(Arc::new);
    }

    /// Runs `act` and answers the documents that it changed; if it fails, the set is as it was.
    ///
    /// # Errors
    /// What `act` failed with.
    pub fn attempt<E>(&mut self, act: impl FnOnce(&mut Self) -> Result<(), E>) -> Result<Vec<DocumentKey>, E> {
        let changed_before = self.order.len();
        self.undo = Some(Vec::new());
        let result = act(self);
        let undo = self.undo.take().unwrap_or_default();
        if let Err(error) = result {
            for (key, former) in undo.into_iter().rev() {
                match former {
                    Some(entry) => self.entries.insert(key, entry),
                    None => self.entries.remove(&key),
                };
            }
            self.order.truncate(changed_before);
            return Err(error);
        }
        let mut changed: Vec<DocumentKey> = Vec::new();
        for (key, _) in undo {
            if !changed.contains(&key) {
                changed.push(key);
            }
        }
        Ok(changed)
    }

    /// Every document that was changed, in the order of first change.
    pub fn changes(&self) -> impl Iterator<Item = DocumentChange> + '_ {
        self.order.iter().filter_map(|key| self.change(key))
    }

    /// What became of a document since it was stored; `None` if nothing did, or if it came and went.
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

    /// A document as folded so far, whatever its type.
    #[must_use]
    pub fn current(&self, key: &DocumentKey) -> Option<Arc<AnyDocument>> {
        self.entries.get(key)?.current.clone()
    }

    /// Takes what was folded as stored: the next fold starts from here.
    pub fn settle(&mut self) {
        for key in self.order.drain(..) {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.stored = entry.current.clone();
                entry.changed = false;
            }
        }
    }
}
