//! The real program, killed under load: every acknowledged command is stored.

use crate::on_both_stores;
use crate::process::{Server, run};
use registrar::followers;
use registrar::node::Node;
use registrar::vault::MasterKey;
use registrar_projections::audit_trail::{AGGREGATE_ID, BY_TIME, TRAIL};
use registrar_projections::{AdminDocument, AuditEntry, CollectionId, Direction, Query};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use uuid::Uuid;

const WRITERS: usize = 8;
/// Acknowledged commands before the server is killed.
const ACKNOWLEDGED: u32 = 120;

/// The acknowledged state of each admin: the number of commands, and the last name after the last of them.
pub type Acknowledgements = Arc<Mutex<HashMap<String, (u64, String)>>>;

/// Registers admins and renames each twice, until the server is gone.
async fn write(url: String, token: String, told: Acknowledgements, acknowledged: Arc<Semaphore>) {
    let client = reqwest::Client::new();
    let root = format!("{url}/api/ecg-admins");
    loop {
        let registration =
            json!({"person": {"firstName": "Ada", "lastName": "0"}, "addresses": [], "phoneNumbers": []});
        let Ok(answer) = client.post(&root).bearer_auth(&token).json(&registration).send().await else { return };
        assert_eq!(answer.status(), 201);
        let Ok(body) = answer.json::<Value>().await else { return };
        let id = body["id"].as_str().unwrap().to_owned();
        told.lock().unwrap().insert(id.clone(), (1, "0".into()));
        acknowledged.add_permits(1);
        for (commands, name) in [(2, "1"), (3, "2")] {
            let rename = json!([{"op": "replace", "path": "/person/lastName", "value": name}]);
            let sent = client.patch(format!("{root}/{id}")).bearer_auth(&token).json(&rename).send().await;
            let Ok(answer) = sent else { return };
            assert_eq!(answer.status(), 200);
            told.lock().unwrap().insert(id.clone(), (commands, name.into()));
            acknowledged.add_permits(1);
        }
    }
}

async fn dump(node: &Node) -> Vec<Vec<(String, String)>> {
    let mut dumps = Vec::new();
    for collection in [CollectionId::Admins, CollectionId::AuditEntries, CollectionId::TrailCounters] {
        dumps.push(node.read_store.dump(node.status().generation, collection).await.unwrap());
    }
    dumps
}

/// Checks the journal against the acknowledgements. One further command may be stored, whose answer was lost; none may
/// be missing.
pub async fn assert_acknowledgements_hold(node: &Node, told: &Acknowledgements) {
    let told = told.lock().unwrap().clone();
    for (id, (commands, name)) in told {
        let admin = node.documents.find::<AdminDocument>(&id).await.unwrap().value.expect("an acknowledged admin");
        assert!((commands..=commands + 1).contains(&admin.version), "{id}: {} of {commands}", admin.version);
        assert!(admin.version > commands || admin.person.last_name == name);
        let events = node.journal.stream("admin", &id, 0).await.unwrap();
        assert_eq!(events.len() as u64, admin.version);
        let trail = Query::<AuditEntry>::sorted(&BY_TIME, Direction::Ascending);
        let trail = trail.equal(&TRAIL, "admin").equal(&AGGREGATE_ID, id).page(0, 10);
        let trail = node.documents.page(trail).await.unwrap().value;
        assert_eq!(trail.items.len() as u64, admin.version);
    }
}

/// Creates organizations, each under its own key, until the server is gone. Answers the body and the key of the last
/// request, whose outcome is unknown.
async fn organize(url: String, token: String, acknowledged: Arc<Semaphore>) -> (Value, String) {
    let client = reqwest::Client::new();
    loop {
        let key = Uuid::new_v4().to_string();
        let attributes = json!({"name": key});
        let body = json!({"data": {"type": "organizations", "attributes": attributes}});
        let Ok(answer) = create(&client, &url, &token, &body, &key).await else { return (body, key) };
        assert_eq!(answer.status(), 201);
        acknowledged.add_permits(1);
    }
}

async fn create(
    client: &reqwest::Client,
    url: &str,
    token: &str,
    body: &Value,
    key: &str,
) -> reqwest::Result<reqwest::Response> {
    let request = client.post(format!("{url}/v1/organizations/")).bearer_auth(token).header("idempotency-key", key);
    request.json(body).send().await
}

on_both_stores! {
    async fn a_request_that_a_killed_server_did_not_answer_is_retried_by_its_key(database) {
        let server = Server::start(&database.settings);
        let token = run(&database.settings, &["token", "create", "--admin", "admin@registrar.local"]).trim().to_owned();
        let acknowledged = Arc::new(Semaphore::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| tokio::spawn(organize(server.url.clone(), token.clone(), Arc::clone(&acknowledged))))
            .collect();
        let enough = acknowledged.acquire_many(ACKNOWLEDGED);
        tokio::time::timeout(Duration::from_secs(60), enough).await.unwrap().unwrap().forget();
        drop(server);

        let server = Server::start(&database.settings);
        let client = reqwest::Client::new();
        for writer in writers {
            let (body, key) = writer.await.unwrap();
            // If the lost request had been stored without its answer, the name would be taken.
            let first = create(&client, &server.url, &token, &body, &key).await.unwrap();
            assert_eq!(first.status(), 201);
            let again = create(&client, &server.url, &token, &body, &key).await.unwrap();
            assert_eq!(again.headers()["idempotency-replayed"], "true");
            assert_eq!(again.text().await.unwrap(), first.text().await.unwrap());
        }
    }

    async fn commands_that_a_killed_server_acknowledged_are_in_journal_read_model_and_trail(database) {
        let told = Acknowledgements::default();
        for _ in 0..2 {
            let server = Server::start(&database.settings);
            let token = run(&database.settings, &["token", "create", "--admin", "admin@registrar.local"]).trim().to_owned();
            let acknowledged = Arc::new(Semaphore::new(0));
            let writers: Vec<_> = (0..WRITERS)
                .map(|_| tokio::spawn(write(server.url.clone(), token.clone(), Arc::clone(&told), Arc::clone(&acknowledged))))
                .collect();
            let enough = acknowledged.acquire_many(ACKNOWLEDGED);
            tokio::time::timeout(Duration::from_secs(60), enough).await.unwrap().unwrap().forget();
            // SIGKILL at an arbitrary moment.
            drop(server);
            for writer in writers {
                writer.await.unwrap();
            }
        }
        let master = MasterKey::from_file(&database.settings.data.join("master.key")).unwrap();
        let node = Node::open(&database.settings, &master).await.unwrap();
        let head = node.journal.head().await.unwrap().position;
        // The read fails on a gap.
        let events = node.journal.read(0, usize::MAX).await.unwrap();
        assert_eq!(events.len() as u64, head);
        assert_acknowledgements_hold(&node, &told).await;

        let live = dump(&node).await;
        let generation = followers::rebuild(&node, &|_, _| {}).await.unwrap();
        node.serve(generation);
        assert_eq!(dump(&node).await, live);
    }
}
