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

impl Executor {
    /// As [`Executor::execute_process`], for a process that also decides by facts outside streams. In every attempt the
    /// streams of `first` are loaded, then `facts` are read, then the process decides by both: facts that the streams
    /// of `first` guard are never older than these.
    ///
    /// # Errors
    /// As [`Executor::execute_process`]; those of `facts`.
    pub async fn execute_informed<T, I, E: std::error::Error + 'static, Asked: Future<Output = JournalResult<I>>>(
        &self,
        context: &RequestContext,
        first: &[MissingStream],
        facts: impl Fn() -> Asked,
        decide: impl Fn(&mut Streams, &I) -> Result<T, Stop<E>>,
    ) -> Result<(T, Outcome), ExecuteError<E>> {
        let mut attempt = self.attempt(false);
        let mut turns = Vec::new();
        for _ in 0..RETRIES_MAX {
            self.load_all(&mut attempt, first.to_vec()).await?;
            let facts = facts().await?;
            let decided = loop {
                match attempt.streams.run(|streams| decide(streams, &facts)) {
                    Err(Stop::Need(streams)) => self.load_all(&mut attempt, streams).await?,
                    decided => break decided,
                }
            };
            let answer = match decided {
                Ok(answer) if attempt.streams.is_changed() => answer,
                // No commit checks the streams of a refusal, of an act that changes nothing, or of a version that the
                // client named: a stale read must not be the reason.
                _ if self.is_overtaken(&mut attempt).await? => continue,
                Ok(answer) => return Ok((answer, self.unchanged().await?)),
                Err(Stop::Refused(refusal)) => return Err(ExecuteError::Refused(refusal)),
                Err(Stop::OtherVersion | Stop::Need(_)) => return Err(JournalError::VersionConflict.into()),
            };
            let Attempt { history, streams, .. } = attempt;
            let decided: Vec<_> = streams.into_decided().collect();
            let used: Vec<_> = decided.iter().map(|decided| decided.loaded.unloaded()).collect();
            let written = decided.iter().filter(|decided| !decided.events.is_empty());
            let written: Vec<_> = written.map(|decided| self.turn(&decided.loaded.stream)).collect();
            match self.commit(context, history, decided).await {
                Ok(outcome) => return Ok((answer, outcome)),
                Err(error) => {
                    for MissingStream { stream, .. } in &used {
                        self.aggregates.remove(stream);
                    }
                    if !matches!(error, JournalError::VersionConflict) {
                        return Err(error.into());
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
        Err(JournalError::VersionConflict.into())
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
