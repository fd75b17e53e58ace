//! The hierarchy of the nodes of one organization: one stream per organization, so that moves are serialised. It stores
//! only nodes with a parent; any other node is at the top.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::GroupId;
use crate::{Decide, Snapshots, decide::aggregate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most levels below the top.
pub const DEPTH_MAX: usize = 64;

/// The tree of an organization.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tree(BTreeMap<GroupId, GroupId>);

/// Commands of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeCommand {
    /// Moves a node, with its subtree, under a division of the same organization; `None` for the top.
    Hang {
        /// The node.
        node: GroupId,
        /// The division. Its node type and organization never change, and the caller has checked both.
        under: Option<GroupId>,
    },
}

/// Events of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum TreeEvent {
    /// A node of an organization's tree was moved.
    #[serde(rename = "group-tree.node-moved")]
    NodeMoved {
        /// The node.
        node: GroupId,
        /// The new parent division; absent at the top.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        under: Option<GroupId>,
    },
}

event_names!(TreeEvent {
    NodeMoved => "group-tree.node-moved" @ "1.0" Update, clear ["/node", "/under"];
});

impl EventFacts for TreeEvent {}

/// Refusals of a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The division is the node itself or in its subtree.
    #[error("a group cannot hang under itself")]
    Cycle,
    /// The tree would have too many levels.
    #[error("a tree of groups has {DEPTH_MAX} levels at most")]
    TooDeep,
}

impl Refuse for TreeError {
    fn kind(&self) -> RefusalKind {
        match self {
            TreeError::Cycle | TreeError::TooDeep => RefusalKind::Conflict,
        }
    }
}

impl Tree {
    /// The parent division of a node; `None` at the top.
    #[must_use]
    pub fn parent(&self, node: GroupId) -> Option<GroupId> {
        self.0.get(&node).copied()
    }

    /// The divisions above a node, nearest first.
    pub fn ancestors(&self, node: GroupId) -> impl Iterator<Item = GroupId> {
        std::iter::successors(self.parent(node), |node| self.parent(*node))
    }

    /// Levels of the subtree below a node.
    fn height(&self, node: GroupId) -> usize {
        let levels = |below: GroupId| self.ancestors(below).position(|above| above == node).map(|levels| levels + 1);
        self.0.keys().filter_map(|below| levels(*below)).max().unwrap_or(0)
    }

    fn evolve(&mut self, event: TreeEvent) {
        let TreeEvent::NodeMoved { node, under } = event;
        match under {
            Some(under) => self.0.insert(node, under),
            None => self.0.remove(&node),
        };
    }
}

impl Decide for Tree {
    const SNAPSHOT: Option<Snapshots> = Some(Snapshots { shape: 1, personal: &[] });

    fn decide(&self, command: TreeCommand) -> Result<Vec<TreeEvent>, TreeError> {
        let TreeCommand::Hang { node, under } = command;
        if under == self.parent(node) {
            return Ok(vec![]);
        }
        if let Some(under) = under {
            if under == node || self.ancestors(under).any(|above| above == node) {
                return Err(TreeError::Cycle);
            }
            if self.ancestors(under).count() + 1 + self.height(node) > DEPTH_MAX {
                return Err(TreeError::TooDeep);
            }
        }
        Ok(vec![TreeEvent::NodeMoved { node, under }])
    }
}

aggregate!(Tree, "group-tree", TreeCommand, TreeEvent, TreeError);
