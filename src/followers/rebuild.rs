//! Rebuilding the documents: history is folded into a new generation beside the live one, which goes on serving and
//! taking writes; then the head is locked, the last events are folded and the generations are swapped, in one
//! transaction. A rebuild that was cut off goes on from its checkpoint.

use super::Leadership;
use crate::folding;
use crate::journal::{Journal, JournalError, JournalResult, JournalWriter, StoredEvent, codec};
use crate::node::Store;
use crate::read_store::{ReadStore, parse_document};
use crate::vault::Vault;
use registrar_projections::{CollectionId, DocumentKey, FoldError, RecordedEvent, WorkingSet};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Events folded and written at a time.
const PAGE: usize = 2_000;
/// So few events may be left when the head is locked; more would keep writers waiting.
const LAST_EVENTS_MAX: u64 = 500;
/// Documents kept between pages; beyond it all are dropped and read again as needed.
const KEPT_DOCUMENTS: usize = 50_000;

/// Why the documents were not rebuilt. The ones that were served are served on.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Another process is at it.
    #[error("another process is rebuilding the documents of this database")]
    Busy,
    /// The served documents were made by a newer release.
    #[error("the documents of this database were made by a newer release of Registrar; use that one")]
    NewerRelease,
    /// An event that today's projections cannot fold.
    #[error("the event at position {position} cannot be folded: {reason}")]
    NotFoldable {
        /// Its position.
        position: u64,
        /// Why not.
        reason: String,
    },
    /// The journal or the documents' store failed.
    #[error("the database failed: {0}")]
    Journal(#[from] JournalError),
}

/// Rebuilds the documents and answers the generation that is served from then on. `progress` is told how many of how
/// many events are folded.
///
/// # Errors
/// [`RebuildError`]; the generation that was served is served on.
pub async fn rebuild(store: &Store, vault: &Vault, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<u64, RebuildError> {
    let Some(_leadership) = Leadership::try_take(store, "rebuild").await? else { return Err(RebuildError::Busy) };
    let (journal, read_store) = (store.journal(), store.read_store());
    let (generation, checkpoint) = begin(&*read_store).await?;
    let mut writer = journal.writer().await?;
    let mut folder = Folder { vault, generation, kept: HashMap::new(), at: checkpoint };
    let folded = fold_history(&*journal, &mut *writer, &mut folder, progress).await;
    if let Err(RebuildError::NotFoldable { position, reason }) = &folded {
        read_store.fail_generation(generation, *position, reason).await?;
    }
    folded?;
    for former in read_store.generations().await? {
        if former.state != "live" {
            read_store.drop_generation(former.id).await?;
        }
    }
    Ok(generation)
}

/// A generation to build: the one that an earlier attempt has begun, or a new one.
async fn begin(read_store: &dyn ReadStore) -> JournalResult<(u64, u64)> {
    let signature = registrar_projections::signature();
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
    journal: &dyn Journal,
    writer: &mut dyn JournalWriter,
    folder: &mut Folder<'_>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<(), RebuildError> {
    loop {
        let head = journal.head().await?.position;
        progress(folder.at, head);
        if head - folder.at.min(head) <= LAST_EVENTS_MAX {
            let head = writer.lock().await?.position;
            let last =
                journal.read(folder.at, usize::try_from(head - folder.at.min(head)).unwrap_or(usize::MAX)).await?;
            let rows = match folder.fold(writer, &last).await {
                Ok(rows) => rows,
                Err(error) => {
                    writer.unlock().await?;
                    return Err(error);
                }
            };
            writer.swap(folder.generation, &rows).await?;
            progress(head, head);
            return Ok(());
        }
        let page = journal.read(folder.at, PAGE).await?;
        let rows = folder.fold(writer, &page).await?;
        writer.build(folder.generation, &rows, folder.at).await?;
    }
}

struct Folder<'a> {
    vault: &'a Vault,
    generation: u64,
    kept: HashMap<DocumentKey, Arc<registrar_projections::AnyDocument>>,
    at: u64,
}

impl Folder<'_> {
    async fn fold(
        &mut self,
        writer: &mut dyn JournalWriter,
        stored: &[StoredEvent],
    ) -> Result<folding::Rows, RebuildError> {
        let events = codec::decode(self.vault, stored).await.map_err(|error| unreadable(error, self.at))?;
        let mut documents = self.working_set(writer, &events).await?;
        for event in &events {
            registrar_projections::fold(event, &mut documents).map_err(|error| not_foldable(event, &error))?;
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
        for key in events.iter().flat_map(registrar_projections::wants) {
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

fn not_foldable(event: &RecordedEvent, error: &FoldError) -> RebuildError {
    RebuildError::NotFoldable { position: event.position, reason: error.to_string() }
}

/// An event that cannot even be read names its position itself; `after` is where the page began.
fn unreadable(error: JournalError, after: u64) -> RebuildError {
    match error {
        JournalError::Corrupt(source) => RebuildError::NotFoldable { position: after + 1, reason: source.to_string() },
        other => RebuildError::Journal(other),
    }
}
