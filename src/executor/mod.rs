//! The one path of every command and every process: load, decide, commit, and retry after a lost race.
//!
//! A command on one aggregate is the process over one stream. The rules of processes are in
//! [`registrar_aggregates::processes`]; here are their loads (`loading.rs`), their attempts (`attempt.rs`) and the
//! sealing of their events (`sealing.rs`).
//!
//! An attempt loads the streams, decides, refuses events that the actor must not cause on behalf of another principal,
//! seals personal values, refuses a payload longer than `PAYLOAD_BYTES_MAX` and commits. A refusal, or a command that
//! changes nothing, is compared with the journal before it is answered: a stale cache is never the reason of an
//! answer.

mod attempt;
mod context;
mod loading;
mod sealing;

pub use crate::committer::outcome::Outcome;
pub use context::RequestContext;
pub(crate) use loading::Aggregates;

use crate::committer::{Append, Committer, ExpectedVersion, StreamAppend};
use crate::journal::{Journal, JournalError, JournalResult, StreamId};
use crate::read_store::forget_before_commit;
use crate::security;
use crate::vault::{Vault, VaultError};
use quick_cache::sync::Cache;
use registrar_aggregates::processes::{MissingStream, Stop, Streams};
use registrar_aggregates::{Decide, DomainEvent, EventFacts};
use sealing::Sealing;
use std::any::Any;
use std::future::ready;
use std::hash::RandomState;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Number of locks by which streams are told apart when lost races take turns.
const TURNS: usize = 64;
/// Size of the cache of aggregate states.
const CACHED_AGGREGATES: usize = 10_000;

/// Reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<E: std::error::Error + 'static> {
    /// The aggregate refused.
    #[error(transparent)]
    Refused(E),
    /// The journal failed or refused the commit.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Carries out commands and processes.
pub struct Executor {
    committer: Committer,
    journal: Journal,
    vault: Arc<Vault>,
    aggregates: Arc<Aggregates>,
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
}

impl Executor {
    /// An executor that commits through `committer`.
    #[must_use]
    pub fn new(committer: Committer, journal: Journal, vault: Arc<Vault>) -> Self {
        Executor {
            committer,
            journal,
            vault,
            aggregates: Arc::new(Cache::new(CACHED_AGGREGATES)),
            turns: [const { Mutex::const_new(()) }; TURNS],
            hasher: RandomState::new(),
        }
    }

    /// The state cache, to be cleared with its history.
    pub(crate) fn aggregates(&self) -> Arc<Aggregates> {
        Arc::clone(&self.aggregates)
    }

    /// Executes `command` on the aggregate `id`.
    ///
    /// With `expected`, the version that the client saw, the command is executed on exactly that version or not at all;
    /// without, a lost race is retried a few times.
    ///
    /// # Errors
    /// `Refused` with the aggregate's reason; `Journal` with `VersionConflict`, `ClaimTaken`, `AlreadyAnswered`,
    /// `EventTooLarge`, `Unavailable` and the rest of [`JournalError`]. Nothing is stored then.
    pub async fn execute<A: Decide>(
        &self,
        context: &RequestContext,
        id: &str,
        command: A::Command,
        expected: Option<u64>,
    ) -> Result<Outcome, ExecuteError<A::Error>> {
        let loaded_first = expected.is_some() || !A::creates(&command);
        let first: Vec<_> = loaded_first.then(|| MissingStream::of::<A>(id)).into_iter().collect();
        let decide = |streams: &mut Streams, (): &()| match expected {
            Some(expected) if streams.version::<A>(id)? != expected => Err(Stop::OtherVersion),
            _ => streams.decide::<A>(id, command.clone()),
        };
        Ok(self.execute_informed(context, &first, || ready(Ok(())), decide).await?.1)
    }

