//! The Merkle tree over all events as proofs need it: any subtree's hash, cheaply however long the journal is.
//!
//! Leaf hashes stand with the events. Behind the commits the roots of complete subtrees of 256, 65,536, ... leaves are
//! kept beside them, so that no append pays for it; a proof then reads at most 255 hashes at each level. What is not
//! kept yet is computed from the level below.

mod postgres;
mod sqlite;

use super::merkle::proofs::{self, Subtree};
use super::merkle::{Frontier, Hash, perfect_root as root};
use super::{Head, Journal, JournalError, JournalResult};
use async_trait::async_trait;
use futures::future::{BoxFuture, try_join_all};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Levels between those whose nodes are kept.
pub const LEVELS_APART: u8 = 8;
/// Leaves under a node of the lowest level that is kept.
pub const TILE: u64 = 1 << LEVELS_APART;
/// Leaves looked at in one go while nodes are added.
const STRIDE: u64 = 64 * TILE;

/// Where hashes of the tree are kept.
#[async_trait]
pub trait TreeStore: Send + Sync {
    /// Hashes of the leaves `range`, from 0: as many from its start as there are without a gap.
    async fn leaves(&self, range: Range<u64>) -> JournalResult<Vec<Hash>>;

    /// Kept hashes of the nodes `range` of a level: as many from its start as there are without a gap.
    async fn nodes(&self, level: u8, range: Range<u64>) -> JournalResult<Vec<Hash>>;

    /// How many nodes of the lowest kept level there are.
    async fn tiles(&self) -> JournalResult<u64>;

    /// Keeps nodes; those that are kept already stay as they are.
    async fn keep(&self, nodes: &[(Subtree, Hash)]) -> JournalResult<()>;
}

/// The tree over the events of a journal.
#[derive(Clone)]
pub struct Tree {
    journal: Arc<dyn Journal>,
    store: Arc<dyn TreeStore>,
}

