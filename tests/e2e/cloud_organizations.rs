//! The organization of a key: reads, renames, and the state that later requests see.

use crate::cloud_app::{Cloud, ROOT, register, result};
use crate::on_both_stores;
use chrono::DateTime;
use serde_json::{Value, json};

on_both_stores! {
    async fn a_key_lists_and_reads_the_one_organization_that_it_belongs_to(database) {
        let cloud = Cloud::open(&database).await;
        register(cloud.node(), "Foreign").await;
        let read = cloud.read(&cloud.path("")).await;
        assert_eq!((&read["id"], &read["name"]), (&json!(cloud.acme), &json!("Acme")));
        let created = read["createdAt"].as_str().unwrap();
        assert!(created.ends_with('Z') && DateTime::parse_from_rfc3339(created).is_ok());
        assert_eq!(read.as_object().unwrap().len(), 3);
        assert_eq!(cloud.read(ROOT).await, json!([read]));
        assert_eq!(cloud.read(&format!("{ROOT}?x=1&x=2")).await, json!([read]));
        let shouted = format!("{ROOT}/{}", cloud.acme.to_string().to_uppercase());
        assert_eq!(cloud.read(&shouted).await, read);
    }

    async fn a_key_of_role_admin_renames_its_organization(database) {
        let cloud = Cloud::open(&database).await;
        let before = cloud.read(&cloud.path("")).await;
        let renamed = cloud.write("PATCH", &cloud.path(""), &json!({"name": "  Acme Corp "})).await;
        assert_eq!(renamed, json!({"id": cloud.acme, "createdAt": before["createdAt"], "name": "Acme Corp"}));
        assert_eq!(cloud.read(&cloud.path("")).await, renamed);
        // Names need not be unique, and the limit of 255 counts characters, not bytes.
        register(cloud.node(), "Twin").await;
        for name in ["Twin", &"ä".repeat(255)] {
            assert_eq!(cloud.write("PATCH", &cloud.path(""), &json!({"name": name})).await["name"], name);
        }
    }

    async fn a_change_that_changes_nothing_is_answered_and_not_recorded(database) {
        let cloud = Cloud::open(&database).await;
        let (head, read) = (cloud.head().await, cloud.read(&cloud.path("")).await);
        let endpoint = json!([{"id": "vpce-1", "cloudProvider": "aws"}]);
        for body in [json!({}), json!({"name": "Acme"}), json!({"name": " Acme "}), json!({"privateEndpoints": {}}), json!({"privateEndpoints": {"remove": endpoint, "add": []}})] {
            assert_eq!(cloud.write("PATCH", &cloud.path(""), &body).await, read, "{body}");
        }
        assert_eq!(cloud.head().await, head);
    }

    async fn a_body_that_is_not_as_described_changes_nothing(database) {
        let cloud = Cloud::open(&database).await;
        let endpoint = json!([{"id": "vpce-1"}]);
        for (body, error) in [
            (json!([]), "body must be an object"),
            (json!(null), "body must be an object"),
            (json!("Acme"), "body must be an object"),
            (json!({"name": null}), "name must be a string"),
            (json!({"name": ["New"]}), "name must be a string"),
            (json!({"name": ""}), "name should not be empty"),
            (json!({"name": " \t"}), "name should not be empty"),
            (json!({"name": "x".repeat(256)}), "name must not be longer than 255 characters"),
            (json!({"name": "New\u{0}"}), "name must not contain the character U+0000"),
            (json!({"name": "New", "tier": "gold"}), "property tier should not exist"),
            (json!({"name": "New", "privateEndpoints": {"add": endpoint}}), "privateEndpoints.add cannot be used: organizations have no private endpoints here"),
            (json!({"name": "New", "privateEndpoints": [1]}), "privateEndpoints must be an object"),
        ] {
            let call = cloud.call(&cloud.admin, "PATCH", &cloud.path("")).json(&body);
            assert_eq!(cloud.refused(call, 400).await, format!("BAD_REQUEST: {error}"));
        }
        for bytes in ["", "{", "{} {}", r#"{"name": "A", "name": "B"}"#] {
            let call = cloud.call(&cloud.admin, "PATCH", &cloud.path("")).header("content-type", "application/json");
            assert!(cloud.refused(call.bytes(bytes), 400).await.starts_with("BAD_REQUEST: "), "{bytes}");
        }
    }

    async fn the_version_that_was_seen_guards_a_change(database) {
        let cloud = Cloud::open(&database).await;
        let path = cloud.path("");
        let tag = cloud.call(&cloud.admin, "GET", &path).send().await.header("etag").to_owned();
        let patch = |name: &str| cloud.call(&cloud.admin, "PATCH", &path).header("if-match", &tag).json(&json!({"name": name}));
        assert_eq!(result(patch("First").send().await)["name"], "First");
        cloud.refused(patch("Second"), 412).await;
    }

    async fn a_request_that_is_repeated_is_carried_out_once(database) {
        let cloud = Cloud::open(&database).await;
        let path = cloud.path("");
        let patch = |body: Value| cloud.call(&cloud.admin, "PATCH", &path).header("idempotency-key", "k").json(&body);
        let first = patch(json!({"name": "New"})).send().await;
        let head = cloud.head().await;
        let again = patch(json!({"name": "New"})).send().await;
        assert_eq!((&again.text, again.header("idempotency-replayed")), (&first.text, "true"));
        assert_eq!(cloud.head().await, head);
        let error = cloud.refused(patch(json!({"name": "Other"})), 422).await;
        assert!(error.starts_with("UNPROCESSABLE_ENTITY: "), "{error}");
        // The same idempotency key sent by another caller is a different one.
        let other = crate::cloud_app::key_of(cloud.node(), cloud.acme, registrar_aggregates::api_key::Role::Admin).await;
        let others = cloud.call(&other, "PATCH", &path).header("idempotency-key", "k").json(&json!({"name": "Other"}));
        assert_eq!(result(others.send().await)["name"], "Other");
    }
}
