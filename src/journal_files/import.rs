//! Restoring a journal from its files into an empty database, in full or not at all.
//!
//! Events, keys, positions and the tree come from the files; streams and claims are derived from the events, and the
//! read models are rebuilt. Snapshots and remembered answers are not part of the journal and are not exported.

use super::export::sealed_for;
use super::staged::beside;
use crate::archives::lines::{self, LineError, Lines};
use crate::checkpoint::{Checkpoint, NoteError, NoteVerifier};
use crate::journal::{JournalError, StoredEvent, codec};
use crate::merkle::Builder;
use crate::node::Node;
use crate::store::{ClaimRow, DIGEST_KEY_ID, FORMER_KEY_ID, Restore, StoredKey};
use crate::vault::{DigestKey, SubjectKeys};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, Utc};
use registrar_aggregates::checkpoint_key::{CHECKPOINT_KEY_ID, CheckpointKeyEvent};
use registrar_aggregates::{Claim, DomainEvent};
use registrar_projections::RecordedEvent;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

/// Events inserted at a time.
const PAGE: usize = 1_000;
/// Keys inserted at a time.
const KEYS: usize = 5_000;

/// Reasons why nothing was imported. The message tells the operator how to fix it; the database is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The database already has a journal.
    #[error(
        "the database is not empty: its journal ends at position {0}\nImport into an empty database: another --data folder or --database-url."
    )]
    NotEmpty(u64),
    /// A file cannot be read.
    #[error("{} cannot be read: {source}\nAn export is four files that belong together: F, F.checkpoint, F.proofs and F.keys.", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A line is not an event.
    #[error("{} is not a journal in NDJSON: line {line} is not an event\nOnly exports in the format ndjson can be imported.", path.display())]
    NoEvent {
        /// Path of the file.
        path: PathBuf,
        /// Number of the line.
        line: u64,
    },
    /// The file ends in the middle of a line.
    #[error("{} is only half written: it ends in the middle of line {line}\nExport again, or copy the file again.", path.display())]
    HalfWritten {
        /// Path of the file.
        path: PathBuf,
        /// Number of the line.
        line: u64,
    },
    /// An event does not follow the previous one.
    #[error(
        "the export is not whole: position {expected} is missing, {found} follows\nImport wants every event from position 1 on; export without --after and filters."
    )]
    Gap {
        /// Expected position.
        expected: u64,
        /// Position found.
        found: u64,
    },
    /// The file ends too early.
    #[error(
        "the export is not whole: it ends at position {end}, its checkpoint is of {size} events\nExport without --until and filters, or copy the file again."
    )]
    Short {
        /// Last position in the file.
        end: u64,
        /// Events in the checkpoint's tree.
        size: u64,
    },
    /// The file continues beyond its checkpoint.
    #[error(
        "the export was altered: it goes on beyond the {0} events of its checkpoint\nUse the files as they were exported."
    )]
    Long(u64),
    /// An event does not match its hash.
    #[error(
        "the export was altered: the event at position {0} is not the one that was stored there\nUse the file as it was exported."
    )]
    Altered(u64),
    /// The root of all events differs from the signed one.
    #[error("the export was altered: its events are not those of its checkpoint\nUse the files as they were exported.")]
    OtherRoot,
    /// The checkpoint cannot be trusted.
    #[error("the checkpoint of the export cannot be used: {0}\nUse the file as it was exported.")]
    Note(#[from] NoteError),
    /// The keys file is incomplete.
    #[error("{} is not whole: {problem}\nUse the file as it was exported.", path.display())]
    Keys {
        /// Path of the file.
        path: PathBuf,
        /// Description of the defect.
        problem: String,
    },
    /// A person's key is missing.
    #[error(
        "a key is missing: that of {subject_id}, which the event at position {position} is sealed with\nUse the .keys file of the same export."
    )]
    MissingKey {
        /// Person whose key is missing.
        subject_id: String,
        /// Position of an event that needs it.
        position: u64,
    },
    /// The keys are wrapped by another master key.
    #[error(
        "the master key does not open the keys of this journal\nCopy master.key of the exported journal into the data folder, or set REGISTRAR_MASTER_KEY to it; REGISTRAR_FORMER_MASTER_KEY if some are under a former one."
    )]
    MasterKey,
    /// This release cannot read an event.
    #[error("the export cannot be read by this release of Registrar: {0}")]
    Unreadable(String),
    /// The database failed.
    #[error("the journal cannot be written: {0}")]
    Journal(#[from] JournalError),
}

/// Result of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSummary {
    /// Position of the last event.
    pub position: u64,
}

