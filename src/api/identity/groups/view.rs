//! Resources of groups. Data of several groups is loaded together.

use super::super::call::{Call, HandlerResult};
use super::super::documents::{Reply, Resource};
use super::super::people::{self, Personal, Persons};
use super::super::times;
use crate::access::resource::GroupAct;
use crate::api::common::ApiError;
use crate::executor::{Outcome, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::processes::{DirectoryError, ProcessResult};
use crate::read_store::Documents;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use registrar_aggregates::group::NodeType;
use registrar_aggregates::group::staffing::Post;
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, UserId};
use registrar_projections::document::HasCollection;
use registrar_projections::groups::{CountDocument, GroupDocument, TreeDocument};
use registrar_projections::{Direction, IndividualDocument, Query, UserDocument, individuals, users};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// JSON:API type of the resources.
const GROUPS: &str = "individual-groups";
/// Counts queried concurrently.
const COUNTS_AT_A_TIME: usize = 4;

/// People of a group shown besides its leaders.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(in crate::api::identity) struct ViewOptions {
    /// Whether to show individuals.
    #[serde(default, rename = "with-individuals")]
    pub(in crate::api::identity) individuals: bool,
    /// Whether to show members.
    #[serde(default, rename = "with-members")]
    pub(in crate::api::identity) members: bool,
}

/// Groups without their people.
pub(super) async fn summaries(call: &Call, groups: &[GroupDocument]) -> Result<Vec<Resource>, ApiError> {
    let related = SummaryData::of(call.documents(), groups).await?;
    let resources = groups.iter().map(|group| resource(group, related.summary(group)));
    Ok(resources.collect())
}

/// Groups with their people, each as the caller sees it.
pub(super) async fn full(call: &Call, groups: &[GroupDocument], shown: ViewOptions) -> Result<Vec<Resource>, ApiError> {
    let documents = call.documents();
    let related = SummaryData::of(documents, groups).await?;
    let staff = staff(documents, groups, shown.members).await?;
    let personal = Personal::of(call, &staff).await?;
    let leaders = by_group(&staff, |user| posts(user, Post::Leader));
    let members = by_group(&staff, |user| posts(user, Post::Member));
    let individuals = if shown.individuals { individuals(documents, groups).await? } else { vec![] };
    let persons = Persons::behind(call, &individuals).await?;
    let inside = by_group(&individuals, |individual| individual.groups().collect());
    let writable = try_join_all(groups.iter().map(|group| call.may(group, GroupAct::Change))).await?;
    let resources = groups.iter().zip(writable).map(|(group, writable)| {
        let mut attributes = related.summary(group);
        lead(&mut attributes, in_group(&leaders, group), writable, &personal);
        if shown.members {
            work(&mut attributes, in_group(&members, group), &personal);
        }
        if shown.individuals {
            fill(&mut attributes, in_group(&inside, group), &persons);
        }
        resource(group, attributes)
    });
    Ok(resources.collect())
}

/// A group just created, with its leaders; its creator may change it.
pub(super) fn created(outcome: &Outcome, individuals: u64, personal: &Personal) -> Option<Resource> {
    let group = outcome.document::<GroupDocument>()?;
    let related = SummaryData { counts: [(group.id, individuals)].into(), ..SummaryData::default() };
    let mut attributes = related.summary(group);
    let mut leaders: Vec<_> = outcome.documents.iter().filter_map(|document| UserDocument::unwrap(document)).collect();
    leaders.sort_by_key(|user| (user.created_at, user.profile.id));
    lead(&mut attributes, &leaders, true, personal);
    Some(resource(group, attributes))
}

/// A group with the data needed to show it after a change, also one that adds or removes people. The outcome of the
/// change is merged in, so that the response can be committed with the events.
pub(in crate::api::identity) struct GroupView {
    group: GroupDocument,
    shown: ViewOptions,
    related: SummaryData,
    staff: BTreeMap<UserId, UserDocument>,
    individuals: BTreeMap<IndividualId, IndividualDocument>,
    persons: Persons,
    personal: Personal,
    /// The calling user, with the groups whose leaders may change this one; `None` for callers who may change it
    /// anyway.
    leader: Option<(UserId, BTreeSet<GroupId>)>,
    writable: bool,
}

