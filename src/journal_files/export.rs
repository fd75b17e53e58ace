//! Exporting the journal, or a part of it, to files.

use super::formats::{EventWriter, Format};
use super::proofs::Prover;
use super::staged::{StagedFiles, Writer, beside};
use crate::checkpoint;
use crate::journal::{JournalError, JournalResult, StoredEvent, codec};
use crate::merkle::Hash;
use crate::merkle::TILE;
use crate::node::Node;
use crate::store::{RawJournal, StoredKey};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pages buffered between reader and writer: few, since events may be large.
const PAGES_WAITING: usize = 4;
/// Keys per page.
const KEYS: usize = 5_000;

/// Selection and format of exported events. Events must match every filter.
#[derive(Debug, Clone)]
pub struct ExportFilter {
    /// Format of the events file.
    pub format: Format,
    /// Exports events after this position only.
    pub after: u64,
    /// Exports events up to this position only.
    pub until: Option<u64>,
    /// Exports events of aggregates of this type only.
    pub aggregate_type: Option<String>,
    /// Exports events of this aggregate only.
    pub aggregate_id: Option<String>,
    /// Exports events of this name only.
    pub event_type: Option<String>,
    /// Exports events recorded for this organization only.
    pub organization_id: Option<String>,
}

/// Reasons why nothing was exported; no file is left behind.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The range is empty.
    #[error(
        "there is nothing to export: the range ends at position {until}, before it begins\nThe journal ends at position {head}."
    )]
    Range {
        /// Last requested position.
        until: u64,
        /// Position of the journal's last event.
        head: u64,
    },
    /// Some requested events were archived.
    #[error(
        "events up to position {0} were archived and are no longer in the database\nExport what is there with --after {0}."
    )]
    Archived(u64),
    /// Stored events do not match their hashes.
    #[error(
        "the journal was altered at position {0} or near it; nothing was exported\n`registrar journal verify` tells more."
    )]
    Altered(u64),
    /// A file cannot be written.
    #[error("the export cannot be written: {0}")]
    File(#[from] io::Error),
    /// The journal failed.
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] JournalError),
}

/// Size of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSize {
    /// Events in the events file.
    pub events: u64,
    /// Events in the checkpoint's tree.
    pub tree_size: u64,
}

impl ExportFilter {
    /// Selects every event.
    #[must_use]
    pub fn all(format: Format) -> Self {
        ExportFilter {
            format,
            after: 0,
            until: None,
            aggregate_type: None,
            aggregate_id: None,
            event_type: None,
            organization_id: None,
        }
    }

    fn is_filtered(&self) -> bool {
        [&self.aggregate_type, &self.aggregate_id, &self.event_type, &self.organization_id].iter().any(|f| f.is_some())
    }

    fn takes(&self, event: &StoredEvent) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.aggregate_type, &event.aggregate_type)
            && is(&self.aggregate_id, &event.aggregate_id)
            && is(&self.event_type, &event.event_type)
            && (self.organization_id.is_none()
                || self.organization_id == codec::organization(event).unwrap_or_default())
    }
}

/// Persons whose keys open parts of a sealed document.
pub(super) fn sealed_for(document: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Sealed {
        #[serde(default)]
        sealed: BTreeMap<String, serde::de::IgnoredAny>,
    }
    serde_json::from_str::<Sealed>(document).map(|document| document.sealed.into_keys().collect()).unwrap_or_default()
}

