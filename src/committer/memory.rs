//! Known documents and versions of the committing task, and look-ups of missing ones.

use super::Job;
use super::draft::{BuiltBatch, Draft, PendingBatch};
use super::writer_loop::WriterLoop;
use crate::journal::{Head, JournalError, JournalResult, JournalWriter, StreamId, codec};
use crate::read_store::parse_document;
use crate::store::Moment;
use crate::vault::Vault;
use registrar_projections::{AnyDocument, CollectionId, DocumentKey, RecordedEvent};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Most events of other nodes that are read one by one to keep the caches valid; beyond it they are cleared.
const CATCH_UP_MAX: u64 = 5_000;

/// Documents and versions that a draft needs and that are not cached.
pub(super) struct CacheMisses {
    generation: u64,
    versions: Vec<StreamId>,
    documents: HashMap<CollectionId, Vec<String>>,
}

/// Versions and documents that the store has of them.
pub(super) struct DraftInputs {
    versions: Vec<(StreamId, u64)>,
    documents: Vec<(DocumentKey, Option<Arc<AnyDocument>>)>,
}

impl CacheMisses {
    pub(super) fn is_nothing(&self) -> bool {
        self.versions.is_empty() && self.documents.is_empty()
    }

    /// Reads the store. A commit of another node between this read and the write moves the head, and then everything is
    /// read again.
    pub(super) async fn find(self, reader: &mut dyn JournalWriter, vault: &Vault) -> JournalResult<DraftInputs> {
        let mut found = DraftInputs { versions: Vec::new(), documents: Vec::new() };
        if !self.versions.is_empty() {
            let versions = reader.versions(&self.versions).await?;
            found.versions = self.versions.into_iter().zip(versions).collect();
        }
        for (collection, ids) in self.documents {
            let mut bodies = reader.documents(self.generation, collection, &ids).await?;
            for id in ids {
                let body = bodies.remove(&id);
                let document = body.map(|body| parse_document(vault, collection, &body)).transpose()?.map(Arc::new);
                found.documents.push((DocumentKey { collection, id }, document));
            }
        }
        Ok(found)
    }
}

impl DraftInputs {
    pub(super) fn provide(self, draft: &mut Draft) {
        self.versions.into_iter().for_each(|(stream, version)| draft.provide_version(stream, version));
        self.documents.into_iter().for_each(|(key, document)| draft.provide_document(key, document));
    }
}

impl WriterLoop {
    /// Provides the draft with documents and versions for `jobs`, from the batch `before` it, which may not be on disk
    /// yet, or from the cache. Returns those in neither.
    pub(super) fn recall(&self, draft: &mut Draft, jobs: &[Job], before: Option<&BuiltBatch>) -> CacheMisses {
        let wanted = draft.wants(jobs);
        let mut missing =
            CacheMisses { generation: draft.generation(), versions: Vec::new(), documents: HashMap::new() };
        for stream in wanted.versions {
            match before.and_then(|before| before.open_versions.get(&stream)).or_else(|| self.versions.get(&stream)) {
                Some(version) => draft.provide_version(stream, *version),
                None => missing.versions.push(stream),
            }
        }
        // Documents that the batch before it does not change are as they were before that batch.
        let position = before.map_or(draft.follows(), |before| before.batch.expected_head);
        let at = Moment { position, generation: draft.generation() };
        for key in wanted.documents {
            if let Some(document) = before.and_then(|before| before.documents.get(&key)) {
                draft.provide_document(key, document.clone());
            } else if let Some(document) = self.cached(&key, at) {
                draft.provide_document(key, document);
            } else {
                missing.documents.entry(key.collection).or_default().push(key.id);
            }
        }
        missing
    }

    /// A document of the node's cache, or its absence, as of `at`; `None` if that is not known. A document that differs
    /// from its written form is read again, which reports the difference.
    fn cached(&self, key: &DocumentKey, at: Moment) -> Option<Option<Arc<AnyDocument>>> {
        let row = self.progress.cache.document(self.history, key, at)?;
        row.map(|row| row.folded(&self.vault, key.collection)).transpose().ok()
    }

