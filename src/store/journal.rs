//! Reading and committing the journal in SQL. Every call is one statement or one transaction; the results are
//! interpreted above, in [`crate::journal`].

use super::batch::{Batch, Committed, DocumentRows};
use super::documents::Body;
use super::search::EventSearch;
use super::{Head, JournalResult, Portion, PublishProgress, StoredAnswer, StoredEvent, StoredSnapshot, StreamId};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use registrar_projections::CollectionId;
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// A portion of the events in order, with the journal's bounds from the same snapshot.
#[derive(Debug, Default)]
pub struct PortionRows {
    /// Position of the last event.
    pub head: u64,
    /// Position up to which events were archived.
    pub archived_until: u64,
    /// The events of the portion that are in the database.
    pub events: Vec<StoredEvent>,
}

/// Stored rows of a stream, from one snapshot, so nothing is archived in between.
#[derive(Debug, Default)]
pub struct StreamRows {
    /// Position up to which events were archived.
    pub archived_until: u64,
    /// Version of the stream and position of its first event; `None` if it does not exist.
    pub stream: Option<(u64, u64)>,
    /// The events found, up to the requested limit.
    pub events: Vec<StoredEvent>,
}

/// Group of events that may have been archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveProbe<'a> {
    /// Events of this organization.
    Organization(&'a str),
    /// Events of aggregates of some types with one id.
    Aggregate {
        /// Names of aggregate types, at least one.
        types: Vec<&'static str>,
        /// Aggregate id.
        id: &'a str,
    },
}

/// Reading the journal. Safe to call from anywhere; every call sees everything committed before it.
#[async_trait]
pub trait JournalStore: EventSearch {
    /// The end of the journal.
    async fn head(&self) -> JournalResult<Head>;

    /// Up to `limit` events of one stream, named by type and id, after `after_sequence`, including carried ones.
    async fn stream(&self, stream: (&str, &str), after_sequence: u64, limit: usize) -> JournalResult<StreamRows>;

    /// A portion of the events after position `after`, in order.
    async fn portion(&self, after: u64, portion: Portion) -> JournalResult<PortionRows>;

    /// Position up to which events were archived.
    async fn archived_until(&self) -> JournalResult<u64>;

    /// Whether events of `probe` at or before position `until` may be archived.
    async fn may_be_archived(&self, probe: &ArchiveProbe<'_>, until: u64) -> JournalResult<bool>;

    /// Range of positions that holds the last event recorded at `time` or before, as far as carried events tell, when
    /// all events up to `archived_until` were archived.
    async fn carried_around(&self, time: DateTime<Utc>, archived_until: u64) -> JournalResult<RangeInclusive<u64>>;

    /// The archived event at `position` if the database kept a copy to load its stream from.
    async fn carried(&self, position: u64) -> JournalResult<Option<StoredEvent>>;

    /// Holder of a claim: aggregate type and id.
    async fn claim_holder(&self, key: &str) -> JournalResult<Option<(String, String)>>;

    /// The latest snapshot of an aggregate.
    async fn snapshot(&self, aggregate_type: &str, aggregate_id: &str) -> JournalResult<Option<StoredSnapshot>>;

    /// Replaces the snapshot of an aggregate, unless the stored one is later or has a later shape.
    async fn save_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        snapshot: StoredSnapshot,
    ) -> JournalResult<()>;

    /// Wrapped keys of persons: absent if the person never had one, `None` if it was destroyed.
    async fn subject_keys(&self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>>;

    /// The answer remembered for an idempotency key, unless it has expired.
    async fn answer(&self, key: &[u8]) -> JournalResult<Option<StoredAnswer>>;

    /// Deletes expired answers and returns their number.
    async fn forget_answers(&self) -> JournalResult<u64>;

    /// Position up to which events were published; `None` if never noted.
    async fn published(&self) -> JournalResult<Option<PublishProgress>>;

    /// Stores how far events were published.
    async fn note_published(&self, published: PublishProgress) -> JournalResult<()>;

    /// The clock shared by all nodes; `None` if the database has no clock of its own.
    async fn clock(&self) -> JournalResult<Option<DateTime<Utc>>>;

    /// A connection for writing, outside any pool.
    async fn writer(&self) -> JournalResult<Box<dyn JournalWriter>>;
}

/// The one connection of a committer. After an error it is broken and must be replaced.
#[async_trait]
pub trait JournalWriter: Send {
    /// Writes the batch in full or not at all. Outside [`JournalWriter::lock`] this is one round trip.
    async fn commit(&mut self, batch: &Batch) -> JournalResult<Committed>;

    /// Opens a transaction that locks the head, so the following commit cannot lose the race for it.
    async fn lock(&mut self) -> JournalResult<Head>;

    /// Releases the head without a commit.
    async fn unlock(&mut self) -> JournalResult<()>;

    /// Versions of streams, 0 for missing ones, as this connection sees them.
    async fn versions(&mut self, streams: &[StreamId]) -> JournalResult<Vec<u64>>;

    /// Documents of a generation by identifier, as this connection sees them. They are not verified.
    async fn documents(
        &mut self,
        generation: u64,
        collection: CollectionId,
        ids: &[String],
    ) -> JournalResult<HashMap<String, Body>>;

    /// From now on a crash may lose commits of this connection, though never without all commits after them: for
    /// documents that can be rebuilt from the journal.
    async fn relax(&mut self) -> JournalResult<()>;

    /// Reverts [`JournalWriter::relax`], for commits that must not be lost. Outside a transaction.
    async fn tighten(&mut self) -> JournalResult<()>;

    /// Writes documents of a generation that is being built, and its checkpoint, in one transaction.
    async fn build(&mut self, generation: u64, rows: &DocumentRows, checkpoint: u64) -> JournalResult<()>;

    /// Writes a follower's documents folded from the first of two checkpoints to the second, and the second checkpoint,
    /// in one transaction.
    ///
    /// False, and nothing written, if the generation is no longer served, or if the stored checkpoint is not the first:
    /// another node leads now, and events folded by both must not count twice.
    async fn follow(
        &mut self,
        generation: u64,
        follower: &str,
        rows: &DocumentRows,
        checkpoints: (u64, u64),
    ) -> JournalResult<bool>;

    /// Checkpoint of a follower in a generation.
    async fn checkpoint(&mut self, generation: u64, follower: &str) -> JournalResult<u64>;

    /// Inside [`JournalWriter::lock`]: writes the last documents of a generation, serves it from now on, retires the
    /// former one and releases the head.
    async fn swap(&mut self, generation: u64, rows: &DocumentRows) -> JournalResult<()>;
}
