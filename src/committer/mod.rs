//! The committer: gathers the commands that arrive at once, folds the read models over their events in memory and
//! writes everything in one statement. The only writer of its node; others may write to the same database.
//!
//! One loop commits batch after batch. While one is written the next is drafted, as if the first were on disk already;
//! the draft is void if that fails, and none is made under a lock or before a retry. The caches (the head, documents,
//! versions) are valid while the head is the one that the committer knows. The store compares that at every commit;
//! after a lost race the retry locks the head first and cannot lose again, and so do the next batches until no other
//! writer has committed in between.
//!
//! A commit compares the head (position, generation, frontier), the versions of the streams that change and of those
//! that were only read, the claims and the idempotency keys. If the head has moved, nothing is written: the caches
//! drop the documents that the events in between touched, and the batch is folded again. If another condition fails,
//! the store names it; the losers are answered and the rest of the batch is sent again.

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
use crate::read_store::DocumentCache;
use crate::store::DocumentStore;
use crate::vault::{KeysBySubject, Vault};
use intake::Intake;
use registrar_aggregates::{Claim, DomainEvent, Metadata};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::{mpsc, oneshot};
use writer_loop::WriterLoop;

/// Length of the committer's queue; callers beyond it wait to enter.
const QUEUE_LENGTH: usize = 4096;
/// Most commands in one batch.
const BATCH_SIZE_MAX: usize = 512;

/// The version of a stream that a writer expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Exactly this version; 0 for a stream that does not exist yet.
    Exact(u64),
    /// Any version: the events depend on no state.
    Any,
}

/// An event to be stored.
pub struct NewEvent {
    /// The event, with personal values in the clear.
    pub event: Arc<DomainEvent>,
    /// Name of the event.
    pub event_type: String,
    /// Version of the payload's shape.
    pub event_version: String,
    /// Canonical JSON, sealed.
    pub payload: String,
    /// Claims that the event takes and releases, with the digest of each key.
    pub claims: Vec<(Claim, String)>,
}

/// Events for one stream.
pub struct StreamAppend {
    /// The stream appended to.
    pub stream: StreamId,
    /// The version it must have.
    pub expected: ExpectedVersion,
    /// At least one.
    pub events: Vec<NewEvent>,
}

/// Events and answer of one command, stored all or nothing.
pub struct Append {
    /// Appends, one for each stream. Empty where only an answer is stored.
    pub streams: Vec<StreamAppend>,
    /// Versions of the streams that the command read and does not change, each once; 0 for one that must not exist yet.
    pub reads: Vec<(StreamId, u64)>,
    /// Shared by all events.
    pub metadata: Arc<Metadata>,
    /// The metadata as canonical JSON, sealed.
    pub metadata_text: String,
    /// Keys made for people who had none.
    pub subject_keys: Vec<SubjectKeyStep>,
    /// Keys that documents about these people are sealed with.
    pub keys: KeysBySubject,
    /// Slot for the stored answer.
    pub answer: Option<Arc<AnswerSlot>>,
    /// Number of the history that the command read ([`Histories::current`]): versions are comparable within one history
    /// only.
    pub history: u64,
}

impl Append {
    /// Whether the command depends on the state of a stream.
    fn rests_on_history(&self) -> bool {
        !self.reads.is_empty() || self.streams.iter().any(|append| append.expected != ExpectedVersion::Any)
    }
}

/// A command with the reply channel of its caller.
struct Job {
    append: Append,
    reply: oneshot::Sender<JournalResult<Outcome>>,
}

/// A node's shared knowledge of the head of the journal.
#[derive(Clone)]
pub struct Progress {
    /// Position of the last event known to be on disk.
    pub heads: HeadSender,
    /// Generation of the served documents.
    pub generation: Arc<AtomicU64>,
    /// Cached documents.
    pub cache: Arc<DocumentCache>,
    /// Counts the histories of the database.
    pub histories: Arc<Histories>,
}

impl Progress {
    /// Notes a head, if it is later than the known one.
    pub fn advance(&self, position: u64) {
        self.heads.advance(position);
    }

    /// Clears all caches: the database has another history, whose head is `head`.
    pub(crate) fn begin_another_history(&self, head: &Head) {
        tracing::error!(position = head.position, "the database has gone back: what this node remembers is forgotten");
        metrics::counter!("registrar_histories_total").increment(1);
        self.heads.go_back(head.position);
        self.histories.begin();
        self.cache.clear(self.histories.current());
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

    /// Number of the current history, to be read before any state that a command is decided by.
    #[must_use]
    pub fn history(&self) -> u64 {
        self.histories.current()
    }

    /// Stores the events of a command and returns once they are on disk.
    ///
    /// # Errors
    /// `VersionConflict`, also of a stream that was only read, and where another history has begun since; `ClaimTaken`,
    /// `AlreadyAnswered`, `NotFoldable`: nothing was stored. `Unavailable`: nothing is known to be stored.
    pub async fn append(&self, append: Append) -> JournalResult<Outcome> {
        let (reply, answer) = oneshot::channel();
        let gone = || JournalError::unavailable(std::io::Error::other("the committer has stopped"));
        self.queue.send(Job { append, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
