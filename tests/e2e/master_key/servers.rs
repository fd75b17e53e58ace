//! Servers and their clients while the master key is replaced.

use super::{NEW, OLD, keyed, printed};
use crate::cloud_app::{Key, basic, register};
use crate::on_both_stores;
use crate::process::{PATIENCE, Server, fail};
use crate::support::*;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

const ADMIN: &str = "admin@registrar.local";

async fn post(server: &Server, path: &str, body: &Value) -> reqwest::Response {
    reqwest::Client::new().post(format!("{}{path}", server.url)).json(body).send().await.unwrap()
}

async fn sign_in(server: &Server, password: &str) -> reqwest::Response {
    post(server, "/v1/login/", &json!({ "username": "ada@example.com", "password": password })).await
}

async fn readiness(server: &Server) -> StatusCode {
    reqwest::get(format!("{}/readyz", server.url)).await.unwrap().status()
}

fn registration_of(name: &str) -> Value {
    json!({"person": {"firstName": "Ada", "lastName": name}, "addresses": [], "phoneNumbers": []})
}

/// Registers an admin under an idempotency key.
async fn create(server: &Server, token: &str, name: &str, key: &str) -> reqwest::Response {
    let request = reqwest::Client::new().post(format!("{}/api/ecg-admins", server.url)).bearer_auth(token);
    request.header("idempotency-key", key).json(&registration_of(name)).send().await.unwrap()
}

/// Registers admins one after the other and reads each on every server, until cancelled; answers their ids.
async fn write(urls: Vec<String>, token: String, enough: CancellationToken) -> Vec<String> {
    let client = reqwest::Client::new();
    let mut ids = Vec::new();
    while !enough.is_cancelled() {
        for url in &urls {
            let request = client.post(format!("{url}/api/ecg-admins")).bearer_auth(&token);
            let answer = request.json(&registration_of("Lovelace")).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::CREATED);
            let id = answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
            for url in &urls {
                let read = client.get(format!("{url}/api/ecg-admins/{id}")).bearer_auth(&token).send().await.unwrap();
                assert_eq!(read.status(), StatusCode::OK);
            }
            ids.push(id);
        }
    }
    ids
}

/// A row with [`FORMER_KEY_ID`] means that a replacement has begun and has not ended.
const BEGUN: &str = "SELECT count(*) FROM subject_keys WHERE subject_id = 'vault-former-key'";
const WRAPPED: &str = "SELECT count(*) FROM subject_keys WHERE wrapped_key IS NOT NULL";

