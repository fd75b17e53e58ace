//! Verifying a journal against itself and a checkpoint, without a server and without trusting data stored beside the
//! events.

use crate::checkpoint::{Checkpoint, NoteError, NoteVerifier};
use crate::journal::codec::LeafHasher;
use crate::journal::tree::Tree;
use crate::journal::{Head, JournalError, JournalResult, StoredEvent};
use crate::merkle::TILE;
use crate::merkle::{Builder, Hash, proofs::Subtree};
use crate::node::Store;
use crate::store::RawJournal;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use registrar_aggregates::checkpoint_key::{CHECKPOINT_KEY_ID, CheckpointKey, NoteKey};
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pages buffered between reader and checker.
const PAGES_WAITING: usize = 8;

/// Leaf hashes of archived events read at a time.
const LEAVES: u64 = 65_536;

/// Result of a successful verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalVerification {
    /// Position of the last event.
    pub position: u64,
    /// Root of the tree over all events.
    pub root: Hash,
}

/// The first defect found in a journal.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// An event does not match its stored leaf hash.
    #[error("the journal was altered: the event at position {0} is not the one that was stored there")]
    Altered(u64),
    /// An event is missing.
    #[error("the journal was altered: the event at position {0} is missing")]
    Missing(u64),
    /// Events exist beyond the journal's end.
    #[error("the journal was altered: an event stands at position {0}, beyond the end that journal_head names")]
    Beyond(u64),
    /// An event was exchanged together with its leaf hash, or a stored node of the tree was.
    #[error(
        "the journal was altered: an event from position {first} to {last}, with its leaf hash, is not the one that was stored there"
    )]
    AlteredAmong {
        /// First position that may be affected.
        first: u64,
        /// Last position that may be affected.
        last: u64,
    },
    /// The head does not match the events.
    #[error("the journal was altered: journal_head is not that of the {0} events that are there")]
    Head(u64),
    /// The head cannot be read.
    #[error("the journal was altered: journal_head is not readable ({0})")]
    BrokenHead(String),
    /// A stream's events are not numbered without gaps.
    #[error("the journal was altered: the events of {0}/{1} are not numbered from 1 to the stream's version")]
    Misnumbered(String, String),
    /// The journal is shorter than its checkpoint.
    #[error(
        "the journal was altered: the checkpoint is of {checkpoint} events, the journal ends at position {position}"
    )]
    Shorter {
        /// Events in the checkpoint's tree.
        checkpoint: u64,
        /// Position of the journal's last event.
        position: u64,
    },
    /// The journal's first events differ from those of a checkpoint.
    #[error("the journal was altered: its first {0} events are not those of the checkpoint")]
    OtherRoot(u64),
    /// The checkpoint cannot be trusted.
    #[error(
        "the checkpoint cannot be used: {0}\nTake one that `GET /audit/checkpoint` or an export of this journal gave."
    )]
    Note(#[from] NoteError),
    /// The journal has no key to verify a checkpoint with.
    #[error(
        "the journal has no checkpoint key, so the checkpoint is not of it\nName the key with --key if it is of another."
    )]
    NoKey,
    /// The database failed.
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] JournalError),
}

/// A checkpoint to verify a journal against.
#[derive(Debug, Clone)]
pub struct ExpectedCheckpoint {
    /// The signed note.
    pub note: String,
    /// Key that must have signed it; `None` for the journal's own.
    pub key: Option<NoteVerifier>,
}

