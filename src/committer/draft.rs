//! A batch being built: versions, positions, hashes, folds, rows.

use super::{ExpectedVersion, Job};
use crate::committer::folding;
use crate::committer::outcome::Outcome;
use crate::journal::{
    AnswerStep, Batch, CLOCK_AHEAD_MAX_SECS, ClaimStep, DocumentStep, Head, JournalError, JournalResult, ReadStep,
    StoredEvent, StreamId, StreamStep, codec,
};
use crate::vault::{KeysBySubject, Vault};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use registrar_aggregates::Claim;
use registrar_projections::{AnyDocument, DocumentKey, FoldError, RecordedEvent, WorkingSet};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A batch ready to be written, and its effects once it is.
pub(super) struct BuiltBatch {
    pub(super) batch: Batch,
    /// The head of the journal after it.
    pub(super) head: Head,
    /// Documents after it.
    pub(super) documents: HashMap<DocumentKey, Option<Arc<AnyDocument>>>,
    /// New versions of the streams appended to without an expected version.
    pub(super) open_versions: HashMap<StreamId, u64>,
    /// Owners by index into the batch's streams, reads, takes and answers; owners of answers ascend.
    pub(super) stream_owners: Vec<StreamOwner>,
    pub(super) read_owners: Vec<usize>,
    pub(super) take_owners: Vec<(usize, &'static str)>,
    pub(super) answer_owners: Vec<usize>,
}

pub(super) struct StreamOwner {
    pub(super) job: usize,
    pub(super) expected: ExpectedVersion,
}

/// A built batch with the callers that wait for it.
pub(super) struct PendingBatch {
    pub(super) jobs: Vec<Job>,
    /// Outcomes by job, in order.
    pub(super) outcomes: Vec<Outcome>,
    /// Jobs left out of the batch, since their events cannot be folded upon the known documents.
    pub(super) unfolded: Vec<(Job, FoldError)>,
    /// Shared with the task that writes it.
    pub(super) built: Arc<BuiltBatch>,
}

/// Documents and versions that a draft needs before some jobs can be added.
#[derive(Default)]
pub(super) struct DraftNeeds {
    pub(super) versions: Vec<StreamId>,
    pub(super) documents: Vec<DocumentKey>,
}

/// Results of a job: its outcome, the answer to remember, and rows of documents that are rarely changed again in the
/// same batch.
struct JobResult {
    outcome: Outcome,
    answer: Option<AnswerStep>,
    rows: Vec<(DocumentKey, DocumentStep)>,
}

impl JobResult {
    fn of(
        job: &Job,
        vault: &Vault,
        documents: &WorkingSet,
        keys: &KeysBySubject,
        changed: &[DocumentKey],
        outcome: impl FnOnce(Vec<Arc<AnyDocument>>) -> Outcome,
    ) -> JournalResult<Self> {
        let outcome = outcome(changed.iter().filter_map(|key| documents.current(key)).collect());
        let answer = job.append.answer.as_ref().map(|slot| slot.step(vault, &outcome)).transpose()?.flatten();
        let mut rows = Vec::new();
        for key in changed.iter().filter(|key| !key.collection.collection().hot) {
            if let Some(change) = documents.change(key) {
                rows.push((key.clone(), folding::row(&change, vault, keys)?));
            }
        }
        Ok(JobResult { outcome, answer, rows })
    }
}

/// Carries out part of a job. A panic fails that job only: if the committing task ended, the node could commit nothing
/// any more.
fn unless_panicked<T>(what: &str, work: impl FnOnce() -> Result<T, FoldError>) -> Result<T, FoldError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!(what, "a command panicked while it was committed");
        Err(FoldError::Json(format!("{what} panicked")))
    })
}

/// The documents that a job's events are folded upon; none for a job that panics, since its fold reports the panic.
fn documents_of(job: &Job) -> Vec<DocumentKey> {
    let wanted = || {
        let events = recorded(job, DateTime::UNIX_EPOCH);
        events.iter().flat_map(registrar_projections::wants).collect()
    };
    catch_unwind(AssertUnwindSafe(wanted)).unwrap_or_default()
}

