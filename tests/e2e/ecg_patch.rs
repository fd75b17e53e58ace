//! Changes of admins by JSON Patch.

use crate::ecg_app::{ADMINS, App, NOBODY, path_of, sample, with};
use crate::on_both_stores;
use serde_json::{Value, json};

fn replace(path: &str, value: Value) -> Value {
    json!({"op": "replace", "path": path, "value": value})
}

on_both_stores! {
    async fn steps_are_applied_in_order_to_the_state_that_the_earlier_ones_left(database) {
        let app = App::open(&database).await;
        let admin = app.create(&sample()).await;
        let answer = app.patch(&admin, &json!([
            {"op": "add", "path": "/policies/-", "value": "z"},
            {"op": "add", "path": "/policies/0", "value": "a"},
            {"op": "remove", "path": "/policies/1"},
            {"op": "replace", "path": "/policies/1", "value": "y"},
            {"op": "remove", "path": "/customPermissions"},
            {"op": "replace", "path": "/person/firstName", "value": "Ada"},
            {"op": "remove", "path": "/person/salutation"},
            {"op": "add", "path": "/person/contactEmailAddress", "value": "ada@example.org"},
            {"op": "replace", "path": "/person/party/legacyIdentifier", "value": null},
            {"op": "add", "path": "/person/party/addresses/0", "value": {"addressType": 2, "city": "Vienna", "countryCode": "AT"}},
            {"op": "replace", "path": "/person/party/addresses/1/stateProvinceCode", "value": "CA"},
            {"op": "remove", "path": "/person/party/addresses/1/addressLine2"},
            {"op": "replace", "path": "/person/party/phoneNumbers/0/extension", "value": null},
            {"op": "add", "path": "/person/party/phoneNumbers/-", "value": {"phoneType": 3, "phoneNumber": "1"}},
        ])).await;
        assert_eq!(answer.header("etag"), format!("\"{}\"", answer.headers["etag"].to_str().unwrap().trim_matches('"')));
        let amended = answer.ok();
        assert_eq!(amended["policies"], json!(["a", "y"]));
        assert_eq!(amended["customPermissions"], json!([]));
        let (person, party) = (&amended["person"], &amended["person"]["party"]);
        assert_eq!((&person["firstName"], &person["salutation"]), (&json!("Ada"), &json!(0)));
        assert_eq!((&person["emailAddress"], &party["legacyIdentifier"]), (&json!("ada@example.org"), &json!("")));
        assert_eq!((&party["addresses"][0]["city"], &party["addresses"][0]["countryName"]), (&json!("Vienna"), &json!("Austria")));
        assert_eq!(party["addresses"][1]["stateProvinceName"], "California");
        assert_eq!(party["addresses"][1].get("addressLine2"), None);
        assert_eq!((&party["phoneNumbers"][0]["extension"], &party["phoneNumbers"][1]["phoneType"]), (&json!(""), &json!(3)));
        assert_eq!(app.get(&path_of(&admin)).await.ok(), amended);
    }

    async fn a_patch_that_changes_nothing_stores_nothing(database) {
        let app = App::open(&database).await;
        let admin = app.create(&sample()).await;
        let before = app.head().await;
        for steps in [
            json!([]),
            json!([replace("/person/firstName", json!("string"))]),
            json!([replace("/person/firstName", json!("x")), replace("/person/firstName", json!("string"))]),
            json!([{"op": "add", "path": "/policies/-", "value": admin["policies"][0]}]),
        ] {
            let answer = app.patch(&admin, &steps).await;
            assert_eq!(answer.version(), 1);
            assert_eq!(answer.ok(), admin, "{steps}");
        }
        assert_eq!(app.head().await, before);
    }

    async fn a_patch_with_one_bad_step_changes_nothing(database) {
        let app = App::open(&database).await;
        let admin = app.create(&sample()).await;
        let good = replace("/person/firstName", json!("Ada"));
        let table = [
            (json!({"op": "remove", "path": "/policies/1"}), "operations[1].path: names no existing element (the list has 1)"),
            (json!({"op": "add", "path": "/policies/2", "value": "x"}), "operations[1].path: names no existing element (the list has 1)"),
            (json!({"op": "replace", "path": "/person/party/addresses/1/city", "value": "x"}), "operations[1].path: names no existing element (the list has 1)"),
            (json!({"op": "remove", "path": "/person/party/phoneNumbers/99999999999999999999"}), "operations[1].path: names no existing element (the list has 1)"),
            (json!({"op": "remove", "path": "/person/lastName"}), "operations[1].path: cannot be removed"),
            (json!({"op": "test", "path": "/person/lastName", "value": "x"}), "operations[1].op: must be one of the following values: add, replace, remove"),
            (json!({"op": "add", "path": "/person/lastName"}), "operations[1].value: must be given"),
            (json!({"op": "replace", "path": "/isProvider", "value": true}), "operations[1].path: names nothing that an ECG Admin has"),
            (json!({"op": "replace", "path": "/activeInfo/active", "value": false}), "operations[1].path: is read only"),
            (json!({"op": "replace", "path": "/person/salutation", "value": "1"}), "operations[1].value: must be a number"),
            (json!({"op": "replace", "path": "/person/party/addresses/0/stateProvinceCode", "value": "ZZ"}), "operations[1].value: must be a state or territory code of the United States"),
            (json!({"op": "replace", "path": "/person/suffix", "value": "a\u{0}"}), "operations[1].value: must not contain the character U+0000"),
        ];
        for (bad, finding) in table {
            let call = app.call("PATCH", &path_of(&admin)).json(&json!([good, bad]));
            let message = app.refused(call, 400).await;
            assert_eq!(message, json!([finding]));
        }
        let call = app.call("PATCH", &path_of(&admin)).json(&good);
        assert_eq!(app.refused(call, 400).await, json!(["body: must be an array"]));
        assert_eq!(app.get(&path_of(&admin)).await.ok(), admin);
    }

    async fn both_content_types_of_a_patch_are_read_and_no_other(database) {
        let app = App::open(&database).await;
        let admin = app.create(&sample()).await;
        let steps = json!([replace("/person/firstName", json!("Ada"))]).to_string();
        let call = app.call("PATCH", &path_of(&admin)).header("content-type", "application/json-patch+json; charset=utf-8");
        assert_eq!(call.bytes(steps.clone()).send().await.ok()["person"]["firstName"], "Ada");
        let call = app.call("PATCH", &path_of(&admin)).header("content-type", "application/merge-patch+json").bytes(steps);
        app.refused(call, 415).await;
    }

    async fn bad_steps_come_before_unknown_admins(database) {
        let app = App::open(&database).await;
        let path = format!("{ADMINS}/{NOBODY}");
        let bad = app.call("PATCH", &path).json(&json!([{"op": "remove", "path": "/person/firstName"}]));
        assert_eq!(app.refused(bad, 400).await, json!(["operations[0].path: cannot be removed"]));
        let good = app.call("PATCH", &path).json(&json!([replace("/person/firstName", json!("Ada"))]));
        assert_eq!(app.refused(good, 404).await, "ECG Admin not found");
    }

    async fn only_the_version_that_was_seen_is_changed(database) {
        let app = App::open(&database).await;
        let admin = app.create(&sample()).await;
        let path = path_of(&admin);
        let steps = |name: &str| json!([replace("/person/firstName", json!(name))]);
        let first = app.get(&path).await.header("etag").to_owned();
        let answer = app.call("PATCH", &path).header("if-match", &first).json(&steps("Ada")).send().await;
        assert_eq!(answer.version(), 2, "{answer:?}");
        let second = answer.header("etag").to_owned();
        let of_another_version = second.replacen('2', "3", 1);
        for tag in [&first, &of_another_version, &format!("W/{second}"), "\"1\"", "\"2\"", "\"3\"", "W/\"2\"", "\"x\""] {
            let call = app.call("PATCH", &path).header("if-match", tag).json(&steps("Eve"));
            app.refused(call, 412).await;
        }
        for malformed in ["2", "\"2", "*, \"2\""] {
            let call = app.call("PATCH", &path).header("if-match", malformed).json(&steps("Eve"));
            app.refused(call, 400).await;
        }
        let answer = app.call("PATCH", &path).header("if-match", format!("\"9\", {second}")).json(&steps("Eve")).send().await;
        assert_eq!(answer.ok()["person"]["firstName"], "Eve");
        let answer = app.call("PATCH", &path).header("if-match", "*").json(&steps("Ada")).send().await;
        assert_eq!(answer.ok()["person"]["firstName"], "Ada");
    }

    async fn stamps_move_only_where_something_changed(database) {
        let app = App::open(&database).await;
        let admin = app.create(&with(&sample(), "/addresses", json!([{"addressType": 1}, {"addressType": 2}]))).await;
        let amended = app.patch(&admin, &json!([replace("/person/party/addresses/1/city", json!("Vienna"))])).await.ok();
        let stamps = |admin: &Value, index: usize| admin["person"]["party"]["addresses"][index]["auditInfo"].clone();
        assert_eq!(stamps(&admin, 0), stamps(&amended, 0));
        assert_eq!(stamps(&admin, 1)["createdAt"], stamps(&amended, 1)["createdAt"]);
        assert_eq!(stamps(&amended, 1)["updatedAt"], amended["person"]["party"]["auditInfo"]["updatedAt"]);
        assert_eq!(amended["activeInfo"], admin["activeInfo"]);
    }
}
