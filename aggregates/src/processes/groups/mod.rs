//! Groups with the people in them: each process changes the group and all affected people in one commit.

#[cfg(test)]
mod tests;

use super::organizations::{check_takes_additions, exists};
use super::{MissingStream, Step, Stop, Streams, check_version, refused};
use crate::group::placement::{self, Placement, PlacementCommand};
use crate::group::staffing::{self, Post, Staffing, StaffingCommand, StaffingError};
use crate::group::{Group, GroupCommand, GroupError, GroupKind, Node, NodeType, SystemGroup};
use crate::user::User;
use crate::values::{GroupId, IndividualId, OrganizationId, UserId};
use std::collections::BTreeSet;

/// A group with its organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRef {
    /// The organization.
    pub organization: OrganizationId,
    /// The group.
    pub id: GroupId,
}

/// A new group with its first people.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// The group and its organization.
    pub group: GroupRef,
    /// Display name.
    pub name: String,
    /// People that the group accepts.
    pub kind: GroupKind,
    /// Kind of content.
    pub node_type: NodeType,
    /// Tags for filtering.
    pub tags: BTreeSet<String>,
    /// Individuals of the organization.
    pub individuals: BTreeSet<IndividualId>,
    /// Enabled providers and admins of the organization.
    pub leaders: BTreeSet<UserId>,
}

/// Changes of a group. Absent members stay as they are.
#[derive(Debug, Clone, Default)]
pub struct Amendment {
    /// The new name.
    pub name: Option<String>,
    /// The new tags.
    pub tags: Option<BTreeSet<String>>,
    /// All leaders after the change.
    pub leaders: Option<BTreeSet<UserId>>,
}

/// Creates a group at the top of its organization's tree.
///
/// # Errors
/// Refusals of an organization that takes no additions, of the group, and of its first people.
pub fn create(streams: &mut Streams, new: &NewGroup) -> Step<()> {
    check_takes_additions(streams, new.group.organization)?;
    let command = GroupCommand::Create {
        id: new.group.id,
        organization_id: new.group.organization,
        name: new.name.clone(),
        kind: new.kind,
        node_type: new.node_type,
        tags: new.tags.clone(),
    };
    streams.execute::<Group>(new.group.id, command)?;
    if !new.individuals.is_empty() {
        add_individuals(streams, new.group, &new.individuals, None)?;
    }
    appoint(streams, new.group, Post::Leader, &new.leaders, None)
}

/// Changes a group, whose present leaders are `present`. Present leaders need not be eligible to stay.
///
/// Two replacements of leaders both change the group itself, which serialises them: `present` must have been looked up
/// after the group was loaded.
///
/// # Errors
/// Refusals of the group and of new leaders; `OtherVersion` where the group is not at the `expected` version.
pub fn amend(
    streams: &mut Streams,
    group: GroupRef,
    amendment: &Amendment,
    present: &BTreeSet<UserId>,
    expected: Option<u64>,
) -> Step<()> {
    check_changeable(streams, group)?;
    check_version::<Group>(streams, group.id, expected)?;
    let command = GroupCommand::Amend { name: amendment.name.clone(), tags: amendment.tags.clone() };
    streams.execute::<Group>(group.id, command)?;
    let Some(leaders) = &amendment.leaders else { return Ok(()) };
    let command = GroupCommand::ReplaceLeaders { present: present.clone(), leaders: leaders.clone() };
    streams.execute::<Group>(group.id, command)?;
    relieve(streams, group, Post::Leader, &(present - leaders))?;
    appoint(streams, group, Post::Leader, &(leaders - present), None)
}

/// Adds individuals of the organization to a group, and removes them from another one in the same commit.
///
/// # Errors
/// `OfTheSystem`, also of the group that they leave; `Retired`, `TakesNoIndividuals`, `NotEnrolled`, `TooManyGroups`.
pub fn add_individuals(
    streams: &mut Streams,
    group: GroupRef,
    individuals: &BTreeSet<IndividualId>,
    instead_of: Option<GroupId>,
) -> Step<()> {
    check_changeable(streams, group)?.check_takes_individuals()?;
    check_takes_additions(streams, group.organization)?;
    check_left(streams, group, instead_of)?;
    place(streams, group, individuals, &PlacementCommand::Join { group: group.id, instead_of })
}