/// The job's events, not placed in the journal yet.
fn recorded(job: &Job, recorded_at: DateTime<Utc>) -> Vec<RecordedEvent> {
    let metadata = &job.append.metadata;
    job.append
        .streams
        .iter()
        .flat_map(|append| append.events.iter().map(|event| (&append.stream, event)))
        .map(|(stream, event)| RecordedEvent {
            position: 0,
            recorded_at,
            aggregate_id: stream.aggregate_id.clone(),
            sequence: 0,
            metadata: Arc::clone(metadata),
            event: Arc::clone(&event.event),
        })
        .collect()
}

/// Warns, once a minute at most, of events that take the time of an earlier one whose clock was ahead.
fn warn_of_the_future(recorded_at: DateTime<Utc>) {
    static WARNED: Mutex<Option<Instant>> = Mutex::new(None);
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    if warned.is_none_or(|warned| warned.elapsed() >= Duration::from_secs(60)) {
        *warned = Some(Instant::now());
        tracing::warn!(%recorded_at, "the last event is ahead of this node's clock: until then events bear its time");
    }
}

/// A batch that grows until it is written.
pub(super) struct Draft {
    /// Jobs in the batch.
    pub(super) jobs: Vec<Job>,
    /// Jobs whose events could not be folded. Either they lose by version anyway, which only the store can tell, or
    /// their events are wrong.
    pub(super) unfolded: Vec<(Job, FoldError)>,
    /// Reason why the batch cannot go on.
    pub(super) failed: Option<JournalError>,
    outcomes: Vec<Outcome>,
    head: Head,
    batch: Batch,
    documents: WorkingSet,
    keys: KeysBySubject,
    /// Rows of documents that are rarely changed again in the same batch, sealed and serialised early.
    rows: HashMap<DocumentKey, DocumentStep>,
    versions: HashMap<StreamId, u64>,
    stream_index: HashMap<StreamId, usize>,
    stream_owners: Vec<StreamOwner>,
    read_owners: Vec<usize>,
    take_owners: Vec<(usize, &'static str)>,
    answer_owners: Vec<usize>,
}

impl Draft {
    /// An empty batch that follows `head`.
    pub(super) fn on(head: Head) -> Self {
        // Never earlier than the last event, even if the clock goes back.
        let now = Utc::now().trunc_subsecs(3);
        let recorded_at = now.max(head.recorded_at);
        if recorded_at > now + TimeDelta::seconds(CLOCK_AHEAD_MAX_SECS) {
            warn_of_the_future(recorded_at);
        }
        let batch = Batch {
            expected_head: head.position,
            expected_frontier: head.frontier.clone(),
            generation: head.generation,
            recorded_at,
            ..Batch::default()
        };
        Draft {
            jobs: Vec::new(),
            unfolded: Vec::new(),
            failed: None,
            outcomes: Vec::new(),
            head,
            batch,
            documents: WorkingSet::default(),
            keys: KeysBySubject::new(),
            rows: HashMap::new(),
            versions: HashMap::new(),
            stream_index: HashMap::new(),
            stream_owners: Vec::new(),
            read_owners: Vec::new(),
            take_owners: Vec::new(),
            answer_owners: Vec::new(),
        }
    }

    /// Position that the batch follows.
    pub(super) fn follows(&self) -> u64 {
        self.batch.expected_head
    }

    /// Generation of the documents that the draft changes.
    pub(super) fn generation(&self) -> u64 {
        self.batch.generation
    }

    /// Documents and versions needed before these jobs can be added, each once.
    pub(super) fn wants(&self, jobs: &[Job]) -> DraftNeeds {
        let (mut wanted, mut streams, mut documents) = (DraftNeeds::default(), HashSet::new(), HashSet::new());
        for append in jobs.iter().flat_map(|job| &job.append.streams) {
            if append.expected == ExpectedVersion::Any
                && !self.versions.contains_key(&append.stream)
                && streams.insert(&append.stream)
            {
                wanted.versions.push(append.stream.clone());
            }
        }
        for job in jobs {
            for key in documents_of(job) {
                if !self.documents.knows(&key) && documents.insert(key.clone()) {
                    wanted.documents.push(key);
                }
            }
        }
        wanted
    }

