//! Acts on memberships, roles and the life of users; see [`registrar_aggregates::processes::membership`].

pub use registrar_aggregates::processes::membership::FirstGrant;

use super::accounts::at_home;
use super::notices::notice;
use super::{ProcessResult, commit};
use crate::executor::RequestContext;
use crate::messages::Composer;
use crate::node::Node;
use registrar_aggregates::granting::Granter;
use registrar_aggregates::individual::Owner;
use registrar_aggregates::message::Kind;
use registrar_aggregates::processes::membership as rules;
use registrar_aggregates::user::{Creation, Role, SystemRole};
use registrar_aggregates::values::{IndividualId, OrganizationId, UserId};
use registrar_projections::UserDocument;
use uuid::Uuid;

/// Creates a user with its part, whose organization is the home of the account.
///
/// # Errors
/// Refusals of the user; `ClaimTaken` for a contact of another account.
pub async fn create(
    node: &Node,
    context: &RequestContext,
    creation: Creation,
    part: Option<FirstGrant>,
) -> ProcessResult {
    create_as(node, context, creation, part, IndividualId(Uuid::now_v7())).await
}

/// As [`create`], with this individual if the part asks for one.
///
/// # Errors
/// As [`create`].
pub async fn create_as(
    node: &Node,
    context: &RequestContext,
    creation: Creation,
    part: Option<FirstGrant>,
    individual: IndividualId,
) -> ProcessResult {
    commit(node, context, |streams| rules::create(streams, &creation, part, individual)).await
}

/// Makes a user a member of an organization, and grants a role there if one is named.
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
) -> ProcessResult {
    let individual = IndividualId(Uuid::now_v7());
    let context = context.within(organization);
    commit(node, &context, |streams| rules::join(streams, granter, user, organization, role, individual)).await
}

/// As [`join`], by another person: the user is told by mail, unless they are a member already.
///
/// # Errors
/// As [`join`]; errors of [`notice`].
pub async fn add(
    node: &Node,
    context: &RequestContext,
    composer: &Composer,
    granter: &Granter,
    user: &UserDocument,
    organization: OrganizationId,
    role: Option<Role>,
) -> ProcessResult {
    let (id, individual) = (user.profile.id, IndividualId(Uuid::now_v7()));
    let notice = notice(node, composer, user, Kind::OrganizationAdded, Some(organization)).await?;
    let context = context.within(organization);
    commit(node, &context, |streams| {
        let is_new = rules::join(streams, granter, id, organization, role, individual)?;
        notice.iter().filter(|_| is_new).try_for_each(|notice| notice.add_to(streams))
    })
    .await
}

/// Grants a role to a member of an organization.
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
) -> ProcessResult {
    let individual = IndividualId(Uuid::now_v7());
    let context = context.within(organization);
    commit(node, &context, |streams| rules::grant(streams, granter, user, organization, role, individual)).await
}

/// Revokes a role in an organization. Posts there end with the last role that they need.
///
/// # Errors
/// `LastAdmin`.
pub async fn revoke(
    node: &Node,
    context: &RequestContext,
    user: UserId,
    organization: OrganizationId,
    role: Role,
) -> ProcessResult {
    let context = context.within(organization);
    commit(node, &context, |streams| rules::revoke(streams, user, organization, role)).await
}

/// Grants a role in the whole system.
///
/// # Errors
/// Refusals of the granter and of the user.
pub async fn grant_system(
    node: &Node,
    context: &RequestContext,
    granter: &Granter,
    user: UserId,
    role: SystemRole,
) -> ProcessResult {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |streams| rules::grant_system(streams, granter, user, role)).await
}

/// Revokes a role in the whole system.
///
/// # Errors
/// `LastAdmin`.
pub async fn revoke_system(node: &Node, context: &RequestContext, user: UserId, role: SystemRole) -> ProcessResult {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |streams| rules::revoke_system(streams, user, role)).await
}

/// Ends a membership with its roles, the posts of the user, and the places of its individuals.
///
/// # Errors
/// `LastAdmin`; `NotAMember`.
pub async fn leave(node: &Node, context: &RequestContext, user: UserId, organization: OrganizationId) -> ProcessResult {
    let context = context.within(organization);
    commit(node, &context, |streams| rules::leave(streams, user, organization)).await
}

/// Disables a user.
///
/// # Errors
/// `Oneself`, `Archived`, `LastAdmin`.
pub async fn disable(node: &Node, context: &RequestContext, user: UserId, by: UserId) -> ProcessResult {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |streams| rules::disable(streams, user, by)).await
}

/// Enables a disabled user.
///
/// # Errors
/// `Archived`.
pub async fn enable(node: &Node, context: &RequestContext, user: UserId) -> ProcessResult {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |streams| rules::enable(streams, user)).await
}

/// Archives a user for good, and ends their posts in every organization.
///
/// # Errors
/// `LastAdmin`.
pub async fn archive(node: &Node, context: &RequestContext, user: UserId) -> ProcessResult {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |streams| rules::archive(streams, user)).await
}

/// Records an individual and its owner. An individual owned by a user counts in every organization that the user takes
/// part in, retired ones too, where it does not change the user's membership.
///
/// # Errors
/// `OtherOwner`; refusals of the user or the organization that is to own it.
pub async fn record_individual(
    node: &Node,
    context: &RequestContext,
    individual: IndividualId,
    owner: Owner,
) -> ProcessResult {
    let context = match owner {
        Owner::Organization(organization) => context.within(organization),
        Owner::User(user) => at_home(node, context, user).await?,
    };
    commit(node, &context, |streams| rules::record_individual(streams, individual, owner)).await
}
