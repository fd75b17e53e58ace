//! The operations on groups and their people.

use super::{V1, V2};
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Conflict, Create, List, Resource, people, query, times};
use crate::matrix::world::{Request, World, amendment, document};
use crate::suite::Suite;
use crate::{group_eligible, group_lists, group_logs, group_people, moves};
use futures::future::BoxFuture;
use registrar_aggregates::user::Role;
use serde_json::{Value, json};

/// Operations on groups of A, each led by the leader, and on their people. `unseen` names a group or user of B.
pub const SUITE: Suite = Suite {
    tests: &[
        ("list-individual-groups-v1", group_lists::the_older_list_carries_the_people_as_well::TEST),
        ("list-individual-groups", group_lists::lists_are_filtered_by_attributes_of_groups::TEST),
        ("create-individual-group", super::a_group_is_created_with_its_first_people::TEST),
        ("get-individual-group-v1", super::a_group_is_visible_to_callers_who_may_read_it::TEST),
        ("get-individual-group", super::a_group_is_visible_to_callers_who_may_read_it::TEST),
        ("update-individual-group", super::a_change_replaces_names_tags_and_leaders_as_far_as_they_are_given::TEST),
        ("move-individual-group", moves::a_group_is_moved_with_everything_below_it::TEST),
        ("get-task", moves::a_group_is_moved_with_everything_below_it::TEST),
        ("add-group-individuals", group_people::individuals_come_and_leave_and_are_unassigned_in_between::TEST),
        ("remove-group-individuals", group_people::individuals_come_and_leave_and_are_unassigned_in_between::TEST),
        ("add-group-leaders", group_people::users_get_posts_by_identifier_and_by_address::TEST),
        ("remove-group-leaders", group_people::users_get_posts_by_identifier_and_by_address::TEST),
        ("add-group-members", group_people::users_get_posts_by_identifier_and_by_address::TEST),
        ("remove-group-members", group_people::users_get_posts_by_identifier_and_by_address::TEST),
        ("list-eligible-group-members", group_eligible::users_without_the_post_are_eligible::TEST),
        ("list-individual-group-individuals", group_people::the_people_of_a_group_are_listed_page_by_page::TEST),
        ("list-individual-group-leaders", group_people::the_people_of_a_group_are_listed_page_by_page::TEST),
        ("list-individual-group-logs", group_logs::every_coming_and_leaving_is_a_row_newest_first::TEST),
    ],
    table: "
        list-individual-groups-v1          200 others
        list-individual-groups             200 others
        create-individual-group            201 managers, 400 stranger sharing operator auditor, 403 others
        get-individual-group-v1            200 provider leader managers, 404 others
        get-individual-group               200 provider leader managers, 404 others
        update-individual-group            200 leader managers, 403 provider, 404 others
        move-individual-group              201 managers, 403 provider leader, 404 others
        move-individual-group:unseen       400 admin narrowed, 403 provider leader, 409 administrator system, 404 others
        add-group-leaders:unseen           400 leader managers, 403 provider, 404 others
        get-task                           200 managers, 404 others
        add-group-individuals              201 leader managers, 403 provider, 404 others
        remove-group-individuals           201 leader managers, 403 provider, 404 others
        add-group-leaders                  201 leader managers, 403 provider, 404 others
        remove-group-leaders               201 leader managers, 403 provider, 404 others
        add-group-members                  201 leader managers, 403 provider, 404 others
        remove-group-members               201 leader managers, 403 provider, 404 others
        list-eligible-group-members        200 leader managers, 403 provider, 404 others
        list-individual-group-individuals  200 provider leader managers, 404 others
        list-individual-group-leaders      200 provider leader managers, 404 others
        list-individual-group-logs         200 leader managers, 403 provider, 404 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[GROUPS, GROUPS_WITHOUT_PEOPLE, GROUP_INDIVIDUALS, GROUP_LEADERS, GROUP_LOGS],
};

const GROUPS: Resource = Resource {
    kind: "individual-groups",
    caller: "system",
    create: Has(Create {
        operation: "create-individual-group",
        listed: Has(|world, _| query(format!("organization-id={}", world.identity.acme))),
    }),
    read: Has("get-individual-group-v1"),
    update: Has("update-individual-group"),
    list: Has(List {
        operation: "list-individual-groups-v1",
        rows: three_groups,
        paged: Has(()),
        scope: Has("organization-id"),
    }),
    hidden: Has(()),
    conflict: Has(Conflict::Repeated { pointer: "/data/attributes/name" }),
};

fn three_groups(world: &World) -> BoxFuture<'_, String> {
    Box::pin(async move {
        times(world, "create-individual-group", 3).await;
        format!("organization-id={}", world.identity.acme)
    })
}

/// The list of groups without their people.
const GROUPS_WITHOUT_PEOPLE: Resource = Resource {
    kind: "individual-groups",
    caller: "system",
    create: Lacks("created as those with their people"),
    read: Has("get-individual-group"),
    update: Lacks("changed as those with their people"),
    list: Has(List {
        operation: "list-individual-groups",
        rows: three_groups,
        paged: Has(()),
        scope: Has("organization-id"),
    }),
    hidden: Has(()),
    conflict: Lacks("created as those with their people"),
};

const A_VIEW: &str = "rows are a view of something else";

const GROUP_INDIVIDUALS: Resource = list_of_group("individual-group-individuals", "list-individual-group-individuals");
const GROUP_LEADERS: Resource = list_of_group("individual-group-leaders", "list-individual-group-leaders");
const GROUP_LOGS: Resource = list_of_group("individual-group-logs", "list-individual-group-logs");

