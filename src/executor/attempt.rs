//! Attempts at a process: run it until all streams that it needs are loaded, commit its decision, and retry after a
//! lost race.
//!
//! The commit compares the version of every stream that the last run of the process changed or only read, so
//! concurrent processes end as if they had run one after the other. After a lost race all of these streams are loaded
//! again and the process decides anew; losers that write the same streams take turns. A process that decides by more
//! than streams has these facts read in every attempt, after the streams that guard them were loaded
//! (`execute_informed`).

use super::{ExecuteError, Executor, Outcome, RequestContext, TURNS};
use crate::committer::ExpectedVersion;
use crate::journal::{JournalError, JournalResult, StreamId};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use registrar_aggregates::processes::{DecidedStream, LoadedStream, MissingStream, Stop, Streams};
use std::hash::BuildHasher;
use tokio::sync::MutexGuard;

/// Retries of a process after a lost race.
const RETRIES_MAX: usize = 16;
/// Streams of one process that are read at once. More would keep other callers waiting for a connection.
const LOADS_AT_ONCE: usize = 8;

/// The streams of an attempt.
struct Attempt {
    /// Number of the history that the streams are read from; of several the earliest, so that the commit refuses the
    /// others.
    history: u64,
    /// Whether every stream is compared with the journal when it is loaded.
    fresh: bool,
    streams: Streams,
}

/// A process being attempted.
#[async_trait]
trait Process {
    /// Reads facts outside streams.
    async fn ask(&mut self) -> JournalResult<()>;
    /// Decides by streams and facts, and keeps the answer or the refusal.
    fn run(&mut self, streams: &mut Streams) -> Result<(), Stop<()>>;
}

struct Informed<F, D, T, I, E> {
    facts: F,
    decide: D,
    known: Option<I>,
    decided: Option<Result<T, E>>,
}

#[async_trait]
impl<F, D, T, I, E, Asked> Process for Informed<F, D, T, I, E>
where
    F: Fn() -> Asked + Send,
    D: Fn(&mut Streams, &I) -> Result<T, Stop<E>> + Send,
    T: Send,
    I: Send,
    E: Send,
    Asked: Future<Output = JournalResult<I>> + Send,
{
    async fn ask(&mut self) -> JournalResult<()> {
        self.known = Some((self.facts)().await?);
        Ok(())
    }

    fn run(&mut self, streams: &mut Streams) -> Result<(), Stop<()>> {
        let Some(known) = &self.known else { return Err(Stop::OtherVersion) };
        let decided = match (self.decide)(streams, known) {
            Ok(answer) => Ok(answer),
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::Need(streams)) => return Err(Stop::Need(streams)),
            Err(Stop::OtherVersion) => return Err(Stop::OtherVersion),
        };
        let outcome = if decided.is_ok() { Ok(()) } else { Err(Stop::Refused(())) };
        self.decided = Some(decided);
        outcome
    }
}

impl Executor {
    /// As [`Executor::execute_process`], for a process that also decides by facts outside streams. In every attempt the
    /// streams of `first` are loaded, then `facts` are read, then the process decides by both: facts that the streams
    /// of `first` guard are never older than these.
    ///
    /// # Errors
    /// As [`Executor::execute_process`]; those of `facts`.
    pub async fn execute_informed<T, I, E, Asked>(
        &self,
        context: &RequestContext,
        first: &[MissingStream],
        facts: impl Fn() -> Asked + Send,
        decide: impl Fn(&mut Streams, &I) -> Result<T, Stop<E>> + Send,
    ) -> Result<(T, Outcome), ExecuteError<E>>
    where
        T: Send,
        I: Send,
        E: std::error::Error + Send + 'static,
        Asked: Future<Output = JournalResult<I>> + Send,
    {
        let mut process = Informed { facts, decide, known: None, decided: None };
        let outcome = self.attempt_all(context, first, &mut process).await?;
        match (process.decided, outcome) {
            (Some(Ok(answer)), Some(outcome)) => Ok((answer, outcome)),
            (Some(Err(refusal)), _) => Err(ExecuteError::Refused(refusal)),
            _ => Err(JournalError::corrupt("a process ended without a decision").into()),
        }
    }

