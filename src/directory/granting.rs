//! The granter's right in processes of memberships, and the posts that go with roles.

use super::membership::profile;
use super::{Step, lift, refused};
use crate::executor::Together;
use registrar_aggregates::granting::{Grant, Granter};
use registrar_aggregates::group::staffing::{self, CARRYING, Staffing, StaffingCommand, keeps_posts};
use registrar_aggregates::user::Role;
use registrar_aggregates::values::{OrganizationId, UserId};

/// Refuses what the granter may not give. The home is the user's before anything is given.
pub(super) async fn check_granter(
    together: &mut Together<'_>,
    granter: &Granter,
    grant: Grant,
    user: UserId,
) -> Step<()> {
    let home = profile(together, user).await?.home();
    granter.check(grant, user, home).or_else(refused)
}

/// Ends posts from before posts needed a role, so that none comes into force by a role that is given later.
pub(super) async fn end_posts_not_in_force(
    together: &mut Together<'_>,
    user: UserId,
    organization: OrganizationId,
    role: Role,
) -> Step<()> {
    if CARRYING.contains(&role) && !keeps_posts(&profile(together, user).await?, organization) {
        end_posts(together, user, organization).await?;
    }
    Ok(())
}

/// Ends every post of a user in an organization.
pub(super) async fn end_posts(together: &mut Together<'_>, user: UserId, organization: OrganizationId) -> Step<()> {
    let posts = staffing::stream(organization, user);
    together.execute::<Staffing>(&posts, StaffingCommand::RelieveOfAll).await.map_err(lift)?;
    Ok(())
}
