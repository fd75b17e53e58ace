//! Permissions to read the journal, and the refusals.

use crate::audit_app::*;
use crate::ecg_app::{App, NOBODY};
use crate::ecg_outage::DatabaseProxy;
use crate::on_both_stores;
use crate::support::*;
use futures::future::join_all;
use registrar::auth::Permission;
use registrar::auth::permissions::{AUDITOR, OPERATOR};
use serde_json::{Value, json};
use uuid::Uuid;

/// An admin of o1 who was later amended for o2, an admin of o2, and one without an organization; in this order.
async fn tenants(app: &App) -> [Uuid; 3] {
    let admins = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    for (admin, organization) in admins.iter().zip([Some("o1"), Some("o2"), None]) {
        registered_within(app, *admin, organization).await;
    }
    amended_within(app, admins[0], Some("o2"), "of o2").await;
    amended_within(app, admins[0], Some("o1"), "of o1").await;
    admins
}

on_both_stores! {
    async fn a_narrowed_reader_sees_what_carried_the_organization_and_nothing_else(database) {
        let app = App::open(&database).await;
        let [shared, other, none] = tenants(&app).await;
        let token = narrowed(&app, "o1").await;
        let get = |path: String| {
            let call = app.call("GET", &path).token(Some(&token)).header("accept", "application/x-ndjson");
            async move { lines(&call.send().await) }
        };
        for path in ["/audit/events?to=2999-01-01T00:00:00Z", "/audit/events?organizationId=o1", &format!("/audit/events?aggregateId={shared}")] {
            let events = get(path.into()).await;
            let ours = |event: &&Value| event["aggregateType"] == "admin";
            assert_eq!(events.iter().filter(ours).count(), 2, "{path}: {events:?}");
            assert!(events.iter().all(|event| event["metadata"]["organizationId"] == "o1"), "{path}");
        }
        for path in [format!("/audit/events?aggregateId={other}"), format!("/audit/events?aggregateId={none}"), "/audit/events?eventType=key-ring.key-added".into()] {
            assert_eq!(get(path.clone()).await, [] as [Value; 0], "{path}");
        }
        let all = lines_of(&app, "/audit/events?aggregateType=admin").await;
        for event in &all {
            let call = app.call("GET", &format!("/audit/events/{}", event["position"])).token(Some(&token));
            let seen = call.send().await.status == 200;
            assert_eq!(seen, event["metadata"]["organizationId"] == "o1");
        }
        let state = app.call("GET", &format!("/audit/admin/{shared}")).token(Some(&token)).send().await.ok();
        assert_eq!(state["state"]["person"]["party"]["legacyIdentifier"], "of o1");
        let history = get(format!("/audit/admin/{shared}/history")).await;
        assert_eq!(history.len(), 2);
        assert_eq!(history[1]["changes"], json!([{"path": "/person/party/legacyIdentifier", "oldValue": null, "newValue": "of o1"}]));
        let diff = app.call("GET", &format!("/audit/admin/{shared}/diff?from={}", history[0]["position"])).token(Some(&token)).send().await;
        assert!(diff.text.contains("of o1") && !diff.text.contains("of o2"), "{diff:?}");
        // The platform auditor sees the changes of both organizations.
        let whole = items(&app.get(&format!("/audit/admin/{shared}/history")).await.ok());
        assert_eq!(whole[2]["changes"], json!([{"path": "/person/party/legacyIdentifier", "oldValue": "of o2", "newValue": "of o1"}]));
        // A read by a narrowed reader is recorded for the reader's organization.
        let read = get("/audit/events?aggregateType=audit-access".into()).await;
        assert!(read.len() > 5 && read.iter().all(|event| event["aggregateId"] == app.caller));
        let snapshot = app.call("GET", "/audit/organizations/o1/snapshot").token(Some(&token)).send().await.ok();
        assert_eq!(snapshot["items"][0]["aggregateId"], shared.to_string());
    }

    async fn aggregates_of_another_organization_are_not_found(database) {
        let app = App::open(&database).await;
        let [_, other, none] = tenants(&app).await;
        let token = narrowed(&app, "o1").await;
        for id in [other.to_string(), none.to_string(), NOBODY.into()] {
            for path in [format!("/audit/admin/{id}"), format!("/audit/admin/{id}/history"), format!("/audit/admin/{id}/diff"), format!("/audit/admin/{id}/diff?from=1&to=5")] {
                refused(&app, app.call("GET", &path).token(Some(&token)), 404).await;
            }
        }
        for path in ["/audit/organizations/o2/snapshot", "/audit/organizations/o3/snapshot", "/audit/events?organizationId=o2", "/audit/events?organizationId=O1", "/audit/events/1", "/audit/key-ring/token-signing"] {
            refused(&app, app.call("GET", path).token(Some(&token)), 404).await;
        }
    }

    async fn a_cursor_is_good_for_one_reader_and_one_question(database) {
        let app = App::open(&database).await;
        tenants(&app).await;
        let first = app.get("/audit/events?limit=1&aggregateType=admin").await.ok();
        let cursor = first["next"].as_str().unwrap().to_owned();
        assert_eq!(items(&app.get(&format!("/audit/events?aggregateType=admin&after={cursor}&sealed=true&limit=2")).await.ok()).len(), 2);
        let message = "after must be a position, or the next of a page with the same filters";
        for path in [format!("/audit/events?after={cursor}"), format!("/audit/events?aggregateType=admin&actorId=ann&after={cursor}"), format!("/audit/admin/{}/history?after={cursor}", app.caller)] {
            assert_eq!(refused(&app, app.call("GET", &path), 400).await, message);
        }
        let token = narrowed(&app, "o1").await;
        let call = app.call("GET", &format!("/audit/events?aggregateType=admin&after={cursor}")).token(Some(&token));
        assert_eq!(refused(&app, call, 400).await, message);
        // Every changed, missing or added character.
        for at in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            for text in [&changed, &cursor[..at], &format!("{cursor}{}", &cursor[..at + 1])] {
                if !text.is_empty() {
                    let call = app.call("GET", &format!("/audit/events?aggregateType=admin&after={text}"));
                    assert_eq!(refused(&app, call, 400).await, message, "{text}");
                }
            }
        }
    }

    async fn only_auditors_read_anything(database) {
        let app = App::open(&database).await;
        let paths = ["/audit/events".to_owned(), "/audit/events/1".into(), format!("/audit/admin/{}", app.caller), format!("/audit/admin/{}/history", app.caller), format!("/audit/admin/{}/diff", app.caller), "/audit/organizations/o1/snapshot".into()];
        let auditor = app.register(vec![AUDITOR.id.into()]).await.to_string();
        let operator = app.register(vec![OPERATOR.id.into()]).await.to_string();
        let auditor_token = app.token_of(&auditor, None).await;
        let without = [app.token_of(&operator, None).await, app.token_of(&app.caller, Some(vec![Permission::EcgAdminsAudit, Permission::EventsRead])).await];
        registered_within(&app, Uuid::now_v7(), Some("o1")).await;
        for path in &paths {
            refused(&app, app.call("GET", path).token(None), 401).await;
            for token in &without {
                // Refused before the request is validated.
                refused(&app, app.call("GET", &format!("{path}?nonsense=1")).token(Some(token)), 403).await;
            }
            assert!(app.call("GET", path).token(Some(&auditor_token)).send().await.status.is_success(), "{path}");
        }
    }

    async fn every_bad_question_is_refused_and_nothing_recorded(database) {
        let app = App::open(&database).await;
        let (id, beyond) = (app.caller.clone(), app.head().await + 1);
        let moment = "must be a position or an RFC 3339 date-time with an offset";
        let unreached = "The journal has not reached this position";
        let table = [
            ("/audit/events?actor=x".to_owned(), 400, "actor is not a parameter of this operation".to_owned()),
            ("/audit/events?asOf=1".into(), 400, "asOf is not a parameter of this operation".into()),
            ("/audit/events?limit=0".into(), 400, "limit must not be less than 1".into()),
            ("/audit/events?limit=1001".into(), 400, "limit must not be greater than 1000".into()),
            ("/audit/events?limit=x".into(), 400, "limit must be an integer number".into()),
            ("/audit/events?limit=5&limit=5".into(), 400, "limit must not be given more than once".into()),
            ("/audit/events?from=2026-03-04".into(), 400, format!("from {moment}")),
            ("/audit/events?from=".into(), 400, format!("from {moment}")),
            ("/audit/events?to=-1".into(), 400, format!("to {moment}")),
            ("/audit/events?to=2026-03-04T10:00:00".into(), 400, format!("to {moment}")),
            ("/audit/events?from=2026-03-04T10:00:00.001Z&to=2026-03-04T10:00:00Z".into(), 400, "from must not be later than to".into()),
            ("/audit/events?from=3&to=2".into(), 400, "from must not be later than to".into()),
            ("/audit/events?from=3&to=2000-01-01T00:00:00Z".into(), 400, "from must not be later than to".into()),
            ("/audit/events?sealed=yes".into(), 400, "sealed must be one of the following values: true, false".into()),
            ("/audit/events?actorId=".into(), 400, "actorId must have between 1 and 256 characters".into()),
            (format!("/audit/events?eventType={}", "x".repeat(257)), 400, "eventType must have between 1 and 256 characters".into()),
            ("/audit/events?actorId=%00".into(), 400, "query must be percent-encoded UTF-8 without U+0000".into()),
            ("/audit/events?after=-1".into(), 400, "after must be a position, or the next of a page with the same filters".into()),
            (format!("/audit/events?after={beyond}"), 404, unreached.into()),
            (format!("/audit/events?from={beyond}"), 404, unreached.into()),
            ("/audit/events?to=99999999999999999999".into(), 404, unreached.into()),
            (format!("/audit/events/{beyond}"), 404, "There is no such event".into()),
            ("/audit/events/0".into(), 404, "There is no such event".into()),
            ("/audit/events/first".into(), 404, "There is no such event".into()),
            ("/audit/events/99999999999999999999".into(), 404, "There is no such event".into()),
            ("/audit/events/1?limit=1".into(), 400, "limit is not a parameter of this operation".into()),
            (format!("/audit/admins/{id}"), 404, "There is no such aggregate".into()),
            (format!("/audit/Admin/{id}/history"), 404, "There is no such aggregate".into()),
            (format!("/audit/admin/{NOBODY}/history"), 404, "There is no such aggregate".into()),
            (format!("/audit/admin/{NOBODY}"), 404, "There was no such aggregate at that moment".into()),
            (format!("/audit/admin/{NOBODY}/diff"), 404, "There was no such aggregate at that moment".into()),
            ("/audit/admin/%00".into(), 404, "There is no such aggregate".into()),
            ("/audit/admin/%ff/history".into(), 404, "There is no such aggregate".into()),
            (format!("/audit/admin/{id}?asOf=yesterday"), 400, format!("asOf {moment}")),
            (format!("/audit/admin/{id}?asOf=2026-02-30T10:00:00Z"), 400, format!("asOf {moment}")),
            (format!("/audit/admin/{id}?at=1"), 400, "at is not a parameter of this operation".into()),
            (format!("/audit/admin/{id}?asOf={beyond}"), 404, unreached.into()),
            (format!("/audit/admin/{id}/history?actorId=x"), 400, "actorId is not a parameter of this operation".into()),
            (format!("/audit/admin/{id}/history?after={beyond}"), 404, unreached.into()),
            (format!("/audit/admin/{id}/diff?from=2&to=1"), 400, "from must not be later than to".into()),
            (format!("/audit/admin/{id}/diff?from=2999-01-01T00:00:00Z&to=1"), 400, "from must not be later than to".into()),
            (format!("/audit/admin/{id}/diff?to={beyond}"), 404, unreached.into()),
            ("/audit/organizations/o1/snapshot?to=1".into(), 400, "to is not a parameter of this operation".into()),
            (format!("/audit/organizations/o1/snapshot?asOf={beyond}"), 404, unreached.into()),
            ("/audit/organizations/%ff/snapshot".into(), 404, "There was no such organization at that moment".into()),
            ("/audit/nothing".into(), 404, "There is nothing at this path".into()),
        ];
        for (path, status, message) in table {
            assert_eq!(refused(&app, app.call("GET", &path), status).await, message, "{path}");
        }
        refused(&app, app.call("POST", "/audit/events"), 405).await;
        let both = refused(&app, app.call("GET", "/audit/events?x=1&limit=0"), 400).await;
        assert_eq!(both, "x is not a parameter of this operation; limit must not be less than 1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_has_no_past_to_tell() {
    let mut database = Database::postgres().await;
    let url = database.settings.database_url.clone().unwrap();
    let server = url.rsplit_once('@').unwrap().1.split('/').next().unwrap();
    let mut line = DatabaseProxy::to(server).await;
    database.settings.database_url = Some(url.replace(server, &line.near.to_string()));
    let app = App::open(&database).await;
    let id = &app.caller;
    line.cut().await;
    let paths = [
        "/audit/events".to_owned(),
        "/audit/events/1".into(),
        format!("/audit/admin/{id}"),
        format!("/audit/admin/{id}/history"),
        format!("/audit/admin/{id}/diff"),
        "/audit/organizations/o1/snapshot".into(),
        format!("/audit/admin/{NOBODY}"),
    ];
    // Concurrently, since each request waits for a connection for a while.
    let answers = paths.iter().flat_map(|path| {
        ["application/json", "application/x-ndjson"].map(|accept| app.call("GET", path).header("accept", accept).send())
    });
    for answer in join_all(answers).await {
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"), "{answer:?}");
        assert_eq!(
            (answer.header("content-type"), &answer.json()["code"]),
            ("application/problem+json", &json!("unavailable"))
        );
    }
}
