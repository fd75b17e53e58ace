//! A batch in the making: versions, positions, hashes, folds, rows.

use super::{ExpectedVersion, Job};
use crate::executor::Outcome;
use crate::folding;
use crate::journal::{
    Batch, ClaimStep, DocumentStep, Head, JournalError, JournalResult, ReadStep, StoredEvent, StreamId, StreamStep,
    codec,
};
use crate::vault::{KeysBySubject, Vault};
use chrono::{DateTime, SubsecRound, Utc};
use registrar_aggregates::Claim;
use registrar_projections::{AnyDocument, DocumentKey, FoldError, RecordedEvent, WorkingSet};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A batch ready to be written, and what is known once it is.
pub(super) struct Built {
    pub(super) batch: Batch,
    /// The end of the journal after it.
    pub(super) head: Head,
    /// Documents as it leaves them.
    pub(super) documents: HashMap<DocumentKey, Option<Arc<AnyDocument>>>,
    /// New versions of the streams of which nothing was expected.
    pub(super) open_versions: HashMap<StreamId, u64>,
    /// By index into the batch's streams, reads, takes and answers: whose they are. Those of answers ascend.
    pub(super) stream_owners: Vec<StreamOwner>,
    pub(super) read_owners: Vec<usize>,
    pub(super) take_owners: Vec<(usize, &'static str)>,
    pub(super) answer_owners: Vec<usize>,
}

pub(super) struct StreamOwner {
    pub(super) job: usize,
    pub(super) expected: ExpectedVersion,
}

/// A built batch with those who wait for it.
pub(super) struct Ready {
    pub(super) jobs: Vec<Job>,
    /// One for each job, in order.
    pub(super) outcomes: Vec<Outcome>,
    /// Jobs that are not in it, since their events cannot be folded upon what was known.
    pub(super) unfolded: Vec<(Job, FoldError)>,
    /// Shared with the task that writes it.
    pub(super) built: Arc<Built>,
}

/// What a draft has to be told before some jobs can be added.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) versions: Vec<StreamId>,
    pub(super) documents: Vec<DocumentKey>,
}

/// The job's events, without their places yet.
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

/// A batch that grows until it is written.
pub(super) struct Draft {
    /// Those who are in it.
    pub(super) jobs: Vec<Job>,
    /// Those whose events could not be folded. Either they lose by version anyway, which only the store can tell, or they
    /// are wrong.
    pub(super) unfolded: Vec<(Job, FoldError)>,
    outcomes: Vec<Outcome>,
    head: Head,
    batch: Batch,
    documents: WorkingSet,
    keys: KeysBySubject,
    /// Rows of documents that are hardly changed again in the same batch, sealed and written out while there is time.
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
        // Never back, whatever the clock does.
        let recorded_at = Utc::now().trunc_subsecs(3).max(head.recorded_at);
        let batch =
            Batch { expected_head: head.position, generation: head.generation, recorded_at, ..Batch::default() };
        Draft {
            jobs: Vec::new(),
            unfolded: Vec::new(),
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

    /// Generation of the documents that it changes.
    pub(super) fn generation(&self) -> u64 {
        self.batch.generation
    }

    /// What it has to be told before these jobs can be added, each once.
    pub(super) fn wants(&self, jobs: &[Job]) -> Wanted {
        let (mut wanted, mut streams, mut documents) = (Wanted::default(), HashSet::new(), HashSet::new());
        for append in jobs.iter().flat_map(|job| &job.append.streams) {
            if append.expected == ExpectedVersion::Any
                && !self.versions.contains_key(&append.stream)
                && streams.insert(&append.stream)
            {
                wanted.versions.push(append.stream.clone());
            }
        }
        for job in jobs {
            for key in recorded(job, DateTime::UNIX_EPOCH).iter().flat_map(registrar_projections::wants) {
                if !self.documents.knows(&key) && documents.insert(key.clone()) {
                    wanted.documents.push(key);
                }
            }
        }
        wanted
    }

    /// Tells it the version of a stream.
    pub(super) fn provide_version(&mut self, stream: StreamId, version: u64) {
        self.versions.insert(stream, version);
    }

    /// Tells it a document, `None` where there is none.
    pub(super) fn provide_document(&mut self, key: DocumentKey, document: Option<Arc<AnyDocument>>) {
        self.documents.provide(key, document);
    }

    /// Adds jobs. One whose events cannot be folded is set aside and leaves no trace.
    ///
    /// # Errors
    /// `Corrupt` if something cannot be written as JSON, which cannot happen; the draft is of no use then, but has all
    /// the jobs.
    pub(super) fn add_all(&mut self, jobs: Vec<Job>, vault: &Vault) -> JournalResult<()> {
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            if let Err(error) = self.add(job, vault) {
                self.jobs.extend(jobs);
                return Err(error);
            }
        }
        Ok(())
    }

