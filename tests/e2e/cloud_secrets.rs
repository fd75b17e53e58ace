//! A secret is returned once, to the creator of the key, and is stored and logged nowhere.

use crate::cloud_app::{Cloud, Key};
use crate::on_both_stores;
use crate::process::{Server, run};
use crate::support::Database;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::StreamExt;
use registrar::publisher::Feed;
use registrar_aggregates::api_key::ApiKey;
use serde_json::{Value, json};

/// Every encoding of a secret and of its digest.
async fn forms(cloud: &Cloud, key: &Key) -> Vec<String> {
    let (_, state) = cloud.node().executor.state::<ApiKey>(&key.id).await.unwrap();
    let digest = state.key().unwrap().secret_digest.clone();
    let bytes = BASE64_STANDARD.decode(&digest).unwrap();
    assert_eq!(bytes.len(), 32);
    let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![key.secret.clone(), BASE64_STANDARD.encode(&key.secret), digest.trim_end_matches('=').to_owned(), hex]
}

on_both_stores! {
    async fn no_table_holds_a_secret_or_its_digest_in_the_clear(database) {
        let cloud = Cloud::open(&database).await;
        let made = cloud.call(&cloud.admin, "POST", &cloud.path("/keys")).header("idempotency-key", "k").json(&json!({"name": "n", "roles": ["admin"]}));
        let made = Key::of(&crate::cloud_app::result(made.send().await));
        let mut forms_of_all = forms(&cloud, &made).await;
        forms_of_all.extend(forms(&cloud, &cloud.admin).await);
        let mut sql = database.sql().await;
        let (mut looked_at, mut names_seen) = (0, false);
        for table in sql.tables().await {
            for row in sql.rows(&table).await {
                looked_at += 1;
                names_seen |= row.contains(&made.id);
                for form in &forms_of_all {
                    assert!(!row.contains(form), "{table}: {row}");
                }
            }
        }
        assert!(looked_at > 20 && names_seen);
    }

    async fn followers_of_the_events_see_no_secret_even_with_personal_values(database) {
        let cloud = Cloud::open(&database).await;
        let forms = forms(&cloud, &cloud.admin).await;
        for personal in [false, true] {
            let feed = Feed::of(&cloud.app.state.node, personal);
            let mut pages = Box::pin(feed.after(0));
            let mut seen = 0;
            while seen < cloud.head().await {
                for event in pages.next().await.unwrap().unwrap() {
                    seen = event.position;
                    assert!(!forms.iter().any(|form| event.json.contains(form)), "{}", event.json);
                }
            }
        }
    }
}

/// The logs of the real program at the most verbose level, while keys are created, used and mistyped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_contains_a_secret() {
    let database = Database::sqlite();
    let organization = {
        let node = database.open_as_program().await;
        let organization = crate::cloud_app::register(&node, "Acme").await;
        node.close().await;
        organization
    };
    let arguments = ["api-key", "create", "--organization", &organization.to_string(), "--role", "admin"];
    let key = Key::of(&serde_json::from_str::<Value>(&run(&database.settings, &arguments)).unwrap());
    let mut command = crate::process::registrar(&database.settings, &["serve"]);
    command.env("REGISTRAR_LOG", "trace");
    let server = Server::spawn(command);
    let client = reqwest::Client::new();
    let path = format!("{}/v1/organizations/{organization}/keys", server.url);
    let made =
        client.post(&path).basic_auth(&key.id, Some(&key.secret)).json(&json!({"name": "n", "roles": ["admin"]}));
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let made = Key::of(&made["result"]);
    let mistaken = client.get(&path).basic_auth(&made.id, Some(format!("{}x", made.secret))).send().await.unwrap();
    assert_eq!(mistaken.status(), 401);
    let (_, log) = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    assert!(log.iter().any(|line| line.contains(r#""event":"authentication""#)), "{} lines", log.len());
    for secret in [&key.secret, &made.secret] {
        let told =
            log.iter().find(|line| line.contains(secret.as_str()) || line.contains(&BASE64_STANDARD.encode(secret)));
        assert_eq!(told, None);
    }
}
