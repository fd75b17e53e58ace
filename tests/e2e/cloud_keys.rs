//! Keys over HTTP: creation, lists, reads, changes, deletion, refusals, and the maximum number.

use crate::cloud_app::{Cloud, Key, ROOT, key_of, register, result};
use crate::on_both_stores;
use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use registrar_aggregates::api_key::{KEYS_MAX, Role};
use serde_json::{Value, json};

/// The displayed id of a key.
fn id_of(key: &Value) -> &str {
    key["id"].as_str().unwrap()
}

fn tomorrow() -> String {
    (Utc::now() + TimeDelta::days(1)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

on_both_stores! {
    async fn a_key_is_created_and_its_secret_shown_once(database) {
        let cloud = Cloud::open(&database).await;
        let path = cloud.path("/keys");
        let made = cloud.write("POST", &path, &json!({"name": " Nightly ", "roles": ["developer"]})).await;
        let holder = Key::of(&made);
        let key = &made["key"];
        assert_eq!((id_of(key), &key["name"], &key["state"]), (holder.id.as_str(), &json!("Nightly"), &json!("enabled")));
        assert_eq!((&key["roles"], &key["expireAt"]), (&json!(["developer"]), &json!(null)));
        assert_eq!(key["keySuffix"], holder.id[holder.id.len() - 4..]);
        assert_eq!(cloud.read(&format!("{path}/{}", holder.id)).await, *key);
        assert!(!cloud.call(&cloud.admin, "GET", &path).send().await.text.contains(&holder.secret));
        result(cloud.call(&holder, "GET", ROOT).send().await);
    }

    async fn keys_are_listed_oldest_first_and_only_ones_own(database) {
        let cloud = Cloud::open(&database).await;
        let foreign = register(cloud.node(), "Foreign").await;
        key_of(cloud.node(), foreign, Role::Admin).await;
        let listed = cloud.read(&cloud.path("/keys")).await;
        let ids: Vec<_> = listed.as_array().unwrap().iter().map(id_of).collect();
        assert_eq!(ids, [&cloud.admin.id, &cloud.developer.id, &cloud.query.id]);
    }

    async fn a_key_may_be_made_with_every_role_an_end_and_out_of_use(database) {
        let cloud = Cloud::open(&database).await;
        let end = tomorrow();
        let body = json!({"name": "n", "roles": ["query_endpoints", "admin", "admin"], "state": "disabled", "expireAt": end});
        let made = cloud.write("POST", &cloud.path("/keys"), &body).await;
        let key = &made["key"];
        assert_eq!((&key["roles"], &key["state"], &key["expireAt"]), (&json!(["admin", "query_endpoints"]), &json!("disabled"), &json!(end)));
        cloud.refused(cloud.call(&Key::of(&made), "GET", ROOT), 401).await;
    }

    async fn a_key_is_changed_as_asked_and_in_nothing_else(database) {
        let cloud = Cloud::open(&database).await;
        let path = cloud.path(&format!("/keys/{}", cloud.developer.id));
        let (mut expected, end) = (cloud.read(&path).await, tomorrow());
        for (member, value) in [
            ("name", json!("Weekly")),
            ("roles", json!(["admin", "developer"])),
            ("expireAt", json!(end)),
            ("expireAt", json!(null)),
            ("state", json!("disabled")),
            ("state", json!("enabled")),
        ] {
            let before = cloud.head().await;
            expected[member] = value.clone();
            assert_eq!(cloud.write("PATCH", &path, &json!({member: value})).await, expected);
            assert_eq!(cloud.read(&path).await, expected);
            assert_eq!(cloud.head().await, before + 1);
        }
        // A change to the present values is not recorded, nor is an empty change.
        let head = cloud.head().await;
        let all = json!({"name": "Weekly", "roles": ["developer", "admin"], "expireAt": "", "state": "enabled"});
        for body in [all, json!({})] {
            assert_eq!(cloud.write("PATCH", &path, &body).await, expected);
        }
        assert_eq!(cloud.head().await, head);
    }

    async fn a_key_is_deleted_for_good(database) {
        let cloud = Cloud::open(&database).await;
        let path = cloud.path(&format!("/keys/{}", cloud.developer.id));
        let answer = cloud.call(&cloud.admin, "DELETE", &path).send().await;
        assert_eq!((answer.status.as_u16(), answer.json().as_object().unwrap().len()), (200, 2));
        for (method, body) in [("GET", json!(null)), ("PATCH", json!({"state": "enabled"})), ("DELETE", json!(null))] {
            assert_eq!(cloud.refused(cloud.call(&cloud.admin, method, &path).json(&body), 404).await, "NOT_FOUND");
        }
        assert_eq!(cloud.read(&cloud.path("/keys")).await.as_array().unwrap().len(), 2);
    }

    async fn a_key_does_not_delete_itself(database) {
        let cloud = Cloud::open(&database).await;
        let call = cloud.call(&cloud.admin, "DELETE", &cloud.path(&format!("/keys/{}", cloud.admin.id)));
        assert_eq!(cloud.refused(call, 400).await, "BAD_REQUEST: an API key cannot delete itself");
    }

    /// Unknown keys and keys of others get the same answer, before the body is validated.
    async fn keys_of_another_organization_are_not_found(database) {
        let cloud = Cloud::open(&database).await;
        let foreign = register(cloud.node(), "Foreign").await;
        let theirs = key_of(cloud.node(), foreign, Role::Admin).await;
        for id in [theirs.id.as_str(), "3f0c9e6a-0000-4000-8000-000000000000"] {
            for method in ["GET", "PATCH", "DELETE"] {
                let call = cloud.call(&cloud.admin, method, &cloud.path(&format!("/keys/{id}")));
                let call = call.header("content-type", "text/plain").bytes("{");
                assert_eq!(cloud.refused(call, 404).await, "NOT_FOUND", "{method}");
            }
        }
        result(cloud.call(&theirs, "GET", ROOT).send().await);
    }

    async fn a_body_that_is_not_as_described_changes_nothing(database) {
        let cloud = Cloud::open(&database).await;
        let (keys, key) = (cloud.path("/keys"), cloud.path(&format!("/keys/{}", cloud.developer.id)));
        let past = "expireAt must be in the future";
        for (member, value, error) in [
            ("name", json!(null), "name must be a string"),
            ("name", json!(" "), "name should not be empty"),
            ("name", json!("x".repeat(256)), "name must not be longer than 255 characters"),
            ("roles", json!([]), "roles should not be empty"),
            ("roles", json!("admin"), "roles must be an array"),
            ("roles", json!(["root"]), "roles[0] must be one of the following values: admin, developer, query_endpoints"),
            ("expireAt", json!("2020-01-01T00:00:00Z"), past),
            ("expireAt", json!("2020-01-01"), "expireAt must be an RFC 3339 date-time with an offset, or null"),
            ("expireAt", json!(1), "expireAt must be an RFC 3339 date-time with an offset, or null"),
            ("state", json!("deleted"), "state must be one of the following values: enabled, disabled"),
            ("hashData", json!({}), "property hashData should not exist"),
        ] {
            let mut post = json!({"name": "n", "roles": ["admin"]});
            post[member] = value.clone();
            for (method, path, body) in [("POST", &keys, post), ("PATCH", &key, json!({member: value}))] {
                let call = cloud.call(&cloud.admin, method, path).json(&body);
                assert_eq!(cloud.refused(call, 400).await, format!("BAD_REQUEST: {error}"), "{method}");
            }
        }
        let call = cloud.call(&cloud.admin, "POST", &keys).json(&json!({}));
        let error = cloud.refused(call, 400).await;
        assert_eq!(error, "BAD_REQUEST: name should not be null or undefined; roles should not be null or undefined");
    }

    async fn an_organization_never_has_more_than_a_hundred_keys(database) {
        let cloud = Cloud::open(&database).await;
        let path = cloud.path("/keys");
        let make = || cloud.call(&cloud.admin, "POST", &path).json(&json!({"name": "n", "roles": ["developer"]})).send();
        let wanted = usize::from(KEYS_MAX);
        for _ in 0..wanted - 3 - 5 {
            key_of(cloud.node(), cloud.acme, Role::Developer).await;
        }
        // Twice as many concurrent creations as there is room for.
        let answers = join_all((0..10).map(|_| make())).await;
        let made: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(made.len(), 5);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(answer.json()["error"], "BAD_REQUEST: an organization has 100 API keys at most", "{answer:?}");
        }
        let listed = cloud.read(&path).await;
        assert_eq!(listed.as_array().unwrap().len(), wanted);

        // A deleted key makes room for one.
        let gone = made[0].json()["result"]["key"]["id"].as_str().unwrap().to_owned();
        result(cloud.call(&cloud.admin, "DELETE", &format!("{path}/{gone}")).send().await);
        result(make().await);
        let full = cloud.call(&cloud.admin, "POST", &path).json(&json!({"name": "n", "roles": ["developer"]}));
        cloud.refused(full, 400).await;
    }

    async fn a_creation_that_is_repeated_makes_one_key(database) {
        let cloud = Cloud::open(&database).await;
        let make = || cloud.call(&cloud.admin, "POST", &cloud.path("/keys")).header("idempotency-key", "k").json(&json!({"name": "n", "roles": ["developer"]})).send();
        let (first, head) = (result(make().await), cloud.head().await);
        assert_eq!((result(make().await), cloud.head().await), (first, head));
    }

    async fn the_version_that_was_seen_guards_a_change(database) {
        let cloud = Cloud::open(&database).await;
        let path = cloud.path(&format!("/keys/{}", cloud.developer.id));
        let tag = cloud.call(&cloud.admin, "GET", &path).send().await.header("etag").to_owned();
        cloud.write("PATCH", &path, &json!({"name": "Other"})).await;
        let call = |method: &str| cloud.call(&cloud.admin, method, &path).header("if-match", &tag);
        cloud.refused(call("PATCH").json(&json!({"name": "Late"})), 412).await;
        cloud.refused(call("DELETE"), 412).await;
    }
}
