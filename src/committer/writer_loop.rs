//! The committing task: batch after batch, and recovery from failed ones.
//!
//! - A job whose events cannot be folded is tried alone with the head locked. It is answered a conflict if it has lost
//!   a race, otherwise that its events are wrong.
//! - If the connection breaks during a commit, the leaf hash of the batch's last event tells whether the commit
//!   happened.
//! - A panic in a job fails this job only (`draft.rs`). If the committing task ends all the same, the process ends
//!   (`node`).

use super::draft::{BuiltBatch, Draft, PendingBatch};
use super::intake::Intake;
use super::{Append, ExpectedVersion, Job, Progress};
use crate::committer::outcome::Outcome;
use crate::journal::{
    ClockAhead, Committed, FailedConditions, Head, Journal, JournalError, JournalResult, JournalWriter, StreamId,
};
use crate::store::DocumentStore;
use crate::vault::Vault;
use quick_cache::unsync::Cache;
use registrar_aggregates::Claim;
use registrar_projections::FoldError;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Size of the cache of stream versions, for appends without an expected version.
const CACHED_VERSIONS: usize = 10_000;
/// Longest wait for the database to store a batch, before it counts as unavailable.
const WRITE_TIMEOUT: Duration = Duration::from_secs(8);

/// Jobs not known to be stored, with the reason; they are not answered yet.
pub(super) struct Uncommitted {
    pub(super) jobs: Vec<Job>,
    error: JournalError,
}

/// Knowledge from an earlier try of the same batch.
#[derive(Default)]
pub(super) struct Attempt {
    /// Whether the head has to be locked before anything else.
    pub(super) lock_first: bool,
    /// A batch of the same jobs whose commit was not acknowledged.
    pub(super) doubtful: Option<(Arc<BuiltBatch>, Vec<Outcome>)>,
    /// Whether the retry for a broken connection has been used.
    pub(super) tried_again: bool,
}

/// Result of writing a batch.
pub(super) enum Verdict {
    /// All jobs are answered.
    Settled,
    /// These jobs must be tried again.
    Again(Vec<Job>),
    /// The batch is not known to be stored.
    Failed(Uncommitted),
}

pub(super) struct WriterLoop {
    pub(super) journal: Journal,
    pub(super) read_store: Arc<dyn DocumentStore>,
    pub(super) vault: Arc<Vault>,
    pub(super) progress: Progress,
    /// The connection that commits; away while a batch is written.
    pub(super) writer: Option<Box<dyn JournalWriter>>,
    /// A second connection, for reads meanwhile.
    pub(super) scout: Option<Box<dyn JournalWriter>>,
    pub(super) known: Option<Head>,
    /// Head known when the connection broke, to be compared with that of the next one.
    pub(super) before: Option<Head>,
    /// Number of the head's history.
    pub(super) history: u64,
    /// Whether other nodes commit as well, as of the last comparison. If so, the head is locked first, instead of after
    /// a lost race.
    contended: bool,
    pub(super) versions: Cache<StreamId, u64>,
    /// Jobs removed from their batch since their events could not be folded; not answered yet.
    unfolded: VecDeque<Job>,
}

impl WriterLoop {
    pub(super) fn new(
        journal: Journal,
        read_store: Arc<dyn DocumentStore>,
        vault: Arc<Vault>,
        progress: Progress,
    ) -> Self {
        WriterLoop {
            journal,
            read_store,
            vault,
            progress,
            writer: None,
            scout: None,
            known: None,
            before: None,
            history: 0,
            contended: false,
            versions: Cache::new(CACHED_VERSIONS),
            unfolded: VecDeque::new(),
        }
    }

    pub(super) async fn run(mut self, mut intake: Intake) {
        while intake.wait().await {
            intake.begin();
            self.forget_former_histories();
            let (jobs, attempt) = match &self.known {
                Some(head) if self.writer.is_some() && !self.contended => {
                    match self.stream(head.clone(), &mut intake).await {
                        Some(held_up) => held_up,
                        None => continue,
                    }
                }
                _ => (intake.gather(0), Attempt { lock_first: self.contended, ..Attempt::default() }),
            };
            if let Err(Uncommitted { jobs, error }) = self.commit(jobs, attempt).await {
                match error {
                    // The database rejects one of them; committed alone, it fails no other.
                    JournalError::Corrupt(_) if jobs.len() > 1 => {
                        for job in jobs {
                            self.commit_alone(job, Attempt::default()).await;
                        }
                    }
                    // The database was unavailable twice in a row: later jobs need not find that out batch by batch.
                    JournalError::Unavailable(_) => {
                        let unfolded = std::mem::take(&mut self.unfolded);
                        refuse(jobs.into_iter().chain(unfolded).chain(intake.drain()), &error);
                    }
                    error => refuse(jobs, &error),
                }
            }
            // Each alone and under the lock: neither another job nor another node may be the reason that it cannot be
            // folded.
            while let Some(job) = self.unfolded.pop_front() {
                self.commit_alone(job, Attempt { lock_first: true, ..Attempt::default() }).await;
            }
        }
    }

