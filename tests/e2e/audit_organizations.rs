//! Organizations in the auditor's API.

use crate::audit_app::*;
use crate::ecg_app::App;
use crate::on_both_stores;
use crate::support::context;
use chrono::Utc;
use registrar_aggregates::organization::{Content, Organization, OrganizationCommand, Stamp};
use registrar_aggregates::values::OrganizationId;
use registrar_projections::audit_trail::{AGGREGATE_ID, Action, BY_TIME};
use registrar_projections::{AuditEntry, Direction, Query};
use serde_json::{Value, json};
use uuid::Uuid;

async fn execute(app: &App, id: Uuid, command: OrganizationCommand) {
    let context = context().within(OrganizationId(id));
    app.state.node.executor.execute::<Organization>(&context, &id.to_string(), command, None).await.unwrap();
}

/// An organization that was registered, renamed and deleted, and the position of its registration.
async fn history(app: &App) -> (Uuid, u64) {
    let (id, stamp) = (Uuid::now_v7(), || Stamp::at(Utc::now()));
    let content = Box::new(Content::named("Acme"));
    execute(app, id, OrganizationCommand::Register { id: OrganizationId(id), content, stamp: stamp() }).await;
    let created = app.head().await;
    execute(app, id, OrganizationCommand::Rename { name: "Acme CRO".into(), stamp: stamp() }).await;
    execute(app, id, OrganizationCommand::Delete(stamp())).await;
    (id, created)
}

on_both_stores! {
    async fn the_history_of_an_organization_is_what_its_trail_lists(database) {
        let app = App::open(&database).await;
        let (id, created) = history(&app).await;
        let history = items(&app.get(&format!("/audit/organization/{id}/history")).await.ok());
        assert_eq!(positions(&history), [created, created + 1, created + 2]);
        let query = Query::<AuditEntry>::sorted(&BY_TIME, Direction::Ascending).equal(&AGGREGATE_ID, id.to_string());
        let entries = app.state.node.documents.page(query).await.unwrap().value.items;
        for (event, entry) in history.iter().zip(&entries) {
            // The entry itself has the start of a version, and a deleted organization has no status there.
            let beside = |change: &&Value| {
                let path = change["path"].as_str().unwrap();
                path.contains("/edition/") || (path == "/status" && entry.action == Action::Delete)
            };
            let listed: Vec<_> = entry.changes.iter()
                .map(|change| json!({"path": change.path, "oldValue": change.old_value, "newValue": change.new_value})).collect();
            let changes: Vec<_> = event["changes"].as_array().unwrap().iter().filter(|change| !beside(change)).collect();
            assert_eq!(changes, listed.iter().filter(|change| !beside(change)).collect::<Vec<_>>());
        }
        let renamed = app.get(&format!("/audit/organization/{id}?asOf={}", created + 1)).await.ok();
        assert_eq!(renamed["state"]["name"], "Acme CRO");
        assert_eq!(app.get(&format!("/audit/organization/{id}")).await.ok()["state"], json!({"status": "Deleted"}));
    }

    async fn an_organization_is_a_part_of_itself_however_its_identifier_is_spelled(database) {
        let app = App::open(&database).await;
        let (id, created) = history(&app).await;
        let shouted = id.to_string().to_uppercase();
        let token = narrowed(&app, &shouted).await;
        for (id, token) in [(id.to_string(), &app.token), (shouted, &token)] {
            let get = |path: String| {
                let call = app.call("GET", &path).token(Some(token));
                async move { call.send().await.ok() }
            };
            let snapshot = get(format!("/audit/organizations/{id}/snapshot?asOf={created}")).await;
            assert_eq!((&snapshot["items"][0]["aggregateType"], &snapshot["items"][0]["state"]["name"]), (&json!("organization"), &json!("Acme")));
            assert_eq!(get(format!("/audit/organization/{id}?asOf={created}")).await["state"]["name"], "Acme");
            assert_eq!(items(&get(format!("/audit/events?organizationId={id}&aggregateId={id}")).await).len(), 3);
        }
    }
}