/// Checks every event, the order of all, the numbering of streams, the head and a checkpoint. `progress` receives the
/// number of checked events and the total.
///
/// # Errors
/// [`VerifyError`] for the first defect.
pub async fn verify(
    store: &Store,
    held: Option<&ExpectedCheckpoint>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<JournalVerification, VerifyError> {
    let head = match store.journal().head().await {
        Err(JournalError::Corrupt(error)) => return Err(VerifyError::BrokenHead(error.to_string())),
        head => head?,
    };
    let checkpoint = match held {
        Some(held) => Some(open(store, held).await?),
        None => None,
    };
    let raw = store.raw();
    let end = raw.last_position().await?.max(head.position);
    let mut check = Check {
        kept: StoredNodes { tree: store.tree(), level: VecDeque::new(), next: 0 },
        builder: Builder::default(),
        checkpoint: checkpoint.as_ref(),
        hasher: LeafHasher::default(),
    };
    let archived = store.journal().archived_until().await?;
    let numbering = Numbering::default();
    let versions = tokio::spawn(numbering.clone().of_streams(Arc::clone(&raw)));
    check.archived(archived, head.position, progress).await?;
    let (sender, mut pages) = mpsc::channel::<Vec<StoredEvent>>(PAGES_WAITING);
    let reading = tokio::spawn(scan(raw.clone(), archived, end, sender));
    let mut numbered = 0u64;
    while let Some(page) = pages.recv().await {
        for event in &page {
            check.event(event, &head).await?;
            numbered = numbered.wrapping_add(numbering.of_event(event));
        }
        progress(check.builder.size(), head.position);
    }
    reading.await.map_err(JournalError::corrupt)??;
    check.end(&head)?;
    // Digests also differ if the journal has grown meanwhile or begins in an archive; then the database compares the
    // numbers.
    if versions.await.map_err(JournalError::corrupt)?? != numbered
        && let Some((aggregate_type, aggregate_id)) = raw.misnumbered().await?
    {
        return Err(VerifyError::Misnumbered(aggregate_type, aggregate_id));
    }
    if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.size > head.position) {
        return Err(VerifyError::Shorter { checkpoint: checkpoint.size, position: head.position });
    }
    Ok(JournalVerification { position: head.position, root: head.frontier.root() })
}

async fn scan(
    raw: Arc<dyn RawJournal>,
    after: u64,
    until: u64,
    pages: mpsc::Sender<Vec<StoredEvent>>,
) -> JournalResult<()> {
    raw.scan(after, until, pages).await
}

/// Checks that events are numbered as their streams say, without memory per stream: an event adds the digest of its
/// stream at its number and subtracts that of the number before, so a stream numbered without a gap leaves the digest
/// of its version. Sums of 64-bit digests under a random key, so equal sums are no accident.
#[derive(Clone, Default)]
struct Numbering {
    key: RandomState,
}

impl Numbering {
    fn digest(&self, aggregate_type: &str, aggregate_id: &str, sequence: u64) -> u64 {
        match sequence {
            0 => 0,
            _ => self.key.hash_one((aggregate_type, aggregate_id, sequence)),
        }
    }

    fn of_event(&self, event: &StoredEvent) -> u64 {
        let at = |sequence| self.digest(&event.aggregate_type, &event.aggregate_id, sequence);
        at(event.sequence).wrapping_sub(at(event.sequence.saturating_sub(1)))
    }

    async fn of_streams(self, raw: Arc<dyn RawJournal>) -> JournalResult<u64> {
        let (sender, mut pages) = mpsc::channel(PAGES_WAITING);
        let reading = tokio::spawn(async move { raw.stream_versions(sender).await });
        let mut sum = 0u64;
        while let Some(page) = pages.recv().await {
            for (aggregate_type, aggregate_id, version) in &page {
                sum = sum.wrapping_add(self.digest(aggregate_type, aggregate_id, *version));
            }
        }
        reading.await.map_err(JournalError::corrupt)??;
        Ok(sum)
    }
}

/// Reads the checkpoint after verifying its signature.
async fn open(store: &Store, held: &ExpectedCheckpoint) -> Result<Checkpoint, VerifyError> {
    let verifier = match &held.key {
        Some(key) => key.clone(),
        None => NoteVerifier::of(&stored_key(store).await?.ok_or(VerifyError::NoKey)?)?,
    };
    Ok(verifier.open(&held.note)?)
}