on_both_stores! {
    /// Two servers on PostgreSQL, one on SQLite; a client that writes; a replacement that is killed and run again.
    async fn servers_go_on_while_the_master_key_is_replaced(database) {
        let organization = {
            let node = database.open().await;
            let id = register(&node, "Acme").await.to_string();
            node.close().await;
            id
        };
        let server = Server::spawn(keyed(&database, &["serve"], OLD, None));
        let user = ["user", "create", "--email", "ada@example.com", "--role", "system.support"];
        let user: Value = serde_json::from_str(&printed(keyed(&database, &user, OLD, None))).unwrap();
        let password = user["password"].as_str().unwrap();
        let make = ["api-key", "create", "--organization", &organization, "--role", "admin"];
        let program = Key::of(&serde_json::from_str(&printed(keyed(&database, &make, OLD, None))).unwrap());
        let token = printed(keyed(&database, &["token", "create", "--admin", ADMIN], OLD, None)).trim().to_owned();
        let session: Value = sign_in(&server, password).await.json().await.unwrap();
        let first = create(&server, &token, "Once", "k1").await;
        assert_eq!(first.status(), StatusCode::CREATED);
        let first = first.text().await.unwrap();
        printed(keyed(&database, &["seed", "--admins", "450"], OLD, None));
        assert!(server.stop().0.success());

        // Every server gets both keys, one after the other; no value is wrapped by the new one yet.
        let on_postgres = database.settings.database_url.is_some();
        let servers: Vec<_> = (0..if on_postgres { 2 } else { 1 })
            .map(|_| Server::spawn(keyed(&database, &["serve"], NEW, Some(OLD))))
            .collect();
        let (enough, urls) = (CancellationToken::new(), servers.iter().map(|server| server.url.clone()).collect());
        let writer = tokio::spawn(write(urls, token.clone(), enough.clone()));

        // SIGKILL after the start of the replacement, which takes seconds.
        let mut rewrapping = keyed(&database, &["keys", "rewrap"], NEW, Some(OLD));
        let mut rewrapping = rewrapping.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (mut sql, begun) = (database.sql().await, Instant::now());
        while sql.number(BEGUN).await == 0 {
            assert!(begun.elapsed() < PATIENCE && rewrapping.try_wait().unwrap().is_none(), "it does not begin");
        }
        rewrapping.kill().unwrap();
        rewrapping.wait().unwrap();
        assert_eq!(sql.number(BEGUN).await, 1);
        let half = fail(keyed(&database, &["keys", "rotate"], NEW, None));
        assert!(half.starts_with("registrar: the master key") && half.contains("REGISTRAR_FORMER_MASTER_KEY"), "{half}");

        let told = printed(keyed(&database, &["keys", "rewrap"], NEW, Some(OLD)));
        assert!(told.ends_with("wrapped anew: nothing is left under a former master key\n"), "{told}");
        assert_eq!(sql.number(BEGUN).await, 0);
        let wrapped = sql.number(WRAPPED).await;
        enough.cancel();
        let written = writer.await.unwrap();
        assert!(!written.is_empty() && wrapped > 450);
        for server in &servers {
            assert_eq!(sign_in(server, password).await.status(), StatusCode::CREATED);
            assert_eq!(readiness(server).await, StatusCode::OK);
        }
        for server in servers {
            let (status, log) = server.stop();
            assert!(status.success() && !log.iter().any(|line| line.contains("\"ERROR\"")), "{log:?}");
        }

        // The new key alone opens everything.
        let again = printed(keyed(&database, &["keys", "rewrap"], NEW, None));
        assert!(again.starts_with("0 keys and 0 answers"), "{again}");
        let server = Server::spawn(keyed(&database, &["serve"], NEW, None));
        assert_eq!(sign_in(&server, password).await.status(), StatusCode::CREATED);
        assert_eq!(sign_in(&server, "another password").await.status(), StatusCode::UNAUTHORIZED);
        let refreshed = post(&server, "/v1/refresh-token/", &json!({ "refresh-token": session["refresh-token"] })).await;
        assert_eq!(refreshed.status(), StatusCode::CREATED);
        let refreshed: Value = refreshed.json().await.unwrap();
        let client = reqwest::Client::new();
        let get = async |path: String, token: &str| {
            let answer = client.get(format!("{}{path}", server.url)).bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            answer.json::<Value>().await.unwrap()
        };
        let person = get(format!("/v1/users/{}/", user["id"].as_str().unwrap()), refreshed["access-token"].as_str().unwrap()).await;
        assert_eq!(person["data"]["attributes"]["email"], "ada@example.com");
        let replayed = create(&server, &token, "Once", "k1").await;
        assert_eq!(replayed.headers()["idempotency-replayed"], "true");
        assert_eq!(replayed.text().await.unwrap(), first);
        let history = get(format!("/audit/admin/{}/history", written[0]), &token).await;
        assert_eq!(history["items"][0]["payload"]["person"]["lastName"], "Lovelace");
        let credentials = basic(&format!("{}:{}", program.id, program.secret));
        let request = client.get(format!("{}/v1/organizations/{organization}", server.url));
        assert_eq!(request.header("authorization", credentials).send().await.unwrap().status(), StatusCode::OK);
        let again = ["user", "create", "--email", "ADA@example.com", "--role", "system.support"];
        let taken = fail(keyed(&database, &again, NEW, None));
        assert!(taken.starts_with("registrar: the user was not created") && taken.contains("already in use"), "{taken}");
        let verified = printed(keyed(&database, &["journal", "verify", "--documents"], NEW, None));
        assert!(verified.contains("nothing was altered"), "{verified}");

        // The old key alone opens nothing.
        let refused = fail(keyed(&database, &["serve"], OLD, None));
        assert!(refused.starts_with("registrar: the master key does not open this database"), "{refused}");
        assert!(refused.contains("REGISTRAR_MASTER_KEY"), "{refused}");
    }

    /// Values that a server cannot unwrap are unavailable, never reported as absent.
    async fn a_server_without_the_new_key_says_that_it_is_not_ready(database) {
        let server = Server::spawn(keyed(&database, &["serve"], OLD, None));
        let user = ["user", "create", "--email", "ada@example.com", "--role", "system.support"];
        let user: Value = serde_json::from_str(&printed(keyed(&database, &user, OLD, None))).unwrap();
        let token = printed(keyed(&database, &["token", "create", "--admin", ADMIN], OLD, None)).trim().to_owned();
        let admin: Value = create(&server, &token, "Before", "k1").await.json().await.unwrap();
        printed(keyed(&database, &["keys", "rewrap"], NEW, Some(OLD)));
        let begun = Instant::now();
        while readiness(&server).await != StatusCode::SERVICE_UNAVAILABLE {
            assert!(begun.elapsed() < PATIENCE, "it does not look");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let head = database_head(&database).await;
        assert_eq!(create(&server, &token, "After", "k2").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        let replayed = create(&server, &token, "Before", "k1").await;
        assert_eq!(replayed.status(), StatusCode::SERVICE_UNAVAILABLE);
        let signed_in = sign_in(&server, user["password"].as_str().unwrap()).await;
        assert_eq!(signed_in.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(database_head(&database).await, head, "something was stored");
        let path = format!("{}/audit/admin/{}/history", server.url, admin["id"].as_str().unwrap());
        let read = reqwest::Client::new().get(path).bearer_auth(&token).send().await.unwrap();
        assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&read.status()), "{}", read.status());
    }
}

async fn database_head(database: &Database) -> i64 {
    database.sql().await.number("SELECT position FROM journal_head").await
}
