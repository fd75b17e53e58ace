//! Two real servers on one PostgreSQL, one of them killed: the other goes on, and neither ever answers stale data.

use crate::fault_kill::{Acknowledgements, assert_acknowledgements_hold};
use crate::process::{PATIENCE, Server, run};
use crate::support::Database;
use registrar::node::Node;
use registrar::vault::MasterKey;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Clients of each server.
const WRITERS: usize = 4;
/// Acknowledged commands between two kills.
const ACKNOWLEDGED: u32 = 150;

/// A client of one server that reads from the other after every answer.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    token: String,
    writes: String,
    reads: String,
    told: Acknowledgements,
    acknowledged: Arc<Semaphore>,
    enough: CancellationToken,
}

impl Client {
    /// Registers admins and renames each twice, until the test ends or the server is gone.
    async fn write(self) {
        while !self.enough.is_cancelled() {
            let registration =
                json!({"person": {"firstName": "Ada", "lastName": "0"}, "addresses": [], "phoneNumbers": []});
            let request = self.http.post(&self.writes).bearer_auth(&self.token).json(&registration);
            let Some(id) = self.ask(request, 201).await.map(|body| body["id"].as_str().unwrap().to_owned()) else {
                return;
            };
            self.acknowledge(&id, 1, "0").await;
            for (commands, name) in [(2, "1"), (3, "2")] {
                let rename = json!([{"op": "replace", "path": "/person/lastName", "value": name}]);
                let request = self.http.patch(format!("{}/{id}", self.writes)).bearer_auth(&self.token).json(&rename);
                if self.ask(request, 200).await.is_none() {
                    return;
                }
                self.acknowledge(&id, commands, name).await;
            }
        }
    }

    /// Sends a request whose answer must have this status; answers the body, or `None` if the server is gone.
    async fn ask(&self, request: reqwest::RequestBuilder, status: u16) -> Option<Value> {
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                // Expected of the killed server only; printed, so that a failed test shows which server was gone.
                let _ = writeln!(std::io::stderr(), "a client gives up: {error:?}");
                return None;
            }
        };
        assert_eq!(answer.status(), status);
        answer.json().await.ok()
    }

    async fn acknowledge(&self, id: &str, commands: u64, name: &str) {
        self.told.lock().unwrap().insert(id.to_owned(), (commands, name.to_owned()));
        self.acknowledged.add_permits(1);
        let request = self.http.get(format!("{}/{id}", self.reads)).bearer_auth(&self.token);
        if let Some(seen) = self.ask(request, 200).await {
            assert_eq!(seen["person"]["lastName"], name, "the other server answers from the past");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_goes_on_when_the_other_is_killed_and_neither_answers_stale_data() {
    let database = Database::postgres().await;
    let settings = &database.settings;
    let mut servers = [Server::start(settings), Server::start(settings)];
    let token = run(settings, &["token", "create", "--admin", "admin@registrar.local"]).trim().to_owned();
    let (told, http) = (Acknowledgements::default(), reqwest::Client::new());
    for killed in [0, 1, 0] {
        let enough = CancellationToken::new();
        let acknowledged = [(); 2].map(|()| Arc::new(Semaphore::new(0)));
        let writers = [0, 1].map(|server: usize| {
            let client = Client {
                http: http.clone(),
                token: token.clone(),
                writes: format!("{}/api/ecg-admins", servers[server].url),
                reads: format!("{}/api/ecg-admins", servers[1 - server].url),
                told: Arc::clone(&told),
                acknowledged: Arc::clone(&acknowledged[server]),
                enough: enough.clone(),
            };
            [(); WRITERS].map(|()| tokio::spawn(client.clone().write()))
        });
        let wait = async |server: usize| {
            let waited = tokio::time::timeout(PATIENCE, acknowledged[server].acquire_many(ACKNOWLEDGED)).await;
            waited.expect("the server goes on").unwrap().forget();
        };
        wait(0).await;
        wait(1).await;
        // SIGKILL at an arbitrary moment, perhaps while the server holds the head.
        servers[killed].kill();
        wait(1 - killed).await;
        enough.cancel();
        for writer in writers.into_iter().flatten() {
            writer.await.unwrap();
        }
        servers[killed] = Server::start(settings);
    }
    drop(servers);
    let master = MasterKey::from_file(&settings.data.join("master.key")).unwrap();
    let node = Node::open(settings, &master).await.unwrap();
    let events = node.journal.read(0, usize::MAX).await.unwrap();
    assert!(events.iter().map(|event| event.position).eq(1..=node.journal.head().await.unwrap().position));
    assert_acknowledgements_hold(&node, &told).await;
}
