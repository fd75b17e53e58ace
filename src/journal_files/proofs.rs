//! Inclusion proofs of many consecutive events; hashes shared by neighbours are computed once.

use crate::journal::JournalResult;
use crate::journal::tree::Tree;
use crate::merkle::proofs::{Subtree, inclusion, join, perfect};
use crate::merkle::{Hash, node_hash, perfect_root};
use crate::merkle::{LEVELS_APART, TILE};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use std::fmt::Write;

/// Nodes fetched at a time.
const FETCHED: u64 = 65_536;

/// The tree above tiles of 256 leaves, in memory: 32 bytes for each 128 events.
pub(super) struct Prover {
    size: u64,
    /// All complete nodes of the levels 8, 9, 10, ...
    levels: Vec<Vec<Hash>>,
    /// Leaves after the last complete tile.
    tail: Vec<Hash>,
    tile: Tile,
}

/// Hashes shared by the proofs of a tile's leaves.
#[derive(Default)]
struct Tile {
    first: u64,
    /// Complete nodes of the levels 0, 1, ... within it.
    levels: Vec<Vec<Hash>>,
    /// Hashes from the tile upwards, as JSON.
    above: String,
}

impl Prover {
    /// A prover for the tree of the first `size` events.
    pub(super) async fn new(tree: &Tree, size: u64) -> JournalResult<Self> {
        tree.extend().await?;
        let tiles = size / TILE;
        let mut nodes = Vec::with_capacity(usize::try_from(tiles).unwrap_or_default());
        for start in (0..tiles).step_by(FETCHED as usize) {
            nodes.extend(tree.nodes(LEVELS_APART, start..tiles.min(start + FETCHED)).await?);
        }
        let tail = tree.nodes(0, tiles * TILE..size).await?;
        Ok(Prover { size, levels: levels(nodes), tail, tile: Tile::default() })
    }

    /// Loads the tile with these leaves: 256, or fewer in the last tile. False if they differ from the tree's.
    pub(super) fn enter(&mut self, first: u64, leaves: Vec<Hash>) -> bool {
        let index = usize::try_from(first / TILE).unwrap_or(usize::MAX);
        let complete = self.levels.first().and_then(|tiles| tiles.get(index));
        let is_right = match complete {
            Some(root) => leaves.len() as u64 == TILE && perfect_root(leaves.clone()) == *root,
            None => leaves == self.tail,
        };
        let within = first..first + TILE;
        let mut above = String::new();
        for range in inclusion(first, self.size).into_iter().filter(|range| !within.contains(&range.start)) {
            let parts: Vec<Hash> = perfect(&range).into_iter().map(|subtree| self.node(subtree)).collect();
            push_hash(&mut above, &join(&parts).unwrap_or_default());
        }
        self.tile = Tile { first, levels: levels(leaves), above };
        is_right
    }

    /// A node above the tiles, or of the tail.
    fn node(&self, subtree: Subtree) -> Hash {
        let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(level) = subtree.level.checked_sub(LEVELS_APART) {
            return self
                .levels
                .get(level as usize)
                .and_then(|nodes| nodes.get(index(subtree.index)))
                .copied()
                .unwrap_or_default();
        }
        let start = index((subtree.index << subtree.level) % TILE);
        self.tail
            .get(start..start + (1 << subtree.level))
            .map(|leaves| perfect_root(leaves.to_vec()))
            .unwrap_or_default()
    }

    /// Writes the inclusion proof of a leaf of the tile, as a line of JSON.
    pub(super) fn write(&self, leaf: u64, line: &mut String) {
        let _ = write!(line, r#"{{"position":{},"hashes":["#, leaf + 1);
        let begun = line.len();
        let (within, end) = (leaf - self.tile.first, self.size.min(self.tile.first + TILE));
        if end == self.tile.first + TILE {
            // In a whole tile the siblings are the neighbours at each level.
            for level in 0..LEVELS_APART {
                push_hash(line, &self.below(Subtree { level, index: (within >> level) ^ 1 }));
            }
        } else {
            for range in inclusion(within, end - self.tile.first) {
                let parts: Vec<Hash> = perfect(&range).into_iter().map(|subtree| self.below(subtree)).collect();
                push_hash(line, &join(&parts).unwrap_or_default());
            }
        }
        line.push_str(&self.tile.above);
        if line.len() > begun {
            // JSON allows no comma after the last hash.
            line.pop();
        }
        line.push_str("]}\n");
    }

    /// A node within the tile.
    fn below(&self, subtree: Subtree) -> Hash {
        let nodes = self.tile.levels.get(subtree.level as usize);
        nodes.and_then(|nodes| nodes.get(subtree.index as usize)).copied().unwrap_or_default()
    }
}

fn push_hash(line: &mut String, hash: &Hash) {
    line.push('"');
    BASE64.encode_string(hash, line);
    line.push_str("\",");
}

/// All levels of complete nodes above `nodes`, which come first.
fn levels(nodes: Vec<Hash>) -> Vec<Vec<Hash>> {
    let mut levels = vec![nodes];
    while let Some(last) = levels.last().filter(|nodes| nodes.len() > 1) {
        let (pairs, _) = last.as_chunks::<2>();
        let above = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
        levels.push(above);
    }
    levels
}
