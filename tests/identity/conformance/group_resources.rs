//! Groups, the individuals in them, and the lists of their people.

use super::resources::{Conflict, Create, List, Part, Query, Resource, again, people, query, times};
use crate::matrix::world::World;
use Part::{Has, Lacks};
use serde_json::{Value, json};

const A_VIEW: &str = "rows are a view of something else";

pub fn groups() -> Resource {
    Resource {
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
            rows: |world| {
                Box::pin(async move {
                    times(world, "create-individual-group", 3).await;
                    format!("organization-id={}", world.identity.acme)
                })
            },
            paged: Has(()),
            scope: Has("organization-id"),
        }),
        hidden: Has(()),
        conflict: Has(Conflict {
            method: "POST",
            request: |world| Box::pin(again(world, "create-individual-group")),
            pointer: "/data/attributes/name",
        }),
    }
}

/// The list of groups without their people.
pub fn groups_alone() -> Resource {
    Resource {
        kind: "individual-groups",
        caller: "system",
        create: Lacks("created as those with their people"),
        read: Has("get-individual-group"),
        update: Lacks("changed as those with their people"),
        list: Has(List {
            operation: "list-individual-groups",
            rows: |world| {
                Box::pin(async move {
                    times(world, "create-individual-group", 3).await;
                    format!("organization-id={}", world.identity.acme)
                })
            },
            paged: Has(()),
            scope: Has("organization-id"),
        }),
        hidden: Has(()),
        conflict: Lacks("created as those with their people"),
    }
}

pub fn individuals() -> Resource {
    Resource {
        kind: "individuals",
        caller: "system",
        create: Has(Create { operation: "create-individual", listed: Lacks("there is no list of them") }),
        read: Has("get-individual"),
        update: Lacks("the owner never changes"),
        list: Lacks("individuals are listed by the questions of access"),
        hidden: Has(()),
        conflict: Has(Conflict {
            method: "POST",
            request: |world| {
                Box::pin(async move {
                    let request = again(world, "create-individual").await;
                    let mut body: Value = serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
                    body["data"]["attributes"]["owner-id"] = json!(world.identity.other);
                    request.json(body)
                })
            },
            pointer: "/data/attributes/owner-id",
        }),
    }
}

/// A list of the people or individuals of one group.
fn of_group(kind: &'static str, operation: &'static str, rows: Query) -> Resource {
    Resource {
        kind,
        caller: "system",
        create: Lacks(A_VIEW),
        read: Lacks(A_VIEW),
        update: Lacks(A_VIEW),
        list: Has(List { operation, rows, paged: Has(()), scope: Has("individual-group-id") }),
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

pub fn group_individuals() -> Resource {
    let operation = "list-individual-group-individuals";
    of_group("individual-group-individuals", operation, |world| Box::pin(peopled_group(world)))
}

pub fn group_leaders() -> Resource {
    of_group("individual-group-leaders", "list-individual-group-leaders", |world| Box::pin(peopled_group(world)))
}

pub fn group_logs() -> Resource {
    of_group("individual-group-logs", "list-individual-group-logs", |world| Box::pin(peopled_group(world)))
}
