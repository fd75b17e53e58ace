//! From folded documents to rows: sealing of personal values, digests of stored text, counters. The committer and a
//! rebuild share it, so both write the same bytes.

use crate::read_store::digest::digest;
use crate::store::{DocumentRows, DocumentStep, JournalError, JournalResult};
use crate::vault::{KeysBySubject, Vault};
use registrar_aggregates::personal;
use registrar_projections::{AnyDocument, DocumentChange, DocumentKey, WorkingSet};
use std::collections::{BTreeMap, HashMap};

/// The rows of all changed `documents`.
///
/// # Errors
/// `Corrupt` for a document that cannot be written as JSON.
pub fn rows(documents: &WorkingSet, vault: &Vault, keys: &KeysBySubject) -> JournalResult<DocumentRows> {
    rows_from(documents, vault, keys, HashMap::new())
}

/// As [`rows`], reusing rows serialised before, in the present state of the documents.
///
/// # Errors
/// As [`rows`].
pub(crate) fn rows_from(
    documents: &WorkingSet,
    vault: &Vault,
    keys: &KeysBySubject,
    mut written: HashMap<DocumentKey, DocumentStep>,
) -> JournalResult<DocumentRows> {
    let mut rows = DocumentRows::default();
    for change in documents.changes() {
        let step = match written.remove(&change.key) {
            Some(step) => step,
            None => row(&change, vault, keys)?,
        };
        count(&mut rows.counts, &change, &step);
        rows.documents.push(step);
    }
    rows.counts.retain(|_, by| *by != 0);
    Ok(rows)
}

/// The row of one changed document.
///
/// # Errors
/// As [`rows`].
pub(crate) fn row(change: &DocumentChange, vault: &Vault, keys: &KeysBySubject) -> JournalResult<DocumentStep> {
    let (kind, key) = (change.kind, change.key.clone());
    let Some(document) = &change.after else { return Ok(DocumentStep::deleted(key)) };
    let (body, values) = (sealed_body(document, keys)?, document.keys());
    debug_assert_eq!(values.len(), key.collection.collection().keys.len());
    let digest = digest(vault, key.collection, &key.id, &body);
    Ok(DocumentStep { kind, key, body, digest, keys: values })
}

fn sealed_body(document: &AnyDocument, keys: &KeysBySubject) -> JournalResult<String> {
    let mut body = document.to_body().map_err(JournalError::corrupt)?;
    let mut sealed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (subject, pointers) in document.sealed_fields() {
        // A person who acts upon themselves is listed twice, but each person has one box.
        sealed.entry(subject).or_default().extend(pointers);
    }
    for (subject, pointers) in sealed {
        match keys.get(&subject) {
            // The document's name keeps equal values of two documents apart, and makes a rebuild seal alike.
            Some(Some(key)) => key.seal(&mut body, &pointers, &document.id())?,
            // Without a key, personal values are erased rather than stored in the clear.
            Some(None) | None => personal::replace(&mut body, &pointers, personal::ERASED),
        }
    }
    serde_json::to_string(&body).map_err(JournalError::corrupt)
}

