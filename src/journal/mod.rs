//! The journal: the truth. Appends with expected version and claims, one dense order of all events, and reading it
//! back. One trait, two stores.
//!
//! Folding, batching and retrying are the committer's; a store only checks and writes what it is given, all or nothing.

pub mod archived;
pub mod codec;
pub mod merkle;
pub mod postgres;
pub mod raw;
pub mod selection;
pub mod sqlite;
pub mod tree;
pub mod wrapped;

pub use registrar_aggregates::processes::StreamId;

use crate::read_store::Body;
use archived::StreamPage;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use registrar_projections::{ChangeKind, CollectionId, DocumentKey, KeyValue};
use selection::{EventFilter, Members, Selection};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Longest payload of one event, sealed and in canonical form. Together with its metadata an event then fits into a message
/// of NATS, which takes 1 MB unless told otherwise.
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

/// Why the journal did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The stream is not at the version that the writer saw.
    #[error("the stream has changed since it was read")]
    VersionConflict,
    /// Another aggregate holds a unique value.
    #[error("{field} is already in use")]
    ClaimTaken {
        /// Field of the command that the value came from, in words of the domain.
        field: &'static str,
    },
    /// The same idempotency key was committed by another request meanwhile.
    #[error("a request with this idempotency key was just carried out")]
    AlreadyAnswered,
    /// The actor represents another principal, and the events change an address, a password, a second factor or a role.
    #[error("this is not done on behalf of another")]
    ActingForAnother,
    /// The event does not fit the read models.
    #[error("the event cannot be folded")]
    NotFoldable(#[source] registrar_projections::FoldError),
    /// The stored form of the event is longer than [`PAYLOAD_BYTES_MAX`].
    #[error("the event {event_type} would take {bytes} bytes, more than {PAYLOAD_BYTES_MAX}")]
    EventTooLarge {
        /// Name of the event.
        event_type: String,
        /// Length of its payload, sealed.
        bytes: usize,
    },
    /// The database cannot be reached or gives no answer; nothing is known to be stored.
    #[error("the database is not available")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// This node's release is older than the documents that the database serves.
    #[error("the documents belong to another release of Registrar")]
    OtherGeneration,
    /// What the request read was overtaken by other writes while it read it, again and again.
    #[error("what was read has changed while it was read")]
    Overtaken,
    /// This node's release does not know the tables any more: a later one has changed them.
    #[error(
        "this release of Registrar is too old for the database; use the one that brought it up to date, or a later one"
    )]
    OldRelease,
    /// The state was kept in the shape of another release, and the events that it follows from are in files.
    #[error(
        "the state of {aggregate_type} {aggregate_id} has to be made anew from archived events: run `registrar journal resnapshot`"
    )]
    OtherShape {
        /// Aggregate type.
        aggregate_type: &'static str,
        /// Aggregate id.
        aggregate_id: String,
    },
    /// Events that are asked for were archived.
    #[error("events up to position {until} were archived and are no longer in the database")]
    Archived {
        /// The last position that was.
        until: u64,
    },
    /// What is stored cannot be what was written.
    #[error("stored data is not readable")]
    Corrupt(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl JournalError {
    /// A failure of the database itself.
    pub fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        JournalError::Unavailable(Arc::new(source))
    }

    /// Stored data that does not have its shape.
    pub fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        JournalError::Corrupt(Arc::from(source.into()))
    }
}

impl From<sqlx::Error> for JournalError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                JournalError::corrupt(error)
            }
            sqlx::Error::Database(ref database) if !is_passing(database.code().as_deref()) => {
                JournalError::corrupt(error)
            }
            other => JournalError::unavailable(other),
        }
    }
}

/// Whether what a database reports may be gone at the next try, rather than being wrong with the statement.
///
/// PostgreSQL by error class: connection, transaction state (a standby that is not promoted yet, a session ended for
/// idling), log-in, database, rollback, resources, lock, intervention, system. SQLite by primary result code: busy,
/// locked, out of memory, read-only, interrupted, I/O, full, cannot open.
fn is_passing(code: Option<&str>) -> bool {
    match code {
        Some(code) if code.len() == 5 => {
            ["08", "25", "28", "3D", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
        }
        Some(code) => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5..=10 | 13 | 14)),
        None => true,
    }
}