    /// Takes `head` as the head of the journal and evicts cached entries that the events up to it have changed.
    pub(super) async fn catch_up(&mut self, head: Head) -> JournalResult<()> {
        if head.generation != self.progress.generation.load(Ordering::Acquire) {
            self.before = self.known.take().or(self.before.take());
            self.adopt(head.generation).await?;
        }
        self.forget_former_histories();
        match self.known.as_ref().or(self.before.as_ref()).map(|known| (known.position, known.frontier.clone())) {
            Some((from, mut frontier)) if (from..=from + CATCH_UP_MAX).contains(&head.position) => {
                let count = usize::try_from(head.position - from).unwrap_or(usize::MAX);
                let events = self.journal.read(from, count).await?;
                events.iter().for_each(|event| frontier.push(event.leaf_hash));
                if frontier != head.frontier {
                    // The earlier events differ from the known ones.
                    self.progress.begin_another_history(&head);
                    self.forget_former_histories();
                }
                match codec::decode(&self.vault, &events).await {
                    Ok(events) => self.follow(from, head.position, events),
                    // Unreadable events, of a later release, may have changed anything.
                    Err(JournalError::Corrupt(_)) => self.versions.clear(),
                    Err(error) => return Err(error),
                }
            }
            known => {
                if known.is_some_and(|(from, _)| head.position < from) {
                    self.progress.begin_another_history(&head);
                }
                self.forget_former_histories();
                self.versions.clear();
            }
        }
        self.progress.advance(head.position);
        (self.known, self.before) = (Some(head), None);
        Ok(())
    }

    /// Rejects jobs that were decided by another history than that of the known head: equal versions mean different
    /// states there.
    pub(super) fn without_former_histories(&self, jobs: Vec<Job>) -> Vec<Job> {
        let is_former = |job: &Job| job.append.history < self.history && job.append.rests_on_history();
        let (former, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_former);
        for job in former {
            let _ = job.reply.send(Err(JournalError::VersionConflict));
        }
        jobs
    }

    /// Evicts the documents and versions that events of other nodes have changed.
    fn follow(&mut self, from: u64, to: u64, events: Vec<RecordedEvent>) {
        let touched: Vec<DocumentKey> = events.iter().flat_map(registrar_projections::wants).collect();
        self.progress.cache.follow(self.history, from, to, &touched);
        for RecordedEvent { event, aggregate_id, .. } in events {
            self.versions.remove(&StreamId { aggregate_type: event.aggregate_type(), aggregate_id });
        }
    }

    /// Clears caches of former histories.
    pub(super) fn forget_former_histories(&mut self) {
        let current = self.progress.histories.current();
        if std::mem::replace(&mut self.history, current) != current {
            (self.known, self.before) = (None, None);
            self.versions.clear();
        }
    }

    /// Switches to a generation that a rebuild has swapped in, provided that it was made by this release's projections.
    async fn adopt(&mut self, generation: u64) -> JournalResult<()> {
        let signature = self.read_store.signature(generation).await?;
        if signature.as_deref() != Some(crate::read_store::signature().as_str()) {
            return Err(JournalError::OtherGeneration);
        }
        self.progress.generation.store(generation, Ordering::Release);
        Ok(())
    }

    /// After a batch is on disk: caches its documents and answers its callers.
    pub(super) fn committed(&mut self, ready: PendingBatch) {
        let PendingBatch { jobs, outcomes, built, .. } = ready;
        for (stream, version) in &built.open_versions {
            self.versions.insert(stream.clone(), *version);
        }
        let position = built.head.position;
        let to = Moment { position, generation: built.batch.generation };
        let changed = &built.batch.documents;
        self.progress.cache.note(self.history, built.batch.expected_head, to, changed, &built.documents);
        self.progress.advance(position);
        self.known = Some(built.head.clone());
        metrics::counter!("registrar_commits_total").increment(1);
        metrics::histogram!("registrar_commit_batch_size").record(jobs.len() as f64);
        for (index, (job, mut outcome)) in jobs.into_iter().zip(outcomes).enumerate() {
            if let Some(slot) = &job.append.answer
                && built.answer_owners.binary_search(&index).is_ok()
            {
                slot.set_remembered();
            }
            outcome.position = position;
            // A caller that stopped waiting has lost only the answer.
            let _ = job.reply.send(Ok(outcome));
        }
    }

    /// Drops broken connections, and all state read through them.
    pub(super) fn disconnect(&mut self) {
        self.writer = None;
        self.scout = None;
        self.before = self.known.take().or(self.before.take());
        self.versions.clear();
    }
}
