//! Moves of groups, and the tasks that carry them out.

use crate::app::{Identity, Person};
use crate::ecg_app::NOBODY;
use crate::groups::{V1, V2, new_group_with, system_group};
use crate::on_both_stores;
use crate::support::Database;
use futures::future::join_all;
use proptest::test_runner::{Config, TestRunner};
use registrar::executor::RequestContext;
use registrar::node::Node;
use registrar::processes::groups::GroupRef;
use registrar::processes::{membership, moves};
use registrar_aggregates::group::SystemGroup;
use registrar_aggregates::group::tree::{Tree, TreeCommand};
use registrar_aggregates::task::{Task, TaskCommand};
use registrar_aggregates::user::Role;
use registrar_aggregates::values::{GroupId, OrganizationId, TaskId, UserId};
use registrar_projections::groups::{self, GroupDocument, Parents, TreeDocument};
use registrar_projections::tasks::{self, TaskDocument};
use registrar_projections::{Direction, Query};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::runtime::Handle;
use uuid::Uuid;

/// Longest wait for a task.
const PATIENCE: Duration = Duration::from_secs(30);

fn move_path(group: &str) -> String {
    format!("{V1}{group}/move-group/")
}

fn to(parent: impl ToString) -> Value {
    json!({"to-parent-group-id": parent.to_string()})
}

fn group(id: &str) -> GroupId {
    GroupId(id.parse().unwrap())
}

/// Queues a move past the API and leaves it there, as a node does that crashes at once.
async fn abandoned(identity: &Identity, id: &str, under: Option<&str>) -> TaskId {
    let (task, context) = (TaskId(Uuid::now_v7()), RequestContext::system());
    let moved = GroupRef { organization: OrganizationId(identity.acme), id: group(id) };
    moves::queue(identity.node(), &context, task, moved, under.map(group)).await.unwrap();
    task
}

impl Identity {
    /// Starts a move; answers its task.
    async fn start_move(&self, caller: &Person, id: &str, parent: impl ToString) -> String {
        let answer = self.post(caller, &move_path(id), &to(parent)).await;
        assert_eq!(answer, json!({"data": {"task-id": answer["data"]["task-id"]}}));
        answer["data"]["task-id"].as_str().unwrap().to_owned()
    }

