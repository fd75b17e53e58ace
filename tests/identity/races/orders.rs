//! Concurrent directory processes are serializable: the outcome is that of some sequential order.
//!
//! Every case has a world of its own: an organization with two groups and people of every kind. All cases are played
//! while commits wait, so that each command is decided before any of the others is committed. The outcome is compared
//! with the same acts in every order, in worlds of their own.

use crate::app::{creation, organize};
use crate::on_both_stores;
use crate::support::Database;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use registrar::executor::RequestContext;
use registrar::node::Node;
use registrar::processes::groups::{self, Amendment, GroupRef, NewGroup};
use registrar::processes::membership::{self, FirstGrant};
use registrar::processes::{DirectoryError, ProcessResult, user_by_id};
use registrar_aggregates::group::staffing::Post;
use registrar_aggregates::group::{GroupKind, NodeType};
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::user::Role;
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, UserId};
use registrar_projections::IndividualDocument;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Worlds created concurrently.
const AT_ONCE: usize = 8;
/// Cases played concurrently.
const CASES_AT_ONCE: usize = 40;
/// How long commits wait for all commands to be decided. Correctness does not depend on it.
const GATHERING: Duration = Duration::from_millis(500);

/// People, by their state at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// An admin.
    Admin,
    /// Another admin.
    Second,
    /// A provider who leads the first group.
    Leader,
    /// A participant with an individual in the first group.
    Member,
    /// A person who does not belong to the organization.
    Stranger,
    /// A provider who is disabled.
    Off,
}

const EVERYBODY: [Subject; 6] =
    [Subject::Admin, Subject::Second, Subject::Leader, Subject::Member, Subject::Stranger, Subject::Off];

