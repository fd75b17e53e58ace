//! Groups of individuals: the tree of nodes that an organization has, and who stands where in it.
//!
//! What may change at the same time stands in streams of its own. A [`Group`] is what a node is called. [`tree::Tree`] is
//! how the nodes of one organization hang together, so that moves come one after the other and none makes a cycle.
//! Who is in a group is told by the people: a [`placement::Placement`] is one individual's, a [`staffing::Staffing`] one
//! user's in one organization. Adding to a group of many thousands is thus no different from adding to an empty one, and
//! those who add different people to it do not meet.

mod event;
pub mod placement;
pub mod staffing;
#[cfg(test)]
mod tests;
pub mod tree;

pub use event::GroupEvent;

use crate::refusal::{RefusalKind, Refuse};
use crate::values::{GroupId, OrganizationId, Problem, UserId, check_name};
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

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NodeType {
    /// It holds nodes.
    Division,
    /// It holds people.
    Group,
}

/// Whom a group takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// Individuals, and users who work with them.
    Regular,
    /// Users who work with individuals, and no individuals.
    ProviderOnly,
}

/// A group that every organization has from its start. Nobody makes, changes or fills it; its individuals follow from
/// [`placement::Placement`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemGroup {
    /// Every individual of the organization.
    AllParticipants,
    /// Every individual that is in no regular group.
    Unassigned,
}

impl SystemGroup {
    /// Both.
    pub const ALL: [SystemGroup; 2] = [SystemGroup::AllParticipants, SystemGroup::Unassigned];

    /// Its kind as it is written, which is its name too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SystemGroup::AllParticipants => "all_participants",
            SystemGroup::Unassigned => "unassigned",
        }
    }

    /// Its identifier in an organization: follows from the organization's, so that nobody has to look it up.
    #[must_use]
    pub fn id(self, organization: OrganizationId) -> GroupId {
        GroupId(Uuid::new_v5(&organization.0, self.name().as_bytes()))
    }

    /// Which system group of the organization has this identifier, if one has.
    #[must_use]
    pub fn of(group: GroupId, organization: OrganizationId) -> Option<Self> {
        SystemGroup::ALL.into_iter().find(|system| system.id(organization) == group)
    }
}

/// A node's life.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    /// Never created.
    #[default]
    Absent,
    /// A node of the tree.
    Present(Box<Node>),
}

/// What is known of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// The group.
    pub id: GroupId,
    /// The organization whose tree it is in; never another one.
    pub organization_id: OrganizationId,
    /// Name for people, unique among its siblings whatever the letter case.
    pub name: String,
    /// People that the group takes in.
    pub kind: GroupKind,
    /// Whether the group holds other nodes or people.
    pub node_type: NodeType,
    /// Marks to find it by.
    pub tags: BTreeSet<String>,
    /// The division that it hangs under; none at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<GroupId>,
}

/// What can be asked of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupCommand {
    /// Creates it at the top of its organization's tree.
    Create {
        /// Its identifier; none of a system group.
        id: GroupId,
        /// The organization.
        organization_id: OrganizationId,
        /// Its name.
        name: String,
        /// Whom it takes in.
        kind: GroupKind,
        /// What it is for.
        node_type: NodeType,
        /// Marks.
        tags: BTreeSet<String>,
    },
    /// Changes what is given, all of it or nothing.
    Amend {
        /// Another name.
        name: Option<String>,
        /// Other marks.
        tags: Option<BTreeSet<String>>,
    },
    /// Notes that others lead it. Whether they may is for [`staffing`] to say, with which it is committed.
    ReplaceLeaders {
        /// Those who lead it by now.
        present: BTreeSet<UserId>,
        /// Exactly those who are to lead it.
        leaders: BTreeSet<UserId>,
    },
    /// Notes where it hangs. Whether it may is for [`tree::Tree`] to say, with which it is committed.
    Hang {
        /// The division; none for the top.
        under: Option<GroupId>,
    },
}

/// Why a node refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// There is no such group.
    #[error("group not found")]
    NotFound,
    /// The identifier is taken.
    #[error("group already exists")]
    AlreadyExists,
    /// The name cannot be used.
    #[error("name {0}")]
    UnfitName(Problem),
    /// A tag cannot be used.
    #[error("a tag {0}")]
    UnfitTag(Problem),
    /// More tags than a group may have.
    #[error("a group has {TAGS_MAX} tags at most")]
    TooManyTags,
    /// It is one of the system's.
    #[error("groups of the system are not changed by anybody")]
    OfTheSystem,
    /// It is a division, or one for providers only.
    #[error("the group takes no individuals")]
    TakesNoIndividuals,
    /// It is a division.
    #[error("a division takes no members")]
    TakesNoMembers,
    /// What it is to hang under holds people.
    #[error("groups hang under divisions only")]
    NotADivision,
    /// What it is to hang under belongs to another organization.
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
    /// Refuses individuals if it takes none.
    ///
    /// # Errors
    /// `TakesNoIndividuals`.
    pub fn check_takes_individuals(&self) -> Result<(), GroupError> {
        match (self.kind, self.node_type) {
            (GroupKind::Regular, NodeType::Group) => Ok(()),
            (GroupKind::ProviderOnly, _) | (_, NodeType::Division) => Err(GroupError::TakesNoIndividuals),
        }
    }

    /// Refuses users in a post that it does not have.
    ///
    /// # Errors
    /// `TakesNoMembers`.
    pub fn check_has(&self, post: Post) -> Result<(), GroupError> {
        match (post, self.node_type) {
            (Post::Leader, _) | (Post::Member, NodeType::Group) => Ok(()),
            (Post::Member, NodeType::Division) => Err(GroupError::TakesNoMembers),
        }
    }

    /// Refuses to have a node of an organization hang under it, unless it may.
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
    fit(name, NAME_LENGTH_MAX).map_err(GroupError::UnfitName)
}

fn fit_tags(tags: BTreeSet<String>) -> Result<BTreeSet<String>, GroupError> {
    if tags.len() > TAGS_MAX {
        return Err(GroupError::TooManyTags);
    }
    tags.iter().map(|tag| fit(tag, TAG_LENGTH_MAX).map_err(GroupError::UnfitTag)).collect()
}

fn fit(text: &str, max: usize) -> Result<String, Problem> {
    let text = text.trim();
    check_name(text)?;
    if text.chars().count() > max { Err(Problem::TooLong { max }) } else { Ok(text.to_owned()) }
}

impl Group {
    /// The node, while there is one.
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
            // Leaders are told by the users' posts.
            (Group::Present(_), GroupEvent::LeadersReplaced { .. }) => {}
            // Nothing but a creation can come first; what happened, happened.
            (Group::Absent, _) => {}
        }
    }
}

aggregate!(Group, "individual-group", GroupCommand, GroupEvent, GroupError);
