//! Acts on memberships, roles and the life of users; see [`registrar_aggregates::processes::membership`].

pub use registrar_aggregates::processes::membership::Part;

use super::accounts::at_home;
use super::{Done, commit};
use crate::executor::RequestContext;
use crate::node::Node;
use registrar_aggregates::granting::Granter;
use registrar_aggregates::individual::Owner;
use registrar_aggregates::processes::membership as rules;
use registrar_aggregates::user::{Creation, Role, SystemRole};
use registrar_aggregates::values::{IndividualId, OrganizationId, UserId};
use uuid::Uuid;

/// Creates a user with its part, whose organization is the home of the account.
///
/// # Errors
/// Refusals of the user; `ClaimTaken` for a contact of another account.
pub async fn create(node: &Node, context: &RequestContext, creation: Creation, part: Option<Part>) -> Done {
    create_as(node, context, creation, part, IndividualId(Uuid::now_v7())).await
}

/// The same, with this individual if its part asks for one.
///
/// # Errors
/// As [`create`].
pub async fn create_as(
    node: &Node,
    context: &RequestContext,
    creation: Creation,
    part: Option<Part>,
    individual: IndividualId,
) -> Done {
    commit(node, context, |streams| rules::create(streams, &creation, part, individual)).await
}

/// Makes a user a member of an organization, and gives a role there if one is named.
///
/// # Errors
/// Refusals of the granter, the user, and an organization that takes no additions.
pub async fn join(
    node: &Node,
    context: &RequestContext,
    granter: &Granter,
    user: UserId,
    organization: OrganizationId,
    role: Option<Role>,
) -> Done {
    let individual = IndividualId(Uuid::now_v7());
    let context = context.within(organization);
    commit(node, &context, |streams| rules::join(streams, granter, user, organization, role, individual)).await
}

/// Gives a member of an organization a role there.
///
/// # Errors
/// `NotAMember`, and other refusals of the granter, of the user, and of an organization that takes no additions.
pub async fn grant(
    node: &Node,
    context: &RequestContext,
    granter: &Granter,
    user: UserId,
    organization: OrganizationId,
    role: Role,
) -> Done {
    let individual = IndividualId(Uuid::now_v7());
    let context = context.within(organization);
    commit(node, &context, |streams| rules::grant(streams, granter, user, organization, role, individual)).await
}

/// Takes a role in an organization away. With the last role that posts need end the posts there.
///
/// # Errors
/// `LastAdmin`.
pub async fn revoke(
    node: &Node,
    context: &RequestContext,
    user: UserId,
    organization: OrganizationId,
    role: Role,
) -> Done {
    let context = context.within(organization);
    commit(node, &context, |streams| rules::revoke(streams, user, organization, role)).await
}

/// Gives a role in the whole system.
///
/// # Errors
/// Refusals of the granter and of the user.
pub async fn grant_system(
    node: &Node,
    context: &RequestContext,
    granter: &Granter,
    user: UserId,
    role: SystemRole,
) -> Done {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |streams| rules::grant_system(streams, granter, user, role)).await
}

/// Takes a role in the whole system away.
///
/// # Errors
/// `LastAdmin`.
pub async fn revoke_system(node: &Node, context: &RequestContext, user: UserId, role: SystemRole) -> Done {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |streams| rules::revoke_system(streams, user, role)).await
}

/// Ends a membership with its roles, the posts of the user, and the places of its individuals.
///
/// # Errors
/// `LastAdmin`; `NotAMember`.
pub async fn leave(node: &Node, context: &RequestContext, user: UserId, organization: OrganizationId) -> Done {
    let context = context.within(organization);
    commit(node, &context, |streams| rules::leave(streams, user, organization)).await
}

/// Blocks a user.
///
/// # Errors
/// `Oneself`, `Archived`, `LastAdmin`.
pub async fn disable(node: &Node, context: &RequestContext, user: UserId, by: UserId) -> Done {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |streams| rules::disable(streams, user, by)).await
}

/// Lets a user in again.
///
/// # Errors
/// `Archived`.
pub async fn enable(node: &Node, context: &RequestContext, user: UserId) -> Done {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |streams| rules::enable(streams, user)).await
}

/// Ends a user for good, and their posts in every organization.
///
/// # Errors
/// `LastAdmin`.
pub async fn archive(node: &Node, context: &RequestContext, user: UserId) -> Done {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |streams| rules::archive(streams, user)).await
}

/// Notes an individual and whose it is. One that a user owns counts as one of every organization that the user takes
/// part in, retired ones too, where it adds nothing to what the user is there.
///
/// # Errors
/// `OtherOwner`; refusals of the user or the organization that is to own it.
pub async fn record_individual(node: &Node, context: &RequestContext, individual: IndividualId, owner: Owner) -> Done {
    let context = match owner {
        Owner::Organization(organization) => context.within(organization),
        Owner::User(user) => at_home(node, context, user).await?,
    };
    commit(node, &context, |streams| rules::record_individual(streams, individual, owner)).await
}
