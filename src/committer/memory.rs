//! What the committing task keeps in memory, and where it looks for the rest.

use super::Job;
use super::draft::{Built, Draft, Ready, by_collection};
use super::task::{Task, bounded};
use crate::journal::{Head, JournalError, JournalResult, StreamId, codec};
use crate::read_store::parse_document;
use registrar_projections::DocumentKey;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Events of others that are looked at one by one to keep the caches; beyond it they are emptied.
const CATCH_UP_MAX: u64 = 5_000;

impl Task {
    /// Adds jobs to a draft that follows `before`, which is being written. If that fails the draft is of no use but to
    /// take its jobs from.
    pub(super) async fn extend(
        &mut self,
        draft: &mut Draft,
        jobs: Vec<Job>,
        before: Option<&Built>,
    ) -> JournalResult<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        if let Err(error) = bounded(self.provide(draft, &jobs, before)).await {
            self.scout = None;
            draft.jobs.extend(jobs);
            return Err(error);
        }
        draft.add_all(jobs, &self.vault)
    }

    /// Brings what the folds and appends will look at: from the batch before, from memory or from the store.
    pub(super) async fn provide(
        &mut self,
        draft: &mut Draft,
        jobs: &[Job],
        before: Option<&Built>,
    ) -> JournalResult<()> {
        let wanted = draft.wants(jobs);
        let mut versions = Vec::new();
        for stream in wanted.versions {
            match before.and_then(|before| before.open_versions.get(&stream)).or_else(|| self.versions.get(&stream)) {
                Some(version) => draft.provide_version(stream, *version),
                None => versions.push(stream),
            }
        }
        let mut documents = Vec::new();
        for key in wanted.documents {
            if let Some(document) = before.and_then(|before| before.documents.get(&key)) {
                draft.provide_document(key, document.clone());
            } else if let Some(document) = self.documents.get(&key) {
                draft.provide_document(key, Some(Arc::clone(document)));
            } else {
                documents.push(key);
            }
        }
        if versions.is_empty() && documents.is_empty() {
            return Ok(());
        }
        // What others commit between this reading and the writing moves the head, and then it is all done anew.
        let reader = match (&mut self.writer, &mut self.scout) {
            (Some(writer), _) => writer,
            (None, Some(scout)) => scout,
            (None, none) => none.insert(self.journal.writer().await?),
        };
        if !versions.is_empty() {
            let found = reader.versions(&versions).await?;
            versions.into_iter().zip(found).for_each(|(stream, version)| draft.provide_version(stream, version));
        }
        for (collection, ids) in by_collection(documents) {
            let mut bodies = reader.documents(draft.generation(), collection, &ids).await?;
            for id in ids {
                let document =
                    bodies.remove(&id).map(|body| parse_document(collection, &body)).transpose()?.map(Arc::new);
                draft.provide_document(DocumentKey { collection, id }, document);
            }
        }
        Ok(())
    }

    /// Takes `head` as the end of the journal and drops from memory what the events up to it have touched.
    pub(super) async fn catch_up(&mut self, head: Head) -> JournalResult<()> {
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
        if signature.as_deref() != Some(crate::read_store::signature().as_str()) {
            return Err(JournalError::OtherGeneration);
        }
        self.progress.generation.store(generation, Ordering::Release);
        Ok(())
    }

    /// A batch is on disk: remembers what it left and answers those who wait.
    pub(super) fn committed(&mut self, ready: Ready) {
        let Ready { jobs, outcomes, built } = ready;
        for (key, document) in &built.documents {
            match document {
                Some(document) if key.collection.collection().hot => {
                    self.documents.insert(key.clone(), Arc::clone(document));
                }
                Some(_) => {}
                None => {
                    self.documents.remove(key);
                }
            }
        }
        for (stream, version) in &built.open_versions {
            self.versions.insert(stream.clone(), *version);
        }
        let position = built.head.position;
        self.progress.advance(position);
        self.known = Some(built.head.clone());
        metrics::counter!("registrar_commits_total").increment(1);
        metrics::histogram!("registrar_commit_batch_size").record(jobs.len() as f64);
        for (job, mut outcome) in jobs.into_iter().zip(outcomes) {
            if let Some(slot) = &job.append.answer {
                slot.set_remembered();
            }
            outcome.position = position;
            // Whoever stopped waiting has lost only the answer.
            let _ = job.reply.send(Ok(outcome));
        }
    }

    /// Lets go of broken connections, and of everything that rests on what they told.
    pub(super) fn disconnect(&mut self) {
        self.writer = None;
        self.scout = None;
        self.known = None;
        self.documents.clear();
        self.versions.clear();
    }
}