    /// Executes a process in one commit, if every stream that it read is unchanged at that moment. `decide` is called
    /// again for every stream that it needs, after a lost race, and when its refusal rests on a stale read.
    ///
    /// # Errors
    /// `Refused` with the reason of the process; `Journal` as [`Executor::execute`]. Nothing is stored then.
    pub async fn execute_process<T: Send, E: std::error::Error + Send + 'static>(
        &self,
        context: &RequestContext,
        decide: impl Fn(&mut Streams) -> Result<T, Stop<E>> + Send,
    ) -> Result<(T, Outcome), ExecuteError<E>> {
        self.execute_informed(context, &[], || ready(Ok(())), move |streams, (): &()| decide(streams)).await
    }

    /// Records facts that need no decision, at any version of the stream.
    ///
    /// # Errors
    /// As [`Executor::execute`], without refusals.
    pub async fn record<E>(&self, context: &RequestContext, id: &str, events: Vec<E>) -> JournalResult<Outcome>
    where
        E: EventFacts + Into<DomainEvent>,
    {
        let events: Vec<DomainEvent> = events.into_iter().map(Into::into).collect();
        let Some(first) = events.first() else { return self.unchanged().await };
        let stream = StreamId { aggregate_type: first.aggregate_type(), aggregate_id: id.to_owned() };
        self.append(context, vec![(stream, ExpectedVersion::Any, events)]).await
    }

    /// The state of an aggregate, compared with the journal, and its version.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn state<A: Decide>(&self, id: &str) -> JournalResult<(u64, A)> {
        let loaded = self.load(MissingStream::of::<A>(id), self.committer.history(), true).await?;
        let state = (&*loaded.state as &dyn Any).downcast_ref::<A>();
        let state = state.ok_or_else(|| JournalError::corrupt("an aggregate is of another type than its stream"))?;
        Ok((loaded.version, state.clone()))
    }

    /// Appends events to several streams, all of them or none.
    ///
    /// # Errors
    /// As [`Executor::execute`], without refusals. `ActingForAnother` for an event that an actor must not cause on
    /// behalf of another user: every change passes here, so no operation can skip the check.
    pub async fn append(
        &self,
        context: &RequestContext,
        streams: Vec<(StreamId, ExpectedVersion, Vec<DomainEvent>)>,
    ) -> JournalResult<Outcome> {
        self.append_decided(context, self.committer.history(), streams, Vec::new()).await
    }

    /// As [`Executor::append`], decided in a history, unless one of the streams that were read has another version by
    /// then.
    async fn append_decided(
        &self,
        context: &RequestContext,
        history: u64,
        streams: Vec<(StreamId, ExpectedVersion, Vec<DomainEvent>)>,
        reads: Vec<(StreamId, u64)>,
    ) -> JournalResult<Outcome> {
        forget_before_commit();
        let own = || streams.iter().flat_map(|(_, _, events)| events).any(DomainEvent::own_act);
        if context.acts_for_another() && own() {
            return Err(JournalError::ActingForAnother);
        }
        // If the committer found this out, it would also fail the other commands in the batch.
        if context.answer.is_some() && !self.vault.has_master_key() {
            return Err(JournalError::unavailable(VaultError::WrongMasterKey));
        }
        let mut seal = Sealing::by(&self.vault);
        let metadata = seal.metadata(&context.metadata).await?;
        let mut appends = Vec::with_capacity(streams.len());
        for (stream, expected, events) in streams {
            let mut sealed = Vec::with_capacity(events.len());
            for event in events {
                sealed.push(seal.event(&stream, expected, event).await?);
            }
            appends.push(StreamAppend { stream, expected, events: sealed });
        }
        let made = seal.made();
        let append = Append {
            streams: appends,
            reads,
            metadata: Arc::new(context.metadata.clone()),
            metadata_text: metadata,
            subject_keys: seal.new,
            keys: seal.known,
            answer: context.answer.clone(),
            history,
        };
        let outcome = self.committer.append(append).await?;
        // Only now do the keys count: those of a command that lost belong to no person.
        made.into_iter().for_each(|(subject_id, key)| self.vault.remember(subject_id, key));
        security::witness(outcome.events.iter().map(|event| &*event.event));
        Ok(outcome)
    }

    async fn unchanged(&self) -> JournalResult<Outcome> {
        Ok(Outcome { position: self.journal.head().await?.position, ..Outcome::default() })
    }
}
