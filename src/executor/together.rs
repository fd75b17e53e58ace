//! Commands on several aggregates at once: all of them are carried out, or none.

use super::{ExecuteError, Executor, Loaded, Outcome, RETRIES_MAX, RequestContext};
use crate::committer::ExpectedVersion;
use crate::journal::{JournalError, JournalResult, StreamId};
use futures::future::BoxFuture;
use registrar_aggregates::{Decide, DomainEvent, EventFacts, OfDomain};
use std::any::Any;

/// An aggregate that takes part.
struct Part {
    stream: StreamId,
    /// Number of the history that it was read from.
    history: u64,
    /// Version before the events.
    version: u64,
    fresh: bool,
    /// A [`Loaded`] as the events leave it.
    state: Box<dyn Any + Send + Sync>,
    events: Vec<DomainEvent>,
    /// Keeps the state, once the events are on disk.
    keep: fn(&Executor, Part),
}

/// What is decided together: aggregates as they are after everything that was decided so far.
pub struct Together<'e> {
    executor: &'e Executor,
    /// Whether every state is compared with the journal.
    fresh: bool,
    parts: Vec<Part>,
}

/// An aggregate that can take part.
pub trait Joint: Decide + Clone + Send + Sync + 'static
where
    Self::Event: EventFacts + OfDomain + Into<DomainEvent>,
{
}

impl<A> Joint for A
where
    A: Decide + Clone + Send + Sync + 'static,
    A::Event: EventFacts + OfDomain + Into<DomainEvent>,
{
}

impl Together<'_> {
    /// The aggregate `id` as it is by now. What is decided counts only if it is still so at the commit.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn state<A>(&mut self, id: &str) -> JournalResult<&A>
    where
        A: Joint,
        A::Event: EventFacts + OfDomain + Into<DomainEvent>,
    {
        let at = self.part::<A>(id).await?;
        let state = self.parts[at].state.downcast_ref::<A>();
        state.ok_or_else(|| JournalError::corrupt("an aggregate is of another type than its stream"))
    }

    /// The version of a stream that was looked at, before any events of this act.
    #[must_use]
    pub fn version<A: Decide>(&self, id: &str) -> Option<u64> {
        let mut parts = self.parts.iter();
        let part = parts.find(|part| part.stream.aggregate_type == A::TYPE && part.stream.aggregate_id == id);
        part.map(|part| part.version)
    }

    /// Carries out `command` on the aggregate `id`, and tells whether anything came of it.
    ///
    /// # Errors
    /// `Refused` with the aggregate's reason; `Journal`.
    pub async fn execute<A>(&mut self, id: &str, command: A::Command) -> Result<bool, ExecuteError<A::Error>>
    where
        A: Joint,
        A::Event: EventFacts + OfDomain + Into<DomainEvent>,
        A::Error: 'static,
    {
        let at = self.part::<A>(id).await?;
        let part = &mut self.parts[at];
        let state = part.state.downcast_mut::<A>();
        let state = state.ok_or_else(|| JournalError::corrupt("an aggregate is of another type than its stream"))?;
        let events = state.decide(command).map_err(ExecuteError::Refused)?;
        let changed = !events.is_empty();
        for event in events {
            state.apply(event.clone());
            part.events.push(event.into());
        }
        Ok(changed)
    }

    async fn part<A>(&mut self, id: &str) -> JournalResult<usize>
    where
        A: Joint,
        A::Event: EventFacts + OfDomain + Into<DomainEvent>,
    {
        let stream = StreamId { aggregate_type: A::TYPE, aggregate_id: id.to_owned() };
        if let Some(at) = self.parts.iter().position(|part| part.stream == stream) {
            return Ok(at);
        }
        let mut loaded = self.executor.load::<A>(&stream).await?;
        if self.fresh && !loaded.fresh {
            loaded = self.executor.refresh(&stream, loaded).await?;
        }
        let Loaded { history, version, state, fresh } = loaded;
        self.parts.push(Part {
            stream,
            history,
            version,
            fresh,
            state: Box::new(state),
            events: Vec::new(),
            keep: keep::<A>,
        });
        Ok(self.parts.len() - 1)
    }
}

