//! A commit: its conditions, its writes and its outcome.

use super::event::{StoredAnswer, StoredEvent, StreamId};
use crate::merkle::Frontier;
use chrono::{DateTime, Utc};
use registrar_projections::{ChangeKind, DocumentKey, KeyValue};
use std::collections::HashMap;

/// Content of one commit, written in full or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Required position of the journal's end.
    pub expected_head: u64,
    /// The tree before the batch: distinguishes this history's end from that of another history at the same position.
    pub expected_frontier: Frontier,
    /// Generation of the documents.
    pub generation: u64,
    /// Commit time of all events.
    pub recorded_at: DateTime<Utc>,
    /// The tree after the batch.
    pub frontier: Frontier,
    /// Events in order; the first has position `expected_head + 1`.
    pub events: Vec<StoredEvent>,
    /// Changed streams, each once.
    pub streams: Vec<StreamStep>,
    /// Streams whose version is only compared. None of them is in `streams`.
    pub reads: Vec<ReadStep>,
    /// Claims taken, each key once. A claim already held by the taker is no conflict.
    pub takes: Vec<ClaimStep>,
    /// Claims released, each key once, before any is taken. Claims of other holders stay.
    pub releases: Vec<ClaimStep>,
    /// New keys of persons.
    pub subject_keys: Vec<SubjectKeyStep>,
    /// Answers to remember, each key once.
    pub answers: Vec<AnswerStep>,
    /// Documents, each once.
    pub documents: Vec<DocumentStep>,
    /// Change of document counts, by facet.
    pub counts: HashMap<String, i64>,
}

/// Failed conditions of a batch, as indexes into its lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedConditions {
    /// Streams at another version.
    pub streams: Vec<usize>,
    /// Read-only streams at another version.
    pub reads: Vec<usize>,
    /// Claims held by other aggregates.
    pub takes: Vec<usize>,
    /// Idempotency keys already answered.
    pub answers: Vec<usize>,
}

impl FailedConditions {
    /// Splits indexes into streams and reads, concatenated, into indexes of each list.
    pub(super) fn split_reads(places: Vec<usize>, batch: &Batch) -> (Vec<usize>, Vec<usize>) {
        let changed = batch.streams.len();
        let (streams, reads): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| *place < changed);
        (streams, reads.into_iter().map(|place| place - changed).collect())
    }
}

/// Version change of a stream in a batch.
#[derive(Debug, Clone)]
pub struct StreamStep {
    /// Stream that changes.
    pub stream: StreamId,
    /// Required version, 0 for a new stream.
    pub from: u64,
    /// Version after the batch.
    pub to: u64,
    /// Position of the stream's first event in this batch.
    pub first_position: u64,
}

/// A stream that a command of a batch read for its decision and does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadStep {
    /// Stream that was read.
    pub stream: StreamId,
    /// Required version, 0 if the stream does not exist.
    pub version: u64,
}

/// A unique key that a batch takes or releases.
#[derive(Debug, Clone)]
pub struct ClaimStep {
    /// Keyed digest of scope and value.
    pub key: String,
    /// Aggregate that takes or releases it.
    pub holder: StreamId,
}

/// An answer to remember for an idempotency key.
#[derive(Debug, Clone)]
pub struct AnswerStep {
    /// Digest of principal, method, path and key.
    pub key: Vec<u8>,
    /// Answer to store.
    pub answer: StoredAnswer,
    /// Expiry time.
    pub expires_at: DateTime<Utc>,
}

/// A new key of a person, wrapped by the master key.
#[derive(Debug, Clone)]
pub struct SubjectKeyStep {
    /// Person that the key belongs to.
    pub subject_id: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

/// A document change to store.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentStep {
    /// Insert, update or delete.
    pub kind: ChangeKind,
    /// Collection and identifier.
    pub key: DocumentKey,
    /// JSON text; empty for a delete.
    pub body: String,
    /// Keyed digest over collection, identifier and body; empty for a delete.
    pub digest: String,
    /// Values of the collection's keys, in their order; empty for a delete.
    pub keys: Vec<KeyValue>,
}

impl DocumentStep {
    /// Deletion of a document.
    pub(crate) fn deleted(key: DocumentKey) -> Self {
        DocumentStep { kind: ChangeKind::Delete, key, body: String::new(), digest: String::new(), keys: Vec::new() }
    }
}

/// Documents and counts to write.
#[derive(Debug, Default)]
pub struct DocumentRows {
    /// Documents, each once.
    pub documents: Vec<DocumentStep>,
    /// Change of document counts, by facet.
    pub counts: HashMap<String, i64>,
}

/// Outcome of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// The whole batch is on disk.
    Yes,
    /// The journal's end or the served generation is not the expected one; nothing was written.
    HeadMoved,
    /// Some conditions failed; nothing was written.
    Lost(FailedConditions),
    /// The batch's time is in the future by the database's clock; nothing was written.
    ClockAhead,
}

/// Seconds that a node's clock may be ahead of the clock shared by all nodes. A recorded time stays for ever, and no
/// later event may have an earlier one.
pub const CLOCK_AHEAD_MAX_SECS: i64 = 5;

/// This node's clock is ahead of the database's.
#[derive(Debug, thiserror::Error)]
#[error("the clock of this node is more than {CLOCK_AHEAD_MAX_SECS} seconds ahead of the database's")]
pub struct ClockAhead;
