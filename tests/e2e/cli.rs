//! The command line and the start of the server, run as the real program.

use crate::on_both_stores;
use crate::process::{Server, fail, registrar, run};
use crate::support::Database;
use axum::body::Bytes;
use registrar::node::StoreSettings;
use serde_json::Value;
use std::sync::mpsc;

const ADMIN: &str = "admin@registrar.local";

pub(super) fn token(database: &Database, more: &[&str]) -> String {
    let arguments = [&["token", "create", "--admin", ADMIN], more].concat();
    let printed = run(&database.settings, &arguments);
    let token = printed.strip_suffix('\n').unwrap();
    assert!(!token.contains(char::is_whitespace) && token.split('.').count() == 3, "{printed:?}");
    token.to_owned()
}

pub(super) async fn list(server: &Server, token: &str) -> reqwest::Response {
    reqwest::Client::new().get(format!("{}/api/ecg-admins", server.url)).bearer_auth(token).send().await.unwrap()
}

pub(super) async fn total(server: &Server, token: &str) -> Value {
    let answer = list(server, token).await;
    assert_eq!(answer.status(), 200);
    answer.json::<Value>().await.unwrap()["totalRecords"].clone()
}

fn folder(path: &std::path::Path) -> StoreSettings {
    StoreSettings { database_url: None, data: path.to_owned(), archives: None }
}

on_both_stores! {
    /// The password is printed once, by the start that generated it.
    async fn the_first_start_makes_an_administrator(database) {
        let database = database.empty().await;
        let server = Server::start(&database.settings);
        let [admin, password, _] = server.printed.as_slice() else { panic!("{:?}", server.printed) };
        assert_eq!(admin, "First administrator: admin@registrar.local");
        let password = password.strip_prefix("Password, shown this once: ").unwrap().to_owned();
        assert_eq!(password.len(), 24);
        let token = token(&database, &[]);
        let admins: Value = list(&server, &token).await.json().await.unwrap();
        assert_eq!(admins["totalRecords"], 1);
        assert_eq!(admins["items"][0]["person"]["emailAddress"], ADMIN);
        let (status, log) = server.stop();
        assert!(status.success());
        assert!(log.iter().all(|line| !line.contains(&password)));

        let again = Server::start(&database.settings);
        assert_eq!(again.printed.len(), 1);
        assert_eq!(total(&again, &token).await, 1);
    }
}

#[tokio::test]
async fn one_of_two_servers_that_start_at_once_makes_the_administrator() {
    let database = Database::postgres().await;
    let start = || {
        let settings = database.settings.clone();
        tokio::task::spawn_blocking(move || Server::start(&settings))
    };
    let (one, other) = tokio::join!(start(), start());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.printed.len() + other.printed.len(), 4, "{:?} {:?}", one.printed, other.printed);
    let token = token(&database, &[]);
    assert_eq!(total(&one, &token).await, 1);
    assert_eq!(total(&other, &token).await, 1);
}

#[tokio::test]
async fn the_address_that_clients_use_is_the_issuer() {
    let database = Database::sqlite();
    let mut command = registrar(&database.settings, &["serve"]);
    command.env("REGISTRAR_PUBLIC_URL", "https://registrar.example.org/").stdout(std::process::Stdio::piped());
    let mut child = command.env("REGISTRAR_LISTEN", "127.0.0.1:0").spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let announced = lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("Registrar answers at "));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(announced.as_deref(), Some("Registrar answers at https://registrar.example.org"));

    let token = token(&database, &["--public-url", "https://registrar.example.org"]);
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(claims["iss"], "https://registrar.example.org");
    assert_eq!(claims["aud"], "registrar");
}

#[test]
fn unusable_settings_are_named_with_the_remedy_and_without_secrets() {
    let place = tempfile::tempdir().unwrap();
    let good = folder(&place.path().join("data"));
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let with = |variable: &str, value: &str| {
        let mut command = registrar(&good, &["serve"]);
        command.env("REGISTRAR_LISTEN", "127.0.0.1:0").env(variable, value);
        fail(command)
    };
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = occupied.local_addr().unwrap().to_string();
    for (told, expected) in [
        (fail(registrar(&folder(&file), &["serve"])), "--data"),
        (fail(registrar(&folder(&file.join("below")), &["migrate"])), "--data"),
        (with("REGISTRAR_DATABASE_URL", "mysql://u:s3cret@h/d"), "postgres://"),
        (with("REGISTRAR_DATABASE_URL", "postgres://u:s3cret@127.0.0.1:1/d"), "REGISTRAR_DATABASE_URL"),
        (with("REGISTRAR_NATS_URL", "http://u:s3cret@127.0.0.1:1"), "REGISTRAR_NATS_URL"),
        (with("REGISTRAR_MASTER_KEY", "s3cret"), "REGISTRAR_MASTER_KEY"),
        (with("REGISTRAR_FORMER_MASTER_KEY", "s3cret"), "REGISTRAR_FORMER_MASTER_KEY"),
        (with("REGISTRAR_LISTEN", "here"), "REGISTRAR_LISTEN"),
        (with("REGISTRAR_LOG", "=;="), "REGISTRAR_LOG"),
        (with("REGISTRAR_ADMIN_PASSWORD", "s3cret"), "REGISTRAR_ADMIN_PASSWORD"),
    ] {
        assert!(told.starts_with("registrar: ") && told.contains(expected), "{told}");
        assert!(!told.contains("s3cret") && !told.contains("backtrace"), "{told}");
    }
    let mut command = registrar(&good, &["serve", "--listen", &port]);
    command.env("REGISTRAR_LOG", "error");
    let told = fail(command);
    assert!(told.starts_with(&format!("registrar: cannot listen on {port}")) && told.contains("--listen"), "{told}");
}