impl GroupView {
    /// Loads a group before a change that adds or removes `users` and `named` individuals.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(in crate::api::identity) async fn of(
        call: &Call,
        group: &GroupDocument,
        shown: ViewOptions,
        users: &BTreeSet<UserId>,
        named: &BTreeSet<IndividualId>,
    ) -> Result<Self, ApiError> {
        let (documents, groups) = (call.documents(), std::slice::from_ref(group));
        let mut staff = staff(documents, groups, shown.members).await?;
        let involved = documents.find_all::<UserDocument>(users.iter().map(ToString::to_string)).await?;
        staff.extend(involved.iter().map(|user| UserDocument::clone(user)));
        let mut individuals = if shown.individuals { individuals(documents, groups).await? } else { vec![] };
        if shown.individuals {
            let named = named.iter().map(ToString::to_string);
            let named = documents.find_all::<IndividualDocument>(named).await?;
            individuals.extend(named.iter().map(|individual| IndividualDocument::clone(individual)));
        }
        let organization = group.organization_id;
        let leader = match call.holder.user_id().filter(|_| !call.holder.is_admin(organization)) {
            Some(user) => {
                let tree = call.access().tree(organization).await?;
                let above = tree.iter().flat_map(|tree| tree.ancestors(group.id)).collect::<BTreeSet<_>>();
                Some((user, above.into_iter().chain([group.id]).collect()))
            }
            None => None,
        };
        Ok(GroupView {
            group: group.clone(),
            shown,
            related: SummaryData::of(documents, groups).await?,
            persons: Persons::behind(call, &individuals).await?,
            personal: Personal::of(call, &staff).await?,
            staff: staff.into_iter().map(|user| (user.profile.id, user)).collect(),
            individuals: individuals.into_iter().map(|individual| (individual.id, individual)).collect(),
            leader,
            writable: call.may(group, GroupAct::Change).await?,
        })
    }

    /// Carries out the change and answers with the group.
    ///
    /// # Errors
    /// Errors of the act.
    pub(in crate::api::identity) async fn commit<'c, Act>(
        self,
        call: &'c Call,
        reply: fn(Resource) -> Reply,
        act: impl FnOnce(&'c Node, &'c RequestContext) -> Act,
    ) -> HandlerResult
    where
        Act: Future<Output = ProcessResult>,
    {
        let prepared = Arc::new(self);
        let rendered =
            call.commit_rendered::<DirectoryError, _>(move |outcome| Some(reply(prepared.after(outcome))), act);
        rendered.await?.ok_or_else(|| ApiError::internal("a group was not shown after its change"))
    }

    fn after(&self, outcome: &Outcome) -> Resource {
        let groups = changed::<GroupDocument>(outcome);
        let group = groups.into_iter().find(|group| group.id == self.group.id).unwrap_or(&self.group);
        let mut attributes = self.related.summary(group);
        let counts = changed::<CountDocument>(outcome);
        if let Some(count) = counts.iter().find(|count| count.id == group.id) {
            attributes.insert("individuals-count".into(), count.individuals.into());
        }
        let mut staff: BTreeMap<_, _> = self.staff.iter().map(|(id, user)| (*id, user)).collect();
        staff.extend(changed::<UserDocument>(outcome).into_iter().map(|user| (user.profile.id, user)));
        let writable = match &self.leader {
            Some((user, of)) => match staff.get(user) {
                Some(user) => posts(user, Post::Leader).iter().any(|group| of.contains(group)),
                None => self.writable,
            },
            None => self.writable,
        };
        let with = |post| in_order(staff.values().copied(), move |user| posts(user, post).contains(&group.id));
        lead(&mut attributes, &with(Post::Leader), writable, &self.personal);
        if self.shown.members {
            work(&mut attributes, &with(Post::Member), &self.personal);
        }
        if self.shown.individuals {
            let mut all: BTreeMap<_, _> = self.individuals.iter().map(|(id, one)| (*id, one)).collect();
            all.extend(changed::<IndividualDocument>(outcome).into_iter().map(|one| (one.id, one)));
            let mut inside: Vec<_> =
                all.into_values().filter(|one| one.groups().any(|inside| inside == group.id)).collect();
            inside.sort_by_key(|one| (one.created_at, one.id));
            fill(&mut attributes, &inside, &self.persons);
        }
        resource(group, attributes)
    }
}

