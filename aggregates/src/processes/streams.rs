//! Input and output of a process: loaded states of aggregates, and the events that the process adds to them.

use super::{Step, Stop};
use crate::{Decide, DomainEvent, FromDomainEvent, Refusal, Snapshots};
use serde_json::Value;
use std::any::Any;
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

/// Names a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// Aggregate type, kebab case.
    pub aggregate_type: &'static str,
    /// Aggregate id.
    pub aggregate_id: String,
}

impl StreamId {
    /// The stream of the aggregate `id`.
    #[must_use]
    pub fn of<A: Decide>(id: impl Display) -> Self {
        StreamId { aggregate_type: A::TYPE, aggregate_id: id.to_string() }
    }
}

/// The state of an aggregate of any type.
pub trait State: Any + Send + Sync {
    /// Applies an event of the aggregate's stream; `false` for an event of another aggregate, which is ignored.
    fn fold(&mut self, event: &DomainEvent) -> bool;

    /// A copy.
    fn copied(&self) -> Box<dyn State>;

    /// The stream of the same aggregate type with this name, to be loaded.
    fn unloaded(&self, stream: StreamId) -> MissingStream;

    /// Snapshots of the aggregate, if it has any.
    fn snapshots(&self) -> Option<Snapshots>;

    /// The state from a snapshot of the same aggregate type; `None` if the snapshot has another shape.
    fn restored(&self, snapshot: Value) -> Option<Box<dyn State>>;

    /// The state for a snapshot, personal values unsealed.
    ///
    /// # Errors
    /// A value that JSON cannot express; no state has one.
    fn to_snapshot(&self) -> serde_json::Result<Value>;
}

impl<A: Decide> State for A {
    fn fold(&mut self, event: &DomainEvent) -> bool {
        let event = A::Event::of(event).cloned();
        let own = event.is_some();
        event.into_iter().for_each(|event| self.apply(event));
        own
    }

    fn copied(&self) -> Box<dyn State> {
        Box::new(self.clone())
    }

    fn unloaded(&self, stream: StreamId) -> MissingStream {
        MissingStream { stream, absent: || Box::new(A::default()) }
    }

    fn snapshots(&self) -> Option<Snapshots> {
        A::SNAPSHOT
    }

    fn restored(&self, snapshot: Value) -> Option<Box<dyn State>> {
        serde_json::from_value::<A>(snapshot).ok().map(|state| Box::new(state) as Box<dyn State>)
    }

    fn to_snapshot(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}

/// A stream to load.
#[derive(Debug, Clone)]
pub struct MissingStream {
    /// The stream.
    pub stream: StreamId,
    absent: fn() -> Box<dyn State>,
}

impl MissingStream {
    /// The stream of the aggregate `id`.
    #[must_use]
    pub fn of<A: Decide>(id: impl Display) -> Self {
        MissingStream { stream: StreamId::of::<A>(id), absent: || Box::new(A::default()) }
    }

    /// The state before the first event.
    #[must_use]
    pub fn absent(&self) -> Box<dyn State> {
        (self.absent)()
    }
}

/// A loaded stream.
#[derive(Clone)]
pub struct LoadedStream {
    /// The stream.
    pub stream: StreamId,
    /// Number of its last event; 0 for a stream without events.
    pub version: u64,
    /// The state after its events.
    pub state: Arc<dyn State>,
    /// Whether the stream was read from the journal for this command, rather than cached or assumed to be new.
    pub fresh: bool,
}

impl LoadedStream {
    /// The same stream, to be reloaded.
    #[must_use]
    pub fn unloaded(&self) -> MissingStream {
        self.state.unloaded(self.stream.clone())
    }
}

/// A stream that a process read, with the events that the process added.
pub struct DecidedStream {
    /// The stream as it was loaded.
    pub loaded: LoadedStream,
    /// The state after the added events, if any.
    pub state: Option<Box<dyn State>>,
    /// Events that the process added.
    pub events: Vec<DomainEvent>,
}

/// Streams that the process needs and that are not loaded. After their load the process runs again from its start.
#[derive(Debug)]
pub struct Need(pub Vec<MissingStream>);

/// The aggregates that a process decides by, including the effects of its decisions so far.
#[derive(Default)]
pub struct Streams {
    streams: HashMap<StreamId, Entry>,
    /// Streams that this run read, in that order.
    used: Vec<StreamId>,
}

struct Entry {
    loaded: LoadedStream,
    used: bool,
    /// The state after the added events, if any.
    state: Option<Box<dyn State>>,
    events: Vec<DomainEvent>,
}

impl Entry {
    fn new(loaded: LoadedStream) -> Self {
        Entry { loaded, used: false, state: None, events: Vec::new() }
    }

