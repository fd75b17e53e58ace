//! The result of a command: made by the committer, answered by the executor, remembered with idempotency keys.

use registrar_projections::document::HasCollection;
use registrar_projections::{AnyDocument, RecordedEvent};
use std::sync::Arc;

/// The result of a command.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Position of the journal's last event after it.
    pub position: u64,
    /// The events, empty if everything was as asked already.
    pub events: Vec<RecordedEvent>,
    /// The documents as the events left them.
    pub documents: Vec<Arc<AnyDocument>>,
}

impl Outcome {
    /// The changed document of type `D`, if there is one.
    #[must_use]
    pub fn document<D: HasCollection>(&self) -> Option<&D> {
        self.documents.iter().find_map(|document| D::unwrap(document))
    }
}