/// A process.
#[derive(Debug, Clone, Copy)]
enum Act {
    Join(Subject),
    Leave(Subject),
    Grant(Subject, Role),
    Revoke(Subject, Role),
    Appoint(Subject, Post, usize),
    Relieve(Subject, Post, usize),
    Disable(Subject),
    Enable(Subject),
    Archive(Subject),
    Replace(&'static [Subject], usize),
    Put(usize),
    Take(usize),
}

const ACTS: [Act; 15] = [
    Act::Join(Subject::Stranger),
    Act::Leave(Subject::Leader),
    Act::Leave(Subject::Member),
    Act::Grant(Subject::Leader, Role::Admin),
    Act::Revoke(Subject::Second, Role::Admin),
    Act::Appoint(Subject::Admin, Post::Leader, 0),
    Act::Appoint(Subject::Leader, Post::Member, 1),
    Act::Relieve(Subject::Leader, Post::Leader, 0),
    Act::Disable(Subject::Admin),
    Act::Enable(Subject::Off),
    Act::Archive(Subject::Leader),
    Act::Replace(&[Subject::Second], 0),
    Act::Replace(&[Subject::Leader, Subject::Admin], 0),
    Act::Put(1),
    Act::Take(0),
];

const TRIPLES: [[Act; 3]; 8] = [
    [
        Act::Join(Subject::Stranger),
        Act::Grant(Subject::Stranger, Role::Member),
        Act::Appoint(Subject::Stranger, Post::Leader, 0),
    ],
    [Act::Revoke(Subject::Member, Role::Member), Act::Put(1), Act::Replace(&[], 0)],
    [
        Act::Leave(Subject::Leader),
        Act::Appoint(Subject::Leader, Post::Member, 1),
        Act::Relieve(Subject::Leader, Post::Leader, 0),
    ],
    [Act::Leave(Subject::Admin), Act::Revoke(Subject::Second, Role::Admin), Act::Grant(Subject::Leader, Role::Admin)],
    [Act::Replace(&[Subject::Second], 0), Act::Replace(&[Subject::Admin], 0), Act::Leave(Subject::Admin)],
    [Act::Disable(Subject::Admin), Act::Disable(Subject::Second), Act::Appoint(Subject::Admin, Post::Leader, 0)],
    [Act::Put(1), Act::Take(0), Act::Leave(Subject::Member)],
    [Act::Enable(Subject::Off), Act::Appoint(Subject::Off, Post::Leader, 0), Act::Leave(Subject::Off)],
];

/// An organization with its people.
struct World {
    nodes: Vec<Arc<Node>>,
    organization: OrganizationId,
    groups: [GroupId; 2],
    people: BTreeMap<Subject, UserId>,
    individual: IndividualId,
}

fn context() -> RequestContext {
    RequestContext::system()
}

impl World {
    async fn create(nodes: &[Arc<Node>]) -> Self {
        let node = &nodes[0];
        let organization =
            OrganizationId(organize(node, &format!("Clinic {}", Uuid::now_v7()), Authorization::Open).await);
        let individual = IndividualId(Uuid::now_v7());
        let people = EVERYBODY.map(|who| async move {
            let role = match who {
                Subject::Admin | Subject::Second => Some(Role::Admin),
                Subject::Leader | Subject::Off => Some(Role::Provider),
                Subject::Member => Some(Role::Member),
                Subject::Stranger => None,
            };
            let creation = creation(&format!("{}@example.com", Uuid::now_v7()), None);
            let (id, part) = (creation.id, role.map(|role| FirstGrant::Member(organization, Some(role))));
            membership::create_as(node, &context(), creation, part, individual).await.unwrap();
            (who, id)
        });
        let people: BTreeMap<Subject, UserId> = join_all(people).await.into_iter().collect();
        let groups = [GroupId(Uuid::now_v7()), GroupId(Uuid::now_v7())];
        let world = World { nodes: nodes.to_vec(), organization, groups, people, individual };
        let created = [0, 1].map(|n| {
            let new = NewGroup {
                group: world.group(n),
                name: format!("Ward {n}"),
                kind: GroupKind::Regular,
                node_type: NodeType::Group,
                tags: Default::default(),
                individuals: std::iter::repeat_n(individual, usize::from(n == 0)).collect(),
                leaders: std::iter::repeat_n(world.people[&Subject::Leader], usize::from(n == 0)).collect(),
            };
            async move { groups::create(node, &context(), &new).await.unwrap() }
        });
        let circumstances = context();
        let disabled =
            membership::disable(node, &circumstances, world.people[&Subject::Off], world.people[&Subject::Admin]);
        let (_, disabled) = futures::join!(join_all(created), disabled);
        disabled.unwrap();
        world
    }

    fn group(&self, n: usize) -> GroupRef {
        GroupRef { organization: self.organization, id: self.groups[n] }
    }

    /// Whether the act was carried out rather than refused; any other error panics.
    async fn play(&self, node: &Node, act: Act) -> bool {
        match self.done(node, act).await {
            Ok(_) => true,
            Err(DirectoryError::Refused(_)) => false,
            Err(error) => panic!("{act:?}: {error:?}"),
        }
    }