fn count(counts: &mut HashMap<String, i64>, change: &DocumentChange, step: &DocumentStep) {
    let collection = change.key.collection.collection();
    if collection.counted.is_empty() {
        return;
    }
    for facet in change.before.iter().flat_map(|document| collection.facets(&document.keys())) {
        *counts.entry(facet).or_default() -= 1;
    }
    for facet in change.after.iter().flat_map(|_| collection.facets(&step.keys)) {
        *counts.entry(facet).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::MasterKey;
    use chrono::DateTime;
    use registrar_aggregates::audit_access::AuditAccessEvent;
    use registrar_aggregates::{Actor, ActorType, Metadata};
    use registrar_projections::{AuditEntry, ChangeKind, CollectionId, Document, RecordedEvent, TrailCounter};
    use std::sync::Arc;

    fn read_by(actor: Actor, position: u64) -> RecordedEvent {
        let metadata = Metadata { actor, ip_address: Some("203.0.113.7".into()), ..Metadata::system("r") };
        RecordedEvent {
            position,
            recorded_at: DateTime::UNIX_EPOCH,
            aggregate_id: "reader".into(),
            sequence: position,
            metadata: Arc::new(metadata),
            event: Arc::new(AuditAccessEvent::TrailRead { trail: "t".into(), filters: Default::default() }.into()),
        }
    }

    fn user() -> Actor {
        Actor { kind: ActorType::User, id: "u".into(), name: Some("Ada".into()) }
    }

    fn folded(events: &[RecordedEvent], documents: &mut WorkingSet) {
        for event in events {
            for key in registrar_projections::wants(event) {
                if !documents.knows(&key) {
                    documents.provide(key, None);
                }
            }
            registrar_projections::fold(event, documents).unwrap();
        }
    }

    fn entry(rows: &DocumentRows) -> &DocumentStep {
        rows.documents.iter().find(|step| step.key.collection == CollectionId::AuditEntries).unwrap()
    }

    async fn vault() -> (Vault, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            crate::store::StoreSettings { database_url: None, data: folder.path().to_owned(), archives: None };
        let store = crate::store::Store::open(&settings).unwrap();
        store.migrate().await.unwrap();
        let master = MasterKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "here").unwrap();
        (Vault::open(&master, &store).await.unwrap(), folder)
    }

    #[tokio::test]
    async fn a_document_is_written_with_its_keys_and_personal_values_sealed() {
        let (vault, _folder) = vault().await;
        let keys = KeysBySubject::from([("u".into(), Some(vault.new_subject("u").unwrap().0))]);
        let mut documents = WorkingSet::default();
        folded(&[read_by(user(), 1)], &mut documents);
        let rows = rows(&documents, &vault, &keys).unwrap();
        let entry = entry(&rows);
        assert_eq!(entry.kind, ChangeKind::Insert);
        assert_eq!(entry.keys.len(), AuditEntry::COLLECTION.keys.len());
        assert!(!entry.body.contains("Ada") && !entry.body.contains("203.0.113.7"), "{}", entry.body);
        assert!(entry.body.contains(personal::SEALED));
        // The digest covers the stored text, so it can be verified without a person's key.
        assert_eq!(entry.digest, digest(&vault, CollectionId::AuditEntries, &entry.key.id, &entry.body));
    }

    #[tokio::test]
    async fn documents_of_erased_persons_are_stored_erased() {
        let (vault, _folder) = vault().await;
        for keys in [KeysBySubject::new(), KeysBySubject::from([("u".into(), None)])] {
            let mut documents = WorkingSet::default();
            folded(&[read_by(user(), 1)], &mut documents);
            let rows = rows(&documents, &vault, &keys).unwrap();
            let body = &entry(&rows).body;
            assert!(body.contains(personal::ERASED) && !body.contains("Ada"), "{body}");
        }
    }

    #[tokio::test]
    async fn settled_documents_are_not_counted_again() {
        let (vault, _folder) = vault().await;
        let mut documents = WorkingSet::default();
        folded(&[read_by(Actor::system(), 1), read_by(Actor::system(), 2)], &mut documents);
        let first = rows(&documents, &vault, &KeysBySubject::new()).unwrap();
        assert_eq!(first.counts.values().collect::<Vec<_>>(), [&2, &2]);
        assert!(first.counts.keys().all(|facet| facet.starts_with("audit_entries")));
        documents.settle();
        assert!(rows(&documents, &vault, &KeysBySubject::new()).unwrap().documents.is_empty());
        folded(&[read_by(Actor::system(), 3)], &mut documents);
        let second = rows(&documents, &vault, &KeysBySubject::new()).unwrap();
        let counter = DocumentKey::of::<TrailCounter>("audit-access");
        let counter = second.documents.iter().find(|step| step.key == counter).unwrap();
        assert_eq!((counter.kind, second.counts.values().collect::<Vec<_>>()), (ChangeKind::Update, vec![&1, &1]));
    }
}
