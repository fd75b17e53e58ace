//! The journal as it is stored, for those who check, copy, restore and archive it: in order, fast, and without trusting
//! anything that is found.

use super::{JournalResult, StoredEvent, unsigned};
use crate::merkle::{Frontier, Hash, proofs::Subtree};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use tokio::sync::mpsc::Sender;

/// Events in a page of a scan. Readers and whoever works on the pages keep a few of them.
pub const PAGE: usize = 1_000;

/// A person's key as it is stored: `None` once it was destroyed.
pub type StoredKey = (String, Option<Vec<u8>>);

/// A stream's version as it is stored: aggregate type, aggregate id, version.
pub type StreamVersion = (String, String, u64);

/// Events that were taken out of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Position of the first.
    pub first: u64,
    /// Position of the last.
    pub last: u64,
    /// The file that they were written to.
    pub file: String,
}

impl Archive {
    /// An archive out of its row.
    pub(super) fn of_row((first, last, file): (i64, i64, String)) -> JournalResult<Self> {
        Ok(Archive { first: unsigned(first)?, last: unsigned(last)?, file })
    }
}

/// Reading everything, without the checks that readers of the journal rely on.
#[async_trait]
pub trait RawJournal: Send + Sync {
    /// Sends the events after `after` up to `until` by position, in pages; ends early when nobody receives them.
    /// Positions may be missing; an event that cannot be read comes with a leaf hash that is not its own.
    async fn scan(&self, after: u64, until: u64, pages: Sender<Vec<StoredEvent>>) -> JournalResult<()>;

    /// The last position that stands in the table of events; 0 where there is none.
    async fn last_position(&self) -> JournalResult<u64>;

    /// Sends the versions of all streams, in pages; ends early when nobody receives them.
    async fn stream_versions(&self, pages: Sender<Vec<StreamVersion>>) -> JournalResult<()>;

    /// A stream that does not number its events from its first to its version without gaps, if there is one.
    async fn misnumbered(&self) -> JournalResult<Option<(String, String)>>;

    /// Up to `limit` keys of persons, by id, after the id `after`.
    async fn keys(&self, after: &str, limit: usize) -> JournalResult<Vec<StoredKey>>;

    /// Last position that can be archived of those before `before`: the end of a partition that is full. No more than
    /// the archived ones where there is none.
    async fn archivable(&self, before: u64) -> JournalResult<u64>;

    /// Streams of some types, which come with the shapes of their snapshots, that have events up to `until` and no snapshot
    /// of this shape or a later one that covers these, by type and id, after `after`, up to `limit`.
    async fn uncovered(
        &self,
        shapes: &[(&str, u32)],
        until: u64,
        after: &(String, String),
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>>;

    /// Streams of these types that begin with archived events and have no snapshot of this shape or a later one, by type and
    /// id, after `after`, up to `limit`.
    async fn unshaped(
        &self,
        shapes: &[(&str, u32)],
        after: &(String, String),
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>>;

    /// The archive that the event at `position` is in, if it is in one.
    async fn archive_of(&self, position: u64) -> JournalResult<Option<Archive>>;

    /// Takes the events up to `until` out of the journal. Their leaf hashes stay, and so do those that snapshots do not
    /// cover, unless they are of `never_loaded` types.
    async fn detach(&self, until: u64, file: &str, never_loaded: &[&str]) -> JournalResult<()>;

    /// Opens a transaction that fills an empty journal, without the keys that it has. Nothing is stored before
    /// [`Restore::finish`].
    async fn restore(&self) -> JournalResult<Option<Box<dyn Restore>>>;
}

/// Filling an empty journal, all or nothing: dropping it leaves the journal empty.
#[async_trait]
pub trait Restore: Send {
    /// Adds events; the first follows the last one that was added.
    async fn events(&mut self, events: &[StoredEvent]) -> JournalResult<()>;

    /// Adds keys of persons.
    async fn keys(&mut self, keys: &[StoredKey]) -> JournalResult<()>;

    /// Those of the added keys that are asked for.
    async fn added_keys(&mut self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>>;

    /// Releases claims and takes others; `(digest, aggregate type, aggregate id)`.
    async fn claims(&mut self, released: &[ClaimRow], taken: &[ClaimRow]) -> JournalResult<()>;

    /// Keeps nodes of the tree.
    async fn nodes(&mut self, nodes: &[(Subtree, Hash)]) -> JournalResult<()>;

    /// Derives the streams, sets the head, takes the empty documents out of service and commits.
    async fn finish(self: Box<Self>, head: &Frontier, recorded_at: DateTime<Utc>) -> JournalResult<()>;
}

/// A claim as it is stored: digest, aggregate type, aggregate id.
pub type ClaimRow = (String, String, String);