impl Tree {
    /// The tree of a journal.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, store: Arc<dyn TreeStore>) -> Self {
        Tree { journal, store }
    }

    /// Hashes that prove that the leaf `index` is in the tree of `size` leaves (RFC 9162 2.1.3.1). `index` must be
    /// below `size`, and `size` no more than the journal has.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt` where hashes are missing.
    pub async fn inclusion(&self, index: u64, size: u64) -> JournalResult<Vec<Hash>> {
        self.hashes(&proofs::inclusion(index, size)).await
    }

    /// Hashes that prove that the tree of `from` leaves is the beginning of the one of `to` (RFC 9162 2.1.4.1). `from`
    /// must be between 1 and `to`, and `to` no more than the journal has.
    ///
    /// # Errors
    /// As [`Tree::inclusion`].
    pub async fn consistency(&self, from: u64, to: u64) -> JournalResult<Vec<Hash>> {
        self.hashes(&proofs::consistency(from, to)).await
    }

    /// The tree of the first `size` leaves.
    ///
    /// # Errors
    /// As [`Tree::inclusion`].
    pub async fn frontier(&self, size: u64) -> JournalResult<Frontier> {
        let roots = self.subtrees(&proofs::perfect(&(0..size))).await?;
        Frontier::from_bytes(size, &roots.concat()).ok_or_else(missing)
    }

    /// Hash of the leaf `index`.
    ///
    /// # Errors
    /// As [`Tree::inclusion`].
    pub async fn leaf(&self, index: u64) -> JournalResult<Hash> {
        self.store.leaves(index..index + 1).await?.pop().ok_or_else(missing)
    }

    async fn hashes(&self, ranges: &[Range<u64>]) -> JournalResult<Vec<Hash>> {
        let parts: Vec<Vec<Subtree>> = ranges.iter().map(proofs::perfect).collect();
        let mut roots = self.subtrees(&parts.concat()).await?.into_iter();
        let join = |part: &Vec<Subtree>| proofs::join(&roots.by_ref().take(part.len()).collect::<Vec<_>>());
        parts.iter().map(join).collect::<Option<_>>().ok_or_else(missing)
    }

    /// Subtrees of a proof lie close to each other: what they need of one tile is read at once.
    async fn subtrees(&self, subtrees: &[Subtree]) -> JournalResult<Vec<Hash>> {
        let below: Vec<(u8, Range<u64>)> = subtrees
            .iter()
            .map(|subtree| {
                let above = subtree.level % LEVELS_APART;
                (subtree.level - above, (subtree.index << above)..((subtree.index + 1) << above))
            })
            .collect();
        let mut tiles: BTreeMap<(u8, u64), Range<u64>> = BTreeMap::new();
        for (level, nodes) in &below {
            let tile = tiles.entry((*level, nodes.start / TILE)).or_insert_with(|| nodes.clone());
            *tile = tile.start.min(nodes.start)..tile.end.max(nodes.end);
        }
        let read = tiles.into_iter().map(async |(key, nodes)| {
            let hashes = self.nodes(key.0, nodes.clone()).await?;
            Ok::<_, JournalError>((key, (nodes.start, hashes)))
        });
        let tiles: BTreeMap<_, _> = try_join_all(read).await?.into_iter().collect();
        let hash = |(level, nodes): (u8, Range<u64>)| {
            let (start, hashes) = tiles.get(&(level, nodes.start / TILE))?;
            let at = |node: u64| usize::try_from(node - start).ok();
            Some(root(hashes.get(at(nodes.start)?..at(nodes.end)?)?.to_vec()))
        };
        below.into_iter().map(hash).collect::<Option<_>>().ok_or_else(missing)
    }

    /// Hashes of the complete nodes `range` of a level that is a multiple of [`LEVELS_APART`].
    pub(crate) fn nodes(&self, level: u8, range: Range<u64>) -> BoxFuture<'_, JournalResult<Vec<Hash>>> {
        Box::pin(async move {
            let wanted = range.end - range.start;
            if level == 0 {
                let leaves = self.store.leaves(range).await?;
                return if leaves.len() as u64 == wanted { Ok(leaves) } else { Err(missing()) };
            }
            let mut hashes = self.store.nodes(level, range.clone()).await?;
            for index in range.start + hashes.len() as u64..range.end {
                let below = index * TILE..(index + 1) * TILE;
                hashes.push(root(self.nodes(level - LEVELS_APART, below).await?));
            }
            Ok(hashes)
        })
    }

    /// Keeps the nodes of all subtrees that are complete by now and answers over how many leaves there are nodes.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt` if the leaf hashes do not give the tree in the journal head.
    pub async fn extend(&self) -> JournalResult<u64> {
        let head = self.journal.head().await?;
        let complete = head.position / TILE;
        let mut tiles = self.store.tiles().await?;
        if tiles >= complete {
            return Ok(tiles * TILE);
        }
        while tiles < complete {
            let until = complete.min((tiles * TILE / STRIDE + 1) * STRIDE / TILE);
            self.extend_to(tiles, until).await?;
            tiles = until;
        }
        self.check(&head).await?;
        Ok(tiles * TILE)
    }

    /// Keeps what the tiles from `from` to `until` complete.
    async fn extend_to(&self, from: u64, until: u64) -> JournalResult<()> {
        let leaves = self.nodes(0, from * TILE..until * TILE).await?;
        let mut added: Vec<Hash> = leaves.chunks_exact(TILE as usize).map(|tile| root(tile.to_vec())).collect();
        let (mut kept, mut level, mut first) = (Vec::new(), LEVELS_APART, from);
        loop {
            kept.extend((first..).zip(&added).map(|(index, hash)| (Subtree { level, index }, *hash)));
            let above = first / TILE..(first + added.len() as u64) / TILE;
            if above.is_empty() {
                break;
            }
            // The first node above may have begun with nodes that are kept already.
            let mut below = self.nodes(level, above.start * TILE..first).await?;
            below.extend(added);
            added = below.chunks_exact(TILE as usize).map(|tile| root(tile.to_vec())).collect();
            (level, first) = (level + LEVELS_APART, above.start);
        }
        self.store.keep(&kept).await
    }

    /// Compares the large subtrees of the head with what the kept nodes give.
    async fn check(&self, head: &Head) -> JournalResult<()> {
        let large: Vec<_> = head.frontier.subtrees().filter(|(subtree, _)| subtree.level >= LEVELS_APART).collect();
        let computed = self.subtrees(&large.iter().map(|(subtree, _)| *subtree).collect::<Vec<_>>()).await?;
        if large.iter().map(|(_, hash)| *hash).eq(computed) {
            Ok(())
        } else {
            Err(JournalError::corrupt("the leaf hashes do not give the tree in the journal head"))
        }
    }
}

fn missing() -> JournalError {
    JournalError::corrupt("hashes of the tree are missing")
}
