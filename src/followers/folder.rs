//! Folding pages of the journal into documents, for rebuilds and followers.

use crate::files::HistoryError;
use crate::folding;
use crate::journal::{JournalError, JournalResult, JournalWriter, StoredEvent, codec};
use crate::read_store::parse_document;
use crate::vault::Vault;
use registrar_projections::{AnyDocument, CollectionId, DocumentKey, FoldError, Projection, RecordedEvent, WorkingSet};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Documents kept between pages; beyond it all are dropped and read again as needed.
const KEPT_DOCUMENTS: usize = 50_000;

/// Why events could not be folded.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
    /// An event that today's projections cannot fold.
    #[error("the event at position {position} cannot be folded: {reason}")]
    NotFoldable {
        /// Its position.
        position: u64,
        /// Why not.
        reason: String,
    },
    /// Archived events cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The journal or the documents' store failed.
    #[error("the database failed: {0}")]
    Journal(#[from] JournalError),
}

/// Folds pages of events into the documents of a generation.
pub(super) struct Folder<'a> {
    vault: &'a Vault,
    projections: &'static [Projection],
    /// The generation that the documents belong to.
    pub(super) generation: u64,
    kept: HashMap<DocumentKey, Arc<AnyDocument>>,
    /// Position up to which it has folded.
    pub(super) at: u64,
}

impl<'a> Folder<'a> {
    /// A folder that goes on after position `at`.
    pub(super) fn new(vault: &'a Vault, projections: &'static [Projection], generation: u64, at: u64) -> Self {
        Folder { vault, projections, generation, kept: HashMap::new(), at }
    }

    /// Folds a page that follows the last one and answers what has to be written.
    pub(super) async fn fold(
        &mut self,
        writer: &mut dyn JournalWriter,
        stored: &[StoredEvent],
    ) -> Result<folding::Rows, FolderError> {
        let events = codec::decode(self.vault, stored).await.map_err(|error| unreadable(error, self.at))?;
        let mut documents = self.working_set(writer, &events).await?;
        for event in &events {
            self.projections
                .iter()
                .try_for_each(|projection| (projection.fold)(event, &mut documents))
                .map_err(|error| not_foldable(event, &error))?;
        }
        let keys = self.vault.keys_by_subject(subjects(&events)).await?;
        let rows = folding::rows(&documents, &keys)?;
        for change in documents.changes() {
            match change.after {
                Some(document) if change.key.collection.collection().hot => self.kept.insert(change.key, document),
                _ => self.kept.remove(&change.key),
            };
        }
        if self.kept.len() > KEPT_DOCUMENTS {
            self.kept.clear();
        }
        self.at = events.last().map_or(self.at, |event| event.position);
        Ok(rows)
    }

    async fn working_set(&self, writer: &mut dyn JournalWriter, events: &[RecordedEvent]) -> JournalResult<WorkingSet> {
        let mut documents = WorkingSet::default();
        let mut missing: HashMap<CollectionId, Vec<String>> = HashMap::new();
        let mut asked = HashSet::new();
        for key in events
            .iter()
            .flat_map(|event| self.projections.iter().flat_map(move |projection| (projection.wants)(event)))
        {
            if !asked.insert(key.clone()) {
                continue;
            }
            match self.kept.get(&key) {
                Some(document) => documents.provide(key, Some(Arc::clone(document))),
                None => missing.entry(key.collection).or_default().push(key.id),
            }
        }
        for (collection, ids) in missing {
            let mut bodies = writer.documents(self.generation, collection, &ids).await?;
            for id in ids {
                let document = bodies.remove(&id).map(|body| parse_document(collection, &body)).transpose()?;
                // What is not in the store may come to be in this very page; the fold then inserts it.
                documents.provide(DocumentKey { collection, id }, document.map(Arc::new));
            }
        }
        Ok(documents)
    }
}

/// Everyone whose key seals something of these events' documents.
fn subjects(events: &[RecordedEvent]) -> HashSet<String> {
    let about = events.iter().filter(|event| event.event.has_subject()).map(|event| event.aggregate_id.clone());
    let by = events.iter().filter_map(|event| event.metadata.subject().map(str::to_owned));
    about.chain(by).collect()
}

fn not_foldable(event: &RecordedEvent, error: &FoldError) -> FolderError {
    FolderError::NotFoldable { position: event.position, reason: error.to_string() }
}

/// An event that cannot even be read names its position itself; `after` is where the page began.
fn unreadable(error: JournalError, after: u64) -> FolderError {
    match error {
        JournalError::Corrupt(source) => FolderError::NotFoldable { position: after + 1, reason: source.to_string() },
        other => FolderError::Journal(other),
    }
}
