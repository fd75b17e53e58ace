//! Memberships and roles of users. Each change includes the roster of admins, the placements of individuals and the
//! posts of users, all in one commit.

mod granting;
mod individuals;
mod rosters;
#[cfg(test)]
mod tests;

pub use individuals::record_individual;
pub(super) use individuals::take_back;

use super::organizations::check_takes_additions;
use super::{Step, Stop, Streams, refused};
use crate::granting::{Grant, Granter};
use crate::group::placement::{self, Placement, PlacementCommand};
use crate::group::staffing::{CARRYING, keeps_posts};
use crate::individual::Owner;
use crate::user::{Creation, Home, Profile, Role, SystemRole, User, UserCommand, UserError};
use crate::values::{IndividualId, OrganizationId, UserId};
use granting::{check_granter, end_posts, end_posts_not_in_force};
use individuals::{counts_in, enroll, is_owned_by};
use rosters::{join_roster, join_rosters, leave_roster, leave_rosters};

/// The first membership or role of a new user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstGrant {
    /// A membership, with or without a role.
    Member(OrganizationId, Option<Role>),
    /// A role in the whole system.
    System(SystemRole),
    /// A role in the whole system, and a membership.
    SystemIn(OrganizationId, SystemRole),
}

impl FirstGrant {
    /// The home of an account created with the part.
    #[must_use]
    pub fn home(self) -> Home {
        match self {
            FirstGrant::Member(organization, _) | FirstGrant::SystemIn(organization, _) => Home::of(organization),
            FirstGrant::System(_) => Home::SYSTEM,
        }
    }
}

/// Creates a user with its part, whose organization is the home of the account; with `individual` if the part needs
/// one.
///
/// # Errors
/// Refusals of the user, and of an organization that takes no additions.
pub fn create(
    streams: &mut Streams,
    creation: &Creation,
    part: Option<FirstGrant>,
    individual: IndividualId,
) -> Step<()> {
    let user = creation.id;
    let home = part.map(FirstGrant::home).or(creation.home);
    streams.execute::<User>(user, UserCommand::Create(Box::new(Creation { home, ..creation.clone() })))?;
    match part {
        Some(FirstGrant::Member(organization, role)) => join_as(streams, user, organization, role, individual),
        Some(FirstGrant::System(role)) => grant_system_as(streams, user, role),
        Some(FirstGrant::SystemIn(organization, role)) => {
            join_as(streams, user, organization, None, individual)?;
            grant_system_as(streams, user, role)
        }
        None => Ok(()),
    }
}

/// Makes a user a member of an organization, with a role there if one is given; with `individual` if the role needs
/// one. Returns whether the user was no member before.
///
/// # Errors
/// Refusals of the granter, the user, and an organization that takes no additions.
pub fn join(
    streams: &mut Streams,
    granter: &Granter,
    user: UserId,
    organization: OrganizationId,
    role: Option<Role>,
    individual: IndividualId,
) -> Step<bool> {
    let is_new = !profile(streams, user)?.memberships.contains_key(&organization);
    check_granter(streams, granter, Grant::Membership(organization), user)?;
    if let Some(role) = role {
        check_granter(streams, granter, Grant::Role(organization, role), user)?;
        end_posts_not_in_force(streams, user, organization, role)?;
    }
    join_as(streams, user, organization, role, individual)?;
    Ok(is_new)
}

/// Gives a member of an organization a role there; with `individual` if the role needs one.
///
/// # Errors
/// `NotAMember`, and other refusals of the granter, of the user, and of an organization that takes no additions.
pub fn grant(
    streams: &mut Streams,
    granter: &Granter,
    user: UserId,
    organization: OrganizationId,
    role: Role,
    individual: IndividualId,
) -> Step<()> {
    check_granter(streams, granter, Grant::Role(organization, role), user)?;
    end_posts_not_in_force(streams, user, organization, role)?;
    grant_as(streams, user, organization, role, individual)
}

/// Revokes a role in an organization. Revoking the last role that qualifies for posts ends the posts there; revoking
/// the participant role ends the placements of the user's individuals.
///
/// # Errors
/// `LastAdmin`.
pub fn revoke(streams: &mut Streams, user: UserId, organization: OrganizationId, role: Role) -> Step<()> {
    let before = profile(streams, user)?.clone();
    let held = before.memberships.get(&organization).is_some_and(|membership| membership.roles.contains(&role));
    streams.execute::<User>(user, UserCommand::Revoke(organization, role))?;
    if held && CARRYING.contains(&role) && !keeps_posts(profile(streams, user)?, organization) {
        end_posts(streams, user, organization)?;
    }
    match role {
        Role::Admin if held && before.state.is_enabled() => leave_roster(streams, Some(organization), user),
        Role::Member if held => {
            for individual in before.individuals {
                if is_owned_by(streams, individual, organization)? {
                    continue;
                }
                let places = placement::stream(organization, individual);
                streams.execute::<Placement>(places, PlacementCommand::Release)?;
            }
            Ok(())
        }
        Role::Admin | Role::Provider | Role::Member => Ok(()),
    }
}

