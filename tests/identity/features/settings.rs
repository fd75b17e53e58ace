//! Feature settings as resources.

use super::{FEATURES, OF_ORGANIZATIONS, OF_USERS, feature, path};
use crate::app::{Identity, Person, ids};
use crate::conformance::resource::Part::Has;
use crate::conformance::resource::{Conflict, Create, List, Resource, member, query, times};
use crate::matrix::world::{Request, World, amendment, document};
use crate::on_both_stores;
use crate::suite::Suite;
use registrar_aggregates::user::Role;
use serde_json::{Value, json};
use uuid::Uuid;

/// Settings are made by the system; admins see those of their organizations and users.
pub const SUITE: Suite = Suite {
    tests: &[
        ("list-organization-features", settings_of_organizations_are_kept::TEST),
        ("create-organization-feature", settings_of_organizations_are_kept::TEST),
        ("get-organization-feature", settings_of_organizations_are_kept::TEST),
        ("update-organization-feature", settings_of_organizations_are_kept::TEST),
        ("list-user-features", settings_of_users_are_kept::TEST),
        ("create-user-feature", settings_of_users_are_kept::TEST),
        ("get-user-feature", settings_of_users_are_kept::TEST),
        ("update-user-feature", settings_of_users_are_kept::TEST),
    ],
    table: "
        list-organization-features   200 stranger sharing managers, 403 others
        create-organization-feature  201 administrator system, 403 others
        get-organization-feature     200 managers, 404 stranger sharing support service, 403 others
        update-organization-feature  200 administrator system, 404 stranger sharing support service, 403 others
        list-user-features           403 participant provider leader support service, 200 others
        create-user-feature          201 administrator system, 403 others
        get-user-feature             200 managers, 404 others
        update-user-feature          200 administrator system, 404 stranger sharing support service, 403 others
    ",
    request: |world, operation, _| Box::pin(valid_request(world, operation)),
    resources: &[ORGANIZATION_FEATURES, USER_FEATURES],
};

const ORGANIZATION_FEATURES: Resource = Resource {
    kind: "organization-features",
    caller: "system",
    create: Has(Create {
        operation: "create-organization-feature",
        listed: Has(|_, data| query(format!("filter[feature-name]={}", member(data, "feature-name")))),
    }),
    read: Has("get-organization-feature"),
    update: Has("update-organization-feature"),
    list: Has(List {
        operation: "list-organization-features",
        rows: |world| {
            Box::pin(async move {
                times(world, "create-organization-feature", 3).await;
                format!("organization-id={}", world.identity.acme)
            })
        },
        paged: Has(()),
        scope: Has("organization-id"),
    }),
    hidden: Has(()),
    conflict: Has(Conflict::Repeated { pointer: "/data/attributes/feature-name" }),
};

const USER_FEATURES: Resource = Resource {
    kind: "user-features",
    caller: "system",
    create: Has(Create {
        operation: "create-user-feature",
        listed: Has(|_, data| query(format!("user-id={}", member(data, "user-id")))),
    }),
    read: Has("get-user-feature"),
    update: Has("update-user-feature"),
    list: Has(List {
        operation: "list-user-features",
        rows: |world| {
            Box::pin(async move {
                let person = world.shared_person(Some(Role::Provider)).await.id;
                for _ in 0..3 {
                    let feature = world.feature().await;
                    let setting = json!({ "feature-name": feature, "user-id": person, "state": "enabled" });
                    world.made("POST", OF_USERS, document("user-features", setting)).await;
                }
                format!("user-id={person}")
            })
        },
        paged: Has(()),
        scope: Has("user-id"),
    }),
    hidden: Has(()),
    conflict: Has(Conflict::Repeated { pointer: "/data/attributes/feature-name" }),
};

async fn valid_request(world: &World, operation: &str) -> Option<Request> {
    let acme = world.identity.acme;
    let switched = json!({ "state": "disabled" });
    Some(match operation {
        "list-organization-features" => Request::to(format!("{OF_ORGANIZATIONS}?organization-id={acme}")),
        "create-organization-feature" => Request::to(OF_ORGANIZATIONS).json(organization_setting(world).await),
        "get-organization-feature" => {
            let id = world.made_id(OF_ORGANIZATIONS, organization_setting(world).await).await;
            Request::to(format!("{OF_ORGANIZATIONS}{id}/"))
        }
        "update-organization-feature" => {
            let id = world.made_id(OF_ORGANIZATIONS, organization_setting(world).await).await;
            Request::to(format!("{OF_ORGANIZATIONS}{id}/")).json(amendment("organization-features", &id, switched))
        }
        "list-user-features" => {
            let person = world.shared_person(Some(Role::Provider)).await;
            Request::to(format!("{OF_USERS}?user-id={}", person.id))
        }
        "create-user-feature" => Request::to(OF_USERS).json(user_setting(world).await),
        "get-user-feature" => {
            let id = world.made_id(OF_USERS, user_setting(world).await).await;
            Request::to(format!("{OF_USERS}{id}/"))
        }
        "update-user-feature" => {
            let id = world.made_id(OF_USERS, user_setting(world).await).await;
            Request::to(format!("{OF_USERS}{id}/")).json(amendment("user-features", &id, switched))
        }
        _ => return None,
    })
}

