//! The journal as stored, for verification, copying, restoring and archiving: in order, fast, and without trusting
//! stored values.

use super::{JournalResult, StoredEvent, unsigned};
use crate::merkle::{Frontier, Hash, proofs::Subtree};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use tokio::sync::mpsc::Sender;

/// Events in a page of a scan. Readers and consumers buffer a few pages.
pub const PAGE: usize = 1_000;

/// A person's key as stored: `None` once it was destroyed.
pub type StoredKey = (String, Option<Vec<u8>>);

/// A stream's version as stored: aggregate type, aggregate id, version.
pub type StreamVersion = (String, String, u64);

/// A range of events that was moved from the journal to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Position of the first event.
    pub first: u64,
    /// Position of the last event.
    pub last: u64,
    /// Path of the file.
    pub file: String,
}

impl Archive {
    /// An archive from its row.
    pub(super) fn of_row((first, last, file): (i64, i64, String)) -> JournalResult<Self> {
        Ok(Archive { first: unsigned(first)?, last: unsigned(last)?, file })
    }
}

/// Reads everything, without the checks that readers of the journal rely on.
#[async_trait]
pub trait RawJournal: Send + Sync {
    /// Sends the events after `after` up to `until` by position, in pages; ends early if the receiver is closed.
    /// Positions may be missing; an unreadable event comes with a leaf hash that does not match it.
    async fn scan(&self, after: u64, until: u64, pages: Sender<Vec<StoredEvent>>) -> JournalResult<()>;

    /// The last position in the table of events; 0 if it is empty.
    async fn last_position(&self) -> JournalResult<u64>;

    /// Sends the versions of all streams, in pages; ends early if the receiver is closed.
    async fn stream_versions(&self, pages: Sender<Vec<StreamVersion>>) -> JournalResult<()>;

    /// A stream whose events are not numbered from the first to its version without gaps; `None` if all are.
    async fn misnumbered(&self) -> JournalResult<Option<(String, String)>>;

    /// Up to `limit` keys of persons, by id, after the id `after`.
    async fn keys(&self, after: &str, limit: usize) -> JournalResult<Vec<StoredKey>>;

    /// Last position that can be archived before `before`: the end of a full partition. At most the last archived one
    /// if no partition qualifies.
    async fn archivable(&self, before: u64) -> JournalResult<u64>;

    /// Streams of some types, given with the shapes of their snapshots, that have events up to `until` and no snapshot
    /// of this shape or a later one that covers these, by type and id, after `after`, up to `limit`.
    async fn uncovered(
        &self,
        shapes: &[(&str, u32)],
        until: u64,
        after: &(String, String),
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>>;

    /// Streams of these types that begin with archived events and have no snapshot of this shape or a later one, by
    /// type and id, after `after`, up to `limit`.
    async fn unshaped(
        &self,
        shapes: &[(&str, u32)],
        after: &(String, String),
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>>;

    /// The archive that contains the event at `position`; `None` if it is not archived.
    async fn archive_of(&self, position: u64) -> JournalResult<Option<Archive>>;

    /// Removes the events up to `until` from the journal. Leaf hashes stay, and so do copies of events that no snapshot
    /// covers, unless they are of `never_loaded` types.
    async fn detach(&self, until: u64, file: &str, never_loaded: &[&str]) -> JournalResult<()>;

    /// Opens a transaction that fills an empty journal, and removes its keys; `None` if the journal is not empty.
    /// Nothing is stored before [`Restore::finish`].
    async fn restore(&self) -> JournalResult<Option<Box<dyn Restore>>>;
}

/// Fills an empty journal, all or nothing: dropping it leaves the journal empty.
#[async_trait]
pub trait Restore: Send {
    /// Adds events; the first follows the last one that was added.
    async fn events(&mut self, events: &[StoredEvent]) -> JournalResult<()>;

    /// Adds keys of persons.
    async fn keys(&mut self, keys: &[StoredKey]) -> JournalResult<()>;

    /// The added keys of these persons.
    async fn added_keys(&mut self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>>;

    /// Releases claims and takes others; `(digest, aggregate type, aggregate id)`.
    async fn claims(&mut self, released: &[ClaimRow], taken: &[ClaimRow]) -> JournalResult<()>;

    /// Stores nodes of the tree.
    async fn nodes(&mut self, nodes: &[(Subtree, Hash)]) -> JournalResult<()>;

    /// Derives the streams, sets the head, takes the empty documents out of service and commits.
    async fn finish(self: Box<Self>, head: &Frontier, recorded_at: DateTime<Utc>) -> JournalResult<()>;
}

/// A claim as it is stored: digest, aggregate type, aggregate id.
pub type ClaimRow = (String, String, String);
