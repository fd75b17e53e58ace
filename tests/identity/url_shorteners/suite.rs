//! The operations on short links of A, which its admins and programs keep.

use super::{KIND, LINKS, link};
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Create, List, Resource, member, query, times};
use crate::matrix::world::{Request, World, amendment};
use crate::suite::Suite;
use serde_json::json;

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-url-shorteners", super::links_are_listed_by_code_and_by_organization::TEST),
        ("create-url-shortener", super::a_link_is_created_shown_and_amended::TEST),
        ("get-url-shortener", super::a_link_is_created_shown_and_amended::TEST),
        ("update-url-shortener", super::a_link_is_created_shown_and_amended::TEST),
    ],
    table: "
        list-url-shorteners      200 stranger sharing service managers, 403 others
        list-url-shorteners:all  200 stranger sharing service managers, 403 others
        create-url-shortener     201 service managers, 400 stranger sharing, 403 others
        get-url-shortener        200 service managers, 404 stranger sharing support, 403 others
        update-url-shortener     200 service managers, 404 stranger sharing support, 403 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[RESOURCE],
};

const RESOURCE: Resource = Resource {
    kind: KIND,
    caller: "admin",
    create: Has(Create {
        operation: "create-url-shortener",
        listed: Has(|_, data| query(format!("code={}", member(data, "code")))),
    }),
    read: Has("get-url-shortener"),
    update: Has("update-url-shortener"),
    list: Has(List {
        operation: "list-url-shorteners",
        rows: |world| {
            Box::pin(async move {
                times(world, "create-url-shortener", 3).await;
                format!("organization-id={}", world.identity.acme)
            })
        },
        paged: Lacks("the contract publishes no pages"),
        scope: Has("organization-id"),
    }),
    hidden: Has(()),
    conflict: Lacks("every link gets a code of its own"),
};

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    let page = json!({ "full-path": format!("/{}", world.name("page")) });
    Some(match operation {
        "list-url-shorteners:all" => Request::to(LINKS),
        "create-url-shortener" => Request::to(LINKS).json(link(world.identity.acme, page)),
        "update-url-shortener" => {
            let id = world.made_id(LINKS, link(world.identity.acme, json!({}))).await;
            Request::to(format!("{LINKS}{id}/")).json(amendment(KIND, &id, page))
        }
        _ => return None,
    })
}
