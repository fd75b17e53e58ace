//! The committer: gathers the commands that arrive at once, folds the read models over their events in memory and
//! writes everything in one statement. The only writer of its node; others may write to the same database.
//!
//! What it keeps in memory (the head, documents, versions) holds while the head is the one it knows. The store
//! compares that at every commit; after a lost comparison the next try locks the head first and cannot lose again.

mod batch;
mod gather;

use crate::executor::Outcome;
use crate::heads::HeadSender;
use crate::idempotency::AnswerSlot;
use crate::journal::{
    Committed, Head, Journal, JournalError, JournalResult, JournalWriter, Lost, StreamId, SubjectKeyStep, codec,
};
use crate::read_store::ReadStore;
use crate::vault::{KeysBySubject, Vault};
use batch::Built;
use gather::gather;
use quick_cache::unsync::Cache;
use registrar_aggregates::{Claim, DomainEvent, Metadata};
use registrar_projections::{AnyDocument, DocumentKey};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Commands that wait for the committer before callers wait in turn.
const QUEUE_LENGTH: usize = 4096;
/// Commands in one batch.
const BATCH_SIZE_MAX: usize = 512;
/// Documents kept in memory.
const CACHED_DOCUMENTS: usize = 10_000;
/// Versions of streams kept in memory, for appends that expect none.
const CACHED_VERSIONS: usize = 10_000;
/// How long the database may take over a batch before it counts as away.
const WRITE_TIMEOUT: Duration = Duration::from_secs(8);
/// Events of others that are looked at one by one to keep the caches; beyond it they are emptied.
const CATCH_UP_MAX: u64 = 5_000;

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
}

impl Progress {
    /// Notes a head, if it is later than the known one.
    pub fn advance(&self, position: u64) {
        self.heads.advance(position);
    }
}

/// Hands commands to the committing task. Cheap to clone.
#[derive(Clone)]
pub struct Committer {
    queue: mpsc::Sender<Job>,
}

