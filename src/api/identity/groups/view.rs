//! Groups as they are shown. What many groups need is gathered for all of them together.

use super::super::call::Call;
use super::super::documents::Resource;
use super::super::people::{self, Persons};
use super::super::times;
use crate::access::Operation;
use crate::api::common::ApiError;
use crate::journal::{JournalError, JournalResult};
use crate::read_store::Documents;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use registrar_aggregates::group::NodeType;
use registrar_aggregates::group::staffing::Post;
use registrar_aggregates::values::{GroupId, OrganizationId};
use registrar_projections::groups::{CountDocument, GroupDocument, TreeDocument};
use registrar_projections::{Direction, IndividualDocument, Query, UserDocument, individuals, users};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Type of the resources.
pub(super) const GROUPS: &str = "individual-groups";
/// Numbers that are counted at a time.
const COUNTS_AT_A_TIME: usize = 4;

/// Who of a group is shown besides its leaders.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::api::identity) struct Shown {
    /// Its individuals.
    pub(in crate::api::identity) individuals: bool,
    /// Its members.
    pub(in crate::api::identity) members: bool,
}

/// Groups without their people.
pub(super) async fn summaries(call: &Call, groups: &[GroupDocument]) -> Result<Vec<Resource>, ApiError> {
    let around = Around::of(call.documents(), groups).await?;
    let resources = groups.iter().map(|group| Resource::new(GROUPS, group.id, around.summary(group).into()));
    Ok(resources.collect())
}

/// Groups with their people, each as the caller of `call` sees it.
pub(in crate::api::identity) async fn full(
    call: &Call,
    groups: &[GroupDocument],
    shown: Shown,
) -> Result<Vec<Resource>, ApiError> {
    let (documents, access) = (call.documents(), call.access());
    let around = Around::of(documents, groups).await?;
    let staff = staff(documents, groups, shown.members).await?;
    let (leaders, members) =
        (by_group(&staff, |user| posts(user, Post::Leader)), by_group(&staff, |user| posts(user, Post::Member)));
    let individuals = if shown.individuals { individuals(documents, groups).await? } else { vec![] };
    let persons = people::persons(documents, &individuals).await?;
    let inside = by_group(&individuals, |individual| individual.groups().collect());
    let writable = groups.iter().map(|group| access.group_as(&call.holder, group, Operation::Write));
    let writable = try_join_all(writable).await?;
    let resources = groups.iter().zip(writable).map(|(group, writable)| {
        let mut attributes = around.summary(group);
        lead(&mut attributes, in_group(&leaders, group), writable);
        if shown.members {
            let members = in_group(&members, group).iter().map(|user| people::group_member(user));
            attributes.insert("members".into(), members.collect());
        }
        if shown.individuals {
            fill(&mut attributes, in_group(&inside, group), &persons);
        }
        Resource::new(GROUPS, group.id, attributes.into())
    });
    Ok(resources.collect())
}

/// A group that was created this moment, with the leaders it has; whoever created it may change it.
pub(super) fn created<'a>(
    group: &GroupDocument,
    leaders: impl IntoIterator<Item = &'a UserDocument>,
    individuals: u64,
) -> Resource {
    let around = Around { counts: [(group.id, individuals)].into(), ..Around::default() };
    let mut attributes = around.summary(group);
    let mut leaders: Vec<_> = leaders.into_iter().collect();
    leaders.sort_by_key(|user| (user.created_at, user.profile.id));
    lead(&mut attributes, &leaders, true);
    Resource::new(GROUPS, group.id, attributes.into())
}

fn lead(attributes: &mut Map<String, Value>, leaders: &[&UserDocument], writable: bool) {
    attributes.insert("leader-ids".into(), leaders.iter().map(|user| json!(user.profile.id)).collect());
    attributes.insert("leaders".into(), leaders.iter().map(|user| people::group_leader(user)).collect());
    attributes.insert("self-can-write".into(), writable.into());
}

fn fill(attributes: &mut Map<String, Value>, individuals: &[&IndividualDocument], persons: &Persons) {
    attributes.insert("individual-ids".into(), individuals.iter().map(|individual| json!(individual.id)).collect());
    let shown = individuals
        .iter()
        .map(|individual| people::group_individual(individual, persons.get(&individual.id).map(AsRef::as_ref)));
    attributes.insert("individuals".into(), shown.collect());
}

/// People by the groups that they are in, in their order.
fn by_group<D>(people: &[D], groups: impl Fn(&D) -> Vec<GroupId>) -> HashMap<GroupId, Vec<&D>> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for person in people {
        for group in groups(person) {
            found.entry(group).or_default().push(person);
        }
    }
    found
}

fn in_group<'a, D>(people: &'a HashMap<GroupId, Vec<&'a D>>, group: &GroupDocument) -> &'a [&'a D] {
    people.get(&group.id).map_or(&[], Vec::as_slice)
}

fn posts(user: &UserDocument, post: Post) -> Vec<GroupId> {
    user.posts.values().flat_map(|posts| posts.groups(post)).copied().collect()
}

