//! Tests against two independent implementations: `ct-merkle` and `tlog_tiles`.

use super::*;
use crate::merkle::{Frontier, leaf_hash};
use ct_merkle::digest::Output;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof};
use sha2::Sha256;

const SIZE_MAX: u64 = 70;

fn entry(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn leaves() -> Vec<Hash> {
    (0..SIZE_MAX).map(|number| leaf_hash(&entry(number))).collect()
}

fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}

fn hashes(leaves: &[Hash], ranges: &[Range<u64>]) -> Vec<Hash> {
    ranges
        .iter()
        .map(|range| {
            let of = |subtree: Subtree| {
                let start = (subtree.index << subtree.level) as usize;
                root(&leaves[start..start + (1 << subtree.level)])
            };
            join(&perfect(range).into_iter().map(of).collect::<Vec<_>>()).unwrap()
        })
        .collect()
}

fn foreign_tree(size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    (0..size).for_each(|number| tree.push(entry(number)));
    tree
}

fn digests(proof: &[Hash]) -> Vec<Output<Sha256>> {
    proof.iter().map(|hash| (*hash).into()).collect()
}

#[test]
fn other_libraries_make_and_accept_our_inclusion_proofs() {
    let leaves = leaves();
    for size in 1..=SIZE_MAX {
        let tree = foreign_tree(size);
        let whole = root(&leaves[..size as usize]);
        assert_eq!(tree.root().as_bytes().as_slice(), whole);
        for index in 0..size {
            let proof = hashes(&leaves, &inclusion(index, size));
            assert_eq!(tree.prove_inclusion(index as usize).as_bytes(), proof.concat(), "{index} of {size}");
            let foreign = InclusionProof::<Sha256>::from_digests(&digests(&proof));
            tree.root().verify_inclusion(&entry(index), index, &foreign).unwrap();
            assert_eq!(root_of_inclusion(leaves[index as usize], index, size, &proof), Some(whole));
            let record = proof.iter().map(|hash| tlog_tiles::Hash(*hash)).collect();
            let (root, leaf) = (tlog_tiles::Hash(whole), tlog_tiles::Hash(leaves[index as usize]));
            tlog_tiles::check_record(&record, size, root, index, leaf).unwrap();
        }
    }
}

#[test]
fn other_libraries_make_and_accept_our_consistency_proofs() {
    let leaves = leaves();
    for to in 1..=SIZE_MAX {
        let tree = foreign_tree(to);
        for from in 1..=to {
            let proof = hashes(&leaves, &consistency(from, to));
            let (old, new) = (root(&leaves[..from as usize]), root(&leaves[..to as usize]));
            assert!(is_consistent(from, &old, to, &new, &proof), "{from} to {to}");
            assert_eq!(tree.prove_consistency((to - from) as usize).as_bytes(), proof.concat(), "{from} to {to}");
            if from < to {
                let foreign = ConsistencyProof::<Sha256>::from_digests(&digests(&proof));
                tree.root().verify_consistency(&foreign_tree(from).root(), &foreign).unwrap();
            }
        }
    }
}

#[test]
fn a_changed_proof_is_not_accepted() {
    let leaves = leaves();
    let (index, from, to) = (5, 11, 37);
    let (old, new) = (root(&leaves[..from as usize]), root(&leaves[..to as usize]));
    let proof = hashes(&leaves, &inclusion(index, to));
    for changed in changes(&proof) {
        assert_ne!(root_of_inclusion(leaves[index as usize], index, to, &changed), Some(new));
    }
    assert_ne!(root_of_inclusion(leaves[index as usize], index + 1, to, &proof), Some(new));
    assert_eq!(root_of_inclusion(leaves[index as usize], to, to, &proof), None);
    let proof = hashes(&leaves, &consistency(from, to));
    for changed in changes(&proof) {
        assert!(!is_consistent(from, &old, to, &new, &changed));
    }
    assert!(!is_consistent(from, &new, to, &new, &proof));
    assert!(!is_consistent(0, &old, to, &new, &proof) && !is_consistent(to, &new, from, &old, &proof));
}

fn changes(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut changed: Vec<Vec<Hash>> = (0..proof.len())
        .map(|at| {
            let mut proof = proof.to_vec();
            proof[at][0] ^= 1;
            proof
        })
        .collect();
    changed.push(proof[1..].to_vec());
    changed.push(proof[..proof.len() - 1].to_vec());
    changed.push([proof, &[[0; 32]]].concat());
    changed
}
