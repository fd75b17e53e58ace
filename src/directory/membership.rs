//! Who belongs to an organization and what they are there. With a membership go roles, the roster of admins, the places of
//! individuals and the posts of users, all in one commit.

use super::accounts::at_home;
use super::granting::{check_granter, end_posts, end_posts_not_in_force};
use super::rosters::{on_roster, rosters};
use super::standing::{check_takes_additions, exists};
use super::{Done, Step, commit, lift, refused};
use crate::executor::{RequestContext, Together};
use crate::node::Node;
use registrar_aggregates::granting::{Grant, Granter};
use registrar_aggregates::group::placement::{self, Placement, PlacementCommand};
use registrar_aggregates::group::staffing::{CARRYING, keeps_posts};
use registrar_aggregates::individual::{Individual, IndividualCommand, Owner};
use registrar_aggregates::user::roster::RosterCommand;
use registrar_aggregates::user::{Creation, Home, Profile, Role, SystemRole, User, UserCommand, UserError};
use registrar_aggregates::values::{IndividualId, OrganizationId, UserId};
use uuid::Uuid;

/// What a new user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Something in an organization; without a role a mere member.
    Member(OrganizationId, Option<Role>),
    /// Something in the whole system.
    System(SystemRole),
    /// Something in the whole system and a member of an organization.
    SystemIn(OrganizationId, SystemRole),
}

impl Part {
    /// The home of an account that is created with the part.
    fn home(self) -> Home {
        match self {
            Part::Member(organization, _) | Part::SystemIn(organization, _) => Home::of(organization),
            Part::System(_) => Home::SYSTEM,
        }
    }
}

/// Creates a user with its part, whose organization is the home of the account.
///
/// # Errors
/// Refusals of the user; `ClaimTaken` for a contact that somebody else has.
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
    mut creation: Creation,
    part: Option<Part>,
    individual: IndividualId,
) -> Done {
    creation.home = part.map(Part::home).or(creation.home);
    let (id, creation) = (creation.id, &creation);
    commit(node, context, |together| {
        Box::pin(async move {
            execute(together, id, UserCommand::Create(Box::new(creation.clone()))).await?;
            match part {
                Some(Part::Member(organization, role)) => join_as(together, id, organization, role, individual).await,
                Some(Part::System(role)) => grant_system_as(together, id, role).await,
                Some(Part::SystemIn(organization, role)) => {
                    join_as(together, id, organization, None, individual).await?;
                    grant_system_as(together, id, role).await
                }
                None => Ok(()),
            }
        })
    })
    .await
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
    commit(node, &context, |together| {
        Box::pin(async move {
            check_granter(together, granter, Grant::Membership(organization), user).await?;
            if let Some(role) = role {
                check_granter(together, granter, Grant::Role(organization, role), user).await?;
                end_posts_not_in_force(together, user, organization, role).await?;
            }
            join_as(together, user, organization, role, individual).await
        })
    })
    .await
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
    commit(node, &context, |together| {
        Box::pin(async move {
            check_granter(together, granter, Grant::Role(organization, role), user).await?;
            end_posts_not_in_force(together, user, organization, role).await?;
            grant_as(together, user, organization, role, individual).await
        })
    })
    .await
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
    commit(node, &context, |together| Box::pin(async move { revoke_as(together, user, organization, role).await }))
        .await
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
    commit(node, &context, |together| {
        Box::pin(async move {
            check_granter(together, granter, Grant::System(role), user).await?;
            grant_system_as(together, user, role).await
        })
    })
    .await
}

/// Takes a role in the whole system away.
///
/// # Errors
/// `LastAdmin`.
pub async fn revoke_system(node: &Node, context: &RequestContext, user: UserId, role: SystemRole) -> Done {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |together| {
        Box::pin(async move {
            let held = profile(together, user).await?.system_roles.contains(&role);
            if held && role == SystemRole::Admin {
                on_roster(together, None, RosterCommand::Remove(user)).await?;
            }
            execute(together, user, UserCommand::RevokeSystem(role)).await
        })
    })
    .await
}

/// Ends a membership with its roles, the posts of the user, and the places of its individuals.
///
/// # Errors
/// `LastAdmin`; `NotAMember`.
pub async fn leave(node: &Node, context: &RequestContext, user: UserId, organization: OrganizationId) -> Done {
    let context = context.within(organization);
    commit(node, &context, |together| {
        Box::pin(async move {
            let Some(membership) = profile(together, user).await?.memberships.get(&organization).cloned() else {
                return refused(UserError::NotAMember);
            };
            for role in membership.roles {
                revoke_as(together, user, organization, role).await?;
            }
            end_posts(together, user, organization).await?;
            execute(together, user, UserCommand::Leave(organization)).await
        })
    })
    .await
}

/// Blocks a user.
///
/// # Errors
/// `Oneself`, `Archived`, `LastAdmin`.
pub async fn disable(node: &Node, context: &RequestContext, user: UserId, by: UserId) -> Done {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |together| {
        Box::pin(async move {
            let before = profile(together, user).await?;
            execute(together, user, UserCommand::Disable { by }).await?;
            if before.state.is_enabled() {
                for roster in rosters(&before) {
                    on_roster(together, roster, RosterCommand::Remove(user)).await?;
                }
            }
            Ok(())
        })
    })
    .await
}

/// Lets a user in again.
///
/// # Errors
/// `Archived`.
pub async fn enable(node: &Node, context: &RequestContext, user: UserId) -> Done {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |together| {
        Box::pin(async move {
            let before = profile(together, user).await?;
            execute(together, user, UserCommand::Enable).await?;
            if !before.state.is_enabled() {
                for roster in rosters(&before) {
                    on_roster(together, roster, RosterCommand::Add(user)).await?;
                }
            }
            Ok(())
        })
    })
    .await
}

