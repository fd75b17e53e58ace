//! Groups of individuals: an organization's tree of nodes, and the people in them.
//!
//! State that may change concurrently has separate streams. A [`Group`] is the node with its name. [`tree::Tree`] is
//! the hierarchy of one organization's nodes, so that moves are serialised and none makes a cycle. Membership is
//! recorded with the people: a [`placement::Placement`] is one individual's, a [`staffing::Staffing`] one user's in one
//! organization. Adding to a group of many thousands thus costs the same as adding to an empty one, and concurrent
//! additions of different people do not conflict.

mod event;
pub mod placement;
pub mod staffing;
#[cfg(test)]
mod tests;
pub mod tree;

pub use event::GroupEvent;

use crate::refusal::{RefusalKind, Refuse};
use crate::values::{GroupId, OrganizationId, Problem, UserId, trimmed_name};
use crate::{Decide, decide::aggregate};
use serde::{Deserialize, Serialize};
use staffing::Post;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Longest name, in characters.
pub const NAME_LENGTH_MAX: usize = 255;
/// Longest tag, in characters.
pub const TAG_LENGTH_MAX: usize = 127;
/// Most tags of one group.
pub const TAGS_MAX: usize = 100;

/// Kind of content of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NodeType {
    /// A node that contains nodes.
    Division,
    /// A node that contains people.
    Group,
}

/// The people that a group accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// Individuals, and users who work with them.
    Regular,
    /// Users who work with individuals, but no individuals.
    ProviderOnly,
}

/// A group that every organization has from its start. It is never created, changed or filled by commands; its
/// individuals follow from [`placement::Placement`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemGroup {
    /// Every individual of the organization.
    AllParticipants,
    /// Every individual of the organization in no regular group.
    Unassigned,
}

impl SystemGroup {
    /// All system groups.
    pub const ALL: [SystemGroup; 2] = [SystemGroup::AllParticipants, SystemGroup::Unassigned];

    /// The kind as written, which is also the name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SystemGroup::AllParticipants => "all_participants",
            SystemGroup::Unassigned => "unassigned",
        }
    }

    /// Identifier of the group in an organization: derived from the organization's, without a look-up.
    #[must_use]
    pub fn id(self, organization: OrganizationId) -> GroupId {
        GroupId(Uuid::new_v5(&organization.0, self.name().as_bytes()))
    }

    /// The system group of the organization with this identifier, if any.
    #[must_use]
    pub fn of(group: GroupId, organization: OrganizationId) -> Option<Self> {
        SystemGroup::ALL.into_iter().find(|system| system.id(organization) == group)
    }
}

/// Life cycle of a node.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    /// Never created.
    #[default]
    Absent,
    /// A node of the tree.
    Present(Box<Node>),
}

/// State of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// The group.
    pub id: GroupId,
    /// The organization of its tree; never changes.
    pub organization_id: OrganizationId,
    /// Display name, unique among its siblings, case-insensitive.
    pub name: String,
    /// People that the group accepts.
    pub kind: GroupKind,
    /// Whether the node contains nodes or people.
    pub node_type: NodeType,
    /// Tags for filtering.
    pub tags: BTreeSet<String>,
    /// The parent division; absent at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<GroupId>,
}

/// Commands of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupCommand {
    /// Creates the node at the top of its organization's tree.
    Create {
        /// Identifier of the node; not that of a system group.
        id: GroupId,
        /// The organization.
        organization_id: OrganizationId,
        /// Display name.
        name: String,
        /// People that the group accepts.
        kind: GroupKind,
        /// Kind of content.
        node_type: NodeType,
        /// Tags for filtering.
        tags: BTreeSet<String>,
    },
    /// Changes the given members, all of them or none.
    Amend {
        /// The new name.
        name: Option<String>,
        /// The new tags.
        tags: Option<BTreeSet<String>>,
    },
    /// Records a replacement of the leaders. [`staffing`], which is committed with it, decides whether they are
    /// eligible.
    ReplaceLeaders {
        /// The present leaders.
        present: BTreeSet<UserId>,
        /// All leaders after the change.
        leaders: BTreeSet<UserId>,
    },
    /// Records the parent. [`tree::Tree`], which is committed with it, decides whether the move is allowed.
    Hang {
        /// The division; `None` for the top.
        under: Option<GroupId>,
    },
}

/// Refusals of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Group not found.
    #[error("group not found")]
    NotFound,
    /// The identifier is taken.
    #[error("group already exists")]
    AlreadyExists,
    /// The name is invalid.
    #[error("name {0}")]
    UnfitName(Problem),
    /// A tag is invalid.
    #[error("a tag {0}")]
    UnfitTag(Problem),
    /// More tags than a group may have.
    #[error("a group has {TAGS_MAX} tags at most")]
    TooManyTags,
    /// System groups cannot be changed.
    #[error("groups of the system are not changed by anybody")]
    OfTheSystem,
    /// Divisions and provider-only groups accept no individuals.
    #[error("the group takes no individuals")]
    TakesNoIndividuals,
    /// Divisions accept no members.
    #[error("a division takes no members")]
    TakesNoMembers,
    /// The new parent contains people.
    #[error("groups hang under divisions only")]
    NotADivision,
    /// The new parent belongs to another organization.
    #[error("a group stays in its organization")]
    OtherOrganization,
}

