//! The audit trails of admins.

use crate::ecg_app::{ADMINS, App, NOBODY, minimal, path_of, sample};
use crate::on_both_stores;
use registrar::api::ApiSettings;
use registrar::journal::codec;
use serde_json::{Value, json};

const TRAILS: &str = "/api/ecg-admins/audit-trails";

async fn entries(app: &App, path: &str) -> Vec<Value> {
    app.get(path).await.ok()["items"].as_array().unwrap().clone()
}

fn column(entries: &[Value], name: &str) -> Vec<String> {
    entries.iter().map(|entry| entry[name].as_str().unwrap_or_default().to_owned()).collect()
}

async fn history(app: &App) -> Value {
    let admin = app.create(&sample()).await;
    let steps = json!([
        {"op": "replace", "path": "/person/firstName", "value": "Ada"},
        {"op": "remove", "path": "/person/party/addresses/0"},
        {"op": "add", "path": "/person/party/phoneNumbers/-", "value": {"phoneType": 2}},
    ]);
    let call = app.call("PATCH", &path_of(&admin)).header("user-agent", "tests/1").json(&steps);
    call.header("x-request-id", "C182ED73-7b78-4d27-a14b-e30acf7f4104").send().await.ok();
    app.call("POST", &format!("{}/deactivate", path_of(&admin))).send().await.ok();
    admin
}

