//! From folded documents to rows: sealing what is personal, counting what is counted. The committer and a rebuild share
//! it, so that both write the same bytes.

use crate::journal::{DocumentStep, JournalError, JournalResult};
use crate::vault::KeysBySubject;
use registrar_aggregates::personal;
use registrar_projections::{AnyDocument, ChangeKind, DocumentChange, WorkingSet};
use std::collections::{BTreeMap, HashMap};

/// What a store has to write.
#[derive(Debug, Default)]
pub struct Rows {
    /// Documents, each once.
    pub documents: Vec<DocumentStep>,
    /// By how much the counts of documents change, by facet.
    pub counts: HashMap<String, i64>,
}

/// The rows for everything that has changed in `documents`.
///
/// # Errors
/// `Corrupt` for a document that cannot be written as JSON.
pub fn rows(documents: &WorkingSet, keys: &KeysBySubject) -> JournalResult<Rows> {
    let mut rows = Rows::default();
    for change in documents.changes() {
        count(&mut rows.counts, &change);
        rows.documents.push(step(change, keys)?);
    }
    rows.counts.retain(|_, by| *by != 0);
    Ok(rows)
}

fn step(change: DocumentChange, keys: &KeysBySubject) -> JournalResult<DocumentStep> {
    let (body, values) = match &change.after {
        Some(document) => (sealed_body(document, keys)?, document.keys()),
        None => (String::new(), Vec::new()),
    };
    debug_assert!(change.kind == ChangeKind::Delete || values.len() == change.key.collection.collection().keys.len());
    Ok(DocumentStep { kind: change.kind, key: change.key, body, keys: values })
}

fn sealed_body(document: &AnyDocument, keys: &KeysBySubject) -> JournalResult<String> {
    let mut body = document.to_body().map_err(JournalError::corrupt)?;
    let mut sealed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (subject, pointers) in document.sealed_fields() {
        // Who acts upon themselves stands there twice, and there is one box a person.
        sealed.entry(subject).or_default().extend(pointers);
    }
    for (subject, pointers) in sealed {
        match keys.get(&subject) {
            // The document's name keeps equal values of two documents apart, and makes a rebuild seal alike.
            Some(Some(key)) => key.seal(&mut body, &pointers, &document.id())?,
            // No key: what cannot be kept safe is not kept.
            Some(None) | None => personal::replace(&mut body, &pointers, personal::ERASED),
        }
    }
    Ok(body.to_string())
}

fn count(counts: &mut HashMap<String, i64>, change: &DocumentChange) {
    let collection = change.key.collection.collection();
    if collection.counted.is_empty() {
        return;
    }
    for (document, by) in [(&change.before, -1), (&change.after, 1)] {
        for facet in document.iter().flat_map(|document| collection.facets(&document.keys())) {
            *counts.entry(facet).or_default() += by;
        }
    }
}
