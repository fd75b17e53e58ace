//! A private NATS server, publishers of a node's events, and the final content of the stream.

use crate::support::context;
use async_nats::jetstream::{self, message::StreamMessage, stream::Stream};
use registrar::committer::ExpectedVersion;
use registrar::journal::StreamId;
use registrar::node::Node;
use registrar::publisher::{self, Feed, NatsSettings, PublisherStatus, STREAM};
use registrar_aggregates::audit_access::AuditAccessEvent;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait, on a machine that runs a hundred other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A NATS server of one test; dropping it ends the server.
pub struct NatsServer {
    pub url: String,
    folder: tempfile::TempDir,
}

impl NatsServer {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = nats(&["start", folder.path().to_str().unwrap(), &std::process::id().to_string()]);
        NatsServer { url, folder }
    }

    /// Kills the server as in a crash; data and address are kept.
    pub fn kill(&self) {
        nats(&["stop", self.folder.path().to_str().unwrap(), "immediate"]);
    }

    pub fn start_again(&self) {
        assert_eq!(nats(&["start", self.folder.path().to_str().unwrap()]), self.url);
    }

    /// Reloads the server with a maximum payload in bytes, and waits until it tells clients so.
    pub async fn limit(&self, max_payload: usize) {
        let home = self.folder.path().join("private-nats");
        let config = std::fs::read_to_string(home.join("nats.conf")).unwrap();
        let others = config.lines().filter(|line| !line.starts_with("max_payload"));
        let lines: Vec<_> = others.map(str::to_owned).chain([format!("max_payload: {max_payload}\n")]).collect();
        std::fs::write(home.join("nats.conf"), lines.join("\n")).unwrap();
        let pid = std::fs::read_to_string(home.join("data/nats.pid")).unwrap();
        assert!(Command::new("kill").args(["-HUP", pid.trim()]).status().unwrap().success());
        let told = async || async_nats::connect(&self.url).await.unwrap().server_info().max_payload;
        assert!(eventually(async || told().await == max_payload).await, "{} of {max_payload}", told().await);
    }

    /// Folder of the stream; to be touched only while the server is stopped.
    pub fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("private-nats/data/jetstream")
    }

    pub fn settings(&self) -> NatsSettings {
        NatsSettings::parse(&self.url, false).unwrap()
    }

    pub async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(&self.url).await.unwrap())
    }

    pub async fn stream(&self) -> Stream {
        self.jetstream().await.get_stream(STREAM).await.unwrap()
    }

    /// All messages of the stream, in order.
    pub async fn messages(&self) -> Vec<StreamMessage> {
        let stream = self.stream().await;
        let state = &stream.cached_info().state;
        let mut messages = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            if let Ok(message) = stream.get_raw_message(sequence).await {
                messages.push(message);
            }
        }
        messages
    }

    /// Asserts that the stream holds every position up to `head` once and in order.
    pub async fn assert_holds_every_position(&self, head: u64) {
        let positions: Vec<u64> = self.messages().await.iter().map(position).collect();
        assert_eq!(positions, (1..=head).collect::<Vec<_>>());
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // Errors are ignored in a drop; the server's watchdog removes the folder in any case.
        let _ = command(&["remove", self.folder.path().to_str().unwrap_or_default()]).output();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/nats"));
    command.args(arguments);
    command
}

fn nats(arguments: &[&str]) -> String {
    let output = command(arguments).output().unwrap();
    assert!(output.status.success(), "scripts/nats {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn position(message: &StreamMessage) -> u64 {
    let event: Value = serde_json::from_slice(&message.payload).unwrap();
    let id = event["id"].as_str().unwrap().parse().unwrap();
    let header: u64 = message.headers.get("Nats-Msg-Id").unwrap().as_str().parse().unwrap();
    assert_eq!(header, id);
    id
}

/// A publisher that runs until it is stopped or dropped.
pub struct Publisher {
    pub status: PublisherStatus,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Starts a publisher without the check for a second one.
    pub fn start(node: &Node, settings: NatsSettings) -> Self {
        let feed = Feed::of(node, settings.publish_personal());
        Self::spawn(|status, shutdown| publisher::publish(feed, None, settings, status, shutdown))
    }

    /// Starts a publisher as a server does.
    pub fn of_node(node: &Arc<Node>, settings: NatsSettings) -> Self {
        let node = Arc::clone(node);
        Self::spawn(|status, shutdown| publisher::run(node, settings, status, shutdown))
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(
        publish: impl FnOnce(PublisherStatus, CancellationToken) -> F,
    ) -> Self {
        let (status, shutdown) = (PublisherStatus::default(), CancellationToken::new());
        let task = tokio::spawn(publish(status.clone(), shutdown.clone()));
        Publisher { status, shutdown, task }
    }

    pub async fn stop(mut self) {
        self.shutdown.cancel();
        (&mut self.task).await.unwrap();
    }

    pub async fn reached(&self, position: u64) {
        let reached = || async { self.status.report().position >= position };
        assert!(eventually(reached).await, "position {position} was not reached: {:?}", self.status.report());
    }

    /// Waits for a failure that contains these words.
    pub async fn failed(&self, words: &str) {
        let failed = || async { self.status.report().error.is_some_and(|error| error.contains(words)) };
        assert!(eventually(failed).await, "{words:?} was not told: {:?}", self.status.report());
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Whether `condition` becomes true in time.
pub async fn eventually<F: Future<Output = bool>>(condition: impl Fn() -> F) -> bool {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.is_ok()
}

/// Commits `count` small events; answers the journal's head.
pub async fn commit(node: &Node, count: u64) -> u64 {
    const BATCH: u64 = 200;
    let mut head = 0;
    let mut left = count;
    while left > 0 {
        let now = left.min(BATCH);
        left -= now;
        let events = (0..now).map(|n| {
            AuditAccessEvent::TrailRead {
                trail: "ecg-admins".into(),
                filters: BTreeMap::from([("page".into(), n.to_string())]),
            }
            .into()
        });
        let stream = StreamId { aggregate_type: "audit-access", aggregate_id: uuid::Uuid::new_v4().to_string() };
        let appended = node.executor.append(&context(), vec![(stream, ExpectedVersion::Any, events.collect())]).await;
        head = appended.unwrap().position;
    }
    head
}