    async fn done(&self, node: &Node, act: Act) -> ProcessResult {
        let (context, organization) = (&context(), self.organization);
        let id = |who: Subject| self.people[&who];
        // The acting user is none of the subjects.
        let by = UserId(Uuid::nil());
        match act {
            Act::Join(who) => {
                membership::join(
                    node,
                    context,
                    &registrar_aggregates::granting::Granter::system(),
                    id(who),
                    organization,
                    None,
                )
                .await
            }
            Act::Leave(who) => membership::leave(node, context, id(who), organization).await,
            Act::Grant(who, role) => {
                membership::grant(
                    node,
                    context,
                    &registrar_aggregates::granting::Granter::system(),
                    id(who),
                    organization,
                    role,
                )
                .await
            }
            Act::Revoke(who, role) => membership::revoke(node, context, id(who), organization, role).await,
            Act::Appoint(who, post, n) => {
                groups::appoint(node, context, self.group(n), post, &[id(who)].into(), None).await
            }
            Act::Relieve(who, post, n) => groups::relieve(node, context, self.group(n), post, &[id(who)].into()).await,
            Act::Disable(who) => membership::disable(node, context, id(who), by).await,
            Act::Enable(who) => membership::enable(node, context, id(who)).await,
            Act::Archive(who) => membership::archive(node, context, id(who)).await,
            Act::Replace(leaders, n) => {
                let leaders = Some(leaders.iter().map(|who| id(*who)).collect());
                groups::amend(node, context, self.group(n), &Amendment { leaders, ..Amendment::default() }, None).await
            }
            Act::Put(n) => groups::add_individuals(node, context, self.group(n), &[self.individual].into(), None).await,
            Act::Take(n) => groups::remove_individuals(node, context, self.group(n), &[self.individual].into()).await,
        }
    }

    /// The documents of all people, without identifiers and times.
    async fn snapshot(&self, node: &Node) -> String {
        let groups = |ids: Vec<GroupId>| {
            ids.iter().map(|id| self.groups.iter().position(|group| group == id)).collect::<Vec<_>>()
        };
        let mut told = String::new();
        for (who, id) in &self.people {
            let user = user_by_id(node, *id).await.unwrap().unwrap();
            let roles = user.memberships.get(&self.organization).map(|membership| membership.roles.clone());
            let posts = user.posts.get(&self.organization).cloned().unwrap_or_default();
            let (leads, works) =
                (groups(posts.leads.into_iter().collect()), groups(posts.works_in.into_iter().collect()));
            let enabled = user.state.is_enabled();
            writeln!(told, "{who:?}: enabled {enabled}, roles {roles:?}, leads {leads:?}, works in {works:?}").unwrap();
            for individual in &user.individuals {
                let found = node.documents.find::<IndividualDocument>(&individual.to_string()).await.unwrap();
                let places = found.value.and_then(|individual| individual.places.get(&self.organization).cloned());
                let places = places.map(|places| groups(places.into_iter().collect()));
                writeln!(told, "  an individual in {places:?}").unwrap();
            }
        }
        told
    }
}

/// The outcome of acts: whether each was carried out, and the documents afterwards.
type CaseOutcome = (Vec<bool>, String);

/// Every permutation of `count` indices.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![vec![]];
    }
    let shorter = orders(count - 1);
    shorter
        .iter()
        .flat_map(|order| {
            (0..count).map(|at| {
                let mut order = order.clone();
                order.insert(at, count - 1);
                order
            })
        })
        .collect()
}

/// The outcome of acts one after the other.
async fn in_order(nodes: &[Arc<Node>], acts: &[Act], order: Vec<usize>) -> CaseOutcome {
    let world = World::create(nodes).await;
    let mut done = vec![false; acts.len()];
    for n in order {
        done[n] = world.play(&nodes[0], acts[n]).await;
    }
    (done, world.snapshot(&nodes[0]).await)
}

/// Plays the acts of each case concurrently, on one node and on all, and compares the outcome with every order.
async fn check(nodes: &[Arc<Node>], cases: Vec<Vec<Act>>) {
    for cases in cases.chunks(CASES_AT_ONCE) {
        let ends = in_every_order(&nodes[..1], cases).await;
        check_together(&nodes[..1], cases, &ends).await;
        if nodes.len() > 1 {
            check_together(nodes, cases, &ends).await;
        }
    }
}

/// Outcomes of each case in every order of its acts.
async fn in_every_order(nodes: &[Arc<Node>], cases: &[Vec<Act>]) -> Vec<Vec<CaseOutcome>> {
    let all = cases.iter().flat_map(|acts| orders(acts.len()).into_iter().map(move |order| (acts, order)));
    let ends = stream::iter(all).map(|(acts, order)| in_order(nodes, acts, order)).buffered(AT_ONCE);
    let mut ends = ends.collect::<Vec<CaseOutcome>>().await.into_iter();
    cases.iter().map(|acts| ends.by_ref().take(orders(acts.len()).len()).collect()).collect()
}