    fn add(&mut self, job: Job, vault: &Vault) -> JournalResult<()> {
        let mut events = recorded(&job, self.batch.recorded_at);
        self.number(&job, &mut events);
        let folded = self.documents.attempt(|documents| {
            let fold =
                AssertUnwindSafe(|| events.iter().try_for_each(|event| registrar_projections::fold(event, documents)));
            catch_unwind(fold).unwrap_or_else(|_| Err(FoldError::Json("the projection panicked".into())))
        });
        let changed = match folded {
            Ok(changed) => changed,
            Err(error) => {
                self.unfolded.push((job, error));
                return Ok(());
            }
        };
        let index = self.jobs.len();
        self.take_in(&job, index, &events);
        self.keys.extend(job.append.keys.iter().map(|(subject, key)| (subject.clone(), key.clone())));
        let documents = changed.iter().filter_map(|key| self.documents.current(key)).collect();
        let outcome = Outcome { position: self.head.position, events, documents };
        let answer = job.append.answer.as_ref().map(|slot| slot.step(vault, &outcome)).transpose();
        self.jobs.push(job);
        self.outcomes.push(outcome);
        if let Some(step) = answer?.flatten() {
            self.batch.answers.push(step);
            self.answer_owners.push(index);
        }
        self.write_out(&changed)
    }

    fn write_out(&mut self, changed: &[DocumentKey]) -> JournalResult<()> {
        for key in changed.iter().filter(|key| !key.collection.collection().hot) {
            if let Some(change) = self.documents.change(key) {
                self.rows.insert(key.clone(), folding::row(&change, &self.keys)?);
            }
        }
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

    /// Several jobs may append to a stream of which they expect nothing; it still stands once in the batch.
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

    /// What a job takes and releases again, or the other way round by the same holder, comes to nothing.
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

    /// All who were added.
    pub(super) fn into_jobs(self) -> Vec<Job> {
        let mut jobs = self.jobs;
        jobs.extend(self.unfolded.into_iter().map(|(job, _)| job));
        jobs
    }

    /// Ends it.
    ///
    /// # Errors
    /// Its jobs, if something cannot be written as JSON, which cannot happen.
    pub(super) fn finish(mut self) -> Result<Ready, (Vec<Job>, JournalError)> {
        let rows = match folding::rows_from(&self.documents, &self.keys, std::mem::take(&mut self.rows)) {
            Ok(rows) => rows,
            Err(error) => return Err((self.into_jobs(), error)),
        };
        self.batch.documents = rows.documents;
        self.batch.counts = rows.counts;
        self.batch.frontier = self.head.frontier.clone();
        if !self.batch.events.is_empty() {
            self.head.recorded_at = self.batch.recorded_at;
        }
        let built = Built {
            batch: self.batch,
            head: self.head,
            documents: self.documents.changes().map(|change| (change.key, change.after)).collect(),
            open_versions: self.versions,
            stream_owners: self.stream_owners,
            read_owners: self.read_owners,
            take_owners: self.take_owners,
            answer_owners: self.answer_owners,
        };
        Ok(Ready { jobs: self.jobs, outcomes: self.outcomes, unfolded: self.unfolded, built: Arc::new(built) })
    }
}