/// The public half of the journal's key, readable without a master key.
async fn stored_key(store: &Store) -> JournalResult<Option<NoteKey>> {
    #[derive(serde::Deserialize)]
    struct Established {
        key: NoteKey,
    }
    let aggregate_type = <CheckpointKey as cqrs_es::Aggregate>::TYPE;
    let events = store.journal().stream(aggregate_type, CHECKPOINT_KEY_ID, 0).await?;
    let established = events.first().map(|event| serde_json::from_str::<Established>(&event.payload));
    Ok(established.transpose().map_err(JournalError::corrupt)?.map(|established| established.key))
}

/// The tree over the events read so far, compared along the way.
struct Check<'a> {
    kept: StoredNodes,
    builder: Builder,
    checkpoint: Option<&'a Checkpoint>,
    hasher: LeafHasher,
}

impl Check<'_> {
    async fn event(&mut self, event: &StoredEvent, head: &Head) -> Result<(), VerifyError> {
        let expected = self.builder.size() + 1;
        if event.position > expected && expected <= head.position {
            return Err(VerifyError::Missing(expected));
        }
        if event.position > head.position {
            return Err(VerifyError::Beyond(event.position));
        }
        let leaf = self.hasher.hash(event);
        if event.position != expected || leaf != event.leaf_hash {
            return Err(VerifyError::Altered(expected));
        }
        self.leaf(leaf).await
    }

    /// Only the leaf hashes of archived events are in the database; their file is checked against the same checkpoint.
    async fn archived(
        &mut self,
        until: u64,
        total: u64,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(), VerifyError> {
        while self.builder.size() < until {
            let from = self.builder.size();
            let leaves = self.kept.tree.leaves(from..until.min(from + LEAVES)).await?;
            if leaves.is_empty() {
                return Err(VerifyError::Missing(from + 1));
            }
            for leaf in leaves {
                self.leaf(leaf).await?;
            }
            progress(self.builder.size(), total);
        }
        Ok(())
    }

    async fn leaf(&mut self, leaf: Hash) -> Result<(), VerifyError> {
        let expected = self.builder.size() + 1;
        for (node, hash) in self.builder.push(leaf) {
            if self.kept.differs(node, hash).await? {
                return Err(VerifyError::AlteredAmong { first: expected + 1 - (1 << node.level), last: expected });
            }
        }
        match self.checkpoint {
            Some(checkpoint) if checkpoint.size == expected && checkpoint.root != self.builder.frontier().root() => {
                Err(VerifyError::OtherRoot(expected))
            }
            _ => Ok(()),
        }
    }

    fn end(&self, head: &Head) -> Result<(), VerifyError> {
        let found = self.builder.size();
        if found < head.position {
            return Err(VerifyError::Missing(found + 1));
        }
        if self.builder.frontier() == head.frontier { Ok(()) } else { Err(VerifyError::Head(found)) }
    }
}

/// Stored nodes of the tree, read ahead at the lowest level.
struct StoredNodes {
    tree: Tree,
    level: VecDeque<Hash>,
    next: u64,
}

impl StoredNodes {
    /// Whether a stored node has another hash.
    async fn differs(&mut self, node: Subtree, hash: Hash) -> JournalResult<bool> {
        if 1 << node.level != TILE {
            let kept = self.tree.kept(node.level, node.index..node.index + 1).await?;
            return Ok(kept.first().is_some_and(|kept| *kept != hash));
        }
        if self.level.is_empty() && node.index == self.next {
            self.level = self.tree.kept(node.level, node.index..node.index + TILE).await?.into();
            self.next = node.index + self.level.len() as u64;
        }
        Ok(self.level.pop_front().is_some_and(|kept| kept != hash))
    }
}

impl JournalVerification {
    /// The root in base64, as checkpoints show it.
    #[must_use]
    pub fn root_text(&self) -> String {
        BASE64.encode(self.root)
    }
}