impl Refuse for GroupError {
    fn kind(&self) -> RefusalKind {
        match self {
            GroupError::NotFound => RefusalKind::NotFound,
            GroupError::UnfitName(problem) => RefusalKind::invalid("name", problem),
            GroupError::UnfitTag(_) | GroupError::TooManyTags => RefusalKind::invalid("tags", self),
            GroupError::AlreadyExists
            | GroupError::OfTheSystem
            | GroupError::TakesNoIndividuals
            | GroupError::TakesNoMembers
            | GroupError::NotADivision
            | GroupError::OtherOrganization => RefusalKind::Conflict,
        }
    }
}

impl Node {
    /// Refuses individuals where the node accepts none.
    ///
    /// # Errors
    /// `TakesNoIndividuals`.
    pub fn check_takes_individuals(&self) -> Result<(), GroupError> {
        match (self.kind, self.node_type) {
            (GroupKind::Regular, NodeType::Group) => Ok(()),
            (GroupKind::ProviderOnly, _) | (_, NodeType::Division) => Err(GroupError::TakesNoIndividuals),
        }
    }

    /// Refuses a post that the node does not have.
    ///
    /// # Errors
    /// `TakesNoMembers`.
    pub fn check_has(&self, post: Post) -> Result<(), GroupError> {
        match (post, self.node_type) {
            (Post::Leader, _) | (Post::Member, NodeType::Group) => Ok(()),
            (Post::Member, NodeType::Division) => Err(GroupError::TakesNoMembers),
        }
    }

    /// Checks that the node may be the parent of a node of an organization.
    ///
    /// # Errors
    /// `OtherOrganization`, `NotADivision`.
    pub fn check_holds_nodes_of(&self, organization: OrganizationId) -> Result<(), GroupError> {
        if self.organization_id != organization {
            return Err(GroupError::OtherOrganization);
        }
        if self.node_type == NodeType::Division { Ok(()) } else { Err(GroupError::NotADivision) }
    }
}

impl Decide for Group {
    fn creates(command: &GroupCommand) -> bool {
        matches!(command, GroupCommand::Create { .. })
    }

    fn decide(&self, command: GroupCommand) -> Result<Vec<GroupEvent>, GroupError> {
        match (self, command) {
            (Group::Absent, GroupCommand::Create { id, organization_id, name, kind, node_type, tags }) => {
                let (name, tags) = (fit_name(&name)?, fit_tags(tags)?);
                let node = Node { id, organization_id, name, kind, node_type, tags, parent: None };
                Ok(vec![GroupEvent::Created(Box::new(node))])
            }
            (Group::Present(_), GroupCommand::Create { .. }) => Err(GroupError::AlreadyExists),
            (
                Group::Absent,
                GroupCommand::Amend { .. } | GroupCommand::ReplaceLeaders { .. } | GroupCommand::Hang { .. },
            ) => Err(GroupError::NotFound),
            (Group::Present(node), GroupCommand::Amend { name, tags }) => amend(node, name, tags),
            (Group::Present(_), GroupCommand::ReplaceLeaders { present, leaders }) if present == leaders => Ok(vec![]),
            (Group::Present(_), GroupCommand::ReplaceLeaders { leaders, .. }) => {
                Ok(vec![GroupEvent::LeadersReplaced { leaders }])
            }
            (Group::Present(node), GroupCommand::Hang { under }) if under == node.parent => Ok(vec![]),
            (Group::Present(node), GroupCommand::Hang { under }) => Ok(vec![GroupEvent::Moved {
                organization_id: node.organization_id,
                name: node.name.clone(),
                from: node.parent,
                to: under,
            }]),
        }
    }
}

fn amend(node: &Node, name: Option<String>, tags: Option<BTreeSet<String>>) -> Result<Vec<GroupEvent>, GroupError> {
    let mut events = Vec::new();
    if let Some(name) = name.map(|name| fit_name(&name)).transpose()?
        && name != node.name
    {
        events.push(GroupEvent::Renamed {
            organization_id: node.organization_id,
            parent: node.parent,
            from: node.name.clone(),
            to: name,
        });
    }
    if let Some(tags) = tags.map(fit_tags).transpose()?
        && tags != node.tags
    {
        events.push(GroupEvent::Tagged { tags });
    }
    Ok(events)
}

fn fit_name(name: &str) -> Result<String, GroupError> {
    trimmed_name(name, NAME_LENGTH_MAX).map_err(GroupError::UnfitName)
}

fn fit_tags(tags: BTreeSet<String>) -> Result<BTreeSet<String>, GroupError> {
    if tags.len() > TAGS_MAX {
        return Err(GroupError::TooManyTags);
    }
    tags.iter().map(|tag| trimmed_name(tag, TAG_LENGTH_MAX).map_err(GroupError::UnfitTag)).collect()
}

impl Group {
    /// The node, unless absent.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        match self {
            Group::Present(node) => Some(node),
            Group::Absent => None,
        }
    }

    fn evolve(&mut self, event: GroupEvent) {
        match (self, event) {
            (group, GroupEvent::Created(node)) => *group = Group::Present(node),
            (Group::Present(node), GroupEvent::Renamed { to, .. }) => node.name = to,
            (Group::Present(node), GroupEvent::Tagged { tags }) => node.tags = tags,
            (Group::Present(node), GroupEvent::Moved { to, .. }) => node.parent = to,
            // Leaders follow from the users' posts.
            (Group::Present(_), GroupEvent::LeadersReplaced { .. }) => {}
            // Only a creation can be the first event; recorded events are never refused.
            (Group::Absent, _) => {}
        }
    }
}

aggregate!(Group, "individual-group", GroupCommand, GroupEvent, GroupError);
