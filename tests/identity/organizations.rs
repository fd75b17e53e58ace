//! Organizations as tenants: lists, creation, changes.

use crate::app::{Identity, ids};
use crate::conformance::resource::Part::{Has, Lacks};
use crate::conformance::resource::{Conflict, Create, List, Resource, member, query};
use crate::matrix::world::{Request, World, amendment, document};
use crate::on_both_stores;
use crate::suite::Suite;
use registrar_aggregates::organization::Authorization;
use serde_json::{Value, json};
use uuid::Uuid;

const ROOT: &str = "/v1/organizations/";

pub const SUITE: Suite = Suite {
    tests: &[
        ("list-organizations", lists_are_narrowed_and_paged::TEST),
        ("create-organization", an_organization_is_created_with_its_groups_and_roles::TEST),
        ("get-organization", an_organization_is_created_with_its_groups_and_roles::TEST),
        ("update-organization", an_organization_is_changed_by_its_admins::TEST),
    ],
    table: "
        list-organizations   200 others
        create-organization  201 administrator system, 403 others
        get-organization     404 stranger sharing operator auditor, 200 others
        update-organization  200 managers, 404 stranger sharing, 403 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[RESOURCE],
};

const RESOURCE: Resource = Resource {
    kind: "organizations",
    caller: "system",
    create: Has(Create {
        operation: "create-organization",
        listed: Has(|_, data| query(format!("filter[name]={}", member(data, "name")))),
    }),
    read: Has("get-organization"),
    update: Has("update-organization"),
    list: Has(List {
        operation: "list-organizations",
        rows: |_| query(String::new()),
        paged: Has(()),
        scope: Lacks("everybody has their own"),
    }),
    hidden: Has(()),
    conflict: Has(Conflict::Repeated { pointer: "/data/attributes/name" }),
};

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    let acme = world.identity.acme;
    Some(match operation {
        "list-organizations" => Request::to("/v1/organizations/"),
        "create-organization" => {
            let attributes = json!({ "name": world.name("NEW"), "display-name": "A new one" });
            Request::to("/v1/organizations/").json(document("organizations", attributes))
        }
        "get-organization" => Request::to(path(acme)),
        "update-organization" => {
            let attributes = json!({ "display-name": world.name("Acme") });
            Request::to(path(acme)).json(amendment("organizations", &acme.to_string(), attributes))
        }
        _ => return None,
    })
}

fn path(id: impl std::fmt::Display) -> String {
    format!("{ROOT}{id}/")
}

fn creation(attributes: Value) -> Value {
    json!({ "data": { "type": "organizations", "attributes": attributes } })
}

fn change(id: Uuid, attributes: Value) -> Value {
    json!({ "data": { "type": "organizations", "id": id, "attributes": attributes } })
}

