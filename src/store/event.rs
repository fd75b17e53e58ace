//! Events, snapshots and answers as they are stored.

pub use registrar_aggregates::processes::StreamId;

use crate::merkle::Frontier;
use chrono::{DateTime, SecondsFormat, Utc};

/// Longest payload of one event, sealed and in canonical form. Together with its metadata an event then fits into a message
/// of NATS, which takes 1 MB unless told otherwise.
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

/// A time as it is stored, hashed and shown: RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The end of the journal at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Position of the last event; 0 in an empty journal.
    pub position: u64,
    /// Generation of documents that is served.
    pub generation: u64,
    /// Commit time of the last event.
    pub recorded_at: DateTime<Utc>,
    /// RFC 9162 tree over all events, as its perfect subtrees from large to small.
    pub frontier: Frontier,
}

/// An event as it is stored: texts as they were hashed, personal values sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Place in the order of all events.
    pub position: u64,
    /// Commit time, whole milliseconds.
    pub recorded_at: DateTime<Utc>,
    /// Aggregate type, kebab case.
    pub aggregate_type: String,
    /// Aggregate id.
    pub aggregate_id: String,
    /// Number within the stream, from 1.
    pub sequence: u64,
    /// Name of the event.
    pub event_type: String,
    /// Version of the payload's shape.
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
    /// Version of the stream that it reflects.
    pub last_sequence: u64,
    /// Number of the shape of the payload.
    pub shape: u32,
    /// JSON text.
    pub payload: String,
}

/// A remembered answer of an idempotent request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Digest of the request that was answered.
    pub fingerprint: Vec<u8>,
    /// The answer, sealed.
    pub answer: Vec<u8>,
}

/// How far events were published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Position of the last event.
    pub position: u64,
    /// Its sequence in the stream.
    pub sequence: u64,
}

/// How much is read at once, for readers of which there are many or which take their time. It ends with the event that
/// reaches either bound, so it has at least one event if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    /// Most events.
    pub events: usize,
    /// Bytes of payloads and metadata, as they are stored.
    pub bytes: usize,
}

impl Portion {
    /// Whether these are as many events as it has room for.
    #[must_use]
    pub fn is_full(self, events: &[StoredEvent]) -> bool {
        let bytes = || events.iter().map(|event| event.payload.len() + event.metadata.len()).sum::<usize>();
        events.len() >= self.events || bytes() >= self.bytes
    }

    /// The portion to read after one of `read` events: no more than twice as many, so that a store does not look at
    /// hundreds of large events where few of them are as much as is wanted.
    #[must_use]
    pub fn after(self, read: usize) -> Self {
        Portion { events: read.saturating_mul(2).clamp(Self::FEW, self.events), ..self }
    }

    /// Events that are read where nothing is known of their size.
    pub const FEW: usize = 8;

    /// Both bounds as a store compares them.
    pub(super) fn bounds(self) -> [i64; 2] {
        [self.events, self.bytes].map(|bound| i64::try_from(bound).unwrap_or(i64::MAX))
    }
}
