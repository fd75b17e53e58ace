//! Pipelined batches: each is drafted while the one before it is written.

use super::Job;
use super::draft::{BuiltBatch, Draft, PendingBatch};
use super::intake::Intake;
use super::memory::{CacheMisses, DraftInputs};
use super::writer_loop::{Attempt, Uncommitted, Verdict, WriterLoop, bounded};
use crate::journal::{Head, JournalError, JournalResult, JournalWriter};
use futures::future::{BoxFuture, FutureExt};
use std::sync::Arc;

/// A connection that returns with the result of its look-up.
type Lookup = BoxFuture<'static, (Option<Box<dyn JournalWriter>>, JournalResult<DraftInputs>)>;

/// A batch being built, with jobs that are not in it yet.
struct NextBatch {
    draft: Draft,
    /// Jobs that wait for a look-up. They neither wait for other jobs nor hold them up.
    waiting: Option<(Vec<Job>, Lookup)>,
    /// Reason why the batch cannot go on.
    failed: Option<JournalError>,
}

impl NextBatch {
    fn after(head: Head) -> Self {
        NextBatch { draft: Draft::on(head), waiting: None, failed: None }
    }

    /// Whether more jobs may be added.
    fn is_open(&self) -> bool {
        self.waiting.is_none() && self.failed.is_none()
    }

    /// Waits until the look-up is done. Cancel-safe.
    async fn found(&mut self) -> (Option<Box<dyn JournalWriter>>, JournalResult<DraftInputs>) {
        match &mut self.waiting {
            Some((_, lookup)) => lookup.await,
            None => std::future::pending().await,
        }
    }

    /// All jobs in the batch or waiting for it.
    fn into_jobs(self) -> Vec<Job> {
        let mut jobs = self.draft.into_jobs();
        jobs.extend(self.waiting.into_iter().flat_map(|(waiting, _)| waiting));
        jobs
    }
}

impl WriterLoop {
    /// Commits batch after batch until no jobs are left. Returns the jobs of a failed batch, to be committed with more
    /// care.
    pub(super) async fn stream(&mut self, head: Head, intake: &mut Intake) -> Option<(Vec<Job>, Attempt)> {
        let mut next = NextBatch::after(head);
        self.extend(&mut next, intake.gather(0), None);
        loop {
            self.complete(&mut next).await;
            if let Some(error) = next.failed.take() {
                return Some((next.into_jobs(), self.forgive(&error)));
            }
            // They are committed one by one, which takes the connection that commits.
            if !next.draft.unfolded.is_empty() {
                return Some((next.into_jobs(), Attempt::default()));
            }
            if next.draft.jobs.is_empty() {
                return None;
            }
            let ready = match next.draft.finish(&self.vault) {
                Ok(ready) => ready,
                Err((jobs, _)) => return Some((jobs, Attempt::default())),
            };
            intake.begin();
            next = NextBatch::after(ready.built.head.clone());
            let mut attempt = Attempt::default();
            match self.write(ready, &mut next, intake, &mut attempt).await {
                Verdict::Settled => {}
                // The draft built upon it is void. With more care it may be committed, or fail for good.
                Verdict::Again(jobs) | Verdict::Failed(Uncommitted { jobs, .. }) => {
                    intake.put_back(next.into_jobs());
                    return Some((jobs, attempt));
                }
            }
        }
    }

    /// Writes a batch, adding newly arrived jobs to the next one.
    async fn write(
        &mut self,
        ready: PendingBatch,
        next: &mut NextBatch,
        intake: &mut Intake,
        attempt: &mut Attempt,
    ) -> Verdict {
        let Some(mut writer) = self.writer.take() else { return Verdict::Again(ready.jobs) };
        let built = Arc::clone(&ready.built);
        let mut writing = tokio::spawn({
            let built = Arc::clone(&built);
            async move {
                let written = bounded(writer.commit(&built.batch)).await;
                (writer, written)
            }
        });
        let written = loop {
            if next.is_open() {
                self.extend(next, intake.gather(next.draft.jobs.len()), Some(&built));
            }
            tokio::select! {
                biased;
                written = &mut writing => break written,
                (scout, found) = next.found() => self.take_in(next, scout, found),
                () = intake.arrive(), if next.is_open() && intake.has_room(next.draft.jobs.len()) => {}
            }
        };
        let (writer, written) = match written {
            Ok((writer, written)) => (Some(writer), written),
            Err(panicked) => (None, Err(JournalError::unavailable(panicked))),
        };
        self.writer = writer;
        self.judge(ready, written, attempt)
    }

    /// Adds jobs to a batch that follows `before`, or starts the look-up that they need.
    fn extend(&mut self, next: &mut NextBatch, jobs: Vec<Job>, before: Option<&BuiltBatch>) {
        let jobs = self.without_former_histories(jobs);
        if jobs.is_empty() {
            return;
        }
        let missing = self.recall(&mut next.draft, &jobs, before);
        if missing.is_nothing() {
            next.failed = next.draft.add_all(jobs, &self.vault).err();
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
        let added = found.map(|found| found.provide(&mut next.draft));
        next.failed = match added {
            Ok(()) => next.draft.add_all(jobs, &self.vault).err(),
            Err(error) => {
                next.draft.jobs.extend(jobs);
                Some(error)
            }
        };
    }

    /// Waits for the look-up in progress.
    async fn complete(&mut self, next: &mut NextBatch) {
        if next.waiting.is_some() {
            let (scout, found) = next.found().await;
            self.take_in(next, scout, found);
        }
    }

    /// A broken connection counts as the first try of the jobs that needed it; a generation that is gone is looked up
    /// under the lock.
    fn forgive(&mut self, error: &JournalError) -> Attempt {
        let unavailable = matches!(error, JournalError::Unavailable(_));
        if unavailable {
            self.disconnect();
        }
        let lock_first = matches!(error, JournalError::OtherGeneration);
        Attempt { tried_again: unavailable, lock_first, ..Attempt::default() }
    }
}