fn keep<A: Joint>(executor: &Executor, part: Part)
where
    A::Event: EventFacts + OfDomain + Into<DomainEvent>,
{
    let Part { stream, history, version, state, events, .. } = part;
    if let Ok(state) = state.downcast::<A>() {
        executor.keep(&stream, history, version..version + events.len() as u64, *state);
    }
}

impl Executor {
    /// Carries out what `decide` decides about several aggregates, in one commit, if every aggregate that it looked at is
    /// at that moment as it was seen. It may be called again: when another writer was first, and when it refuses by what
    /// others have overtaken.
    ///
    /// # Errors
    /// What `decide` answers; `Journal` as [`Executor::execute`]. Nothing is stored then.
    ///
    /// `decide` is written `|together| Box::pin(async move { ... })`; what it looks at besides is borrowed before it, since
    /// it may be called more than once. (An async closure would say the same, but the compiler cannot tell that its futures
    /// may be sent to other threads.)
    pub async fn execute_together<'e, T, E, F>(
        &'e self,
        context: &RequestContext,
        decide: F,
    ) -> Result<(T, Outcome), ExecuteError<E>>
    where
        E: std::error::Error + 'static,
        F: for<'t> Fn(&'t mut Together<'e>) -> BoxFuture<'t, Result<T, ExecuteError<E>>>,
    {
        let mut fresh = false;
        let mut turns = Vec::new();
        for _ in 0..RETRIES_MAX {
            let mut together = Together { executor: self, fresh, parts: Vec::new() };
            let decided = decide(&mut together).await;
            let Together { parts, .. } = together;
            let nothing_to_do = parts.iter().all(|part| part.events.is_empty());
            match decided {
                // A refusal, or finding nothing to do, must not rest on what others have overtaken: no commit compares it.
                Err(ExecuteError::Refused(_)) if self.is_overtaken(&parts).await? => fresh = true,
                Ok(_) if nothing_to_do && self.is_overtaken(&parts).await? => fresh = true,
                // So must a version that the client named.
                Err(ExecuteError::Journal(JournalError::VersionConflict)) if self.is_overtaken(&parts).await? => {
                    fresh = true;
                }
                Err(error) => return Err(error),
                Ok(answer) if nothing_to_do => return Ok((answer, self.unchanged().await?)),
                Ok(answer) => {
                    // Of several histories the earliest: then it is decided anew.
                    let history = parts.iter().map(|part| part.history).min().unwrap_or_default();
                    let (changed, unchanged): (Vec<_>, Vec<_>) =
                        parts.into_iter().partition(|part| !part.events.is_empty());
                    let streams = changed
                        .iter()
                        .map(|part| (part.stream.clone(), ExpectedVersion::Exact(part.version), part.events.clone()));
                    let reads = unchanged.iter().map(|part| (part.stream.clone(), part.version));
                    match self.append_decided(context, history, streams.collect(), reads.collect()).await {
                        Ok(outcome) => {
                            changed.into_iter().for_each(|part| (part.keep)(self, part));
                            return Ok((answer, outcome));
                        }
                        Err(error) => {
                            for part in changed.iter().chain(&unchanged) {
                                self.aggregates.remove(&part.stream);
                            }
                            if !matches!(error, JournalError::VersionConflict) {
                                return Err(error.into());
                            }
                            fresh = true;
                            // Losers that write the same streams go on one by one, or they would keep losing to each other.
                            if turns.is_empty() {
                                turns = self.turns(changed.iter().map(|part| &part.stream)).await;
                            }
                        }
                    }
                }
            }
        }
        Err(JournalError::VersionConflict.into())
    }

    /// Whether a stream that was decided by has moved on. If none has, there was one moment at which all of them were as
    /// they were seen: after the last was loaded, and before the first is looked at here.
    async fn is_overtaken(&self, parts: &[Part]) -> JournalResult<bool> {
        if let [Part { fresh: true, .. }] = parts {
            return Ok(false);
        }
        for Part { stream, version, .. } in parts {
            match self.journal.stream(stream.aggregate_type, &stream.aggregate_id, *version).await {
                Ok(later) if later.is_empty() => {}
                Ok(_) | Err(JournalError::Archived { .. }) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
