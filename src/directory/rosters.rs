//! The rosters of enabled admins, which processes keep together with roles and states of users.

use super::standing::exists;
use super::{Step, lift};
use crate::executor::Together;
use registrar_aggregates::user::roster::{self, Roster, RosterCommand};
use registrar_aggregates::user::{Profile, Role, SystemRole};
use registrar_aggregates::values::OrganizationId;

/// Changes the roster of an organization, or of the system.
///
/// # Errors
/// `LastAdmin`.
pub(super) async fn on_roster(
    together: &mut Together<'_>,
    organization: Option<OrganizationId>,
    command: RosterCommand,
) -> Step<()> {
    // An organization that was deleted needs no admin.
    if let Some(organization) = organization
        && !exists(together, organization).await?
    {
        return Ok(());
    }
    together.execute::<Roster>(&roster::stream(organization), command).await.map_err(lift)?;
    Ok(())
}

/// The rosters that an enabled user stands on.
pub(super) fn rosters(profile: &Profile) -> Vec<Option<OrganizationId>> {
    let organizations = profile.memberships.iter().filter(|(_, membership)| membership.roles.contains(&Role::Admin));
    let system = profile.system_roles.contains(&SystemRole::Admin).then_some(None);
    organizations.map(|(organization, _)| Some(*organization)).chain(system).collect()
}
