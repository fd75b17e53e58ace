//! An event with its metadata and its position in the journal.

use chrono::{DateTime, Utc};
use registrar_aggregates::{DomainEvent, Metadata};
use std::sync::Arc;

/// An event with its position in the order of all streams. Personal values are unsealed.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// Position in the order of all events, dense from 1.
    pub position: u64,
    /// Commit time in whole milliseconds; never decreases with the position.
    pub recorded_at: DateTime<Utc>,
    /// Identifier of the stream within its aggregate type.
    pub aggregate_id: String,
    /// Number within the stream, dense from 1.
    pub sequence: u64,
    /// Actor and circumstances.
    pub metadata: Arc<Metadata>,
    /// The event itself.
    pub event: Arc<DomainEvent>,
}