    /// Attempts a process until its decision is committed, or was made by streams that have not moved on; `None` if it
    /// refuses. Not generic: it would be compiled for every process.
    async fn attempt_all(
        &self,
        context: &RequestContext,
        first: &[MissingStream],
        process: &mut (dyn Process + Send),
    ) -> JournalResult<Option<Outcome>> {
        let mut attempt = self.attempt(false);
        let mut turns = Vec::new();
        for _ in 0..RETRIES_MAX {
            self.load_all(&mut attempt, first.to_vec()).await?;
            process.ask().await?;
            let decided = loop {
                match attempt.streams.run(|streams| process.run(streams)) {
                    Err(Stop::Need(streams)) => self.load_all(&mut attempt, streams).await?,
                    decided => break decided,
                }
            };
            match decided {
                Ok(()) if attempt.streams.is_changed() => {}
                // No commit checks the streams of a refusal, of an act that changes nothing, or of a version that the
                // client named: a stale read must not be the reason.
                _ if self.is_overtaken(&mut attempt).await? => continue,
                Ok(()) => return Ok(Some(self.unchanged().await?)),
                Err(Stop::Refused(())) => return Ok(None),
                Err(Stop::OtherVersion | Stop::Need(_)) => return Err(JournalError::VersionConflict),
            }
            let Attempt { history, streams, .. } = attempt;
            let decided: Vec<_> = streams.into_decided().collect();
            let used: Vec<_> = decided.iter().map(|decided| decided.loaded.unloaded()).collect();
            let written = decided.iter().filter(|decided| !decided.events.is_empty());
            let written: Vec<_> = written.map(|decided| self.turn(&decided.loaded.stream)).collect();
            match self.commit(context, history, decided).await {
                Ok(outcome) => return Ok(Some(outcome)),
                Err(error) => {
                    for MissingStream { stream, .. } in &used {
                        self.aggregates.remove(stream);
                    }
                    if !matches!(error, JournalError::VersionConflict) {
                        return Err(error);
                    }
                    // Losers that write the same streams go on one by one, or they would keep losing to each other.
                    if turns.is_empty() {
                        turns = self.turns(written).await;
                    }
                    attempt = self.attempt(true);
                    // Loads all of them, or the process might take an existing one for new again.
                    self.load_all(&mut attempt, used).await?;
                }
            }
        }
        Err(JournalError::VersionConflict)
    }

    fn attempt(&self, fresh: bool) -> Attempt {
        Attempt { history: self.committer.history(), fresh, streams: Streams::default() }
    }

    /// Loads the streams that are not loaded yet.
    async fn load_all(&self, attempt: &mut Attempt, streams: Vec<MissingStream>) -> JournalResult<()> {
        let Attempt { history, fresh, .. } = *attempt;
        let missing: Vec<_> = streams.into_iter().filter(|wanted| !attempt.streams.has(&wanted.stream)).collect();
        let loads = missing.into_iter().map(|wanted| self.load(wanted, history, fresh));
        let loaded: Vec<LoadedStream> = stream::iter(loads).buffer_unordered(LOADS_AT_ONCE).try_collect().await?;
        loaded.into_iter().for_each(|loaded| attempt.streams.load(loaded));
        Ok(())
    }

    /// Whether a stream used in the decision has moved on; if so, the attempt has refreshed all of them. If not, all
    /// were in the seen state at one moment: after the last was loaded, and before the first is checked here.
    async fn is_overtaken(&self, attempt: &mut Attempt) -> JournalResult<bool> {
        let seen: Vec<LoadedStream> = attempt.streams.used().cloned().collect();
        if let [LoadedStream { fresh: true, .. }] = &*seen {
            return Ok(false);
        }
        let history = attempt.history;
        let reads = seen.into_iter().map(|seen| self.catch_up(history, seen));
        let now: Vec<(bool, LoadedStream)> = stream::iter(reads).buffer_unordered(LOADS_AT_ONCE).try_collect().await?;
        let overtaken = now.iter().any(|(moved, _)| *moved);
        if overtaken {
            attempt.fresh = true;
            now.into_iter().for_each(|(_, loaded)| attempt.streams.load(loaded));
        }
        Ok(overtaken)
    }

    /// The current state of a stream, and whether it has moved on.
    async fn catch_up(&self, history: u64, seen: LoadedStream) -> JournalResult<(bool, LoadedStream)> {
        let before = seen.version;
        let now = self.refresh(seen, history).await?;
        Ok((now.version != before, now))
    }

    /// Commits a process's decision made in a history, and caches the resulting states.
    async fn commit(
        &self,
        context: &RequestContext,
        history: u64,
        decided: Vec<DecidedStream>,
    ) -> JournalResult<Outcome> {
        let (mut writes, mut reads, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for DecidedStream { loaded, state, events } in decided {
            let LoadedStream { stream, version, .. } = loaded;
            match state {
                Some(state) => {
                    states.push((stream.clone(), version..version + events.len() as u64, state));
                    writes.push((stream, ExpectedVersion::Exact(version), events));
                }
                None => reads.push((stream, version)),
            }
        }
        let outcome = self.append_decided(context, history, writes, reads).await?;
        for (stream, versions, state) in states {
            self.keep(stream, history, versions, state.into());
        }
        Ok(outcome)
    }

    /// Takes turns, always in the same order.
    async fn turns(&self, mut turns: Vec<usize>) -> Vec<MutexGuard<'_, ()>> {
        turns.sort_unstable();
        turns.dedup();
        let mut taken = Vec::with_capacity(turns.len());
        for turn in turns {
            taken.push(self.turns[turn].lock().await);
        }
        taken
    }

    fn turn(&self, stream: &StreamId) -> usize {
        self.hasher.hash_one(stream) as usize % TURNS
    }
}