    /// Provides the version of a stream.
    pub(super) fn provide_version(&mut self, stream: StreamId, version: u64) {
        self.versions.insert(stream, version);
    }

    /// Provides a document; `None` if it does not exist.
    pub(super) fn provide_document(&mut self, key: DocumentKey, document: Option<Arc<AnyDocument>>) {
        self.documents.provide(key, document);
    }

    /// Adds jobs. A job whose events cannot be folded is set aside and leaves no trace. If a value cannot be written as
    /// JSON, which cannot happen, the draft fails.
    pub(super) fn add_all(&mut self, jobs: Vec<Job>, vault: &Vault) {
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            if let Err(error) = self.add(job, vault) {
                return self.fail(jobs, error);
            }
        }
    }

    /// Gives the draft up. It takes the jobs that were to be added.
    pub(super) fn fail(&mut self, jobs: impl IntoIterator<Item = Job>, error: JournalError) {
        self.jobs.extend(jobs);
        self.failed = Some(error);
    }

    fn add(&mut self, job: Job, vault: &Vault) -> JournalResult<()> {
        let mut events = recorded(&job, self.batch.recorded_at);
        self.number(&job, &mut events);
        self.keys.extend(job.append.keys.iter().map(|(subject, key)| (subject.clone(), key.clone())));
        let (keys, end, events) = (&self.keys, self.head.position + events.len() as u64, RefCell::new(events));
        let made = self.documents.attempt(
            |documents| {
                let fold =
                    || events.borrow().iter().try_for_each(|event| registrar_projections::fold(event, documents));
                unless_panicked("the projection", fold)
            },
            |documents, changed| {
                let outcome = |documents| Outcome { position: end, events: events.take(), documents };
                unless_panicked("the answer or a document", || {
                    Ok(JobResult::of(&job, vault, documents, keys, changed, outcome))
                })
            },
        );
        let JobResult { outcome, answer, rows } = match made {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => {
                self.jobs.push(job);
                return Err(error);
            }
            Err(error) => {
                self.unfolded.push((job, error));
                return Ok(());
            }
        };
        let index = self.jobs.len();
        self.take_in(&job, index, &outcome.events);
        self.jobs.push(job);
        self.outcomes.push(outcome);
        if let Some(step) = answer {
            self.batch.answers.push(step);
            self.answer_owners.push(index);
        }
        self.rows.extend(rows);
        Ok(())
    }

    fn base_version(&self, stream: &StreamId, expected: ExpectedVersion) -> u64 {
        match expected {
            ExpectedVersion::Exact(version) => version,
            ExpectedVersion::Any => self.versions.get(stream).copied().unwrap_or_default(),
        }
    }

    fn number(&self, job: &Job, events: &mut [RecordedEvent]) {
        let mut events = events.iter_mut();
        let mut position = self.head.position;
        for append in &job.append.streams {
            let base = self.base_version(&append.stream, append.expected);
            for (sequence, event) in (base + 1..).zip(events.by_ref().take(append.events.len())) {
                position += 1;
                event.position = position;
                event.sequence = sequence;
            }
        }
    }

