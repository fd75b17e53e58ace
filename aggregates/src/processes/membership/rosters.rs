//! The rosters of enabled admins, kept consistent with roles and states of users.

use crate::processes::organizations::exists;
use crate::processes::{Step, Streams};
use crate::user::roster::{self, Roster, RosterCommand};
use crate::user::{Profile, Role, SystemRole};
use crate::values::{OrganizationId, UserId};

/// Adds an enabled admin of an organization, or of the system.
pub(super) fn join_roster(streams: &mut Streams, organization: Option<OrganizationId>, user: UserId) -> Step<()> {
    on_roster(streams, organization, RosterCommand::Add(user))
}

/// Removes a user who is no longer an enabled admin.
///
/// # Errors
/// `LastAdmin`.
pub(super) fn leave_roster(streams: &mut Streams, organization: Option<OrganizationId>, user: UserId) -> Step<()> {
    on_roster(streams, organization, RosterCommand::Remove(user))
}

/// Adds a newly enabled user to every roster; `before` is the profile before the change.
pub(super) fn join_rosters(streams: &mut Streams, before: &Profile) -> Step<()> {
    if before.state.is_enabled() {
        return Ok(());
    }
    rosters(before).try_for_each(|roster| join_roster(streams, roster, before.id))
}

/// Removes a user who is no longer enabled from every roster; `before` is the profile before the change.
///
/// # Errors
/// `LastAdmin`.
pub(super) fn leave_rosters(streams: &mut Streams, before: &Profile) -> Step<()> {
    if !before.state.is_enabled() {
        return Ok(());
    }
    rosters(before).try_for_each(|roster| leave_roster(streams, roster, before.id))
}

fn on_roster(streams: &mut Streams, organization: Option<OrganizationId>, command: RosterCommand) -> Step<()> {
    // A deleted organization needs no admin.
    if let Some(organization) = organization
        && !exists(streams, organization)?
    {
        return Ok(());
    }
    streams.execute::<Roster>(roster::stream(organization), command)?;
    Ok(())
}

/// The rosters of an enabled user.
fn rosters(profile: &Profile) -> impl Iterator<Item = Option<OrganizationId>> {
    let organizations = profile.memberships.iter().filter(|(_, membership)| membership.roles.contains(&Role::Admin));
    let system = profile.system_roles.contains(&SystemRole::Admin).then_some(None);
    organizations.map(|(organization, _)| Some(*organization)).chain(system)
}