/// Restores the journal whose parts are in `paths`, in order, into the empty database of `node`. The checkpoint must be
/// signed by `trusted` if given, otherwise by the key in the journal. `progress` receives the number of imported events
/// and the total.
///
/// The documents are out of service when this returns: rebuild them.
///
/// # Errors
/// [`ImportError`]; nothing was stored.
pub async fn import(
    node: &Node,
    paths: &[PathBuf],
    trusted: Option<&NoteVerifier>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<ImportSummary, ImportError> {
    let notes = paths.iter().map(|path| read_text(&beside(path, ".checkpoint"))).collect::<Result<Vec<_>, _>>()?;
    let note = notes.last().map(String::as_str).unwrap_or_default();
    let checkpoint = Checkpoint::unverified(note)?;
    let head = node.journal.head().await?.position;
    let Some(restore) = node.store.raw().restore().await? else { return Err(ImportError::NotEmpty(head)) };
    let mut import = Import {
        node,
        restore,
        builder: Builder::default(),
        key: None,
        any_key: None,
        digests: node.vault.own_digest_key().0,
        recorded_at: DateTime::UNIX_EPOCH,
    };
    // Later parts take precedence: keys may have been destroyed since, or wrapped by another master key.
    for path in paths.iter().rev() {
        import.keys(&beside(path, ".keys")).await?;
    }
    import.digests = import.digest_key().await?;
    for path in paths {
        import.events(path, &checkpoint, progress).await?;
    }
    let tree = import.builder.frontier();
    if tree.size() < checkpoint.size {
        return Err(ImportError::Short { end: tree.size(), size: checkpoint.size });
    }
    if tree.root() != checkpoint.root {
        return Err(ImportError::OtherRoot);
    }
    let key = trusted.or(import.key.as_ref()).ok_or(NoteError::OtherKey)?;
    key.open(note)?;
    import.restore.finish(&tree, import.recorded_at).await?;
    node.vault.look().await?;
    Ok(ImportSummary { position: tree.size() })
}

fn read_text(path: &Path) -> Result<String, ImportError> {
    std::fs::read_to_string(path).map_err(|source| ImportError::File { path: path.to_owned(), source })
}

struct Import<'a> {
    node: &'a Node,
    restore: Box<dyn Restore>,
    builder: Builder,
    /// The checkpoint key found in the journal itself.
    key: Option<NoteVerifier>,
    /// The wrapped key of any person, with the person's id.
    any_key: Option<(String, Vec<u8>)>,
    /// Digest key that the journal was written with.
    digests: DigestKey,
    recorded_at: DateTime<Utc>,
}

/// Opens a file for reading by line.
fn open(path: &Path) -> Result<Lines, ImportError> {
    Lines::open(path).map_err(|source| ImportError::File { path: path.to_owned(), source })
}

/// The next line of a file.
fn next(lines: &mut Lines) -> Result<Option<String>, ImportError> {
    lines.next().map_err(|error| {
        let (path, line) = (lines.path.clone(), lines.number);
        match error {
            LineError::File(source) => ImportError::File { path, source },
            LineError::NoText => ImportError::NoEvent { path, line },
            LineError::HalfWritten => ImportError::HalfWritten { path, line },
        }
    })
}

