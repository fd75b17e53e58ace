//! Hashes of the Merkle tree as they are stored. What they prove, and what is computed of them, is said above, in
//! [`crate::journal::tree`].

use super::JournalResult;
use crate::merkle::{Hash, proofs::Subtree};
use async_trait::async_trait;
use std::ops::{Range, RangeInclusive};

/// Hashes by their numbers, in order; numbers may be missing.
pub type HashRows = Vec<(i64, Vec<u8>)>;

/// Where hashes of the tree are kept.
#[async_trait]
pub trait TreeStore: Send + Sync {
    /// Hashes of the leaves `range`, from 0, of events that were not archived.
    async fn leaves(&self, range: Range<u64>) -> JournalResult<HashRows>;

    /// Hashes of archived leaves, those of 256 leaves in a row, one after the other.
    async fn archived_leaves(&self, tiles: RangeInclusive<u64>) -> JournalResult<HashRows>;

    /// Kept hashes of the nodes `range` of a level.
    async fn nodes(&self, level: u8, range: Range<u64>) -> JournalResult<HashRows>;

    /// How many nodes of the lowest kept level there are.
    async fn tiles(&self) -> JournalResult<u64>;

    /// Keeps nodes; those that are kept already stay as they are.
    async fn keep(&self, nodes: &[(Subtree, Hash)]) -> JournalResult<()>;
}