/// The creation of a setting for A.
async fn organization_setting(world: &World) -> Value {
    let feature = world.feature().await;
    let attributes = json!({ "feature-name": feature, "organization-id": world.identity.acme, "state": "enabled" });
    document("organization-features", attributes)
}

/// The creation of a general setting for a user.
async fn user_setting(world: &World) -> Value {
    let person = world.shared_person(Some(Role::Provider)).await;
    let attributes = json!({ "feature-name": world.feature().await, "user-id": person.id, "state": "enabled" });
    document("user-features", attributes)
}

on_both_stores! {
    async fn settings_of_organizations_are_kept(database) {
        let it = Identity::open(&database).await;
        it.feature("a").await;
        it.feature("b").await;
        let created = it.set_for_organization("a", it.acme, "enabled").await;
        let id = created["data"]["id"].as_str().unwrap().to_owned();
        let expected = json!({
            "feature-assignable": true, "feature-id": "a", "feature-name": "a", "organization-id": it.acme,
            "organization-name": "acme", "state": "enabled"
        });
        assert_eq!(created["data"]["type"], "organization-features");
        assert_eq!(created["data"]["attributes"], expected);
        it.set_for_organization("b", it.acme, "disabled").await;
        it.set_for_organization("a", it.other, "enabled").await;
        let at = format!("{OF_ORGANIZATIONS}{id}/");
        assert_eq!(it.get(&it.admin, &at).await, created);
        let changed = amendment("organization-features", &id, json!({ "state": "dontcare" }));
        let answer = it.call(&it.system, "PATCH", &at).json(&changed).send().await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "null"));
        assert_eq!(it.get(&it.admin, &at).await["data"]["attributes"]["state"], "dontcare");

        let list = |caller: &Person, query: &str| {
            let (caller, path) = (caller.clone(), format!("{OF_ORGANIZATIONS}?{query}"));
            let it = &it;
            async move {
                let list = it.get(&caller, &path).await;
                let rows = list["data"].as_array().unwrap().iter().map(|row| row["attributes"]["feature-name"].clone());
                rows.collect::<Vec<_>>()
            }
        };
        assert_eq!(list(&it.system, "").await, ["a", "b", "a"]);
        assert_eq!(list(&it.admin, "").await, ["a", "b"]);
        assert_eq!(list(&it.admin, &format!("organization-id={}", it.acme)).await, ["a", "b"]);
        assert_eq!(list(&it.system, "filter[feature-name]=a").await, ["a", "a"]);
        assert_eq!(list(&it.admin, "filter[feature-name]=b").await, ["b"]);
        assert!(list(&it.admin, "filter[feature-name]=none").await.is_empty());
    }

    async fn settings_of_organizations_are_refused(database) {
        let it = Identity::open(&database).await;
        it.feature("a").await;
        it.post(&it.system, FEATURES, &feature("fixed")).await;
        let kind = "organization-features";
        let set = |feature: &str, organization: Uuid| {
            let attributes = json!({ "feature-name": feature, "organization-id": organization, "state": "enabled" });
            document(kind, attributes)
        };
        let created = it.set_for_organization("a", it.acme, "enabled").await;
        let id = created["data"]["id"].as_str().unwrap().to_owned();
        it.post_refused(&it.system, OF_ORGANIZATIONS, &set("a", it.acme), 409, "conflict").await;
        it.post_refused(&it.system, OF_ORGANIZATIONS, &set("fixed", it.acme), 409, "conflict").await;
        for (body, pointer) in [
            (set("none", it.acme), "/data/attributes/feature-name"),
            (set("", it.acme), "/data/attributes/feature-name"),
            (set("a", Uuid::now_v7()), "/data/attributes/organization-id"),
        ] {
            let error = it.post_refused(&it.system, OF_ORGANIZATIONS, &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], pointer);
        }
        for caller in [&it.service, &it.admin, &it.participant] {
            it.post_refused(caller, OF_ORGANIZATIONS, &set("a", it.other), 403, "forbidden").await;
        }
        let mut told = vec![];
        for organization in [it.acme, Uuid::now_v7()] {
            let path = format!("{OF_ORGANIZATIONS}?organization-id={organization}");
            told.push(it.find_nothing(&it.other_admin, &path).await);
        }
        assert_eq!(told[0], told[1]);
        it.get_refused(&it.provider, OF_ORGANIZATIONS, 403, "forbidden").await;

        let change = |id: &str| amendment(kind, id, json!({ "state": "disabled" }));
        let of_user = it.set_for_user("a", it.admin.id, None, "enabled").await;
        let of_user = of_user["data"]["id"].as_str().unwrap();
        let unknown = Uuid::now_v7().to_string();
        for (caller, id) in [(&it.other_admin, id.as_str()), (&it.other_admin, &unknown), (&it.system, of_user)] {
            let at = format!("{OF_ORGANIZATIONS}{id}/");
            it.get_refused(caller, &at, 404, "not-found").await;
            it.patch_refused(caller, &at, &change(id), 404, "not-found").await;
        }
        let at = format!("{OF_ORGANIZATIONS}{id}/");
        it.patch_refused(&it.admin, &at, &change(&id), 403, "forbidden").await;
        it.patch_refused(&it.system, &at, &change(&unknown), 409, "conflict").await;
        let wrong = amendment(kind, &id, json!({ "state": "on" }));
        it.patch_refused(&it.system, &at, &wrong, 400, "validation-error").await;
        it.patch(&it.system, &path("a"), &amendment("features", "a", json!({ "assignable": false }))).await;
        it.patch_refused(&it.system, &at, &change(&id), 409, "conflict").await;
        it.patch(&it.system, &at, &amendment(kind, &id, json!({ "state": "disabled", "force": true }))).await;
        assert_eq!(it.get(&it.admin, &at).await["data"]["attributes"]["feature-assignable"], false);
        let forced = json!({ "feature-name": "fixed", "organization-id": it.acme, "state": "enabled", "force": true });
        it.post(&it.system, OF_ORGANIZATIONS, &document(kind, forced)).await;
    }

    async fn settings_of_users_are_kept(database) {
        let it = Identity::open(&database).await;
        it.feature("a").await;
        it.feature("b").await;
        let created = it.set_for_user("a", it.participant.id, None, "enabled").await;
        let id = created["data"]["id"].as_str().unwrap().to_owned();
        let expected = json!({
            "feature-id": "a", "feature-name": "a", "organization-id": null, "state": "enabled",
            "user-email": "participant@example.com", "user-id": it.participant.id
        });
        assert_eq!(created["data"]["type"], "user-features");
        assert_eq!(created["data"]["attributes"], expected);
        let within = it.set_for_user("a", it.participant.id, Some(it.acme), "disabled").await;
        assert_eq!(within["data"]["attributes"]["organization-id"], json!(it.acme));
        let abroad = it.set_for_user("b", it.participant.id, Some(it.other), "enabled").await;
        let at = |setting: &Value| format!("{OF_USERS}{}/", setting["data"]["id"].as_str().unwrap());
        let changed = amendment("user-features", &id, json!({ "state": "dontcare" }));
        let answer = it.call(&it.system, "PATCH", &at(&created)).json(&changed).send().await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "null"));
        assert_eq!(it.get(&it.participant, &at(&created)).await["data"]["attributes"]["state"], "dontcare");
        // Settings within an organization are for its admins, general ones for admins of any organization of the user.
        assert_eq!(it.get(&it.admin, &at(&created)).await["data"]["id"], id.as_str());
        assert_eq!(it.get(&it.admin, &at(&within)).await, within);
        it.get_refused(&it.admin, &at(&abroad), 404, "not-found").await;
        it.get_refused(&it.other_admin, &at(&created), 404, "not-found").await;
        assert_eq!(it.get(&it.other_admin, &at(&abroad)).await, abroad);
        it.get_refused(&it.provider, &at(&created), 404, "not-found").await;
        it.get_refused(&it.participant, &format!("{OF_USERS}{}/", Uuid::now_v7()), 404, "not-found").await;

        let own = it.get(&it.participant, OF_USERS).await;
        assert_eq!(ids(&own).len(), 3);
        let of_user = format!("{OF_USERS}?user-id={}", it.participant.id);
        assert_eq!(it.get(&it.participant, &of_user).await, own);
        assert_eq!(it.get(&it.system, &of_user).await, own);
        assert_eq!(it.get(&it.system, &format!("{OF_USERS}?user-email=Participant@example.com")).await, own);
        let seen = ids(&it.get(&it.admin, &of_user).await);
        assert_eq!(seen, [created["data"]["id"].as_str().unwrap(), within["data"]["id"].as_str().unwrap()]);
        let in_acme = format!("{OF_USERS}?filter[organization-id]={}", it.acme);
        assert_eq!(ids(&it.get(&it.admin, &in_acme).await), [within["data"]["id"].as_str().unwrap()]);
        assert!(ids(&it.get(&it.provider, &in_acme).await).is_empty(), "their own only");
        assert_eq!(ids(&it.get(&it.participant, &format!("{OF_USERS}?filter[feature-name]=b")).await).len(), 1);
        assert_eq!(ids(&it.get(&it.system, OF_USERS).await).len(), 3);
        let two = format!("{of_user}&user-email=admin@example.com");
        assert!(ids(&it.get(&it.system, &two).await).is_empty());
        assert!(ids(&it.get(&it.system, &format!("{OF_USERS}?user-id={}", Uuid::now_v7())).await).is_empty());
    }

    async fn settings_of_users_are_refused(database) {
        let it = Identity::open(&database).await;
        it.feature("a").await;
        it.post(&it.system, FEATURES, &feature("fixed")).await;
        let kind = "user-features";
        let set = |feature: &str, user: Uuid, organization: Option<Uuid>| {
            let (state, within) = ("enabled", organization);
            let attributes =
                json!({ "feature-name": feature, "user-id": user, "organization-id": within, "state": state });
            document(kind, attributes)
        };
        let user = it.provider.id;
        let created = it.set_for_user("a", user, None, "enabled").await;
        let id = created["data"]["id"].as_str().unwrap().to_owned();
        it.post_refused(&it.system, OF_USERS, &set("a", user, None), 409, "conflict").await;
        it.post_refused(&it.system, OF_USERS, &set("fixed", user, None), 409, "conflict").await;
        let unknown = Uuid::now_v7();
        for (body, pointer) in [
            (set("none", user, None), "/data/attributes/feature-name"),
            (set("a", unknown, None), "/data/attributes/user-id"),
            (set("a", user, Some(unknown)), "/data/attributes/organization-id"),
        ] {
            let error = it.post_refused(&it.system, OF_USERS, &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], pointer);
        }
        for caller in [&it.service, &it.admin, &it.provider] {
            it.post_refused(caller, OF_USERS, &set("a", it.participant.id, None), 403, "forbidden").await;
        }
        let mut told = vec![];
        for query in [
            format!("user-id={user}"), format!("user-id={unknown}"), "user-email=provider@example.com".into(),
            "user-email=nobody@example.com".into(),
        ] {
            told.push(it.find_nothing(&it.other_admin, &format!("{OF_USERS}?{query}")).await);
        }
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
        // Participants see the providers of their organization, but not their settings.
        it.get_refused(&it.participant, &format!("{OF_USERS}?user-id={user}"), 403, "forbidden").await;
        it.get_refused(&it.system, &format!("{OF_USERS}?user-email=nonsense"), 400, "validation-error").await;

        let change = |id: &str| amendment(kind, id, json!({ "state": "disabled" }));
        let of_organization = it.set_for_organization("a", it.acme, "enabled").await;
        let of_organization = of_organization["data"]["id"].as_str().unwrap();
        let none = unknown.to_string();
        for (caller, id) in [(&it.other_admin, id.as_str()), (&it.system, &none), (&it.system, of_organization)] {
            it.patch_refused(caller, &format!("{OF_USERS}{id}/"), &change(id), 404, "not-found").await;
        }
        let at = format!("{OF_USERS}{id}/");
        it.patch_refused(&it.admin, &at, &change(&id), 403, "forbidden").await;
        it.patch_refused(&it.system, &at, &change(&unknown.to_string()), 409, "conflict").await;
        let wrong = amendment(kind, &id, json!({ "state": "on" }));
        it.patch_refused(&it.system, &at, &wrong, 400, "validation-error").await;
        it.patch(&it.system, &path("a"), &amendment("features", "a", json!({ "assignable": false }))).await;
        it.patch_refused(&it.system, &at, &change(&id), 409, "conflict").await;
        it.patch(&it.system, &at, &amendment(kind, &id, json!({ "state": "disabled", "force": true }))).await;
    }
}