    fn state<A: Decide>(&self) -> &A {
        let state = self.state.as_deref().unwrap_or(&*self.loaded.state);
        let state = (state as &dyn Any).downcast_ref();
        state.expect("no two aggregates share the name of a type, by which streams are told apart")
    }
}

impl Streams {
    /// The aggregate `id`, with the events added so far. The commit checks that the stream is still at the loaded
    /// version.
    ///
    /// # Errors
    /// `Need`.
    pub fn state<A: Decide>(&mut self, id: impl Display) -> Result<&A, Need> {
        self.entry::<A>(id).map(|entry| entry.state())
    }

    /// The version of a stream before any event of this command, checked at the commit like its state.
    ///
    /// # Errors
    /// `Need`.
    pub fn version<A: Decide>(&mut self, id: impl Display) -> Result<u64, Need> {
        self.entry::<A>(id).map(|entry| entry.loaded.version)
    }

    /// Executes `command` on the aggregate `id`; `false` if it changed nothing. An aggregate that the command
    /// [creates](Decide::creates) is assumed to be new and not loaded: if it exists, the commit fails.
    ///
    /// # Errors
    /// `Refused` with the aggregate's reason; `Need`.
    pub fn execute<A: Decide<Error: Into<Refusal>>>(&mut self, id: impl Display, command: A::Command) -> Step<bool> {
        self.decide::<A>(id, command).map_err(|stop| stop.map(Into::into))
    }

    /// Like `execute`, for a process on one aggregate, whose refusal keeps its type.
    ///
    /// # Errors
    /// As [`Streams::execute`].
    pub fn decide<A: Decide>(&mut self, id: impl Display, command: A::Command) -> Result<bool, Stop<A::Error>> {
        let unloaded = MissingStream::of::<A>(id);
        if A::creates(&command) && !self.streams.contains_key(&unloaded.stream) {
            let (stream, state) = (unloaded.stream.clone(), Arc::from(unloaded.absent()));
            self.load(LoadedStream { stream, version: 0, state, fresh: false });
        }
        let entry = self.look_up(unloaded)?;
        let events = entry.state::<A>().decide(command).map_err(Stop::Refused)?;
        let changed = !events.is_empty();
        for event in events {
            let event = event.into();
            entry.state.get_or_insert_with(|| entry.loaded.state.copied()).fold(&event);
            entry.events.push(event);
        }
        Ok(changed)
    }

    /// Names streams that will be needed, so that missing ones are loaded in one batch and not one by one.
    ///
    /// # Errors
    /// `Need`.
    pub fn prefetch(&self, streams: impl IntoIterator<Item = MissingStream>) -> Result<(), Need> {
        let missing = streams.into_iter().filter(|wanted| !self.streams.contains_key(&wanted.stream));
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() { Ok(()) } else { Err(Need(missing)) }
    }

    /// Adds a loaded stream, replacing an earlier load.
    pub fn load(&mut self, loaded: LoadedStream) {
        self.streams.insert(loaded.stream.clone(), Entry::new(loaded));
    }

    /// Whether a stream is loaded.
    #[must_use]
    pub fn has(&self, stream: &StreamId) -> bool {
        self.streams.contains_key(stream)
    }

    /// Runs a process from its start, on the loaded streams.
    ///
    /// # Errors
    /// Errors of the process.
    pub fn run<T, E>(&mut self, decide: impl FnOnce(&mut Streams) -> Result<T, Stop<E>>) -> Result<T, Stop<E>> {
        for stream in self.used.drain(..) {
            if let Some(entry) = self.streams.get_mut(&stream) {
                (entry.used, entry.state) = (false, None);
                entry.events.clear();
            }
        }
        decide(self)
    }

    /// Streams that the last run read, in that order.
    pub fn used(&self) -> impl Iterator<Item = &LoadedStream> {
        self.used.iter().filter_map(|stream| self.streams.get(stream)).map(|entry| &entry.loaded)
    }

    /// Whether the last run added events.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.used.iter().filter_map(|stream| self.streams.get(stream)).any(|entry| !entry.events.is_empty())
    }

    /// The result of the last run: the streams that it read, in that order.
    pub fn into_decided(mut self) -> impl Iterator<Item = DecidedStream> {
        let used = std::mem::take(&mut self.used);
        used.into_iter().filter_map(move |stream| self.streams.remove(&stream)).map(|entry| {
            let Entry { loaded, state, events, .. } = entry;
            DecidedStream { loaded, state, events }
        })
    }

    fn entry<A: Decide>(&mut self, id: impl Display) -> Result<&mut Entry, Need> {
        self.look_up(MissingStream::of::<A>(id))
    }

