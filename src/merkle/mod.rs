//! The Merkle tree over all events (RFC 9162 2.1): leaf hashes, the frontier that an append needs, proofs.

mod builder;
pub mod proofs;

pub use builder::Builder;

use sha2::{Digest, Sha256};

/// Levels between two kept ones.
pub const LEVELS_APART: u8 = 8;
/// Leaves under a node of the lowest kept level, and nodes under one of the next.
pub const TILE: u64 = 1 << LEVELS_APART;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// Hash of a leaf: SHA-256 over 0x00 and the entry (RFC 9162 2.1.1).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// Hash of an inner node: SHA-256 over 0x01 and both children.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Root of a perfect subtree from its nodes of one level; their number is a power of two.
pub(crate) fn perfect_root(mut nodes: Vec<Hash>) -> Hash {
    while nodes.len() > 1 {
        for at in 0..nodes.len() / 2 {
            nodes[at] = node_hash(&nodes[2 * at], &nodes[2 * at + 1]);
        }
        nodes.truncate(nodes.len() / 2);
    }
    nodes.pop().unwrap_or_default()
}

/// A tree as the roots of its perfect subtrees, from large to small: one for each bit set in its size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The perfect subtrees, from large to small.
    pub fn subtrees(&self) -> impl Iterator<Item = (proofs::Subtree, Hash)> {
        proofs::perfect(&(0..self.size)).into_iter().zip(self.roots.iter().copied())
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Every trailing one bit of the size is a perfect subtree that the new leaf completes to the next larger one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.roots.push(node);
        self.size += 1;
    }

    /// The tree's root hash; for an empty tree the hash of the empty string.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return Sha256::digest([]).into() };
        roots.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The concatenated roots, as the journal head stores them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.concat()
    }

    /// Parses the output of [`Frontier::to_bytes`]; `None` if it does not fit `size`.
    #[must_use]
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (roots, rest) = bytes.as_chunks::<32>();
        (rest.is_empty() && roots.len() == size.count_ones() as usize).then(|| Frontier { size, roots: roots.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 9162 2.1.1, word for word.
    fn naive(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&naive(&leaves[..split]), &naive(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_frontier_has_the_root_of_the_definition() {
        let leaves: Vec<Hash> = (0u32..70).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let mut frontier = Frontier::default();
        for size in 0..leaves.len() {
            assert_eq!(frontier.root(), naive(&leaves[..size]), "size {size}");
            assert_eq!(Frontier::from_bytes(size as u64, &frontier.to_bytes()), Some(frontier.clone()));
            frontier.push(leaves[size]);
        }
    }

    #[test]
    fn bytes_that_do_not_fit_the_size_are_refused() {
        assert_eq!(Frontier::from_bytes(3, &[0; 32]), None);
        assert_eq!(Frontier::from_bytes(1, &[0; 31]), None);
    }
}
