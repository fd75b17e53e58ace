//! Stock clients sign in to the real program and read the resulting events on NATS.

use crate::process::{Server, registrar, run};
use crate::publishing::harness::NatsServer;
use crate::python;
use crate::support::Database;
use serde_json::{Value, json};
use std::path::Path;

pub const ADMIN_PASSWORD: &str = "the first one, who lets others in";
const EMAIL: &str = "ada.lovelace@unmistakable.example";
const PASSWORD: &str = "correct horse battery staple";
const NAME: &str = "Unmistakable-Lovelace";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_clients_sign_in_and_read_what_is_told_of_it() {
    let (database, nats) = (Database::sqlite(), NatsServer::start());
    let mut command = registrar(&database.settings, &["serve"]);
    command.env("REGISTRAR_NATS_URL", &nats.url).env("REGISTRAR_ADMIN_PASSWORD", ADMIN_PASSWORD);
    let server = Server::spawn(command);
    let organization = organization(&server.url).await;
    let arguments = ["user", "create", "--organization", &organization, "--role", "org.provider"];
    let person = ["--email", EMAIL, "--password", PASSWORD, "--last-name", NAME];
    let user: Value =
        serde_json::from_str(&run(&database.settings, &[arguments.as_slice(), &person].concat())).unwrap();
    let user = user["id"].as_str().unwrap();

    let mut clients = python::script("identity_stock/stock_clients.py");
    clients.args([server.url.as_str(), &nats.url, user, EMAIL, PASSWORD, NAME]);
    let told = python::run_aside(clients, String::new()).await;
    // Events of the user, of the first session, of the second one, of second factors.
    let expected = [
        "user.created user.organization-joined user.default-organization-changed user.role-granted user.password-changed",
        "session.opened",
        "session.opened session.refreshed session.renewed session.ended",
        "totp-configuration.created totp-configuration.enabled totp-configuration.code-used",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);

    // Every message matches the AsyncAPI document.
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/asyncapi.json");
    let mut reader = python::script("publishing/stock_client.py");
    reader.arg(&nats.url).arg(document);
    python::run_aside(reader, String::new()).await;
    let (status, log) = server.stop();
    assert!(status.success(), "{log:?}");
}

/// Creates an organization as the first administrator, whose password is [`ADMIN_PASSWORD`].
pub async fn organization(url: &str) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let credentials = json!({ "username": "admin@registrar.local", "password": ADMIN_PASSWORD });
    let answer = client.post(format!("{url}/v1/login/")).json(&credentials).send().await.unwrap();
    let session: Value = answer.error_for_status().unwrap().json().await.unwrap();
    let token = session["access-token"].as_str().unwrap();
    let creation = json!({ "data": { "type": "organizations", "attributes": { "name": "Acme" } } });
    let request = client.post(format!("{url}/v1/organizations/")).bearer_auth(token).json(&creation);
    let made: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
    made["data"]["id"].as_str().unwrap().to_owned()
}
