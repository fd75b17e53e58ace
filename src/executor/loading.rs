//! Loading of streams: from the cache, from a snapshot and the events after it, or from the events alone.

use super::Executor;
use crate::journal::{JournalError, JournalResult, StoredSnapshot, StreamId, codec};
use quick_cache::sync::Cache;
use registrar_aggregates::Snapshots;
use registrar_aggregates::processes::{LoadedStream, MissingStream, State};
use std::ops::Range;
use std::sync::Arc;

/// A snapshot is taken when a stream's version passes a multiple of this.
const SNAPSHOT_EVERY: u64 = 100;

/// A state at a version in a history.
#[derive(Clone)]
pub(crate) struct CachedAggregate {
    history: u64,
    version: u64,
    state: Arc<dyn State>,
}

/// Cache of aggregate states.
pub(crate) type Aggregates = Cache<StreamId, CachedAggregate>;

impl Executor {
    /// Loads a stream of `history`, the number that was current before any read. Unless it must be `fresh`, a cached
    /// state will do.
    pub(super) async fn load(&self, wanted: MissingStream, history: u64, fresh: bool) -> JournalResult<LoadedStream> {
        let mut loaded =
            LoadedStream { version: 0, state: wanted.absent().into(), stream: wanted.stream, fresh: false };
        if let Some(cached) = self.aggregates.get(&loaded.stream)
            && cached.history == history
        {
            (loaded.version, loaded.state) = (cached.version, cached.state);
            if !fresh {
                return Ok(loaded);
            }
        } else if loaded.state.snapshots().is_some()
            && let Some((version, state)) = self.load_snapshot(&loaded).await?
        {
            (loaded.version, loaded.state) = (version, state);
        }
        self.refresh(loaded, history).await
    }

    /// The stream with the journal's events after its version.
    pub(super) async fn refresh(&self, mut loaded: LoadedStream, history: u64) -> JournalResult<LoadedStream> {
        let (aggregate_type, aggregate_id) = (loaded.stream.aggregate_type, loaded.stream.aggregate_id.clone());
        let stored = match self.journal.stream(aggregate_type, &aggregate_id, loaded.version).await {
            // Another node wrote on, and its events were archived since: only a snapshot is left of them.
            Err(archived @ JournalError::Archived { .. }) => {
                let later = self.load_snapshot(&loaded).await?.filter(|(version, _)| *version > loaded.version);
                let Some((version, state)) = later else { return Err(self.unloadable(&loaded, archived).await?) };
                (loaded.version, loaded.state) = (version, state);
                self.journal.stream(aggregate_type, &aggregate_id, version).await?
            }
            stored => stored?,
        };
        let events = match codec::decode(&self.vault, &stored).await {
            // Events of a later release.
            Err(JournalError::Corrupt(_)) if !stored.iter().all(codec::is_known) => {
                return Err(JournalError::OldRelease);
            }
            events => events?,
        };
        let mut state = (!events.is_empty()).then(|| loaded.state.copied());
        for event in events {
            if event.sequence != loaded.version + 1 {
                return Err(JournalError::corrupt(format!("event at position {} is out of sequence", event.position)));
            }
            loaded.version = event.sequence;
            if !state.as_mut().is_some_and(|state| state.fold(&event.event)) {
                let position = event.position;
                return Err(JournalError::corrupt(format!("event at position {position} is in another's stream")));
            }
        }
        if let Some(state) = state {
            loaded.state = state.into();
        }
        loaded.fresh = true;
        let LoadedStream { version, ref state, .. } = loaded;
        let cached = CachedAggregate { history, version, state: Arc::clone(state) };
        self.aggregates.insert(loaded.stream.clone(), cached);
        Ok(loaded)
    }

    /// Loads a snapshot. One of another shape, or an unreadable one, is skipped, since the events are the truth.
    async fn load_snapshot(&self, loaded: &LoadedStream) -> JournalResult<Option<(u64, Arc<dyn State>)>> {
        let LoadedStream { stream, state, .. } = loaded;
        let Some(snapshot) = self.journal.snapshot(stream.aggregate_type, &stream.aggregate_id).await? else {
            return Ok(None);
        };
        if state.snapshots().is_none_or(|own| own.shape != snapshot.shape) {
            return Ok(None);
        }
        let Ok(mut payload) = serde_json::from_str::<serde_json::Value>(&snapshot.payload) else { return Ok(None) };
        let keys = self.vault.keys_of(std::iter::once(&payload)).await?;
        let opened = keys.open(&mut payload).is_ok();
        let restored = opened.then(|| state.restored(payload)).flatten();
        Ok(restored.map(|state| (snapshot.last_sequence, state.into())))
    }

    /// Error for a stream that begins with archived events and has no snapshot that this release reads.
    async fn unloadable(&self, loaded: &LoadedStream, archived: JournalError) -> JournalResult<JournalError> {
        let Some(own) = loaded.state.snapshots() else { return Ok(archived) };
        let (aggregate_type, aggregate_id) = (loaded.stream.aggregate_type, loaded.stream.aggregate_id.clone());
        let stored = self.journal.snapshot(aggregate_type, &aggregate_id).await?;
        Ok(match stored {
            Some(later) if later.shape > own.shape => JournalError::OldRelease,
            _ => JournalError::OtherShape { aggregate_type, aggregate_id },
        })
    }

    /// Caches a state, and now and then saves a snapshot of it.
    pub(super) fn keep(&self, stream: StreamId, history: u64, versions: Range<u64>, state: Arc<dyn State>) {
        let Range { start: before, end: version } = versions;
        if let Some(snapshots) = state.snapshots()
            && version / SNAPSHOT_EVERY > before / SNAPSHOT_EVERY
        {
            self.save_snapshot(stream.clone(), version, state.to_snapshot().ok(), snapshots);
        }
        self.aggregates.insert(stream, CachedAggregate { history, version, state });
    }

    /// Saved beside the command: no caller waits for a snapshot, and a lost one only costs time.
    fn save_snapshot(
        &self,
        stream: StreamId,
        last_sequence: u64,
        state: Option<serde_json::Value>,
        Snapshots { shape, personal }: Snapshots,
    ) {
        let (journal, vault) = (self.journal.clone(), Arc::clone(&self.vault));
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