/// A list of the people or individuals of one group.
const fn list_of_group(kind: &'static str, operation: &'static str) -> Resource {
    Resource {
        kind,
        caller: "system",
        create: Lacks(A_VIEW),
        read: Lacks(A_VIEW),
        update: Lacks(A_VIEW),
        list: Has(List {
            operation,
            rows: |world| Box::pin(peopled_group(world)),
            paged: Has(()),
            scope: Has("individual-group-id"),
        }),
        hidden: Lacks(A_VIEW),
        conflict: Lacks(A_VIEW),
    }
}

async fn peopled_group(world: &World) -> String {
    let mut individuals = Vec::new();
    for _ in 0..3 {
        individuals.push(world.identity.individual(world.identity.acme).await);
    }
    let leaders = people(world, 3).await;
    let group = world.group(json!({ "individual-ids": individuals, "leader-ids": leaders })).await;
    format!("individual-group-id={group}")
}

impl World {
    /// Creates a group of A with further attributes.
    pub async fn group(&self, more: Value) -> String {
        let mut attributes = json!({
            "name": self.name("Ward"), "organization-id": self.identity.acme, "type": "regular", "leader-ids": [self.leader],
        });
        attributes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.made_id(V1, document("individual-groups", attributes)).await
    }
}

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    if let Some(request) = of_groups(world, operation).await {
        return Some(request);
    }
    of_people(world, operation).await
}

async fn of_groups(world: &World, operation: &str) -> Option<Request> {
    let acme = world.identity.acme;
    Some(match operation {
        "list-individual-groups-v1" => Request::to(format!("{V1}?organization-id={acme}")),
        "list-individual-groups" => Request::to(format!("{V2}?organization-id={acme}")),
        "create-individual-group" => {
            let attributes = json!({ "name": world.name("Ward"), "organization-id": acme, "type": "regular" });
            Request::to(V1).json(document("individual-groups", attributes))
        }
        "get-individual-group-v1" => Request::to(format!("{V1}{}/", world.group(json!({})).await)),
        "get-individual-group" => Request::to(format!("{V2}{}/", world.group(json!({})).await)),
        "update-individual-group" => {
            let group = world.group(json!({})).await;
            let change = amendment("individual-groups", &group, json!({ "name": world.name("Renamed") }));
            Request::to(format!("{V1}{group}/")).json(change)
        }
        "move-individual-group" => {
            let group = world.group(json!({})).await;
            let division = world.group(json!({ "node-type": "division", "leader-ids": [] })).await;
            Request::to(format!("{V1}{group}/move-group/")).json(json!({ "to-parent-group-id": division }))
        }
        "move-individual-group:unseen" => {
            let group = world.group(json!({})).await;
            let attributes = json!({
                "name": world.name("Ward"), "organization-id": world.identity.other, "type": "regular", "node-type": "division",
            });
            let elsewhere = world.made_id(V1, document("individual-groups", attributes)).await;
            Request::to(format!("{V1}{group}/move-group/")).json(json!({ "to-parent-group-id": elsewhere }))
        }
        "add-group-leaders:unseen" => {
            let path = format!("{V1}{}/add-leaders/", world.group(json!({})).await);
            Request::to(path).json(json!({ "user-ids": [world.outsider().await.id] }))
        }
        "get-task" => {
            let group = world.group(json!({})).await;
            let division = world.group(json!({ "node-type": "division", "leader-ids": [] })).await;
            let admin = world.caller("admin").authorization.clone();
            let start = Request::to(format!("{V1}{group}/move-group/")).json(json!({ "to-parent-group-id": division }));
            let moved = world.send("POST", &start, admin.as_deref(), &[]).await;
            world.settled(&moved).await;
            let body: Value = serde_json::from_str(&moved.text).unwrap();
            Request::to(format!("/v1/tasks/{}/", body["data"]["task-id"].as_str().unwrap()))
        }
        "list-individual-group-individuals" => of_group(world, "individual-group-individuals").await,
        "list-individual-group-leaders" => of_group(world, "individual-group-leaders").await,
        "list-individual-group-logs" => of_group(world, "individual-group-logs").await,
        "list-eligible-group-members" => {
            Request::to(format!("{V1}{}/eligible-members/?member-type=member", world.group(json!({})).await))
        }
        _ => return None,
    })
}

async fn of_group(world: &World, list: &str) -> Request {
    Request::to(format!("/v1/{list}/?individual-group-id={}", world.group(json!({})).await))
}

async fn of_people(world: &World, operation: &str) -> Option<Request> {
    let act = |group: &str, act: &str, body: Value| Request::to(format!("{V1}{group}/{act}/")).json(body);
    Some(match operation {
        "add-group-individuals" => {
            let individual = world.identity.individual(world.identity.acme).await;
            act(&world.group(json!({})).await, "add-individuals", json!({ "individual-ids": [individual] }))
        }
        "remove-group-individuals" => {
            let individual = world.identity.individual(world.identity.acme).await;
            let group = world.group(json!({ "individual-ids": [individual] })).await;
            act(&group, "remove-individuals", json!({ "individual-ids": [individual] }))
        }
        "add-group-leaders" | "add-group-members" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let post = operation.trim_start_matches("add-group-");
            act(&world.group(json!({})).await, &format!("add-{post}"), json!({ "user-ids": [person.id] }))
        }
        "remove-group-leaders" | "remove-group-members" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let post = operation.trim_start_matches("remove-group-");
            let (group, body) = (world.group(json!({})).await, json!({ "user-ids": [person.id] }));
            world.made("POST", &format!("{V1}{group}/add-{post}/"), body.clone()).await;
            act(&group, &format!("remove-{post}"), body)
        }
        _ => return None,
    })
}
