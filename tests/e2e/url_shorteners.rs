//! Short links of the real program: its settings, and the visits that a stop must not lose.

use crate::process::{Server, registrar};
use crate::support::Database;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PASSWORD: &str = "a password of the first administrator";

fn serve(database: &Database) -> Server {
    let mut command = registrar(&database.settings, &["serve"]);
    command.env("REGISTRAR_ADMIN_PASSWORD", PASSWORD).env("REGISTRAR_LINK_HOSTS", "links.example.org");
    Server::spawn(command)
}

fn client() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

/// The first administrator of a server.
struct Administrator<'s> {
    server: &'s Server,
    token: String,
}

impl<'s> Administrator<'s> {
    async fn of(server: &'s Server) -> Self {
        let body = json!({ "username": "admin@registrar.local", "password": PASSWORD });
        let answer = client().post(format!("{}/v1/login/", server.url)).json(&body).send().await.unwrap();
        let session: Value = answer.error_for_status().unwrap().json().await.unwrap();
        Administrator { server, token: session["access-token"].as_str().unwrap().to_owned() }
    }

    async fn create(&self, kind: &str, attributes: Value) -> Value {
        let body = json!({ "data": { "type": kind, "attributes": attributes } });
        let request = client().post(format!("{}/v1/{kind}/", self.server.url)).json(&body);
        let answer = request.bearer_auth(&self.token).send().await.unwrap();
        answer.error_for_status().unwrap().json::<Value>().await.unwrap()["data"].take()
    }

    async fn redirect_count(&self, link: &Value) -> u64 {
        let path = format!("{}/v1/url-shorteners/{}/", self.server.url, link["id"].as_str().unwrap());
        let answer = client().get(path).bearer_auth(&self.token).send().await.unwrap();
        let shown: Value = answer.error_for_status().unwrap().json().await.unwrap();
        shown["data"]["attributes"]["redirect-count"].as_u64().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_are_recorded_within_seconds_and_at_a_stop() {
    let database = Database::sqlite();
    let server = serve(&database);
    let administrator = Administrator::of(&server).await;
    let organization = administrator.create("organizations", json!({ "name": "acme" })).await;
    let target = json!({ "netloc": "links.example.org", "full-path": "/a", "organization-id": organization["id"] });
    let link = administrator.create("url-shorteners", target).await;
    let (code, short) = (&link["attributes"]["code"], link["attributes"]["short-url"].as_str().unwrap());
    assert_eq!(short, format!("{}/s/{}", server.url, code.as_str().unwrap()));

    let followed = client().get(short).send().await.unwrap();
    assert_eq!((followed.status(), followed.text().await.unwrap()), (StatusCode::FOUND, String::new()));
    let begun = Instant::now();
    while administrator.redirect_count(&link).await == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "visits are not recorded");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..4 {
        assert_eq!(client().head(short).send().await.unwrap().status(), StatusCode::FOUND);
        let followed = client().get(short).send().await.unwrap();
        assert_eq!(followed.headers()["location"], "https://links.example.org/a");
    }
    let (status, log) = server.stop();
    assert!(status.success(), "{log:?}");

    let server = serve(&database);
    assert_eq!(Administrator::of(&server).await.redirect_count(&link).await, 5);
}
