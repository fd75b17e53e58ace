//! The real program with the settings of a hardened deployment, and the settings that it refuses.

use crate::process::{Server, fail, registrar, run};
use crate::support::Database;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::process::Command;
use totp_rs::{Builder, Secret};

const ADMIN: &str = "admin@registrar.local";
const PASSWORD: &str = "a password of the first administrator";

fn serve(database: &Database, settings: &[(&str, &str)]) -> Command {
    let mut command = registrar(&database.settings, &["serve"]);
    command.env("REGISTRAR_ADMIN_PASSWORD", PASSWORD).envs(settings.iter().copied());
    command
}

async fn post(server: &Server, path: &str, token: Option<&str>, body: &Value) -> Response {
    let request = reqwest::Client::new().post(format!("{}{path}", server.url)).json(body);
    token.into_iter().fold(request, |request, token| request.bearer_auth(token)).send().await.unwrap()
}

async fn get(server: &Server, path: &str, token: &str) -> Response {
    reqwest::Client::new().get(format!("{}{path}", server.url)).bearer_auth(token).send().await.unwrap()
}

async fn sign_in(server: &Server, name: &str, password: &str, more: Value) -> (StatusCode, Value) {
    let mut body = json!({ "username": name, "password": password });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = post(server, "/v1/login/", None, &body).await;
    (answer.status(), answer.json().await.unwrap())
}

fn code(secret: &str, steps: i64) -> String {
    let totp = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build().unwrap();
    totp.generate(u64::try_from(Utc::now().timestamp() + steps * 30).unwrap()).to_string()
}