async fn check_together(nodes: &[Arc<Node>], cases: &[Vec<Act>], ends: &[Vec<CaseOutcome>]) {
    let worlds: Vec<World> = stream::iter(cases).map(|_| World::create(nodes)).buffered(AT_ONCE).collect().await;

    let mut holder = nodes[0].journal.writer().await.unwrap();
    holder.lock().await.unwrap();
    let played = cases.iter().zip(&worlds).map(|(acts, world)| {
        join_all(acts.iter().enumerate().map(|(n, act)| world.play(&nodes[n % nodes.len()], *act)))
    });
    let mut played = std::pin::pin!(join_all(played));
    let early = tokio::time::timeout(GATHERING, played.as_mut()).await;
    holder.unlock().await.unwrap();
    let played = match early {
        Ok(played) => played,
        Err(_) => played.await,
    };
    for (((acts, world), done), serial) in cases.iter().zip(&worlds).zip(played).zip(ends) {
        let end = (done, world.snapshot(&nodes[0]).await);
        let count = nodes.len();
        assert!(
            serial.contains(&end),
            "{acts:?} on {count} nodes came to\n{end:?}\nand in every order to\n{serial:#?}"
        );
    }
}

fn pairs() -> Vec<Vec<Act>> {
    (0..ACTS.len()).flat_map(|n| ACTS[n..].iter().map(move |other| vec![ACTS[n], *other])).collect()
}

fn triples() -> Vec<Vec<Act>> {
    TRIPLES.iter().map(|acts| acts.to_vec()).collect()
}

async fn nodes(database: &Database, count: usize) -> Vec<Arc<Node>> {
    join_all((0..count).map(|_| database.open())).await
}

/// The largest number of nodes that a store can have.
async fn all_nodes(database: &Database) -> Vec<Arc<Node>> {
    nodes(database, if database.settings.database_url.is_some() { 2 } else { 1 }).await
}

on_both_stores! {
    async fn pairs_end_as_in_some_order(database) {
        check(&all_nodes(&database).await, pairs()).await;
    }

    async fn triples_end_as_in_some_order(database) {
        check(&all_nodes(&database).await, triples()).await;
    }

    async fn a_member_who_left_during_an_appointment_regains_no_post(database) {
        let nodes = nodes(&database, 2).await;
        let worlds: Vec<World> =
            stream::iter(0..48).map(|_| World::create(&nodes)).buffered(AT_ONCE).collect().await;
        let mut holder = nodes[0].journal.writer().await.unwrap();
        holder.lock().await.unwrap();
        let played = worlds.iter().enumerate().map(|(n, world)| {
            let (one, other) = (&nodes[n % 2], &nodes[n / 2 % 2]);
            let (given, left) = (Act::Appoint(Subject::Second, Post::Leader, 0), Act::Leave(Subject::Second));
            async move { futures::join!(world.play(one, given), world.play(other, left)) }
        });
        let mut played = std::pin::pin!(join_all(played));
        let early = tokio::time::timeout(GATHERING, played.as_mut()).await;
        holder.unlock().await.unwrap();
        let played = match early {
            Ok(played) => played,
            Err(_) => played.await,
        };
        assert!(played.iter().all(|(_, left)| *left));
        for world in &worlds {
            assert!(world.play(&nodes[0], Act::Join(Subject::Second)).await);
            let user = user_by_id(&nodes[0], world.people[&Subject::Second]).await.unwrap().unwrap();
            let posts = user.posts.get(&world.organization).cloned().unwrap_or_default();
            assert!(posts.leads.is_empty() && posts.works_in.is_empty(), "{posts:?}");
        }
    }
}
