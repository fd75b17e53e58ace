//! The real program over documents that were altered in the database.

use crate::on_both_stores;
use crate::process::{PATIENCE, Server, fail, registrar, run};
use registrar::store::schema::LAYOUT;
use registrar_projections::CollectionId;
use serde_json::{Value, json};

const ROOT: &str = "admin@registrar.local";
const MARK: &str = "Marked-Lastname";

on_both_stores! {
    async fn an_update_in_the_database_makes_no_admin_and_is_reported(database) {
        let server = Server::start(&database.settings);
        let create = ["user", "create", "--email", "eve@example.com", "--role", "system.support", "--last-name", MARK];
        let eve: Value = serde_json::from_str(&run(&database.settings, &create)).unwrap();
        let client = reqwest::Client::new();
        let credentials = json!({ "username": eve["email"], "password": eve["password"] });
        let login = async |server: &Server| {
            client.post(format!("{}/v1/login/", server.url)).json(&credentials).send().await.unwrap()
        };
        let opened: Value = login(&server).await.json().await.unwrap();
        let token = opened["access-token"].as_str().unwrap().to_owned();
        let admins = async |server: &Server, token: &str| {
            let asked = client.get(format!("{}/api/ecg-admins", server.url)).bearer_auth(token.trim()).send();
            asked.await.unwrap().status().as_u16()
        };
        assert_eq!(admins(&server, &token).await, 403);
        assert!(server.stop().0.success());

        let mut sql = database.sql().await;
        let users = format!("users_g{}", sql.number("SELECT generation FROM journal_head").await);
        let id = eve["id"].as_str().unwrap();
        let position = sql.number("SELECT position FROM journal_head").await;
        let raised = format!("UPDATE {users} SET body = replace(body, 'system.support', 'system.admin') WHERE id = '{id}'");
        assert_eq!(sql.run(&raised).await.unwrap(), 1);

        let server = Server::start(&database.settings);
        let refused = login(&server).await;
        assert_eq!(refused.status(), 500);
        assert!(!refused.text().await.unwrap().contains(id), "a client is told no more than that it failed");
        assert_eq!(admins(&server, &token).await, 500);
        assert_eq!(sql.number("SELECT position FROM journal_head").await, position, "nothing was stored");
        let root = run(&database.settings, &["token", "create", "--admin", ROOT]);
        assert_eq!(admins(&server, &root).await, 200);
        let (_, log) = server.stop();
        let lines: Vec<Value> = log.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let told: Vec<_> = lines.iter().filter(|line| line["event"] == "integrity").collect();
        assert!(!told.is_empty(), "{log:#?}");
        for line in told {
            assert_eq!((&line["target"], &line["outcome"]), (&json!("registrar::security"), &json!("refused")), "{line}");
            assert_eq!((&line["document"], &line["level"]), (&json!(format!("users/{id}")), &json!("ERROR")), "{line}");
            assert!(line["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
        }
        assert!(!log.iter().any(|line| line.contains(MARK) || line.contains("eve@example.com")), "{log:#?}");

        // The proof covers the events alone, and the output says so.
        let verified = registrar(&database.settings, &["journal", "verify"]).output().unwrap();
        let remark = String::from_utf8(verified.stderr).unwrap();
        assert!(verified.status.success() && remark.contains("Read models were not looked at"), "{remark}");
        let found = fail(registrar(&database.settings, &["projections", "verify"]));
        assert!(found.contains(&format!("users/{id}")), "{found}");
        run(&database.settings, &["projections", "rebuild"]);
        run(&database.settings, &["projections", "verify"]);
        let server = Server::start(&database.settings);
        assert_eq!(login(&server).await.status(), 201);
        assert_eq!(admins(&server, &token).await, 403);
    }

    async fn documents_of_a_release_without_digests_are_rebuilt(database) {
        let server = Server::start(&database.settings);
        let create = ["user", "create", "--email", "eve@example.com", "--role", "system.support"];
        let eve: Value = serde_json::from_str(&run(&database.settings, &create)).unwrap();
        assert!(server.stop().0.success());
        let mut sql = database.sql().await;
        let former = sql.number("SELECT generation FROM journal_head").await;
        for id in CollectionId::ALL {
            let drop = format!("ALTER TABLE {}_g{former} DROP COLUMN digest", id.collection().name);
            sql.run(&drop).await.unwrap();
        }
        let layout = format!("layout:{LAYOUT},");
        let relabel = format!("UPDATE generations SET signature = replace(signature, '{layout}', 'layout:2,')");
        assert_eq!(sql.run(&relabel).await.unwrap(), 1);
        // A reader in the meantime gets the error of another release, not of an altered document.
        let told = fail(registrar(&database.settings, &["token", "create", "--admin", ROOT]));
        assert!(told.contains("another release"), "{told}");

        let server = Server::start(&database.settings);
        let client = reqwest::Client::new();
        let credentials = json!({ "username": eve["email"], "password": eve["password"] });
        let begun = std::time::Instant::now();
        let status = loop {
            let login = client.post(format!("{}/v1/login/", server.url)).json(&credentials).send().await.unwrap();
            if login.status() != 503 {
                break login.status();
            }
            assert!(begun.elapsed() < PATIENCE, "the documents are not made anew");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        assert_eq!(status, 201);
        let served = sql.number("SELECT generation FROM journal_head").await;
        assert_ne!(served, former);
        for collection in ["users", "admins", "sessions"] {
            let table = format!("{collection}_g{served}");
            assert_eq!(sql.number(&format!("SELECT count(*) FROM {table} WHERE digest IS NULL")).await, 0, "{table}");
            assert!(sql.number(&format!("SELECT count(*) FROM {table}")).await > 0, "{table}");
        }
        let (_, log) = server.stop();
        assert!(!log.iter().any(|line| line.contains("\"integrity\"")), "{log:#?}");
    }
}
