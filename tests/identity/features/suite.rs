//! The operations on the catalogue of features, which the system creates and sets.

use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Conflict, Create, List, Resource, query, times};
use crate::matrix::world::{Request, World, amendment, document};
use crate::suite::Suite;
use registrar_aggregates::user::Role;
use serde_json::json;

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-features", super::a_feature_is_created_shown_and_amended::TEST),
        ("create-feature", super::a_feature_is_created_shown_and_amended::TEST),
        ("get-feature", super::a_feature_is_created_shown_and_amended::TEST),
        ("update-feature", super::a_feature_is_created_shown_and_amended::TEST),
        ("add-feature-users", super::users_are_given_a_feature_all_or_none::TEST),
        ("remove-feature-users", super::a_feature_given_to_users_is_taken_away::TEST),
    ],
    table: "
        list-features         200 others
        list-features:user    200 others
        create-feature        201 administrator system, 403 others
        get-feature           200 others
        update-feature        200 administrator system, 403 others
        add-feature-users     201 administrator system, 403 others
        remove-feature-users  201 administrator system, 403 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[RESOURCE],
};

const READS_ALL: &str = "the catalogue is for everybody";

const RESOURCE: Resource = Resource {
    kind: "features",
    caller: "system",
    create: Has(Create { operation: "create-feature", listed: Has(|_, _| query(String::new())) }),
    read: Has("get-feature"),
    update: Has("update-feature"),
    list: Has(List {
        operation: "list-features",
        rows: |world| {
            Box::pin(async move {
                times(world, "create-feature", 3).await;
                String::new()
            })
        },
        paged: Has(()),
        scope: Lacks(READS_ALL),
    }),
    hidden: Lacks(READS_ALL),
    conflict: Has(Conflict::Repeated { pointer: "/data/attributes/id" }),
};

impl World {
    /// Creates a feature that may be set for any subject.
    pub async fn feature(&self) -> String {
        let name = self.name("feature");
        let attributes = json!({ "id": name, "stage": "alpha", "assignable": true });
        self.made_id("/v1/features/", document("features", attributes)).await
    }
}

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    Some(match operation {
        "list-features" => Request::to("/v1/features/"),
        "list-features:user" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("/v1/features/?filter[user-id]={}", person.id))
        }
        "create-feature" => {
            let attributes = json!({ "id": world.name("feature"), "stage": "beta" });
            Request::to("/v1/features/").json(document("features", attributes))
        }
        "get-feature" => Request::to(format!("/v1/features/{}/", world.feature().await)),
        "update-feature" => {
            let feature = world.feature().await;
            let change = amendment("features", &feature, json!({ "description": world.name("what it does") }));
            Request::to(format!("/v1/features/{feature}/")).json(change)
        }
        "add-feature-users" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let path = format!("/v1/features/{}/add-users/", world.feature().await);
            Request::to(path).json(json!({ "user-ids": [person.id] }))
        }
        "remove-feature-users" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            let (path, body) = (format!("/v1/features/{}/", world.feature().await), json!({ "user-ids": [person.id] }));
            world.made("POST", &format!("{path}add-users/"), body.clone()).await;
            Request::to(format!("{path}remove-users/")).json(body)
        }
        _ => return None,
    })
}
