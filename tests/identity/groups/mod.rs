//! Groups: creation, reads and changes.

mod suite;

pub use suite::SUITE;

use crate::app::{Identity, Person, ids};
use crate::ecg_app::NOBODY;
use crate::on_both_stores;
use registrar::executor::RequestContext;
use registrar::processes::membership;
use registrar_aggregates::group::SystemGroup;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::user::Role;
use registrar_aggregates::values::{OrganizationId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

pub const V1: &str = "/v1/individual-groups/";
pub const V2: &str = "/v2/individual-groups/";

/// Identifier of a system group.
pub fn system_group(group: SystemGroup, organization: Uuid) -> String {
    group.id(OrganizationId(organization)).to_string()
}

/// A creation with the required attributes only.
pub fn new_group(organization: Uuid, name: &str) -> Value {
    json!({"data": {"type": "individual-groups", "attributes": {
        "name": name, "organization-id": organization, "type": "regular",
    }}})
}

/// A creation with further attributes.
pub fn new_group_with(organization: Uuid, name: &str, more: &Value) -> Value {
    let mut body = new_group(organization, name);
    let attributes = body["data"]["attributes"].as_object_mut().unwrap();
    attributes.extend(more.as_object().unwrap().clone());
    body
}

/// A change of a group.
pub fn change(id: &str, attributes: &Value) -> Value {
    json!({"data": {"type": "individual-groups", "id": id, "attributes": attributes}})
}

pub fn path(id: &str) -> String {
    format!("{V1}{id}/")
}

impl Identity {
    /// Creates a group of Acme; answers its identifier.
    pub async fn ward(&self, name: &str) -> String {
        self.new_node(name, &json!({})).await
    }

    pub async fn new_division(&self, name: &str) -> String {
        self.new_node(name, &json!({"node-type": "division"})).await
    }

    pub async fn new_node(&self, name: &str, more: &Value) -> String {
        let created = self.post(&self.admin, V1, &new_group_with(self.acme, name, more)).await;
        created["data"]["id"].as_str().unwrap().to_owned()
    }

    /// Attributes of a group, including its people.
    pub async fn shown(&self, caller: &Person, group: &str) -> Value {
        let path = format!("{V1}{group}/?with-individuals=true&with-members=true");
        self.get(caller, &path).await["data"]["attributes"].clone()
    }

    pub async fn shut_out(&self, user: &Person) {
        let (user, by) = (UserId(user.id), UserId(self.admin.id));
        membership::disable(self.node(), &RequestContext::system(), user, by).await.unwrap();
    }
}

on_both_stores! {
    async fn a_group_is_created_with_its_first_people(database) {
        let identity = Identity::open(&database).await;
        let (own, owned) = (identity.participant.individual.unwrap(), identity.individual(identity.acme).await);
        let more = json!({
            "tags": ["night", " day", "night"],
            "individual-ids": [own, owned, own],
            "leader-ids": [identity.provider.id],
        });
        let answer = identity.post(&identity.admin, V1, &new_group_with(identity.acme, " Ward 7", &more)).await;
        let (id, attributes) = (answer["data"]["id"].as_str().unwrap(), &answer["data"]["attributes"]);
        assert_eq!(answer["data"]["type"], "individual-groups");
        let leaders = attributes["leaders"].as_array().unwrap();
        assert_eq!(*attributes, json!({
            "name": "Ward 7", "type": "regular", "node-type": "group", "organization-id": identity.acme,
            "parent-group": null, "tags": ["day", "night"], "child-count": 0, "individuals-count": 2, "is-active": true,
            "last-modified-time": attributes["last-modified-time"], "self-can-write": true,
            "leader-ids": [identity.provider.id], "leaders": leaders,
        }));
        assert_eq!(leaders[0], json!({
            "id": identity.provider.id, "first-name": "provider", "last-name": "Example",
            "email": "provider@example.com", "email-verified": true, "phone-verified": false, "verified": true,
            "enabled": true, "registration-invite": "none", "individual-id": null, "communication-preferences": {},
            "created-by-id": null,
        }));
        assert_eq!(identity.get(&identity.admin, &path(id)).await, answer);
        let summary = identity.get(&identity.admin, &format!("{V2}{id}/")).await;
        let mut expected = attributes.clone();
        for name in ["leaders", "leader-ids", "self-can-write"] {
            expected.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(summary["data"]["attributes"], expected);

        let full = identity.shown(&identity.provider, id).await;
        assert_eq!(full["individual-ids"], json!([own, owned]));
        assert_eq!(full["members"], json!([]));
        assert_eq!(full["individuals"], json!([
            {
                "id": own, "name": "participant Example", "first-name": "participant", "last-name": "Example",
                "preferred-name": null, "birth-date": null, "communication-preferences": {}, "email-verified": true,
                "phone-verified": false, "verified": true, "registered": true, "registration-invite": "none",
                "tz": null, "owner": {"type": "user", "id": identity.participant.id},
            },
            {
                "id": owned, "name": "", "first-name": "", "last-name": "", "preferred-name": null, "birth-date": null,
                "communication-preferences": {}, "email-verified": false, "phone-verified": false, "verified": false,
                "registered": false, "registration-invite": "none", "tz": null,
                "owner": {"type": "organization", "id": identity.acme},
            },
        ]));
    }

    async fn a_creation_of_a_group_must_be_valid(database) {
        let identity = Identity::open(&database).await;
        let acme = |more: Value| new_group_with(identity.acme, "Ward 7", &more);
        let refused = async |body: &Value, status, code| {
            identity.post_refused(&identity.admin, V1, body, status, code).await
        };
        // Unknown and invisible individuals get the same answer.
        let of_others = identity.individual(identity.other).await;
        for individual in [of_others.to_string(), NOBODY.to_owned()] {
            let own = identity.participant.individual.unwrap();
            let error = refused(&acme(json!({"individual-ids": [own, individual]})), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/individual-ids/1");
            assert!(error["detail"].as_str().unwrap().ends_with("names no individual of the organization"), "{error}");
        }
        let disabled = identity.person("gone", identity.acme, Some(Role::Provider)).await;
        identity.shut_out(&disabled).await;
        for user in [identity.other_admin.id.to_string(), disabled.id.to_string(), NOBODY.to_owned()] {
            let error = refused(&acme(json!({"leader-ids": [user]})), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/leader-ids/0");
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.ends_with("names no enabled provider or admin of the organization"), "{error}");
        }
        for organization in [identity.other.to_string(), NOBODY.to_owned()] {
            let error = refused(&acme(json!({"organization-id": organization})), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/organization-id");
            assert!(error["detail"].as_str().unwrap().ends_with("names no organization"), "{error}");
        }
        let own = json!([identity.participant.individual]);
        for more in [
            json!({"type": "provider_only", "individual-ids": own}),
            json!({"node-type": "division", "individual-ids": own}),
        ] {
            let error = refused(&acme(more), 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/individual-ids");
        }
        let many: Vec<_> = (0..=1_000).map(|_| Uuid::now_v7()).collect();
        for more in [
            json!({"individual-ids": many}),
            json!({"name": " "}),
            json!({"name": "x".repeat(256)}),
            json!({"tags": [" "]}),
            json!({"tags": (0..=100).map(|tag| tag.to_string()).collect::<Vec<_>>()}),
            json!({"type": "unassigned"}),
            json!({"node-type": "leaf"}),
            json!({"parent-group-id": NOBODY}),
        ] {
            refused(&acme(more), 400, "validation-error").await;
        }
        let mut body = acme(json!({}));
        body["data"]["type"] = json!("groups");
        refused(&body, 409, "conflict").await;
        identity.post_refused(&identity.provider, V1, &acme(json!({})), 403, "forbidden").await;
        identity.post_refused(&identity.participant, V1, &acme(json!({})), 403, "forbidden").await;
        let nobody = identity.app.call("POST", V1).token(None).json(&acme(json!({})));
        identity.refused(nobody, 401, "unauthenticated").await;
    }

    async fn names_are_unique_among_siblings(database) {
        let identity = Identity::open(&database).await;
        identity.ward("Ward 7").await;
        let other = identity.ward("Ward 8").await;
        identity.post_refused(&identity.admin, V1, &new_group(identity.acme, "WARD 7 "), 409, "conflict").await;
        let taken = change(&other, &json!({"name": "ward 7", "tags": ["x"]}));
        identity.patch_refused(&identity.admin, &path(&other), &taken, 409, "conflict").await;
        let elsewhere = new_group(identity.other, "Ward 7");
        identity.post(&identity.other_admin, V1, &elsewhere).await;
    }

    async fn the_same_creation_again_is_answered_alike_and_creates_nothing(database) {
        let identity = Identity::open(&database).await;
        let body = new_group_with(identity.acme, "Ward 7", &json!({
            "leader-ids": [identity.provider.id, identity.admin.id],
            "individual-ids": [identity.participant.individual],
        }));
        let send = async || {
            let call = identity.call(&identity.admin, "POST", V1).header("idempotency-key", "once").json(&body);
            let answer = call.send().await;
            assert_eq!(answer.status, 201, "{answer:?}");
            answer
        };
        let first = send().await;
        let head = identity.head().await;
        let second = send().await;
        assert_eq!(first.text, second.text);
        assert_eq!(second.header("idempotency-replayed"), "true");
        assert_eq!(identity.head().await, head);
        let id = first.json()["data"]["id"].as_str().unwrap().to_owned();
        assert_eq!(identity.get(&identity.admin, &path(&id)).await, first.json());
    }

    async fn a_group_is_visible_to_callers_who_may_read_it(database) {
        let identity = Identity::open(&database).await;
        let open = identity.ward("Ward 7").await;
        let closed = identity.organization("Closed", Authorization::Restricted).await;
        let admin = identity.person("closed-admin", closed, Some(Role::Admin)).await;
        let [leader, member, provider] = ["leader", "member", "bystander"]
            .map(|name| identity.person(name, closed, Some(Role::Provider)));
        let (leader, member, provider) = (leader.await, member.await, provider.await);
        let body = new_group_with(closed, "Ward 7", &json!({"leader-ids": [leader.id]}));
        let restricted = identity.post(&admin, V1, &body).await["data"]["id"].as_str().unwrap().to_owned();
        let members = json!({"user-ids": [member.id]});
        identity.post(&leader, &format!("{V1}{restricted}/add-members/"), &members).await;

        let readers = |group: &str| [path(group), format!("{V2}{group}/")];
        for (group, may, may_not) in [
            (&open, vec![&identity.system, &identity.admin, &identity.provider], vec![
                &identity.participant, &identity.other_admin, &identity.service, &admin,
            ]),
            (&restricted, vec![&identity.system, &admin, &leader, &member], vec![&provider, &identity.admin]),
        ] {
            for path in readers(group) {
                for caller in &may {
                    identity.get(caller, &path).await;
                }
                for caller in &may_not {
                    let hidden = identity.get_refused(caller, &path, 404, "not-found").await;
                    let unknown = path.replace(group.as_str(), NOBODY);
                    assert_eq!(hidden, identity.get_refused(caller, &unknown, 404, "not-found").await);
                }
            }
        }
        for caller in [&identity.participant, &provider] {
            let body = change(&restricted, &json!({"name": "x"}));
            identity.patch_refused(caller, &path(&restricted), &body, 404, "not-found").await;
        }
        identity.get_refused(&identity.admin, &path("ward-7"), 404, "not-found").await;
        for (caller, writes) in [(&admin, true), (&leader, true), (&member, false)] {
            assert_eq!(identity.shown(caller, &restricted).await["self-can-write"], writes);
        }
    }

    async fn a_change_replaces_names_tags_and_leaders_as_far_as_they_are_given(database) {
        let identity = Identity::open(&database).await;
        let first = identity.person("first", identity.acme, Some(Role::Provider)).await;
        let second = identity.person("second", identity.acme, Some(Role::Provider)).await;
        let id = identity.new_node("Ward 7", &json!({"tags": ["a"], "leader-ids": [first.id]})).await;
        let head = identity.head().await;
        identity.patch(&identity.admin, &path(&id), &change(&id, &json!({}))).await;
        assert_eq!(identity.head().await, head, "nothing was asked for");
        let renamed = identity.patch(&first, &path(&id), &change(&id, &json!({"name": "Ward 8"}))).await;
        let attributes = &renamed["data"]["attributes"];
        assert_eq!([&attributes["name"], &attributes["tags"]], [&json!("Ward 8"), &json!(["a"])]);
        assert_eq!(attributes["leader-ids"], json!([first.id]));

        let body = change(&id, &json!({"tags": [], "leader-ids": [second.id, second.id]}));
        let replaced = identity.patch(&first, &path(&id), &body).await;
        let attributes = &replaced["data"]["attributes"];
        assert_eq!([&attributes["tags"], &attributes["leader-ids"]], [&json!([]), &json!([second.id])]);
        // The former leader, who replaced themselves, has no rights in the group any more.
        assert_eq!(attributes["self-can-write"], false);
        identity.patch_refused(&first, &path(&id), &body, 403, "forbidden").await;
        let log = identity.get(&second, &format!("/v1/individual-group-logs/?individual-group-id={id}")).await;
        let rows: Vec<_> = log["data"].as_array().unwrap().iter().map(|row| {
            let row = &row["attributes"];
            (row["event"].as_str().unwrap(), row["user-id"].clone(), row["created-by"]["id"].clone())
        }).collect();
        assert_eq!(rows, [
            ("add", json!(second.id), json!(first.id)),
            ("remove", json!(first.id), json!(first.id)),
            ("add", json!(first.id), json!(identity.admin.id)),
        ]);
        let none = identity.patch(&identity.admin, &path(&id), &change(&id, &json!({"leader-ids": []}))).await;
        assert_eq!(none["data"]["attributes"]["leaders"], json!([]));
    }

    async fn a_change_of_a_group_must_be_valid(database) {
        let identity = Identity::open(&database).await;
        let id = identity.new_node("Ward 7", &json!({"leader-ids": [identity.provider.id]})).await;
        let refused = async |caller: &Person, attributes: Value, status, code| {
            identity.patch_refused(caller, &path(&id), &change(&id, &attributes), status, code).await
        };
        for user in [identity.other_admin.id.to_string(), NOBODY.to_owned()] {
            let attributes = json!({"name": "x", "leader-ids": [user]});
            let error = refused(&identity.admin, attributes, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/data/attributes/leader-ids/0");
        }
        for attributes in
            [json!({"name": ""}), json!({"name": " "}), json!({"tags": [" "]}), json!({"type": "regular"})]
        {
            refused(&identity.admin, attributes, 400, "validation-error").await;
        }
        let bystander = identity.person("bystander", identity.acme, Some(Role::Provider)).await;
        refused(&bystander, json!({"name": "x"}), 403, "forbidden").await;
        refused(&identity.participant, json!({"name": "x"}), 404, "not-found").await;
        let mut body = change(NOBODY, &json!({"name": "x"}));
        identity.patch_refused(&identity.admin, &path(&id), &body, 409, "conflict").await;
        body = change(&id, &json!({"name": "x"}));
        identity.patch_refused(&identity.admin, &path(NOBODY), &body, 404, "not-found").await;
        body["data"]["type"] = json!("users");
        identity.patch_refused(&identity.admin, &path(&id), &body, 409, "conflict").await;
    }

    async fn a_disabled_leader_stays_until_replaced_and_is_not_appointed(database) {
        let identity = Identity::open(&database).await;
        let gone = identity.person("gone", identity.acme, Some(Role::Provider)).await;
        let id = identity.new_node("Ward 7", &json!({"leader-ids": [gone.id]})).await;
        let other = identity.ward("Ward 8").await;
        identity.shut_out(&gone).await;
        let body = change(&id, &json!({"leader-ids": [gone.id, identity.provider.id]}));
        let kept = identity.patch(&identity.admin, &path(&id), &body).await;
        let leaders = kept["data"]["attributes"]["leaders"].as_array().unwrap();
        let enabled: Vec<_> = leaders.iter().map(|leader| leader["enabled"].as_bool().unwrap()).collect();
        assert_eq!(enabled, [true, false]);
        let body = change(&other, &json!({"leader-ids": [gone.id]}));
        identity.patch_refused(&identity.admin, &path(&other), &body, 400, "validation-error").await;
    }

    async fn system_groups_are_shown_and_never_changed(database) {
        let identity = Identity::open(&database).await;
        let list = format!("{V1}?type=all_participants&type=unassigned&organization-id={}", identity.acme);
        let groups = identity.get(&identity.provider, &list).await;
        let system = SystemGroup::ALL.map(|group| system_group(group, identity.acme));
        let mut listed = ids(&groups);
        listed.sort();
        assert_eq!(listed, { let mut system = system.clone(); system.sort(); system });
        let outside = identity.ward("Ward 7").await;
        for id in system {
            let shown = identity.get(&identity.admin, &path(&id)).await;
            assert_eq!(shown["data"]["attributes"]["individuals-count"], 1);
            for attributes in [json!({"name": "x"}), json!({"tags": ["x"]}), json!({"leader-ids": []})] {
                let body = change(&id, &attributes);
                identity.patch_refused(&identity.admin, &path(&id), &body, 409, "conflict").await;
                identity.patch_refused(&identity.provider, &path(&id), &body, 403, "forbidden").await;
            }
            let (own, user) = (identity.participant.individual, identity.provider.id);
            for (act, mut body) in [
                ("add-individuals", json!({"individual-ids": [own]})),
                ("remove-individuals", json!({"individual-ids": [own]})),
                ("add-leaders", json!({"user-ids": [user]})),
                ("remove-leaders", json!({"user-ids": [user]})),
                ("add-members", json!({"user-ids": [user]})),
                ("remove-members", json!({"user-ids": [user]})),
            ] {
                let path = |group: &str| format!("{V1}{group}/{act}/");
                identity.post_refused(&identity.admin, &path(&id), &body, 409, "conflict").await;
                identity.post_refused(&identity.provider, &path(&id), &body, 403, "forbidden").await;
                if act.starts_with("add") {
                    body["remove-from-group"] = json!(id);
                    identity.post_refused(&identity.admin, &path(&outside), &body, 409, "conflict").await;
                }
            }
        }
    }
}