    fn look_up(&mut self, wanted: MissingStream) -> Result<&mut Entry, Need> {
        match self.streams.get_mut(&wanted.stream) {
            Some(entry) => {
                if !std::mem::replace(&mut entry.used, true) {
                    self.used.push(wanted.stream);
                }
                Ok(entry)
            }
            None => Err(Need(vec![wanted])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::testing::*;
    use crate::user::{User, UserCommand, UserError};

    type RunResult = Step<()>;

    fn needed(ran: RunResult) -> Vec<String> {
        match ran {
            Err(Stop::Need(streams)) => streams.into_iter().map(|wanted| wanted.stream.aggregate_id).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn loaded(history: History) -> LoadedStream {
        let (stream, events) = history;
        let mut state = MissingStream::of::<User>(&stream.aggregate_id).absent();
        events.iter().for_each(|event| assert!(state.fold(event)));
        LoadedStream { stream, version: events.len() as u64, state: state.into(), fresh: true }
    }

    #[test]
    fn a_stream_that_is_not_loaded_is_needed() {
        let mut streams = Streams::default();
        assert_eq!(needed(streams.run(|streams| Ok(streams.state::<User>(ADA).map(drop)?))), [ADA.to_string()]);
        assert_eq!(needed(streams.run(|streams| Ok(streams.version::<User>(ADA).map(drop)?))), [ADA.to_string()]);
        let enable = |streams: &mut Streams| streams.execute::<User>(ADA, UserCommand::Enable).map(drop);
        assert_eq!(needed(streams.run(enable)), [ADA.to_string()]);
        assert_eq!(streams.used().count(), 0);
    }

    #[test]
    fn prefetching_needs_the_unloaded_streams_and_uses_none() {
        let mut streams = Streams::default();
        streams.load(loaded(user(ADA, [])));
        let prefetch = |streams: &mut Streams| Ok(streams.prefetch([ADA, BOB].map(MissingStream::of::<User>))?);
        assert_eq!(needed(streams.run(prefetch)), [BOB.to_string()]);
        streams.load(loaded(user(BOB, [])));
        streams.run(prefetch).expect("both are loaded");
        assert_eq!(streams.used().count(), 0);
    }

    #[test]
    fn later_steps_see_the_state_that_earlier_ones_left() {
        let mut streams = Streams::default();
        streams.load(loaded(user(ADA, [])));
        let ran: RunResult = streams.run(|streams| {
            assert!(streams.execute::<User>(ADA, UserCommand::Join(ACME))?);
            assert!(!streams.execute::<User>(ADA, UserCommand::Enable)?);
            assert!(streams.state::<User>(ADA)?.profile().is_some_and(|ada| ada.memberships.contains_key(&ACME)));
            assert_eq!(streams.version::<User>(ADA)?, 1, "the version before the act");
            Ok(())
        });
        ran.expect("no refusal");
        assert!(streams.is_changed());
    }

    #[test]
    fn a_run_begins_with_the_streams_as_they_were_loaded() {
        let mut streams = Streams::default();
        streams.load(loaded(user(ADA, [])));
        let join = |streams: &mut Streams| streams.execute::<User>(ADA, UserCommand::Join(ACME)).map(drop);
        streams.run(join).expect("no refusal");
        streams.run(join).expect("no refusal");
        let decided: Vec<_> = streams.into_decided().collect();
        let [DecidedStream { events, .. }] = &*decided else { panic!("one stream was looked at") };
        assert_eq!(*events, user(ADA, [UserCommand::Join(ACME)]).1[1..]);
        let mut streams = Streams::default();
        streams.load(loaded(user(ADA, [])));
        streams.run(join).expect("no refusal");
        streams.run(|_| RunResult::Ok(())).expect("no refusal");
        assert!(!streams.is_changed() && streams.used().count() == 0);
    }

    #[test]
    fn aggregates_that_a_command_creates_are_taken_for_new() {
        let mut streams = Streams::default();
        let create = |streams: &mut Streams| {
            streams.execute::<User>(ADA, UserCommand::Create(Box::new(creation(ADA)))).map(drop)
        };
        streams.run(create).expect("no refusal");
        assert!(streams.used().all(|used| used.version == 0 && !used.fresh));
        streams.load(loaded(user(ADA, [])));
        assert!(matches!(streams.run(create), Err(Stop::Refused(Refusal::User(UserError::AlreadyExists)))));
    }

    #[test]
    fn streams_come_in_the_order_in_which_they_were_looked_at() {
        let mut streams = Streams::default();
        for id in [ADA, BOB] {
            streams.load(loaded(user(id, [])));
        }
        let ran: RunResult = streams.run(|streams| {
            streams.state::<User>(BOB)?;
            streams.execute::<User>(ADA, UserCommand::Join(ACME))?;
            streams.execute::<User>(BOB, UserCommand::Join(ACME))?;
            Ok(())
        });
        ran.expect("no refusal");
        let order: Vec<_> = streams.into_decided().map(|decided| decided.loaded.stream.aggregate_id).collect();
        assert_eq!(order, [BOB.to_string(), ADA.to_string()]);
    }

    #[test]
    fn an_event_of_another_aggregate_changes_no_state() {
        let (_, events) = organization(ACME);
        let mut state = MissingStream::of::<User>(ADA).absent();
        assert!(!state.fold(&events[0]));
    }
}