/// Gives a role in the whole system.
///
/// # Errors
/// Refusals of the granter and of the user.
pub fn grant_system(streams: &mut Streams, granter: &Granter, user: UserId, role: SystemRole) -> Step<()> {
    check_granter(streams, granter, Grant::System(role), user)?;
    grant_system_as(streams, user, role)
}

/// Revokes a role in the whole system.
///
/// # Errors
/// `LastAdmin`.
pub fn revoke_system(streams: &mut Streams, user: UserId, role: SystemRole) -> Step<()> {
    let held = profile(streams, user)?.system_roles.contains(&role);
    if held && role == SystemRole::Admin {
        leave_roster(streams, None, user)?;
    }
    streams.execute::<User>(user, UserCommand::RevokeSystem(role))?;
    Ok(())
}

/// Ends a membership with its roles, the posts of the user, and the placements of its individuals.
///
/// # Errors
/// `LastAdmin`; `NotAMember`.
pub fn leave(streams: &mut Streams, user: UserId, organization: OrganizationId) -> Step<()> {
    let Some(membership) = profile(streams, user)?.memberships.get(&organization).cloned() else {
        return refused(UserError::NotAMember);
    };
    for role in membership.roles {
        revoke(streams, user, organization, role)?;
    }
    end_posts(streams, user, organization)?;
    streams.execute::<User>(user, UserCommand::Leave(organization))?;
    Ok(())
}

/// Disables a user, and removes them from all rosters.
///
/// # Errors
/// `Oneself`, `Archived`, `LastAdmin`.
pub fn disable(streams: &mut Streams, user: UserId, by: UserId) -> Step<()> {
    let before = profile(streams, user)?.clone();
    streams.execute::<User>(user, UserCommand::Disable { by })?;
    leave_rosters(streams, &before)
}

/// Enables a user again.
///
/// # Errors
/// `Archived`.
pub fn enable(streams: &mut Streams, user: UserId) -> Step<()> {
    let before = profile(streams, user)?.clone();
    streams.execute::<User>(user, UserCommand::Enable)?;
    join_rosters(streams, &before)
}

/// Archives a user for good, and ends their posts in every organization. Individuals of organizations have no person
/// then, so that the person can be brought in again.
///
/// # Errors
/// `LastAdmin`.
pub fn archive(streams: &mut Streams, user: UserId) -> Step<()> {
    take_back(streams, user, None)?;
    let before = profile(streams, user)?.clone();
    streams.execute::<User>(user, UserCommand::Archive)?;
    leave_rosters(streams, &before)?;
    for organization in before.memberships.into_keys() {
        end_posts(streams, user, organization)?;
    }
    Ok(())
}

/// The profile of a user.
///
/// # Errors
/// `NotFound`.
pub(super) fn profile(streams: &mut Streams, user: UserId) -> Step<&Profile> {
    streams.state::<User>(user)?.profile().ok_or(Stop::Refused(UserError::NotFound.into()))
}

/// Makes a user a member of an organization with a role that was granted to them before, by an invitation that they
/// accept or that their account is made for; with `individual` if the role needs one.
///
/// # Errors
/// Refusals of the user, and of an organization that takes no additions.
pub(super) fn admit(
    streams: &mut Streams,
    user: UserId,
    organization: OrganizationId,
    role: Role,
    individual: IndividualId,
) -> Step<()> {
    end_posts_not_in_force(streams, user, organization, role)?;
    join_as(streams, user, organization, Some(role), individual)
}

fn join_as(
    streams: &mut Streams,
    user: UserId,
    organization: OrganizationId,
    role: Option<Role>,
    individual: IndividualId,
) -> Step<()> {
    check_takes_additions(streams, organization)?;
    streams.execute::<User>(user, UserCommand::Join(organization))?;
    match role {
        Some(role) => grant_as(streams, user, organization, role, individual),
        None => Ok(()),
    }
}

fn grant_as(
    streams: &mut Streams,
    user: UserId,
    organization: OrganizationId,
    role: Role,
    individual: IndividualId,
) -> Step<()> {
    check_takes_additions(streams, organization)?;
    streams.execute::<User>(user, UserCommand::Grant(organization, role))?;
    let now = profile(streams, user)?.clone();
    match role {
        Role::Admin if now.state.is_enabled() => join_roster(streams, Some(organization), user),
        Role::Admin | Role::Provider => Ok(()),
        Role::Member => {
            let mut counting = Vec::new();
            for one in now.individuals {
                if counts_in(streams, one, organization)? {
                    counting.push(one);
                }
            }
            if counting.is_empty() {
                return record_individual(streams, individual, Owner::User(user));
            }
            counting.into_iter().try_for_each(|one| enroll(streams, organization, one))
        }
    }
}

fn grant_system_as(streams: &mut Streams, user: UserId, role: SystemRole) -> Step<()> {
    streams.execute::<User>(user, UserCommand::GrantSystem(role))?;
    if role == SystemRole::Admin && profile(streams, user)?.state.is_enabled() {
        join_roster(streams, None, user)?;
    }
    Ok(())
}