    async fn commit_alone(&mut self, job: Job, attempt: Attempt) {
        if let Err(alone) = self.commit(vec![job], attempt).await {
            refuse(alone.jobs, &alone.error);
        }
    }

    /// Commits these jobs and answers all but those it returns.
    async fn commit(&mut self, mut jobs: Vec<Job>, mut attempt: Attempt) -> Result<(), Uncommitted> {
        while !jobs.is_empty() {
            let mut ready = match bounded(self.prepare(&mut jobs, &attempt)).await {
                Ok(Some(ready)) => ready,
                Ok(None) => {
                    if let Some((built, outcomes)) = attempt.doubtful.take() {
                        self.committed(PendingBatch { jobs, outcomes, built, unfolded: Vec::new() });
                    }
                    break;
                }
                // A rebuild has swapped generations and dropped the known one: the locked head names the other.
                Err(JournalError::OtherGeneration) if !attempt.lock_first => {
                    attempt.lock_first = true;
                    continue;
                }
                // A connection may break while the database lives on; a retry hides that from callers.
                Err(JournalError::Unavailable(_)) if !attempt.tried_again => {
                    self.disconnect();
                    attempt.tried_again = true;
                    continue;
                }
                Err(error) => {
                    self.disconnect();
                    return Err(Uncommitted { jobs, error });
                }
            };
            attempt.doubtful = None;
            let alone = attempt.lock_first && ready.jobs.is_empty() && ready.unfolded.len() == 1;
            for (job, error) in std::mem::take(&mut ready.unfolded) {
                if alone {
                    let why = self.why_unfolded(&job, error).await;
                    let _ = job.reply.send(Err(why));
                } else {
                    self.unfolded.push_back(job);
                }
            }
            if ready.jobs.is_empty() {
                break;
            }
            let Some(writer) = self.writer.as_mut() else {
                jobs = ready.jobs;
                continue;
            };
            let written = bounded(writer.commit(&ready.built.batch)).await;
            match self.judge(ready, written, &mut attempt) {
                Verdict::Settled => return Ok(()),
                Verdict::Again(again) => jobs = again,
                Verdict::Failed(failed) => return Err(failed),
            }
        }
        if attempt.lock_first
            && let Some(writer) = self.writer.as_mut()
            && bounded(writer.unlock()).await.is_err()
        {
            self.disconnect();
        }
        Ok(())
    }

    /// Turns the answer of the store into answers to callers and the next try.
    pub(super) fn judge(
        &mut self,
        mut ready: PendingBatch,
        written: JournalResult<Committed>,
        attempt: &mut Attempt,
    ) -> Verdict {
        match written {
            Ok(Committed::Yes) => {
                self.committed(ready);
                Verdict::Settled
            }
            Ok(Committed::HeadMoved) => {
                metrics::counter!("registrar_commit_head_moved_total").increment(1);
                attempt.lock_first = true;
                self.contended = true;
                Verdict::Again(ready.jobs)
            }
            Ok(Committed::ClockAhead) => {
                metrics::counter!("registrar_commit_clock_ahead_total").increment(1);
                let error = JournalError::unavailable(ClockAhead);
                tracing::error!(error = &error as &dyn std::error::Error, "nothing is committed");
                Verdict::Failed(Uncommitted { jobs: ready.jobs, error })
            }
            Ok(Committed::Lost(lost)) => {
                attempt.lock_first = false;
                self.answer_losers(&mut ready.jobs, &ready.built, &lost);
                Verdict::Again(ready.jobs)
            }
            Err(JournalError::Unavailable(_)) if !attempt.tried_again => {
                self.disconnect();
                *attempt =
                    Attempt { lock_first: true, doubtful: Some((ready.built, ready.outcomes)), tried_again: true };
                Verdict::Again(ready.jobs)
            }
            Err(error) => {
                self.disconnect();
                Verdict::Failed(Uncommitted { jobs: ready.jobs, error })
            }
        }
    }

