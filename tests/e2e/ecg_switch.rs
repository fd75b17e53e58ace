//! Activation and deactivation.

use crate::ecg_app::{ADMINS, App, NOBODY, minimal, path_of};
use crate::on_both_stores;
use registrar::auth::permissions::ADMINISTRATOR;
use serde_json::{Value, json};

async fn switch(app: &App, admin: &Value, act: &str) -> Value {
    app.call("POST", &format!("{}/{act}", path_of(admin))).send().await.ok()
}

on_both_stores! {
    async fn a_switch_counts_once_and_answers_alike(database) {
        let app = App::open(&database).await;
        let admin = app.create(&minimal("Ada", "Lovelace")).await;
        let mut before = app.head().await;
        for (act, active) in [("deactivate", false), ("activate", true)] {
            assert_eq!(switch(&app, &admin, act).await, json!({"value": true}));
            assert_eq!(app.head().await, before + 1);
            let switched = app.get(&path_of(&admin)).await.ok();
            assert_eq!(switched["activeInfo"]["active"], active);
            assert_eq!(switched["activeInfo"], switched["person"]["party"]["activeInfo"]);
            assert_eq!(switch(&app, &admin, act).await, json!({"value": true}));
            assert_eq!(app.head().await, before + 1);
            assert_eq!(app.get(&path_of(&admin)).await.ok(), switched);
            before += 1;
        }
    }

    async fn a_body_of_a_switch_is_ignored(database) {
        let app = App::open(&database).await;
        let admin = app.create(&minimal("Ada", "Lovelace")).await;
        let path = format!("{}/activate", path_of(&admin));
        for (content_type, body) in [("application/json", "{"), ("text/plain", "x"), ("application/json", "{\"active\": false}")] {
            let answer = app.call("POST", &path).header("content-type", content_type).bytes(body).send().await;
            assert_eq!(answer.ok(), json!({"value": true}));
        }
    }

    async fn callers_do_not_deactivate_themselves(database) {
        let app = App::open(&database).await;
        let call = app.call("POST", &format!("{ADMINS}/{}/deactivate", app.caller));
        assert_eq!(app.refused(call, 409).await, "admins cannot deactivate themselves");
        let call = app.call("POST", &format!("{ADMINS}/{}/deactivate", NOBODY));
        assert_eq!(app.refused(call, 404).await, "ECG Admin not found");
        let call = app.call("POST", &format!("{ADMINS}/x/activate"));
        assert_eq!(app.refused(call, 404).await, "ECG Admin not found");
    }

    async fn tokens_of_a_deactivated_admin_are_refused_until_it_is_back(database) {
        let app = App::open(&database).await;
        let other = app.register(vec![ADMINISTRATOR.id.into()]).await.to_string();
        let token = app.token_of(&other, None).await;
        let list = || app.call("GET", ADMINS).token(Some(&token));
        assert_eq!(list().send().await.status, 200);
        app.call("POST", &format!("{ADMINS}/{other}/deactivate")).send().await.ok();
        app.refused(list(), 401).await;
        app.call("POST", &format!("{ADMINS}/{other}/activate")).send().await.ok();
        assert_eq!(list().send().await.status, 200);
    }

    async fn only_the_version_that_was_seen_is_switched(database) {
        let app = App::open(&database).await;
        let admin = app.create(&minimal("Ada", "Lovelace")).await;
        let path = format!("{}/deactivate", path_of(&admin));
        let tag = app.get(&path_of(&admin)).await.header("etag").to_owned();
        app.refused(app.call("POST", &path).header("if-match", tag.replacen('1', "2", 1)), 412).await;
        app.refused(app.call("POST", &path).header("if-match", "2"), 400).await;
        app.call("POST", &path).header("if-match", &tag).send().await.ok();
        app.refused(app.call("POST", &path).header("if-match", &tag), 412).await;
    }
}