/// Exports events to `path`, with checkpoint, proofs and keys beside it. `progress` receives the number of processed
/// positions and the total.
///
/// # Errors
/// [`ExportError`].
pub async fn export(
    node: &Node,
    path: &Path,
    selection: ExportFilter,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<ExportSize, ExportError> {
    let signer = checkpoint::signer(node).await?;
    let head = node.journal.head().await?;
    let until = selection.until.unwrap_or(head.position);
    if until > head.position || selection.after > until {
        return Err(ExportError::Range { until: until.min(head.position), head: head.position });
    }
    let archived = node.journal.archived_until().await?;
    if selection.after < archived {
        return Err(ExportError::Archived(archived));
    }
    let mut staged = StagedFiles::default();
    let mut note = staged.create(beside(path, ".checkpoint"))?;
    let proofs = staged.create(beside(path, ".proofs"))?;
    let mut keys = staged.create(beside(path, ".keys"))?;
    let events = EventWriter::new(selection.format, staged.create(path.to_owned())?)?;
    note.write_all(signer.sign(&head.frontier).as_bytes())?;

    let prover = Prover::new(&node.store.tree(), head.position).await?;
    let whole = !selection.is_filtered() && selection.after == archived && until == head.position;
    let mut out =
        Output { events, proofs, prover, line: String::new(), count: 0, persons: (!whole).then(HashSet::new) };
    let (first, last) = (selection.after / TILE * TILE, head.position.min(until.div_ceil(TILE) * TILE));
    let (sender, mut pages) = mpsc::channel(PAGES_WAITING);
    let raw = node.store.raw();
    let reading = tokio::spawn(scan(Arc::clone(&raw), first, last, sender));
    let mut tile = Vec::with_capacity(TILE as usize);
    let mut read = first;
    while let Some(page) = pages.recv().await {
        for event in page {
            let position = event.position;
            read = position;
            tile.push(event);
            if position % TILE == 0 || position >= last {
                out.tile(&tile, first, &selection, until)?;
                tile.clear();
                progress(position.min(until) - selection.after.min(position), until - selection.after);
            }
        }
    }
    reading.await.map_err(JournalError::corrupt)??;
    if read != last || !tile.is_empty() {
        return Err(ExportError::Altered(read + 1));
    }
    write_keys(&*raw, &mut keys, out.persons.as_ref()).await?;
    let exported = ExportSize { events: out.count, tree_size: head.position };
    let events = out.events.finish()?;
    staged.publish(vec![note, out.proofs, keys, events])?;
    Ok(exported)
}

async fn scan(
    raw: Arc<dyn RawJournal>,
    after: u64,
    until: u64,
    pages: mpsc::Sender<Vec<StoredEvent>>,
) -> JournalResult<()> {
    raw.scan(after, until, pages).await
}

struct Output {
    events: EventWriter,
    proofs: Writer,
    prover: Prover,
    line: String,
    count: u64,
    /// Persons whose keys are exported; `None` exports every key.
    persons: Option<HashSet<String>>,
}

impl Output {
    /// Writes the selected events of a tile, after comparing the tile with the tree.
    fn tile(
        &mut self,
        tile: &[StoredEvent],
        begun: u64,
        selection: &ExportFilter,
        until: u64,
    ) -> Result<(), ExportError> {
        let last = tile.last().map_or(begun, |event| event.position);
        let first = (last.max(1) - 1) / TILE * TILE;
        let mut leaves: Vec<Hash> = Vec::with_capacity(tile.len());
        for (event, expected) in tile.iter().zip(first + 1..) {
            if event.position != expected || codec::leaf_hash(event) != event.leaf_hash {
                return Err(ExportError::Altered(expected));
            }
            leaves.push(event.leaf_hash);
        }
        if !self.prover.enter(first, leaves) {
            return Err(ExportError::Altered(first + 1));
        }
        for event in tile {
            if event.position > selection.after && event.position <= until && selection.takes(event) {
                self.events.write(event)?;
                self.line.clear();
                self.prover.write(event.position - 1, &mut self.line);
                self.proofs.write_all(self.line.as_bytes())?;
                self.count += 1;
                if let Some(persons) = &mut self.persons {
                    persons.extend([&event.payload, &event.metadata].into_iter().flat_map(|text| sealed_for(text)));
                }
            }
        }
        Ok(())
    }
}

/// Writes the keys of `persons`, or all keys, and their number, so that a truncated file is recognized.
async fn write_keys(
    raw: &dyn RawJournal,
    file: &mut Writer,
    persons: Option<&HashSet<String>>,
) -> Result<(), ExportError> {
    let (mut after, mut count) = (String::new(), 0);
    loop {
        let keys: Vec<StoredKey> = raw.keys(&after, KEYS).await?;
        let Some((last, _)) = keys.last() else { break };
        after.clone_from(last);
        for (subject_id, wrapped) in keys {
            if persons.is_none_or(|persons| persons.contains(&subject_id)) {
                let wrapped = wrapped.map(|wrapped| BASE64.encode(wrapped));
                writeln!(file, "{}", json!({"subjectId": subject_id, "wrappedKey": wrapped}))?;
                count += 1;
            }
        }
    }
    writeln!(file, "{}", json!({ "count": count }))?;
    Ok(())
}