    /// Builds the batch of `jobs`, or `None` if they are on disk already: the commit of a doubtful batch may have
    /// happened all the same, or be about to. The holder of the head's lock can tell, since that commit either came
    /// before or will find the head moved.
    async fn prepare(&mut self, jobs: &mut Vec<Job>, attempt: &Attempt) -> JournalResult<Option<PendingBatch>> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(self.journal.writer().await?),
        };
        if attempt.lock_first {
            let head = writer.lock().await?;
            if let Some((doubtful, _)) = &attempt.doubtful
                && is_on_disk(&self.journal, doubtful).await?
            {
                return Ok(None);
            }
            self.contended = self.known.as_ref().is_some_and(|known| known.position != head.position);
            self.catch_up(head).await?;
        } else if self.known.is_none() {
            let head = self.journal.head().await?;
            self.catch_up(head).await?;
        }
        *jobs = self.without_former_histories(std::mem::take(jobs));
        let mut draft = Draft::on(self.known.clone().ok_or(JournalError::OtherGeneration)?);
        // Up to here, and during the read below, the jobs stay with the caller: a timeout may cancel this function.
        let missing = self.recall(&mut draft, jobs, None);
        if let Some(writer) = &mut self.writer {
            missing.find(&mut **writer, &self.vault).await?.provide(&mut draft);
        }
        if let Err(error) = draft.add_all(std::mem::take(jobs), &self.vault) {
            *jobs = draft.into_jobs();
            return Err(error);
        }
        match draft.finish(&self.vault) {
            Ok(ready) => Ok(Some(ready)),
            Err((all, error)) => {
                *jobs = all;
                Err(error)
            }
        }
    }

    /// Reason why the events of a job cannot be folded upon the locked head: it has lost to another job, or its events
    /// are wrong.
    async fn why_unfolded(&mut self, job: &Job, error: FoldError) -> JournalError {
        match bounded(self.lost(job)).await {
            Ok(Some(lost)) => lost,
            Ok(None) => {
                tracing::error!(error = &error as &dyn std::error::Error, "events were refused by a projection");
                JournalError::NotFoldable(error)
            }
            Err(error) => {
                self.disconnect();
                error
            }
        }
    }

    /// The condition by which a job loses, compared one after the other, in the order in which losers of a batch are
    /// reported.
    async fn lost(&mut self, job: &Job) -> JournalResult<Option<JournalError>> {
        let Append { streams, reads, answer, .. } = &job.append;
        if let Some(slot) = answer
            && self.journal.answer(slot.key()).await?.is_some()
        {
            return Ok(Some(JournalError::AlreadyAnswered));
        }
        let changed = streams.iter().filter_map(|append| match append.expected {
            ExpectedVersion::Exact(version) => Some((append.stream.clone(), version)),
            ExpectedVersion::Any => None,
        });
        let (compared, expected): (Vec<StreamId>, Vec<u64>) = changed.chain(reads.iter().cloned()).unzip();
        if let Some(writer) = &mut self.writer
            && writer.versions(&compared).await? != expected
        {
            return Ok(Some(JournalError::VersionConflict));
        }
        for append in streams {
            for (claim, digest) in append.events.iter().flat_map(|event| &event.claims) {
                if let Claim::Take(key) = claim
                    && let Some((aggregate_type, aggregate_id)) = self.journal.claim_holder(digest).await?
                    && (aggregate_type != append.stream.aggregate_type || aggregate_id != append.stream.aggregate_id)
                {
                    return Ok(Some(JournalError::ClaimTaken { field: key.field }));
                }
            }
        }
        Ok(None)
    }

    fn answer_losers(&mut self, jobs: &mut Vec<Job>, built: &BuiltBatch, lost: &FailedConditions) {
        // The answer first: a request sent twice has lost its streams and claims to itself.
        let answered = lost.answers.iter().map(|&index| (built.answer_owners[index], JournalError::AlreadyAnswered));
        let mut verdicts: HashMap<usize, JournalError> = answered.collect();
        for &index in &lost.streams {
            let owner = &built.stream_owners[index];
            match owner.expected {
                ExpectedVersion::Exact(_) => {
                    verdicts.entry(owner.job).or_insert(JournalError::VersionConflict);
                }
                // No version was expected: the cached version was wrong, not the command.
                ExpectedVersion::Any => {
                    self.versions.remove(&built.batch.streams[index].stream);
                }
            }
        }
        for &index in &lost.reads {
            verdicts.entry(built.read_owners[index]).or_insert(JournalError::VersionConflict);
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
}

/// The hash of its last leaf tells a batch from all others; if it has only answers, the last of these.
async fn is_on_disk(journal: &Journal, built: &BuiltBatch) -> JournalResult<bool> {
    if let Some(last) = built.batch.events.last() {
        let events = journal.read(last.position - 1, 1).await?;
        return Ok(events.first().is_some_and(|event| event.leaf_hash == last.leaf_hash));
    }
    match built.batch.answers.last() {
        Some(last) => Ok(journal.answer(&last.key).await?.as_ref() == Some(&last.answer)),
        None => Ok(false),
    }
}

fn refuse(jobs: impl IntoIterator<Item = Job>, error: &JournalError) {
    for job in jobs {
        let _ = job.reply.send(Err(error.clone()));
    }
}

/// Bounds the wait for a database that is frozen, or behind a network that drops everything.
pub(super) async fn bounded<T>(work: impl Future<Output = JournalResult<T>>) -> JournalResult<T> {
    match tokio::time::timeout(WRITE_TIMEOUT, work).await {
        Ok(done) => done,
        Err(elapsed) => Err(JournalError::unavailable(elapsed)),
    }
}
