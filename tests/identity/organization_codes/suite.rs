//! The operations on sign-up codes of A, which its admins keep.

use super::{CODES, INFO, KIND, code, path};
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Conflict, Create, List, Resource, query, times};
use crate::matrix::world::{Request, World, amendment};
use crate::suite::Suite;
use serde_json::json;

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-organization-codes", super::codes_are_listed_with_the_number_of_people_whom_they_brought::TEST),
        ("create-organization-code", super::a_code_is_created_shown_and_amended::TEST),
        ("get-organization-code", super::a_code_is_created_shown_and_amended::TEST),
        ("update-organization-code", super::a_code_is_created_shown_and_amended::TEST),
        ("get-organization-code-info", super::an_open_code_is_public_and_every_other_one_is_unknown::TEST),
        ("list-organization-code-users", super::people::people_who_signed_up_by_a_code_are_listed::TEST),
    ],
    table: "
        list-organization-codes       200 stranger sharing support service managers, 403 others
        create-organization-code      201 managers, 400 stranger sharing, 403 others
        get-organization-code         200 managers, 404 stranger sharing support service, 403 others
        update-organization-code      200 managers, 404 stranger sharing support service, 403 others
        get-organization-code-info    200 anonymous keys others
        list-organization-code-users  200 managers, 404 stranger sharing support service, 403 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[RESOURCE],
};

const RESOURCE: Resource = Resource {
    kind: KIND,
    caller: "admin",
    create: Has(Create { operation: "create-organization-code", listed: Has(|_, _| query(String::new())) }),
    read: Has("get-organization-code"),
    update: Has("update-organization-code"),
    list: Has(List {
        operation: "list-organization-codes",
        rows: |world| {
            Box::pin(async move {
                times(world, "create-organization-code", 3).await;
                String::new()
            })
        },
        paged: Lacks("the contract publishes no pages"),
        scope: Lacks("callers list the codes of the organizations that they administer"),
    }),
    hidden: Has(()),
    conflict: Has(Conflict::Repeated { pointer: "/data/attributes/id" }),
};

/// Creates a code of A; answers its identifier.
async fn made(world: &World) -> String {
    world.made_id(CODES, code(world.identity.acme, &world.name("Code"), json!({}))).await
}

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    Some(match operation {
        "create-organization-code" => {
            Request::to(CODES).json(code(world.identity.acme, &world.name("Code"), json!({})))
        }
        "update-organization-code" => {
            let id = made(world).await;
            let form = json!({ "enrollment-schema": { "title": world.name("form") } });
            Request::to(path(&id)).json(amendment(KIND, &id, form))
        }
        "get-organization-code-info" => Request::to(format!("{INFO}{}/", made(world).await)),
        "list-organization-code-users" => Request::to(format!("{}users/", path(&made(world).await))),
        _ => return None,
    })
}