    fn take_in(&mut self, job: &Job, index: usize, events: &[RecordedEvent]) {
        let mut events = events.iter();
        for append in &job.append.streams {
            let from = self.base_version(&append.stream, append.expected);
            let to = from + append.events.len() as u64;
            self.step(index, append.stream.clone(), append.expected, from, to);
            for new in &append.events {
                let Some(event) = events.next() else { break };
                let mut stored = StoredEvent {
                    position: event.position,
                    recorded_at: event.recorded_at,
                    aggregate_type: append.stream.aggregate_type.to_owned(),
                    aggregate_id: append.stream.aggregate_id.clone(),
                    sequence: event.sequence,
                    event_type: new.event_type.clone(),
                    event_version: new.event_version.clone(),
                    payload: new.payload.clone(),
                    metadata: job.append.metadata_text.clone(),
                    leaf_hash: [0; 32],
                };
                stored.leaf_hash = codec::leaf_hash(&stored);
                self.head.frontier.push(stored.leaf_hash);
                self.head.position = stored.position;
                self.batch.events.push(stored);
            }
        }
        for (stream, version) in &job.append.reads {
            self.batch.reads.push(ReadStep { stream: stream.clone(), version: *version });
            self.read_owners.push(index);
        }
        self.add_claims(job, index);
        self.batch.subject_keys.extend(job.append.subject_keys.iter().cloned());
    }

    /// Several jobs may append to a stream without an expected version; the batch still has one step for it.
    fn step(&mut self, job: usize, stream: StreamId, expected: ExpectedVersion, from: u64, to: u64) {
        if expected == ExpectedVersion::Any {
            self.versions.insert(stream.clone(), to);
        }
        if let Some(&index) = self.stream_index.get(&stream) {
            self.batch.streams[index].to = to;
            return;
        }
        self.stream_index.insert(stream.clone(), self.batch.streams.len());
        self.batch.streams.push(StreamStep { stream, from, to, first_position: self.head.position + 1 });
        self.stream_owners.push(StreamOwner { job, expected });
    }

    /// Take and release of one claim by one holder within a job cancel out.
    fn add_claims(&mut self, job: &Job, index: usize) {
        let mut net: Vec<(ClaimStep, Option<&'static str>)> = Vec::new();
        for append in &job.append.streams {
            for (claim, digest) in append.events.iter().flat_map(|event| &event.claims) {
                let take = match claim {
                    Claim::Take(key) => Some(key.field),
                    Claim::Release(_) => None,
                };
                let opposite = net.iter().position(|(step, former)| {
                    step.key == *digest && step.holder == append.stream && former.is_some() != take.is_some()
                });
                match opposite {
                    Some(at) => {
                        net.remove(at);
                    }
                    None => net.push((ClaimStep { key: digest.clone(), holder: append.stream.clone() }, take)),
                }
            }
        }
        for (step, take) in net {
            match take {
                Some(field) => {
                    self.batch.takes.push(step);
                    self.take_owners.push((index, field));
                }
                None => self.batch.releases.push(step),
            }
        }
    }

    /// All jobs that were added.
    pub(super) fn into_jobs(self) -> Vec<Job> {
        let mut jobs = self.jobs;
        jobs.extend(self.unfolded.into_iter().map(|(job, _)| job));
        jobs
    }

    /// Completes the batch.
    ///
    /// # Errors
    /// Its jobs, if it has failed, or if a value cannot be written as JSON, which cannot happen.
    pub(super) fn finish(mut self, vault: &Vault) -> Result<PendingBatch, (Vec<Job>, JournalError)> {
        if let Some(error) = self.failed.take() {
            return Err((self.into_jobs(), error));
        }
        let rows = match folding::rows_from(&self.documents, vault, &self.keys, std::mem::take(&mut self.rows)) {
            Ok(rows) => rows,
            Err(error) => return Err((self.into_jobs(), error)),
        };
        self.batch.documents = rows.documents;
        self.batch.counts = rows.counts;
        self.batch.frontier = self.head.frontier.clone();
        if !self.batch.events.is_empty() {
            self.head.recorded_at = self.batch.recorded_at;
        }
        let built = BuiltBatch {
            batch: self.batch,
            head: self.head,
            documents: self.documents.changes().map(|change| (change.key, change.after)).collect(),
            open_versions: self.versions,
            stream_owners: self.stream_owners,
            read_owners: self.read_owners,
            take_owners: self.take_owners,
            answer_owners: self.answer_owners,
        };
        Ok(PendingBatch { jobs: self.jobs, outcomes: self.outcomes, unfolded: self.unfolded, built: Arc::new(built) })
    }
}
