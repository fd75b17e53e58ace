//! Pipelining: the next batch is drafted while one is written.

use super::Job;
use super::draft::{BuiltBatch, Draft};
use super::intake::Intake;
use super::memory::{CacheMisses, DraftInputs};
use super::writer_loop::{WriterLoop, bounded};
use crate::journal::{Committed, Head, JournalError, JournalResult, JournalWriter};
use futures::future::{BoxFuture, FutureExt};
use std::sync::Arc;

/// A connection that returns with the result of its look-up.
type Lookup = BoxFuture<'static, (Option<Box<dyn JournalWriter>>, JournalResult<DraftInputs>)>;

/// A batch being drafted, with jobs that are not in it yet.
pub(super) struct NextBatch {
    draft: Draft,
    /// Jobs that wait for a look-up. They neither wait for other jobs nor hold them up.
    waiting: Option<(Vec<Job>, Lookup)>,
}

impl NextBatch {
    pub(super) fn after(head: Head) -> Self {
        NextBatch { draft: Draft::on(head), waiting: None }
    }

    /// Whether no job has been taken for it.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_none() && self.draft.jobs.is_empty() && self.draft.unfolded.is_empty()
    }

    /// Whether more jobs may be added.
    fn is_open(&self) -> bool {
        self.waiting.is_none() && self.draft.failed.is_none()
    }

    /// Waits until the look-up is done. Cancel-safe.
    async fn found(&mut self) -> (Option<Box<dyn JournalWriter>>, JournalResult<DraftInputs>) {
        match &mut self.waiting {
            Some((_, lookup)) => lookup.await,
            None => std::future::pending().await,
        }
    }

    /// All jobs in the batch or waiting for it.
    pub(super) fn into_jobs(self) -> Vec<Job> {
        let mut jobs = self.draft.into_jobs();
        jobs.extend(self.waiting.into_iter().flat_map(|(waiting, _)| waiting));
        jobs
    }
}

impl WriterLoop {
    /// Writes a batch, adding newly arrived jobs to the next one, if there is to be one.
    pub(super) async fn write(
        &mut self,
        built: &Arc<BuiltBatch>,
        next: Option<&mut NextBatch>,
        intake: &mut Intake,
    ) -> JournalResult<Committed> {
        let Some(mut writer) = self.writer.take() else {
            return Err(JournalError::unavailable(std::io::Error::other("there is no connection")));
        };
        let mut writing = tokio::spawn({
            let built = Arc::clone(built);
            async move {
                let written = bounded(writer.commit(&built.batch)).await;
                (writer, written)
            }
        });
        let written = match next {
            None => writing.await,
            Some(next) => {
                intake.begin();
                loop {
                    if next.is_open() {
                        self.extend(next, intake.gather(next.draft.jobs.len()), built);
                    }
                    tokio::select! {
                        biased;
                        written = &mut writing => break written,
                        (scout, found) = next.found() => self.take_in(next, scout, found),
                        () = intake.arrive(), if next.is_open() && intake.has_room(next.draft.jobs.len()) => {}
                    }
                }
            }
        };
        let (writer, written) = match written {
            Ok((writer, written)) => (Some(writer), written),
            Err(panicked) => (None, Err(JournalError::unavailable(panicked))),
        };
        self.writer = writer;
        written
    }

    /// Adds jobs to a batch that follows `before`, or starts the look-up that they need.
    fn extend(&mut self, next: &mut NextBatch, jobs: Vec<Job>, before: &BuiltBatch) {
        let jobs = self.without_former_histories(jobs);
        if jobs.is_empty() {
            return;
        }
        let missing = self.recall(&mut next.draft, &jobs, Some(before));
        if missing.is_nothing() {
            next.draft.add_all(jobs, &self.vault);
        } else {
            next.waiting = Some((jobs, self.look_up(missing)));
        }
    }

    /// Uses another connection than the write, so reading goes on meanwhile.
    fn look_up(&mut self, missing: CacheMisses) -> Lookup {
        let (scout, journal, vault) = (self.scout.take(), self.journal.clone(), Arc::clone(&self.vault));
        let looking = async move {
            let mut scout = match scout {
                Some(scout) => scout,
                None => journal.writer().await?,
            };
            let found = missing.find(&mut *scout, &vault).await?;
            Ok((scout, found))
        };
        let bounded = bounded(looking).map(|looked| match looked {
            Ok((scout, found)) => (Some(scout), Ok(found)),
            Err(error) => (None, Err(error)),
        });
        bounded.boxed()
    }

    /// Adds the jobs that waited for the look-up.
    fn take_in(
        &mut self,
        next: &mut NextBatch,
        scout: Option<Box<dyn JournalWriter>>,
        found: JournalResult<DraftInputs>,
    ) {
        self.scout = scout;
        let Some((jobs, _)) = next.waiting.take() else { return };
        match found {
            Ok(found) => {
                found.provide(&mut next.draft);
                next.draft.add_all(jobs, &self.vault);
            }
            Err(error) => next.draft.fail(jobs, error),
        }
    }

    /// The draft, once the look-up in progress is done.
    pub(super) async fn complete(&mut self, mut next: NextBatch) -> Draft {
        if next.waiting.is_some() {
            let (scout, found) = next.found().await;
            self.take_in(&mut next, scout, found);
        }
        next.draft
    }
}
