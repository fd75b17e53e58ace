//! The security log of the real program: its fields, its content, and what it must not contain.

use crate::on_both_stores;
use crate::process::{Server, registrar, run};
use serde_json::{Value, json};

const PASSWORD: &str = "the first one, who lets others in";
const WRONG: &str = "w0ng-secret-value";
const ROOT: &str = "admin@registrar.local";

/// The lines of the security log.
fn security(log: &[String]) -> Vec<Value> {
    let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "registrar::security").collect()
}

fn find<'l>(lines: &'l [Value], event: &str, outcome: &str) -> &'l Value {
    let found = lines.iter().find(|line| line["event"] == event && line["outcome"] == outcome);
    found.unwrap_or_else(|| panic!("no {event} {outcome} in {lines:#?}"))
}

on_both_stores! {
    async fn every_refusal_and_every_act_on_credentials_leaves_a_line(database) {
        let mut command = registrar(&database.settings, &["serve"]);
        command.env("REGISTRAR_ADMIN_PASSWORD", PASSWORD).env("REGISTRAR_STRANGER_RATE", "6/1m");
        let server = Server::spawn(command);
        let client = reqwest::Client::new();
        let url = |path: &str| format!("{}{path}", server.url);
        let login = |password: &str| json!({ "username": ROOT, "password": password });
        let sent = uuid::Uuid::now_v7().to_string();
        let failed = client.post(url("/v1/login/")).header("x-request-id", &sent).json(&login(WRONG)).send().await.unwrap();
        assert_eq!(failed.status(), 401);
        let opened = client.post(url("/v1/login/")).json(&login(PASSWORD)).send().await.unwrap();
        let token = opened.json::<Value>().await.unwrap()["access-token"].as_str().unwrap().to_owned();
        let mut renewing = login(PASSWORD);
        renewing["new-password"] = json!("a-new-and-long-one");
        assert_eq!(client.post(url("/v1/login/")).json(&renewing).send().await.unwrap().status(), 400);
        let narrowed = run(&database.settings, &["token", "create", "--admin", ROOT, "--permission", "ecg-admins.read"]);
        let denied = client.get(url("/audit/checkpoint")).bearer_auth(narrowed.trim()).send().await.unwrap();
        assert_eq!(denied.status(), 403);
        let unknown = client.get(url("/api/ecg-admins")).bearer_auth("rubbish").send().await.unwrap();
        assert_eq!(unknown.status(), 401);
        let wrong = client.post(url("/v1/login/")).json(&json!({ "username": 1 })).send().await.unwrap();
        assert_eq!(wrong.status(), 400);
        let out = client.post(url("/v1/logout/")).bearer_auth(&token).json(&json!({})).send().await.unwrap();
        assert_eq!(out.status(), 201);
        while client.get(url("/api/ecg-admins")).send().await.unwrap().status() != 429 {}

        let (_, log) = server.stop();
        let lines = security(&log);
        let failed = find(&lines, "sign-in", "refused");
        assert_eq!((&failed["client_address"], &failed["caller_request_id"]), (&json!("127.0.0.1"), &json!(sent)));
        assert_ne!(failed["request_id"], json!(sent), "our own identifier is another");
        let signed_in = find(&lines, "sign-in", "success");
        // A refused sign-in with the right password.
        let unasked = |line: &&Value| line["reason"].as_str().is_some_and(|reason| reason.contains("new password"));
        let unasked = lines.iter().find(unasked).expect("a line");
        assert_eq!((&unasked["event"], &unasked["outcome"]), (&json!("sign-in"), &json!("refused")));
        assert_eq!(unasked["subject_digest"], signed_in["subject_digest"]);
        assert_eq!(signed_in["subject_digest"], failed["subject_digest"], "the same name");
        assert!(signed_in["actor"].is_string() && signed_in["session"].is_string());
        assert_eq!(signed_in["factors"], "password");
        assert!(find(&lines, "access", "refused")["operation"].is_string());
        find(&lines, "authentication", "refused");
        find(&lines, "input", "refused");
        find(&lines, "rate-limit", "refused");
        let out = find(&lines, "sign-out", "success");
        assert_eq!((&out["actor"], &out["session"]), (&signed_in["actor"], &signed_in["session"]));
        for line in &lines {
            assert!(line["request_id"].is_string() && line["event"].is_string(), "{line}");
        }
        for secret in [PASSWORD, WRONG, ROOT, "rubbish", &token] {
            assert!(!log.iter().any(|line| line.contains(secret)), "{secret} is in the log");
        }
    }

    async fn every_refusal_of_a_right_leaves_a_line(database) {
        let server = Server::spawn(registrar(&database.settings, &["serve"]));
        let client = reqwest::Client::new();
        let url = |path: &str| format!("{}{path}", server.url);
        let whole = run(&database.settings, &["token", "create", "--admin", ROOT]);
        let made = async |name: &str| {
            let body = json!({ "data": { "type": "organizations", "attributes": { "name": name, "display-name": name, "timezone": "UTC" } } });
            let made = client.post(url("/v1/organizations/")).bearer_auth(whole.trim()).json(&body).send().await.unwrap();
            assert_eq!(made.status(), 201);
            made.json::<Value>().await.unwrap()["data"]["id"].as_str().unwrap().to_owned()
        };
        let (own, other) = (made("own").await, made("other").await);
        let user = |email: &str, arguments: &[&str]| -> String {
            let all = [&["user", "create", "--email", email, "--password", PASSWORD], arguments].concat();
            serde_json::from_str::<Value>(&run(&database.settings, &all)).unwrap()["id"].as_str().unwrap().to_owned()
        };
        let ada = user("ada@example.com", &["--role", "org.admin", "--organization", &own]);
        user("service@example.com", &["--role", "system.service"]);
        let sign_in = async |name: &str| {
            let body = json!({ "username": name, "password": PASSWORD });
            let opened = client.post(url("/v1/login/")).json(&body).send().await.unwrap();
            assert_eq!(opened.status(), 201);
            opened.json::<Value>().await.unwrap()["access-token"].as_str().unwrap().to_owned()
        };
        let (token, service) = (sign_in("ada@example.com").await, sign_in("service@example.com").await);
        let body = json!({ "data": { "user-id": ada } });
        let acting = client.post(url("/v1/synthetic-user-tokens/")).bearer_auth(&service).json(&body).send().await.unwrap();
        let acting = acting.json::<Value>().await.unwrap()["data"]["access-token"].as_str().unwrap().to_owned();
        let roles = client.get(url(&format!("/v1/roles/?organization-id={own}"))).bearer_auth(&token).send().await.unwrap().json::<Value>().await.unwrap();
        let role = roles["data"].as_array().unwrap().iter().find(|role| role["attributes"]["name"] == "org.provider").unwrap()["id"].clone();
        // The server sees commits of another process a moment later.
        let position = async || database.sql().await.number("SELECT position FROM journal_head").await;
        let before = position().await;
        let mut sent = Vec::new();
        for (token, path, body, event) in [
            (&token, format!("/v1/roles/{}/add-user/", role.as_str().unwrap()), json!({ "data": { "type": "roles", "attributes": { "user-id": ada } } }), "grant"),
            (&token, format!("/v1/users/{ada}/switch-organization/"), json!({ "organization-id": other, "set-default": false }), "session"),
            (&acting, format!("/v1/users/{ada}/change-email/"), json!({ "email": "other@example.com" }), "access"),
            (&token, "/v1/features/".to_owned(), json!({ "data": { "type": "features", "attributes": { "id": "f", "assignable": true, "description": "d", "stage": "ga" } } }), "access"),
        ] {
            let id = uuid::Uuid::now_v7().to_string();
            let answer = client.post(url(&path)).bearer_auth(token).header("x-request-id", &id).json(&body).send().await.unwrap();
            let (status, text) = (answer.status(), answer.text().await.unwrap());
            assert_eq!(status, 403, "{path}: {text}");
            sent.push((path, id, event));
        }
        assert_eq!(position().await, before, "nothing was stored");
        let (_, log) = server.stop();
        let lines = security(&log);
        for (path, id, event) in sent {
            let told: Vec<_> = lines.iter().filter(|line| line["caller_request_id"] == json!(id)).collect();
            let [line] = told[..] else { panic!("{path}: {told:#?}") };
            assert_eq!((&line["outcome"], &line["event"]), (&json!("refused"), &json!(event)), "{path}");
            assert!(line["actor"].is_string() && line["reason"].is_string(), "{line}");
        }
    }

    async fn no_line_of_the_log_has_a_code(database) {
        let mut command = registrar(&database.settings, &["serve"]);
        command.env("REGISTRAR_LOG", "debug");
        let server = Server::spawn(command);
        let create = ["user", "create", "--email", "ada@example.com", "--role", "system.support", "--password", PASSWORD];
        run(&database.settings, &create);
        let client = reqwest::Client::new();
        let post = async |path: &str, body: Value| {
            let answer = client.post(format!("{}/v1/{path}", server.url)).json(&body).send().await.unwrap();
            answer.status().as_u16()
        };
        assert_eq!(post("forgot-password/", json!({ "username": "ada@example.com" })).await, 201);
        let message: Value = serde_json::from_str(&run(&database.settings, &["inbox", "--to", "ada@example.com"])).unwrap();
        let code = message["code"].as_str().unwrap();
        let reset = |code: &str| {
            json!({ "username": "ada@example.com", "confirmation-code": code, "password": "a-new-and-long-one" })
        };
        // Letters, so that it differs from the right one.
        assert_eq!(post("confirm-forgot-password/", reset("w0ng-c0de")).await, 400);
        assert_eq!(post("confirm-forgot-password/", reset(code)).await, 201);
        let (_, log) = server.stop();
        for line in &log {
            assert!(!line.contains("w0ng-c0de") && !line.contains("a-new-and-long-one"), "{line}");
            // Within times and identifiers every six digits stand somewhere.
            let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
            let alone = |at: usize| {
                !part(line[..at].chars().next_back()) && !part(line[at + code.len()..].chars().next())
            };
            assert!(!line.match_indices(code).any(|(at, _)| alone(at)), "{line}");
        }
        let lines = security(&log);
        assert_eq!(find(&lines, "password", "refused")["reason"], "the code is wrong");
        find(&lines, "password", "success");
    }

    async fn a_request_for_another_tenants_resource_leaves_a_line_in_the_site_and_the_audit_api(database) {
        const SITE: &str = "/ec-site-svc/rest/v1.0/organizations";
        let mut command = registrar(&database.settings, &["serve"]);
        // The log level does not affect the security log.
        command.env("REGISTRAR_LOG", "error");
        let server = Server::spawn(command);
        let client = reqwest::Client::new();
        let url = |path: &str| format!("{}{path}", server.url);
        let whole = run(&database.settings, &["token", "create", "--admin", ROOT]);
        let body = |name: &str| json!({ "organization": { "name": name, "orgId": name, "statusCodeValue": "Active", "timezone": "UTC" }, "modes": ["Testing"], "orgAddressesDetails": [] });
        let register = async |name: &str| {
            let made = client.post(url(SITE)).bearer_auth(whole.trim()).json(&body(name)).send().await.unwrap();
            assert_eq!(made.status(), 201, "{name}");
            let id = made.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
            uuid::Uuid::parse_str(&id).unwrap().to_string()
        };
        let (own, other) = (register("Own").await, register("Other").await);
        let narrowed = run(&database.settings, &["token", "create", "--admin", ROOT, "--organization", &own]);
        // The server sees commits of another process a moment later.
        let position = async || database.sql().await.number("SELECT position FROM journal_head").await;
        let before = position().await;
        let ask = async |request: reqwest::RequestBuilder| request.bearer_auth(narrowed.trim()).send().await.unwrap().status();
        let unknown = uuid::Uuid::now_v7();
        // Unknown resources belong to no other tenant, so they leave no line.
        for path in [format!("/audit/organization/{unknown}/history"), format!("/audit/organization/{unknown}"), format!("/audit/organization/{own}?asOf=1"), "/audit/events/999999".into()] {
            assert_eq!(ask(client.get(url(&path))).await, 404, "{path}");
        }
        let mut unseen = 0;
        for path in [
            format!("{SITE}/{other}"),
            format!("/audit/organizations/{other}/snapshot"),
            format!("/audit/events?organizationId={other}"),
            "/audit/events/1".into(),
            format!("/audit/organization/{other}"),
            format!("/audit/organization/{other}/history"),
            format!("/audit/organization/{other}/diff"),
        ] {
            assert_eq!(ask(client.get(url(&path))).await, 404, "{path}");
            unseen += 1;
        }
        assert_eq!(ask(client.put(url(&format!("{SITE}/{other}"))).json(&body("Taken"))).await, 404);
        unseen += 1;
        assert_eq!(ask(client.post(url(SITE)).json(&body("Third"))).await, 403);
        assert_eq!(position().await, before, "nothing was stored, nor any reading");

        let (_, log) = server.stop();
        let lines = security(&log);
        let told: Vec<_> = lines.iter().filter(|line| line["event"] == "unseen").collect();
        assert_eq!(told.len(), unseen, "{lines:#?}");
        for line in &told {
            assert_eq!((&line["outcome"], &line["reason"]), (&json!("refused"), &json!("another organization")), "{line}");
            assert_eq!((&line["organization"], &line["client_address"]), (&json!(own), &json!("127.0.0.1")), "{line}");
            assert!(line["actor"].is_string() && line["request_id"].is_string() && !line.to_string().contains(&other), "{line}");
        }
        let denied = find(&lines, "access", "refused");
        assert_eq!(denied["operation"], json!("organizations.write"));
    }
}