/// Ends a user for good, and their posts in every organization.
///
/// # Errors
/// `LastAdmin`.
pub async fn archive(node: &Node, context: &RequestContext, user: UserId) -> Done {
    let context = at_home(node, context, user).await?;
    commit(node, &context, |together| {
        Box::pin(async move {
            let before = profile(together, user).await?;
            execute(together, user, UserCommand::Archive).await?;
            if before.state.is_enabled() {
                for roster in rosters(&before) {
                    on_roster(together, roster, RosterCommand::Remove(user)).await?;
                }
            }
            for organization in before.memberships.into_keys() {
                end_posts(together, user, organization).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Notes an individual and whose it is. One that a user owns counts as one of every organization that the user takes part
/// in, retired ones too, where it adds nothing to what the user is there.
///
/// # Errors
/// `OtherOwner`; refusals of the user or the organization that is to own it.
pub async fn record_individual(node: &Node, context: &RequestContext, individual: IndividualId, owner: Owner) -> Done {
    let context = match owner {
        Owner::Organization(organization) => context.within(organization),
        Owner::User(user) => at_home(node, context, user).await?,
    };
    commit(node, &context, |together| {
        Box::pin(async move {
            let command = IndividualCommand::Record { id: individual, owner };
            let new = together.execute::<Individual>(&individual.to_string(), command).await.map_err(lift)?;
            match owner {
                _ if !new => Ok(()),
                Owner::Organization(organization) => {
                    check_takes_additions(together, organization).await?;
                    enroll(together, organization, individual).await
                }
                Owner::User(user) => {
                    execute(together, user, UserCommand::AddIndividual(individual)).await?;
                    for organization in taking_part(&profile(together, user).await?) {
                        enroll(together, organization, individual).await?;
                    }
                    Ok(())
                }
            }
        })
    })
    .await
}

async fn join_as(
    together: &mut Together<'_>,
    user: UserId,
    organization: OrganizationId,
    role: Option<Role>,
    individual: IndividualId,
) -> Step<()> {
    check_takes_additions(together, organization).await?;
    execute(together, user, UserCommand::Join(organization)).await?;
    match role {
        Some(role) => grant_as(together, user, organization, role, individual).await,
        None => Ok(()),
    }
}

async fn grant_as(
    together: &mut Together<'_>,
    user: UserId,
    organization: OrganizationId,
    role: Role,
    individual: IndividualId,
) -> Step<()> {
    check_takes_additions(together, organization).await?;
    execute(together, user, UserCommand::Grant(organization, role)).await?;
    let now = profile(together, user).await?;
    match role {
        Role::Admin if now.state.is_enabled() => {
            on_roster(together, Some(organization), RosterCommand::Add(user)).await
        }
        Role::Admin | Role::Provider => Ok(()),
        Role::Member => {
            if now.individuals.is_empty() {
                let command = IndividualCommand::Record { id: individual, owner: Owner::User(user) };
                together.execute::<Individual>(&individual.to_string(), command).await.map_err(lift)?;
                execute(together, user, UserCommand::AddIndividual(individual)).await?;
                return enroll(together, organization, individual).await;
            }
            for individual in now.individuals {
                enroll(together, organization, individual).await?;
            }
            Ok(())
        }
    }
}

async fn revoke_as(together: &mut Together<'_>, user: UserId, organization: OrganizationId, role: Role) -> Step<()> {
    let before = profile(together, user).await?;
    let held = before.memberships.get(&organization).is_some_and(|membership| membership.roles.contains(&role));
    execute(together, user, UserCommand::Revoke(organization, role)).await?;
    if held && CARRYING.contains(&role) && !keeps_posts(&profile(together, user).await?, organization) {
        end_posts(together, user, organization).await?;
    }
    match role {
        Role::Admin if held && before.state.is_enabled() => {
            on_roster(together, Some(organization), RosterCommand::Remove(user)).await
        }
        Role::Member if held => {
            for individual in before.individuals {
                let places = placement::stream(organization, individual);
                together.execute::<Placement>(&places, PlacementCommand::Release).await.map_err(lift)?;
            }
            Ok(())
        }
        Role::Admin | Role::Provider | Role::Member => Ok(()),
    }
}

async fn grant_system_as(together: &mut Together<'_>, user: UserId, role: SystemRole) -> Step<()> {
    execute(together, user, UserCommand::GrantSystem(role)).await?;
    if role == SystemRole::Admin && profile(together, user).await?.state.is_enabled() {
        on_roster(together, None, RosterCommand::Add(user)).await?;
    }
    Ok(())
}

async fn enroll(together: &mut Together<'_>, organization: OrganizationId, individual: IndividualId) -> Step<()> {
    if !exists(together, organization).await? {
        return Ok(());
    }
    let places = placement::stream(organization, individual);
    let command = PlacementCommand::Enroll { organization_id: organization, individual_id: individual };
    together.execute::<Placement>(&places, command).await.map_err(lift)?;
    Ok(())
}

async fn execute(together: &mut Together<'_>, user: UserId, command: UserCommand) -> Step<()> {
    together.execute::<User>(&user.to_string(), command).await.map_err(lift)?;
    Ok(())
}

pub(super) async fn profile(together: &mut Together<'_>, user: UserId) -> Step<Profile> {
    match together.state::<User>(&user.to_string()).await?.profile() {
        Some(profile) => Ok(profile.clone()),
        None => refused(UserError::NotFound),
    }
}

/// The organizations that a user takes part in.
fn taking_part(profile: &Profile) -> Vec<OrganizationId> {
    let taking = profile.memberships.iter().filter(|(_, membership)| membership.roles.contains(&Role::Member));
    taking.map(|(organization, _)| *organization).collect()
}
