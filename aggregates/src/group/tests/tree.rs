use super::*;
use crate::group::tree::{DEPTH_MAX, Tree, TreeCommand, TreeError, TreeEvent};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn hang(node: u128, under: Option<u128>) -> TreeCommand {
    TreeCommand::Hang { node: group(node), under: under.map(group) }
}

fn hung(node: u128, under: Option<u128>) -> TreeEvent {
    TreeEvent::NodeMoved { node: group(node), under: under.map(group) }
}

#[test]
fn moving_a_node_records_its_new_parent_once() {
    given::<Tree>([]).when(hang(2, Some(1))).then_expect_events(vec![hung(2, Some(1))]);
    given::<Tree>([hung(2, Some(1))]).when(hang(2, Some(3))).then_expect_events(vec![hung(2, Some(3))]);
    given::<Tree>([hung(2, Some(1))]).when(hang(2, None)).then_expect_events(vec![hung(2, None)]);
    given::<Tree>([hung(2, Some(1))]).when(hang(2, Some(1))).then_expect_events(vec![]);
    given::<Tree>([]).when(hang(2, None)).then_expect_events(vec![]);
}

#[test]
fn no_node_hangs_under_itself() {
    let chain = || [hung(2, Some(1)), hung(3, Some(2)), hung(4, Some(3))];
    for under in [1, 2, 3, 4] {
        given::<Tree>(chain()).when(hang(1, Some(under))).then_expect_error(TreeError::Cycle);
    }
    given::<Tree>(chain()).when(hang(4, Some(1))).then_expect_events(vec![hung(4, Some(1))]);
    given::<Tree>(chain()).when(hang(2, Some(5))).then_expect_events(vec![hung(2, Some(5))]);
}

#[test]
fn a_tree_deeper_than_the_maximum_is_refused() {
    let deepest = DEPTH_MAX as u128;
    let chain = || (1..=deepest).map(|node| hung(node, Some(node - 1)));
    given::<Tree>(chain()).when(hang(deepest + 1, Some(deepest))).then_expect_error(TreeError::TooDeep);
    // The depth of the subtree counts as well.
    given::<Tree>(chain()).when(hang(0, Some(500))).then_expect_error(TreeError::TooDeep);
    given::<Tree>(chain()).when(hang(1, Some(500))).then_expect_events(vec![hung(1, Some(500))]);
}

proptest! {
    #[test]
    fn the_ancestors_of_a_node_follow_the_accepted_moves_and_end(
        moves in prop::collection::vec((0_u128..12, prop::option::of(0_u128..12)), 0..60)
    ) {
        let mut tree = Tree::default();
        let mut parents: BTreeMap<u128, u128> = BTreeMap::new();
        for (node, under) in moves {
            let decided = tree.decide(hang(node, under));
            let cycle = std::iter::successors(under, |node| parents.get(node).copied()).any(|above| above == node);
            prop_assert_eq!(decided.is_err(), cycle);
            for event in decided.unwrap_or_default() {
                tree.apply(event);
                match under {
                    Some(under) => parents.insert(node, under),
                    None => parents.remove(&node),
                };
            }
            for node in 0..12 {
                let ancestors: Vec<_> = tree.ancestors(group(node)).take(13).collect();
                let expected: Vec<_> =
                    std::iter::successors(parents.get(&node), |node| parents.get(node)).map(|node| group(*node)).collect();
                prop_assert_eq!(ancestors, expected);
            }
        }
        let snapshot = serde_json::to_value(&tree).unwrap();
        prop_assert_eq!(serde_json::from_value::<Tree>(snapshot).unwrap(), tree);
    }
}