impl Import<'_> {
    async fn events(
        &mut self,
        path: &Path,
        checkpoint: &Checkpoint,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(), ImportError> {
        let mut lines = open(path)?;
        let mut page = Vec::with_capacity(PAGE);
        let mut nodes = Vec::new();
        loop {
            let line = next(&mut lines)?;
            if let Some(line) = &line {
                let no_event = || ImportError::NoEvent { path: path.to_owned(), line: lines.number };
                let event = lines::event(line).ok_or_else(no_event)?;
                let expected = self.builder.size() + 1;
                if event.position != expected {
                    return Err(ImportError::Gap { expected, found: event.position });
                }
                if expected > checkpoint.size {
                    return Err(ImportError::Long(checkpoint.size));
                }
                if codec::leaf_hash(&event) != event.leaf_hash || event.recorded_at < self.recorded_at {
                    return Err(ImportError::Altered(expected));
                }
                self.recorded_at = event.recorded_at;
                nodes.extend(self.builder.push(event.leaf_hash));
                page.push(event);
            }
            if page.len() == PAGE || (line.is_none() && !page.is_empty()) {
                self.add(&page).await?;
                self.restore.nodes(&nodes).await?;
                page.clear();
                nodes.clear();
                progress(self.builder.size(), checkpoint.size);
            }
            if line.is_none() {
                return Ok(());
            }
        }
    }

    async fn add(&mut self, events: &[StoredEvent]) -> Result<(), ImportError> {
        let keys = self.keys_of(events).await?;
        let unreadable = |error: JournalError| match error {
            JournalError::Corrupt(source) => ImportError::Unreadable(source.to_string()),
            other => other.into(),
        };
        let decoded = codec::decode_with(&keys, events).map_err(unreadable)?;
        let (released, taken) = self.claims(&decoded, &keys);
        for event in &decoded {
            if let DomainEvent::CheckpointKey(CheckpointKeyEvent::Established { key }) = &*event.event
                && event.aggregate_id == CHECKPOINT_KEY_ID
            {
                self.key = Some(NoteVerifier::of(key).map_err(unreadable)?);
            }
        }
        self.restore.events(events).await?;
        self.restore.claims(&released, &taken).await?;
        Ok(())
    }

    /// Keys of all persons that these events are sealed for.
    async fn keys_of(&mut self, events: &[StoredEvent]) -> Result<SubjectKeys, ImportError> {
        let mut needed = HashMap::new();
        for event in events {
            for subject in [&event.payload, &event.metadata].into_iter().flat_map(|text| sealed_for(text)) {
                needed.entry(subject).or_insert(event.position);
            }
        }
        let subjects: Vec<String> = needed.keys().cloned().collect();
        let keys = self.restore.added_keys(&subjects).await?;
        let missing = needed.into_iter().filter(|(subject, _)| !keys.contains_key(subject)).min_by_key(|(_, at)| *at);
        if let Some((subject_id, position)) = missing {
            return Err(ImportError::MissingKey { subject_id, position });
        }
        self.node.vault.unwrap_all(keys).map_err(|_| ImportError::MasterKey)
    }

    /// Net effect of these events' claims, as rows to delete first and rows to insert then. Claims of erased persons
    /// cannot be computed any longer, and are free.
    fn claims(&self, events: &[RecordedEvent], keys: &SubjectKeys) -> (Vec<ClaimRow>, Vec<ClaimRow>) {
        let mut released = BTreeSet::new();
        let mut held: HashMap<String, Option<ClaimRow>> = HashMap::new();
        for event in events.iter().filter(|event| !keys.is_erased(&event.aggregate_id)) {
            for claim in event.event.claims() {
                let (Claim::Take(key) | Claim::Release(key)) = &claim;
                let digest = self.digests.claim(key);
                let row = (digest.clone(), event.event.aggregate_type().to_owned(), event.aggregate_id.clone());
                let after = match claim {
                    Claim::Take(_) => Some(row.clone()),
                    Claim::Release(_) => None,
                };
                // A claim taken again by its holder is the same row.
                released.insert(row);
                held.insert(digest, after);
            }
        }
        (released.into_iter().collect(), held.into_values().flatten().collect())
    }

    async fn keys(&mut self, path: &Path) -> Result<(), ImportError> {
        #[derive(Deserialize)]
        #[serde(untagged, rename_all_fields = "camelCase", deny_unknown_fields)]
        enum KeyLine {
            Key { subject_id: String, wrapped_key: Option<String> },
            End { count: u64 },
        }
        let broken = |problem: String| ImportError::Keys { path: path.to_owned(), problem };
        let mut lines = open(path)?;
        let mut page: Vec<StoredKey> = Vec::new();
        let (mut count, mut ended) = (0, false);
        while let Some(line) = next(&mut lines)? {
            let bad = || broken(format!("line {} is not a key", lines.number));
            match serde_json::from_str(&line) {
                Ok(KeyLine::Key { subject_id, wrapped_key }) if !ended => {
                    let wrapped = wrapped_key.map(|text| BASE64.decode(text).map_err(|_| bad())).transpose()?;
                    page.push((subject_id, wrapped));
                    count += 1;
                }
                Ok(KeyLine::End { count: told }) if !ended && told == count => ended = true,
                _ => return Err(bad()),
            }
            if page.len() == KEYS || ended {
                self.add_keys(&page).await?;
                page.clear();
            }
        }
        if ended { Ok(()) } else { Err(broken("its end is missing".into())) }
    }

    /// The digest key. Journals of earlier releases have none of their own.
    async fn digest_key(&mut self) -> Result<DigestKey, ImportError> {
        let own = self.restore.added_keys(&[DIGEST_KEY_ID.to_owned(), FORMER_KEY_ID.to_owned()]).await?;
        let vault = &self.node.vault;
        if let Some(Some(former)) = own.get(FORMER_KEY_ID)
            && !vault.opens(FORMER_KEY_ID, former)
        {
            return Err(ImportError::MasterKey);
        }
        if let Some(Some(stored)) = own.get(DIGEST_KEY_ID) {
            return vault.open_digest_key(stored).map_err(|_| ImportError::MasterKey);
        }
        let (digests, stored) = match &self.any_key {
            Some((subject, wrapped)) => {
                vault.derive_digest_key(subject, wrapped).map_err(|_| ImportError::MasterKey)?
            }
            // No value is sealed, so the only digests are those of claims, which are made now.
            None => vault.own_digest_key(),
        };
        self.restore.keys(&[(DIGEST_KEY_ID.to_owned(), Some(stored))]).await?;
        Ok(digests)
    }

    /// Inserts keys that no later part has provided.
    async fn add_keys(&mut self, page: &[StoredKey]) -> Result<(), ImportError> {
        let subjects: Vec<String> = page.iter().map(|(subject, _)| subject.clone()).collect();
        let known = self.restore.added_keys(&subjects).await?;
        if self.any_key.is_none() {
            self.any_key = page.iter().find_map(|(subject, wrapped)| Some((subject.clone(), wrapped.clone()?)));
        }
        let new: Vec<StoredKey> = page.iter().filter(|(subject, _)| !known.contains_key(subject)).cloned().collect();
        self.restore.keys(&new).await?;
        Ok(())
    }
}
