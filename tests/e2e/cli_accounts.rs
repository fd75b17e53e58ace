//! Account commands, run beside a server.

use crate::on_both_stores;
use crate::process::{Server, fail, registrar, run};
use crate::support::Database;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

const ADMIN: &str = "admin@registrar.local";

async fn post(server: &Server, path: &str, token: Option<&str>, body: &Value) -> reqwest::Response {
    let request = reqwest::Client::new().post(format!("{}{path}", server.url)).json(body);
    token.into_iter().fold(request, |request, token| request.bearer_auth(token)).send().await.unwrap()
}

async fn sign_in(server: &Server, name: &str, password: &str) -> reqwest::Response {
    post(server, "/v1/login/", None, &json!({ "username": name, "password": password })).await
}

fn refused(database: &Database, arguments: &[&str]) -> String {
    fail(registrar(&database.settings, &[&["user", "confirm-contact"], arguments].concat()))
}

on_both_stores! {
    async fn an_address_is_confirmed_by_hand(database) {
        let server = Server::start(&database.settings);
        let create = ["user", "create", "--email", "ada@example.com", "--role", "system.support"];
        let ada: Value = serde_json::from_str(&run(&database.settings, &create)).unwrap();
        let (id, password) = (ada["id"].as_str().unwrap(), ada["password"].as_str().unwrap());
        let session: Value = sign_in(&server, "ada@example.com", password).await.json().await.unwrap();
        let token = session["access-token"].as_str().unwrap();
        let change = format!("/v1/users/{id}/change-email/");
        let changed = post(&server, &change, Some(token), &json!({ "email": "king@example.com" })).await;
        assert_eq!(changed.status(), StatusCode::CREATED);
        assert_eq!(sign_in(&server, "king@example.com", password).await.status(), StatusCode::UNAUTHORIZED);

        let kept = refused(&database, &["--email", "ada@example.com"]);
        assert!(kept.starts_with("registrar: the address does not wait for its confirmation"), "{kept}");
        for unknown in [["--email", "nobody@example.com"], ["--email", ADMIN], ["--phone", "+12025550123"]] {
            let told = refused(&database, &unknown);
            assert!(told.starts_with("registrar: there is no user with this address"), "{told}");
        }
        let printed = run(&database.settings, &["user", "confirm-contact", "--email", "King@example.com"]);
        let printed: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(printed, json!({ "id": id, "email": "king@example.com" }));
        let again = refused(&database, &["--email", "king@example.com"]);
        assert!(again.starts_with("registrar: the address does not wait for its confirmation"), "{again}");

        // All sessions have ended, and the new address is the sign-in name.
        let ended = post(&server, "/v1/authenticate/", Some(token), &json!({})).await;
        assert_eq!(ended.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(sign_in(&server, "ada@example.com", password).await.status(), StatusCode::UNAUTHORIZED);
        let session: Value = sign_in(&server, "king@example.com", password).await.json().await.unwrap();
        let token = session["access-token"].as_str().unwrap();

        // A first telephone number waits for confirmation as well.
        let body = json!({ "data": { "type": "users", "id": id, "attributes": { "phone": "+12025550123" } } });
        let request = reqwest::Client::new().patch(format!("{}/v1/users/{id}/", server.url)).bearer_auth(token).json(&body);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
        let printed = run(&database.settings, &["user", "confirm-contact", "--phone", "+12025550123"]);
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), json!({ "id": id, "phone": "+12025550123" }));

        // The audit trail names the system as the actor.
        let reader = run(&database.settings, &["token", "create", "--admin", ADMIN]);
        let request = reqwest::Client::new().get(format!("{}/audit/events?aggregateType=user", server.url));
        let events: Value = request.bearer_auth(reader.trim_end()).send().await.unwrap().json().await.unwrap();
        let events = events["items"].as_array().unwrap();
        for name in ["user.email-confirmed", "user.phone-confirmed"] {
            let event = events.iter().find(|event| event["eventType"] == name).unwrap();
            assert_eq!(event["metadata"]["actor"]["type"], "system", "{event}");
        }
    }
}

/// Whether a session token is accepted.
async fn works(server: &Server, token: &str) -> bool {
    let status = post(server, "/v1/authenticate/", Some(token), &json!({})).await.status();
    assert!([StatusCode::CREATED, StatusCode::UNAUTHORIZED].contains(&status), "{status}");
    status == StatusCode::CREATED
}

