//! The committing task: one batch a turn, and recovery from failed ones.
//!
//! - A batch that fails is tried again with more care, before anything else: with the head locked, over a new
//!   connection, or its jobs one by one.
//! - A job whose events cannot be folded is tried alone with the head locked. It is answered a conflict if it has lost
//!   a race, otherwise that its events are wrong.
//! - If the connection breaks during a commit, the leaf hash of the batch's last event tells whether the commit
//!   happened.
//! - A panic in a job fails this job only (`draft.rs`). If the committing task ends all the same, the process ends
//!   (`node`).

use super::draft::{BuiltBatch, Draft, PendingBatch};
use super::intake::Intake;
use super::pipelining::NextBatch;
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

/// Jobs to be committed as one batch, and the care that they need.
#[derive(Default)]
struct Attempt {
    /// Empty while the jobs are in a draft or a batch.
    jobs: Vec<Job>,
    /// Whether the head has to be locked before anything else.
    lock_first: bool,
    /// A batch of the same jobs whose commit was not acknowledged; only with `tried_again`.
    doubtful: Option<(Arc<BuiltBatch>, Vec<Outcome>)>,
    /// Whether the retry over a new connection has been used.
    tried_again: bool,
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
    /// Batches to be tried before new jobs.
    retries: VecDeque<Attempt>,
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
            retries: VecDeque::new(),
        }
    }

    /// Each turn commits the batch drafted during the last write, else one to be tried again, else one of new jobs.
    pub(super) async fn run(mut self, mut intake: Intake) {
        let mut drafted: Option<NextBatch> = None;
        loop {
            let (mut attempt, draft) = match drafted.take() {
                Some(next) => (Attempt::default(), Ok(self.complete(next).await)),
                None => {
                    let Some(mut attempt) = self.next_attempt(&mut intake).await else { return };
                    let draft = bounded(self.prepare(&mut attempt)).await;
                    (attempt, draft)
                }
            };
            let ready = match draft {
                Ok(draft) => draft.finish(&self.vault),
                Err(error) => Err((std::mem::take(&mut attempt.jobs), error)),
            };
            match ready {
                Ok(ready) => drafted = self.commit(ready, attempt, &mut intake).await,
                Err((jobs, error)) => self.failed(Attempt { jobs, ..attempt }, error, &mut intake),
            }
        }
    }

    /// Waits for jobs, if none are to be tried again; `None` once all senders are gone.
    async fn next_attempt(&mut self, intake: &mut Intake) -> Option<Attempt> {
        if let Some(retry) = self.retries.pop_front() {
            return Some(retry);
        }
        if !intake.wait().await {
            return None;
        }
        intake.begin();
        self.forget_former_histories();
        Some(Attempt { jobs: intake.gather(0), lock_first: self.contended, ..Attempt::default() })
    }

    /// Drafts the batch of an attempt, with the care that it needs. The draft is empty if the batch was doubtful and is
    /// on disk.
    async fn prepare(&mut self, attempt: &mut Attempt) -> JournalResult<Draft> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(self.journal.writer().await?),
        };
        if attempt.lock_first {
            let head = writer.lock().await?;
            // The commit of a doubtful batch may have happened all the same, or be about to. The holder of the head's
            // lock can tell, since that commit either came before or will find the head moved.
            // Without an answer the batch stays doubtful, so it must not be tried again.
            if let Some((built, outcomes)) = attempt.doubtful.take()
                && is_on_disk(&self.journal, &built).await.map_err(JournalError::unavailable)?
            {
                let (jobs, nothing) = (std::mem::take(&mut attempt.jobs), Draft::on(built.head.clone()));
                self.committed(PendingBatch { jobs, outcomes, built, unfolded: Vec::new() });
                return Ok(nothing);
            }
            self.contended = self.known.as_ref().is_some_and(|known| known.position != head.position);
            self.catch_up(head).await?;
        } else if self.known.is_none() {
            let head = self.journal.head().await?;
            self.catch_up(head).await?;
        }
        attempt.jobs = self.without_former_histories(std::mem::take(&mut attempt.jobs));
        let mut draft = Draft::on(self.known.clone().ok_or(JournalError::OtherGeneration)?);
        // Up to here, and during the read below, the jobs stay with the caller: a timeout may cancel this function.
        let missing = self.recall(&mut draft, &attempt.jobs, None);
        if let Some(writer) = &mut self.writer {
            missing.find(&mut **writer, &self.vault).await?.provide(&mut draft);
        }
        draft.add_all(std::mem::take(&mut attempt.jobs), &self.vault);
        Ok(draft)
    }

    /// Writes a batch and settles its jobs. Returns the batch drafted meanwhile, if any.
    async fn commit(&mut self, mut ready: PendingBatch, attempt: Attempt, intake: &mut Intake) -> Option<NextBatch> {
        let alone = attempt.lock_first && ready.jobs.is_empty() && ready.unfolded.len() == 1;
        for (job, error) in std::mem::take(&mut ready.unfolded) {
            if alone {
                let why = self.why_unfolded(&job, error).await;
                let _ = job.reply.send(Err(why));
            } else {
                // Alone and under the lock: neither another job nor another node may be the reason that it cannot be
                // folded.
                self.retries.push_back(Attempt { jobs: vec![job], lock_first: true, ..Attempt::default() });
            }
        }
        if ready.jobs.is_empty() {
            if attempt.lock_first
                && let Some(writer) = self.writer.as_mut()
                && bounded(writer.unlock()).await.is_err()
            {
                self.disconnect();
            }
            return None;
        }
        // The next batch is drafted meanwhile only if no other commit is expected to come between the two.
        let pipelined = !attempt.lock_first && !self.contended && self.retries.is_empty();
        let mut next = pipelined.then(|| NextBatch::after(ready.built.head.clone()));
        let written = self.write(&ready.built, next.as_mut(), intake).await;
        if !matches!(written, Ok(Committed::Yes))
            && let Some(void) = next.take()
        {
            intake.put_back(void.into_jobs());
        }
        self.judge(ready, written, attempt, intake);
        next.filter(|next| !next.is_empty())
    }

    /// Turns the answer of the store into answers to callers and retries.
    fn judge(
        &mut self,
        mut ready: PendingBatch,
        written: JournalResult<Committed>,
        attempt: Attempt,
        intake: &mut Intake,
    ) {
        match written {
            Ok(Committed::Yes) => self.committed(ready),
            Ok(Committed::HeadMoved) => {
                metrics::counter!("registrar_commit_head_moved_total").increment(1);
                self.contended = true;
                self.retries.push_front(Attempt { jobs: ready.jobs, lock_first: true, ..attempt });
            }
            Ok(Committed::ClockAhead) => {
                metrics::counter!("registrar_commit_clock_ahead_total").increment(1);
                let error = JournalError::unavailable(ClockAhead);
                tracing::error!(error = &error as &dyn std::error::Error, "nothing is committed");
                self.refuse_all(ready.jobs, &error, intake);
            }
            Ok(Committed::Lost(lost)) => {
                self.answer_losers(&mut ready.jobs, &ready.built, &lost);
                if !ready.jobs.is_empty() {
                    self.retries.push_front(Attempt { jobs: ready.jobs, lock_first: false, ..attempt });
                }
            }
            Err(error) => {
                let mut attempt = Attempt { jobs: ready.jobs, ..attempt };
                if matches!(error, JournalError::Unavailable(_)) {
                    attempt.lock_first = true;
                    attempt.doubtful = Some((ready.built, ready.outcomes));
                }
                self.failed(attempt, error, intake);
            }
        }
    }

    /// Tries jobs again, or refuses them, after an error.
    fn failed(&mut self, attempt: Attempt, error: JournalError, intake: &mut Intake) {
        // A rebuild has swapped generations and dropped the known one: the locked head names the other.
        if matches!(error, JournalError::OtherGeneration) && !attempt.lock_first {
            return self.retries.push_front(Attempt { lock_first: true, ..attempt });
        }
        self.disconnect();
        match error {
            // A connection may break, or hold outdated plans, while the database lives on; a retry hides that from
            // callers.
            JournalError::Unavailable(_) | JournalError::Corrupt(_) if !attempt.tried_again => {
                self.retries.push_front(Attempt { tried_again: true, ..attempt });
            }
            // The database rejects one of them; committed alone, it fails no other.
            JournalError::Corrupt(_) if attempt.jobs.len() > 1 => {
                for job in attempt.jobs.into_iter().rev() {
                    self.retries.push_front(Attempt { jobs: vec![job], ..Attempt::default() });
                }
            }
            // The database was unavailable twice in a row.
            JournalError::Unavailable(_) => self.refuse_all(attempt.jobs, &error, intake),
            _ => refuse(attempt.jobs, &error),
        }
    }

    /// Refuses these jobs and all that wait: later batches would fail alike, one after the other.
    fn refuse_all(&mut self, jobs: Vec<Job>, error: &JournalError, intake: &mut Intake) {
        let retries = std::mem::take(&mut self.retries).into_iter().flat_map(|retry| retry.jobs);
        refuse(jobs.into_iter().chain(retries).chain(intake.drain()), error);
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
