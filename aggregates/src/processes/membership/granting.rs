//! Checks of the granter in processes of memberships, and the posts that depend on roles.

use super::profile;
use crate::granting::{Grant, Granter};
use crate::group::staffing::{self, CARRYING, Staffing, StaffingCommand, keeps_posts};
use crate::processes::{Step, Streams};
use crate::user::Role;
use crate::values::{OrganizationId, UserId};

/// Refuses grants that the granter may not give. The home is that of the user before the grant.
pub(super) fn check_granter(streams: &mut Streams, granter: &Granter, grant: Grant, user: UserId) -> Step<()> {
    let home = profile(streams, user)?.home();
    Ok(granter.check(grant, user, home)?)
}

/// Ends posts older than the rule that posts need a role, so that a later role does not activate them.
pub(super) fn end_posts_not_in_force(
    streams: &mut Streams,
    user: UserId,
    organization: OrganizationId,
    role: Role,
) -> Step<()> {
    if CARRYING.contains(&role) && !keeps_posts(profile(streams, user)?, organization) {
        end_posts(streams, user, organization)?;
    }
    Ok(())
}

/// Ends every post of a user in an organization.
pub(super) fn end_posts(streams: &mut Streams, user: UserId, organization: OrganizationId) -> Step<()> {
    streams.execute::<Staffing>(staffing::stream(organization, user), StaffingCommand::RelieveOfAll)?;
    Ok(())
}
