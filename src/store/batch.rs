//! A commit: its conditions, what it writes, and how it ended.

use super::event::{StoredAnswer, StoredEvent, StreamId};
use crate::merkle::Frontier;
use chrono::{DateTime, Utc};
use registrar_projections::{ChangeKind, DocumentKey, KeyValue};
use std::collections::HashMap;

/// What one commit writes, all or nothing.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Position that the journal must end at.
    pub expected_head: u64,
    /// The tree before it: tells the end of this history from that of another one at the same position.
    pub expected_frontier: Frontier,
    /// Generation that the documents belong to.
    pub generation: u64,
    /// Commit time of every event in it.
    pub recorded_at: DateTime<Utc>,
    /// The tree after it.
    pub frontier: Frontier,
    /// Its events in order; the first has position `expected_head + 1`.
    pub events: Vec<StoredEvent>,
    /// Streams, each once.
    pub streams: Vec<StreamStep>,
    /// Streams of which only the version is compared. None of them is among `streams`.
    pub reads: Vec<ReadStep>,
    /// Claims taken, each key once. Taking what one holds already is no conflict.
    pub takes: Vec<ClaimStep>,
    /// Claims released, each key once, before any is taken. What another holds stays as it is.
    pub releases: Vec<ClaimStep>,
    /// New keys of persons.
    pub subject_keys: Vec<SubjectKeyStep>,
    /// Answers to remember, each key once.
    pub answers: Vec<AnswerStep>,
    /// Documents, each once.
    pub documents: Vec<DocumentStep>,
    /// By how much the counts of documents change, by facet.
    pub counts: HashMap<String, i64>,
}

/// Which of a batch's conditions did not hold, as indexes into its lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lost {
    /// Streams at another version.
    pub streams: Vec<usize>,
    /// Streams that were only read, at another version.
    pub reads: Vec<usize>,
    /// Claims that others hold.
    pub takes: Vec<usize>,
    /// Idempotency keys that have been answered.
    pub answers: Vec<usize>,
}

impl Lost {
    /// Places in the batch's streams and in its reads, out of places in both, one after the other.
    pub(super) fn told_apart(places: Vec<usize>, batch: &Batch) -> (Vec<usize>, Vec<usize>) {
        let changed = batch.streams.len();
        let (streams, reads): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| *place < changed);
        (streams, reads.into_iter().map(|place| place - changed).collect())
    }
}

/// A step of a stream in a batch.
#[derive(Debug, Clone)]
pub struct StreamStep {
    /// Which stream.
    pub stream: StreamId,
    /// Version it must have, 0 for none yet.
    pub from: u64,
    /// Version it will have.
    pub to: u64,
    /// Position of its first event in this batch.
    pub first_position: u64,
}

/// A stream that a command of a batch decided by and does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadStep {
    /// Which stream.
    pub stream: StreamId,
    /// Version it must have, 0 for none yet.
    pub version: u64,
}

/// A unique key that a batch takes or releases.
#[derive(Debug, Clone)]
pub struct ClaimStep {
    /// Keyed digest of scope and value.
    pub key: String,
    /// Who takes or releases it.
    pub holder: StreamId,
}

/// An answer that a batch remembers.
#[derive(Debug, Clone)]
pub struct AnswerStep {
    /// Digest of principal, method, path and key.
    pub key: Vec<u8>,
    /// What is remembered.
    pub answer: StoredAnswer,
    /// When it is forgotten.
    pub expires_at: DateTime<Utc>,
}

/// A new key of a person, wrapped by the master key.
#[derive(Debug, Clone)]
pub struct SubjectKeyStep {
    /// Whose.
    pub subject_id: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

/// A document as the store must have it.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentStep {
    /// What becomes of it.
    pub kind: ChangeKind,
    /// Which.
    pub key: DocumentKey,
    /// JSON text; empty for a delete.
    pub body: String,
    /// Keyed digest of it, over collection, identifier and body; empty for a delete.
    pub digest: String,
    /// Values of the collection's keys, in their order; empty for a delete.
    pub keys: Vec<KeyValue>,
}

impl DocumentStep {
    /// The end of a document.
    pub(crate) fn deleted(key: DocumentKey) -> Self {
        DocumentStep { kind: ChangeKind::Delete, key, body: String::new(), digest: String::new(), keys: Vec::new() }
    }
}

/// Documents and counts to write.
#[derive(Debug, Default)]
pub struct DocumentRows {
    /// Documents, each once.
    pub documents: Vec<DocumentStep>,
    /// By how much the counts of documents change, by facet.
    pub counts: HashMap<String, i64>,
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// Everything is on disk.
    Yes,
    /// The journal does not end where the batch thought, or serves another generation; nothing was written.
    HeadMoved,
    /// Some conditions did not hold; nothing was written.
    Lost(Lost),
    /// The batch would be recorded in the future, as far as the database's clock tells; nothing was written.
    ClockAhead,
}

/// How far the clock of a node may be ahead of the one that all nodes share, in seconds. What is recorded is recorded for
/// ever, and no later event may bear an earlier time.
pub const CLOCK_AHEAD_MAX_SECS: i64 = 5;

/// This node's clock is ahead of the database's.
#[derive(Debug, thiserror::Error)]
#[error("the clock of this node is more than {CLOCK_AHEAD_MAX_SECS} seconds ahead of the database's")]
pub struct ClockAhead;
