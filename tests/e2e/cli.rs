//! The command line and the start of the server, through the real program.

use crate::on_both_stores;
use crate::process::{PATIENCE, Server, fail, registrar, run};
use crate::support::Database;
use axum::body::Bytes;
use registrar::node::StoreSettings;
use serde_json::{Value, json};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const ADMIN: &str = "admin@registrar.local";

fn token(database: &Database, more: &[&str]) -> String {
    let arguments = [&["token", "create", "--admin", ADMIN], more].concat();
    let printed = run(&database.settings, &arguments);
    let token = printed.strip_suffix('\n').unwrap();
    assert!(!token.contains(char::is_whitespace) && token.split('.').count() == 3, "{printed:?}");
    token.to_owned()
}

async fn list(server: &Server, token: &str) -> reqwest::Response {
    reqwest::Client::new().get(format!("{}/api/ecg-admins", server.url)).bearer_auth(token).send().await.unwrap()
}

async fn total(server: &Server, token: &str) -> Value {
    let answer = list(server, token).await;
    assert_eq!(answer.status(), 200);
    answer.json::<Value>().await.unwrap()["totalRecords"].clone()
}

fn folder(path: &std::path::Path) -> StoreSettings {
    StoreSettings { database_url: None, data: path.to_owned(), archives: None }
}

