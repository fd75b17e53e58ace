//! Verifying the documents of a read-only database: history is folded into a database of its own, in a temporary
//! folder, and bodies are compared. Key columns are not: each store derives them from the bodies in its own way.

use super::{DocumentVerification, SUSPECTS_MAX, is_of_this_release};
use crate::archives::History;
use crate::followers::folder::Folder;
use crate::followers::rebuild::{RebuildError, fold_most};
use crate::journal::{JournalError, JournalResult, JournalWriter};
use crate::node::{Node, Store};
use crate::store::DocumentStore;
use registrar_projections::{CollectionId, is_followed};
use std::collections::VecDeque;
use std::io::{Error, ErrorKind};
use std::sync::Arc;

/// Documents read at a time.
const PAGE: usize = 500;
/// Times that differing documents are compared again because of commits meanwhile.
const TRIES_MAX: usize = 20;

/// Collection and identifier of a document.
type DocumentAddress = (CollectionId, String);

/// See [`super::verify`].
///
/// # Errors
/// [`RebuildError`].
pub(super) async fn verify(
    node: &Node,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<DocumentVerification, RebuildError> {
    let live = node.journal.head().await?.generation;
    is_of_this_release(node, live).await?;
    let folder = tempfile::tempdir().map_err(JournalError::unavailable)?;
    let store = Store::in_file(&folder.path().join("documents.sqlite3"));
    store.migrate().await.map_err(JournalError::unavailable)?;
    let generation = store.document_store().create_generation(&crate::read_store::signature()).await?;
    let mut writer = store.journal().writer().await?;
    writer.relax().await?;
    let folder = Folder::new(Arc::clone(&node.vault), registrar_projections::INLINE, generation, 0);
    SeparateComparison { node, live, store, folder, history: History::of(node), writer }.compare(progress).await
}

struct SeparateComparison<'n> {
    node: &'n Node,
    live: u64,
    store: Store,
    folder: Folder,
    history: History,
    writer: Box<dyn JournalWriter>,
}

impl SeparateComparison<'_> {
    async fn compare(mut self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<DocumentVerification, RebuildError> {
        self.fold(progress).await?;
        let mut suspects = Vec::new();
        for collection in CollectionId::ALL.iter().copied().filter(|collection| !is_followed(*collection)) {
            suspects.extend(self.differing(collection).await?.into_iter().map(|id| (collection, id)));
        }
        for _ in 0..TRIES_MAX {
            if suspects.is_empty() || self.node.journal.head().await?.position == self.folder.at {
                let name = |(collection, id): DocumentAddress| format!("{}/{id}", collection.collection().name);
                return Ok(DocumentVerification {
                    position: self.folder.at,
                    altered: suspects.into_iter().map(name).collect(),
                });
            }
            self.fold(progress).await?;
            suspects = self.still_differing(suspects).await?;
        }
        let faster = "commits come faster than documents are compared; try again when there are fewer";
        Err(JournalError::unavailable(Error::new(ErrorKind::TimedOut, faster)).into())
    }

    /// Folds everything up to the journal's end.
    async fn fold(&mut self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<(), RebuildError> {
        let SeparateComparison { node, store, folder, history, writer, .. } = self;
        fold_most(node, store, folder, history, &mut **writer, progress).await?;
        let head = node.journal.head().await?.position;
        let left = usize::try_from(head - folder.at.min(head)).unwrap_or(usize::MAX);
        let last = node.journal.read(folder.at, left).await?;
        let rows = folder.fold(&mut **writer, last).await?;
        writer.build(folder.generation, &rows, folder.at).await?;
        progress(folder.at, head);
        Ok(())
    }

    /// Identifiers of documents that differ or exist on one side only.
    async fn differing(&self, collection: CollectionId) -> JournalResult<Vec<String>> {
        let built = self.store.document_store();
        let mut served = Listing::of(&*self.node.read_store, self.live, collection);
        let mut made = Listing::of(&*built, self.folder.generation, collection);
        let (mut one, mut other) = (served.next().await?, made.next().await?);
        let mut differing = Vec::new();
        while differing.len() < SUSPECTS_MAX as usize {
            match (one.take(), other.take()) {
                (None, None) => break,
                (Some((id, body)), Some((same, expected))) if id == same => {
                    if body != expected {
                        differing.push(id);
                    }
                    (one, other) = (served.next().await?, made.next().await?);
                }
                (Some(first), Some(second)) if first.0 > second.0 => {
                    differing.push(second.0);
                    (one, other) = (Some(first), made.next().await?);
                }
                (Some((id, _)), second) => {
                    differing.push(id);
                    (one, other) = (served.next().await?, second);
                }
                (None, Some((id, _))) => {
                    differing.push(id);
                    other = made.next().await?;
                }
            }
        }
        Ok(differing)
    }

    async fn still_differing(&self, suspects: Vec<DocumentAddress>) -> JournalResult<Vec<DocumentAddress>> {
        let built = self.store.document_store();
        let mut still = Vec::new();
        for (collection, id) in suspects {
            let served = self.node.read_store.body_of(self.live, collection, &id).await?;
            if served != built.body_of(self.folder.generation, collection, &id).await? {
                still.push((collection, id));
            }
        }
        Ok(still)
    }
}

/// Iterator over a collection's documents by identifier.
struct Listing<'s> {
    store: &'s dyn DocumentStore,
    generation: u64,
    collection: CollectionId,
    page: VecDeque<(String, String)>,
    /// Identifier after which the next page begins; `None` at the end.
    after: Option<String>,
}

impl<'s> Listing<'s> {
    fn of(store: &'s dyn DocumentStore, generation: u64, collection: CollectionId) -> Self {
        Listing { store, generation, collection, page: VecDeque::new(), after: Some(String::new()) }
    }

    async fn next(&mut self) -> JournalResult<Option<(String, String)>> {
        if self.page.is_empty()
            && let Some(after) = self.after.take()
        {
            self.page = self.store.page_of(self.generation, self.collection, &after, PAGE).await?.into();
            self.after = self.page.back().map(|(id, _)| id.clone());
        }
        Ok(self.page.pop_front())
    }
}
