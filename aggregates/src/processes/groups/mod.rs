//! Groups with the people in them: each act changes the group and everybody who comes or leaves in one commit.

#[cfg(test)]
mod tests;

use super::organizations::{check_takes_additions, exists};
use super::{Step, Stop, Streams, Unloaded, check_version, refused};
use crate::group::placement::{self, Placement, PlacementCommand};
use crate::group::staffing::{self, Post, Staffing, StaffingCommand, StaffingError};
use crate::group::{Group, GroupCommand, GroupError, GroupKind, Node, NodeType, SystemGroup};
use crate::user::User;
use crate::values::{GroupId, IndividualId, OrganizationId, UserId};
use std::collections::BTreeSet;

/// A group, and the organization whose tree it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRef {
    /// The organization.
    pub organization: OrganizationId,
    /// The group.
    pub id: GroupId,
}

/// A group that is to be, with those who stand in it from the start.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// The group, and where it belongs.
    pub group: GroupRef,
    /// Its name.
    pub name: String,
    /// Whom it takes in.
    pub kind: GroupKind,
    /// What it is for.
    pub node_type: NodeType,
    /// Marks to find it by.
    pub tags: BTreeSet<String>,
    /// Individuals of the organization.
    pub individuals: BTreeSet<IndividualId>,
    /// Enabled providers and admins of the organization.
    pub leaders: BTreeSet<UserId>,
}

/// Changes of a group. What is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Amendment {
    /// Another name.
    pub name: Option<String>,
    /// Other tags.
    pub tags: Option<BTreeSet<String>>,
    /// Exactly those who lead it from now on.
    pub leaders: Option<BTreeSet<UserId>>,
}

/// Creates a group at the top of its organization's tree.
///
/// # Errors
/// Refusals of an organization that takes no additions, of the group, and of those who are to stand in it.
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

/// Changes a group, which `present` users lead by now. Those who lead it already need not be eligible to go on.
///
/// Two replacements of leaders both change the group itself, so that one comes after the other: `present` must have
/// been asked for after the group was loaded.
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

/// Puts individuals of the organization into a group, and takes them out of another one in the same moment.
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

/// Takes individuals out of a group; those who are not in it are passed over, all of them where a group takes none.
///
/// # Errors
/// `OfTheSystem`.
pub fn remove_individuals(streams: &mut Streams, group: GroupRef, individuals: &BTreeSet<IndividualId>) -> Step<()> {
    check_changeable(streams, group)?;
    place(streams, group, individuals, &PlacementCommand::Leave { group: group.id })
}

/// Gives users a post in a group, and takes the same post in another one away in the same moment.
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
    streams
        .prefetch(users.iter().flat_map(|user| [Unloaded::of::<User>(user), Unloaded::of::<Staffing>(posts(user))]))?;
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

/// Takes the post of users in a group away; those who do not have it are passed over, all of them where a group has no
/// such post.
///
/// # Errors
/// `OfTheSystem`.
pub fn relieve(streams: &mut Streams, group: GroupRef, post: Post, users: &BTreeSet<UserId>) -> Step<()> {
    check_changeable(streams, group)?;
    let posts = |user: &UserId| staffing::stream(group.organization, *user);
    streams.prefetch(users.iter().map(|user| Unloaded::of::<Staffing>(posts(user))))?;
    for user in users {
        streams.execute::<Staffing>(posts(user), StaffingCommand::Relieve { post, group: group.id })?;
    }
    Ok(())
}

/// Refuses to change a group of the system. Groups of an organization that was deleted are unknown.
pub(super) fn check_changeable(streams: &mut Streams, group: GroupRef) -> Step<&Node> {
    if SystemGroup::of(group.id, group.organization).is_some() {
        return refused(GroupError::OfTheSystem);
    }
    if !exists(streams, group.organization)? {
        return refused(GroupError::NotFound);
    }
    streams.state::<Group>(group.id)?.node().ok_or(Stop::Refused(GroupError::NotFound.into()))
}

/// Looks at the group that people leave for another one of the same organization.
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
    streams.prefetch(individuals.iter().map(|individual| Unloaded::of::<Placement>(places(individual))))?;
    for individual in individuals {
        streams.execute::<Placement>(places(individual), command.clone())?;
    }
    Ok(())
}