impl Committer {
    /// Starts the committing task. It ends when every clone of the committer is gone and the queue is empty.
    #[must_use]
    pub fn start(
        journal: Arc<dyn Journal>,
        read_store: Arc<dyn ReadStore>,
        vault: Arc<Vault>,
        progress: Progress,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, jobs) = mpsc::channel(QUEUE_LENGTH);
        let task = Task {
            journal,
            read_store,
            vault,
            progress,
            writer: None,
            known: None,
            documents: Cache::new(CACHED_DOCUMENTS),
            versions: Cache::new(CACHED_VERSIONS),
        };
        (Committer { queue }, tokio::spawn(task.run(jobs)))
    }

    /// Stores what a command brings and answers once it is on disk.
    ///
    /// # Errors
    /// `VersionConflict`, `ClaimTaken`, `AlreadyAnswered`, `NotFoldable`: nothing was stored. `Unavailable`: nothing
    /// is known to be stored.
    pub async fn append(&self, append: Append) -> JournalResult<Outcome> {
        let (reply, answer) = oneshot::channel();
        let gone = || JournalError::unavailable(std::io::Error::other("the committer has stopped"));
        self.queue.send(Job { append, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// Jobs of a batch of which nothing is known to be stored, and why; they are not answered yet.
struct Uncommitted {
    jobs: Vec<Job>,
    error: JournalError,
}

struct Task {
    journal: Arc<dyn Journal>,
    read_store: Arc<dyn ReadStore>,
    vault: Arc<Vault>,
    progress: Progress,
    writer: Option<Box<dyn JournalWriter>>,
    known: Option<Head>,
    documents: Cache<DocumentKey, Arc<AnyDocument>>,
    versions: Cache<StreamId, u64>,
}

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut waiting = VecDeque::new();
        let mut arrived = Vec::with_capacity(BATCH_SIZE_MAX);
        loop {
            if waiting.is_empty() && queue.recv_many(&mut arrived, BATCH_SIZE_MAX).await == 0 {
                return;
            }
            while waiting.len() + arrived.len() < BATCH_SIZE_MAX
                && let Ok(job) = queue.try_recv()
            {
                arrived.push(job);
            }
            waiting.extend(arrived.drain(..));
            let jobs = gather(&mut waiting);
            metrics::histogram!("registrar_commit_batch_size").record(jobs.len() as f64);
            let Err(Uncommitted { jobs, error }) = self.commit(jobs).await else { continue };
            match error {
                // One of them is what the database cannot take; alone it takes no other with it.
                JournalError::Corrupt(_) if jobs.len() > 1 => {
                    for job in jobs {
                        if let Err(alone) = self.commit(vec![job]).await {
                            refuse(alone.jobs, &alone.error);
                        }
                    }
                }
                // It was not there twice in a row: those behind need not find that out batch by batch.
                JournalError::Unavailable(_) => {
                    while let Ok(job) = queue.try_recv() {
                        waiting.push_back(job);
                    }
                    refuse(jobs.into_iter().chain(waiting.drain(..)), &error);
                }
                error => refuse(jobs, &error),
            }
        }
    }

    /// Commits a batch, answering everyone in it but those whom it returns.
    async fn commit(&mut self, mut jobs: Vec<Job>) -> Result<(), Uncommitted> {
        let mut lock_first = false;
        let mut doubtful = None;
        let mut tried_again = false;
        while !jobs.is_empty() {
            let built = match bounded(self.prepare(&mut jobs, lock_first, doubtful.as_ref())).await {
                Ok(Some(built)) => built,
                Ok(None) => {
                    if let Some(built) = doubtful {
                        self.committed(jobs, built);
                    }
                    break;
                }
                // A connection may break while the database lives on, and then nobody need know.
                Err(JournalError::Unavailable(_)) if !tried_again => {
                    self.disconnect();
                    tried_again = true;
                    continue;
                }
                Err(error) => {
                    self.disconnect();
                    return Err(Uncommitted { jobs, error });
                }
            };
            doubtful = None;
            if jobs.is_empty() {
                break;
            }
            let Some(writer) = self.writer.as_mut() else { continue };
            match bounded(writer.commit(&built.batch)).await {
                Ok(Committed::Yes) => {
                    self.committed(jobs, built);
                    return Ok(());
                }
                Ok(Committed::HeadMoved) => {
                    metrics::counter!("registrar_commit_head_moved_total").increment(1);
                    lock_first = true;
                }
                Ok(Committed::Lost(lost)) => {
                    lock_first = false;
                    self.answer_losers(&mut jobs, &built, &lost);
                }
                Err(JournalError::Unavailable(_)) if !tried_again => {
                    self.disconnect();
                    (tried_again, lock_first, doubtful) = (true, true, Some(built));
                }
                Err(error) => {
                    self.disconnect();
                    return Err(Uncommitted { jobs, error });
                }
            }
        }
        if lock_first
            && let Some(writer) = self.writer.as_mut()
            && bounded(writer.unlock()).await.is_err()
        {
            self.disconnect();
        }
        Ok(())
    }

    /// Builds the batch of `jobs`, or nothing if they are on disk already: `doubtful` is a batch of theirs whose commit
    /// was not answered. It may have happened all the same, or be about to. Whoever holds the head can tell, since it
    /// has come before or will find the head moved.
    async fn prepare(
        &mut self,
        jobs: &mut Vec<Job>,
        lock_first: bool,
        doubtful: Option<&Built>,
    ) -> JournalResult<Option<Built>> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(self.journal.writer().await?),
        };
        if lock_first {
            let head = writer.lock().await?;
            if let Some(doubtful) = doubtful
                && is_on_disk(&*self.journal, doubtful).await?
            {
                return Ok(None);
            }
            self.catch_up(head).await?;
        } else if self.known.is_none() {
            let head = self.journal.head().await?;
            self.catch_up(head).await?;
        }
        self.build(jobs).await.map(Some)
    }

    /// Takes `head` as the end of the journal and drops from memory what the events up to it have touched.
    async fn catch_up(&mut self, head: Head) -> JournalResult<()> {
        if head.generation != self.progress.generation.load(Ordering::Acquire) {
            self.documents.clear();
            self.known = None;
            self.adopt(head.generation).await?;
        }
        let from = self.known.as_ref().map(|known| known.position);
        match from {
            Some(from) if (from..=from + CATCH_UP_MAX).contains(&head.position) => {
                let count = usize::try_from(head.position - from).unwrap_or(usize::MAX);
                let events = self.journal.read(from, count).await?;
                for event in codec::decode(&self.vault, &events).await? {
                    for key in registrar_projections::wants(&event) {
                        self.documents.remove(&key);
                    }
                    let aggregate_type = event.event.aggregate_type();
                    self.versions.remove(&StreamId { aggregate_type, aggregate_id: event.aggregate_id });
                }
            }
            _ => {
                self.documents.clear();
                self.versions.clear();
            }
        }
        self.progress.advance(head.position);
        self.known = Some(head);
        Ok(())
    }

    /// A rebuild has swapped generations. One that this release's projections made is as good as the former one.
    async fn adopt(&mut self, generation: u64) -> JournalResult<()> {
        let signature = self.read_store.signature(generation).await?;
        if signature.as_deref() != Some(registrar_projections::signature().as_str()) {
            return Err(JournalError::OtherGeneration);
        }
        self.progress.generation.store(generation, Ordering::Release);
        Ok(())
    }

    fn committed(&mut self, jobs: Vec<Job>, built: Built) {
        for change in built.changes {
            match change.after {
                Some(document) if change.key.collection.collection().hot => self.documents.insert(change.key, document),
                Some(_) => {}
                None => {
                    self.documents.remove(&change.key);
                }
            }
        }
        for (stream, version) in built.open_versions {
            self.versions.insert(stream, version);
        }
        let position = built.head.position;
        self.progress.advance(position);
        self.known = Some(built.head);
        metrics::counter!("registrar_commits_total").increment(1);
        for (job, mut outcome) in jobs.into_iter().zip(built.outcomes) {
            if let Some(slot) = &job.append.answer {
                slot.set_remembered();
            }
            outcome.position = position;
            // Whoever stopped waiting has lost only the answer.
            let _ = job.reply.send(Ok(outcome));
        }
    }

    fn answer_losers(&mut self, jobs: &mut Vec<Job>, built: &Built, lost: &Lost) {
        // The answer first: a request that comes twice has lost its streams and claims to itself.
        let answered = lost.answers.iter().map(|&index| (built.answer_owners[index], JournalError::AlreadyAnswered));
        let mut verdicts: HashMap<usize, JournalError> = answered.collect();
        for &index in &lost.streams {
            let owner = &built.stream_owners[index];
            match owner.expected {
                ExpectedVersion::Exact(_) => {
                    verdicts.entry(owner.job).or_insert(JournalError::VersionConflict);
                }
                // Nothing was expected: the version in memory was wrong, not the command.
                ExpectedVersion::Any => {
                    self.versions.remove(&built.batch.streams[index].stream);
                }
            }
        }
        for &index in &lost.takes {
            let (job, field) = built.take_owners[index];
            verdicts.entry(job).or_insert(JournalError::ClaimTaken { field });
        }
        for (index, job) in std::mem::take(jobs).into_iter().enumerate() {
            match verdicts.remove(&index) {
                Some(error) => {
                    let _ = job.reply.send(Err(error));
                }
                None => jobs.push(job),
            }
        }
    }

    fn disconnect(&mut self) {
        self.writer = None;
        self.known = None;
        self.documents.clear();
        self.versions.clear();
    }
}

/// The hash of its last leaf tells a batch from all others; where there are only answers, the last of these.
async fn is_on_disk(journal: &dyn Journal, built: &Built) -> JournalResult<bool> {
    if let Some(last) = built.batch.events.last() {
        let events = journal.read(last.position - 1, 1).await?;
        return Ok(events.first().is_some_and(|event| event.leaf_hash == last.leaf_hash));
    }
    match built.batch.answers.last() {
        Some(last) => Ok(journal.answer(&last.key, built.batch.recorded_at).await?.as_ref() == Some(&last.answer)),
        None => Ok(false),
    }
}

fn refuse(jobs: impl IntoIterator<Item = Job>, error: &JournalError) {
    for job in jobs {
        let _ = job.reply.send(Err(error.clone()));
    }
}

/// A database that is frozen, or behind a line that swallows everything, must not hold up its callers for ever.
async fn bounded<T>(work: impl Future<Output = JournalResult<T>>) -> JournalResult<T> {
    match tokio::time::timeout(WRITE_TIMEOUT, work).await {
        Ok(done) => done,
        Err(elapsed) => Err(JournalError::unavailable(elapsed)),
    }
}
