//! The Merkle tree over all events, for proofs: the hash of any subtree, at low cost for any length of the journal.
//!
//! Leaf hashes are stored with the events. The roots of complete subtrees of 256, 65,536, ... leaves are stored beside
//! them after the commits, so no append pays for it; a proof then reads at most 255 hashes at each level. Missing nodes
//! are computed from the level below.

use super::{Head, Journal, JournalError, JournalResult};
use crate::merkle::proofs::{self, Subtree};
use crate::merkle::{Frontier, Hash, LEVELS_APART, TILE, perfect_root as root};
use crate::store::{HashRows, Store, TreeStore};
use futures::future::{BoxFuture, try_join_all};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Leaves processed at a time while nodes are added.
const STRIDE: u64 = 64 * TILE;

/// The tree over the events of a journal.
#[derive(Clone)]
pub struct Tree {
    journal: Journal,
    store: Arc<dyn TreeStore>,
}

impl Store {
    /// The Merkle tree over this journal's events.
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree { journal: self.journal(), store: self.tree_store() }
    }
}

impl Tree {
    /// Hashes of the leaves `range`, from 0: the longest gapless run from its start. Those of archived events are
    /// stored in another table.
    pub(crate) async fn leaves(&self, range: Range<u64>) -> JournalResult<Vec<Hash>> {
        let rows = self.store.leaves(range.clone()).await?;
        if range.is_empty() || rows.first().is_some_and(|(number, _)| u64::try_from(*number) == Ok(range.start)) {
            return without_gap(rows, &range);
        }
        let archived = self.store.archived_leaves(range.start / TILE..=range.end / TILE).await?;
        let mut leaves = unpacked(archived, &range);
        leaves.extend(without_gap(rows, &(range.start + leaves.len() as u64..range.end))?);
        Ok(leaves)
    }

    /// Stored hashes of the nodes `range` of a level: the longest gapless run from its start.
    pub(crate) async fn kept(&self, level: u8, range: Range<u64>) -> JournalResult<Vec<Hash>> {
        without_gap(self.store.nodes(level, range.clone()).await?, &range)
    }

    /// Hashes that prove that the leaf `index` is in the tree of `size` leaves (RFC 9162 2.1.3.1). `index` must be
    /// below `size`, and `size` at most the journal's length.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt` if hashes are missing.
    pub async fn inclusion(&self, index: u64, size: u64) -> JournalResult<Vec<Hash>> {
        self.hashes(&proofs::inclusion(index, size)).await
    }

    /// Hashes that prove that the tree of `from` leaves is a prefix of the one of `to` (RFC 9162 2.1.4.1). `from` must
    /// be between 1 and `to`, and `to` at most the journal's length.
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
        self.leaves(index..index + 1).await?.pop().ok_or_else(missing)
    }

    async fn hashes(&self, ranges: &[Range<u64>]) -> JournalResult<Vec<Hash>> {
        let parts: Vec<Vec<Subtree>> = ranges.iter().map(proofs::perfect).collect();
        let mut roots = self.subtrees(&parts.concat()).await?.into_iter();
        let join = |part: &Vec<Subtree>| proofs::join(&roots.by_ref().take(part.len()).collect::<Vec<_>>());
        parts.iter().map(join).collect::<Option<_>>().ok_or_else(missing)
    }

    /// Subtrees of a proof are close to each other, so the hashes of each tile are read once for all of them.
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
                let leaves = self.leaves(range).await?;
                return if leaves.len() as u64 == wanted { Ok(leaves) } else { Err(missing()) };
            }
            let mut hashes = self.kept(level, range.clone()).await?;
            for index in range.start + hashes.len() as u64..range.end {
                let below = index * TILE..(index + 1) * TILE;
                hashes.push(root(self.nodes(level - LEVELS_APART, below).await?));
            }
            Ok(hashes)
        })
    }

    /// Stores the nodes of all subtrees completed so far and returns the number of leaves that nodes cover.
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

    /// Stores the nodes completed by the tiles from `from` to `until`.
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
            // The first node above may begin with nodes that are stored already.
            let mut below = self.nodes(level, above.start * TILE..first).await?;
            below.extend(added);
            added = below.chunks_exact(TILE as usize).map(|tile| root(tile.to_vec())).collect();
            (level, first) = (level + LEVELS_APART, above.start);
        }
        self.store.keep(&kept).await
    }

    /// Compares the large subtrees of the head with those of the stored nodes.
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

/// The hashes of rows numbered as `range`, up to the first missing one.
fn without_gap(rows: HashRows, range: &Range<u64>) -> JournalResult<Vec<Hash>> {
    let hash = |bytes: Vec<u8>| bytes.try_into().map_err(|_| JournalError::corrupt("a hash is not 32 bytes"));
    let numbered = rows.into_iter().zip(range.clone());
    numbered
        .take_while(|((number, _), expected)| u64::try_from(*number) == Ok(*expected))
        .map(|((_, bytes), _)| hash(bytes))
        .collect()
}

/// The leaves of `range` from rows of [`TILE`] hashes, up to the first missing one.
fn unpacked(rows: HashRows, range: &Range<u64>) -> Vec<Hash> {
    let wanted = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let numbered = rows.into_iter().zip(range.start / TILE..);
    let tiles = numbered.take_while(|((tile, _), expected)| u64::try_from(*tile) == Ok(*expected));
    let hashes = tiles.flat_map(|((_, hashes), _)| hashes.as_chunks::<32>().0.to_vec());
    hashes.skip((range.start % TILE) as usize).take(wanted).collect()
}
