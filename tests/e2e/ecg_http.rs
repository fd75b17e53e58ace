//! Rules shared by all operations: permissions, the order of checks, headers, limits, documents.

use crate::ecg_app::{ADMINS, App, NOBODY, minimal, path_of, sample};
use crate::on_both_stores;
use registrar::auth::Permission;
use serde_json::{Value, json};

const OPERATIONS: [(&str, &str, Permission); 8] = [
    ("GET", "/api/ecg-admins", Permission::EcgAdminsRead),
    ("POST", "/api/ecg-admins", Permission::EcgAdminsCreate),
    ("GET", "/api/ecg-admins/audit-trails", Permission::EcgAdminsAudit),
    ("GET", "/api/ecg-admins/{id}", Permission::EcgAdminsRead),
    ("PATCH", "/api/ecg-admins/{id}", Permission::EcgAdminsUpdate),
    ("POST", "/api/ecg-admins/{id}/activate", Permission::EcgAdminsUpdate),
    ("POST", "/api/ecg-admins/{id}/deactivate", Permission::EcgAdminsUpdate),
    ("GET", "/api/ecg-admins/{id}/audit-trails", Permission::EcgAdminsAudit),
];

on_both_stores! {
    async fn strangers_are_refused_before_anything_else_is_looked_at(database) {
        let app = App::open(&database).await;
        let (head, rest) = app.token.split_at(app.token.len() - 4);
        let forged = format!("{head}{}", rest.chars().rev().collect::<String>());
        for (method, path, _) in OPERATIONS {
            let path = format!("{}?skip=x&take=%", path.replace("{id}", NOBODY));
            let call = || app.call(method, &path).header("content-type", "text/plain").bytes("{");
            let answer = call().token(None).send().await;
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert_eq!(answer.refused(401), "Unauthorized");
            for token in ["", "x", "a.b.c", &forged] {
                let answer = call().token(Some(token)).send().await;
                assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
                assert_eq!(answer.refused(401), "Unauthorized");
            }
            app.refused(call().token(None).header("authorization", b"Bearer \xff"), 401).await;
            app.refused(call().token(None).header("authorization", "Basic eDp5"), 401).await;
        }
    }

    async fn each_operation_needs_its_permission_and_no_other(database) {
        let app = App::open(&database).await;
        let admin = app.create(&minimal("Ada", "Lovelace")).await;
        for (method, path, needed) in OPERATIONS {
            let others = Permission::ALL.iter().copied().filter(|permission| *permission != needed).collect();
            let without = app.token_of(&app.caller, Some(others)).await;
            let path = path.replace("{id}", admin["id"].as_str().unwrap());
            let malformed = app.call(method, &format!("{path}?skip=x")).token(Some(&without)).bytes("{");
            assert_eq!(app.refused(malformed, 403).await, "Forbidden resource");
            let with = app.token_of(&app.caller, Some(vec![needed])).await;
            let body = if method == "PATCH" { json!([]) } else { minimal("Alan", "Turing") };
            let answer = app.call(method, &path).token(Some(&with)).json(&body).send().await;
            assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
        }
        let unheld = app.register(vec![]).await.to_string();
        let token = app.token_of(&unheld, None).await;
        app.refused(app.call("GET", ADMINS).token(Some(&token)), 403).await;
    }

    async fn unknown_paths_and_methods_are_refused_in_the_shape_of_their_dialect(database) {
        let app = App::open(&database).await;
        for path in ["/api", "/api/", "/api/x", "/api/ecg-admins/", "/api/ecg-admins/x/y", "/api//ecg-admins", "/api/ECG-admins"] {
            app.refused(app.call("GET", path), 404).await;
        }
        for (method, path, allow) in [
            ("PUT", "/api/ecg-admins", "GET,HEAD,POST"),
            ("DELETE", "/api/ecg-admins/x", "GET,HEAD,PATCH"),
            ("GET", "/api/ecg-admins/x/activate", "POST"),
            ("POST", "/api/ecg-admins/audit-trails", "GET,HEAD"),
            ("TRACE", "/api/ecg-admins/x/audit-trails", "GET,HEAD"),
            ("BREW", "/api/ecg-admins", "GET,HEAD,POST"),
        ] {
            let answer = app.call(method, path).send().await;
            assert_eq!(answer.header("allow"), allow, "{method} {path}");
            answer.refused(405);
        }
        let answer = app.call("GET", "/nowhere").token(None).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (404, "application/problem+json"));
        let body = answer.json();
        assert_eq!((&body["status"], &body["code"], &body["title"]), (&json!(404), &json!("not-found"), &json!("Not Found")));
        assert_eq!(body["requestId"], answer.header("x-request-id"));
    }

    async fn every_answer_has_an_id_and_says_how_it_may_be_used(database) {
        let app = App::open(&database).await;
        let id = "5b0e3a52-7c3e-4c35-9d1e-6a9f0c6f4a11";
        for (path, token) in [(ADMINS, Some(app.token.as_str())), (ADMINS, None), ("/healthz", None), ("/nowhere", None)] {
            let answer = app.call("GET", path).token(token).header("x-request-id", id).send().await;
            assert_eq!(answer.header("x-request-id"), id);
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("cache-control"), "no-store");
            let answer = app.call("GET", path).token(token).header("x-request-id", "1; drop table").send().await;
            assert_eq!(answer.header("x-request-id").len(), 36);
        }
    }

    async fn answers_say_what_they_reflect_and_wait_for_what_they_must(database) {
        let app = App::open(&database).await;
        let head = app.head().await;
        let list = |position: &str| app.call("GET", ADMINS).header("registrar-min-position", position);
        let answer = list(&head.to_string()).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("registrar-position")), (200, head.to_string().as_str()));
        for malformed in ["", "x", "-1", "1.5", "99999999999999999999", " 1 2"] {
            app.refused(list(malformed), 400).await;
        }
        let awaited = (head + 1).to_string();
        let body = sample();
        let (answer, _) = tokio::join!(list(&awaited).send(), app.create(&body));
        assert_eq!((answer.status.as_u16(), answer.header("registrar-position")), (200, awaited.as_str()));
        let missing = app.call("GET", &format!("{ADMINS}/{NOBODY}")).send().await;
        assert_eq!(missing.header("registrar-position"), awaited);
        let answer = list("1000000").send().await;
        assert_eq!(answer.header("retry-after"), "1");
        answer.refused(503);
    }

    async fn a_body_beyond_a_mebibyte_is_not_read(database) {
        let app = App::open(&database).await;
        let admin = app.create(&minimal("Ada", "Lovelace")).await;
        let body = vec![b' '; 1024 * 1024 + 1];
        for (method, path) in [("POST", ADMINS.to_owned()), ("PATCH", path_of(&admin)), ("POST", format!("{}/activate", path_of(&admin)))] {
            let declared = app.call(method, &path).header("content-type", "application/json");
            let declared = declared.header("content-length", body.len().to_string()).bytes(body.clone());
            app.refused(declared, 413).await;
        }
        for key in [None, Some("k")] {
            let chunks = body.chunks(100_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
            let streamed = axum::body::Body::from_stream(futures::stream::iter(chunks));
            let mut call = app.call("POST", ADMINS).header("content-type", "application/json").bytes(streamed);
            if let Some(key) = key {
                call = call.header("idempotency-key", key);
            }
            app.refused(call, 413).await;
        }
        let mut fits = sample().to_string();
        fits.push_str(&" ".repeat(1024 * 1024 - fits.len()));
        let call = app.call("POST", ADMINS).header("content-type", "application/json").bytes(fits);
        assert_eq!(call.send().await.status, 201);
        // The size of an event has its own limit.
        let mut long = sample();
        long["person"]["suffix"] = Value::String("x".repeat(1_000_000));
        app.refused(app.call("POST", ADMINS).json(&long), 400).await;
    }

    async fn the_server_describes_itself_to_unauthenticated_callers(database) {
        let app = App::open(&database).await;
        let get = |path: &str| app.call("GET", path).token(None);
        assert_eq!(get("/healthz").send().await.ok(), json!({"status": "ok"}));
        let ready = get("/readyz").send().await.ok();
        assert_eq!((&ready["status"], &ready["position"]), (&json!("ready"), &json!(app.head().await)));
        assert_eq!(ready["nats"]["configured"], false);
        let keys = get("/.well-known/jwks.json").send().await.ok();
        assert_eq!((&keys["keys"][0]["kty"], keys["keys"][0].get("d")), (&json!("OKP"), None));
        assert_eq!(get("/openapi/ecg-admins.json").send().await.ok()["paths"].as_object().unwrap().len(), 6);
        assert_eq!(get("/openapi/nothing.json").send().await.status, 404);
        assert_eq!(get("/").send().await.header("location"), "/docs");
        assert_eq!(get("/docs/").send().await.header("location"), "/docs");
        let page = get("/docs").send().await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        for (file, kind) in [("swagger-ui.css", "text/css; charset=utf-8"), ("swagger-initializer.js", "text/javascript; charset=utf-8")] {
            assert_eq!(get(&format!("/docs/{file}")).send().await.header("content-type"), kind);
        }
        for file in page.text.split("\"/docs/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert_eq!(get(&format!("/docs/{file}")).send().await.status, 200, "{file}");
        }
        assert!(get("/docs/swagger-initializer.js").send().await.text.contains("/openapi/ecg-admins.json"));
        assert_eq!(get("/docs/../Cargo.toml").send().await.status, 404);
    }
}