/// Removes individuals from a group; those not in it are skipped, all of them where a group accepts none.
///
/// # Errors
/// `OfTheSystem`.
pub fn remove_individuals(streams: &mut Streams, group: GroupRef, individuals: &BTreeSet<IndividualId>) -> Step<()> {
    check_changeable(streams, group)?;
    place(streams, group, individuals, &PlacementCommand::Leave { group: group.id })
}

/// Gives users a post in a group, and ends the same post in another one in the same commit.
///
/// # Errors
/// `OfTheSystem`, also of the group where the post ends; `Retired`, `TakesNoMembers`, `NotEligible`, `TooManyPlaces`.
pub fn appoint(
    streams: &mut Streams,
    group: GroupRef,
    post: Post,
    users: &BTreeSet<UserId>,
    instead_of: Option<GroupId>,
) -> Step<()> {
    check_changeable(streams, group)?.check_has(post)?;
    if !users.is_empty() {
        check_takes_additions(streams, group.organization)?;
    }
    check_left(streams, group, instead_of)?;
    let posts = |user: &UserId| staffing::stream(group.organization, *user);
    streams.prefetch(
        users.iter().flat_map(|user| [MissingStream::of::<User>(user), MissingStream::of::<Staffing>(posts(user))]),
    )?;
    for user in users {
        match streams.state::<User>(user)?.profile() {
            Some(profile) => staffing::check_eligible(profile, group.organization)?,
            None => return refused(StaffingError::NotEligible),
        }
        let command = StaffingCommand::Appoint {
            organization_id: group.organization,
            user_id: *user,
            post,
            group: group.id,
            instead_of,
        };
        streams.execute::<Staffing>(posts(user), command)?;
    }
    Ok(())
}

/// Ends the post of users in a group; users without the post are skipped, all of them where a group has no such post.
///
/// # Errors
/// `OfTheSystem`.
pub fn relieve(streams: &mut Streams, group: GroupRef, post: Post, users: &BTreeSet<UserId>) -> Step<()> {
    check_changeable(streams, group)?;
    let posts = |user: &UserId| staffing::stream(group.organization, *user);
    streams.prefetch(users.iter().map(|user| MissingStream::of::<Staffing>(posts(user))))?;
    for user in users {
        streams.execute::<Staffing>(posts(user), StaffingCommand::Relieve { post, group: group.id })?;
    }
    Ok(())
}

/// Refuses a change of a system group. Groups of a deleted organization are unknown.
pub(super) fn check_changeable(streams: &mut Streams, group: GroupRef) -> Step<&Node> {
    if SystemGroup::of(group.id, group.organization).is_some() {
        return refused(GroupError::OfTheSystem);
    }
    if !exists(streams, group.organization)? {
        return refused(GroupError::NotFound);
    }
    streams.state::<Group>(group.id)?.node().ok_or(Stop::Refused(GroupError::NotFound.into()))
}

/// Checks the group that people leave for another one of the same organization.
fn check_left(streams: &mut Streams, group: GroupRef, instead_of: Option<GroupId>) -> Step<()> {
    if let Some(id) = instead_of {
        check_changeable(streams, GroupRef { id, ..group })?;
    }
    Ok(())
}

fn place(
    streams: &mut Streams,
    group: GroupRef,
    individuals: &BTreeSet<IndividualId>,
    command: &PlacementCommand,
) -> Step<()> {
    let places = |individual: &IndividualId| placement::stream(group.organization, *individual);
    streams.prefetch(individuals.iter().map(|individual| MissingStream::of::<Placement>(places(individual))))?;
    for individual in individuals {
        streams.execute::<Placement>(places(individual), command.clone())?;
    }
    Ok(())
}
