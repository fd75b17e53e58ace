//! Folding history fast: one page is read while the one before it is folded, the one before that made into rows and the
//! one before that written.

use super::RebuildError;
use super::folder::{Folded, Folder, decode};
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

/// Events in the first page; those that follow are as long as it takes to write them.
const PAGE: usize = 500;
/// Events in a page, at least and at most.
const PAGES: (usize, usize) = (50, 5_000);

/// What the stages tell one another beside the pages.
struct Progress {
    /// Position up to which the documents are in the store.
    written: AtomicU64,
    /// Events that the next page should have.
    page: AtomicUsize,
}

/// Folds all events up to `head`, and writes the documents into the store that has the generation. `progress` is told after each page.
///
/// # Errors
/// What made a stage end; what is written goes as far as the generation's checkpoint.
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
    // A stage that fails ends those before it; those behind it go on with what they have, so that it need not be done anew.
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
    // What is further behind is about earlier events.
    ended.3.and(ended.2).and(ended.1).and(ended.0)
}

impl Progress {
    /// Pages become longer or shorter, by a half at most.
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
        // Another stage has failed if nobody receives it.
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
    folded: Sender<Folded>,
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
    mut folded: Receiver<Folded>,
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
