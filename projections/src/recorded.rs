//! An event with everything the journal knows of it.

use chrono::{DateTime, Utc};
use registrar_aggregates::{DomainEvent, Metadata};
use std::sync::Arc;

/// An event that has its place in the order of all streams. Personal values are open.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// Place in the order of all events, dense from 1.
    pub position: u64,
    /// Commit time in whole milliseconds; never goes back as the position rises.
    pub recorded_at: DateTime<Utc>,
    /// Identifier of the stream within its aggregate type.
    pub aggregate_id: String,
    /// Number within the stream, dense from 1.
    pub sequence: u64,
    /// Who caused it and how.
    pub metadata: Arc<Metadata>,
    /// What happened.
    pub event: Arc<DomainEvent>,
}
