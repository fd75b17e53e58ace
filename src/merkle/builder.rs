//! Builds the whole tree, leaf by leaf.

use super::proofs::Subtree;
use super::{Frontier, Hash, LEVELS_APART, perfect_root};

/// Nodes under one of the next kept level.
const TILE: usize = super::TILE as usize;

/// A growing tree that returns the nodes to keep: those of every eighth level.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    size: u64,
    /// The nodes of levels 0, 8, 16, ... that have no complete node above them yet.
    levels: Vec<Vec<Hash>>,
}

impl Builder {
    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf and returns the nodes of kept levels that it completes, lowest first.
    pub fn push(&mut self, leaf: Hash) -> Vec<(Subtree, Hash)> {
        self.size += 1;
        let mut completed = Vec::new();
        let (mut node, mut level) = (leaf, 0);
        loop {
            if self.levels.len() == level {
                self.levels.push(Vec::with_capacity(TILE));
            }
            let nodes = &mut self.levels[level];
            nodes.push(node);
            if nodes.len() < TILE {
                return completed;
            }
            node = perfect_root(std::mem::replace(nodes, Vec::with_capacity(TILE)));
            level += 1;
            let height = LEVELS_APART * level as u8;
            completed.push((Subtree { level: height, index: (self.size >> height) - 1 }, node));
        }
    }

    /// The frontier of the current tree.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        let mut roots = Vec::new();
        for nodes in self.levels.iter().rev() {
            let mut level = Frontier::default();
            nodes.iter().for_each(|node| level.push(*node));
            roots.extend(level.roots);
        }
        Frontier { size: self.size, roots }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;

    #[test]
    fn a_builder_agrees_with_the_frontier_and_returns_every_kept_node_once() {
        let (mut builder, mut frontier) = (Builder::default(), Frontier::default());
        let mut told = Vec::new();
        for number in 0u64..70_000 {
            let leaf = leaf_hash(&number.to_be_bytes());
            frontier.push(leaf);
            for (node, hash) in builder.push(leaf) {
                told.push(node);
                let root = frontier.subtrees().find(|(subtree, _)| *subtree == node);
                assert!(root.is_none_or(|(_, root)| root == hash));
            }
            if number % 997 == 0 || number % 256 > 253 {
                assert_eq!(builder.frontier(), frontier);
            }
        }
        let of = |level: u8, count: u64| (0..count).map(move |index| Subtree { level, index });
        told.sort_unstable();
        assert_eq!(told, of(8, 273).chain(of(16, 1)).collect::<Vec<_>>());
    }
}
