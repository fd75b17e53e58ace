//! Verifying the documents: history is folded into a separate generation beside the live one, and each served document
//! is compared with the folded one. Rights follow from documents, and no hash binds them to the journal.

mod apart;

use super::folder::Folder;
use super::rebuild::{RebuildError, begin};
use crate::archives::History;
use crate::journal::{DocumentStep, JournalResult, JournalWriter};
use crate::node::Node;
use crate::store::{Body, DocumentRows, Leadership};
use registrar_projections::{ChangeKind, CollectionId, DocumentKey, is_followed};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Most documents of a collection that are compared again with the head locked.
const SUSPECTS_MAX: i64 = 10_000;

/// Identifiers of differing documents by collection.
type Suspects = BTreeMap<CollectionId, Vec<String>>;

/// Result of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentVerification {
    /// Position up to which history was folded.
    pub position: u64,
    /// Documents that differ from the folded history, as `collection/id`, in order.
    pub altered: Vec<String>,
}

/// Folds the whole history again and compares the served documents with the result. Documents of followers decide
/// nothing, and are not compared. On a read-only node, bodies are compared and key columns are not. `progress` receives
/// the number of folded events and the total.
///
/// # Errors
/// [`RebuildError`]; nothing was changed.
pub async fn verify(node: &Node, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<DocumentVerification, RebuildError> {
    if node.looks() {
        return apart::verify(node, progress).await;
    }
    let Some(_leadership) = Leadership::try_take(&node.store, "rebuild").await? else { return Err(RebuildError::Busy) };
    let live = node.journal.head().await?.generation;
    is_of_this_release(node, live).await?;
    let (generation, checkpoint) = begin(&*node.read_store).await?;
    let compared = Comparison::new(node, live, generation, checkpoint).await?.carry_out(progress).await;
    // Half a generation is useless: no rebuild may resume it.
    node.read_store.drop_generation(generation).await?;
    compared
}

/// Checks that the documents are of this release.
async fn is_of_this_release(node: &Node, generation: u64) -> Result<(), RebuildError> {
    let signature = node.read_store.signature(generation).await?;
    if signature.as_deref() == Some(crate::read_store::signature().as_str()) {
        Ok(())
    } else {
        Err(RebuildError::OtherRelease)
    }
}

struct Comparison<'n> {
    node: &'n Node,
    live: u64,
    folder: Folder,
    history: History,
    writer: Box<dyn JournalWriter>,
}

impl<'n> Comparison<'n> {
    async fn new(node: &'n Node, live: u64, generation: u64, checkpoint: u64) -> JournalResult<Self> {
        let mut writer = node.journal.writer().await?;
        writer.relax().await?;
        let folder = Folder::new(Arc::clone(&node.vault), registrar_projections::INLINE, generation, checkpoint);
        Ok(Comparison { node, live, folder, history: History::of(node), writer })
    }

    async fn carry_out(mut self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<DocumentVerification, RebuildError> {
        self.fold(progress).await?;
        let mut suspects = Suspects::new();
        for collection in CollectionId::ALL.iter().copied().filter(|collection| !is_followed(*collection)) {
            let (live, rebuilt) = (self.live, self.folder.generation);
            let found = self.node.read_store.differing(collection, live, rebuilt, SUSPECTS_MAX).await?;
            if !found.is_empty() {
                suspects.insert(collection, found);
            }
        }
        // Commits went on meanwhile.
        self.fold(progress).await?;
        let head = self.writer.lock().await?.position;
        let altered = self.altered(head, suspects).await;
        self.writer.unlock().await?;
        progress(head, head);
        Ok(DocumentVerification { position: head, altered: altered? })
    }

    /// Folds until only a few events are left.
    async fn fold(&mut self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<(), RebuildError> {
        let Comparison { node, folder, history, writer, .. } = self;
        super::rebuild::fold_most(node, &node.store, folder, history, &mut **writer, progress).await
    }

    /// Suspects that still differ while the head is locked.
    async fn altered(&mut self, head: u64, suspects: Suspects) -> Result<Vec<String>, RebuildError> {
        let left = usize::try_from(head - self.folder.at.min(head)).unwrap_or(usize::MAX);
        let last = self.node.journal.read(self.folder.at, left).await?;
        let rows = self.folder.fold(&mut *self.writer, last).await?;
        let expected = bodies(&rows);
        let mut altered = Vec::new();
        for (collection, ids) in suspects {
            let (live, rebuilt) = (self.live, self.folder.generation);
            let bodies = self.writer.documents(live, collection, &ids).await?;
            let still = self.node.read_store.rows(collection, live, &ids).await?;
            let should = self.node.read_store.rows(collection, rebuilt, &ids).await?;
            for id in ids {
                let is_altered = match expected.get(&DocumentKey { collection, id: id.clone() }) {
                    // Changed by the last events: its keys are compared by the next run.
                    Some(expected) => bodies.get(&id).map(stored) != *expected,
                    None => still.get(&id) != should.get(&id),
                };
                if is_altered {
                    altered.push(format!("{}/{id}", collection.collection().name));
                }
            }
        }
        Ok(altered)
    }
}

/// Body and digest of a document.
type Stored<'r> = (&'r str, Option<&'r str>);

fn stored(body: &Body) -> Stored<'_> {
    (&body.text, body.digest.as_deref())
}

/// Bodies of the documents that the last events change; `None` for deleted ones.
fn bodies(rows: &DocumentRows) -> HashMap<DocumentKey, Option<Stored<'_>>> {
    rows.documents.iter().map(|step| (step.key.clone(), written(step))).collect()
}

fn written(step: &DocumentStep) -> Option<Stored<'_>> {
    (step.kind != ChangeKind::Delete).then_some((&step.body, Some(&step.digest)))
}
