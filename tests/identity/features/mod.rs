//! Features: the catalogue, resolution per user, and settings.

pub mod settings;
mod suite;

pub use suite::SUITE;

use crate::app::{Identity, Person, ids};
use crate::matrix::world::{amendment, document};
use crate::on_both_stores;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::user::Role;
use serde_json::{Value, json};
use uuid::Uuid;

const FEATURES: &str = "/v1/features/";
const OF_ORGANIZATIONS: &str = "/v1/organization-features/";
const OF_USERS: &str = "/v1/user-features/";

fn feature(id: &str) -> Value {
    document("features", json!({ "id": id, "stage": "alpha" }))
}

fn path(id: &str) -> String {
    format!("{FEATURES}{id}/")
}

impl Identity {
    /// Creates a feature that is off by default and may be set for any subject.
    async fn feature(&self, id: &str) {
        let attributes = json!({ "id": id, "stage": "beta", "assignable": true });
        self.post(&self.system, FEATURES, &document("features", attributes)).await;
    }

    /// Features that are on for `subject`, as `caller` is told.
    async fn on(&self, caller: &Person, subject: &str) -> Vec<String> {
        ids(&self.get(caller, &format!("{FEATURES}?{subject}")).await)
    }

    /// Settings of features for a user: feature, organization and state of each.
    async fn settings_of(&self, user: &Person) -> Vec<(String, Value, String)> {
        let list = self.get(&self.system, &format!("{OF_USERS}?user-id={}", user.id)).await;
        let rows = list["data"].as_array().unwrap().iter().map(|row| &row["attributes"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rows.map(|row| (text(&row["feature-id"]), row["organization-id"].clone(), text(&row["state"]))).collect()
    }

    async fn set_for_user(&self, feature: &str, user: Uuid, organization: Option<Uuid>, state: &str) -> Value {
        let attributes =
            json!({ "feature-name": feature, "user-id": user, "organization-id": organization, "state": state });
        self.post(&self.system, OF_USERS, &document("user-features", attributes)).await
    }

    async fn set_for_organization(&self, feature: &str, organization: Uuid, state: &str) -> Value {
        let attributes = json!({ "feature-name": feature, "organization-id": organization, "state": state });
        self.post(&self.system, OF_ORGANIZATIONS, &document("organization-features", attributes)).await
    }
}

on_both_stores! {
    async fn a_feature_is_created_shown_and_amended(database) {
        let it = Identity::open(&database).await;
        let attributes = json!({
            "id": "dark.mode-2", "stage": "alpha", "description": "Dark", "global-enabled": false, "assignable": true
        });
        let created = it.post(&it.system, FEATURES, &document("features", attributes)).await;
        assert_eq!(created["data"]["type"], "features");
        assert_eq!(created["data"]["id"], "dark.mode-2");
        let shown = &created["data"]["attributes"];
        assert_eq!(shown["stage"], "alpha");
        assert_eq!(shown["description"], "Dark");
        assert_eq!((&shown["global-enabled"], &shown["assignable"]), (&json!(false), &json!(true)));
        assert_eq!(shown["created-time"].as_str().unwrap().len(), 19);
        assert_eq!(it.get(&it.participant, &path("dark.mode-2")).await, created);

        let part = json!({ "stage": "ga", "global-enabled": true });
        let change = amendment("features", "dark.mode-2", part);
        let amended = it.patch(&it.system, &path("dark.mode-2"), &change).await;
        let shown = &amended["data"]["attributes"];
        assert_eq!((&shown["stage"], &shown["description"]), (&json!("ga"), &json!("Dark")));
        assert_eq!((&shown["global-enabled"], &shown["assignable"]), (&json!(true), &json!(true)));
        let head = it.head().await;
        assert_eq!(it.patch(&it.system, &path("dark.mode-2"), &change).await, amended);
        assert_eq!(it.head().await, head, "what is so already is no event");

        it.post(&it.system, FEATURES, &feature("plain")).await;
        assert!(it.get(&it.participant, &path("plain")).await["data"]["attributes"]["description"].is_null());
        let list = it.get(&it.participant, FEATURES).await;
        assert_eq!(ids(&list), ["dark.mode-2", "plain"]);
        assert_eq!(list["meta"], json!({ "page[limit]": 100, "page[offset]": 0, "page[total]": 2 }));
        let second = it.get(&it.participant, &format!("{FEATURES}?page[limit]=1&page[offset]=1")).await;
        assert_eq!((ids(&second), &second["meta"]["page[total]"]), (vec!["plain".into()], &json!(2)));
        assert_eq!(ids(&it.get(&it.participant, &format!("{FEATURES}?filter[assignable]=false")).await), ["plain"]);
    }

    async fn an_invalid_feature_is_not_created(database) {
        let it = Identity::open(&database).await;
        it.post(&it.system, FEATURES, &feature("a")).await;
        it.post_refused(&it.system, FEATURES, &feature("a"), 409, "conflict").await;
        for id in ["a b", "a/b", "", "ä"] {
            let error = it.post_refused(&it.system, FEATURES, &feature(id), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/id");
        }
        let stage = document("features", json!({ "id": "b", "stage": "gamma" }));
        let error = it.post_refused(&it.system, FEATURES, &stage, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/data/attributes/stage");
        let nul = document("features", json!({ "id": "b", "stage": "ga", "description": "a\u{0}" }));
        it.post_refused(&it.system, FEATURES, &nul, 400, "validation-error").await;
        let role = document("roles", json!({ "id": "b", "stage": "ga" }));
        it.post_refused(&it.system, FEATURES, &role, 409, "conflict").await;
        for caller in [&it.service, &it.admin, &it.provider, &it.participant] {
            it.post_refused(caller, FEATURES, &feature("b"), 403, "forbidden").await;
        }
        for wrong in ["page[limit]=0", "page[limit]=1001", "filter[user-id]=x", "filter[unknown]=x"] {
            it.get_refused(&it.participant, &format!("{FEATURES}?{wrong}"), 400, "validation-error").await;
        }
    }

    async fn an_invalid_change_of_a_feature_is_refused(database) {
        let it = Identity::open(&database).await;
        for id in ["a", "A"] {
            it.post(&it.system, FEATURES, &feature(id)).await;
        }
        let ga = json!({ "stage": "ga" });
        it.get_refused(&it.participant, &path("b"), 404, "not-found").await;
        it.patch_refused(&it.system, &path("b"), &amendment("features", "b", ga.clone()), 404, "not-found").await;
        it.patch_refused(&it.admin, &path("b"), &amendment("features", "b", ga.clone()), 404, "not-found").await;
        for other in ["b", "A"] {
            it.patch_refused(&it.system, &path("a"), &amendment("features", other, ga.clone()), 409, "conflict").await;
        }
        let wrong = amendment("features", "a", json!({ "stage": "gamma" }));
        it.patch_refused(&it.system, &path("a"), &wrong, 400, "validation-error").await;
        for caller in [&it.service, &it.admin, &it.participant] {
            it.patch_refused(caller, &path("a"), &amendment("features", "a", ga.clone()), 403, "forbidden").await;
        }
    }

    async fn users_are_given_a_feature_all_or_none(database) {
        let it = Identity::open(&database).await;
        it.feature("a").await;
        let add = format!("{FEATURES}a/add-users/");
        let answer = it.post(&it.system, &add, &json!({ "user-ids": [it.provider.id, it.participant.id] })).await;
        assert_eq!(answer, it.get(&it.system, &path("a")).await);
        let enabled = [("a".to_owned(), Value::Null, "enabled".to_owned())];
        assert_eq!(it.settings_of(&it.provider).await, enabled);
        assert_eq!(it.settings_of(&it.participant).await, enabled);

        // The request again, by address and with a second user: the existing setting is switched, the missing one
        // created.
        let emails = json!({ "user-emails": ["PROVIDER@example.com", "admin@example.com"], "state": "disabled" });
        it.post(&it.system, &add, &emails).await;
        let disabled = [("a".to_owned(), Value::Null, "disabled".to_owned())];
        assert_eq!(it.settings_of(&it.provider).await, disabled);
        assert_eq!(it.settings_of(&it.admin).await, disabled);
        assert_eq!(it.settings_of(&it.participant).await, enabled);
        let head = it.head().await;
        it.post(&it.system, &add, &emails).await;
        assert_eq!(it.head().await, head, "what is so already is no event");

        let unknown = Uuid::now_v7();
        let some = json!({ "user-ids": [it.other_admin.id, unknown, it.system.id, unknown] });
        let error = it.post_refused(&it.system, &add, &some, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/user-ids/1");
        for email in ["nobody@example.com", "nonsense"] {
            let some = json!({ "user-emails": ["admin@other.example.com", email] });
            let error = it.post_refused(&it.system, &add, &some, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/user-emails/1");
        }
        assert!(it.settings_of(&it.other_admin).await.is_empty());
    }

    async fn an_invalid_grant_of_a_feature_is_refused(database) {
        let it = Identity::open(&database).await;
        it.post(&it.system, FEATURES, &feature("fixed")).await;
        let add = format!("{FEATURES}fixed/add-users/");
        let users = json!({ "user-ids": [it.provider.id] });
        it.post_refused(&it.system, &add, &users, 409, "conflict").await;
        it.post(&it.system, &add, &json!({ "user-ids": [it.provider.id], "force": true })).await;
        let switched = json!({ "user-ids": [it.provider.id], "state": "disabled" });
        it.post_refused(&it.system, &add, &switched, 409, "conflict").await;
        let many: Vec<_> = (0..1_001).map(|_| Uuid::now_v7()).collect();
        let both = json!({ "user-ids": [it.provider.id], "user-emails": ["provider@example.com"], "force": true });
        for operation in ["add-users", "remove-users"] {
            let at = format!("{FEATURES}fixed/{operation}/");
            for wrong in [json!({}), json!({ "user-ids": [] }), json!({ "user-ids": ["x"] }), both.clone()] {
                it.post_refused(&it.system, &at, &wrong, 400, "validation-error").await;
            }
            let error = it.post_refused(&it.system, &at, &json!({ "user-ids": many }), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/user-ids");
            let elsewhere = format!("{FEATURES}none/{operation}/");
            it.post_refused(&it.system, &elsewhere, &users, 404, "not-found").await;
            for caller in [&it.service, &it.admin, &it.participant] {
                it.post_refused(caller, &at, &users, 403, "forbidden").await;
            }
        }
        let wrong = json!({ "user-ids": [it.provider.id], "state": "on" });
        it.post_refused(&it.system, &add, &wrong, 400, "validation-error").await;
    }

    async fn a_feature_given_to_users_is_taken_away(database) {
        let it = Identity::open(&database).await;
        it.feature("a").await;
        it.feature("b").await;
        it.set_for_organization("a", it.acme, "enabled").await;
        for feature in ["a", "b"] {
            it.set_for_user(feature, it.provider.id, None, "disabled").await;
            it.set_for_user(feature, it.provider.id, Some(it.acme), "disabled").await;
        }
        let subject = format!("filter[user-id]={}", it.provider.id);
        assert!(it.on(&it.provider, &subject).await.is_empty());
        let remove = format!("{FEATURES}a/remove-users/");
        let unknown = json!({ "user-ids": [it.provider.id, Uuid::now_v7()] });
        let error = it.post_refused(&it.system, &remove, &unknown, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/user-ids/1");

        let both = json!({ "user-emails": ["provider@example.com", "participant@example.com"] });
        let answer = it.post(&it.system, &remove, &both).await;
        assert_eq!(answer["data"]["id"], "a");
        assert_eq!(it.on(&it.provider, &subject).await, ["a"]);
        let left: Vec<_> = it.settings_of(&it.provider).await.into_iter().map(|(feature, ..)| feature).collect();
        assert_eq!(left, ["b", "b"]);
        let head = it.head().await;
        it.post(&it.system, &remove, &both).await;
        assert_eq!(it.head().await, head);
        // The feature can be given again.
        it.set_for_user("a", it.provider.id, None, "disabled").await;
        assert!(it.on(&it.provider, &subject).await.is_empty());
    }

    async fn the_setting_of_the_highest_precedence_decides(database) {
        let it = Identity::open(&database).await;
        for id in ["global", "org", "user", "here"] {
            it.feature(id).await;
        }
        let everywhere = amendment("features", "global", json!({ "global-enabled": true }));
        it.patch(&it.system, &path("global"), &everywhere).await;
        let (of_user, of_organization) =
            (format!("filter[user-id]={}", it.participant.id), format!("filter[organization-id]={}", it.acme));
        let of_individual = format!("filter[individual-id]={}", it.participant.individual.unwrap());
        assert_eq!(it.on(&it.participant, &of_user).await, ["global"]);

        it.set_for_organization("org", it.acme, "enabled").await;
        it.set_for_organization("user", it.acme, "enabled").await;
        it.set_for_organization("global", it.acme, "dontcare").await;
        assert_eq!(it.on(&it.admin, &of_organization).await, ["global", "org", "user"]);
        assert_eq!(it.on(&it.participant, &of_user).await, ["global", "org", "user"]);
        it.set_for_user("user", it.participant.id, None, "disabled").await;
        it.set_for_user("org", it.participant.id, None, "dontcare").await;
        it.set_for_user("here", it.participant.id, Some(it.acme), "enabled").await;
        let on = it.on(&it.participant, &of_user).await;
        assert_eq!(on, ["global", "org", "here"]);
        // A viewer of the individual sees the features of its owner.
        assert_eq!(it.on(&it.provider, &of_individual).await, on);
        // An organization other than the caller's must be named; without one only general settings count.
        assert_eq!(it.on(&it.system, &of_user).await, ["global"]);
        assert_eq!(it.on(&it.system, &format!("{of_user}&{of_organization}")).await, on);
        let elsewhere = format!("{of_user}&filter[organization-id]={}", it.other);
        assert_eq!(it.on(&it.system, &elsewhere).await, ["global"]);
        // Within the organization its own setting takes precedence over the general one.
        it.set_for_user("user", it.participant.id, Some(it.acme), "enabled").await;
        assert_eq!(it.on(&it.participant, &of_user).await, ["global", "org", "user", "here"]);
        let page = it.get(&it.participant, &format!("{FEATURES}?{of_user}&page[limit]=2&page[offset]=1")).await;
        assert_eq!((ids(&page), &page["meta"]["page[total]"]), (vec!["org".into(), "user".into()], &json!(4)));
        assert!(it.on(&it.participant, &format!("{of_user}&filter[assignable]=false")).await.is_empty());

        let owned = it.individual(it.acme).await;
        assert_eq!(it.on(&it.provider, &format!("filter[individual-id]={owned}")).await, ["global", "org", "user"]);
    }

    async fn features_of_others_are_not_shown(database) {
        let it = Identity::open(&database).await;
        it.feature("a").await;
        let unknown = Uuid::now_v7();
        let mut foreign = vec![];
        for id in [it.participant.id, unknown] {
            foreign.push(format!("filter[user-id]={id}"));
        }
        for id in [it.participant.individual.unwrap(), unknown] {
            foreign.push(format!("filter[individual-id]={id}"));
        }
        for id in [it.acme, unknown] {
            foreign.push(format!("filter[organization-id]={id}"));
        }
        let mut told = vec![];
        for subject in foreign {
            told.push(it.find_nothing(&it.other_admin, &format!("{FEATURES}?{subject}")).await);
        }
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    }

    async fn the_same_request_again_answers_as_the_first_time(database) {
        let it = Identity::open(&database).await;
        let send = async |method: &str, path: &str, body: &Value, key: &str| {
            let call = it.call(&it.system, method, path).json(body).header("idempotency-key", key);
            let answer = call.send().await;
            assert!(answer.status.is_success(), "{answer:?}");
            (answer.status, answer.text)
        };
        let assigned = json!({ "user-ids": [it.provider.id] });
        let set = document(
            "user-features",
            json!({ "feature-name": "a", "user-id": it.admin.id, "state": "enabled" }),
        );
        let open = document("features", json!({ "id": "a", "stage": "ga", "assignable": true }));
        let wider = amendment("features", "a", json!({ "global-enabled": true }));
        for (method, path, body) in [
            ("POST", FEATURES, &open),
            ("PATCH", "/v1/features/a/", &wider),
            ("POST", "/v1/features/a/add-users/", &assigned),
            ("POST", "/v1/features/a/remove-users/", &assigned),
            ("POST", OF_USERS, &set),
        ] {
            let first = send(method, path, body, path).await;
            let head = it.head().await;
            assert_eq!(send(method, path, body, path).await, first);
            assert_eq!(it.head().await, head, "{path}");
        }
    }

    async fn settings_made_at_the_same_time_are_one(database) {
        let it = Identity::open(&database).await;
        it.feature("a").await;
        let people = [it.provider.id, it.participant.id, it.admin.id];
        let body = json!({ "user-ids": people });
        let add = async || it.post(&it.system, "/v1/features/a/add-users/", &body).await;
        futures::join!(add(), add(), add());
        assert_eq!(ids(&it.get(&it.system, OF_USERS).await).len(), people.len());
    }

    async fn a_former_member_does_not_have_the_features_of_the_organization(database) {
        let it = Identity::open(&database).await;
        it.feature("a").await;
        let guest = it.organization("Guest", Authorization::Open).await;
        let person = it.person("guest", guest, Some(Role::Provider)).await;
        it.set_for_organization("a", guest, "enabled").await;
        let subject = format!("filter[user-id]={}&filter[organization-id]={guest}", person.id);
        assert_eq!(it.on(&it.system, &subject).await, ["a"]);
        let node = it.node();
        let (user, organization) = (person.id, guest);
        registrar::processes::membership::leave(
            node,
            &registrar::executor::RequestContext::system(),
            registrar_aggregates::values::UserId(user),
            registrar_aggregates::values::OrganizationId(organization),
        )
        .await
        .unwrap();
        assert!(it.on(&it.system, &subject).await.is_empty());
    }
}
