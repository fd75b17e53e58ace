//! `Idempotency-Key`: a repeated request gets the first answer and changes nothing.

use crate::ecg_app::{ADMINS, App, minimal, path_of, sample};
use crate::on_both_stores;
use futures::future::join_all;
use registrar::auth::permissions::ADMINISTRATOR;
use serde_json::json;

on_both_stores! {
    async fn a_repeated_registration_answers_as_the_first_time(database) {
        let app = App::open(&database).await;
        let create = || app.call("POST", ADMINS).header("idempotency-key", "k-1").json(&sample());
        let first = create().send().await;
        assert_eq!(first.status, 201, "{first:?}");
        assert!(!first.headers.contains_key("idempotency-replayed"));
        let before = app.head().await;
        let again = create().send().await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!((again.status, &again.text), (first.status, &first.text));
        for name in ["location", "etag", "content-type"] {
            assert_eq!(again.header(name), first.header(name));
        }
        assert_eq!(app.head().await, before);
    }

    async fn another_body_under_the_same_key_is_refused(database) {
        let app = App::open(&database).await;
        app.call("POST", ADMINS).header("idempotency-key", "k").json(&sample()).send().await.ok();
        let call = app.call("POST", ADMINS).header("idempotency-key", "k").json(&minimal("Ada", "Lovelace"));
        assert_eq!(app.refused(call, 422).await, "the Idempotency-Key was used before with another body");
    }

    async fn duplicates_at_once_are_carried_out_once(database) {
        let app = App::open(&database).await;
        let before = app.head().await;
        let calls = (0..8).map(|_| app.call("POST", ADMINS).header("idempotency-key", "k").json(&sample()).send());
        let answers = join_all(calls).await;
        assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == answers[0].text));
        assert_eq!(answers.iter().filter(|answer| answer.headers.contains_key("idempotency-replayed")).count(), 7);
        assert_eq!(app.head().await, before + 1);
    }

    async fn nodes_that_do_not_know_of_each_other_carry_it_out_once(database) {
        let app = App::open(&database).await;
        // A second router over the same node shares no in-process locks, like a second process.
        let others: Vec<_> = join_all((0..4).map(|_| App::over(app.state.node.clone(), Default::default()))).await;
        let before = app.head().await;
        let calls = others.iter().map(|other| {
            other.call("POST", ADMINS).token(Some(&app.token)).header("idempotency-key", "k").json(&sample()).send()
        });
        let answers = join_all(calls).await;
        assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == answers[0].text), "{answers:?}");
        assert_eq!(app.head().await, before + 1);
    }

    async fn refusals_are_remembered_and_an_unknown_caller_is_not(database) {
        let app = App::open(&database).await;
        let admin = app.create(&sample()).await;
        let path = path_of(&admin);
        let bad = json!([{"op": "remove", "path": "/person/firstName"}]);
        let patch = || app.call("PATCH", &path).header("idempotency-key", "bad").json(&bad);
        let first = app.refused(patch(), 400).await;
        let again = patch().send().await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.refused(400), first);
        // The e-mail is taken; the key replays this refusal even after the e-mail is free.
        let create = || app.call("POST", ADMINS).header("idempotency-key", "taken").json(&sample());
        app.refused(create(), 409).await;
        assert_eq!(create().send().await.header("idempotency-replayed"), "true");
        app.refused(create().token(Some("x")), 401).await;
        app.refused(create().token(None), 401).await;
    }

    async fn keys_are_of_one_caller_and_one_path(database) {
        let app = App::open(&database).await;
        let other = app.register(vec![ADMINISTRATOR.id.into()]).await.to_string();
        let token = app.token_of(&other, None).await;
        let create = |first: &str| app.call("POST", ADMINS).header("idempotency-key", "k").json(&minimal(first, "Lovelace"));
        let ada = create("Ada").send().await.ok();
        let eve = create("Eve").token(Some(&token)).send().await.ok();
        assert_ne!(ada["id"], eve["id"]);
        for admin in [&ada, &eve] {
            for act in ["deactivate", "activate"] {
                let call = || app.call("POST", &format!("{}/{act}", path_of(admin))).header("idempotency-key", "k");
                assert_eq!(call().send().await.ok(), json!({"value": true}));
                assert_eq!(call().send().await.header("idempotency-replayed"), "true");
            }
        }
    }

    async fn a_patch_without_effect_is_remembered_too(database) {
        let app = App::open(&database).await;
        let admin = app.create(&sample()).await;
        let nothing = || app.call("PATCH", &path_of(&admin)).header("idempotency-key", "k").json(&json!([]));
        let first = nothing().send().await;
        app.patch(&admin, &json!([{"op": "replace", "path": "/person/firstName", "value": "Ada"}])).await.ok();
        let again = nothing().send().await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!((again.version(), again.header("etag"), &again.text), (1, first.header("etag"), &first.text));
    }

    async fn malformed_keys_are_refused(database) {
        let app = App::open(&database).await;
        let long = "k".repeat(256);
        for key in ["", " ", "a b", "ä", &long] {
            app.refused(app.call("POST", ADMINS).header("idempotency-key", key).json(&sample()), 400).await;
        }
        let twice = app.call("POST", ADMINS).header("idempotency-key", "a").header("idempotency-key", "a").json(&sample());
        app.refused(twice, 400).await;
        let call = app.call("POST", ADMINS).header("idempotency-key", &long[1..]).json(&sample());
        assert_eq!(call.send().await.status, 201);
        // The header is ignored on reads.
        assert_eq!(app.call("GET", ADMINS).header("idempotency-key", "").send().await.status, 200);
    }
}
