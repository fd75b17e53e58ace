//! Folding pages of the journal into documents, for rebuilds and followers.

use crate::archives::HistoryError;
use crate::committer::folding;
use crate::journal::{JournalError, JournalResult, JournalWriter, StoredEvent, codec};
use crate::read_store::parse_document;
use crate::store::DocumentRows;
use crate::vault::Vault;
use registrar_projections::{AnyDocument, CollectionId, DocumentKey, FoldError, Projection, RecordedEvent, WorkingSet};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Documents cached between pages; beyond this number all are dropped and read again as needed.
const KEPT_DOCUMENTS: usize = 50_000;

/// Reasons why events could not be folded.
#[derive(Debug, thiserror::Error)]
pub(super) enum FolderError {
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
    History(#[from] HistoryError),
    /// The journal or the documents' store failed.
    #[error("the database failed: {0}")]
    Journal(#[from] JournalError),
}

/// Folds pages of events into the documents of a generation.
pub(super) struct Folder {
    vault: Arc<Vault>,
    projections: &'static [Projection],
    /// The generation that the documents belong to.
    pub(super) generation: u64,
    memory: Memory,
    /// Position of the last folded event.
    pub(super) at: u64,
}

/// Documents cached between pages.
#[derive(Default)]
struct Memory {
    kept: HashMap<DocumentKey, Arc<AnyDocument>>,
    /// Pages that may not be in the store yet, with the position of the last event of each.
    unwritten: VecDeque<(u64, Arc<WorkingSet>)>,
}

/// A folded page, to be written.
pub(super) struct FoldedPage {
    documents: Arc<WorkingSet>,
    /// Persons whose keys seal parts of the page.
    subjects: HashSet<String>,
    /// Position of the page's last event.
    pub(super) until: u64,
}

impl Folder {
    /// A folder that continues after position `at`.
    pub(super) fn new(vault: Arc<Vault>, projections: &'static [Projection], generation: u64, at: u64) -> Self {
        Folder { vault, projections, generation, memory: Memory::default(), at }
    }

    /// Folds a page that follows the last one. The result must be written before the next page is folded.
    pub(super) async fn fold(
        &mut self,
        writer: &mut dyn JournalWriter,
        stored: Vec<StoredEvent>,
    ) -> Result<DocumentRows, FolderError> {
        let events = decode(&self.vault, stored).await?;
        let folded = self.fold_ahead(writer, events, self.at).await?;
        let rows = folded.rows(&self.vault).await?;
        self.memory.unwritten.clear();
        Ok(rows)
    }

    /// Folds a page that follows the last one, when the store has everything folded up to position `written`.
    pub(super) async fn fold_ahead(
        &mut self,
        reader: &mut dyn JournalWriter,
        events: Vec<RecordedEvent>,
        written: u64,
    ) -> Result<FoldedPage, FolderError> {
        let mut memory = std::mem::take(&mut self.memory);
        memory.unwritten.retain(|(until, _)| *until > written);
        let projections = self.projections;
        let (mut memory, events, mut documents, missing) = computed(move || {
            let (documents, missing) = memory.recall(projections, &events);
            (memory, events, documents, missing)
        })
        .await?;
        let mut found = Vec::new();
        for (collection, ids) in missing {
            let bodies = reader.documents(self.generation, collection, &ids).await?;
            found.push((collection, ids, bodies));
        }
        let (at, vault) = (self.at, Arc::clone(&self.vault));
        let (memory, folded) = computed(move || {
            for (collection, ids, mut bodies) in found {
                for id in ids {
                    let body = bodies.remove(&id);
                    let document = body.map(|body| parse_document(&vault, collection, &body)).transpose()?;
                    // A document that the store lacks may be created by this page; the fold then inserts it.
                    documents.provide(DocumentKey { collection, id }, document.map(Arc::new));
                }
            }
            for event in &events {
                projections
                    .iter()
                    .try_for_each(|projection| (projection.fold)(event, &mut documents))
                    .map_err(|error| not_foldable(event, &error))?;
            }
            let until = events.last().map_or(at, |event| event.position);
            let (documents, subjects) = (Arc::new(documents), subjects(&events));
            memory.remember(until, &documents);
            Ok::<_, FolderError>((memory, FoldedPage { documents, subjects, until }))
        })
        .await??;
        (self.memory, self.at) = (memory, folded.until);
        Ok(folded)
    }
}

impl Memory {
    /// Documents that the folds will read: the cached ones, and the keys of those to fetch.
    fn recall(
        &self,
        projections: &[Projection],
        events: &[RecordedEvent],
    ) -> (WorkingSet, HashMap<CollectionId, Vec<String>>) {
        let mut documents = WorkingSet::default();
        let mut missing: HashMap<CollectionId, Vec<String>> = HashMap::new();
        let mut asked = HashSet::new();
        for key in events.iter().flat_map(|event| projections.iter().flat_map(|projection| (projection.wants)(event))) {
            if !asked.insert(key.clone()) {
                continue;
            }
            match (self.kept.get(&key), self.unwritten.iter().rev().find(|(_, page)| page.knows(&key))) {
                (Some(document), _) => documents.provide(key, Some(Arc::clone(document))),
                (None, Some((_, page))) => {
                    let document = page.current(&key);
                    documents.provide(key, document);
                }
                (None, None) => missing.entry(key.collection).or_default().push(key.id),
            }
        }
        (documents, missing)
    }

    fn remember(&mut self, until: u64, documents: &Arc<WorkingSet>) {
        if self.kept.len() > KEPT_DOCUMENTS {
            self.kept.clear();
        }
        for change in documents.changes() {
            match change.after {
                Some(document) if change.key.collection.collection().hot => self.kept.insert(change.key, document),
                _ => self.kept.remove(&change.key),
            };
        }
        self.unwritten.push_back((until, Arc::clone(documents)));
    }
}

impl FoldedPage {
    /// The rows to write.
    pub(super) async fn rows(&self, vault: &Arc<Vault>) -> JournalResult<DocumentRows> {
        let keys = vault.keys_by_subject(self.subjects.clone()).await?;
        let (documents, vault) = (Arc::clone(&self.documents), Arc::clone(vault));
        computed(move || folding::rows(&documents, &vault, &keys)).await?
    }
}

/// Decodes consecutive stored events.
pub(super) async fn decode(vault: &Vault, stored: Vec<StoredEvent>) -> Result<Vec<RecordedEvent>, FolderError> {
    let after = stored.first().map_or(0, |event| event.position - 1);
    let parsed = computed(move || codec::parse_all(&stored).map(|parsed| (stored, parsed))).await?;
    let decoded = async {
        let (stored, parsed) = parsed?;
        let keys = codec::keys_of(vault, &parsed).await?;
        computed(move || codec::decode_parsed(&keys, &stored, parsed)).await?
    };
    decoded.await.map_err(|error| unreadable(error, after))
}

/// Runs long computations on a blocking thread, so that no other task waits.
async fn computed<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> JournalResult<T> {
    tokio::task::spawn_blocking(compute).await.map_err(JournalError::corrupt)
}

/// Persons whose keys seal parts of these events' documents.
fn subjects(events: &[RecordedEvent]) -> HashSet<String> {
    let about = events.iter().filter_map(|event| event.event.subject(&event.aggregate_id));
    let by = events.iter().filter_map(|event| event.metadata.subject().map(str::to_owned));
    about.chain(by).collect()
}

fn not_foldable(event: &RecordedEvent, error: &FoldError) -> FolderError {
    FolderError::NotFoldable { position: event.position, reason: error.to_string() }
}

/// An unreadable event names its position in the error; `after` is the position before the page.
fn unreadable(error: JournalError, after: u64) -> FolderError {
    match error {
        JournalError::Corrupt(source) => FolderError::NotFoldable { position: after + 1, reason: source.to_string() },
        other => FolderError::Journal(other),
    }
}
