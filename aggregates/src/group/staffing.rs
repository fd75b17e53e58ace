//! Posts of one user in the groups of one organization: as leader or member.
//!
//! The stream is `<organization>/<user>`. A post needs a role that [works](carries_posts) in the organization. The
//! process that appoints checks this with [`check_eligible`]; the process that revokes the last such role, ends the
//! membership or archives the user ends all posts here.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::user::{Membership, Profile, Role};
use crate::values::{GroupId, OrganizationId, UserId};
use crate::{Decide, decide::aggregate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most posts of one user in the groups of one organization, per kind.
pub const PLACES_MAX: usize = 1_000;

/// Post of a user in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Post {
    /// Manages the group and its subtree.
    Leader,
    /// Works with the people in the group.
    Member,
}

/// The posts of one user in one organization.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Staffing {
    /// Groups and divisions that the user leads.
    pub leads: BTreeSet<GroupId>,
    /// Groups that the user works in.
    pub works_in: BTreeSet<GroupId>,
}

/// Commands of a staffing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaffingCommand {
    /// Gives the user a post, and ends the same post in another group in the same commit.
    Appoint {
        /// The organization.
        organization_id: OrganizationId,
        /// The user.
        user_id: UserId,
        /// The post.
        post: Post,
        /// The group; a division for leaders only.
        group: GroupId,
        /// Group where the post ends.
        instead_of: Option<GroupId>,
    },
    /// Ends a post.
    Relieve {
        /// The post.
        post: Post,
        /// The group.
        group: GroupId,
    },
    /// Ends all posts.
    RelieveOfAll,
}

/// Events of the posts of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum StaffingEvent {
    /// A user got a post in a group.
    #[serde(rename = "group-staffing.appointed")]
    Appointed {
        /// The organization.
        organization_id: OrganizationId,
        /// The user.
        user_id: UserId,
        /// The post.
        post: Post,
        /// The group.
        group: GroupId,
    },
    /// A user lost a post in a group.
    #[serde(rename = "group-staffing.relieved")]
    Relieved {
        /// The post.
        post: Post,
        /// The group.
        group: GroupId,
    },
}

event_names!(StaffingEvent {
    Appointed => "group-staffing.appointed" @ "1.0" Update, clear ["/organizationId", "/userId", "/post", "/group"];
    Relieved => "group-staffing.relieved" @ "1.0" Withdraw, clear ["/post", "/group"];
});

impl EventFacts for StaffingEvent {}

/// Refusals of a staffing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StaffingError {
    /// More posts than one user may have.
    #[error("a user has {PLACES_MAX} places of a kind in the groups of an organization at most")]
    TooManyPlaces,
    /// The user does not work in the organization: no member, disabled, or neither provider nor admin.
    #[error("the user is no enabled provider or admin of the organization")]
    NotEligible,
}

impl Refuse for StaffingError {
    fn kind(&self) -> RefusalKind {
        match self {
            StaffingError::TooManyPlaces | StaffingError::NotEligible => RefusalKind::Conflict,
        }
    }
}

/// Roles that qualify for posts: one of them is enough.
pub const CARRYING: [Role; 2] = [Role::Provider, Role::Admin];

/// Whether a membership has a role that qualifies for posts.
#[must_use]
pub fn carries_posts(membership: &Membership) -> bool {
    CARRYING.iter().any(|role| membership.roles.contains(role))
}

/// Whether a user may keep posts in an organization. Disabled users keep them.
#[must_use]
pub fn keeps_posts(user: &Profile, organization: OrganizationId) -> bool {
    user.memberships.get(&organization).is_some_and(carries_posts)
}

/// Refuses posts in an organization to a user who is not an enabled provider or admin of it.
///
/// # Errors
/// `NotEligible`.
pub fn check_eligible(user: &Profile, organization: OrganizationId) -> Result<(), StaffingError> {
    let eligible = user.state.is_enabled() && keeps_posts(user, organization);
    if eligible { Ok(()) } else { Err(StaffingError::NotEligible) }
}

/// The stream of a user in an organization.
#[must_use]
pub fn stream(organization: OrganizationId, user: UserId) -> String {
    format!("{organization}/{user}")
}

impl Staffing {
    /// The groups in which the user has a post.
    #[must_use]
    pub fn groups(&self, post: Post) -> &BTreeSet<GroupId> {
        match post {
            Post::Leader => &self.leads,
            Post::Member => &self.works_in,
        }
    }

    fn groups_mut(&mut self, post: Post) -> &mut BTreeSet<GroupId> {
        match post {
            Post::Leader => &mut self.leads,
            Post::Member => &mut self.works_in,
        }
    }

    fn evolve(&mut self, event: StaffingEvent) {
        match event {
            StaffingEvent::Appointed { post, group, .. } => self.groups_mut(post).insert(group),
            StaffingEvent::Relieved { post, group } => self.groups_mut(post).remove(&group),
        };
    }
}

impl Decide for Staffing {
    fn decide(&self, command: StaffingCommand) -> Result<Vec<StaffingEvent>, StaffingError> {
        match command {
            StaffingCommand::Appoint { organization_id, user_id, post, group, instead_of } => {
                let groups = self.groups(post);
                let relieved = instead_of.filter(|left| *left != group && groups.contains(left));
                let mut events = Vec::new();
                if !groups.contains(&group) {
                    if groups.len() - usize::from(relieved.is_some()) >= PLACES_MAX {
                        return Err(StaffingError::TooManyPlaces);
                    }
                    events.push(StaffingEvent::Appointed { organization_id, user_id, post, group });
                }
                events.extend(relieved.map(|group| StaffingEvent::Relieved { post, group }));
                Ok(events)
            }
            StaffingCommand::Relieve { post, group } if self.groups(post).contains(&group) => {
                Ok(vec![StaffingEvent::Relieved { post, group }])
            }
            StaffingCommand::Relieve { .. } => Ok(vec![]),
            StaffingCommand::RelieveOfAll => {
                let all = [Post::Leader, Post::Member].into_iter().flat_map(|post| {
                    self.groups(post).iter().map(move |group| StaffingEvent::Relieved { post, group: *group })
                });
                Ok(all.collect())
            }
        }
    }
}

aggregate!(Staffing, "group-staffing", StaffingCommand, StaffingEvent, StaffingError);
