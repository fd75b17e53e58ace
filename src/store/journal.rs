//! Reading and committing the journal, as SQL does it. Every call is one statement or one transaction; what the answers mean
//! together is said above, in [`crate::journal`].

use super::batch::{Batch, Committed, DocumentRows};
use super::documents::Body;
use super::search::EventSearch;
use super::{Head, JournalResult, Portion, Published, StoredAnswer, StoredEvent, StoredSnapshot, StreamId};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use registrar_projections::CollectionId;
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// A portion of the events in order, with the ends of the journal in the same snapshot.
#[derive(Debug, Default)]
pub struct PortionRows {
    /// Position of the last event.
    pub head: u64,
    /// Position up to which events were archived.
    pub archived_until: u64,
    /// The events, as many as there are.
    pub events: Vec<StoredEvent>,
}

/// What is stored of a stream, out of one snapshot, so that nothing is archived in between.
#[derive(Debug, Default)]
pub struct StreamRows {
    /// Position up to which events were archived.
    pub archived_until: u64,
    /// Version of the stream and position of its first event, if there is such a stream.
    pub stream: Option<(u64, u64)>,
    /// Up to as many events as were asked for.
    pub events: Vec<StoredEvent>,
}

/// Whose events may have been archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveProbe<'a> {
    /// Of this organization.
    Organization(&'a str),
    /// Of the aggregates of some types with one id.
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

    /// Up to `limit` events of one stream, named by type and id, after `after_sequence`, carried ones too.
    async fn stream(&self, stream: (&str, &str), after_sequence: u64, limit: usize) -> JournalResult<StreamRows>;

    /// A portion of the events after position `after`, in order.
    async fn portion(&self, after: u64, portion: Portion) -> JournalResult<PortionRows>;

    /// Position up to which events were archived.
    async fn archived_until(&self) -> JournalResult<u64>;

    /// Whether events at or before position `until` that `probe` names may be among the archived ones.
    async fn may_be_archived(&self, probe: &ArchiveProbe<'_>, until: u64) -> JournalResult<bool>;

    /// Between which positions the last event stands that was recorded at `time` or before, as far as carried events tell,
    /// where all events up to `archived_until` were archived.
    async fn carried_around(&self, time: DateTime<Utc>, archived_until: u64) -> JournalResult<RangeInclusive<u64>>;

    /// The event at `position` if it was archived and is here all the same, since its stream is loaded from it.
    async fn carried(&self, position: u64) -> JournalResult<Option<StoredEvent>>;

    /// Who holds a claim: aggregate type and id.
    async fn claim_holder(&self, key: &str) -> JournalResult<Option<(String, String)>>;

    /// The latest snapshot of an aggregate.
    async fn snapshot(&self, aggregate_type: &str, aggregate_id: &str) -> JournalResult<Option<StoredSnapshot>>;

    /// Replaces the snapshot of an aggregate, unless a later one is there, or one of a later shape.
    async fn save_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        snapshot: StoredSnapshot,
    ) -> JournalResult<()>;

    /// Wrapped keys of persons: absent where there never was one, `None` where it was destroyed.
    async fn subject_keys(&self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>>;

    /// The answer remembered for an idempotency key, unless it has expired.
    async fn answer(&self, key: &[u8]) -> JournalResult<Option<StoredAnswer>>;

    /// Forgets answers that have expired, and tells how many.
    async fn forget_answers(&self) -> JournalResult<u64>;

    /// How far events were published; none if that was never noted.
    async fn published(&self) -> JournalResult<Option<Published>>;

    /// Notes how far events were published.
    async fn note_published(&self, published: Published) -> JournalResult<()>;

    /// The clock that all nodes share; `None` where the database has no clock of its own.
    async fn clock(&self) -> JournalResult<Option<DateTime<Utc>>>;

    /// A connection to write with, kept out of any pool.
    async fn writer(&self) -> JournalResult<Box<dyn JournalWriter>>;
}

/// The one connection of a committer. After an error it is broken and must be replaced.
#[async_trait]
pub trait JournalWriter: Send {
    /// Writes the batch, or nothing. Outside [`JournalWriter::lock`] this is one round trip.
    async fn commit(&mut self, batch: &Batch) -> JournalResult<Committed>;

    /// Opens a transaction that holds the head, so that the commit that follows cannot lose it again.
    async fn lock(&mut self) -> JournalResult<Head>;

    /// Lets go of the head without a commit.
    async fn unlock(&mut self) -> JournalResult<()>;

    /// Versions of streams, 0 for none, as this connection sees them.
    async fn versions(&mut self, streams: &[StreamId]) -> JournalResult<Vec<u64>>;

    /// Documents of a generation, as this connection sees them, by their identifiers. Nobody has verified them.
    async fn documents(
        &mut self,
        generation: u64,
        collection: CollectionId,
        ids: &[String],
    ) -> JournalResult<HashMap<String, Body>>;

    /// From now on what this connection commits may be lost in a crash, though never without all that was committed
    /// after it: for documents that are built from the journal and can be again.
    async fn relax(&mut self) -> JournalResult<()>;

    /// Takes [`JournalWriter::relax`] back, for what must not be lost. Outside a transaction.
    async fn tighten(&mut self) -> JournalResult<()>;

    /// Writes documents of a generation that is being built, and how far it has got, in one transaction.
    async fn build(&mut self, generation: u64, rows: &DocumentRows, checkpoint: u64) -> JournalResult<()>;

    /// Writes what a follower has folded from the first of two checkpoints to the second, and that it has got there, in one
    /// transaction.
    ///
    /// False, and nothing written, if the generation is served no longer, or if the checkpoint is another one than the
    /// first: another node leads by now, and what both have folded must not count twice.
    async fn follow(
        &mut self,
        generation: u64,
        follower: &str,
        rows: &DocumentRows,
        checkpoints: (u64, u64),
    ) -> JournalResult<bool>;

    /// How far a follower has got in the documents of a generation.
    async fn checkpoint(&mut self, generation: u64, follower: &str) -> JournalResult<u64>;

    /// Inside [`JournalWriter::lock`]: writes the last documents of a generation, serves it from now on, retires the
    /// one before it and lets go of the head.
    async fn swap(&mut self, generation: u64, rows: &DocumentRows) -> JournalResult<()>;
}
