//! The access engine agrees with the written rules after any history of acts. The rules are written a second time here,
//! in the plainest form: the journal's events fold into a [`World`] of sets, and a grant is a statement about it. None
//! of it uses `src/access` or the read models.

mod acts;
mod tenants;
mod world;

use crate::support::Database;
use acts::{Act, Stage, act};
use futures::future::{join_all, try_join_all};
use proptest::test_runner::{Config, TestRunner};
use registrar::access::{Access, AccessQuery, Holder, Operation, PageRequest, Resource};
use registrar::node::Node;
use registrar_aggregates::values::{GroupId, IndividualId, OrganizationId, UserId};
use std::collections::BTreeSet;
use tokio::runtime::Handle;
use uuid::Uuid;
use world::World;

const CASES: u32 = 6;
const ALL: PageRequest = PageRequest { limit: 10_000, offset: 0 };

fn texts<T: ToString>(ids: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

async fn holder(node: &Node, user: UserId) -> Holder {
    Access::new(node.documents.clone()).holder(user).await.unwrap()
}

async fn listed(
    access: &Access,
    holder: &Holder,
    open: (Resource, Operation),
    others: &[AccessQuery],
    organization: Option<OrganizationId>,
) -> BTreeSet<String> {
    let (resource, operation) = open;
    let open = AccessQuery { resource, operation };
    let page = access.list(holder, &open, others, organization, ALL).await.unwrap().expect("it can be listed");
    assert_eq!(page.total, page.items.len() as u64);
    // A query without an identifier asks whether the list has any entry.
    if others.is_empty() && organization.is_none() {
        assert_eq!(access.allows(holder, &open).await.unwrap(), page.total > 0, "{open:?}");
    }
    texts(page.items)
}

/// Compares the engine with the world: single queries, lists, and the lists of accessors.
async fn compare(node: &Node, stage: &Stage) {
    let world = World::read(node).await;
    assert_eq!(world.posts_without_role(), []);
    let access = Access::new(node.documents.clone());
    let individuals: BTreeSet<_> = world.owners.keys().copied().chain(stage.owned.iter().copied()).collect();
    let groups: BTreeSet<_> = world.all_groups().into_keys().chain(stage.groups.iter().copied()).collect();
    let unknown = OrganizationId(Uuid::nil());
    let organizations: Vec<_> = stage.organizations.iter().copied().chain([unknown]).collect();

    for user in stage.users.iter().copied().chain([UserId(Uuid::nil())]) {
        let holder = holder(node, user).await;
        let mut asked = Vec::new();
        for operation in [Operation::Read, Operation::Write] {
            let of = individuals.iter().map(|id| (Resource::Individual(Some(*id)), world.individual(user, *id)));
            asked.extend(of.map(|(resource, expected)| (AccessQuery { resource, operation }, expected)));
            let of = organizations
                .iter()
                .map(|id| (Resource::Organization(Some(*id)), world.organization(user, *id, operation)));
            asked.extend(of.map(|(resource, expected)| (AccessQuery { resource, operation }, expected)));
        }
        for operation in [Operation::Read, Operation::Write, Operation::Contain] {
            let of = groups.iter().map(|id| (Resource::Group(Some(*id)), world.group(user, *id, operation)));
            asked.extend(of.map(|(resource, expected)| (AccessQuery { resource, operation }, expected)));
        }
        let answers = try_join_all(asked.iter().map(|(query, _)| access.allows(&holder, query))).await.unwrap();
        for ((query, expected), answer) in asked.iter().zip(answers) {
            assert_eq!(answer, *expected, "{user} {query:?}");
        }

        // A list is the set of resources that single queries allow.
        let within = |organization: Option<OrganizationId>| {
            let everything = world.active(user).is_some_and(|person| person.administers_all);
            let world = &world;
            move |individual: &&IndividualId| match organization {
                None => world.individual(user, **individual),
                Some(organization) => {
                    let one = world.is_of(**individual, organization);
                    let of_user = everything || world.owns(user, **individual);
                    one && of_user || world.through(user, **individual, organization)
                }
            }
        };
        for operation in [Operation::Read, Operation::Write] {
            for organization in std::iter::once(None).chain(organizations.iter().copied().map(Some)) {
                let open = (Resource::Individual(None), operation);
                let expected = texts(individuals.iter().filter(within(organization)));
                assert_eq!(
                    listed(&access, &holder, open, &[], organization).await,
                    expected,
                    "{user} {organization:?}"
                );
            }
            for group in &groups {
                let inside = AccessQuery { resource: Resource::Group(Some(*group)), operation: Operation::Contain };
                let inside = std::slice::from_ref(&inside);
                let open = (Resource::Individual(None), operation);
                let expected = individuals.iter().filter(within(None)).filter(|one| world.is_inside(**one, *group));
                let expected = texts(expected);
                assert_eq!(listed(&access, &holder, open, inside, None).await, expected, "{user} in {group}");
                let open = (Resource::Group(None), operation);
                let expected =
                    groups.iter().filter(|one| world.group(user, **one, operation) && world.is_under(**one, *group));
                let expected = texts(expected);
                assert_eq!(listed(&access, &holder, open, inside, None).await, expected, "{user} under {group}");
            }
            let open = (Resource::Organization(None), operation);
            let expected = organizations.iter().filter(|one| world.organization(user, **one, operation));
            assert_eq!(listed(&access, &holder, open, &[], None).await, texts(expected), "{user}");
        }
        for operation in [Operation::Read, Operation::Write, Operation::Contain] {
            for organization in std::iter::once(None).chain(organizations.iter().copied().map(Some)) {
                let open = (Resource::Group(None), operation);
                let here =
                    |group: &GroupId| organization.is_none_or(|here| world.all_groups().get(group) == Some(&here));
                let expected = groups.iter().filter(|one| here(one) && world.group(user, **one, operation));
                let expected = texts(expected);
                assert_eq!(listed(&access, &holder, open, &[], organization).await, expected, "{user} {operation:?}");
            }
        }
    }

    // The users with access to a resource are the inverse of the resources that a user has access to.
    for organization in std::iter::once(None).chain(stage.organizations.iter().copied().map(Some)) {
        let members = |user: &&UserId| {
            organization
                .is_none_or(|one| world.organizations.contains_key(&one) && world.users[user].member_of.contains(&one))
        };
        let asked = individuals.iter().map(async |individual| {
            let found = access.accessors_of_individuals(&[*individual], organization, ALL).await.unwrap();
            let may = stage.users.iter().filter(members).filter(|user| world.individual(**user, *individual));
            assert_eq!(texts(found.items), texts(may), "{individual} {organization:?}");
        });
        join_all(asked).await;
        for operation in [Operation::Read, Operation::Write] {
            for one in &organizations {
                let found = access.accessors_of_organizations(&[*one], operation, organization, ALL).await.unwrap();
                let may = stage.users.iter().filter(members).filter(|user| world.organization(**user, *one, operation));
                assert_eq!(texts(found.items), texts(may), "{one} {operation:?} {organization:?}");
            }
        }
    }
    let some: Vec<_> = individuals.iter().copied().step_by(2).collect();
    let found = access.accessors_of_individuals(&some, None, ALL).await.unwrap();
    let may = stage.users.iter().filter(|user| some.iter().any(|individual| world.individual(**user, *individual)));
    assert_eq!(texts(found.items), texts(may), "{some:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_agrees_with_the_rules_after_any_history() {
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let histories = proptest::collection::vec(act(), 50..100);
    let case = |acts: Vec<Act>| {
        Handle::current().block_on(async {
            let database = Database::sqlite_with_tables();
            let node = database.open().await;
            let stage = Stage::open(&node).await;
            for some in acts.chunks(40) {
                for act in some {
                    stage.play(&node, act).await;
                }
                compare(&node, &stage).await;
            }
            node.close().await;
        });
        Ok(())
    };
    tokio::task::block_in_place(|| TestRunner::new(config).run(&histories, case)).unwrap();
}
