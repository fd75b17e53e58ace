//! The real program over TLS, and the endpoints that it hides.

use crate::process::{Server, registrar};
use crate::support::{Database, write_private};
use reqwest::{Certificate, Client, StatusCode};
use std::time::{Duration, Instant};

const ONE: [&str; 2] = [include_str!("tls/one.cert.pem"), include_str!("tls/one.key.pem")];
const TWO: [&str; 2] = [include_str!("tls/two.cert.pem"), include_str!("tls/two.key.pem")];

/// A client that trusts one certificate and opens a connection for each request.
fn trusting([certificate, _]: [&str; 2]) -> Client {
    let root = Certificate::from_pem(certificate.as_bytes()).unwrap();
    let client = Client::builder().tls_built_in_root_certs(false).add_root_certificate(root).pool_max_idle_per_host(0);
    client.timeout(Duration::from_secs(5)).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_taken_over_tls_and_a_renewed_certificate_needs_no_restart() {
    let database = Database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    let write = |[certificate_text, key_text]: [&str; 2]| {
        std::fs::write(&certificate, certificate_text).unwrap();
        write_private(&key, key_text);
    };
    write(ONE);
    let mut command = registrar(&database.settings, &["serve"]);
    command.env("REGISTRAR_TLS_CERT", &certificate).env("REGISTRAR_TLS_KEY", &key);
    let server = Server::spawn(command);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    let url = format!("{}/readyz", server.url);
    let answer = trusting(ONE).get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    assert!(trusting(TWO).get(&url).send().await.is_err());
    assert!(Client::new().get(url.replace("https:", "http:")).send().await.is_err(), "it is no plain HTTP");

    // A changed certificate without its key is ignored; a complete pair applies to new connections.
    std::fs::write(&certificate, TWO[0]).unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(trusting(ONE).get(&url).send().await.is_ok());
    write(TWO);
    let begun = Instant::now();
    while trusting(TWO).get(&url).send().await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the renewed certificate is not shown");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(trusting(ONE).get(&url).send().await.is_err());
}

#[test]
fn unusable_tls_files_are_named() {
    let database = Database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, ONE[0]).unwrap();
    write_private(&key, TWO[1]);
    let mut command = registrar(&database.settings, &["serve"]);
    command.env("REGISTRAR_LISTEN", "127.0.0.1:0").env("REGISTRAR_LOG", "error");
    command.env("REGISTRAR_TLS_CERT", &certificate).env("REGISTRAR_TLS_KEY", &key);
    let told = crate::process::fail_after_start(command);
    assert!(told.contains("the certificate and the key for TLS do not fit"), "{told}");
}

#[test]
fn a_key_for_tls_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let database = Database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, ONE[0]).unwrap();
    std::fs::write(&key, ONE[1]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let serve = || {
        let mut command = registrar(&database.settings, &["serve"]);
        command.env("REGISTRAR_TLS_CERT", &certificate).env("REGISTRAR_TLS_KEY", &key);
        command
    };
    let mut command = serve();
    command.env("REGISTRAR_LISTEN", "127.0.0.1:0");
    let told = crate::process::fail_after_start(command);
    assert!(told.contains("key.pem cannot be used for TLS") && told.contains("chmod 600"), "{told}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(Server::spawn(serve()).url.starts_with("https://"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_and_figures_are_hidden_where_the_settings_say_so() {
    let database = Database::sqlite();
    let paths = ["/", "/docs", "/docs/", "/docs/index.css", "/openapi/identity.json", "/asyncapi.json", "/metrics"];
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for hidden in [false, true] {
        let mut command = registrar(&database.settings, &["serve"]);
        if hidden {
            command.env("REGISTRAR_DOCS", "false").env("REGISTRAR_METRICS", "false");
        }
        let server = Server::spawn(command);
        for path in paths {
            let answer = client.get(format!("{}{path}", server.url)).send().await.unwrap();
            assert_eq!(answer.status() == StatusCode::NOT_FOUND, hidden, "{path}");
            assert!(!answer.headers().contains_key("strict-transport-security"));
        }
        let alive = client.get(format!("{}/healthz", server.url)).send().await.unwrap();
        assert_eq!(alive.status(), StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_stop_leaves_one_file_and_a_backup_is_one_too() {
    let database = Database::sqlite();
    let server = Server::start(&database.settings);
    let copy = database.settings.data.join("copy.sqlite3");
    let output = copy.to_str().unwrap().to_owned();
    let printed = crate::process::run(&database.settings, &["backup", "--output", &output]);
    assert_eq!(printed.trim(), output);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let told = crate::process::fail(registrar(&database.settings, &["backup", "--output", &output]));
    assert!(told.contains("cannot write"), "{told}");
    let (status, _) = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    assert!(status.success());
    let left = std::fs::metadata(database.settings.data.join("registrar.sqlite3-wal")).map_or(0, |file| file.len());
    assert_eq!(left, 0, "everything is in the one file");
    for file in [&copy, &database.file()] {
        let restored = tempfile::tempdir().unwrap();
        std::fs::copy(file, restored.path().join("registrar.sqlite3")).unwrap();
        std::fs::copy(database.settings.data.join("master.key"), restored.path().join("master.key")).unwrap();
        let settings = registrar::node::StoreSettings { data: restored.path().to_owned(), ..database.settings.clone() };
        crate::process::run(&settings, &["journal", "verify"]);
        let again = Server::start(&settings);
        let ready = Client::new().get(format!("{}/readyz", again.url)).send().await.unwrap();
        let position = ready.json::<serde_json::Value>().await.unwrap()["position"].as_u64().unwrap();
        assert!(position >= 2, "{position}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_health_check_works_in_the_clear_and_over_tls() {
    let database = Database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, ONE[0]).unwrap();
    write_private(&key, ONE[1]);
    let health = |listen: &str, over_tls: bool| {
        let mut command = registrar(&database.settings, &["health"]);
        command.env("REGISTRAR_LISTEN", listen);
        if over_tls {
            command.env("REGISTRAR_TLS_CERT", &certificate);
        }
        command
    };
    for tls in [false, true] {
        let mut command = registrar(&database.settings, &["serve"]);
        if tls {
            command.env("REGISTRAR_TLS_CERT", &certificate).env("REGISTRAR_TLS_KEY", &key);
        }
        let server = Server::spawn(command);
        let listen = server.url.split_once("://").unwrap().1.to_owned();
        let (_, port) = listen.rsplit_once(':').unwrap();
        for listen in [listen.as_str(), &format!("0.0.0.0:{port}")] {
            let asked = tokio::task::block_in_place(|| health(listen, tls).output()).unwrap();
            assert!(asked.status.success() && asked.stdout.is_empty() && asked.stderr.is_empty(), "{asked:?}");
        }
        let told = tokio::task::block_in_place(|| crate::process::fail(health(&listen, !tls)));
        assert!(told.contains("does not answer"), "{told}");
        tokio::task::block_in_place(|| server.stop());
        let told = tokio::task::block_in_place(|| crate::process::fail(health(&listen, tls)));
        assert!(told.starts_with(&format!("registrar: the server at {listen} does not answer")), "{told}");
    }
    // A server that answers with another status is not healthy.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = listener.local_addr().unwrap().to_string();
    let ill = axum::Router::new().fallback(|| std::future::ready(axum::http::StatusCode::SERVICE_UNAVAILABLE));
    tokio::spawn(axum::serve(listener, ill).into_future());
    let told = tokio::task::block_in_place(|| crate::process::fail(health(&listen, false)));
    assert!(told.contains("does not answer as a healthy one"), "{told}");
}
