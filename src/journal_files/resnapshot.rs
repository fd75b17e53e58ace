//! Rebuilding states of archived events: a release that changes a state's shape does not read the snapshots of the
//! release before, and the events are in files.

use super::states::{self, FoldedState};
use crate::archives::{History, HistoryError};
use crate::journal::JournalError;
use crate::node::Node;
use crate::store::Leadership;
use std::collections::HashMap;

/// States in memory at once; each group of this size takes one pass over the archives.
const STATES: usize = 10_000;
/// Events read at a time.
const PAGE: usize = 1_000;

/// Reasons why states were not all rebuilt. Finished ones are stored.
#[derive(Debug, thiserror::Error)]
pub enum ResnapshotError {
    /// Another process is archiving or resnapshotting.
    #[error("another process is archiving events of this database")]
    Busy,
    /// An archive cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Journal(#[from] JournalError),
}

/// Makes a snapshot of the current shape for every stream that cannot be loaded without archived events, and returns
/// their number. Servers may run meanwhile. `progress` receives the number of archived events read and the total.
///
/// # Errors
/// [`ResnapshotError`].
pub async fn resnapshot(node: &Node, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<u64, ResnapshotError> {
    let Some(_leadership) = Leadership::try_take(&node.store, "archive").await? else {
        return Err(ResnapshotError::Busy);
    };
    let raw = node.store.raw();
    let (shapes, until) = (states::shapes(), node.journal.archived_until().await?);
    let (mut made, mut after) = (0, (String::new(), String::new()));
    loop {
        let streams = raw.unshaped(&shapes, &after, STATES).await?;
        let Some(last) = streams.last() else { return Ok(made) };
        after = last.clone();
        for mut folded in fold_archives(node, &streams, until, progress).await? {
            folded.catch_up(node).await?;
            folded.save(node).await?;
            made += 1;
        }
    }
}

/// Folds the archived events of `streams` into their states.
async fn fold_archives(
    node: &Node,
    streams: &[(String, String)],
    until: u64,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Vec<FoldedState>, ResnapshotError> {
    let mut by_type: HashMap<&str, HashMap<&str, FoldedState>> = HashMap::new();
    for (aggregate_type, aggregate_id) in streams {
        let folded = FoldedState::absent(aggregate_type, aggregate_id)?;
        by_type.entry(aggregate_type).or_default().insert(aggregate_id, folded);
    }
    let (mut history, mut at) = (History::of(node), 0);
    while at < until {
        let page = usize::try_from(until - at).unwrap_or(PAGE).min(PAGE);
        let events = history.read(at, page).await?;
        let Some(last) = events.last() else { break };
        at = last.position;
        for event in &events {
            let of_type = by_type.get_mut(event.aggregate_type.as_str());
            if let Some(folded) = of_type.and_then(|states| states.get_mut(event.aggregate_id.as_str())) {
                folded.apply(node, std::slice::from_ref(event)).await?;
            }
        }
        progress(at, until);
    }
    Ok(by_type.into_values().flat_map(HashMap::into_values).collect())
}
