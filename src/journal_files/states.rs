//! Stream states as snapshots, from which streams with archived events are loaded.

use crate::journal::{JournalError, JournalResult, StoredEvent, StoredSnapshot, codec};
use crate::node::Node;
use registrar_aggregates::personal::{ERASED, replace};
use registrar_aggregates::{AnyAggregate, Snapshots};
use serde_json::Value;

/// Aggregate types with snapshots, with the number of the shape that this release reads.
pub(super) fn shapes() -> Vec<(&'static str, u32)> {
    AnyAggregate::snapshots().map(|(name, snapshots)| (name, snapshots.shape)).collect()
}

/// The folded state of a stream.
pub(super) struct FoldedState {
    aggregate_type: &'static str,
    aggregate_id: String,
    kept: Snapshots,
    version: u64,
    state: AnyAggregate,
}

impl FoldedState {
    /// The initial state, before the first event.
    ///
    /// # Errors
    /// `Corrupt` for a type without snapshots.
    pub(super) fn absent(aggregate_type: &str, aggregate_id: &str) -> JournalResult<Self> {
        let known = AnyAggregate::snapshots().find(|(name, _)| *name == aggregate_type);
        let state = AnyAggregate::absent(aggregate_type);
        let ((aggregate_type, kept), state) = known
            .zip(state)
            .ok_or_else(|| JournalError::corrupt(format!("{aggregate_type} is kept without snapshots")))?;
        Ok(FoldedState { aggregate_type, aggregate_id: aggregate_id.to_owned(), kept, version: 0, state })
    }

    /// The state of the latest snapshot; the initial one if no snapshot has the current shape.
    ///
    /// # Errors
    /// `Corrupt`, `Unavailable`.
    pub(super) async fn latest(node: &Node, aggregate_type: &str, aggregate_id: &str) -> JournalResult<Self> {
        let mut folded = FoldedState::absent(aggregate_type, aggregate_id)?;
        let former = node.journal.snapshot(aggregate_type, aggregate_id).await?;
        if let Some(snapshot) = former.filter(|snapshot| snapshot.shape == folded.kept.shape) {
            let mut state: Value = serde_json::from_str(&snapshot.payload).map_err(JournalError::corrupt)?;
            let keys = node.vault.keys_of(std::iter::once(&state)).await?;
            keys.open(&mut state).map_err(JournalError::corrupt)?;
            let unreadable =
                || JournalError::corrupt(format!("the state of {aggregate_type}/{aggregate_id} is not readable"));
            folded.state = AnyAggregate::from_snapshot(aggregate_type, state).ok_or_else(unreadable)?;
            folded.version = snapshot.last_sequence;
        }
        Ok(folded)
    }

    /// Applies the following events of the stream, as far as the database has them.
    ///
    /// # Errors
    /// `OtherShape` if events in between were archived; `Corrupt`, `Unavailable`.
    pub(super) async fn catch_up(&mut self, node: &Node) -> JournalResult<()> {
        let stored = match node.journal.stream(self.aggregate_type, &self.aggregate_id, self.version).await {
            Err(JournalError::Archived { .. }) => {
                let (aggregate_type, aggregate_id) = (self.aggregate_type, self.aggregate_id.clone());
                return Err(JournalError::OtherShape { aggregate_type, aggregate_id });
            }
            stored => stored?,
        };
        self.apply(node, &stored).await
    }

    /// Applies the next events of the stream.
    ///
    /// # Errors
    /// `Corrupt` if they are not the next ones; `Unavailable`.
    pub(super) async fn apply(&mut self, node: &Node, stored: &[StoredEvent]) -> JournalResult<()> {
        for event in codec::decode(&node.vault, stored).await? {
            if event.sequence != self.version + 1 {
                return Err(JournalError::corrupt(format!("event at position {} is out of sequence", event.position)));
            }
            self.version = event.sequence;
            self.state.apply((*event.event).clone());
        }
        Ok(())
    }

    /// Saves the state as a snapshot, with personal values sealed.
    ///
    /// # Errors
    /// `Corrupt`, `Unavailable`.
    pub(super) async fn save(&self, node: &Node) -> JournalResult<()> {
        let mut payload = self.state.to_snapshot().map_err(JournalError::corrupt)?;
        let Snapshots { shape, personal } = self.kept;
        match node.vault.subject_key(&self.aggregate_id).await?.flatten() {
            Some(key) => key.seal(&mut payload, personal, "snapshot")?,
            // Without a key, personal values were erased or never existed.
            None => replace(&mut payload, personal, ERASED),
        }
        let snapshot = StoredSnapshot { last_sequence: self.version, shape, payload: payload.to_string() };
        node.journal.save_snapshot(self.aggregate_type, &self.aggregate_id, snapshot).await
    }
}
