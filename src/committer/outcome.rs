//! The result of a command: made by the committer, returned by the executor, stored with idempotency keys.

use registrar_projections::document::HasCollection;
use registrar_projections::{AnyDocument, RecordedEvent};
use std::sync::Arc;

/// The result of a command.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Head of the journal after the command.
    pub position: u64,
    /// The events, empty if the command changed nothing.
    pub events: Vec<RecordedEvent>,
    /// The documents after the events.
    pub documents: Vec<Arc<AnyDocument>>,
}

impl Outcome {
    /// The changed document of type `D`, if any.
    #[must_use]
    pub fn document<D: HasCollection>(&self) -> Option<&D> {
        self.documents.iter().find_map(|document| D::unwrap(document))
    }
}
