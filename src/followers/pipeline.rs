//! Pipelined folding of history: reading, folding, making rows and writing run at once, each on a later page than the
//! stage behind it.

use super::RebuildError;
use super::folder::{FoldedPage, Folder, decode};
use crate::archives::History;
use crate::journal::JournalWriter;
use crate::node::{Node, Store};
use crate::store::DocumentRows;
use crate::vault::Vault;
use registrar_projections::RecordedEvent;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events in the first page; later pages are sized by the time it takes to write them.
const PAGE: usize = 500;
/// Minimum and maximum of events in a page.
const PAGES: (usize, usize) = (50, 5_000);

/// State that the stages share beside the pages.
struct Progress {
    /// Position up to which the store has the documents.
    written: AtomicU64,
    /// Target number of events of the next page.
    page: AtomicUsize,
}

/// Folds all events up to `head`, and writes the documents into the store that has the generation. `progress` is called
/// after each page.
///
/// # Errors
/// The error that ended a stage; the generation's checkpoint tells how far documents are written.
pub(super) async fn fold_until(
    head: u64,
    node: &Node,
    into: &Store,
    history: &mut History,
    folder: &mut Folder,
    writer: &mut dyn JournalWriter,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<(), RebuildError> {
    let mut reader = into.journal().writer().await?;
    let stages = Progress { written: AtomicU64::new(folder.at), page: AtomicUsize::new(PAGE) };
    let (vault, generation, after) = (&node.vault, folder.generation, folder.at);
    let ((decoded, to_fold), (folded, to_render), (rendered, to_write)) = (channel(1), channel(1), channel(1));
    // A failing stage ends those before it; those behind it finish their pages, so that this work need not be repeated.
    let ended: (_, _, _, Result<(), RebuildError>) = futures::join!(
        read(history, vault, after, head, &stages, decoded),
        fold(folder, &mut *reader, &stages, to_fold, folded),
        render(vault, to_render, rendered),
        async {
            let mut to_write: Receiver<(DocumentRows, u64)> = to_write;
            while let Some((rows, until)) = to_write.recv().await {
                let begun = Instant::now();
                writer.build(generation, &rows, until).await?;
                stages.written.store(until, Ordering::Release);
                stages.adapt(begun.elapsed(), into.write_time());
                progress(until, head);
            }
            Ok(())
        },
    );
    // Errors of stages further behind are about earlier events.
    ended.3.and(ended.2).and(ended.1).and(ended.0)
}

impl Progress {
    /// Adjusts the page size, by a half at most.
    fn adapt(&self, took: Duration, wanted: Duration) {
        let page = self.page.load(Ordering::Relaxed);
        let ratio = (wanted.as_secs_f64() / took.as_secs_f64().max(1e-6)).clamp(0.5, 1.5);
        let page = (page as f64 * ratio) as usize;
        self.page.store(page.clamp(PAGES.0, PAGES.1), Ordering::Relaxed);
    }
}

async fn read(
    history: &mut History,
    vault: &Vault,
    mut at: u64,
    head: u64,
    stages: &Progress,
    decoded: Sender<Vec<RecordedEvent>>,
) -> Result<(), RebuildError> {
    while at < head {
        let page = history.read_on(at, head, stages.page.load(Ordering::Relaxed)).await?;
        at = page.last().map_or(head, |event| event.position);
        // A closed channel means that another stage has failed.
        if decoded.send(decode(vault, page).await?).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn fold(
    folder: &mut Folder,
    reader: &mut dyn JournalWriter,
    stages: &Progress,
    mut decoded: Receiver<Vec<RecordedEvent>>,
    folded: Sender<FoldedPage>,
) -> Result<(), RebuildError> {
    while let Some(events) = decoded.recv().await {
        let page = folder.fold_ahead(reader, events, stages.written.load(Ordering::Acquire)).await?;
        if folded.send(page).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn render(
    vault: &Arc<Vault>,
    mut folded: Receiver<FoldedPage>,
    rendered: Sender<(DocumentRows, u64)>,
) -> Result<(), RebuildError> {
    while let Some(page) = folded.recv().await {
        let rows = page.rows(vault).await?;
        if rendered.send((rows, page.until)).await.is_err() {
            break;
        }
    }
    Ok(())
}