/// Whether a token of an admin is accepted.
async fn opens(server: &Server, token: &str) -> bool {
    let request = reqwest::Client::new().get(format!("{}/api/ecg-admins", server.url)).bearer_auth(token.trim_end());
    let status = request.send().await.unwrap().status();
    assert!([StatusCode::OK, StatusCode::UNAUTHORIZED].contains(&status), "{status}");
    status == StatusCode::OK
}

on_both_stores! {
    async fn sessions_of_one_or_of_everybody_are_ended_by_hand(database) {
        let server = Server::start(&database.settings);
        let create = |email: &str| -> Value {
            let create = ["user", "create", "--email", email, "--role", "system.support"];
            serde_json::from_str(&run(&database.settings, &create)).unwrap()
        };
        let (ada, bob) = (create("ada@example.com"), create("bob@example.com"));
        create("gone@example.com");
        run(&database.settings, &["user", "archive", "--email", "gone@example.com"]);
        let token_of = async |person: &Value| {
            let session = sign_in(&server, person["email"].as_str().unwrap(), person["password"].as_str().unwrap());
            let session: Value = session.await.json().await.unwrap();
            session["access-token"].as_str().unwrap().to_owned()
        };
        let (first, second, other) = (token_of(&ada).await, token_of(&ada).await, token_of(&bob).await);
        let admin = run(&database.settings, &["token", "create", "--admin", ADMIN]);

        let head = run(&database.settings, &["journal", "verify"]);
        for (whose, told) in [
            (["--email", "nobody@example.com"], "registrar: no user is known by nobody@example.com"),
            (["--email", ADMIN], "registrar: no user is known by admin@registrar.local"),
            (["--phone", "+12025550123"], "registrar: no user is known by +12025550123"),
        ] {
            let refused = fail(registrar(&database.settings, &[&["user", "end-sessions"], &whose[..]].concat()));
            assert!(refused.starts_with(told), "{refused}");
        }
        for unclear in [&["user", "end-sessions"][..], &["user", "end-sessions", "--all", "--email", "ada@example.com"]] {
            assert!(!registrar(&database.settings, unclear).output().unwrap().status.success(), "{unclear:?}");
        }
        assert_eq!(run(&database.settings, &["journal", "verify"]), head, "something was stored");
        assert!(works(&server, &first).await && works(&server, &second).await && works(&server, &other).await);

        // The sessions of one person, by either sign-in name.
        let printed = run(&database.settings, &["user", "end-sessions", "--email", "Ada@example.com"]);
        assert_eq!(printed, "");
        assert!(!works(&server, &first).await && !works(&server, &second).await);
        assert!(works(&server, &other).await && opens(&server, &admin).await);
        let again = token_of(&ada).await;
        let body = json!({ "data": { "type": "users", "id": ada["id"], "attributes": { "phone": "+12025550123" } } });
        let path = format!("{}/v1/users/{}/", server.url, ada["id"].as_str().unwrap());
        let phone = reqwest::Client::new().patch(path).bearer_auth(&again).json(&body).send().await.unwrap();
        assert_eq!(phone.status(), StatusCode::OK);
        run(&database.settings, &["user", "confirm-contact", "--phone", "+12025550123"]);
        let again = token_of(&ada).await;
        assert!(works(&server, &again).await);
        assert_eq!(run(&database.settings, &["user", "end-sessions", "--phone", "+12025550123"]), "");
        assert!(!works(&server, &again).await && works(&server, &other).await);

        // The sessions of all people; an archived person has none.
        let last = token_of(&ada).await;
        assert!(works(&server, &last).await);
        let printed = run(&database.settings, &["user", "end-sessions", "--all"]);
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), json!({ "users": 2, "admins": 1 }));
        assert!(!works(&server, &last).await && !works(&server, &other).await && !opens(&server, &admin).await);
        assert!(works(&server, &token_of(&ada).await).await, "nobody is kept from signing in");

        let reader = run(&database.settings, &["token", "create", "--admin", ADMIN]);
        let request = reqwest::Client::new().get(format!("{}/audit/events?eventType=user.sessions-ended", server.url));
        let events: Value = request.bearer_auth(reader.trim_end()).send().await.unwrap().json().await.unwrap();
        let events = events["items"].as_array().unwrap();
        assert_eq!(events.len(), 4);
        assert!(events.iter().all(|event| event["metadata"]["actor"]["type"] == "system"), "{events:?}");
    }
}