on_both_stores! {
    /// The password is printed, once, by the start that made it.
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

    async fn tokens_outlive_a_rotation_of_keys(database) {
        let server = Server::start(&database.settings);
        let before = token(&database, &[]);
        assert_eq!(run(&database.settings, &["keys", "rotate"]), "");
        let after = token(&database, &[]);
        for token in [before, after] {
            assert_eq!(list(&server, &token).await.status(), 200);
        }
        let keys: Value = reqwest::get(format!("{}/.well-known/jwks.json", server.url)).await.unwrap().json().await.unwrap();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    }

    async fn no_token_outlives_a_key_that_is_retired_now(database) {
        let (server, other) = (Server::start(&database.settings), Server::start(&database.settings));
        let before = token(&database, &[]);
        for server in [&server, &other] {
            assert_eq!(list(server, &before).await.status(), 200);
        }
        assert_eq!(run(&database.settings, &["keys", "rotate", "--now"]), "");
        let after = token(&database, &[]);
        let begun = Instant::now();
        for server in [&server, &other] {
            // A server learns of it within seconds, and nothing brings the token back.
            while list(server, &before).await.status() != 401 {
                assert!(begun.elapsed() < Duration::from_secs(20), "the token is still accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(list(server, &after).await.status(), 200);
            assert_eq!(list(server, &before).await.status(), 401);
        }
        let keys: Value = reqwest::get(format!("{}/.well-known/jwks.json", server.url)).await.unwrap().json().await.unwrap();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    }

    async fn a_former_key_is_retired_at_once_and_the_present_one_is_not(database) {
        let server = Server::start(&database.settings);
        let keys = async || -> Vec<String> {
            let keys: Value = reqwest::get(format!("{}/.well-known/jwks.json", server.url)).await.unwrap().json().await.unwrap();
            keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
        };
        let before = token(&database, &[]);
        let former = keys().await.remove(0);
        run(&database.settings, &["keys", "rotate"]);
        let after = token(&database, &[]);
        for token in [&before, &after] {
            assert_eq!(list(&server, token).await.status(), 200);
        }
        let present = keys().await.into_iter().find(|key| *key != former).unwrap();
        let verified = || run(&database.settings, &["journal", "verify"]);
        let events = verified();
        let told = fail(registrar(&database.settings, &["keys", "retire", &present]));
        assert!(told.contains("this key signs now") && told.contains("rotate --now"), "{told}");
        assert_eq!(fail(registrar(&database.settings, &["keys", "retire", "no-such-key"])), "registrar: there is no such key\n");
        assert_eq!(verified(), events, "nothing is stored");

        assert_eq!(run(&database.settings, &["keys", "retire", &former]), "");
        let begun = Instant::now();
        while list(&server, &before).await.status() != 401 {
            assert!(begun.elapsed() < Duration::from_secs(20), "the token is still accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(list(&server, &after).await.status(), 200);
        assert_eq!(keys().await, [present]);
    }

    async fn seeded_users_are_in_all_organizations_alike(database) {
        let seed = || run(&database.settings, &["seed", "--organizations", "4", "--users", "12", "--groups", "5"]);
        assert!(seed().starts_with("First administrator: "));
        let verified = || run(&database.settings, &["journal", "verify"]);
        let before = verified();
        assert_eq!(seed(), "");
        assert_eq!(verified(), before);
        let server = Server::start(&database.settings);
        let token = token(&database, &[]);
        let ask = async |path: &str| -> Value {
            let answer = reqwest::Client::new().get(format!("{}{path}", server.url)).bearer_auth(&token).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            answer.json().await.unwrap()
        };
        let organizations = ask("/v1/organizations/").await;
        let organizations = organizations["data"].as_array().unwrap();
        assert_eq!(organizations.len(), 4);
        for organization in organizations {
            let id = organization["id"].as_str().unwrap();
            let users = ask(&format!("/v1/users/?organization-id={id}&filter%5Binclude-participants%5D=true")).await;
            assert_eq!(users["meta"]["page[total]"], 3, "{organization}");
        }
    }

    async fn numbers_beyond_their_bounds_are_refused(database) {
        for (option, number) in [
            ("--admins", "10000001"),
            ("--users", "18446744073709551615"),
            ("--organizations", "1000001"),
            ("--groups", "100001"),
            ("--groups", "1.5"),
        ] {
            let output = registrar(&database.settings, &["seed", option, number]).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{option} {number}");
            assert!(String::from_utf8_lossy(&output.stderr).contains(option), "{option} {number}");
        }
        for size in ["0", "255", "300", "-256", "2147483648", "many"] {
            let output = registrar(&database.settings, &["migrate", &format!("--partition-size={size}")]).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{size}");
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(told.contains("must be a multiple of 256 from 256 to 1073741824"), "{told}");
        }
    }

    async fn the_size_of_partitions_is_set_before_they_are_filled(database) {
        let database = database.empty().await;
        let set = |size: &str| registrar(&database.settings, &["migrate", &format!("--partition-size={size}")]);
        if database.settings.database_url.is_none() {
            assert!(fail(set("512")).contains("the embedded database has no partitions"));
            return;
        }
        assert!(set("512").output().unwrap().status.success());
        let mut sql = database.sql().await;
        let sizes = "SELECT DISTINCT (last_position - first_position + 1)::text FROM event_partitions ORDER BY 1";
        assert_eq!(sql.texts(sizes).await, ["512"]);
        run(&database.settings, &["seed", "--admins", "5"]);
        // An empty variable is handed on by those who set none.
        assert!(registrar(&database.settings, &["migrate"]).env("REGISTRAR_PARTITION_SIZE", "").output().unwrap().status.success());
        assert_eq!(sql.texts(sizes).await, ["512"]);
        assert!(set("1024").output().unwrap().status.success());
        assert_eq!(sql.texts(sizes).await, ["1024", "512"], "one has events");
        assert_eq!(sql.number("SELECT count(*) FROM event_partitions WHERE last_position - first_position = 511").await, 1);
        run(&database.settings, &["seed", "--admins", "10"]);
        run(&database.settings, &["journal", "verify"]);
    }

    async fn seeded_admins_are_listed_and_survive_a_rebuild(database) {
        let seed = || run(&database.settings, &["seed", "--admins", "300"]);
        assert!(seed().starts_with("First administrator: "));
        assert_eq!(seed(), "");
        let server = Server::start(&database.settings);
        assert_eq!(server.printed.len(), 1);
        let token = token(&database, &[]);
        assert_eq!(total(&server, &token).await, 301);
        assert!(server.stop().0.success());

        assert_eq!(run(&database.settings, &["projections", "rebuild"]), "");
        let status = run(&database.settings, &["projections", "status"]);
        assert!(status.contains("generation 2: live"), "{status}");
        let server = Server::start(&database.settings);
        assert_eq!(total(&server, &token).await, 301);
    }

    async fn what_an_earlier_release_seeded_is_rebuilt_and_served(database) {
        run(&database.settings, &["seed", "--admins", "20"]);
        database.sql().await.run("UPDATE generations SET signature = 'admins:0'").await.unwrap();
        let server = Server::start(&database.settings);
        let ready = async || reqwest::get(format!("{}/readyz", server.url)).await.unwrap().status() == 200;
        tokio::time::timeout(PATIENCE, async {
            while !ready().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }).await.unwrap();
        assert_eq!(total(&server, &token(&database, &[])).await, 21);
    }

    async fn seeded_users_stand_in_a_tree_of_groups(database) {
        let seed = || run(&database.settings, &["seed", "--users", "60", "--groups", "40"]);
        assert!(seed().starts_with("First administrator: "));
        let verified = || run(&database.settings, &["journal", "verify"]);
        let before = verified();
        assert_eq!(seed(), "");
        assert_eq!(verified(), before);
        let server = Server::start(&database.settings);
        let token = token(&database, &[]);
        let ask = async |request: reqwest::RequestBuilder| -> Value {
            let answer = request.bearer_auth(&token).send().await.unwrap();
            let (status, body) = (answer.status(), answer.text().await.unwrap());
            assert!(status.is_success(), "{status} {body}");
            serde_json::from_str(&body).unwrap()
        };
        let client = reqwest::Client::new();
        let list = |path: &str| client.get(format!("{}{path}?page%5Blimit%5D=100", server.url));
        let users = ask(list("/v1/users/").query(&[("filter[include-participants]", "true")])).await;
        assert_eq!(users["meta"]["page[total]"], 60);
        let groups = ask(list("/v2/individual-groups/")).await;
        let groups = groups["data"].as_array().unwrap();
        let of_type = |node_type: &str| groups.iter().filter(|group| group["attributes"]["node-type"] == node_type).count();
        assert_eq!((of_type("division"), of_type("group")), (7, 33));
        let division = groups.iter().find(|group| group["attributes"]["name"] == "Division 0").unwrap();
        let division = ("individual-group-id", division["id"].as_str().unwrap());
        let leaders = ask(list("/v1/individual-group-leaders/").query(&[division])).await;
        let leader = &leaders["data"][0]["attributes"]["leader"]["id"];
        let question = json!({ "user-id": leader, "access-query": ["individual::read"] });
        let seen = ask(client.post(format!("{}/v1/authz-get-accessible-resources/", server.url)).json(&question)).await;
        let seen = seen["meta"]["page[total]"].as_u64().unwrap();
        assert!((1..53).contains(&seen), "{seen}");
    }
}

#[tokio::test]
async fn a_token_is_narrowed_as_asked() {
    let database = Database::sqlite();
    let server = Server::start(&database.settings);
    for (narrowing, status) in [
        (vec!["--permission", "ecg-admins.read"], 200),
        (vec!["--permission", "events.read", "--permission", "audit.read"], 403),
        (vec!["--organization", "o1"], 403),
    ] {
        let token = token(&database, &narrowing);
        assert_eq!(list(&server, &token).await.status(), status, "{narrowing:?}");
    }
}

#[tokio::test]
async fn a_token_ends_with_its_time() {
    let database = Database::sqlite();
    let server = Server::start(&database.settings);
    let token = token(&database, &["--ttl", "2s"]);
    let started = Instant::now();
    while list(&server, &token).await.status() != 401 {
        assert!(started.elapsed() < PATIENCE, "it does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn of_two_servers_that_start_at_once_one_makes_the_administrator() {
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
fn nobody_gets_no_token() {
    let database = Database::sqlite();
    let refused = fail(registrar(&database.settings, &["token", "create", "--admin", "nobody@example.org"]));
    assert!(refused.starts_with("registrar: no admin signs in as nobody@example.org"), "{refused}");
}

#[test]
fn what_cannot_be_used_is_told_with_what_to_do_and_without_secrets() {
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
    // It needs no database.
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
    // What the log leaves out is no matter of traces, and the security log is none of them.
    command.env("REGISTRAR_LOG", "error");
    let server = Server::spawn(command);
    assert_eq!(list(&server, "no token").await.status(), 401);
    // They are sent at the latest when the server ends.
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
