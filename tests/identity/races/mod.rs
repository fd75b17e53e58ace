//! Concurrent requests take effect one after the other, and losers get a conflict. None is an internal error, and the
//! journal holds the events of the winners alone.

mod orders;

use crate::app::{Identity, Person, ids};
use crate::ecg_app::{Answer, Call};
use crate::groups::{change, path};
use crate::on_both_stores;
use crate::support::while_commits_wait;
use futures::future::join_all;
use registrar_aggregates::organization::Authorization;
use registrar_aggregates::user::Role;
use serde_json::{Value, json};
use uuid::Uuid;

const SITE: &str = "/ec-site-svc/rest/v1.0/organizations";
/// Repetitions of races that fail only now and then.
const ROUNDS: usize = 5;

/// Sends requests so that their commands meet in the queue; answers the statuses, which must be among `allowed`.
async fn at_once(it: &Identity, calls: Vec<Call<'_>>, allowed: &[u16]) -> Vec<u16> {
    let answers: Vec<Answer> = while_commits_wait(it.node(), join_all(calls.into_iter().map(Call::send))).await;
    for answer in &answers {
        assert!(allowed.contains(&answer.status.as_u16()), "{answer:?}");
    }
    answers.iter().map(|answer| answer.status.as_u16()).collect()
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|one| **one == status).count()
}

fn document(kind: &str, attributes: Value) -> Value {
    json!({ "data": { "type": kind, "attributes": attributes } })
}

/// A second factor that was set up but not enabled.
async fn pending_totp(it: &Identity, person: &Person) -> String {
    let made = it.post(person, "/v1/mfa-totp/", &json!({})).await;
    format!("/v1/mfa-totp/{}/", made["data"]["id"].as_str().unwrap())
}

