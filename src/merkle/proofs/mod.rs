//! Inclusion and consistency proofs (RFC 9162 2.1.3 and 2.1.4): the subtrees that they name, and their verification.

use super::{Hash, node_hash};
use std::ops::Range;

/// A perfect subtree: the leaves from `index << level` on, `1 << level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subtree {
    /// Height above the leaves.
    pub level: u8,
    /// Index among the subtrees of its height, from 0.
    pub index: u64,
}

/// Largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The ranges of leaves whose subtrees an inclusion proof names, in its order (PATH).
///
/// `index` is below `size`.
#[must_use]
pub fn inclusion(index: u64, size: u64) -> Vec<Range<u64>> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(middle..end);
            end = middle;
        } else {
            path.push(start..middle);
            start = middle;
        }
    }
    path.reverse();
    path
}

/// The ranges of leaves whose subtrees a consistency proof names, in its order (PROOF).
///
/// `from` is at least 1 and no more than `to`.
#[must_use]
pub fn consistency(from: u64, to: u64) -> Vec<Range<u64>> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, to);
    // Whether the old tree's root is not among the subtrees cut off so far, so that the verifier has it.
    let mut known = true;
    while end != from {
        let middle = start + split(end - start);
        if from <= middle {
            path.push(middle..end);
            end = middle;
        } else {
            path.push(start..middle);
            start = middle;
            known = false;
        }
    }
    if !known {
        path.push(start..end);
    }
    path.reverse();
    path
}

/// The perfect subtrees that a range of a proof consists of, from left to right.
///
/// Ranges of proofs begin where a perfect subtree of their size may begin, so these are the bits of their length.
#[must_use]
pub fn perfect(range: &Range<u64>) -> Vec<Subtree> {
    let mut subtrees = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let fits = u64::BITS - 1 - (range.end - start).leading_zeros();
        let level = fits.min(if start == 0 { u64::BITS } else { start.trailing_zeros() });
        subtrees.push(Subtree { level: level as u8, index: start >> level });
        start += 1 << level;
    }
    subtrees
}

/// Hash of a range from the hashes of its perfect subtrees; `None` without any.
#[must_use]
pub fn join(hashes: &[Hash]) -> Option<Hash> {
    let (last, rest) = hashes.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

/// The root computed from a leaf and its inclusion proof (RFC 9162 2.1.3.2); `None` if the proof is not one for this
/// leaf.
#[must_use]
pub fn root_of_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut number, mut last) = (index, size - 1);
    let mut root = leaf;
    for hash in proof {
        if last == 0 {
            return None;
        }
        if number % 2 == 1 || number == last {
            root = node_hash(hash, &root);
            while number % 2 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(&root, hash);
        }
        number >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// Whether `proof` shows that the tree of `from` leaves is a prefix of the one of `to` leaves (RFC 9162 2.1.4.2).
#[must_use]
pub fn is_consistent(from: u64, from_root: &Hash, to: u64, to_root: &Hash, proof: &[Hash]) -> bool {
    if from == 0 || from > to {
        return false;
    }
    if from == to {
        return proof.is_empty() && from_root == to_root;
    }
    let whole = from.is_power_of_two().then_some(*from_root);
    let mut hashes = whole.iter().chain(proof);
    let Some(first) = hashes.next() else { return false };
    let (mut number, mut last) = (from - 1, to - 1);
    while number % 2 == 1 {
        number >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if number % 2 == 1 || number == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            while number % 2 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, hash);
        }
        number >>= 1;
        last >>= 1;
    }
    last == 0 && old == *from_root && new == *to_root
}

#[cfg(test)]
mod tests;