on_both_stores! {
    async fn an_organization_is_created_with_its_groups_and_roles(database) {
        let identity = Identity::open(&database).await;
        let attributes = json!({
            "name": "North Clinic", "display-name": "The North Clinic", "provider-type": "clinic",
            "timezone": "Europe/Paris", "classification": "customer_test",
        });
        let made = identity.post(&identity.system, ROOT, &creation(attributes)).await;
        let id = made["data"]["id"].as_str().unwrap();
        let shown = &made["data"]["attributes"];
        assert_eq!(shown["name"], "North Clinic");
        assert_eq!(shown["display-name"], "The North Clinic");
        assert_eq!(shown["timezone"], "Europe/Paris");
        assert_eq!(shown["authorization-type"], "open");
        assert_eq!(shown["is-active"], true);
        assert_eq!(identity.get(&identity.system, &path(id)).await["data"], made["data"]);
        let roles = identity.get(&identity.system, &format!("/v1/roles/?organization-id={id}")).await;
        let names: Vec<_> =
            roles["data"].as_array().unwrap().iter().map(|role| role["attributes"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["org.admin", "org.member", "org.provider"]);
        // Omitted attributes get their defaults.
        let made = identity.post(&identity.system, ROOT, &creation(json!({ "name": "South" }))).await;
        let shown = &made["data"]["attributes"];
        assert_eq!((&shown["display-name"], &shown["timezone"]), (&json!("South"), &json!("UTC")));
    }

    async fn an_answer_tells_the_position_that_it_reflects(database) {
        let identity = Identity::open(&database).await;
        let position = |answer: &crate::ecg_app::Answer| answer.header("registrar-position").parse::<u64>().unwrap();
        let body = creation(json!({ "name": "North" }));
        let made = identity.call(&identity.system, "POST", ROOT).json(&body).send().await;
        assert_eq!((made.status.as_u16(), position(&made)), (201, identity.head().await));
        let read = identity.call(&identity.system, "GET", ROOT).header("registrar-min-position", position(&made).to_string());
        assert!(position(&read.send().await) >= position(&made));
    }

    async fn the_same_key_answers_as_the_first_time(database) {
        let identity = Identity::open(&database).await;
        let send = |name: &str| {
            let body = creation(json!({ "name": name }));
            identity.call(&identity.system, "POST", ROOT).header("idempotency-key", "k1").json(&body).send()
        };
        let first = send("North").await;
        let head = identity.head().await;
        let again = send("North").await;
        assert_eq!((again.status, &again.text, again.header("idempotency-replayed")), (first.status, &first.text, "true"));
        crate::app::refusal(&send("South").await, 422, "idempotency-mismatch");
        assert_eq!(identity.head().await, head);
    }

    async fn a_handle_is_taken_once_whatever_its_case(database) {
        let identity = Identity::open(&database).await;
        let twice = creation(json!({ "name": "ACME" }));
        identity.post_refused(&identity.system, ROOT, &twice, 409, "conflict").await;
        let other = change(identity.other, json!({ "name": "aCme" }));
        identity.patch_refused(&identity.system, &path(identity.other), &other, 409, "conflict").await;
        // An organization may change the letter case of its own handle.
        let own = change(identity.acme, json!({ "name": "ACME" }));
        let amended = identity.patch(&identity.admin, &path(identity.acme), &own).await;
        assert_eq!(amended["data"]["attributes"]["name"], "ACME");
        // A released handle is free for other organizations.
        identity.patch(&identity.admin, &path(identity.acme), &change(identity.acme, json!({ "name": "Nadir" }))).await;
        identity.post(&identity.system, ROOT, &creation(json!({ "name": "acme" }))).await;
    }

    async fn organizations_of_the_same_name_have_handles_of_their_own(database) {
        let identity = Identity::open(&database).await;
        let mut handles = vec![];
        for _ in 0..3 {
            let id = identity.organization("Straße & Söhne", Authorization::Open).await;
            let shown = identity.get(&identity.system, &path(id)).await;
            assert_eq!(shown["data"]["attributes"]["display-name"], "Straße & Söhne");
            handles.push(shown["data"]["attributes"]["name"].as_str().unwrap().to_owned());
        }
        assert_eq!(handles[0], "strasse-söhne");
        assert!(handles[1].starts_with("strasse-söhne-") && handles[1] != handles[2], "{handles:?}");
    }

    async fn only_system_admins_create_organizations(database) {
        let identity = Identity::open(&database).await;
        let body = creation(json!({ "name": "Mine" }));
        for caller in [&identity.admin, &identity.provider, &identity.participant, &identity.service] {
            identity.post_refused(caller, ROOT, &body, 403, "forbidden").await;
        }
        for (attributes, pointer) in [
            (json!({}), "/data/attributes/name"),
            (json!({ "name": "" }), "/data/attributes/name"),
            (json!({ "name": "  " }), "/data/attributes/name"),
            (json!({ "name": "x".repeat(256) }), "/data/attributes/name"),
            (json!({ "name": "n", "timezone": "Mars/Olympus" }), "/data/attributes/timezone"),
            (json!({ "name": "n", "classification": "vip" }), "/data/attributes/classification"),
            (json!({ "name": "n", "colour": "red" }), "/data/attributes/colour"),
        ] {
            let error = identity.post_refused(&identity.system, ROOT, &creation(attributes), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], pointer);
        }
        let typed = json!({ "data": { "type": "users", "attributes": { "name": "n" } } });
        identity.post_refused(&identity.system, ROOT, &typed, 409, "conflict").await;
    }

    async fn an_organization_is_changed_by_its_admins(database) {
        let identity = Identity::open(&database).await;
        let acme = path(identity.acme);
        let attributes = json!({ "display-name": "Acme & Co", "timezone": "America/New_York", "provider-type": "lab", "theme-id": null });
        let amended = identity.patch(&identity.admin, &acme, &change(identity.acme, attributes)).await;
        let shown = &amended["data"]["attributes"];
        assert_eq!(shown["display-name"], "Acme & Co");
        assert_eq!((&shown["timezone"], &shown["provider-type"]), (&json!("America/New_York"), &json!("lab")));
        assert_eq!(identity.get(&identity.participant, &acme).await["data"], amended["data"]);
        let head = identity.head().await;
        let again = change(identity.acme, json!({ "display-name": "Acme & Co" }));
        assert_eq!(identity.patch(&identity.admin, &acme, &again).await, amended);
        assert_eq!(identity.head().await, head);
        // Some attributes are reserved for system admins.
        for reserved in [json!({ "authorization-type": "restricted" }), json!({ "classification": "carium" })] {
            let body = change(identity.acme, reserved);
            identity.patch_refused(&identity.admin, &acme, &body, 403, "forbidden").await;
            identity.patch(&identity.system, &acme, &body).await;
        }
        let name = change(identity.acme, json!({ "name": "n" }));
        identity.patch_refused(&identity.provider, &acme, &name, 403, "forbidden").await;
        identity.patch_refused(&identity.other_admin, &acme, &name, 404, "not-found").await;
        let elsewhere = change(identity.other, json!({ "name": "n" }));
        identity.patch_refused(&identity.admin, &acme, &elsewhere, 409, "conflict").await;
    }

    async fn users_list_their_own_organizations(database) {
        let identity = Identity::open(&database).await;
        let seen = async |caller| ids(&identity.get(caller, ROOT).await);
        let (acme, other) = (identity.acme.to_string(), identity.other.to_string());
        assert_eq!(seen(&identity.participant).await, std::slice::from_ref(&acme));
        assert_eq!(seen(&identity.other_admin).await, std::slice::from_ref(&other));
        assert_eq!(seen(&identity.system).await, [acme.clone(), other.clone()]);
        identity.get_refused(&identity.participant, &path(identity.other), 404, "not-found").await;
        for unknown in ["nothing", "00000000-0000-0000-0000-000000000000"] {
            identity.get_refused(&identity.system, &path(unknown), 404, "not-found").await;
        }
    }

    async fn lists_are_narrowed_and_paged(database) {
        let identity = Identity::open(&database).await;
        for number in 0..5 {
            identity.organization(&format!("Branch {number}"), Authorization::Open).await;
        }
        let list = async |query: &str| identity.get(&identity.system, &format!("{ROOT}?{query}")).await;
        let branches = list("filter[name][contains]=RANCH").await;
        assert_eq!((ids(&branches).len(), &branches["meta"]["page[total]"]), (5, &json!(5)));
        assert_eq!(ids(&list("filter[name]=BRANCH-3").await).len(), 1);
        assert_eq!(ids(&list("filter[name]=branch").await).len(), 0);
        let page = list("filter[name][contains]=branch&page[limit]=2&page[offset]=4").await;
        assert_eq!(ids(&page), ids(&branches)[4..]);
        assert_eq!(page["meta"], json!({ "page[limit]": 2, "page[offset]": 4, "page[total]": 5 }));
        let time = |sign: &str, time: &str| format!("filter[cmp-last-modified-time]={sign}{}", time.replace(' ', "%20"));
        assert_eq!(ids(&list(&time("%3E", "2000-01-01 00:00:00")).await).len(), 7);
        assert_eq!(ids(&list(&time("%3C", "2000-01-01 00:00:00")).await).len(), 0);
        for wrong in [
            "filter[cmp-last-modified-time]=%3E%3D2000-01-01%2000:00:00", "filter[cmp-last-modified-time]=2000-01-01",
            "page[limit]=1001", "page[limit]=-1", "page[offset]=x", "filter[colour]=red", "filter[name]=a&filter[name]=b",
        ] {
            let error = identity.get_refused(&identity.system, &format!("{ROOT}?{wrong}"), 400, "validation-error").await;
            assert!(error["source"]["parameter"].is_string(), "{error}");
        }
    }
}