on_both_stores! {
    async fn an_individual_recorded_four_times_at_once_is_recorded_once(database) {
        let it = Identity::open(&database).await;
        for _ in 0..ROUNDS {
            for owners in [[it.acme; 4], [it.acme, it.other, it.acme, it.other], [it.participant.id; 4]] {
                let (id, head) = (Uuid::now_v7(), it.head().await);
                let call = |owner: Uuid| {
                    let body = document("individuals", json!({ "individual-id": id, "owner-id": owner }));
                    it.call(&it.service, "POST", "/v1/individuals/").json(&body)
                };
                let statuses = at_once(&it, owners.map(call).into(), &[201, 409]).await;
                let same = owners.iter().all(|owner| *owner == owners[0]);
                assert_eq!(count(&statuses, 201), if same { 4 } else { 2 }, "{statuses:?}");
                let events = it.events_since(head).await;
                assert_eq!(events.iter().filter(|name| *name == "individual.recorded").count(), 1, "{events:?}");
            }
        }
    }

    async fn an_organization_deleted_four_times_at_once_is_deleted_once(database) {
        let it = Identity::open(&database).await;
        for round in 0..ROUNDS {
            let id = it.organization(&format!("Clinic {round}"), Authorization::Open).await;
            let head = it.head().await;
            let delete = || it.app.call("DELETE", &format!("{SITE}/{}", id.simple()));
            let statuses = at_once(&it, (0..4).map(|_| delete()).collect(), &[204, 404, 409]).await;
            assert_eq!(count(&statuses, 204), 1, "{statuses:?}");
            assert_eq!(it.events_since(head).await, ["organization.deleted"]);
        }
    }

    async fn an_organization_deleted_while_it_is_renamed_ends_deleted(database) {
        let it = Identity::open(&database).await;
        for round in 0..ROUNDS {
            let id = it.organization(&format!("Clinic {round}"), Authorization::Open).await;
            let head = it.head().await;
            let delete = || it.app.call("DELETE", &format!("{SITE}/{}", id.simple()));
            let rename = |name: String| {
                let body = json!({ "data": { "type": "organizations", "id": id, "attributes": { "name": name } } });
                it.call(&it.system, "PATCH", &format!("/v1/organizations/{id}/")).json(&body)
            };
            let renamed = format!("Renamed {round}");
            let calls = vec![rename(renamed.clone()), delete(), rename(format!("{renamed} again")), delete()];
            let statuses = at_once(&it, calls, &[200, 204, 404, 409]).await;
            assert_eq!(count(&statuses, 204), 1, "{statuses:?}");
            let events = it.events_since(head).await;
            assert_eq!(events.last().unwrap(), "organization.deleted", "{events:?}");
            assert_eq!(events.len(), 1 + count(&statuses, 200), "{events:?} {statuses:?}");
        }
    }

    async fn a_second_factor_deleted_four_times_at_once_is_deleted_once(database) {
        let it = Identity::open(&database).await;
        for _ in 0..ROUNDS {
            let path = pending_totp(&it, &it.provider).await;
            let head = it.head().await;
            let calls = (0..4).map(|_| it.call(&it.provider, "DELETE", &path)).collect();
            let statuses = at_once(&it, calls, &[204, 404, 409]).await;
            assert_eq!(count(&statuses, 204), 1, "{statuses:?}");
            assert_eq!(it.events_since(head).await.len(), 1);
        }
    }

    async fn a_setting_given_and_taken_at_once_ends_given_or_taken(database) {
        let it = Identity::open(&database).await;
        let feature = document("features", json!({ "id": "a", "stage": "beta", "assignable": true }));
        it.post(&it.system, "/v1/features/", &feature).await;
        for _ in 0..ROUNDS {
            let head = it.head().await;
            let users = json!({ "user-ids": [it.provider.id, it.participant.id] });
            let act = |act: &str| it.call(&it.system, "POST", &format!("/v1/features/a/{act}-users/")).json(&users);
            let calls = vec![act("add"), act("remove"), act("add"), act("remove")];
            let statuses = at_once(&it, calls, &[200, 201, 204, 404, 409]).await;
            assert!(statuses.iter().all(|status| *status < 300), "{statuses:?}");
            let list = it.get(&it.system, &format!("/v1/user-features/?user-id={}", it.provider.id)).await;
            assert!(ids(&list).len() <= 1, "{list}");
            let events = it.events_since(head).await;
            let count = |end: &str| events.iter().filter(|name| name.ends_with(end)).count();
            // Two users; the leftovers of the previous round are removed first.
            assert!(count("created").abs_diff(count("removed")) <= 2, "{events:?}");
        }
    }

    async fn concurrent_replacements_of_leaders_leave_one_set(database) {
        let it = Identity::open(&database).await;
        let others = [it.person("grace", it.acme, Some(Role::Provider)).await, it.admin.clone(), it.provider.clone()];
        for round in 0..ROUNDS {
            let group = it.ward(&format!("Ward {round}")).await;
            let head = it.head().await;
            let call = |leader: &Person| {
                let body = change(&group, &json!({ "leader-ids": [leader.id] }));
                it.call(&it.admin, "PATCH", &path(&group)).json(&body)
            };
            let statuses = at_once(&it, others.iter().map(call).collect(), &[200]).await;
            assert_eq!(count(&statuses, 200), 3);
            let leaders = it.shown(&it.admin, &group).await["leader-ids"].as_array().unwrap().clone();
            assert_eq!(leaders.len(), 1, "{leaders:?}");
            let events = it.events_since(head).await;
            let replaced = events.iter().filter(|name| *name == "individual-group.leaders-replaced").count();
            assert_eq!((replaced, events.len()), (3, 8), "{events:?}");
        }
    }

    async fn leaders_that_are_the_same_leave_no_event(database) {
        let it = Identity::open(&database).await;
        let group = it.new_node("Ward 7", &json!({ "leader-ids": [it.provider.id] })).await;
        let head = it.head().await;
        let same = change(&group, &json!({ "leader-ids": [it.provider.id] }));
        it.patch(&it.admin, &path(&group), &same).await;
        assert_eq!(it.head().await, head);
        it.patch(&it.admin, &path(&group), &change(&group, &json!({ "leader-ids": [it.admin.id] }))).await;
        let events = it.events_since(head).await;
        assert_eq!((events[0].as_str(), events.len()), ("individual-group.leaders-replaced", 3), "{events:?}");
    }
}
