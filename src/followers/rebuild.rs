//! Rebuilding the documents: history is folded into a new generation beside the live one, which keeps serving and
//! taking writes. Once only concurrent writes are left, the indexes that only queries need are made; then the head is
//! locked, the last events are folded and the generations are swapped, in one transaction. An interrupted rebuild
//! resumes from its checkpoint.
//!
//! Transactions that build are not synced: checkpoint and documents are lost together, and a synced commit syncs all
//! before it. The indexes made late are all of them on PostgreSQL. On SQLite making an index is one transaction,
//! seconds long with a million documents, so only the full-text tables, which cost most, are filled late: 100 documents
//! a transaction.

use super::folder::{Folder, FolderError};
use super::pipeline::fold_until;
use crate::archives::{History, HistoryError};
use crate::journal::{JournalError, JournalResult, JournalWriter};
use crate::node::{Node, Store};
use crate::store::{DocumentStore, Leadership};
use std::sync::Arc;

/// Most events that may be left when the head is locked; more would keep writers waiting.
const LAST_EVENTS_MAX: u64 = 500;

/// Reasons why the documents were not rebuilt. The served generation stays in service.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Another process is rebuilding.
    #[error("another process is rebuilding the documents of this database")]
    Busy,
    /// The served documents were made by a newer release.
    #[error("the documents of this database were made by a newer release of Registrar; use that one")]
    NewerRelease,
    /// The served documents were made by another release.
    #[error("the documents of this database are of another release; `registrar projections rebuild` makes new ones")]
    OtherRelease,
    /// An event that today's projections cannot fold.
    #[error("the event at position {position} cannot be folded: {reason}")]
    NotFoldable {
        /// Position of the event.
        position: u64,
        /// Cause.
        reason: String,
    },
    /// Archived events cannot be read.
    #[error(transparent)]
    History(HistoryError),
    /// The journal or the documents' store failed.
    #[error("the database failed: {0}")]
    Journal(#[from] JournalError),
}

/// Rebuilds the documents and returns the generation that is served from then on. Archived events are read from their
/// files. `progress` receives the number of folded events and the total.
///
/// # Errors
/// [`RebuildError`]; the former generation stays in service.
pub async fn rebuild(node: &Node, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<u64, RebuildError> {
    let Some(_leadership) = Leadership::try_take(&node.store, "rebuild").await? else { return Err(RebuildError::Busy) };
    let read_store = &*node.read_store;
    let (generation, checkpoint) = begin(read_store).await?;
    let folded = fold_history(node, generation, checkpoint, progress).await;
    if let Err(RebuildError::NotFoldable { position, reason }) = &folded {
        read_store.fail_generation(generation, *position, reason).await?;
    }
    folded?;
    // The new generation is served even if dropping the others fails: `keep_documents` tries again later.
    if let Err(error) = drop_those(read_store, |_, _| true).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the tables of former documents are not dropped yet");
    }
    Ok(generation)
}

/// Drops the tables of generations before the served one: those that a rebuild has replaced, and remains of interrupted
/// rebuilds. False if another process is rebuilding.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub(super) async fn tidy_up(node: &Node) -> JournalResult<bool> {
    // A generation after the served one is an unfinished rebuild that may be resumed.
    let past = |generation: u64, live: u64| generation < live;
    if not_served(&*node.read_store, past).await?.is_empty() {
        return Ok(true);
    }
    let Some(_leadership) = Leadership::try_take(&node.store, "rebuild").await? else { return Ok(false) };
    drop_those(&*node.read_store, past).await?;
    Ok(true)
}

/// Drops the tables of unserved generations selected by `past`, which gets their number and that of the served one.
async fn drop_those(read_store: &dyn DocumentStore, past: impl Fn(u64, u64) -> bool) -> JournalResult<()> {
    for generation in not_served(read_store, past).await? {
        read_store.drop_generation(generation).await?;
    }
    Ok(())
}

async fn not_served(read_store: &dyn DocumentStore, past: impl Fn(u64, u64) -> bool) -> JournalResult<Vec<u64>> {
    let generations = read_store.generations().await?;
    let live = generations.iter().find(|generation| generation.state == "live").map(|live| live.id);
    let Some(live) = live else { return Ok(Vec::new()) };
    Ok(generations.iter().map(|other| other.id).filter(|other| *other != live && past(*other, live)).collect())
}

/// The generation to build: that of an interrupted attempt, or a new one.
pub(super) async fn begin(read_store: &dyn DocumentStore) -> JournalResult<(u64, u64)> {
    let signature = crate::read_store::signature();
    for generation in read_store.generations().await? {
        match generation.state.as_str() {
            "building" if generation.signature == signature => return Ok((generation.id, generation.checkpoint)),
            "live" => {}
            _ => read_store.drop_generation(generation.id).await?,
        }
    }
    Ok((read_store.create_generation(&signature).await?, 0))
}

async fn fold_history(
    node: &Node,
    generation: u64,
    checkpoint: u64,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<(), RebuildError> {
    let mut writer = node.journal.writer().await?;
    writer.relax().await?;
    let mut folder = Folder::new(Arc::clone(&node.vault), registrar_projections::INLINE, generation, checkpoint);
    let mut history = History::of(node);
    let mut indexed = node.read_store.is_half_indexed(generation).await?;
    if indexed {
        node.read_store.index_generation(generation).await?;
    }
    loop {
        fold_most(node, &node.store, &mut folder, &mut history, &mut *writer, progress).await?;
        if !indexed {
            node.read_store.index_generation(generation).await?;
            indexed = true;
        } else if let Some(head) = fold_last(node, &mut folder, &mut *writer).await? {
            progress(head, head);
            return Ok(());
        }
    }
}

/// Folds until only a few events are left, none of them archived: writers must not wait for files to be read.
pub(super) async fn fold_most(
    node: &Node,
    into: &Store,
    folder: &mut Folder,
    history: &mut History,
    writer: &mut dyn JournalWriter,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<(), RebuildError> {
    loop {
        let head = node.journal.head().await?.position;
        progress(folder.at, head);
        if head - folder.at.min(head) <= LAST_EVENTS_MAX && folder.at >= history.archived_until().await? {
            return Ok(());
        }
        fold_until(head, node, into, history, folder, writer, progress).await?;
    }
}

/// Folds the last events and swaps the generations while the head is locked. `None`, without any change, if events that
/// are not folded yet were archived just now, and must be read from a file.
async fn fold_last(
    node: &Node,
    folder: &mut Folder,
    writer: &mut dyn JournalWriter,
) -> Result<Option<u64>, RebuildError> {
    // The swap is followed by dropping old documents, so it must not be lost.
    writer.tighten().await?;
    let head = writer.lock().await?.position;
    let left = usize::try_from(head - folder.at.min(head)).unwrap_or(usize::MAX);
    let last = match node.journal.read(folder.at, left).await {
        Err(JournalError::Archived { .. }) => {
            writer.unlock().await?;
            writer.relax().await?;
            return Ok(None);
        }
        last => last?,
    };
    match folder.fold(writer, last).await {
        Ok(rows) => writer.swap(folder.generation, &rows).await?,
        Err(error) => {
            writer.unlock().await?;
            return Err(error.into());
        }
    }
    Ok(Some(head))
}

impl From<FolderError> for RebuildError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::NotFoldable { position, reason } => RebuildError::NotFoldable { position, reason },
            FolderError::History(error) => error.into(),
            FolderError::Journal(error) => RebuildError::Journal(error),
        }
    }
}

impl From<HistoryError> for RebuildError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Journal(error) => RebuildError::Journal(error),
            error => RebuildError::History(error),
        }
    }
}
