//! The one path of every command: load, decide, commit, and again if another writer was first.

mod sealing;
mod together;

pub use together::{Joint, Together};

use crate::committer::{Append, Committer, ExpectedVersion, StreamAppend};
use crate::idempotency::AnswerSlot;
use crate::journal::{Journal, JournalError, JournalResult, StoredSnapshot, StreamId, codec};
use crate::read_store::forget_before_commit;
use crate::security;
use crate::vault::{Vault, VaultError};
use quick_cache::sync::Cache;
use registrar_aggregates::values::OrganizationId;
use registrar_aggregates::{Decide, DomainEvent, EventFacts, Metadata, OfDomain, Snapshots};
use registrar_projections::document::HasCollection;
use registrar_projections::{AnyDocument, RecordedEvent};
use sealing::Sealing;
use std::any::Any;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// Times a command is decided anew after another writer was first.
const RETRIES_MAX: usize = 16;
/// Streams whose losers take turns are told apart by this many locks.
const TURNS: usize = 64;
/// Aggregates kept in memory.
const CACHED_AGGREGATES: usize = 10_000;
/// A snapshot is taken when a stream's version passes a multiple of this.
const SNAPSHOT_EVERY: u64 = 100;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<E: std::error::Error + 'static> {
    /// The aggregate refused.
    #[error(transparent)]
    Refused(E),
    /// The journal did.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The circumstances of a command.
#[derive(Clone)]
pub struct RequestContext {
    /// Recorded with every event.
    pub metadata: Metadata,
    /// Where the answer is remembered, for a request with an idempotency key.
    pub answer: Option<Arc<AnswerSlot>>,
}

impl RequestContext {
    /// The circumstances of an act of the server itself, with a request id of its own.
    #[must_use]
    pub fn system() -> Self {
        RequestContext { metadata: Metadata::system(uuid::Uuid::now_v7().to_string()), answer: None }
    }

    /// Whether the actor represents another principal. Such actors change no address, password, second factor or role:
    /// [`Executor::append`] refuses the events.
    #[must_use]
    pub fn acts_for_another(&self) -> bool {
        self.metadata.on_behalf_of.is_some()
    }

    /// The circumstances of a command on something that belongs to an organization: its events are the organization's,
    /// whichever organization the caller acts in.
    #[must_use]
    pub fn within(&self, organization: OrganizationId) -> Self {
        self.belonging_to(Some(organization))
    }

    /// The same for something that may belong to the system.
    #[must_use]
    pub fn belonging_to(&self, organization: Option<OrganizationId>) -> Self {
        let mut context = self.clone();
        context.metadata.organization_id = organization.map(|organization| organization.to_string());
        context
    }
}

/// What a command came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Position of the journal's last event after it.
    pub position: u64,
    /// The events, empty if everything was as asked already.
    pub events: Vec<RecordedEvent>,
    /// The documents as the events left them.
    pub documents: Vec<Arc<AnyDocument>>,
}

impl Outcome {
    /// The changed document of type `D`, if there is one.
    #[must_use]
    pub fn document<D: HasCollection>(&self) -> Option<&D> {
        self.documents.iter().find_map(|document| D::unwrap(document))
    }
}

/// A state at a version in a history.
#[derive(Clone)]
pub(crate) struct CachedAggregate {
    history: u64,
    version: u64,
    state: Arc<dyn Any + Send + Sync>,
}

/// States of aggregates.
pub(crate) type Aggregates = Cache<StreamId, CachedAggregate>;

/// Carries out commands.
pub struct Executor {
    committer: Committer,
    journal: Arc<dyn Journal>,
    vault: Arc<Vault>,
    aggregates: Arc<Aggregates>,
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
}

struct Loaded<A> {
    /// Number of the history that it was read from.
    history: u64,
    version: u64,
    state: A,
    /// Whether the state was compared with the journal during this command.
    fresh: bool,
}

