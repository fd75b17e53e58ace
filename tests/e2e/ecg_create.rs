//! Registering an admin.

use crate::ecg_app::{ADMINS, App, minimal, path_of, sample, with};
use crate::on_both_stores;
use serde_json::{Value, json};

/// The admin with placeholders for ids and times, for a snapshot.
fn stable(admin: &Value) -> Value {
    match admin {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let value = match name.as_str() {
                    "id" | "createdBy" | "updatedBy" if value.is_string() => json!("[id]"),
                    name if name.ends_with("At") => json!("[time]"),
                    _ => stable(value),
                };
                (name.clone(), value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(stable).collect(),
        other => other.clone(),
    }
}

on_both_stores! {
    async fn the_published_sample_is_accepted_and_displayed(database) {
        let app = App::open(&database).await;
        let answer = app.post(ADMINS, &sample()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let admin = answer.json();
        assert_eq!(answer.header("location"), path_of(&admin));
        assert_eq!(answer.version(), 1);
        assert_eq!(answer.header("registrar-position"), app.head().await.to_string());
        insta::with_settings!({snapshot_suffix => "", prepend_module_to_snapshot => false}, {
            insta::assert_json_snapshot!("created_sample", stable(&admin));
        });
        let times = &admin["person"]["party"]["auditInfo"];
        assert_eq!(times["createdBy"], app.caller);
        assert_eq!(times["createdAt"], admin["activeInfo"]["activeStatusChangedAt"]);
        assert_eq!(times["createdAt"].as_str().unwrap().len(), "2026-03-04T17:27:05.147Z".len());
        assert!(!answer.text.contains("password") && !answer.text.contains("string@gmail.com"));

        let read = app.get(&path_of(&admin)).await;
        assert_eq!(read.header("etag"), answer.header("etag"));
        assert_eq!(read.ok(), admin);
    }

    async fn the_least_that_is_needed_is_displayed_without_gaps(database) {
        let app = App::open(&database).await;
        let admin = app.create(&minimal("Ada", "Lovelace")).await;
        let person = &admin["person"];
        assert_eq!((&person["salutation"], &person["suffix"], &person["emailAddress"]), (&json!(0), &json!(""), &json!("")));
        assert_eq!(person["party"]["legacyIdentifier"], "");
        assert_eq!((&admin["policies"], &admin["customPermissions"]), (&json!([]), &json!([])));
        assert_eq!((&person["party"]["addresses"], &person["party"]["phoneNumbers"]), (&json!([]), &json!([])));
    }

    async fn absent_members_of_an_address_are_left_out(database) {
        let app = App::open(&database).await;
        let body = with(&minimal("Ada", "Lovelace"), "/addresses", json!([
            {"addressType": 1},
            {"addressType": 2, "stateProvinceCode": "BY", "countryCode": "DE", "regionCode": "EU"},
        ]));
        let admin = app.create(&body).await;
        let addresses = &admin["person"]["party"]["addresses"];
        let names: Vec<_> = addresses[0].as_object().unwrap().keys().collect();
        assert_eq!(names, ["addressType", "auditInfo", "id"]);
        assert_eq!(addresses[1]["stateProvinceName"], "BY");
        assert_eq!((&addresses[1]["countryName"], &addresses[1]["regionName"]), (&json!("Germany"), &json!("European Union")));
    }

    async fn duplicate_grants_collapse(database) {
        let app = App::open(&database).await;
        let body = with(&minimal("Ada", "Lovelace"), "/policies", json!(["b", "a", "b"]));
        assert_eq!(app.create(&body).await["policies"], json!(["b", "a"]));
    }

    async fn every_malformed_body_is_refused_and_named(database) {
        let app = App::open(&database).await;
        let sample = sample();
        let table = [
            ("/person/firstName", Value::Null, "person.firstName should not be null or undefined"),
            ("/person/firstName", json!(""), "person.firstName should not be empty"),
            ("/person/lastName", json!(" \t"), "person.lastName should not be empty"),
            ("/person/lastName", json!(7), "person.lastName must be a string"),
            ("/person/salutation", json!("1"), "person.salutation must be a number"),
            ("/person/salutation", json!(0), "person.salutation must not be less than 1"),
            ("/person/salutation", json!(1.5), "person.salutation must be an integer number"),
            ("/person/nickname", json!("x"), "property person.nickname should not exist"),
            ("/person", json!("x"), "person must be an object"),
            ("/person", Value::Null, "person should not be null or undefined"),
            ("/addresses", Value::Null, "addresses should not be null or undefined"),
            ("/addresses", json!({}), "addresses must be an array"),
            ("/addresses", json!([{}]), "addresses[0].addressType should not be null or undefined"),
            ("/addresses", json!([{"addressType": 1, "x": 1}]), "property addresses[0].x should not exist"),
            ("/addresses", json!([{"addressType": 1, "regionCode": "ASIA"}]), "addresses[0].regionCode must be one of the following values: US, EU"),
            ("/addresses", json!([{"addressType": 1, "countryCode": "ZZ"}]), "addresses[0].countryCode must be an ISO 3166-1 alpha-2 country code"),
            ("/addresses", json!([{"addressType": 1, "countryCode": "US", "stateProvinceCode": "ZZ"}]), "addresses[0].stateProvinceCode must be a state or territory code of the United States"),
            ("/addresses", json!([{"addressType": 1, "city": 1}]), "addresses[0].city must be a string"),
            ("/phoneNumbers", Value::Null, "phoneNumbers should not be null or undefined"),
            ("/phoneNumbers", json!([{"phoneNumber": "1"}]), "phoneNumbers[0].phoneType should not be null or undefined"),
            ("/phoneNumbers", json!([{"phoneType": true}]), "phoneNumbers[0].phoneType must be a number"),
            ("/policies", json!("a"), "policies must be an array"),
            ("/policies", json!(["a", 1]), "policies[1] must be a string"),
            ("/customPermissions", json!([null]), "customPermissions[0] must be a string"),
            ("/legacyIdentifier", json!(1), "legacyIdentifier must be a string"),
            ("/nickname", json!("x"), "property nickname should not exist"),
            ("/account/email", Value::Null, "account.email should not be null or undefined"),
            ("/account/email", json!("nobody"), "account.email must be an email"),
            ("/account/isAutoGenerated", json!("true"), "account.isAutoGenerated must be a boolean value"),
            ("/account/password", json!(1), "account.password must be a string"),
            ("/account/role", json!("x"), "property account.role should not exist"),
            ("/person/firstName", json!("a\u{0}b"), "person.firstName must not contain the character U+0000"),
        ];
        for (pointer, value, finding) in table {
            let call = app.call("POST", ADMINS).json(&with(&sample, pointer, value));
            assert_eq!(app.refused(call, 400).await, json!([finding]));
        }
    }

    async fn an_account_needs_a_password_unless_one_is_made_up(database) {
        let app = App::open(&database).await;
        let account = |account: Value| with(&minimal("Ada", "Lovelace"), "/account", account);
        for refused in [
            json!({"email": "ada@example.org"}),
            json!({"email": "ada@example.org", "password": ""}),
            json!({"email": "ada@example.org", "isAutoGenerated": false}),
        ] {
            let call = app.call("POST", ADMINS).json(&account(refused));
            assert_eq!(app.refused(call, 400).await, json!(["account.password should not be empty"]));
        }
        app.create(&account(json!({"email": "ada@example.org", "isAutoGenerated": true}))).await;
        app.create(&account(json!({"email": "eve@example.org", "password": "gJ7#pQ2!"}))).await;
    }

    async fn a_password_follows_the_rules_of_every_other(database) {
        let app = App::open(&database).await;
        let account = |password: &str| json!({"email": "ada.lovelace@example.org", "password": password});
        let limited = minimal("Ada", "Lovelace");
        let powerful = with(&limited, "/customPermissions", json!(["ecg-admins.read"]));
        for (admin, password, rule) in [
            (&limited, "1", "must have at least 8 characters"),
            (&limited, "password1", "is too easily guessed"),
            (&limited, "Lovelace1", "is too easily guessed"),
            (&limited, &*"long ".repeat(60), "must not have more than 255 characters"),
            (&powerful, "gJ7#pQ2!xyz", "must have at least 12 characters"),
        ] {
            let call = app.call("POST", ADMINS).json(&with(admin, "/account", account(password)));
            assert_eq!(app.refused(call, 400).await, json!([format!("account.password {rule}")]));
        }
        app.create(&with(&powerful, "/account", account("gJ7#pQ2!xyzw"))).await;
    }

    async fn all_findings_come_at_once(database) {
        let app = App::open(&database).await;
        let body = json!({"person": {"firstName": " "}, "addresses": [{}], "phoneNumbers": 1, "x": 1});
        let call = app.call("POST", ADMINS).json(&body);
        assert_eq!(app.refused(call, 400).await, json!([
            "person.firstName should not be empty",
            "person.lastName should not be null or undefined",
            "addresses[0].addressType should not be null or undefined",
            "phoneNumbers must be an array",
            "property x should not exist",
        ]));
    }

    async fn an_email_serves_one_account_however_it_is_written(database) {
        let app = App::open(&database).await;
        app.create(&sample()).await;
        let again = with(&sample(), "/account/email", json!("STRING@Gmail.com"));
        let call = app.call("POST", ADMINS).json(&again);
        assert_eq!(app.refused(call, 409).await, "account.email is already in use");
    }

    async fn a_body_that_is_no_json_is_refused(database) {
        let app = App::open(&database).await;
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let bodies: [&[u8]; 7] = [b"", b"{", b"{}x", b"nul", b"\xff\xfe", b"{\"person\": \"\xc3\x28\"}", deep.as_bytes()];
        for body in bodies {
            let call = app.call("POST", ADMINS).header("content-type", "application/json").bytes(body.to_vec());
            let message = app.refused(call, 400).await;
            assert!(message[0].as_str().unwrap().starts_with("body is not valid JSON: "), "{message}");
        }
        let twice = r#"{"person": {"firstName": "a", "firstName": "b", "lastName": "c"}, "addresses": [], "phoneNumbers": []}"#;
        let call = app.call("POST", ADMINS).header("content-type", "application/json").bytes(twice);
        assert_eq!(app.refused(call, 400).await, json!(["person.firstName must not be given more than once"]));
        let call = app.call("POST", ADMINS).json(&json!([]));
        assert_eq!(app.refused(call, 400).await, json!(["body must be an object"]));
    }

    async fn other_content_types_are_refused(database) {
        let app = App::open(&database).await;
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", "application/jsonp"] {
            let call = app.call("POST", ADMINS).header("content-type", content_type).bytes(sample().to_string());
            assert_eq!(app.refused(call, 415).await, "the content type must be application/json");
        }
        app.refused(app.call("POST", ADMINS).bytes(sample().to_string()), 415).await;
        app.refused(app.call("POST", ADMINS), 400).await;
        let call = app.call("POST", ADMINS).header("content-type", "Application/JSON; charset=utf-8");
        assert_eq!(call.bytes(sample().to_string()).send().await.status, 201);
    }
}
