//! The auditor's event list: filters, pages, NDJSON, the sealed form, and the record of each read.

use crate::audit_app::*;
use crate::ecg_app::{App, minimal, path_of};
use crate::on_both_stores;
use axum::http::Request;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::BodyExt;
use registrar::api::router;
use registrar::merkle;
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

on_both_stores! {
    async fn an_event_tells_everything_but_secrets(database) {
        let app = App::open(&database).await;
        let admin = app.create(&minimal("Ada", "Lovelace")).await;
        app.call("PATCH", &path_of(&admin)).header("user-agent", "tests/1").peer("192.0.2.1:4711")
            .header("x-request-id", "c182ed73-7b78-4d27-a14b-e30acf7f4104")
            .json(&json!([{"op": "replace", "path": "/person/firstName", "value": "Augusta"}])).send().await.ok();
        let position = app.head().await;
        let answer = app.get(&format!("/audit/events/{position}")).await;
        assert_eq!(answer.header("registrar-position"), position.to_string());
        let event = answer.ok();
        let hash = event["leafHash"].as_str().unwrap();
        assert_eq!(BASE64_STANDARD.decode(hash).unwrap().len(), 32);
        assert!(event["recordedAt"].as_str().unwrap().ends_with('Z'));
        assert_eq!(event, json!({
            "position": position, "recordedAt": event["recordedAt"], "aggregateType": "admin", "aggregateId": admin["id"],
            "sequence": 2, "eventType": "admin.person-amended", "eventVersion": "1.0",
            "payload": {"type": "admin.person-amended", "person": {"firstName": "Augusta", "lastName": "Lovelace"}},
            "metadata": {
                "actor": {"type": "user", "id": app.caller, "name": "Grace Hopper"}, "ipAddress": "192.0.2.1",
                "userAgent": "tests/1", "requestId": "c182ed73-7b78-4d27-a14b-e30acf7f4104",
            },
            "leafHash": hash,
        }));
        let keys = items(&app.get("/audit/events?aggregateType=key-ring").await.ok());
        assert_eq!(keys[0]["payload"]["key"]["privateKey"], "***");
    }

    async fn a_leaf_can_be_computed_again_from_the_sealed_event(database) {
        let app = App::open(&database).await;
        app.create(&minimal("Ada", "Lovelace")).await;
        let sealed = lines_of(&app, "/audit/events?sealed=true").await;
        assert!(sealed.len() > 3 && !serde_json::to_string(&sealed).unwrap().contains("Lovelace"));
        for event in &sealed {
            let mut entry = event.clone();
            entry.as_object_mut().unwrap().remove("leafHash");
            let canonical = serde_json_canonicalizer::to_string(&entry).unwrap();
            let hash = BASE64_STANDARD.encode(merkle::leaf_hash(canonical.as_bytes()));
            assert_eq!(event["leafHash"], hash);
            let alone = app.get(&format!("/audit/events/{}?sealed=true", event["position"])).await.ok();
            assert_eq!(alone, *event);
        }
        let opened = lines_of(&app, &format!("/audit/events?sealed=false&to={}", sealed.len())).await;
        for (opened, sealed) in opened.iter().zip(&sealed) {
            assert_eq!((&opened["leafHash"], &opened["position"]), (&sealed["leafHash"], &sealed["position"]));
        }
    }

    async fn each_filter_keeps_what_it_names(database) {
        let app = App::open(&database).await;
        let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
        registered_within(&app, first, Some("o1")).await;
        registered_within(&app, second, None).await;
        amended_within(&app, first, Some("o2"), "L1").await;
        amended_within(&app, second, Some("o1"), "L2").await;
        let all = lines_of(&app, "/audit/events").await;
        let base = all.len() - 4;
        let time = |n: usize| all[base + n]["recordedAt"].as_str().unwrap().to_owned();
        let of = |kept: &[usize]| kept.iter().map(|n| (base + n + 1) as u64).collect::<Vec<_>>();
        let table = [
            (format!("aggregateId={first}"), of(&[0, 2])),
            (format!("aggregateType=admin&aggregateId={second}"), of(&[1, 3])),
            (format!("aggregateType=audit-access&aggregateId={second}"), vec![]),
            ("actorId=ann".into(), of(&[0, 1])),
            ("actorId=bob&organizationId=o1".into(), of(&[3])),
            ("organizationId=o1".into(), of(&[0, 3])),
            ("organizationId=none".into(), vec![]),
            ("eventType=admin.party-amended".into(), of(&[2, 3])),
            ("eventType=admin.party-amended&aggregateType=key-ring".into(), vec![]),
            (format!("aggregateType=admin&after={base}"), of(&[0, 1, 2, 3])),
            ("aggregateType=nothing".into(), vec![]),
            (format!("from={}&to={}", base + 2, base + 3), of(&[1, 2])),
            (format!("from={}&actorId=bob", time(3).replace('Z', "%2B00:00")), of(&[3])),
            (format!("from={}&to={}&actorId=ann&eventType=admin.registered", time(0), time(3)), of(&[0, 1])),
            ("to=2000-01-01T00:00:00Z".into(), vec![]),
            (format!("to=2999-01-01T00:00:00Z&after={base}&limit=2"), of(&[0, 1])),
        ];
        for (query, expected) in table {
            // Several events can have the same time, so a range may hold more than expected.
            let kept = |events: Vec<Value>| {
                let ours = positions(&events).into_iter().filter(|position| *position <= base as u64 + 4);
                ours.collect::<Vec<_>>()
            };
            let found = kept(items(&app.get(&format!("/audit/events?{query}")).await.ok()));
            let exact = !query.contains(&time(3).replace('Z', "%2B00:00"));
            assert!(if exact { found == expected } else { expected.iter().all(|position| found.contains(position)) }, "{query}: {found:?}");
            assert_eq!(kept(lines_of(&app, &format!("/audit/events?{query}")).await), found, "{query}");
        }
    }

    async fn pages_joined_are_the_stream_whatever_happens_meanwhile(database) {
        let app = App::open(&database).await;
        let admin = Uuid::now_v7();
        registered_within(&app, admin, Some("o1")).await;
        for n in 0..7 {
            amended_within(&app, admin, Some("o1"), &n.to_string()).await;
        }
        for query in ["actorId=bob", "organizationId=o1", "aggregateType=admin", "eventType=admin.party-amended", "sealed=true"] {
            let stream = lines_of(&app, &format!("/audit/events?{query}")).await;
            // Every page appends an event, the record of that read.
            for limit in [1, 2, 7, 1000] {
                let until = stream.last().unwrap()["position"].as_u64().unwrap();
                let pages: Vec<_> = all_pages(&app, &format!("/audit/events?{query}"), limit).await.into_iter()
                    .filter(|event| event["position"].as_u64().unwrap() <= until).collect();
                assert_eq!(pages, stream, "{query} by {limit}");
            }
        }
    }

    async fn every_reading_is_on_record_before_it_is_answered(database) {
        let app = App::open(&database).await;
        let id = app.create(&minimal("Ada", "Lovelace")).await["id"].as_str().unwrap().to_owned();
        let of_admin = json!({"aggregateType": "admin", "aggregateId": id});
        let with = |name: &str, value: &str| {
            let mut filters = of_admin.clone();
            filters[name] = value.into();
            filters
        };
        let table = [
            ("/audit/events?actorId=x&limit=5".to_owned(), "events", json!({"actorId": "x", "limit": "5"})),
            ("/audit/events/1".to_owned(), "event", json!({"position": "1"})),
            (format!("/audit/admin/{id}/history?to=2999-01-01T00:00:00Z"), "history", with("to", "2999-01-01T00:00:00Z")),
            (format!("/audit/admin/{id}"), "state", of_admin.clone()),
            (format!("/audit/admin/{id}/diff?from=1"), "diff", with("from", "1")),
        ];
        for (path, what, filters) in table {
            let before = app.head().await;
            let call = app.call("GET", &path).header("user-agent", "reader/1").header("accept", "application/x-ndjson");
            assert!(call.send().await.status.is_success());
            let recorded = items(&app.get(&format!("/audit/events?after={before}&limit=1")).await.ok()).remove(0);
            assert_eq!(recorded["payload"], json!({"type": "audit-access.trail-read", "trail": what, "filters": filters}), "{path}");
            assert_eq!((&recorded["aggregateId"], &recorded["metadata"]["userAgent"]), (&json!(app.caller), &json!("reader/1")));
        }
    }

    async fn a_reader_who_follows_the_end_does_not_chase_the_record_of_it(database) {
        let app = App::open(&database).await;
        let head = app.head().await;
        let page = app.get(&format!("/audit/events?after={head}")).await.ok();
        assert_eq!(page, json!({"items": [], "next": null}));
        assert_eq!(all_pages(&app, "/audit/events?sealed=true", 1).await.len() as u64, head + 1);
    }

    async fn lines_that_cannot_go_on_break_off(database) {
        let app = App::open(&database).await;
        let admin = Uuid::now_v7();
        registered_within(&app, admin, None).await;
        for n in 0..600 {
            amended_within(&app, admin, None, &n.to_string()).await;
        }
        let mut sql = database.sql().await;
        let unguard = match sql {
            crate::support::Sql::Sqlite(_) => "DROP TRIGGER events_no_update",
            crate::support::Sql::Postgres(_) => "DROP TRIGGER events_append_only ON events",
        };
        sql.run(unguard).await.unwrap();
        let last = app.head().await;
        sql.run(&format!("UPDATE events SET payload = '{{}}' WHERE position = {last}")).await.unwrap();
        for path in ["/audit/events".to_owned(), format!("/audit/admin/{admin}/history")] {
            let request = Request::get(&path).header("accept", "application/x-ndjson")
                .header("authorization", format!("Bearer {}", app.token)).body(axum::body::Body::empty()).unwrap();
            let response = router(app.state.clone()).oneshot(request).await.unwrap();
            assert!(response.status().is_success());
            assert!(response.into_body().collect().await.is_err(), "{path} ends as if nothing had been");
        }
        // Stored events can still be read in the sealed form.
        assert_eq!(lines_of(&app, "/audit/events?sealed=true").await.len() as u64, app.head().await - 1);
    }
}
