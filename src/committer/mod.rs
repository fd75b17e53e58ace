//! The committer: gathers the commands that arrive at once, folds the read models over their events in memory and
//! writes everything in one statement. The only writer of its node; others may write to the same database.
//!
//! While one batch is written the next is drafted, as if the first were on disk already. What it keeps in memory (the
//! head, documents, versions) holds while the head is the one it knows. The store compares that at every commit; after
//! a lost comparison the next try locks the head first and cannot lose again, and so do the next batches until nobody else
//! was there in between.

mod draft;
pub mod folding;
pub mod heads;
pub mod history;
pub mod idempotency;
mod intake;
mod memory;
pub mod outcome;
mod pipelining;
mod writer_loop;

use crate::committer::heads::HeadSender;
use crate::committer::history::Histories;
use crate::committer::idempotency::AnswerSlot;
use crate::committer::outcome::Outcome;
use crate::journal::{Head, Journal, JournalError, JournalResult, StreamId, SubjectKeyStep};
use crate::read_store::Recent;
use crate::store::DocumentStore;
use crate::vault::{KeysBySubject, Vault};
use intake::Intake;
use registrar_aggregates::{Claim, DomainEvent, Metadata};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::{mpsc, oneshot};
use writer_loop::WriterLoop;

/// Commands that wait for the committer before callers wait in turn.
const QUEUE_LENGTH: usize = 4096;
/// Commands in one batch.
const BATCH_SIZE_MAX: usize = 512;

/// What a writer takes the version of a stream to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Just this one; 0 for a stream that does not exist yet.
    Exact(u64),
    /// Whatever it is: the events depend on nothing.
    Any,
}

/// An event to be stored.
pub struct NewEvent {
    /// The event, open.
    pub event: Arc<DomainEvent>,
    /// Its name.
    pub event_type: String,
    /// Version of its shape.
    pub event_version: String,
    /// Canonical JSON, sealed.
    pub payload: String,
    /// What it takes and releases, with the digest of the key.
    pub claims: Vec<(Claim, String)>,
}

/// Events for one stream.
pub struct StreamAppend {
    /// Which.
    pub stream: StreamId,
    /// The version it must have.
    pub expected: ExpectedVersion,
    /// At least one.
    pub events: Vec<NewEvent>,
}

/// What one command stores, all or nothing.
pub struct Append {
    /// Each stream once. None at all where only an answer is remembered.
    pub streams: Vec<StreamAppend>,
    /// Versions of the streams that the command was decided by and does not change, each once; 0 for one that must not
    /// exist yet.
    pub reads: Vec<(StreamId, u64)>,
    /// Shared by all events.
    pub metadata: Arc<Metadata>,
    /// The same as canonical JSON, sealed.
    pub metadata_text: String,
    /// Keys made for persons who had none.
    pub subject_keys: Vec<SubjectKeyStep>,
    /// Keys that documents about these persons are sealed with.
    pub keys: KeysBySubject,
    /// Where the answer is remembered.
    pub answer: Option<Arc<AnswerSlot>>,
    /// Number of the history that it was decided by ([`Histories::current`]): what is known of a stream at a version is
    /// good in that one alone.
    pub history: u64,
}

impl Append {
    /// Whether it was decided by the state of a stream, rather than whatever that is.
    fn rests_on_history(&self) -> bool {
        !self.reads.is_empty() || self.streams.iter().any(|append| append.expected != ExpectedVersion::Any)
    }
}

/// A command with the one who waits for it.
struct Job {
    append: Append,
    reply: oneshot::Sender<JournalResult<Outcome>>,
}

/// What a node knows of the end of the journal, for everyone to read.
#[derive(Clone)]
pub struct Progress {
    /// Position of the last event known to be on disk.
    pub heads: HeadSender,
    /// Generation of documents that is served.
    pub generation: Arc<AtomicU64>,
    /// Look-ups of documents that are good for as long as no commit has changed them.
    pub recent: Arc<Recent>,
    /// Counts the histories that the database has told.
    pub histories: Arc<Histories>,
}

impl Progress {
    /// Notes a head, if it is later than the known one.
    pub fn advance(&self, position: u64) {
        self.heads.advance(position);
    }

    /// Forgets everything: the database tells another history than it did, which ends at `head`.
    pub(crate) fn begin_another_history(&self, head: &Head) {
        tracing::error!(position = head.position, "the database has gone back: what this node remembers is forgotten");
        metrics::counter!("registrar_histories_total").increment(1);
        self.heads.go_back(head.position);
        self.recent.clear();
        self.histories.begin();
    }
}

/// Hands commands to the committing task. Cheap to clone.
#[derive(Clone)]
pub struct Committer {
    queue: mpsc::Sender<Job>,
    histories: Arc<Histories>,
}

impl Committer {
    /// Starts the committing task. It ends when every clone of the committer is gone and the queue is empty.
    #[must_use]
    pub fn start(
        journal: Journal,
        read_store: Arc<dyn DocumentStore>,
        vault: Arc<Vault>,
        progress: Progress,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, jobs) = mpsc::channel(QUEUE_LENGTH);
        let histories = Arc::clone(&progress.histories);
        let task = WriterLoop::new(journal, read_store, vault, progress);
        (Committer { queue, histories }, tokio::spawn(task.run(Intake::new(jobs))))
    }

    /// Number of the history that counts, to be asked before anything is read that a command is decided by.
    #[must_use]
    pub fn history(&self) -> u64 {
        self.histories.current()
    }

    /// Stores what a command brings and answers once it is on disk.
    ///
    /// # Errors
    /// `VersionConflict`, also of a stream that was only read, and where another history has begun since; `ClaimTaken`, `AlreadyAnswered`, `NotFoldable`: nothing was
    /// stored. `Unavailable`: nothing is known to be stored.
    pub async fn append(&self, append: Append) -> JournalResult<Outcome> {
        let (reply, answer) = oneshot::channel();
        let gone = || JournalError::unavailable(std::io::Error::other("the committer has stopped"));
        self.queue.send(Job { append, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