#[test]
fn another_master_key_opens_nothing_and_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let settings = folder(place.path());
    run(&settings, &["keys", "rotate"]);
    let key = place.path().join("master.key");
    std::fs::rename(&key, place.path().join("elsewhere")).unwrap();
    let told = fail(registrar(&settings, &["keys", "rotate"]));
    assert!(told.starts_with("registrar: the master key does not open this database"), "{told}");
    assert!(!key.exists());
}

#[test]
fn variables_that_are_set_to_nothing_are_not_set() {
    let place = tempfile::tempdir().unwrap();
    let mut command = registrar(&folder(place.path()), &["serve"]);
    command.current_dir(place.path());
    for name in [
        "REGISTRAR_DATA",
        "REGISTRAR_DATABASE_URL",
        "REGISTRAR_NATS_URL",
        "REGISTRAR_PUBLIC_URL",
        "REGISTRAR_MASTER_KEY",
        "REGISTRAR_FORMER_MASTER_KEY",
        "REGISTRAR_ADMIN_EMAIL",
        "REGISTRAR_ADMIN_PASSWORD",
        "REGISTRAR_TRUSTED_PROXIES",
        "REGISTRAR_LINK_HOSTS",
        "REGISTRAR_SMTP_URL",
        "REGISTRAR_MAIL_FROM",
        "REGISTRAR_SMS_URL",
        "REGISTRAR_APP_URL",
        "REGISTRAR_SNS_TOPICS",
        "REGISTRAR_SNS_CERT_ORIGINS",
        "REGISTRAR_API_KEY_RATE",
        "REGISTRAR_PUBLISH_PERSONAL",
        "REGISTRAR_WEEK_START",
        "REGISTRAR_TIME_ZONE",
        "REGISTRAR_LOG",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ] {
        command.env(name, "");
    }
    let server = Server::spawn(command);
    assert_eq!(server.printed.len(), 3);
    assert!(place.path().join("data/master.key").exists());
}

#[test]
fn only_its_owner_reads_the_data_folder() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let settings = folder(&place.path().join("new/data"));
    run(&settings, &["seed", "--admins", "0"]);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&settings.data), 0o700);
    assert_eq!(mode(&settings.data.join("master.key")), 0o600);
}

#[test]
fn logs_are_json_lines_where_no_terminal_is() {
    let database = Database::sqlite();
    let (status, log) = Server::start(&database.settings).stop();
    assert!(status.success());
    let messages: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(messages.iter().any(|line| line["message"] == "listening" && line["level"] == "INFO"), "{log:?}");
    assert!(messages.iter().any(|line| line["message"] == "stopped"), "{log:?}");
}

#[test]
fn every_api_has_its_document() {
    let database = Database::sqlite();
    let document: Value = serde_json::from_str(&run(&database.settings, &["openapi", "ecg-admins"])).unwrap();
    assert!(document["paths"]["/api/ecg-admins"].is_object());
    // The command needs no database.
    assert!(std::fs::read_dir(&database.settings.data).unwrap().next().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_are_sent_where_they_are_asked_for() {
    let (sender, received) = mpsc::channel();
    let collect = move |body: Bytes| async move {
        let _ = sender.send(body);
    };
    let collector = axum::Router::new().route("/v1/traces", axum::routing::post(collect));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, collector).into_future());

    let database = Database::sqlite();
    let mut command = registrar(&database.settings, &["serve"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    // The log level does not affect traces, and the security log is not traced.
    command.env("REGISTRAR_LOG", "error");
    let server = Server::spawn(command);
    assert_eq!(list(&server, "no token").await.status(), 401);
    // Spans are sent at the latest when the server stops.
    let (status, log) = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    assert!(status.success());
    let told: Vec<u8> = received.try_iter().flatten().collect();
    let tells = |text: &str| told.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(tells("registrar") && tells("/api/ecg-admins"), "{} bytes", told.len());
    for kept in ["registrar::security", "security: refused", "client_address", "127.0.0.1"] {
        assert!(!tells(kept), "{kept} is in the traces");
    }
    assert!(log.iter().any(|line| line.contains("security: refused")), "{log:?}");
    assert!(log.iter().all(|line| line.contains("registrar::security")), "{log:?}");
}
