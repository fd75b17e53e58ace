//! The working set: requests, changes and undo.

use registrar_projections::document::HasCollection;
use registrar_projections::{ChangeKind, DocumentKey, FoldError, TrailCounter, WorkingSet};

fn counter(trail: &str, entries: u64) -> TrailCounter {
    TrailCounter { trail: trail.into(), entries }
}

fn key(trail: &str) -> DocumentKey {
    DocumentKey::of::<TrailCounter>(trail)
}

/// A set with `stored` loaded from the store, and `absent` known to be missing.
fn set() -> WorkingSet {
    let mut documents = WorkingSet::default();
    documents.provide(key("stored"), Some(counter("stored", 5).wrap().into()));
    documents.provide(key("absent"), None);
    documents
}

fn count(documents: &WorkingSet, trail: &str) -> Option<u64> {
    documents.get::<TrailCounter>(trail).expect("was asked for").map(|counter| counter.entries)
}

fn increase(documents: &mut WorkingSet, trail: &str) -> Result<(), FoldError> {
    documents.update::<TrailCounter>(trail, |counter| counter.entries += 1)
}

/// Each change with the counts before and after.
fn changes(documents: &WorkingSet) -> Vec<(String, ChangeKind, Option<u64>, Option<u64>)> {
    let entries = |document: Option<std::sync::Arc<registrar_projections::AnyDocument>>| {
        document.as_deref().and_then(TrailCounter::unwrap).map(|counter| counter.entries)
    };
    documents
        .changes()
        .map(|change| (change.key.id, change.kind, entries(change.before), entries(change.after)))
        .collect()
}

#[test]
fn a_document_that_was_not_asked_for_cannot_be_read_or_changed() {
    let mut documents = set();
    assert_eq!(documents.get::<TrailCounter>("other"), Err(FoldError::NotAskedFor(key("other"))));
    assert_eq!(increase(&mut documents, "other"), Err(FoldError::NotAskedFor(key("other"))));
    assert!(documents.knows(&key("absent")) && !documents.knows(&key("other")));
}

#[test]
fn absent_documents_cannot_be_changed_nor_present_ones_created() {
    let mut documents = set();
    assert_eq!(count(&documents, "absent"), None);
    assert_eq!(increase(&mut documents, "absent"), Err(FoldError::Missing(key("absent"))));
    assert_eq!(documents.insert(counter("stored", 1)), Err(FoldError::Exists(key("stored"))));
    assert_eq!(changes(&documents), []);
}

#[test]
fn a_document_is_provided_once() {
    let mut documents = set();
    increase(&mut documents, "stored").expect("is there");
    documents.provide(key("stored"), None);
    assert_eq!(count(&documents, "stored"), Some(6));
}

#[test]
fn changes_are_told_once_each_in_the_order_of_the_first() {
    let mut documents = set();
    documents.insert(counter("new", 1)).expect("is new");
    increase(&mut documents, "stored").expect("is there");
    increase(&mut documents, "new").expect("is there");
    increase(&mut documents, "stored").expect("is there");
    let expected = [
        ("new".to_owned(), ChangeKind::Insert, None, Some(2)),
        ("stored".to_owned(), ChangeKind::Update, Some(5), Some(7)),
    ];
    assert_eq!(changes(&documents), expected);
}

#[test]
fn settled_documents_count_as_stored() {
    let mut documents = set();
    documents.insert(counter("new", 1)).expect("is new");
    documents.settle();
    assert_eq!(changes(&documents), []);
    increase(&mut documents, "new").expect("is there");
    assert_eq!(changes(&documents), [("new".to_owned(), ChangeKind::Update, Some(1), Some(2))]);
}

#[test]
fn an_attempt_tells_which_documents_it_changed() {
    let mut documents = set();
    increase(&mut documents, "stored").expect("is there");
    let told = |_: &WorkingSet, changed: &[DocumentKey]| Ok(changed.to_vec());
    let change = |documents: &mut WorkingSet| {
        documents.insert(counter("new", 1))?;
        increase(documents, "new")?;
        increase(documents, "stored")
    };
    let changed = documents.attempt(change, told);
    assert_eq!(changed, Ok(vec![key("new"), key("stored")]));
    assert_eq!(documents.attempt(|_| Ok::<(), FoldError>(()), told), Ok(vec![]));
}

#[test]
fn a_failed_attempt_leaves_everything_as_it_was() {
    let mut documents = set();
    documents.insert(counter("before", 1)).expect("is new");
    increase(&mut documents, "before").expect("is there");
    let expected = changes(&documents);
    let change = |documents: &mut WorkingSet| {
        documents.insert(counter("new", 1))?;
        documents.insert(counter("absent", 1))?;
        increase(documents, "before")?;
        increase(documents, "stored")?;
        increase(documents, "stored")
    };
    // The completion after the changes may fail as well.
    let refused = documents.attempt(change, |_, _| Err::<(), _>(FoldError::Json("no answer".into())));
    assert_eq!(refused, Err(FoldError::Json("no answer".into())));
    assert_eq!(changes(&documents), expected);
    let failed = documents.attempt(
        |documents| {
            change(documents)?;
            increase(documents, "nowhere")
        },
        |_, _| Ok(()),
    );
    assert_eq!(failed, Err(FoldError::NotAskedFor(key("nowhere"))));
    assert_eq!(changes(&documents), expected);
    assert_eq!(
        (count(&documents, "stored"), count(&documents, "absent"), count(&documents, "before")),
        (Some(5), None, Some(2))
    );
    assert!(!documents.knows(&key("new")));
    // The set remains usable.
    documents.insert(counter("new", 9)).expect("is new again");
    increase(&mut documents, "stored").expect("is there");
    assert_eq!(
        changes(&documents).iter().map(|change| change.0.as_str()).collect::<Vec<_>>(),
        ["before", "new", "stored"]
    );
}

#[test]
fn a_change_after_a_failed_attempt_is_told_though_the_attempt_changed_the_same() {
    let mut documents = set();
    let change = |documents: &mut WorkingSet| {
        increase(documents, "stored")?;
        increase(documents, "nowhere")
    };
    let failed = documents.attempt(change, |_, _| Ok(()));
    assert!(failed.is_err());
    assert_eq!(changes(&documents), []);
    documents.attempt(|documents| increase(documents, "stored"), |_, _| Ok(())).expect("is there");
    assert_eq!(changes(&documents), [("stored".to_owned(), ChangeKind::Update, Some(5), Some(6))]);
}