/// Those who lead the groups, and on demand those who work in them, oldest first.
async fn staff(documents: &Documents, groups: &[GroupDocument], members: bool) -> JournalResult<Vec<UserDocument>> {
    let leading = groups.iter().map(|group| users::leading(group.id));
    let working = groups.iter().filter(|_| members).map(|group| users::working_in(group.id));
    let query = Query::<UserDocument>::sorted(&users::BY_CREATION, Direction::Ascending)
        .contains_any(&users::PLACES, leading.chain(working).collect())
        .uncounted();
    Ok(documents.page(query).await?.value.items)
}

/// The individuals in the groups, oldest first.
async fn individuals(documents: &Documents, groups: &[GroupDocument]) -> JournalResult<Vec<IndividualDocument>> {
    let query = Query::<IndividualDocument>::sorted(&individuals::BY_CREATION, Direction::Ascending)
        .contains_any(&individuals::SCOPES, groups.iter().map(|group| group.id.to_string()).collect())
        .uncounted();
    Ok(documents.page(query).await?.value.items)
}

/// What is to be known around groups.
#[derive(Default)]
struct Around {
    names: HashMap<GroupId, String>,
    counts: HashMap<GroupId, u64>,
}

impl Around {
    async fn of(documents: &Documents, groups: &[GroupDocument]) -> JournalResult<Self> {
        let parents: BTreeSet<_> = groups.iter().filter_map(|group| group.parent).collect();
        let parents = documents.find_all::<GroupDocument>(parents.iter().map(ToString::to_string)).await?;
        let names = parents.into_iter().map(|parent| (parent.id, parent.name.clone())).collect();
        Ok(Around { names, counts: counts(documents, groups).await? })
    }

    fn summary(&self, group: &GroupDocument) -> Map<String, Value> {
        let parent = group.parent.map(|parent| json!({ "id": parent, "name": self.names.get(&parent) }));
        let node_type = match group.node_type {
            NodeType::Division => "division",
            NodeType::Group => "group",
        };
        let members = [
            ("name", json!(group.name)),
            ("type", json!(group.kind.name())),
            ("node-type", json!(node_type)),
            ("organization-id", json!(group.organization_id)),
            ("parent-group", json!(parent)),
            ("tags", json!(group.tags)),
            ("child-count", json!(group.children)),
            ("individuals-count", json!(self.counts.get(&group.id).unwrap_or(&0))),
            // There is no way to deactivate one.
            ("is-active", json!(true)),
            ("last-modified-time", json!(times::write(group.updated_at))),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// How many individuals each group has in itself and below, each of them counted once.
async fn counts(documents: &Documents, groups: &[GroupDocument]) -> JournalResult<HashMap<GroupId, u64>> {
    let trees = trees(documents, groups).await?;
    let subtree = |group: &GroupDocument| match trees.get(&group.organization_id) {
        Some(tree) if group.children > 0 => tree.subtrees([group.id]),
        _ => [group.id].into(),
    };
    let subtrees: Vec<_> = groups.iter().map(|group| (group.id, subtree(group))).collect();
    let nodes: BTreeSet<_> = subtrees.iter().flat_map(|(_, nodes)| nodes).collect();
    let found = documents.find_all::<CountDocument>(nodes.into_iter().map(ToString::to_string)).await?;
    let direct: HashMap<_, _> = found.into_iter().map(|count| (count.id, count.individuals)).collect();
    let counted = subtrees.into_iter().map(|(group, nodes)| {
        let filled = |node: &GroupId| direct.get(node).copied().filter(|count| *count > 0).map(|count| (*node, count));
        let filled: Vec<_> = nodes.iter().filter_map(filled).collect();
        async move {
            let count = match *filled {
                [] => 0,
                [(_, count)] => count,
                // Somebody may be in several of them.
                _ => count(documents, filled.iter().map(|(node, _)| *node)).await?,
            };
            Ok((group, count))
        }
    });
    stream::iter(counted).buffer_unordered(COUNTS_AT_A_TIME).try_collect().await
}

async fn count(documents: &Documents, nodes: impl Iterator<Item = GroupId>) -> JournalResult<u64> {
    let query = Query::<IndividualDocument>::sorted(&individuals::BY_ID, Direction::Ascending)
        .contains_any(&individuals::SCOPES, nodes.map(|node| node.to_string()).collect())
        .page(0, 0);
    Ok(documents.ids(query).await?.value.total)
}

/// The trees in which something hangs under one of the groups.
async fn trees(
    documents: &Documents,
    groups: &[GroupDocument],
) -> JournalResult<HashMap<OrganizationId, Arc<TreeDocument>>> {
    let organizations: BTreeSet<_> =
        groups.iter().filter(|group| group.children > 0).map(|group| group.organization_id).collect();
    let found = organizations.into_iter().map(|organization| async move {
        let tree = documents.find::<TreeDocument>(&organization.to_string()).await?.value;
        Ok::<_, JournalError>(tree.map(|tree| (organization, tree)))
    });
    Ok(try_join_all(found).await?.into_iter().flatten().collect())
}