impl Executor {
    /// An executor that commits through `committer`.
    #[must_use]
    pub fn new(committer: Committer, journal: Arc<dyn Journal>, vault: Arc<Vault>) -> Self {
        Executor {
            committer,
            journal,
            vault,
            aggregates: Arc::new(Cache::new(CACHED_AGGREGATES)),
            turns: [const { Mutex::const_new(()) }; TURNS],
            hasher: RandomState::new(),
        }
    }

    /// The states that are kept, to be forgotten with the history that they are of.
    pub(crate) fn aggregates(&self) -> Arc<Aggregates> {
        Arc::clone(&self.aggregates)
    }

    /// Carries out `command` on the aggregate `id`.
    ///
    /// With `expected`, the version that the client saw, the command is carried out on just that version or not at
    /// all; without, a lost race is decided anew a few times.
    ///
    /// # Errors
    /// `Refused` with the aggregate's reason; `Journal` with `VersionConflict`, `ClaimTaken`, `AlreadyAnswered`,
    /// `EventTooLarge`, `Unavailable` and the rest of [`JournalError`]. Nothing is stored then.
    pub async fn execute<A>(
        &self,
        context: &RequestContext,
        id: &str,
        command: A::Command,
        expected: Option<u64>,
    ) -> Result<Outcome, ExecuteError<A::Error>>
    where
        A: Decide + Clone + 'static,
        A::Command: Clone,
        A::Event: EventFacts + OfDomain + Into<DomainEvent>,
        A::Error: 'static,
    {
        let stream = StreamId { aggregate_type: A::TYPE, aggregate_id: id.to_owned() };
        let mut loaded: Loaded<A> = match expected {
            None if A::creates(&command) => self.nothing_loaded(),
            _ => self.load(&stream).await?,
        };
        let mut turn = None;
        for _ in 0..RETRIES_MAX {
            if expected.is_some_and(|expected| expected != loaded.version) {
                if loaded.fresh {
                    return Err(JournalError::VersionConflict.into());
                }
                loaded = self.refresh(&stream, loaded).await?;
                continue;
            }
            let decision = loaded.state.decide(command.clone());
            let events = match decision {
                Ok(events) if !events.is_empty() => events,
                // A refusal, or finding nothing to do, must not rest on memory that another node has overtaken.
                _ if !loaded.fresh => {
                    let version = loaded.version;
                    loaded = self.refresh(&stream, loaded).await?;
                    if loaded.version != version {
                        continue;
                    }
                    match decision {
                        Ok(_) => return Ok(self.unchanged().await?),
                        Err(refusal) => return Err(ExecuteError::Refused(refusal)),
                    }
                }
                Ok(_) => return Ok(self.unchanged().await?),
                Err(refusal) => return Err(ExecuteError::Refused(refusal)),
            };
            let decided = events.iter().cloned().map(Into::into).collect();
            let streams = vec![(stream.clone(), ExpectedVersion::Exact(loaded.version), decided)];
            match self.append_decided(context, loaded.history, streams, Vec::new()).await {
                Ok(outcome) => {
                    self.remember(&stream, loaded, events);
                    return Ok(outcome);
                }
                Err(JournalError::VersionConflict) if expected.is_none() => {
                    // Losers go on one by one, or many writers of one stream would keep losing to each other.
                    if turn.is_none() {
                        turn = Some(self.turns[self.turn(&stream)].lock().await);
                    }
                    self.aggregates.remove(&stream);
                    loaded = self.load(&stream).await?;
                }
                Err(error) => {
                    self.aggregates.remove(&stream);
                    return Err(error.into());
                }
            }
        }
        Err(JournalError::VersionConflict.into())
    }

    /// Puts facts on record that no state decides about, whatever the stream's version.
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

    /// The state of an aggregate, compared with the journal.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn state<A>(&self, id: &str) -> JournalResult<(u64, A)>
    where
        A: Decide + Clone + 'static,
        A::Event: EventFacts + OfDomain + Into<DomainEvent>,
    {
        let stream = StreamId { aggregate_type: A::TYPE, aggregate_id: id.to_owned() };
        let mut loaded = self.load::<A>(&stream).await?;
        if !loaded.fresh {
            loaded = self.refresh(&stream, loaded).await?;
        }
        Ok((loaded.version, loaded.state))
    }