/// SQL that was put together at run time, as sqlx takes it; nothing else may pass for SQL that is not a constant. It is
/// safe since its parts are this program's own: constants, names of declared collections and keys, names of tables and
/// the text of a trigger that its migrations made, and numbers. Values are bound, whoever they come from.
pub(crate) fn assembled(text: impl Into<Cow<'static, str>>) -> SqlStr {
    AssertSqlSafe(text.into()).into_sql_str()
}

/// The result of anything asked of a journal.
pub type JournalResult<T> = Result<T, JournalError>;

/// Number of the schema that a release knows: that of its last migration.
pub(crate) fn schema(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Whether a release that knows `schema` may serve a database that wants at least `least`.
pub(crate) fn check_schema(least: i64, schema: i64) -> JournalResult<()> {
    if least > schema { Err(JournalError::OldRelease) } else { Ok(()) }
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
    pub frontier: merkle::Frontier,
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
    /// Keyed digest of it, see [`crate::read_store`]; empty for a delete.
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
    fn bounds(self) -> [i64; 2] {
        [self.events, self.bytes].map(|bound| i64::try_from(bound).unwrap_or(i64::MAX))
    }
}

/// What one commit writes, all or nothing.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Position that the journal must end at.
    pub expected_head: u64,
    /// The tree before it: tells the end of this history from that of another one at the same position.
    pub expected_frontier: merkle::Frontier,
    /// Generation that the documents belong to.
    pub generation: u64,
    /// Commit time of every event in it.
    pub recorded_at: DateTime<Utc>,
    /// The tree after it.
    pub frontier: merkle::Frontier,
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
    fn told_apart(places: Vec<usize>, batch: &Batch) -> (Vec<usize>, Vec<usize>) {
        let changed = batch.streams.len();
        let (streams, reads): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| *place < changed);
        (streams, reads.into_iter().map(|place| place - changed).collect())
    }
}

/// How far events were published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Position of the last event.
    pub position: u64,
    /// Its sequence in the stream.
    pub sequence: u64,
}

/// Reads how far events were published. Understood by both stores.
pub(crate) const PUBLISHED: &str = "SELECT position, sequence FROM published WHERE id = 1";
/// Notes how far events were published. Understood by both stores.
pub(crate) const NOTE_PUBLISHED: &str = "INSERT INTO published (id, position, sequence) VALUES (1, $1, $2) \
     ON CONFLICT (id) DO UPDATE SET position = excluded.position, sequence = excluded.sequence";

/// How far the clock of a node may be ahead of the one that all nodes share, in seconds. What is recorded is recorded for
/// ever, and no later event may bear an earlier time.
pub const CLOCK_AHEAD_MAX_SECS: i64 = 5;

/// This node's clock is ahead of the database's.
#[derive(Debug, thiserror::Error)]
#[error("the clock of this node is more than {CLOCK_AHEAD_MAX_SECS} seconds ahead of the database's")]
pub struct ClockAhead;

/// Moves the checkpoint ($3) of a follower ($1) of a generation ($2), unless it is another one than was known ($4); one that
/// has none yet begins at 0. Understood by both stores.
pub(crate) const FENCE: &str = "INSERT INTO followers (name, generation, checkpoint) \
     SELECT $1, $2, $3 WHERE $4 = 0 OR EXISTS (SELECT 1 FROM followers WHERE name = $1 AND generation = $2) \
     ON CONFLICT (name, generation) DO UPDATE SET checkpoint = excluded.checkpoint WHERE followers.checkpoint = $4";

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

/// Reading the journal. Safe to call from anywhere; every call sees everything committed before it.
#[async_trait]
pub trait Journal: Send + Sync {
    /// The end of the journal.
    async fn head(&self) -> JournalResult<Head>;

