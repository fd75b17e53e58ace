//! Stored hashes of the Merkle tree. Proofs and computed hashes are made above, in [`crate::journal::tree`].

use super::JournalResult;
use crate::merkle::{Hash, proofs::Subtree};
use async_trait::async_trait;
use std::ops::{Range, RangeInclusive};

/// Hashes by number, in order; numbers may be missing.
pub type HashRows = Vec<(i64, Vec<u8>)>;

/// Storage of the tree's hashes.
#[async_trait]
pub trait TreeStore: Send + Sync {
    /// Hashes of the leaves `range`, from 0, of events that were not archived.
    async fn leaves(&self, range: Range<u64>) -> JournalResult<HashRows>;

    /// Hashes of archived leaves, 256 concatenated in a row.
    async fn archived_leaves(&self, tiles: RangeInclusive<u64>) -> JournalResult<HashRows>;

    /// Stored hashes of the nodes `range` of a level.
    async fn nodes(&self, level: u8, range: Range<u64>) -> JournalResult<HashRows>;

    /// Number of nodes of the lowest stored level.
    async fn tiles(&self) -> JournalResult<u64>;

    /// Stores nodes; existing ones stay as they are.
    async fn keep(&self, nodes: &[(Subtree, Hash)]) -> JournalResult<()>;
}