    /// The outcome of a task, once it has ended.
    async fn ended(&self, caller: &Person, task: &str) -> Value {
        let ended = async {
            loop {
                let head = self.node().heads.position();
                let shown = self.get(caller, &format!("/v1/tasks/{task}/")).await["data"].clone();
                if !shown["attributes"]["finished-time"].is_null() {
                    return shown;
                }
                self.node().heads.reach(head + 1).await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap()
    }

    async fn state_of(&self, task: TaskId) -> Value {
        self.get(&self.admin, &format!("/v1/tasks/{task}/")).await["data"]["attributes"]["state"].clone()
    }

    async fn parent_of(&self, id: &str) -> Value {
        self.get(&self.admin, &format!("{V2}{id}/")).await["data"]["attributes"]["parent-group"]["id"].clone()
    }
}

on_both_stores! {
    async fn a_group_is_moved_with_everything_below_it(database) {
        let identity = Identity::open(&database).await;
        let (north, east) = (identity.new_division("North").await, identity.new_division("East").await);
        let ward = identity.new_node("Ward 7", &json!({"individual-ids": [identity.participant.individual]})).await;
        let leads = json!({"user-ids": [identity.provider.id]});
        identity.staffed(&north, "add-leaders", &leads).await;
        let task = identity.start_move(&identity.admin, &ward, &east).await;
        let shown = identity.ended(&identity.admin, &task).await;
        assert_eq!(shown, json!({"type": "tasks", "id": task, "attributes": {
            "state": "done", "created-time": shown["attributes"]["created-time"],
            "finished-time": shown["attributes"]["finished-time"], "error": null,
        }}));
        assert_eq!(identity.shown(&identity.provider, &ward).await["self-can-write"], false);
        let task = identity.start_move(&identity.admin, &east, &north).await;
        identity.ended(&identity.admin, &task).await;
        assert_eq!([identity.parent_of(&ward).await, identity.parent_of(&east).await], [json!(east), json!(north)]);
        // The leader of a division leads the groups that were moved under it.
        let shown = identity.shown(&identity.provider, &ward).await;
        assert_eq!([&shown["self-can-write"], &shown["parent-group"]["name"]], [&json!(true), &json!("East")]);
        assert_eq!(identity.shown(&identity.admin, &north).await["individuals-count"], 1);

        let task = identity.start_move(&identity.admin, &ward, identity.acme).await;
        assert_eq!(identity.ended(&identity.admin, &task).await["attributes"]["state"], "done");
        assert_eq!(identity.parent_of(&ward).await, Value::Null);
        assert_eq!(identity.shown(&identity.provider, &ward).await["self-can-write"], false);
        // A move to the present place is done at once.
        let head = identity.head().await;
        let task = identity.start_move(&identity.admin, &ward, identity.acme).await;
        assert_eq!(identity.ended(&identity.admin, &task).await["attributes"]["state"], "done");
        assert_eq!(identity.head().await, head + 3);
    }

    async fn moves_that_cannot_be_are_refused(database) {
        let identity = Identity::open(&database).await;
        let admin = &identity.admin;
        let (north, east) = (identity.new_division("North").await, identity.new_division("East").await);
        let (ward, other) = (identity.ward("Ward 7").await, identity.ward("Ward 8").await);
        identity.hang_group(&east, Some(&north)).await;
        let system = system_group(SystemGroup::Unassigned, identity.acme);
        let elsewhere = new_group_with(identity.other, "Elsewhere", &json!({"node-type": "division"}));
        let elsewhere = identity.post(&identity.other_admin, V1, &elsewhere).await;
        let elsewhere = elsewhere["data"]["id"].as_str().unwrap();
        for (moved, parent) in [
            (&north, &north), (&north, &east), (&ward, &other), (&ward, &ward), (&ward, &system), (&system, &north),
        ] {
            identity.post_refused(admin, &move_path(moved), &to(parent), 409, "conflict").await;
        }
        identity.post_refused(&identity.system, &move_path(&ward), &to(elsewhere), 409, "conflict").await;
        let mut told = BTreeSet::new();
        for parent in [elsewhere, NOBODY, &identity.other.to_string()] {
            let error = identity.post_refused(admin, &move_path(&ward), &to(parent), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/to-parent-group-id");
            told.insert(error.to_string());
        }
        assert_eq!(told.len(), 1, "what is not seen is told as what is not there: {told:?}");
        let more = json!({"to-parent-group-id": north, "x": 1});
        for wrong in [json!({}), to("x"), json!({"to-parent-group-id": null}), more] {
            identity.post_refused(admin, &move_path(&ward), &wrong, 400, "validation-error").await;
        }
        identity.post_refused(admin, &move_path(NOBODY), &to(&north), 404, "not-found").await;
        identity.post_refused(&identity.participant, &move_path(&ward), &to(&north), 404, "not-found").await;
        identity.post_refused(&identity.other_admin, &move_path(&ward), &to(&north), 404, "not-found").await;
        // A leader of a group may not move it.
        identity.staffed(&ward, "add-leaders", &json!({"user-ids": [identity.provider.id]})).await;
        identity.post_refused(&identity.provider, &move_path(&ward), &to(&north), 403, "forbidden").await;
    }

    async fn one_group_of_an_organization_moves_at_a_time(database) {
        let identity = Identity::open(&database).await;
        let north = identity.new_division("North").await;
        let (ward, other) = (identity.ward("Ward 7").await, identity.ward("Ward 8").await);
        let task = abandoned(&identity, &ward, Some(&north)).await;
        for moved in [&ward, &other] {
            identity.post_refused(&identity.admin, &move_path(moved), &to(&north), 409, "conflict").await;
        }
        moves::carry_out(identity.node(), task).await.unwrap();
        let task = identity.start_move(&identity.admin, &other, &north).await;
        assert_eq!(identity.ended(&identity.admin, &task).await["attributes"]["state"], "done");
    }

    async fn a_move_that_has_become_impossible_fails_and_changes_nothing(database) {
        let identity = Identity::open(&database).await;
        let (north, east) = (identity.new_division("North").await, identity.new_division("East").await);
        let ward = identity.ward("Ward 7").await;
        identity.hang_group(&ward, Some(&north)).await;
        let namesake = identity.ward("WARD 7").await;
        let task = identity.start_move(&identity.admin, &namesake, &north).await;
        let shown = identity.ended(&identity.admin, &task).await;
        assert_eq!([&shown["attributes"]["state"], &shown["attributes"]["error"]], [
            "failed", "another group there has the name already",
        ]);
        assert_eq!(identity.parent_of(&namesake).await, Value::Null);

        let task = abandoned(&identity, &north, Some(&east)).await;
        let hang = TreeCommand::Hang { node: group(&east), under: Some(group(&north)) };
        let tree = identity.acme.to_string();
        identity.node().executor.execute::<Tree>(&RequestContext::system(), &tree, hang, None).await.unwrap();
        let head = identity.head().await;
        moves::carry_out(identity.node(), task).await.unwrap();
        let shown = identity.ended(&identity.admin, &task.to_string()).await;
        assert_eq!([&shown["attributes"]["state"], &shown["attributes"]["error"]], [
            "failed", "a group cannot hang under itself",
        ]);
        assert_eq!(identity.head().await, head + 2, "started and failed");
        assert_eq!(identity.parent_of(&north).await, Value::Null);
        // The failed move does not block the next one.
        let task = identity.start_move(&identity.admin, &ward, identity.acme).await;
        identity.ended(&identity.admin, &task).await;
    }

    async fn an_abandoned_task_is_carried_out_by_the_next_node_that_resumes(database) {
        let identity = Identity::open(&database).await;
        let north = identity.new_division("North").await;
        let ward = identity.ward("Ward 7").await;
        let queued = abandoned(&identity, &ward, Some(&north)).await;
        assert_eq!(identity.state_of(queued).await, "queued");
        let later = database.open().await;
        moves::resume(&later).await.unwrap();
        assert_eq!(identity.state_of(queued).await, "done");
        assert_eq!(identity.parent_of(&ward).await, json!(north));

        // A task whose node crashed in the middle is carried out as well.
        let begun = abandoned(&identity, &ward, None).await;
        let (context, id) = (RequestContext::system(), begun.to_string());
        identity.node().executor.execute::<Task>(&context, &id, TaskCommand::Start, None).await.unwrap();
        assert_eq!(identity.state_of(begun).await, "running");
        moves::resume(&later).await.unwrap();
        assert_eq!(identity.state_of(begun).await, "done");
        assert_eq!(identity.parent_of(&ward).await, Value::Null);
        let head = identity.head().await;
        for task in [queued, begun, TaskId(Uuid::now_v7())] {
            moves::carry_out(identity.node(), task).await.unwrap();
        }
        moves::resume(identity.node()).await.unwrap();
        assert_eq!(identity.head().await, head, "what has ended is not done again");
    }

    async fn a_task_run_by_several_nodes_is_carried_out_once(database) {
        let identity = Identity::open(&database).await;
        let north = identity.new_division("North").await;
        let ward = identity.ward("Ward 7").await;
        let second = database.open().await;
        let task = abandoned(&identity, &ward, Some(&north)).await;
        let before = identity.head().await;
        let nodes: [&Node; 4] = [identity.node(), &second, identity.node(), &second];
        let done = join_all(nodes.map(|node| moves::carry_out(node, task))).await;
        let resumed = join_all(nodes.map(moves::resume)).await;
        assert!(done.iter().all(Result::is_ok) && resumed.iter().all(Result::is_ok), "{done:?} {resumed:?}");
        // Two events for the start; then one in the tree and one at the group.
        assert_eq!(identity.head().await, before + 4);
        assert_eq!(identity.parent_of(&ward).await, json!(north));
        let shown = identity.shown(&identity.admin, &north).await;
        assert_eq!(shown["child-count"], 1);
    }

    async fn a_task_is_shown_to_its_starter_and_to_admins(database) {
        let identity = Identity::open(&database).await;
        let ward = identity.ward("Ward 7").await;
        let former = identity.person("former", identity.acme, Some(Role::Admin)).await;
        let task = identity.start_move(&former, &ward, identity.acme).await;
        identity.ended(&former, &task).await;
        let (user, organization) = (UserId(former.id), OrganizationId(identity.acme));
        membership::revoke(identity.node(), &RequestContext::system(), user, organization, Role::Admin).await.unwrap();
        let path = format!("/v1/tasks/{task}/");
        for caller in [&former, &identity.admin, &identity.system] {
            identity.get(caller, &path).await;
        }
        for caller in [&identity.provider, &identity.participant, &identity.other_admin, &identity.service] {
            identity.get_refused(caller, &path, 404, "not-found").await;
        }
        for unknown in [NOBODY, "x"] {
            identity.get_refused(&identity.admin, &format!("/v1/tasks/{unknown}/"), 404, "not-found").await;
        }
        identity.refused(identity.app.call("GET", &path).token(None), 401, "unauthenticated").await;
    }

    async fn the_same_move_again_is_answered_alike(database) {
        let identity = Identity::open(&database).await;
        let north = identity.new_division("North").await;
        let ward = identity.ward("Ward 7").await;
        let body = to(&north);
        let send = async || {
            let call = identity.call(&identity.admin, "POST", &move_path(&ward)).header("idempotency-key", "once");
            call.json(&body).send().await
        };
        let first = send().await.json();
        identity.ended(&identity.admin, first["data"]["task-id"].as_str().unwrap()).await;
        let head = identity.head().await;
        let second = send().await;
        assert_eq!((second.json(), second.header("idempotency-replayed")), (first, "true"));
        assert_eq!(identity.head().await, head);
    }
}

/// Checks every invariant of the tree of Acme.
async fn check_tree(identity: &Identity) {
    let documents = &identity.node().documents;
    let tree = documents.find::<TreeDocument>(&identity.acme.to_string()).await.unwrap().value;
    let parents = tree.map(|tree| tree.parents.clone()).unwrap_or_default();
    for node in parents.keys() {
        let above = std::iter::successors(Some(node), |node| parents.get(node));
        assert!(above.take(parents.len() + 2).count() <= parents.len() + 1, "a cycle: {parents:?}");
    }
    let all = Query::<GroupDocument>::sorted(&groups::BY_ID, Direction::Ascending)
        .equal(&groups::ORGANIZATION_ID, identity.acme.to_string());
    let all = documents.page(all).await.unwrap().value.items;
    let told: Parents = all.iter().filter_map(|group| Some((group.id, group.parent?))).collect();
    assert_eq!(told, parents, "groups and tree tell the same");
    for group in &all {
        let children = parents.values().filter(|parent| **parent == group.id).count();
        assert_eq!(group.children, children as u64);
    }
    let open = Query::<TaskDocument>::sorted(&tasks::BY_CREATION, Direction::Ascending).equal(&tasks::OPEN, "true");
    assert_eq!(documents.page(open).await.unwrap().value.total, 0);
}

/// Concurrent moves, by number: the group and its new parent, or the top.
type Round = Vec<(usize, Option<usize>)>;

async fn concurrent_moves(database: Database, rounds: Vec<Round>) {
    let identity = Identity::open(&database).await;
    let mut nodes = Vec::new();
    for number in 0..5 {
        nodes.push(identity.new_division(&format!("Division {number}")).await);
    }
    let context = RequestContext::system();
    let moved = async |(what, to): (usize, Option<usize>)| {
        let (task, id) = (TaskId(Uuid::now_v7()), group(&nodes[what]));
        let moved = GroupRef { organization: OrganizationId(identity.acme), id };
        let to = to.map(|to| group(&nodes[to]));
        // Most are refused, since another move is under way.
        let _ = moves::queue(identity.node(), &context, task, moved, to).await;
        moves::carry_out(identity.node(), task).await.unwrap();
        moves::resume(identity.node()).await.unwrap();
    };
    for round in rounds {
        join_all(round.into_iter().map(moved)).await;
        check_tree(&identity).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_moves_of_groups_keep_a_tree() {
    let round = proptest::collection::vec((0..5_usize, proptest::option::weighted(0.8, 0..5_usize)), 1..5);
    let rounds = proptest::collection::vec(round, 1..12);
    let config = Config { cases: 6, failure_persistence: None, max_shrink_iters: 20, ..Config::default() };
    let case = |rounds| {
        Handle::current().block_on(concurrent_moves(Database::sqlite_with_tables(), rounds));
        Ok(())
    };
    tokio::task::block_in_place(|| TestRunner::new(config).run(&rounds, case)).unwrap();
}