#[test]
fn clear_text_beyond_this_machine_is_refused_and_nothing_is_begun() {
    let database = Database::sqlite();
    let refused = |settings: &[(&str, &str)]| fail(serve(&database, settings));
    for (settings, name) in [
        (&[("REGISTRAR_LISTEN", "0.0.0.0:0")][..], "REGISTRAR_LISTEN"),
        (&[("REGISTRAR_LISTEN", "[::]:0")], "REGISTRAR_LISTEN"),
        (&[("REGISTRAR_NATS_URL", "nats://broker.example.org")], "REGISTRAR_NATS_URL"),
        (&[("REGISTRAR_PWNED_URL", "http://pwned.example.org")], "REGISTRAR_PWNED_URL"),
        (
            &[("REGISTRAR_SMTP_URL", "smtp://mail.example.org"), ("REGISTRAR_MAIL_FROM", "a@example.org")],
            "REGISTRAR_SMTP_URL",
        ),
        (
            &[("REGISTRAR_SMS_URL", "http://sid:token@sms.example.org/"), ("REGISTRAR_SMS_FROM", "12345")],
            "REGISTRAR_SMS_URL",
        ),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel.example.org:4318")], "OTEL_EXPORTER_OTLP_ENDPOINT"),
        (
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://10.0.0.1:4318"), ("REGISTRAR_ALLOW_CLEAR_TEXT", "nats")],
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ),
    ] {
        let told = refused(settings);
        assert!(told.starts_with(&format!("registrar: {name} means clear text beyond this machine")), "{told}");
        assert!(told.contains("REGISTRAR_ALLOW_CLEAR_TEXT="), "{told}");
    }
    // Commands follow the same connection rules as the server.
    let mut archive = registrar(&database.settings, &["journal", "archive", "--before", "1", "--output", "file"]);
    let told = fail({
        archive.env("REGISTRAR_NATS_URL", "nats://broker.example.org");
        archive
    });
    assert!(told.starts_with("registrar: REGISTRAR_NATS_URL means clear text beyond this machine"), "{told}");
    assert!(!database.file().exists(), "nothing was begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_in_the_clear_is_allowed_by_name_and_shows_documents_only_if_told() {
    let database = Database::sqlite();
    // `Server::spawn` listens on the loopback address; this server does not.
    let listen = |more: &[(&str, &str)]| {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = serve(&database, more);
        command.args(["--listen", &format!("0.0.0.0:{port}"), "--allow-clear-text", "listen"]);
        Server::spawn(command)
    };
    let paths = ["/docs/", "/openapi/identity.json", "/asyncapi.json", "/metrics"];
    let statuses = async |server: &Server| {
        let mut statuses = Vec::new();
        for path in paths {
            statuses.push(reqwest::get(format!("{}{path}", server.url)).await.unwrap().status().as_u16());
        }
        statuses
    };
    let server = listen(&[]);
    assert_eq!(statuses(&server).await, [404, 404, 404, 404]);
    assert!(!server.printed.iter().any(|line| line.contains("/docs")), "{:?}", server.printed);
    assert_eq!(reqwest::get(format!("{}/healthz", server.url)).await.unwrap().status(), StatusCode::OK);
    drop(server);
    let server = listen(&[("REGISTRAR_DOCS", "true"), ("REGISTRAR_METRICS", "true")]);
    assert_eq!(statuses(&server).await, [200, 200, 200, 200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_administrator_sets_up_a_second_factor_where_it_is_required() {
    let database = Database::sqlite();
    let server = Server::spawn(serve(&database, &[("REGISTRAR_SECOND_FACTOR_REQUIRED", "privileged")]));
    let (status, told) = sign_in(&server, ADMIN, PASSWORD, json!({})).await;
    assert_eq!((status, &told["errors"][0]["code"]), (StatusCode::FORBIDDEN, &json!("totp-setup-required")));
    assert!(told.get("access-token").is_none());
    let (status, begun) = sign_in(&server, ADMIN, PASSWORD, json!({ "totp-setup": true })).await;
    assert_eq!(status, StatusCode::CREATED, "{begun}");
    let secret = begun["totp-secret"]["shared-secret-key"].as_str().unwrap();
    let codes = json!({ "totp-setup-codes": [code(secret, -1), code(secret, 0)] });
    let (status, info) = sign_in(&server, ADMIN, PASSWORD, codes).await;
    assert_eq!(status, StatusCode::CREATED, "{info}");
    let token = info["access-token"].as_str().unwrap();
    assert_eq!(get(&server, "/api/ecg-admins", token).await.status(), StatusCode::OK);
    let (status, _) = sign_in(&server, ADMIN, PASSWORD, json!({ "totp-code": code(secret, 1) })).await;
    assert_eq!(status, StatusCode::CREATED);

    // The operator's token needs the database and the master key instead of a second factor.
    let token = run(&database.settings, &["token", "create", "--admin", ADMIN]);
    assert_eq!(get(&server, "/api/ecg-admins", token.trim_end()).await.status(), StatusCode::OK);
    // Users without a system role need no second factor.
    let body = json!({ "data": { "type": "organizations", "attributes": { "name": "clinic", "display-name": "Clinic", "timezone": "UTC" } } });
    let made: Value = post(&server, "/v1/organizations/", Some(token.trim_end()), &body).await.json().await.unwrap();
    let clinic = made["data"]["id"].as_str().unwrap();
    let create = ["user", "create", "--email", "nurse@example.com", "--organization", clinic, "--role", "org.provider"];
    let nurse: Value = serde_json::from_str(&run(&database.settings, &create)).unwrap();
    let (status, _) = sign_in(&server, "nurse@example.com", nurse["password"].as_str().unwrap(), json!({})).await;
    assert_eq!(status, StatusCode::CREATED);
}

async fn expires_in(server: &Server, token: &str) -> TimeDelta {
    let listed: Value = get(server, "/v1/sessions/", token).await.json().await.unwrap();
    let current = listed["data"].as_array().unwrap().iter().find(|row| row["attributes"]["current"] == true).unwrap();
    let at = current["attributes"]["expiration-time"].as_str().unwrap();
    let at = NaiveDateTime::parse_from_str(at, "%Y-%m-%d %H:%M:%S").unwrap().and_utc();
    at - Utc::now()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_live_as_long_as_the_settings_let_them_and_those_of_admins_shorter() {
    let database = Database::sqlite();
    let a_month = json!({ "refresh-token-expiration-seconds": 30 * 24 * 60 * 60 });
    for (settings, admin_hours, other_hours) in [
        (&[][..], 24 * 30, 24 * 30),
        (&[("REGISTRAR_SESSION_LIFE", "10h"), ("REGISTRAR_PRIVILEGED_SESSION_LIFE", "1h")], 1, 10),
        (&[("REGISTRAR_PRIVILEGED_SESSION_LIFE", "24h")], 24, 24 * 30),
    ] {
        let server = Server::spawn(serve(&database, settings));
        let token = run(&database.settings, &["token", "create", "--admin", ADMIN]);
        let handle = format!("clinic-{admin_hours}-{other_hours}");
        let body = json!({ "data": { "type": "organizations", "attributes": { "name": handle, "display-name": handle, "timezone": "UTC" } } });
        let made: Value =
            post(&server, "/v1/organizations/", Some(token.trim_end()), &body).await.json().await.unwrap();
        let (clinic, email) = (made["data"]["id"].as_str().unwrap(), format!("{handle}@example.com"));
        let create = ["user", "create", "--email", &email, "--organization", clinic, "--role", "org.provider"];
        let nurse: Value = serde_json::from_str(&run(&database.settings, &create)).unwrap();
        for (name, password, hours) in
            [(ADMIN, PASSWORD, admin_hours), (&email, nurse["password"].as_str().unwrap(), other_hours)]
        {
            let (status, info) = sign_in(&server, name, password, a_month.clone()).await;
            assert_eq!(status, StatusCode::CREATED, "{info}");
            let left = expires_in(&server, info["access-token"].as_str().unwrap()).await;
            let most = TimeDelta::hours(hours);
            assert!(left <= most && left > most - TimeDelta::minutes(5), "{name} {left}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refresh_exchanges_the_refresh_token_where_the_setting_says_so() {
    let database = Database::sqlite();
    let server = Server::spawn(serve(&database, &[("REGISTRAR_REFRESH_ROTATE", "true")]));
    let (_, info) = sign_in(&server, ADMIN, PASSWORD, json!({})).await;
    let refresh = async |token: &Value| {
        let answer = post(&server, "/v1/refresh-token/", None, &json!({ "refresh-token": token })).await;
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let first = info["refresh-token"].clone();
    let (status, second) = refresh(&first).await;
    assert_eq!(status, StatusCode::CREATED, "{second}");
    assert!(second["refresh-token"].is_string() && second["refresh-token"] != first);
    let (status, third) = refresh(&second["refresh-token"]).await;
    assert_eq!(status, StatusCode::CREATED, "{third}");
    // A spent token was stolen by one of the two senders, so the session ends.
    assert_eq!(refresh(&second["refresh-token"]).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&third["refresh-token"]).await.0, StatusCode::UNAUTHORIZED);
}

/// The expiry in the last event that created or changed the password of an account.
async fn password_expiry(server: &Server, event_type: &str, path: &str) -> DateTime<Utc> {
    let token = get_token(server).await;
    let events: Value =
        get(server, &format!("/audit/events?eventType={event_type}"), &token).await.json().await.unwrap();
    let last = events["items"].as_array().unwrap().last().unwrap();
    last["payload"].pointer(path).unwrap_or_else(|| panic!("{last}")).as_str().unwrap().parse().unwrap()
}

async fn get_token(server: &Server) -> String {
    let (_, info) = sign_in(server, ADMIN, PASSWORD, json!({})).await;
    info["access-token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_that_their_owners_did_not_set_are_good_for_a_time() {
    let database = Database::sqlite();
    let settings = [("REGISTRAR_FIRST_PASSWORD_LIFE", "2h")];
    let server = Server::spawn(serve(&database, &settings));
    let good_for = |until: DateTime<Utc>, hours: i64| {
        let (left, most) = (until - Utc::now(), TimeDelta::hours(hours));
        assert!(left <= most && left > most - TimeDelta::minutes(5), "{left}");
    };
    good_for(password_expiry(&server, "admin.registered", "/account/passwordExpiresAt").await, 2);
    let create = ["user", "create", "--email", "ada@example.com", "--role", "system.support"];
    let ada: Value = serde_json::from_str(&run(&database.settings, &create)).unwrap();
    good_for(password_expiry(&server, "user.created", "/passwordExpiresAt").await, 30 * 24);
    let password = ada["password"].as_str().unwrap();
    assert_eq!(sign_in(&server, "ada@example.com", password, json!({})).await.0, StatusCode::CREATED);

    let token = get_token(&server).await;
    let bob = json!({
        "person": { "firstName": "Bob", "lastName": "Example" },
        "account": { "email": "bob@example.com", "isAutoGenerated": true },
        "policies": [], "customPermissions": [], "addresses": [], "phoneNumbers": [],
    });
    let made = post(&server, "/api/ecg-admins", Some(&token), &bob).await;
    assert_eq!(made.status(), StatusCode::CREATED, "{}", made.text().await.unwrap());
    good_for(password_expiry(&server, "admin.registered", "/account/passwordExpiresAt").await, 2);

    // An operator resets the expired password of an admin: the former one ends, and the new one has an expiry again.
    let set = ["user", "set-password", "--email", "bob@example.com", "--first-password-life", "3h"];
    let set: Value = serde_json::from_str(&run(&database.settings, &set)).unwrap();
    good_for(password_expiry(&server, "admin.password-changed", "/expiresAt").await, 3);
    let (status, info) = sign_in(&server, "bob@example.com", set["password"].as_str().unwrap(), json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "{info}");
    let change = json!({ "old-password": set["password"], "new-password": "a password of Bob's own making" });
    let path = format!("/v1/users/{}/change-password/", info["user-id"].as_str().unwrap());
    let changed = post(&server, &path, Some(info["access-token"].as_str().unwrap()), &change).await;
    assert_eq!(changed.status(), StatusCode::CREATED);
    let events: Value =
        get(&server, "/audit/events?eventType=admin.password-changed", &token).await.json().await.unwrap();
    assert!(events["items"].as_array().unwrap().last().unwrap()["payload"].get("expiresAt").is_none(), "{events}");

    // For a user the command equals a reset by support: the password can only be exchanged for another one.
    let set: Value =
        serde_json::from_str(&run(&database.settings, &["user", "set-password", "--email", "ada@example.com"]))
            .unwrap();
    assert_eq!(sign_in(&server, "ada@example.com", password, json!({})).await.0, StatusCode::UNAUTHORIZED);
    let (status, told) = sign_in(&server, "ada@example.com", set["password"].as_str().unwrap(), json!({})).await;
    assert_eq!((status, &told["errors"][0]["code"]), (StatusCode::FORBIDDEN, &json!("password-reset-required")));
    let told = fail(registrar(&database.settings, &["user", "set-password", "--email", "nobody@example.com"]));
    assert!(told.starts_with("registrar: there is no such account"), "{told}");
    let weak = ["user", "set-password", "--email", "ada@example.com", "--password", "short"];
    let told = fail(registrar(&database.settings, &weak));
    assert!(told.starts_with("registrar: the password must have at least 12 characters"), "{told}");
}