on_both_stores! {
    async fn every_record_that_a_request_touches_has_an_entry(database) {
        let app = App::open(&database).await;
        let admin = history(&app).await;
        let entries = entries(&app, &format!("{}/audit-trails?order_by=ASC", path_of(&admin))).await;
        assert_eq!(column(&entries, "action"), ["INSERT", "UPDATE", "DELETE", "INSERT", "UPDATE"]);
        assert_eq!(column(&entries, "entity"), ["EcgAdmin", "Person", "PartyAddress", "PhoneNumber", "EcgAdmin"]);
        for entry in &entries {
            assert_eq!((&entry["ecgAdminId"], &entry["personId"]), (&admin["id"], &admin["person"]["id"]));
            assert_eq!((&entry["modifiedBy"], &entry["modifiedByName"]), (&json!(app.caller), &json!("Grace Hopper")));
            assert!(entry["changes"].as_array().unwrap().iter().all(|change| change.as_object().unwrap().len() == 3));
        }
        let patched = &entries[1..4];
        assert!(patched.iter().all(|entry| entry["requestId"] == "c182ed73-7b78-4d27-a14b-e30acf7f4104"));
        assert!(patched.iter().all(|entry| entry["modifiedAt"] == patched[0]["modifiedAt"] && entry["userAgent"] == "tests/1"));
        assert_eq!(patched[0]["changes"], json!([{"path": "/person/firstName", "oldValue": "string", "newValue": "Ada"}]));
        assert_eq!(entries[0]["userAgent"], Value::Null);
        let text = serde_json::to_string(&entries).unwrap();
        assert!(text.contains("\"***\"") && !text.contains("argon2"));
    }

    async fn trails_are_sorted_paged_and_filtered(database) {
        let app = App::open(&database).await;
        let admin = history(&app).await;
        app.create(&minimal("Alan", "Turing")).await;
        let all = app.get(TRAILS).await.ok();
        // Seven entries: the caller's own registration is one of them.
        assert_eq!((&all["totalRecords"], &all["totalPages"]), (&json!(7), &json!(1)));
        let sequences: Vec<_> = all["items"].as_array().unwrap().iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequences, [7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(column(&entries(&app, &format!("{TRAILS}?sort_by=action&order_by=ASC")).await, "action"), ["DELETE", "INSERT", "INSERT", "INSERT", "INSERT", "UPDATE", "UPDATE"]);
        for sort_by in ["modifiedAt", "action", "entity", "entityId", "personId", "modifiedBy", "sequence"] {
            let mut paged = Vec::new();
            for skip in 0..4 {
                paged.extend(entries(&app, &format!("{TRAILS}?sort_by={sort_by}&order_by=ASC&take=2&skip={skip}")).await);
            }
            assert_eq!(paged, entries(&app, &format!("{TRAILS}?sort_by={sort_by}&order_by=ASC")).await, "{sort_by}");
            assert!(column(&paged, sort_by).is_sorted(), "{sort_by}");
        }
        let deleted = entries(&app, &format!("{}/audit-trails?searchTerm=DELETE", path_of(&admin))).await;
        assert_eq!(column(&deleted, "entity"), ["PartyAddress"]);
        let none = app.get(&format!("{TRAILS}?dateRangeType=last-year")).await.ok();
        assert_eq!((&none["items"], &none["totalRecords"], &none["totalPages"]), (&json!([]), &json!(0), &json!(0)));
        for period in ["this-year", "this-quarter", "this-month"] {
            assert_eq!(entries(&app, &format!("{TRAILS}?dateRangeType={period}")).await.len(), 7, "{period}");
        }
    }

    async fn from_and_to_are_both_included(database) {
        let app = App::open(&database).await;
        let admin = history(&app).await;
        let trail = format!("{}/audit-trails", path_of(&admin));
        let all = entries(&app, &format!("{trail}?order_by=ASC")).await;
        let (first, last) = (all[0]["modifiedAt"].as_str().unwrap(), all[4]["modifiedAt"].as_str().unwrap());
        assert_eq!(entries(&app, &format!("{trail}?from={first}&to={last}")).await.len(), 5);
        assert_eq!(entries(&app, &format!("{trail}?dateRangeType=custom&to={first}&from={first}")).await.last(), Some(&all[0]));
        let offset = first.replace('Z', "%2B00:00");
        assert_eq!(entries(&app, &format!("{trail}?from={offset}&searchTerm=INSERT")).await.len(), 2);
        assert_eq!(entries(&app, &format!("{trail}?to=2000-01-01T00:00:00Z&dateRangeType=this-year")).await.len(), 0);
    }

    async fn reading_a_trail_is_on_record_before_it_is_answered(database) {
        let app = App::open(&database).await;
        let admin = app.create(&minimal("Ada", "Lovelace")).await;
        let before = app.head().await;
        let answer = app.get(&format!("{}/audit-trails?searchTerm=INSERT&x=1", path_of(&admin))).await;
        assert_eq!(answer.header("registrar-position"), (before + 1).to_string());
        let events = app.state.node.journal.read(before, 10).await.unwrap();
        assert_eq!((events.len(), events[0].aggregate_id.as_str()), (1, app.caller.as_str()));
        // Search terms may contain names of people, so they are stored sealed.
        let stored: Value = serde_json::from_str(&events[0].payload).unwrap();
        assert_eq!(stored["filters"], json!({"ecgAdminId": "[sealed]", "searchTerm": "[sealed]"}));
        let opened = codec::decode(&app.state.node.vault, &events).await.unwrap();
        let payload = opened[0].event.to_payload().unwrap();
        assert_eq!(payload["filters"], json!({"ecgAdminId": admin["id"], "searchTerm": "INSERT"}));
        assert_eq!(payload["trail"], "ecg-admins");
        // Reads are no changes of admins, so the trail does not grow.
        assert_eq!(app.get(TRAILS).await.ok()["totalRecords"], 2);
        app.call("GET", TRAILS).token(None).send().await.refused(401);
    }

    async fn entries_say_where_a_call_came_from_as_far_as_that_is_known(database) {
        let settings = ApiSettings { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..ApiSettings::default() };
        let app = App::over(database.open().await, settings).await;
        let long = format!("agent\t{}", "x".repeat(1000));
        for (peer, forwarded, recorded) in [
            ("192.0.2.1:4711", "198.51.100.7", "192.0.2.1"),
            ("10.0.0.1:4711", "203.0.113.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
            ("[::ffff:192.0.2.2]:4711", "198.51.100.7", "192.0.2.2"),
        ] {
            let call = app.call("POST", ADMINS).json(&minimal("Ada", "Lovelace")).peer(peer);
            let admin = call.header("x-forwarded-for", forwarded).header("user-agent", &long).send().await.ok();
            let entries = entries(&app, &format!("{}/audit-trails", path_of(&admin))).await;
            assert_eq!(entries[0]["ipAddress"], recorded);
            assert_eq!(entries[0]["userAgent"], format!("agent{}", "x".repeat(507)));
        }
    }

    async fn every_bad_parameter_is_refused_and_nothing_recorded(database) {
        let app = App::open(&database).await;
        let table = [
            ("searchTerm=update", "searchTerm must be one of the following values: UPDATE, DELETE, INSERT"),
            ("sort_by=name", "sort_by must be one of the following values: modifiedAt, action, entity, entityId, personId, modifiedBy, sequence"),
            ("dateRangeType=next-week", "dateRangeType must be one of the following values: custom, this-year, last-year, today, this-week, last-week, this-month, last-month, this-quarter, last-quarter"),
            ("dateRangeType=custom", "dateRangeType custom needs from or to"),
            ("from=2026-03-04", "from must be an RFC 3339 date-time with an offset"),
            ("from=2026-03-05T00:00:00Z&to=2026-03-04T00:00:00Z", "from must not be later than to"),
            ("take=1001", "take must not be greater than 1000"),
        ];
        for (query, finding) in table {
            for trail in [TRAILS.to_owned(), format!("{ADMINS}/{}/audit-trails", app.caller), format!("{ADMINS}/{NOBODY}/audit-trails")] {
                let call = app.call("GET", &format!("{trail}?{query}"));
                assert_eq!(app.refused(call, 400).await, json!([finding]), "{query}");
            }
        }
        for id in [NOBODY, "x"] {
            let call = app.call("GET", &format!("{ADMINS}/{id}/audit-trails"));
            assert_eq!(app.refused(call, 404).await, "ECG Admin not found");
        }
    }
}
