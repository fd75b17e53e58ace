//! Building a batch: versions, positions, hashes, folds, rows.

use super::{ExpectedVersion, Job, Task};
use crate::executor::Outcome;
use crate::folding;
use crate::journal::{Batch, ClaimStep, Head, JournalError, JournalResult, StoredEvent, StreamId, StreamStep, codec};
use crate::read_store::parse_document;
use crate::vault::KeysBySubject;
use chrono::{DateTime, SubsecRound, Utc};
use registrar_aggregates::Claim;
use registrar_projections::{CollectionId, DocumentChange, DocumentKey, FoldError, RecordedEvent, WorkingSet};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A batch ready to be written, and what is known once it is.
pub(super) struct Built {
    pub(super) batch: Batch,
    /// The end of the journal after it.
    pub(super) head: Head,
    /// One for each job, in order.
    pub(super) outcomes: Vec<Outcome>,
    pub(super) changes: Vec<DocumentChange>,
    /// New versions of the streams of which nothing was expected.
    pub(super) open_versions: HashMap<StreamId, u64>,
    /// By index into the batch's streams, takes and answers: whose they are.
    pub(super) stream_owners: Vec<StreamOwner>,
    pub(super) take_owners: Vec<(usize, &'static str)>,
    pub(super) answer_owners: Vec<usize>,
}

pub(super) struct StreamOwner {
    pub(super) job: usize,
    pub(super) expected: ExpectedVersion,
}

impl Task {
    /// Builds the batch of `jobs`. A job whose events cannot be folded is answered and taken out.
    pub(super) async fn build(&mut self, jobs: &mut Vec<Job>) -> JournalResult<Built> {
        let known = self.known.clone().ok_or(JournalError::OtherGeneration)?;
        let versions = self.open_versions(jobs).await?;
        let mut documents = self.working_set(jobs, known.generation).await?;
        // Never back, whatever the clock does.
        let recorded_at = Utc::now().trunc_subsecs(3).max(known.recorded_at);
        let mut builder = Builder::new(known, recorded_at, versions);
        for job in std::mem::take(jobs) {
            match builder.add(&job, jobs.len(), &mut documents) {
                Ok(()) => match builder.remember_answer(self, &job, jobs.len()) {
                    Ok(()) => jobs.push(job),
                    // Cannot happen (an answer is always JSON); the whole batch goes, rather than half a job.
                    Err(error) => return Err(error),
                },
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "events were refused by a projection");
                    let _ = job.reply.send(Err(JournalError::NotFoldable(error)));
                }
            }
        }
        builder.finish(jobs, &documents)
    }

    async fn open_versions(&mut self, jobs: &[Job]) -> JournalResult<HashMap<StreamId, u64>> {
        let mut versions = HashMap::new();
        let mut missing = Vec::new();
        for append in jobs.iter().flat_map(|job| &job.append.streams) {
            if append.expected != ExpectedVersion::Any || versions.contains_key(&append.stream) {
                continue;
            }
            match self.versions.get(&append.stream) {
                Some(version) => {
                    versions.insert(append.stream.clone(), *version);
                }
                None if missing.contains(&append.stream) => {}
                None => missing.push(append.stream.clone()),
            }
        }
        if !missing.is_empty() {
            let writer = self.writer.as_mut().ok_or(JournalError::OtherGeneration)?;
            let found = writer.versions(&missing).await?;
            versions.extend(missing.into_iter().zip(found));
        }
        Ok(versions)
    }

    /// Brings the documents that the folds will look at from memory or from the store.
    async fn working_set(&mut self, jobs: &[Job], generation: u64) -> JournalResult<WorkingSet> {
        let mut documents = WorkingSet::default();
        let mut missing: HashMap<CollectionId, Vec<String>> = HashMap::new();
        let mut asked = HashSet::new();
        for job in jobs {
            for key in recorded(job, DateTime::UNIX_EPOCH).iter().flat_map(registrar_projections::wants) {
                if !asked.insert(key.clone()) {
                    continue;
                }
                match self.documents.get(&key) {
                    Some(document) => documents.provide(key, Some(Arc::clone(document))),
                    None => missing.entry(key.collection).or_default().push(key.id),
                }
            }
        }
        for (collection, ids) in missing {
            let writer = self.writer.as_mut().ok_or(JournalError::OtherGeneration)?;
            let mut bodies = writer.documents(generation, collection, &ids).await?;
            for id in ids {
                let document =
                    bodies.remove(&id).map(|body| parse_document(collection, &body)).transpose()?.map(Arc::new);
                documents.provide(DocumentKey { collection, id }, document);
            }
        }
        Ok(documents)
    }
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

struct Builder {
    head: Head,
    batch: Batch,
    versions: HashMap<StreamId, u64>,
    outcomes: Vec<Outcome>,
    stream_index: HashMap<StreamId, usize>,
    stream_owners: Vec<StreamOwner>,
    take_owners: Vec<(usize, &'static str)>,
    answer_owners: Vec<usize>,
}

impl Builder {
    fn new(head: Head, recorded_at: DateTime<Utc>, versions: HashMap<StreamId, u64>) -> Self {
        let batch =
            Batch { expected_head: head.position, generation: head.generation, recorded_at, ..Batch::default() };
        Builder {
            head,
            batch,
            versions,
            outcomes: Vec::new(),
            stream_index: HashMap::new(),
            stream_owners: Vec::new(),
            take_owners: Vec::new(),
            answer_owners: Vec::new(),
        }
    }

    /// Folds a job's events and adds them; a job that cannot be folded leaves no trace.
    fn add(&mut self, job: &Job, index: usize, documents: &mut WorkingSet) -> Result<(), FoldError> {
        let mut events = recorded(job, self.batch.recorded_at);
        self.number(job, &mut events);
        let changed = documents.attempt(|documents| {
            let fold =
                AssertUnwindSafe(|| events.iter().try_for_each(|event| registrar_projections::fold(event, documents)));
            catch_unwind(fold).unwrap_or_else(|_| Err(FoldError::Json("the projection panicked".into())))
        })?;
        self.take_in(job, index, &events);
        let documents = changed.iter().filter_map(|key| documents.current(key)).collect();
        self.outcomes.push(Outcome { position: 0, events, documents });
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

    fn remember_answer(&mut self, task: &Task, job: &Job, index: usize) -> JournalResult<()> {
        let (Some(slot), Some(outcome)) = (&job.append.answer, self.outcomes.last_mut()) else { return Ok(()) };
        outcome.position = self.head.position;
        if let Some(step) = slot.step(&task.vault, outcome)? {
            self.batch.answers.push(step);
            self.answer_owners.push(index);
        }
        Ok(())
    }

    fn finish(mut self, jobs: &[Job], documents: &WorkingSet) -> JournalResult<Built> {
        let mut keys = KeysBySubject::new();
        for job in jobs {
            keys.extend(job.append.keys.iter().map(|(subject, key)| (subject.clone(), key.clone())));
        }
        let rows = folding::rows(documents, &keys)?;
        self.batch.documents = rows.documents;
        self.batch.counts = rows.counts;
        self.batch.frontier = self.head.frontier.clone();
        if !self.batch.events.is_empty() {
            self.head.recorded_at = self.batch.recorded_at;
        }
        Ok(Built {
            batch: self.batch,
            head: self.head,
            outcomes: self.outcomes,
            changes: documents.changes().collect(),
            open_versions: self.versions,
            stream_owners: self.stream_owners,
            take_owners: self.take_owners,
            answer_owners: self.answer_owners,
        })
    }
}