    /// Events of one stream after `after_sequence`, in order, all of them: `Archived` if some are not here.
    async fn stream(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> JournalResult<Vec<StoredEvent>>;

    /// Up to `limit` events of one stream, named by type and id, after `after_sequence` and at or before position
    /// `until`.
    async fn stream_page(
        &self,
        stream: (&str, &str),
        after_sequence: u64,
        until: u64,
        limit: usize,
    ) -> JournalResult<StreamPage>;

    /// Up to `limit` events after position `after`, in order, without gaps.
    async fn read(&self, after: u64, limit: usize) -> JournalResult<Vec<StoredEvent>> {
        self.read_portion(after, Portion { events: limit, bytes: usize::MAX }).await
    }

    /// A portion of the events after position `after`, in order, without gaps.
    async fn read_portion(&self, after: u64, portion: Portion) -> JournalResult<Vec<StoredEvent>>;

    /// A portion of the events after position `after` up to `until` that fit `filter`, in order. There may be fewer
    /// of them than there are; how far was looked stands beside them.
    async fn select(&self, filter: &EventFilter, after: u64, until: u64, portion: Portion) -> JournalResult<Selection>;

    /// Aggregates whose first event that carries `organization` stands after position `after` up to `until`, found by
    /// looking at no more than `limit` events of the organization.
    async fn members(&self, organization: &str, after: u64, until: u64, limit: usize) -> JournalResult<Members>;

    /// Between which positions the last event stands that was recorded at `time` or before, 0 where there is none: one
    /// position, unless it was archived. No event that is here stands between them.
    async fn position_at(&self, time: DateTime<Utc>) -> JournalResult<RangeInclusive<u64>>;

    /// The event at `position` if it was archived and is here all the same, since its stream is loaded from it.
    async fn carried(&self, position: u64) -> JournalResult<Option<StoredEvent>>;

    /// Position up to which events that may fit `filter`, at or before position `until`, were archived; 0 if there are
    /// none.
    async fn archived_for(&self, filter: &EventFilter, until: u64) -> JournalResult<u64>;

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

    /// Forgets answers that have expired.
    async fn forget_answers(&self) -> JournalResult<u64>;

    /// How far events were published; none if that was never noted.
    async fn published(&self) -> JournalResult<Option<Published>>;

    /// Notes how far events were published.
    async fn note_published(&self, published: Published) -> JournalResult<()>;

    /// The clock that all nodes share; `None` where the store has no clock of its own.
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
    async fn build(&mut self, generation: u64, rows: &crate::folding::Rows, checkpoint: u64) -> JournalResult<()>;

    /// Writes what a follower has folded from the first of two checkpoints to the second, and that it has got there, in one
    /// transaction.
    ///
    /// False, and nothing written, if the generation is served no longer, or if the checkpoint is another one than the
    /// first: another node leads by now, and what both have folded must not count twice.
    async fn follow(
        &mut self,
        generation: u64,
        follower: &str,
        rows: &crate::folding::Rows,
        checkpoints: (u64, u64),
    ) -> JournalResult<bool>;

    /// How far a follower has got in the documents of a generation.
    async fn checkpoint(&mut self, generation: u64, follower: &str) -> JournalResult<u64>;

    /// Inside [`JournalWriter::lock`]: writes the last documents of a generation, serves it from now on, retires the
    /// one before it and lets go of the head.
    async fn swap(&mut self, generation: u64, rows: &crate::folding::Rows) -> JournalResult<()>;
}

/// Checks that events follow `after` without a gap, up to `limit` of them or to `head`: a reader must never pass over
/// one, nor take a journal whose end is lost for a shorter one.
fn dense(after: u64, portion: Portion, head: u64, events: Vec<StoredEvent>) -> JournalResult<Vec<StoredEvent>> {
    let gap = (after + 1..).zip(&events).find(|(expected, event)| *expected != event.position);
    let end = after + events.len() as u64;
    let missing = match gap {
        Some((expected, _)) => Some(expected),
        None if !portion.is_full(&events) && end < head => Some(end + 1),
        None => None,
    };
    match missing {
        Some(position) => Err(JournalError::corrupt(format!("the event at position {position} is missing"))),
        None => Ok(events),
    }
}
