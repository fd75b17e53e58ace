//! Groups and the people in them: what touches the group, the tree, and everybody who comes or leaves, in one commit.

use super::standing::{check_takes_additions, exists};
use super::{Done, Step, commit, lift, refused};
use crate::executor::{RequestContext, Together};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use registrar_aggregates::group::placement::{self, Placement, PlacementCommand};
use registrar_aggregates::group::staffing::{self, Post, Staffing, StaffingCommand, StaffingError};
use registrar_aggregates::group::{self, Group, GroupCommand, GroupError, GroupKind, NodeType, SystemGroup};
use registrar_aggregates::user::User;
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, UserId};
use registrar_projections::groups::{self as documents, GroupDocument, Kind};
use registrar_projections::{Direction, Query, UserDocument, users};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A group, and the organization whose tree it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRef {
    /// The organization.
    pub organization: OrganizationId,
    /// The group.
    pub id: GroupId,
}

impl From<&GroupDocument> for GroupRef {
    fn from(group: &GroupDocument) -> Self {
        GroupRef { organization: group.organization_id, id: group.id }
    }
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

/// What is to be different about a group; what is left out stays.
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
/// Refusals of an organization that takes no additions, of the group, and of those who are to stand in it; `ClaimTaken` for
/// a name that is taken at the top.
pub async fn create(node: &Node, context: &RequestContext, new: &NewGroup) -> Done {
    let context = context.within(new.group.organization);
    commit(node, &context, |together| {
        Box::pin(async move {
            check_takes_additions(together, new.group.organization).await?;
            let command = GroupCommand::Create {
                id: new.group.id,
                organization_id: new.group.organization,
                name: new.name.clone(),
                kind: new.kind,
                node_type: new.node_type,
                tags: new.tags.clone(),
            };
            together.execute::<Group>(&new.group.id.to_string(), command).await.map_err(lift)?;
            if !new.individuals.is_empty() {
                join_all(together, new.group, &new.individuals, None).await?;
            }
            appoint_all(together, new.group, Post::Leader, &new.leaders, None).await
        })
    })
    .await
}

/// Changes a group. Those who lead it already need not be eligible to go on.
///
/// # Errors
/// Refusals of the group and of new leaders; `ClaimTaken` for a name that one of its siblings has; `VersionConflict` where
/// the group is not at the `expected` version.
pub async fn amend(
    node: &Node,
    context: &RequestContext,
    group: GroupRef,
    amendment: &Amendment,
    expected: Option<u64>,
) -> Done {
    let context = context.within(group.organization);
    commit(node, &context, |together| {
        Box::pin(async move {
            changeable(together, group).await?;
            if expected.is_some_and(|expected| together.version::<Group>(&group.id.to_string()) != Some(expected)) {
                return Err(JournalError::VersionConflict.into());
            }
            let command = GroupCommand::Amend { name: amendment.name.clone(), tags: amendment.tags.clone() };
            together.execute::<Group>(&group.id.to_string(), command).await.map_err(lift)?;
            let Some(leaders) = &amendment.leaders else { return Ok(()) };
            // Asked for anew whenever this is decided anew: another replacement may have changed them meanwhile. Two of them
            // change the group itself, so that one comes after the other.
            let present = leaders_of(node, group.id).await?;
            let command = GroupCommand::ReplaceLeaders { present: present.clone(), leaders: leaders.clone() };
            together.execute::<Group>(&group.id.to_string(), command).await.map_err(lift)?;
            relieve_all(together, group, Post::Leader, &(&present - leaders)).await?;
            appoint_all(together, group, Post::Leader, &(leaders - &present), None).await
        })
    })
    .await
}

/// Puts individuals of the organization into a group, and takes them out of another one in the same moment.
///
/// # Errors
/// `OfTheSystem`, also of the group that they leave; `Retired`, `TakesNoIndividuals`, `NotEnrolled`, `TooManyGroups`.
pub async fn add_individuals(
    node: &Node,
    context: &RequestContext,
    group: GroupRef,
    individuals: &BTreeSet<IndividualId>,
    instead_of: Option<GroupId>,
) -> Done {
    let context = context.within(group.organization);
    commit(node, &context, |together| Box::pin(async move { join_all(together, group, individuals, instead_of).await }))
        .await
}

/// Takes individuals out of a group; those who are not in it are passed over, all of them where a group takes none.
///
/// # Errors
/// `OfTheSystem`.
pub async fn remove_individuals(
    node: &Node,
    context: &RequestContext,
    group: GroupRef,
    individuals: &BTreeSet<IndividualId>,
) -> Done {
    let context = context.within(group.organization);
    commit(node, &context, |together| {
        Box::pin(async move {
            changeable(together, group).await?;
            for individual in individuals {
                let places = placement::stream(group.organization, *individual);
                let command = PlacementCommand::Leave { group: group.id };
                together.execute::<Placement>(&places, command).await.map_err(lift)?;
            }
            Ok(())
        })
    })
    .await
}

/// Gives users a post in a group, and takes the same post in another one away in the same moment.
///
/// # Errors
/// `OfTheSystem`, also of the group where the post ends; `Retired`, `TakesNoMembers`, `NotEligible`, `TooManyPlaces`.
pub async fn appoint(
    node: &Node,
    context: &RequestContext,
    group: GroupRef,
    post: Post,
    users: &BTreeSet<UserId>,
    instead_of: Option<GroupId>,
) -> Done {
    let context = context.within(group.organization);
    commit(node, &context, |together| {
        Box::pin(async move { appoint_all(together, group, post, users, instead_of).await })
    })
    .await
}

/// Takes the post of users in a group away; those who do not have it are passed over, all of them where a group has no such
/// post.
///
/// # Errors
/// `OfTheSystem`.
pub async fn relieve(
    node: &Node,
    context: &RequestContext,
    group: GroupRef,
    post: Post,
    users: &BTreeSet<UserId>,
) -> Done {
    let context = context.within(group.organization);
    commit(node, &context, |together| Box::pin(async move { relieve_all(together, group, post, users).await })).await
}

/// Those who lead a group, the disabled ones too.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn leaders_of(node: &Node, group: GroupId) -> JournalResult<BTreeSet<UserId>> {
    let query = Query::<UserDocument>::sorted(&users::BY_ID, Direction::Ascending)
        .contains(&users::PLACES, users::leading(group))
        .uncounted();
    let found = node.documents.ids(query).await?.value.items;
    Ok(found.iter().filter_map(|id| Uuid::try_parse(id).ok()).map(UserId).collect())
}