/// Runs `registrar user create` with a password from standard input; answers the JSON that it printed, or its error
/// text.
fn create_piped(command: &mut std::process::Command, password: &str) -> Result<Value, String> {
    let create = ["user", "create", "--email", "ada@example.com", "--role", "system.support", "--password", "-"];
    command.args(create).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).unwrap());
    }
    assert!(output.stdout.is_empty());
    Err(String::from_utf8(output.stderr).unwrap())
}

const PASSWORD: &str = "correct horse battery staple";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_read_from_standard_input() {
    let database = Database::sqlite();
    let server = Server::start(&database.settings);
    let piped = |password: &str| create_piped(&mut registrar(&database.settings, &[]), password);
    let head = run(&database.settings, &["journal", "verify"]);
    for (refused, told) in [("", "no password came on standard input"), ("short\n", "at least 12 characters")] {
        let error = piped(refused).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
    assert_eq!(run(&database.settings, &["journal", "verify"]), head, "nothing was stored");
    let ada = piped(&format!("{PASSWORD}\n")).unwrap();
    assert_eq!(ada["password"], PASSWORD);
    assert_eq!(sign_in(&server, "ada@example.com", PASSWORD).await.status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stolen_passwords_are_looked_up_where_the_setting_says_and_nowhere_else() {
    use axum::http::Uri;
    use axum::response::Redirect;
    let listen = async |router: axum::Router| {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        url
    };
    let asked = Arc::new(Mutex::new(Vec::<String>::new()));
    let note = Arc::clone(&asked);
    let elsewhere = listen(axum::Router::new().fallback(move |uri: Uri| {
        note.lock().unwrap().push(uri.to_string());
        std::future::ready("")
    }))
    .await;
    let target = format!("{elsewhere}/range");
    let pointing = listen(axum::Router::new().fallback(move || std::future::ready(Redirect::temporary(&target)))).await;
    let knowing = listen(axum::Router::new().fallback(|| std::future::ready(every_suffix_of(PASSWORD)))).await;

    // A redirect is not followed; an unreachable service does not block setting a password.
    let database = Database::sqlite();
    let with = |url: &str| {
        let mut command = registrar(&database.settings, &[]);
        command.env("REGISTRAR_PWNED_URL", url).env("HTTP_PROXY", &elsewhere).env("http_proxy", &elsewhere);
        command
    };
    let refused = tokio::task::block_in_place(|| create_piped(&mut with(&knowing), PASSWORD)).unwrap_err();
    assert!(refused.contains("stolen elsewhere"), "{refused}");
    // If the look-up is required, an unreachable service blocks it, and a server without a service does not start.
    run(&database.settings, &["seed", "--admins", "1"]);
    let head = run(&database.settings, &["journal", "verify"]);
    let mut required = with(&pointing);
    required.env("REGISTRAR_PWNED_REQUIRED", "true");
    let refused = tokio::task::block_in_place(|| create_piped(&mut required, PASSWORD)).unwrap_err();
    assert!(refused.contains("the password could not be looked up"), "{refused}");
    assert_eq!(run(&database.settings, &["journal", "verify"]), head, "something was stored");
    let mut serve = registrar(&database.settings, &["serve"]);
    let refused = fail({
        serve.env("REGISTRAR_PWNED_REQUIRED", "true");
        serve
    });
    assert_eq!(refused, "registrar: REGISTRAR_PWNED_URL is needed with REGISTRAR_PWNED_REQUIRED\n");
    tokio::task::block_in_place(|| create_piped(&mut with(&pointing), PASSWORD)).unwrap();
    assert_eq!(*asked.lock().unwrap(), Vec::<String>::new(), "somebody else was asked");
}

/// A look-up response that reports a password as stolen.
fn every_suffix_of(password: &str) -> String {
    use sha1::{Digest, Sha1};
    let digest: String = Sha1::digest(password).iter().map(|byte| format!("{byte:02X}")).collect();
    format!("{}:42", &digest[5..])
}
