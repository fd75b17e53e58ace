//! Registrar's read models, pure: recorded events in, document changes out.
//!
//! A projection is a fold from an event and the documents it asked for to document changes. Folds are total but for
//! the errors they name, read no clock and do no I/O, so that a rebuild gives the same bytes as the live run. A new
//! read model is a struct, a fold and an index list, entered in [`document::AnyDocument`] and [`fold`].

pub mod admins;
pub mod audit_trail;
pub mod collection;
pub mod document;
pub mod query;
pub mod recorded;
pub mod working_set;

pub use admins::AdminDocument;
pub use audit_trail::{AuditChange, AuditEntry, TrailCounter};
pub use collection::{Collection, Document, KeyColumn, KeyKind, KeyValue};
pub use document::{AnyDocument, CollectionId, DocumentKey};
pub use query::{Direction, Filter, Query};
pub use recorded::RecordedEvent;
pub use working_set::{ChangeKind, DocumentChange, FoldError, WorkingSet};

/// Documents that folding `event` will look at. Bounded, whatever the event.
#[must_use]
pub fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    let mut wanted = audit_trail::wants(event);
    for key in admins::wants(event) {
        if !wanted.contains(&key) {
            wanted.push(key);
        }
    }
    wanted
}

/// Folds `event` into every inline projection.
///
/// The audit trail comes first, since it compares with the documents as they were before the event.
///
/// # Errors
/// `FoldError` where the event does not fit the documents; the event must then not be stored.
pub fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    audit_trail::fold(event, documents)?;
    admins::fold(event, documents)
}

/// Name and version of every inline projection, in one text: generations of documents with equal text are alike.
#[must_use]
pub fn signature() -> String {
    [("admins", admins::VERSION), ("audit_trail", audit_trail::VERSION)]
        .map(|(name, version)| format!("{name}:{version}"))
        .join(",")
}