/// What somebody comes to a group as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// An individual.
    Individuals,
    /// A user in a post.
    Users(Post),
}

/// Only groups that people can be put into.
#[must_use]
pub fn only_taking(query: Query<GroupDocument>, taking: Taking) -> Query<GroupDocument> {
    let regular = Kind::Regular.name().to_owned();
    let own = vec![regular.clone(), Kind::ProviderOnly.name().to_owned()];
    match taking {
        Taking::Individuals => query.equal(&documents::KIND, regular).equal(&documents::NODE_TYPE, "group"),
        Taking::Users(Post::Leader) => query.one_of(&documents::KIND, own),
        Taking::Users(Post::Member) => query.one_of(&documents::KIND, own).equal(&documents::NODE_TYPE, "group"),
    }
}

/// The state of a group that is not the system's. Groups of an organization that was deleted are unknown.
pub(super) async fn changeable(together: &mut Together<'_>, group: GroupRef) -> Step<group::Node> {
    if SystemGroup::of(group.id, group.organization).is_some() {
        return refused(GroupError::OfTheSystem);
    }
    if !exists(together, group.organization).await? {
        return refused(GroupError::NotFound);
    }
    match together.state::<Group>(&group.id.to_string()).await?.node() {
        Some(node) => Ok(node.clone()),
        None => refused(GroupError::NotFound),
    }
}

async fn join_all(
    together: &mut Together<'_>,
    group: GroupRef,
    individuals: &BTreeSet<IndividualId>,
    instead_of: Option<GroupId>,
) -> Step<()> {
    changeable(together, group).await?.check_takes_individuals().or_else(refused)?;
    check_takes_additions(together, group.organization).await?;
    left(together, group, instead_of).await?;
    for individual in individuals {
        let places = placement::stream(group.organization, *individual);
        let command = PlacementCommand::Join { group: group.id, instead_of };
        together.execute::<Placement>(&places, command).await.map_err(lift)?;
    }
    Ok(())
}

async fn appoint_all(
    together: &mut Together<'_>,
    group: GroupRef,
    post: Post,
    users: &BTreeSet<UserId>,
    instead_of: Option<GroupId>,
) -> Step<()> {
    changeable(together, group).await?.check_has(post).or_else(refused)?;
    if !users.is_empty() {
        check_takes_additions(together, group.organization).await?;
    }
    left(together, group, instead_of).await?;
    for user in users {
        match together.state::<User>(&user.to_string()).await?.profile() {
            Some(profile) => staffing::check_eligible(profile, group.organization).or_else(refused)?,
            None => return refused(StaffingError::NotEligible),
        }
        let command = StaffingCommand::Appoint {
            organization_id: group.organization,
            user_id: *user,
            post,
            group: group.id,
            instead_of,
        };
        let posts = staffing::stream(group.organization, *user);
        together.execute::<Staffing>(&posts, command).await.map_err(lift)?;
    }
    Ok(())
}

async fn relieve_all(together: &mut Together<'_>, group: GroupRef, post: Post, users: &BTreeSet<UserId>) -> Step<()> {
    changeable(together, group).await?;
    for user in users {
        let posts = staffing::stream(group.organization, *user);
        let command = StaffingCommand::Relieve { post, group: group.id };
        together.execute::<Staffing>(&posts, command).await.map_err(lift)?;
    }
    Ok(())
}

/// Looks at the group that people leave for another one of the same organization.
async fn left(together: &mut Together<'_>, group: GroupRef, instead_of: Option<GroupId>) -> Step<()> {
    if let Some(id) = instead_of {
        changeable(together, GroupRef { id, ..group }).await?;
    }
    Ok(())
}
