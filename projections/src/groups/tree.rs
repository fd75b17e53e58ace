//! The hierarchy of the nodes of one organization.

use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::working_set::{FoldError, WorkingSet};
use foldhash::fast::RandomState;
use registrar_aggregates::group::tree::TreeEvent;
use registrar_aggregates::values::GroupId;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

crate::collection! { "group_trees" of TreeDocument, hot: true, id: |tree| tree.organization.clone(); }

/// The tree of an organization, under the organization's identifier. It stores only nodes with a parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TreeDocument {
    /// The organization.
    pub organization: String,
    /// Parent divisions by child.
    #[serde(serialize_with = "sorted")]
    pub parents: Parents,
}

/// Parents by child; every access check walks up this map.
pub type Parents = HashMap<GroupId, GroupId, RandomState>;

/// Sorted, so that equal trees have equal text.
fn sorted<S: Serializer>(parents: &Parents, serializer: S) -> Result<S::Ok, S::Error> {
    parents.iter().collect::<BTreeMap<_, _>>().serialize(serializer)
}

impl TreeDocument {
    /// The divisions above a node, nearest first.
    pub fn ancestors(&self, node: GroupId) -> impl Iterator<Item = GroupId> + '_ {
        std::iter::successors(self.parents.get(&node).copied(), |node| self.parents.get(node).copied())
    }

    /// Whether any of the nodes has one of `divisions` above it.
    #[must_use]
    pub fn are_below(&self, nodes: impl IntoIterator<Item = GroupId>, divisions: &BTreeSet<GroupId>) -> bool {
        // A node that was visited before ends the path: its ancestors were visited with it.
        let mut seen = HashSet::with_hasher(RandomState::default());
        let mut above =
            |node| self.ancestors(node).take_while(|above| seen.insert(*above)).any(|a| divisions.contains(&a));
        nodes.into_iter().any(&mut above)
    }

    /// The nodes themselves and their subtrees.
    #[must_use]
    pub fn subtrees(&self, roots: impl IntoIterator<Item = GroupId>) -> BTreeSet<GroupId> {
        let mut found: BTreeSet<_> = roots.into_iter().collect();
        if found.is_empty() {
            return found;
        }
        let mut children: BTreeMap<GroupId, Vec<GroupId>> = BTreeMap::new();
        for (child, parent) in &self.parents {
            children.entry(*parent).or_default().push(*child);
        }
        let mut open: Vec<_> = found.iter().copied().collect();
        while let Some(node) = open.pop() {
            for child in children.get(&node).into_iter().flatten() {
                if found.insert(*child) {
                    open.push(*child);
                }
            }
        }
        found
    }
}

pub(super) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    vec![DocumentKey::of::<TreeDocument>(&event.aggregate_id)]
}

pub(super) fn fold(event: &RecordedEvent, change: &TreeEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let TreeEvent::NodeMoved { node, under } = change;
    let organization = &event.aggregate_id;
    if documents.get::<TreeDocument>(organization)?.is_none() {
        documents.insert(TreeDocument { organization: organization.clone(), parents: Parents::default() })?;
    }
    documents.update::<TreeDocument>(organization, |tree| match under {
        Some(under) => {
            tree.parents.insert(*node, *under);
        }
        None => {
            tree.parents.remove(node);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_tree_is_written_in_the_order_of_its_nodes() {
        let group = |number| GroupId(Uuid::from_u128(number));
        let parents = (1..100).map(|number| (group(number), group(0))).collect();
        let text = serde_json::to_string(&TreeDocument { organization: "o".to_owned(), parents }).unwrap();
        let written: Vec<_> = text.split('"').filter(|part| part.len() == 36).step_by(2).collect();
        assert!(written.len() == 99 && written.is_sorted(), "{text}");
    }

    #[test]
    fn subtrees_and_ancestors_follow_from_the_parents() {
        let group = |number| GroupId(Uuid::from_u128(number));
        let parents = [(2, 1), (3, 1), (4, 3), (6, 5)].map(|(child, parent)| (group(child), group(parent)));
        let tree = TreeDocument { organization: String::new(), parents: parents.into_iter().collect() };
        let set = |numbers: &[u128]| numbers.iter().map(|number| group(*number)).collect::<BTreeSet<_>>();
        assert_eq!(tree.subtrees([group(1)]), set(&[1, 2, 3, 4]));
        assert_eq!(tree.subtrees([group(3), group(5)]), set(&[3, 4, 5, 6]));
        assert_eq!(tree.subtrees([group(9)]), set(&[9]));
        assert!(tree.subtrees([]).is_empty());
        assert_eq!(tree.ancestors(group(4)).collect::<Vec<_>>(), [group(3), group(1)]);
        assert_eq!(tree.ancestors(group(1)).count(), 0);
        assert!(tree.are_below([group(9), group(4)], &set(&[7, 1])));
        assert!(!tree.are_below([group(1), group(4)], &set(&[4, 5])));
    }
}
