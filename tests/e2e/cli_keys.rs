//! Tokens and the keys that sign them, by command line.

use crate::cli::{list, token};
use crate::on_both_stores;
use crate::process::{PATIENCE, Server, fail, registrar, run};
use crate::support::Database;
use serde_json::Value;
use std::time::{Duration, Instant};

on_both_stores! {
    async fn tokens_outlive_a_rotation_of_keys(database) {
        let server = Server::start(&database.settings);
        let before = token(&database, &[]);
        assert_eq!(run(&database.settings, &["keys", "rotate"]), "");
        let after = token(&database, &[]);
        for token in [before, after] {
            assert_eq!(list(&server, &token).await.status(), 200);
        }
        let keys: Value = reqwest::get(format!("{}/.well-known/jwks.json", server.url)).await.unwrap().json().await.unwrap();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    }

    async fn no_token_outlives_a_key_that_is_retired_now(database) {
        let (server, other) = (Server::start(&database.settings), Server::start(&database.settings));
        let before = token(&database, &[]);
        for server in [&server, &other] {
            assert_eq!(list(server, &before).await.status(), 200);
        }
        assert_eq!(run(&database.settings, &["keys", "rotate", "--now"]), "");
        let after = token(&database, &[]);
        let begun = Instant::now();
        for server in [&server, &other] {
            // A server reads the retirement within seconds, and the token stays refused.
            while list(server, &before).await.status() != 401 {
                assert!(begun.elapsed() < Duration::from_secs(20), "the token is still accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(list(server, &after).await.status(), 200);
            assert_eq!(list(server, &before).await.status(), 401);
        }
        let keys: Value = reqwest::get(format!("{}/.well-known/jwks.json", server.url)).await.unwrap().json().await.unwrap();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    }

    async fn a_former_key_is_retired_at_once_and_the_present_one_is_not(database) {
        let server = Server::start(&database.settings);
        let keys = async || -> Vec<String> {
            let keys: Value = reqwest::get(format!("{}/.well-known/jwks.json", server.url)).await.unwrap().json().await.unwrap();
            keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
        };
        let before = token(&database, &[]);
        let former = keys().await.remove(0);
        run(&database.settings, &["keys", "rotate"]);
        let after = token(&database, &[]);
        for token in [&before, &after] {
            assert_eq!(list(&server, token).await.status(), 200);
        }
        let present = keys().await.into_iter().find(|key| *key != former).unwrap();
        let verified = || run(&database.settings, &["journal", "verify"]);
        let events = verified();
        let told = fail(registrar(&database.settings, &["keys", "retire", &present]));
        assert!(told.contains("this key signs now") && told.contains("rotate --now"), "{told}");
        assert_eq!(fail(registrar(&database.settings, &["keys", "retire", "no-such-key"])), "registrar: there is no such key\n");
        assert_eq!(verified(), events, "nothing is stored");

        assert_eq!(run(&database.settings, &["keys", "retire", &former]), "");
        let begun = Instant::now();
        while list(&server, &before).await.status() != 401 {
            assert!(begun.elapsed() < Duration::from_secs(20), "the token is still accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(list(&server, &after).await.status(), 200);
        assert_eq!(keys().await, [present]);
    }
}

#[tokio::test]
async fn a_token_is_narrowed_as_asked() {
    let database = Database::sqlite();
    let server = Server::start(&database.settings);
    for (narrowing, status) in [
        (vec!["--permission", "ecg-admins.read"], 200),
        (vec!["--permission", "events.read", "--permission", "audit.read"], 403),
        (vec!["--organization", "o1"], 403),
    ] {
        let token = token(&database, &narrowing);
        assert_eq!(list(&server, &token).await.status(), status, "{narrowing:?}");
    }
}

#[tokio::test]
async fn a_token_ends_with_its_time() {
    let database = Database::sqlite();
    let server = Server::start(&database.settings);
    let token = token(&database, &["--ttl", "2s"]);
    let started = Instant::now();
    while list(&server, &token).await.status() != 401 {
        assert!(started.elapsed() < PATIENCE, "it does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn an_unknown_address_gets_no_token() {
    let database = Database::sqlite();
    let refused = fail(registrar(&database.settings, &["token", "create", "--admin", "nobody@example.org"]));
    assert!(refused.starts_with("registrar: no admin signs in as nobody@example.org"), "{refused}");
}