    /// Appends events to several streams, all of them or none.
    ///
    /// # Errors
    /// As [`Executor::execute`], without refusals. `ActingForAnother` for an event that nobody causes on behalf of
    /// another: every change passes here, so no operation can forget to ask.
    pub async fn append(
        &self,
        context: &RequestContext,
        streams: Vec<(StreamId, ExpectedVersion, Vec<DomainEvent>)>,
    ) -> JournalResult<Outcome> {
        self.append_decided(context, self.committer.history(), streams, Vec::new()).await
    }

    /// The same, decided by a history, unless one of the streams that were read has another version by then.
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
        // Found out by the committer it would fail the commands of others too, which are in the same batch.
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
        // Only now do the keys count: those of a command that lost are nobody's.
        made.into_iter().for_each(|(subject_id, key)| self.vault.remember(subject_id, key));
        security::witness(outcome.events.iter().map(|event| &*event.event));
        Ok(outcome)
    }

    fn turn(&self, stream: &StreamId) -> usize {
        self.hasher.hash_one(stream) as usize % TURNS
    }

    /// The turns of several streams, always taken in the same order.
    async fn turns(&self, streams: impl Iterator<Item = &StreamId>) -> Vec<MutexGuard<'_, ()>> {
        let turns: BTreeSet<usize> = streams.map(|stream| self.turn(stream)).collect();
        let mut taken = Vec::with_capacity(turns.len());
        for turn in turns {
            taken.push(self.turns[turn].lock().await);
        }
        taken
    }

    async fn unchanged(&self) -> JournalResult<Outcome> {
        Ok(Outcome { position: self.journal.head().await?.position, ..Outcome::default() })
    }

    async fn load<A>(&self, stream: &StreamId) -> JournalResult<Loaded<A>>
    where
        A: Decide + Clone + 'static,
        A::Event: OfDomain,
    {
        let mut loaded = self.nothing_loaded();
        if let Some(CachedAggregate { history, version, state }) = self.aggregates.get(stream)
            && history == loaded.history
            && let Some(state) = state.downcast_ref::<A>()
        {
            return Ok(Loaded { version, state: state.clone(), ..loaded });
        }
        if A::SNAPSHOT.is_some()
            && let Some((version, state)) = self.load_snapshot::<A>(stream).await?
        {
            (loaded.version, loaded.state) = (version, state);
        }
        self.refresh(stream, loaded).await
    }

    /// An aggregate without events, by the history that counts now.
    fn nothing_loaded<A: Default>(&self) -> Loaded<A> {
        Loaded { history: self.committer.history(), version: 0, state: A::default(), fresh: false }
    }

    /// A snapshot is a convenience: one of another shape, or that cannot be read, is passed over; the events are the truth.
    async fn load_snapshot<A: Decide>(&self, stream: &StreamId) -> JournalResult<Option<(u64, A)>> {
        let Some(snapshot) = self.journal.snapshot(stream.aggregate_type, &stream.aggregate_id).await? else {
            return Ok(None);
        };
        if A::SNAPSHOT.is_none_or(|own| own.shape != snapshot.shape) {
            return Ok(None);
        }
        let Ok(mut payload) = serde_json::from_str::<serde_json::Value>(&snapshot.payload) else { return Ok(None) };
        let keys = self.vault.keys_of(std::iter::once(&payload)).await?;
        let opened = keys.open(&mut payload).is_ok();
        Ok(opened.then(|| serde_json::from_value(payload).ok()).flatten().map(|state| (snapshot.last_sequence, state)))
    }

    async fn refresh<A>(&self, stream: &StreamId, mut loaded: Loaded<A>) -> JournalResult<Loaded<A>>
    where
        A: Decide + Clone + 'static,
        A::Event: OfDomain,
    {
        let (aggregate_type, aggregate_id) = (stream.aggregate_type, stream.aggregate_id.as_str());
        let stored = match self.journal.stream(aggregate_type, aggregate_id, loaded.version).await {
            // Another node wrote on, and what it wrote was archived since: that left a snapshot, which is the only truth at
            // hand.
            Err(archived @ JournalError::Archived { .. }) => {
                let later = self.load_snapshot::<A>(stream).await?.filter(|(version, _)| *version > loaded.version);
                let Some((version, state)) = later else { return Err(self.unloadable::<A>(stream, archived).await?) };
                (loaded.version, loaded.state) = (version, state);
                self.journal.stream(aggregate_type, aggregate_id, version).await?
            }
            stored => stored?,
        };
        let events = match codec::decode(&self.vault, &stored).await {
            // What a later release records, this one cannot know.
            Err(JournalError::Corrupt(_)) if !stored.iter().all(codec::is_known) => {
                return Err(JournalError::OldRelease);
            }
            events => events?,
        };
        for event in events {
            if event.sequence != loaded.version + 1 {
                return Err(JournalError::corrupt(format!("event at position {} is out of sequence", event.position)));
            }
            loaded.version = event.sequence;
            let event = A::Event::of(&event.event).ok_or_else(|| {
                JournalError::corrupt(format!("event at position {} is in another's stream", event.position))
            })?;
            loaded.state.apply(event.clone());
        }
        loaded.fresh = true;
        let Loaded { history, version, state, .. } = &loaded;
        let cached = CachedAggregate { history: *history, version: *version, state: Arc::new(state.clone()) };
        self.aggregates.insert(stream.clone(), cached);
        Ok(loaded)
    }

    /// Why a stream cannot be loaded that begins with archived events, and has no snapshot that this release reads.
    async fn unloadable<A: Decide>(&self, stream: &StreamId, archived: JournalError) -> JournalResult<JournalError> {
        let Some(own) = A::SNAPSHOT else { return Ok(archived) };
        let (aggregate_type, aggregate_id) = (stream.aggregate_type, stream.aggregate_id.clone());
        let stored = self.journal.snapshot(aggregate_type, &aggregate_id).await?;
        Ok(match stored {
            Some(later) if later.shape > own.shape => JournalError::OldRelease,
            _ => JournalError::OtherShape { aggregate_type, aggregate_id },
        })
    }

    fn remember<A>(&self, stream: &StreamId, loaded: Loaded<A>, events: Vec<A::Event>)
    where
        A: Decide + Clone + 'static,
    {
        let Loaded { history, mut state, version: before, .. } = loaded;
        let version = before + events.len() as u64;
        for event in events {
            state.apply(event);
        }
        self.keep(stream, history, before..version, state);
    }

    /// Keeps a state in memory, and now and then a snapshot of it.
    fn keep<A>(&self, stream: &StreamId, history: u64, versions: Range<u64>, state: A)
    where
        A: Decide + Clone + 'static,
    {
        let Range { start: before, end: version } = versions;
        if let Some(snapshots) = A::SNAPSHOT
            && version / SNAPSHOT_EVERY > before / SNAPSHOT_EVERY
        {
            self.save_snapshot(stream.clone(), version, serde_json::to_value(&state).ok(), snapshots);
        }
        self.aggregates.insert(stream.clone(), CachedAggregate { history, version, state: Arc::new(state) });
    }

    /// Saved beside the command: nobody waits for a snapshot, and one that is lost only costs time.
    fn save_snapshot(
        &self,
        stream: StreamId,
        last_sequence: u64,
        state: Option<serde_json::Value>,
        Snapshots { shape, personal }: Snapshots,
    ) {
        let (journal, vault) = (Arc::clone(&self.journal), Arc::clone(&self.vault));
        tokio::spawn(async move {
            let Some(mut payload) = state else { return };
            let saved = async {
                if !personal.is_empty() {
                    let Some(Some(key)) = vault.subject_key(&stream.aggregate_id).await? else { return Ok(()) };
                    key.seal(&mut payload, personal, "snapshot")?;
                }
                let snapshot = StoredSnapshot { last_sequence, shape, payload: payload.to_string() };
                journal.save_snapshot(stream.aggregate_type, &stream.aggregate_id, snapshot).await
            };
            if let Err(error) = saved.await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a snapshot was not saved");
            }
        });
    }
}
