//! PostgreSQL crashes, stops, restarts or freezes: no caller gets a wrong answer.

use crate::fault_nodes::{AppendOutcomes, LOOK_INTERVAL, register_at_once};
use crate::support::*;
use registrar::executor::ExecuteError;
use registrar::journal::{JournalError, JournalResult};
use registrar::node::{Node, OpenError, StoreSettings};
use registrar_aggregates::admin::Admin;
use registrar_projections::admins::{BY_NAME, PERSON_ID};
use registrar_projections::{AdminDocument, Direction, Query};
use sqlx::{Connection, Executor};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Longest wait for an answer, whatever the state of the database.
const PATIENCE: Duration = Duration::from_secs(20);

/// A PostgreSQL server of one test.
pub struct Server {
    folder: tempfile::TempDir,
    pub url: String,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The script removes it even if the test is killed.
        let url = script(&["start".as_ref(), folder.path().as_ref(), std::process::id().to_string().as_ref()]);
        Server { folder, url: url.trim().to_owned() }
    }

    /// Crashes the server: data that is not on disk is lost.
    pub fn crash(&self) {
        script(&["stop".as_ref(), self.folder.path().as_ref(), "immediate".as_ref()]);
    }

    /// Stops the server in order: all data is on disk.
    pub fn stop(&self) {
        script(&["stop".as_ref(), self.folder.path().as_ref()]);
    }

    pub fn start_again(&self) {
        assert_eq!(script(&["start".as_ref(), self.folder.path().as_ref()]).trim(), self.url);
    }

    /// A file of the server, by its path within the data folder.
    pub fn file(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("private-postgres/data").join(path)
    }

    /// Sends a signal to the server's processes, the postmaster first.
    fn signal(&self, signal: &str) {
        let pid_file = self.folder.path().join("private-postgres/data/postmaster.pid");
        let text = std::fs::read_to_string(pid_file).unwrap();
        let postmaster = text.lines().next().unwrap();
        let send =
            |pid: &str| Command::new("kill").args([signal, pid]).stderr(Stdio::null()).status().unwrap().success();
        assert!(send(postmaster));
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", postmaster]).output().unwrap();
        for child in String::from_utf8(children.stdout).unwrap().split_whitespace() {
            // The process may have ended meanwhile.
            send(child);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script(&["remove".as_ref(), self.folder.path().as_ref()]);
    }
}

