//! Documents with the state of one aggregate: read model and audit entries both follow from the change of the state by
//! an event, so that a further aggregate needs a declaration and no code of its own.

use crate::collection::Document;
use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::working_set::{FoldError, WorkingSet};
use registrar_aggregates::FromDomainEvent;
use serde_json::Value;

/// A document under the identifier of the aggregate whose state it holds. Most are
/// [`Stamped`](crate::stamped::Stamped); users and groups include data of other streams as well.
pub trait StateDocument: Document {
    /// Events of the aggregate.
    type Event: FromDomainEvent;
    /// Members of [`StateDocument::state`] with personal values of the aggregate's person, as JSON Pointers in which
    /// `*` stands for any member, and for the identifier of a list's element.
    const PERSONAL: &'static [&'static str] = &[];
    /// Names of members that the audit trail omits, at any depth.
    const UNLISTED: &'static [&'static str] = &[];

    /// The document created by an event; `None` for any other event.
    fn create(event: &RecordedEvent, change: &Self::Event) -> Option<Self>;

    /// The document after an event; `None` after a deletion.
    fn change(self, event: &RecordedEvent, change: &Self::Event) -> Option<Self>;

    /// Whether the event creates the document.
    fn creates(event: &RecordedEvent, change: &Self::Event) -> bool {
        Self::create(event, change).is_some()
    }

    /// A copy with only those of its many parts that an event concerns: the event changes the copy in the same way. The
    /// whole document where it has no lists that grow.
    #[must_use]
    fn concerned(&self, _: &Self::Event) -> Self {
        self.clone()
    }

    /// The state alone, without the additions of the document.
    ///
    /// # Errors
    /// A value that JSON cannot express; no state has one.
    fn state(&self) -> serde_json::Result<Value>;
}

/// Documents that the fold reads.
pub(crate) fn wants<D: StateDocument>(event: &RecordedEvent) -> Vec<DocumentKey> {
    match D::Event::of(&event.event) {
        // The event creates its document, whose identifier is new.
        Some(change) if D::creates(event, change) => vec![],
        Some(_) => vec![DocumentKey::of::<D>(&event.aggregate_id)],
        None => vec![],
    }
}

/// Folds one event.
pub(crate) fn fold<D: StateDocument>(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let Some(change) = D::Event::of(&event.event) else { return Ok(()) };
    match D::create(event, change) {
        Some(document) => documents.insert(document),
        None => documents.replace(&event.aggregate_id, |document: D| document.change(event, change)),
    }
}

/// The document before and after an event, restricted to the parts that the event concerns.
pub(crate) fn around<D: StateDocument>(
    event: &RecordedEvent,
    change: &D::Event,
    documents: &WorkingSet,
) -> Result<(Option<D>, Option<D>), FoldError> {
    if let Some(created) = D::create(event, change) {
        return Ok((None, Some(created)));
    }
    let before = documents.need::<D>(&event.aggregate_id)?.concerned(change);
    Ok((Some(before.clone()), before.change(event, change)))
}