fn changed<D: HasCollection>(outcome: &Outcome) -> Vec<&D> {
    outcome.documents.iter().filter_map(|document| D::unwrap(document)).collect()
}

/// Users in the order of lists, oldest first.
fn in_order<'u>(
    users: impl Iterator<Item = &'u UserDocument>,
    wanted: impl Fn(&UserDocument) -> bool,
) -> Vec<&'u UserDocument> {
    let mut users: Vec<_> = users.filter(|user| wanted(user)).collect();
    users.sort_by_key(|user| (user.created_at, user.profile.id));
    users
}

fn resource(group: &GroupDocument, attributes: Map<String, Value>) -> Resource {
    Resource::new(GROUPS, group.id, attributes.into()).at(group)
}

fn lead(attributes: &mut Map<String, Value>, leaders: &[&UserDocument], writable: bool, personal: &Personal) {
    attributes.insert("leader-ids".into(), leaders.iter().map(|user| json!(user.profile.id)).collect());
    let shown = leaders.iter().map(|user| people::group_leader(user, personal));
    attributes.insert("leaders".into(), shown.collect());
    attributes.insert("self-can-write".into(), writable.into());
}

fn work(attributes: &mut Map<String, Value>, members: &[&UserDocument], personal: &Personal) {
    let shown = members.iter().map(|user| people::group_member(user, personal));
    attributes.insert("members".into(), shown.collect());
}

fn fill(attributes: &mut Map<String, Value>, individuals: &[&IndividualDocument], persons: &Persons) {
    attributes.insert("individual-ids".into(), individuals.iter().map(|individual| json!(individual.id)).collect());
    let shown = individuals.iter().map(|individual| persons.individual(individual));
    attributes.insert("individuals".into(), shown.collect());
}

/// People by group, in their order.
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
    user.standing_posts().flat_map(|(_, posts)| posts.groups(post)).copied().collect()
}

/// Leaders of the groups, and on demand their members, oldest first.
async fn staff(documents: &Documents, groups: &[GroupDocument], members: bool) -> JournalResult<Vec<UserDocument>> {
    let leading = groups.iter().map(|group| users::leading(group.id));
    let working = groups.iter().filter(|_| members).map(|group| users::working_in(group.id));
    let query = Query::<UserDocument>::sorted(&users::BY_CREATION, Direction::Ascending)
        .contains_any(&users::PLACES, leading.chain(working).collect())
        .uncounted();
    Ok(documents.page(query).await?.value.items)
}

/// Individuals of the groups, oldest first.
async fn individuals(documents: &Documents, groups: &[GroupDocument]) -> JournalResult<Vec<IndividualDocument>> {
    let query = Query::<IndividualDocument>::sorted(&individuals::BY_CREATION, Direction::Ascending)
        .contains_any(&individuals::SCOPES, groups.iter().map(|group| group.id.to_string()).collect())
        .uncounted();
    Ok(documents.page(query).await?.value.items)
}

/// Parent names and counts of individuals for a page of groups.
#[derive(Default)]
struct SummaryData {
    names: HashMap<GroupId, String>,
    counts: HashMap<GroupId, u64>,
}

impl SummaryData {
    async fn of(documents: &Documents, groups: &[GroupDocument]) -> JournalResult<Self> {
        let parents: BTreeSet<_> = groups.iter().filter_map(|group| group.parent).collect();
        let parents = documents.find_all::<GroupDocument>(parents.iter().map(ToString::to_string)).await?;
        let names = parents.into_iter().map(|parent| (parent.id, parent.name.clone())).collect();
        Ok(SummaryData { names, counts: counts(documents, groups).await? })
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
            // Groups cannot be deactivated.
            ("is-active", json!(true)),
            ("last-modified-time", json!(times::write(group.updated_at))),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Number of individuals in each group and its subtree, each counted once.
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
                // An individual may be in several of them.
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

/// Trees in which one of the groups has children.
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
