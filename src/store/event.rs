//! Events, snapshots and answers as they are stored.

pub use registrar_aggregates::processes::StreamId;

use crate::merkle::Frontier;
use chrono::{DateTime, SecondsFormat, Utc};

/// Longest payload of one event, sealed and in canonical form. With its metadata an event then fits into a NATS
/// message, which takes 1 MB by default.
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

/// A time as it is stored, hashed and shown: RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The end of the journal at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Position of the last event; 0 in an empty journal.
    pub position: u64,
    /// The served generation of documents.
    pub generation: u64,
    /// Commit time of the last event.
    pub recorded_at: DateTime<Utc>,
    /// RFC 9162 tree over all events, as its perfect subtrees from large to small.
    pub frontier: Frontier,
}

/// An event as it is stored: texts in their hashed form, personal values sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Position in the order of all events.
    pub position: u64,
    /// Commit time, whole milliseconds.
    pub recorded_at: DateTime<Utc>,
    /// Aggregate type, kebab case.
    pub aggregate_type: String,
    /// Aggregate id.
    pub aggregate_id: String,
    /// Position within the stream, from 1.
    pub sequence: u64,
    /// Name of the event.
    pub event_type: String,
    /// Shape version of the payload.
    pub event_version: String,
    /// Canonical JSON (RFC 8785).
    pub payload: String,
    /// Canonical JSON (RFC 8785).
    pub metadata: String,
    /// Merkle leaf hash (RFC 9162 2.1.1).
    pub leaf_hash: [u8; 32],
}

/// A snapshot of an aggregate, sealed.
#[derive(Debug, Clone)]
pub struct StoredSnapshot {
    /// Stream version that it reflects.
    pub last_sequence: u64,
    /// Number of the payload's shape.
    pub shape: u32,
    /// JSON text.
    pub payload: String,
}

/// A remembered answer to an idempotent request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Digest of the answered request.
    pub fingerprint: Vec<u8>,
    /// The answer, sealed.
    pub answer: Vec<u8>,
}

/// Progress of publishing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishProgress {
    /// Position of the last published event.
    pub position: u64,
    /// Sequence of that event in the NATS stream.
    pub sequence: u64,
}

/// Bounds of one read, for frequent or slow readers. A read ends with the event that reaches either bound, so it has at
/// least one event if any is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    /// Maximum number of events.
    pub events: usize,
    /// Bytes of payloads and metadata, in stored form.
    pub bytes: usize,
}

impl Portion {
    /// Whether `events` reach one of the bounds.
    #[must_use]
    pub fn is_full(self, events: &[StoredEvent]) -> bool {
        let bytes = || events.iter().map(|event| event.payload.len() + event.metadata.len()).sum::<usize>();
        events.len() >= self.events || bytes() >= self.bytes
    }

    /// The portion to read after one of `read` events: at most twice as many, so a store does not read hundreds of
    /// large events when a few of them fill the portion.
    #[must_use]
    pub fn after(self, read: usize) -> Self {
        Portion { events: read.saturating_mul(2).clamp(Self::FEW, self.events), ..self }
    }

    /// Events to read first, before anything is known of their size.
    pub const FEW: usize = 8;

    /// Both bounds as integers for a statement.
    pub(super) fn bounds(self) -> [i64; 2] {
        [self.events, self.bytes].map(|bound| i64::try_from(bound).unwrap_or(i64::MAX))
    }
}
