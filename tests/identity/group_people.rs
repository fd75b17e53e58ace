//! Individuals, leaders and members of groups: joining, leaving, and their lists.

use crate::app::{Identity, Person, ids};
use crate::ecg_app::NOBODY;
use crate::groups::{V1, new_group_with, system_group};
use crate::on_both_stores;
use futures::stream::{self, StreamExt};
use registrar_aggregates::group::SystemGroup;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::user::Role;
use serde_json::{Value, json};
use uuid::Uuid;

/// Individuals recorded concurrently, so that they share commits.
const RECORDED_AT_ONCE: usize = 50;
const NOT_ELIGIBLE: &str = "names no enabled provider or admin of the organization";

impl Identity {
    /// Adds people to a group of Acme, or removes them.
    pub async fn staffed(&self, group: &str, act: &str, body: &Value) -> Value {
        let shown = self.post(&self.admin, &act_path(group, act), body).await;
        shown["data"]["attributes"].clone()
    }

    /// Individuals in the list of a group.
    async fn inside_group(&self, group: &str) -> Vec<String> {
        let list =
            self.get(&self.admin, &format!("/v1/individual-group-individuals/?individual-group-id={group}")).await;
        let rows = list["data"].as_array().unwrap().iter();
        rows.map(|row| row["attributes"]["individual"]["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn act_path(group: &str, act: &str) -> String {
    format!("{V1}{group}/{act}/")
}

fn texts(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

on_both_stores! {
    async fn individuals_come_and_leave_and_are_unassigned_in_between(database) {
        let identity = Identity::open(&database).await;
        let (own, owned) = (identity.participant.individual.unwrap(), identity.individual(identity.acme).await);
        let ward = identity.ward("Ward 7").await;
        let unassigned = system_group(SystemGroup::Unassigned, identity.acme);
        assert_eq!(identity.inside_group(&unassigned).await, texts(&[own, owned]));
        let body = json!({"individual-ids": [own, owned, own], "with-individuals": true, "with-members": true});
        let shown = identity.staffed(&ward, "add-individuals", &body).await;
        assert_eq!(shown["individual-ids"], json!([own, owned]));
        assert_eq!([&shown["individuals-count"], &shown["members"]], [&json!(2), &json!([])]);
        assert_eq!(identity.inside_group(&ward).await, texts(&[own, owned]));
        assert_eq!(identity.inside_group(&unassigned).await, texts(&[]));
        let head = identity.head().await;
        let shown = identity.staffed(&ward, "add-individuals", &json!({"individual-ids": [own]})).await;
        assert_eq!((identity.head().await, shown.get("individuals"), shown.get("members")), (head, None, None));

        let leave = json!({"individual-ids": [own, NOBODY, own]});
        let shown = identity.staffed(&ward, "remove-individuals", &leave).await;
        assert_eq!(shown["individuals-count"], 1);
        assert_eq!(identity.inside_group(&unassigned).await, texts(&[own]));
        let head = identity.head().await;
        identity.staffed(&ward, "remove-individuals", &leave).await;
        assert_eq!(identity.head().await, head);
        let everybody = system_group(SystemGroup::AllParticipants, identity.acme);
        assert_eq!(identity.inside_group(&everybody).await, texts(&[own, owned]));
    }

    async fn individuals_go_from_one_group_to_another_at_once(database) {
        let identity = Identity::open(&database).await;
        let own = identity.participant.individual.unwrap();
        let from = identity.new_node("From", &json!({"individual-ids": [own]})).await;
        let to = identity.ward("To").await;
        let before = identity.head().await;
        let body = json!({"individual-ids": [own], "remove-from-group": from});
        identity.staffed(&to, "add-individuals", &body).await;
        // Two events, joined and removed; the individual is never unassigned.
        assert_eq!(identity.head().await, before + 2);
        assert_eq!((identity.inside_group(&from).await, identity.inside_group(&to).await), (vec![], texts(&[own])));
        let head = identity.head().await;
        identity.staffed(&to, "add-individuals", &body).await;
        identity.staffed(&to, "add-individuals", &json!({"individual-ids": [own], "remove-from-group": to})).await;
        assert_eq!((identity.head().await, identity.inside_group(&to).await), (head, texts(&[own])));
    }

    async fn individuals_that_do_not_fit_a_group_are_refused(database) {
        let identity = Identity::open(&database).await;
        let own = identity.participant.individual.unwrap();
        let ward = identity.ward("Ward 7").await;
        let foreign = identity.individual(identity.other).await;
        let add = act_path(&ward, "add-individuals");
        for individual in [foreign.to_string(), NOBODY.to_owned()] {
            let body = json!({"individual-ids": [own, individual]});
            let error = identity.post_refused(&identity.admin, &add, &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/individual-ids/1");
            assert!(error["detail"].as_str().unwrap().ends_with("names no individual of the organization"), "{error}");
        }
        let elsewhere = new_group_with(identity.other, "Elsewhere", &json!({}));
        let elsewhere = identity.post(&identity.other_admin, V1, &elsewhere).await["data"]["id"].clone();
        for left in [elsewhere, json!(NOBODY)] {
            let body = json!({"individual-ids": [own], "remove-from-group": left});
            let error = identity.post_refused(&identity.admin, &add, &body, 400, "validation-error").await;
            assert_eq!(error["source"]["pointer"], "/remove-from-group");
        }
        let body = json!({"individual-ids": [own]});
        for none in [
            identity.new_division("North").await,
            identity.new_node("Staff", &json!({"type": "provider_only"})).await,
        ] {
            let add = act_path(&none, "add-individuals");
            identity.post_refused(&identity.admin, &add, &body, 409, "conflict").await;
        }
        let many: Vec<_> = (0..=1_000).map(|_| Uuid::now_v7()).collect();
        for act in ["add-individuals", "remove-individuals"] {
            let path = act_path(&ward, act);
            for wrong in [
                json!({"individual-ids": []}), json!({}), json!({"individual-ids": ["x"]}),
                json!({"individual-ids": many}), json!({"individual-ids": [own], "x": 1}),
            ] {
                identity.post_refused(&identity.admin, &path, &wrong, 400, "validation-error").await;
            }
            identity.post_refused(&identity.provider, &path, &body, 403, "forbidden").await;
            identity.post_refused(&identity.participant, &path, &body, 404, "not-found").await;
            identity.post_refused(&identity.admin, &act_path(NOBODY, act), &body, 404, "not-found").await;
        }
    }

    async fn leaders_add_visible_individuals_and_move_them_from_groups_that_they_lead(database) {
        let identity = Identity::open(&database).await;
        let closed = identity.organization("Closed", Authorization::Restricted).await;
        let admin = identity.person("closed-admin", closed, Some(Role::Admin)).await;
        let leader = identity.person("leader", closed, Some(Role::Provider)).await;
        let [known, unknown] = [identity.individual(closed).await, identity.individual(closed).await];
        let create = async |name: &str, more: Value| {
            let body = new_group_with(closed, name, &more);
            identity.post(&admin, V1, &body).await["data"]["id"].as_str().unwrap().to_owned()
        };
        let led = json!({"leader-ids": [leader.id]});
        let (ward, other) = (create("Ward 7", led).await, create("Ward 8", json!({"individual-ids": [known]})).await);
        let add = act_path(&ward, "add-individuals");
        for individual in [known, unknown] {
            let body = json!({"individual-ids": [individual]});
            identity.post_refused(&leader, &add, &body, 400, "validation-error").await;
        }
        let works = json!({"user-ids": [leader.id]});
        identity.post(&admin, &act_path(&other, "add-members"), &works).await;
        // A leader may add an individual whom they see as a member of another group, but may not remove it from that
        // group.
        let body = json!({"individual-ids": [known], "remove-from-group": other});
        let error = identity.post_refused(&leader, &add, &body, 400, "validation-error").await;
        assert_eq!(error["source"]["pointer"], "/remove-from-group");
        identity.post(&leader, &add, &json!({"individual-ids": [known]})).await;
        let seen = identity.shown(&leader, &ward).await;
        assert_eq!(seen["individual-ids"], json!([known]));
    }

    async fn users_get_posts_by_identifier_and_by_address(database) {
        let identity = Identity::open(&database).await;
        let (ward, other) = (identity.ward("Ward 7").await, identity.ward("Ward 8").await);
        let people = json!([identity.provider.id, identity.admin.id, identity.provider.id]);
        for (post, row) in [("leaders", "leaders"), ("members", "members")] {
            let (add, remove) = (format!("add-{post}"), format!("remove-{post}"));
            let who = |shown: &Value| {
                let rows = shown[row].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap().to_owned());
                rows.collect::<Vec<_>>()
            };
            let body = json!({"user-ids": people, "with-members": true});
            let shown = identity.staffed(&ward, &add, &body).await;
            assert_eq!(who(&shown), ["admin@example.com", "provider@example.com"]);
            let head = identity.head().await;
            identity.staffed(&ward, &add, &body).await;
            assert_eq!(identity.head().await, head);

            let by_address =
                json!({"user-emails": ["PROVIDER@example.com"], "with-members": true, "remove-from-group": ward});
            let shown = identity.staffed(&other, &add, &by_address).await;
            assert_eq!(who(&shown), ["provider@example.com"]);
            assert_eq!(who(&identity.shown(&identity.admin, &ward).await), ["admin@example.com"]);
            let absent = json!({"user-emails": ["provider@example.com", "nobody@example.com", "?"]});
            let head = identity.head().await;
            identity.staffed(&ward, &remove, &absent).await;
            identity.staffed(&ward, &remove, &json!({"user-ids": [identity.provider.id, NOBODY]})).await;
            assert_eq!(identity.head().await, head);
            identity.staffed(&other, &remove, &absent).await;
            identity.staffed(&ward, &remove, &json!({"user-ids": [identity.admin.id]})).await;
            for group in [&ward, &other] {
                assert_eq!(identity.shown(&identity.admin, group).await[row], json!([]));
            }
        }
    }

    async fn users_who_do_not_fit_a_group_are_refused(database) {
        let identity = Identity::open(&database).await;
        let (ward, division) = (identity.ward("Ward 7").await, identity.new_division("North").await);
        let gone = identity.person("gone", identity.acme, Some(Role::Provider)).await;
        identity.shut_out(&gone).await;
        let many: Vec<_> = (0..=1_000).map(|_| Uuid::now_v7()).collect();
        for post in ["leaders", "members"] {
            let add = act_path(&ward, &format!("add-{post}"));
            for user in [identity.other_admin.id.to_string(), gone.id.to_string(), identity.participant.id.to_string(), NOBODY.to_owned()] {
                let body = json!({"user-ids": [identity.provider.id, user]});
                let error = identity.post_refused(&identity.admin, &add, &body, 400, "validation-error").await;
                assert_eq!(error["source"]["pointer"], "/user-ids/1");
                assert!(error["detail"].as_str().unwrap().ends_with(NOT_ELIGIBLE), "{error}");
            }
            for email in [identity.other_admin.email.as_str(), "gone@example.com", "nobody@example.com", "?"] {
                let body = json!({"user-emails": [identity.provider.email, email]});
                let error = identity.post_refused(&identity.admin, &add, &body, 400, "validation-error").await;
                assert_eq!(error["source"]["pointer"], "/user-emails/1");
                assert!(error["detail"].as_str().unwrap().ends_with(NOT_ELIGIBLE), "{error}");
            }
            for act in [format!("add-{post}"), format!("remove-{post}")] {
                let path = act_path(&ward, &act);
                for wrong in [
                    json!({"user-ids": []}), json!({"user-emails": []}), json!({}), json!({"user-ids": many}),
                    json!({"user-ids": [identity.provider.id], "user-emails": ["provider@example.com"]}),
                ] {
                    identity.post_refused(&identity.admin, &path, &wrong, 400, "validation-error").await;
                }
                let body = json!({"user-ids": [identity.provider.id]});
                identity.post_refused(&identity.provider, &path, &body, 403, "forbidden").await;
                identity.post_refused(&identity.participant, &path, &body, 404, "not-found").await;
                identity.post_refused(&identity.admin, &act_path(NOBODY, &act), &body, 404, "not-found").await;
            }
        }
        let body = json!({"user-ids": [identity.provider.id]});
        identity.post_refused(&identity.admin, &act_path(&division, "add-members"), &body, 409, "conflict").await;
        identity.staffed(&division, "add-leaders", &body).await;
    }

    async fn posts_change_the_visible_individuals(database) {
        let identity = Identity::open(&database).await;
        let closed = identity.organization("Closed", Authorization::Restricted).await;
        let admin = identity.person("closed-admin", closed, Some(Role::Admin)).await;
        let worker = identity.person("worker", closed, Some(Role::Provider)).await;
        let individual = identity.individual(closed).await;
        let body = new_group_with(closed, "Ward 7", &json!({"individual-ids": [individual]}));
        let ward = identity.post(&admin, V1, &body).await["data"]["id"].as_str().unwrap().to_owned();
        let individuals = format!("/v1/individual-group-individuals/?individual-group-id={ward}");
        let work = json!({"user-ids": [worker.id]});
        for post in ["members", "leaders"] {
            identity.get_refused(&worker, &individuals, 404, "not-found").await;
            identity.post(&admin, &act_path(&ward, &format!("add-{post}")), &work).await;
            let rows = identity.get(&worker, &individuals).await;
            assert_eq!(rows["data"][0]["attributes"]["individual"]["id"], json!(individual));
            identity.post(&admin, &act_path(&ward, &format!("remove-{post}")), &work).await;
        }
        identity.get_refused(&worker, &individuals, 404, "not-found").await;
    }

    async fn the_people_of_a_group_are_listed_page_by_page(database) {
        let identity = Identity::open(&database).await;
        let own = identity.participant.individual.unwrap();
        let [a, b] = [identity.individual(identity.acme).await, identity.individual(identity.acme).await];
        let people = json!({"individual-ids": [b, a, own], "leader-ids": [identity.provider.id, identity.admin.id]});
        let ward = identity.new_node("Ward 7", &people).await;
        let list = async |caller: &Person, what: &str, query: &str| {
            identity.get(caller, &format!("/v1/individual-group-{what}/?individual-group-id={ward}{query}")).await
        };
        let page = list(&identity.provider, "individuals", "&page[limit]=2&page[offset]=1").await;
        assert_eq!(page["meta"], json!({"page[limit]": 2, "page[offset]": 1, "page[total]": 3}));
        let rows = page["data"].as_array().unwrap().iter().map(|row| &row["attributes"]["individual"]["id"]);
        assert_eq!(rows.collect::<Vec<_>>(), [&json!(a), &json!(b)]);
        let page = list(&identity.provider, "individuals", "&page[limit]=1").await;
        let row = &page["data"][0];
        assert_eq!((row.get("id"), &row["type"]), (None, &json!("individual-group-individuals")));
        assert_eq!(row["attributes"]["individual-group-id"], json!(ward));
        assert_eq!(row["attributes"]["individual"]["name"], "participant Example");
        let page = list(&identity.provider, "leaders", "").await;
        assert_eq!(page["data"], json!([
            {"type": "individual-group-leaders", "attributes": {"individual-group-id": ward, "leader": {
                "id": identity.admin.id, "first-name": "admin", "last-name": "Example",
                "username": "admin@example.com"}}},
            {"type": "individual-group-leaders", "attributes": {"individual-group-id": ward, "leader": {
                "id": identity.provider.id, "first-name": "provider", "last-name": "Example",
                "username": "provider@example.com"}}},
        ]));
        assert_eq!(list(&identity.admin, "leaders", "&page[offset]=2").await["data"], json!([]));
        for what in ["individuals", "leaders"] {
            let path = format!("/v1/individual-group-{what}/");
            identity.get_refused(&identity.admin, &path, 400, "validation-error").await;
            let of = |group: &str| format!("{path}?individual-group-id={group}");
            identity.get_refused(&identity.admin, &of("x"), 400, "validation-error").await;
            identity.get_refused(&identity.admin, &of(NOBODY), 404, "not-found").await;
            let path = format!("{path}?individual-group-id={ward}");
            identity.get_refused(&identity.participant, &path, 404, "not-found").await;
            identity.get_refused(&identity.other_admin, &path, 404, "not-found").await;
            identity.get_refused(&identity.admin, &format!("{path}&page[limit]=1001"), 400, "validation-error").await;
        }
    }

    async fn as_many_as_a_request_may_name_come_in_one_commit(database) {
        let identity = Identity::open(&database).await;
        let recorded = (0..1_000).map(|_| identity.individual(identity.acme));
        let everybody: Vec<Uuid> = stream::iter(recorded).buffered(RECORDED_AT_ONCE).collect().await;
        let (from, to) = (identity.ward("From").await, identity.ward("To").await);
        let shown = identity.staffed(&from, "add-individuals", &json!({"individual-ids": everybody})).await;
        assert_eq!(shown["individuals-count"], 1_000);
        let body = json!({"individual-ids": everybody, "remove-from-group": from, "with-individuals": true});
        let shown = identity.staffed(&to, "add-individuals", &body).await;
        assert_eq!(shown["individuals"].as_array().unwrap().len(), 1_000);
        let groups = identity.get(&identity.admin, "/v2/individual-groups/").await;
        assert_eq!(ids(&groups), [from.clone(), to.clone()]);
        let counts: Vec<_> = (0..2).map(|row| groups["data"][row]["attributes"]["individuals-count"].clone()).collect();
        assert_eq!(counts, [json!(0), json!(1_000)]);
        let shown = identity.staffed(&to, "remove-individuals", &json!({"individual-ids": everybody})).await;
        assert_eq!(shown["individuals-count"], 0);
    }
}
