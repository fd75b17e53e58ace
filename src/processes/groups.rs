//! Acts on groups and their people, and the queries that go with them.

pub use registrar_aggregates::processes::groups::{Amendment, GroupRef, NewGroup};

use super::{ProcessResult, commit};
use crate::executor::RequestContext;
use crate::journal::JournalResult;
use crate::node::Node;
use registrar_aggregates::group::Group;
use registrar_aggregates::group::staffing::Post;
use registrar_aggregates::processes::{MissingStream, Streams, groups as rules};
use registrar_aggregates::values::{GroupId, IndividualId, UserId};
use registrar_projections::groups::{self as documents, GroupDocument, Kind};
use registrar_projections::{Direction, Query, UserDocument, users};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Creates a group at the top of its organization's tree.
///
/// # Errors
/// Refusals of an organization that takes no additions, of the group, and of its new members; `ClaimTaken` for a name
/// that is taken at the top.
pub async fn create(node: &Node, context: &RequestContext, new: &NewGroup) -> ProcessResult {
    let context = context.within(new.group.organization);
    commit(node, &context, |streams| rules::create(streams, new)).await
}

/// Amends a group. Present leaders need not be eligible to go on.
///
/// # Errors
/// Refusals of the group and of new leaders; `ClaimTaken` for a sibling's name; `VersionConflict` if the group is not
/// at the `expected` version.
pub async fn amend(
    node: &Node,
    context: &RequestContext,
    group: GroupRef,
    amendment: &Amendment,
    expected: Option<u64>,
) -> ProcessResult {
    let context = context.within(group.organization);
    // Read in every attempt: another replacement may have changed them meanwhile.
    let present = || async {
        match amendment.leaders {
            Some(_) => leaders_of(node, group.id).await,
            None => Ok(BTreeSet::new()),
        }
    };
    let decide =
        |streams: &mut Streams, present: &BTreeSet<UserId>| rules::amend(streams, group, amendment, present, expected);
    let first = [MissingStream::of::<Group>(group.id)];
    Ok(node.executor.execute_informed(&context, &first, present, decide).await?.1)
}

/// Adds individuals of the organization to a group, and removes them from another one in the same commit.
///
/// # Errors
/// `OfTheSystem`, also of the group that they leave; `Retired`, `TakesNoIndividuals`, `NotEnrolled`, `TooManyGroups`.
pub async fn add_individuals(
    node: &Node,
    context: &RequestContext,
    group: GroupRef,
    individuals: &BTreeSet<IndividualId>,
    instead_of: Option<GroupId>,
) -> ProcessResult {
    let context = context.within(group.organization);
    commit(node, &context, |streams| rules::add_individuals(streams, group, individuals, instead_of)).await
}

/// Removes individuals from a group; those not in it are skipped, all of them if the group takes none.
///
/// # Errors
/// `OfTheSystem`.
pub async fn remove_individuals(
    node: &Node,
    context: &RequestContext,
    group: GroupRef,
    individuals: &BTreeSet<IndividualId>,
) -> ProcessResult {
    let context = context.within(group.organization);
    commit(node, &context, |streams| rules::remove_individuals(streams, group, individuals)).await
}

/// Gives users a post in a group, and ends the same post in another one in the same commit.
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
) -> ProcessResult {
    let context = context.within(group.organization);
    commit(node, &context, |streams| rules::appoint(streams, group, post, users, instead_of)).await
}

/// Ends the post of users in a group; users without it are skipped, all of them if the group has no such post.
///
/// # Errors
/// `OfTheSystem`.
pub async fn relieve(
    node: &Node,
    context: &RequestContext,
    group: GroupRef,
    post: Post,
    users: &BTreeSet<UserId>,
) -> ProcessResult {
    let context = context.within(group.organization);
    commit(node, &context, |streams| rules::relieve(streams, group, post, users)).await
}

/// The leaders of a group, including disabled ones.
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

/// The capacity in which people join a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinCapacity {
    /// An individual.
    Individuals,
    /// A user in a post.
    Users(Post),
}

/// Restricts groups to those that people can join.
#[must_use]
pub fn only_joinable(query: Query<GroupDocument>, capacity: JoinCapacity) -> Query<GroupDocument> {
    let regular = Kind::Regular.name().to_owned();
    let own = vec![regular.clone(), Kind::ProviderOnly.name().to_owned()];
    match capacity {
        JoinCapacity::Individuals => query.equal(&documents::KIND, regular).equal(&documents::NODE_TYPE, "group"),
        JoinCapacity::Users(Post::Leader) => query.one_of(&documents::KIND, own),
        JoinCapacity::Users(Post::Member) => query.one_of(&documents::KIND, own).equal(&documents::NODE_TYPE, "group"),
    }
}
