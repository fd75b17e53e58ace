//! A full disk: unstored changes are not acknowledged, stored ones stay, and commands go on once there is room.

use crate::fault_kill::{Acknowledgements, assert_acknowledgements_hold};
use crate::process::{PATIENCE, Server, registrar, run};
use crate::support::*;
use registrar::executor::ExecuteError;
use registrar::journal::JournalError;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Instant;
use uuid::Uuid;

/// Bytes by which a file may still grow, in place of a full disk.
const ROOM: u64 = 2 * 1024 * 1024;

/// Limits the size of the files of a process to `bytes`; `None` lifts the limit.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let limit = format!("--fsize={}:unlimited", bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string()));
    let pid = format!("--pid={}", server.id());
    assert!(Command::new("prlimit").args([pid, limit]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_the_embedded_store_nothing_that_it_acknowledged() {
    let database = Database::sqlite();
    // SIGXFSZ is ignored, so that a write beyond the limit fails instead of killing the process.
    let program = registrar(&database.settings, &["serve"]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" serve"]).arg(program.get_program()).env_clear();
    command.env("REGISTRAR_DATA", &database.settings.data).env("PATH", std::env::var_os("PATH").unwrap());
    let server = Server::spawn(command);
    let token = run(&database.settings, &["token", "create", "--admin", "admin@registrar.local"]).trim().to_owned();
    let client = reqwest::Client::new();
    let root = format!("{}/api/ecg-admins", server.url);
    let told = Acknowledgements::default();
    let register = async || {
        let body = json!({"person": {"firstName": "Ada", "lastName": "0"}, "addresses": [], "phoneNumbers": []});
        let answer = client.post(&root).bearer_auth(&token).json(&body).send().await.unwrap();
        let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
        if status == 201 {
            told.lock().unwrap().insert(body["id"].as_str().unwrap().to_owned(), (1, "0".into()));
        }
        (status, body)
    };
    assert_eq!(register().await.0, 201);
    let log = std::fs::metadata(database.settings.data.join("registrar.sqlite3-wal")).unwrap().len();
    limit_files(&server, Some(log + ROOM));
    let begun = Instant::now();
    let (status, body) = loop {
        let refused = register().await;
        if refused.0 != 201 {
            break refused;
        }
        assert!(begun.elapsed() < PATIENCE, "the disk is never full");
    };
    assert_eq!((status.as_u16(), &body["message"]), (503, &json!("Service temporarily unavailable, try again")));
    let stored = told.lock().unwrap().len();
    assert!(stored > 10, "{stored}");
    // Reads and refusals need no room.
    let list = client.get(format!("{root}?limit=1")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(list.status(), 200);
    assert_eq!(register().await.0, 503);
    limit_files(&server, None);
    assert_eq!(register().await.0, 201);
    let (status, log) = server.stop();
    assert!(status.success(), "{log:?}");
    assert!(run(&database.settings, &["journal", "verify", "--documents"]).contains("nothing was altered"));
    let node = {
        let key = std::fs::read_to_string(database.settings.data.join("master.key")).unwrap();
        let master = registrar::vault::MasterKey::parse(key.trim(), "the data folder").unwrap();
        registrar::node::Node::open(&database.settings, &master).await.unwrap()
    };
    assert_acknowledgements_hold(&node, &told).await;
}

// Every write to `/dev/full` fails for lack of room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_postgres_stores_nothing_and_says_that_the_database_is_away() {
    let server = crate::fault_postgres::Server::start();
    let database = Database::postgres_at(&server.url).await;
    let node = database.open().await;
    let mut sql = database.sql().await;
    let path = sql.texts("SELECT pg_relation_filepath('events_from_1')").await.remove(0);
    let (file, aside) = (server.file(&path), server.file(&format!("{path}.aside")));
    server.stop();
    std::fs::rename(&file, &aside).unwrap();
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    server.start_again();
    let id = Uuid::now_v7();
    let register = async || match node.admin(id, registration(id, None)).await {
        Err(ExecuteError::Journal(error)) => error,
        done => panic!("{done:?}"),
    };
    for _ in 0..2 {
        let error = register().await;
        assert!(matches!(error, JournalError::Unavailable(_)), "{error:?}");
    }
    let told = format!("{:?}", register().await);
    assert!(told.contains("53100"), "{told}");
    assert_eq!((node.position().await, node.journal.stream("admin", &id.to_string(), 0).await.unwrap().len()), (0, 0));
    server.stop();
    std::fs::remove_file(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    server.start_again();
    let begun = Instant::now();
    while let Err(error) = node.admin(id, registration(id, None)).await {
        assert!(begun.elapsed() < PATIENCE, "{error:?}");
    }
    assert_eq!((node.position().await, node.find(id).await.version), (1, 1));
}