fn script(arguments: &[&std::ffi::OsStr]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres");
    let output = Command::new(path).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "scripts/postgres {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Asserts that the answer comes in time and is `Unavailable`.
async fn assert_away<T: std::fmt::Debug>(what: &str, answer: impl Future<Output = JournalResult<T>>) {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    assert!(matches!(answer, Ok(Err(JournalError::Unavailable(_)))), "{what}: {answer:?}");
}

/// Asserts that every query and command fails as unavailable; no answer is empty or "not found".
async fn assert_all_away(node: &Node, known: Uuid) {
    let id = known.to_string();
    let all = || Query::<AdminDocument>::sorted(&BY_NAME, Direction::Ascending).page(0, 5);
    let executed = async |command| match node.admin(known, command).await {
        Err(ExecuteError::Journal(error)) => Err::<(), _>(error),
        other => panic!("{other:?}"),
    };
    tokio::join!(
        assert_away("find", node.documents.find::<AdminDocument>(&id)),
        assert_away("find_by", node.documents.find_by::<AdminDocument>(&PERSON_ID, &id)),
        assert_away("page", node.documents.page(all())),
        assert_away("a change", executed(rename("Augusta"))),
        assert_away("nothing to change", executed(rename("Ada"))),
        assert_away("a refusal", executed(registration(known, None))),
        assert_away("a registration", register_at_once(node, Uuid::now_v7())),
        assert_away("a state", node.executor.state::<Admin>(&id)),
        assert_away("another's state", node.executor.state::<Admin>("nobody")),
        assert_away("head", node.journal.head()),
        assert_away("read", node.journal.read(0, 10)),
        assert_away("stream", node.journal.stream("admin", &id, 0)),
        assert_away("claim", node.journal.claim_holder("none")),
        assert_away("answer", node.remembered(b"none")),
        assert_away("snapshot", async { node.journal.snapshot("admin", &id).await.map(|found| found.is_some()) }),
        assert_away("keys", node.journal.subject_keys(std::slice::from_ref(&id))),
        assert_away("wait", node.wait_for(1_000_000, PATIENCE)),
    );
}

/// Waits until a command succeeds again, which must not take long.
async fn wait_for_recovery(node: &Node) -> Uuid {
    let begun = Instant::now();
    loop {
        let id = Uuid::now_v7();
        match node.admin(id, registration(id, None)).await {
            Ok(_) => return id,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_everything_says_so_and_then_goes_on() {
    let server = Server::start();
    let database = Database::postgres_at(&server.url).await;
    let node = database.open().await;
    let known = Uuid::now_v7();
    node.admin(known, registration(known, None)).await.unwrap();
    for round in 0..2 {
        server.crash();
        Box::pin(assert_all_away(&node, known)).await;
        // Once more, now that the pool has dropped the broken connections.
        Box::pin(assert_all_away(&node, known)).await;
        server.start_again();
        wait_for_recovery(&node).await;
        assert_eq!(node.find(known).await.version, 1 + round);
        node.admin(known, rename(&format!("Ada {round}"))).await.unwrap();
        assert_eq!(
            node.documents
                .page(Query::<AdminDocument>::sorted(&BY_NAME, Direction::Ascending))
                .await
                .unwrap()
                .value
                .total,
            2 + round
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_events_survive_a_crash() {
    let server = Server::start();
    let database = Database::postgres_at(&server.url).await;
    let node = database.open().await;
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (node, done, answered) = (Arc::clone(&node), Arc::clone(&done), Arc::clone(&answered));
            tokio::spawn(async move { AppendOutcomes::keep_registering(&node, &done, &answered).await })
        })
        .collect();
    for _ in 0..4 {
        let before = answered.load(Ordering::Acquire);
        let begun = Instant::now();
        while answered.load(Ordering::Acquire) < before + 60 {
            assert!(begun.elapsed() < PATIENCE, "the node does not go on");
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        // In the middle of the load, and without blocking a runtime thread on the script.
        tokio::task::block_in_place(|| {
            server.crash();
            server.start_again();
        });
    }
    let before = answered.load(Ordering::Acquire);
    while answered.load(Ordering::Acquire) < before + 60 {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    done.store(true, Ordering::Release);
    let mut told = AppendOutcomes::default();
    for client in clients {
        told.extend(client.await.unwrap());
    }
    assert!(!told.unknown.is_empty(), "no crash was noticed");
    told.assert_true(&node).await;
    told.assert_true(&*database.open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_freezes_is_away_for_commands_until_it_wakes_up() {
    let server = Server::start();
    let database = Database::postgres_at(&server.url).await;
    let node = database.open().await;
    let known = wait_for_recovery(&node).await;
    server.signal("-STOP");
    let (ids, begun) = ([(); 5].map(|()| Uuid::now_v7()), Instant::now());
    let answers = futures::future::join_all(ids.iter().map(|id| register_at_once(&node, *id))).await;
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert!(answers.iter().all(|answer| matches!(answer, Err(JournalError::Unavailable(_)))), "{answers:?}");
    assert_away("find", node.documents.find::<AdminDocument>(&known.to_string())).await;
    server.signal("-CONT");
    wait_for_recovery(&node).await;
    // Commands in flight when the server froze may have been carried out when it woke up, whole or not at all.
    for id in ids {
        let count = node.journal.stream("admin", &id.to_string(), 0).await.unwrap().len();
        assert_eq!(count, node.journal.stream("audit-access", &id.to_string(), 0).await.unwrap().len() * 2);
    }
    assert!(node.all_events().await.iter().map(|event| event.position).eq(1..=node.position().await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_does_not_start_without_its_database_and_says_what_to_do() {
    let server = Server::start();
    let database = Database::postgres_at(&server.url).await;
    database.open().await.close().await;
    let open = async |url: String| {
        let settings = StoreSettings { database_url: Some(url), data: database.settings.data.clone(), archives: None };
        let begun = Instant::now();
        let refused = Node::open(&settings, &database.master).await.err().expect("is not opened");
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        let text = refused.to_string();
        assert!((1..=3).contains(&text.lines().count()), "{text}");
        refused
    };
    let url = database.settings.database_url.clone().unwrap();
    let (login, place) = url.split_once('@').unwrap();
    let wrong_password = open(format!("postgres://postgres:wrong@{place}")).await;
    assert!(matches!(&wrong_password, OpenError::Unreachable(why) if why.contains("password")), "{wrong_password}");
    assert!(!wrong_password.to_string().contains("wrong@"), "{wrong_password}");
    let no_database = open(format!("{login}@{}", place.replace("test_", "none_"))).await;
    assert!(matches!(&no_database, OpenError::Unreachable(why) if why.contains("none_")), "{no_database}");
    let (base, _) = server.url.rsplit_once('/').unwrap();
    let mut connection = sqlx::PgConnection::connect(&server.url).await.unwrap();
    let latin = "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    connection.execute(latin).await.unwrap();
    let latin = open(format!("{base}/latin")).await;
    assert!(matches!(&latin, OpenError::Encoding(name) if name == "LATIN1"), "{latin}");
    for unusable in ["mysql://localhost/x", "localhost:5432", "postgres://[::bad/"] {
        assert!(matches!(open(unusable.into()).await, OpenError::Url(_)), "{unusable}");
    }
    server.crash();
    let away = open(url).await;
    assert!(matches!(away, OpenError::Unreachable(_)), "{away}");
}
