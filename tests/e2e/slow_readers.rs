//! Clients that request everything and read nothing: they cost bounded memory, delay no other caller, and do not
//! prevent a server from stopping.

use crate::on_both_stores;
use crate::process::{Server, run};
use crate::support::*;
use registrar::node::Node;
use registrar::vault::MasterKey;
use registrar_aggregates::admin::{AdminChange, AdminCommand, Granter, PersonText};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use uuid::Uuid;

const CLIENTS: usize = 20;
const EVENTS: usize = 60;
/// Close to the size limit of an event once it is sealed.
const EVENT_BYTES: usize = 180_000;
const MIB: u64 = 1024 * 1024;

/// Resident memory of the process in bytes.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// A client that sends a request and reads nothing.
async fn silent(server: &Server, token: &str, path: &str, accept: &str) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // A minimal receive buffer, so that next to nothing is buffered on the client's side.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = socket.connect(address.parse().unwrap()).await.unwrap();
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: {accept}\r\nauthorization: Bearer {token}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    client
}

on_both_stores! {
    async fn clients_that_read_nothing_cost_little(database) {
        run(&database.settings, &["seed", "--admins", "0"]);
        let master = MasterKey::from_file(&database.settings.data.join("master.key")).unwrap();
        let node = Node::open(&database.settings, &master).await.unwrap();
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        for number in 0..EVENTS {
            let name = format!("{number}{}", "x".repeat(EVENT_BYTES));
            let change = AdminChange::PersonText(PersonText::LastName, Some(name));
            node.admin(id, AdminCommand::Amend(vec![change], Granter::System)).await.unwrap();
        }
        node.close().await;
        drop(node);
        let server = Server::start(&database.settings);
        let token = run(&database.settings, &["token", "create", "--admin", "admin@registrar.local"]);
        let client = reqwest::Client::new();
        let read = async || {
            let begun = Instant::now();
            let answer = client.get(format!("{}/api/ecg-admins", server.url)).bearer_auth(token.trim()).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.bytes().await.unwrap();
            begun.elapsed()
        };
        read().await;
        let before = memory(&server);
        let mut clients = Vec::new();
        for (path, accept, growth_max) in [
            ("/events/stream?after=0", "text/event-stream", 200 * MIB),
            ("/audit/events", "application/x-ndjson", 350 * MIB),
            (&*format!("/audit/admin/{id}/history"), "application/x-ndjson", 500 * MIB),
        ] {
            for _ in 0..CLIENTS {
                clients.push(silent(&server, token.trim(), path, accept).await);
            }
            let (begun, mut most) = (Instant::now(), before);
            while begun.elapsed() < Duration::from_secs(4) {
                assert!(read().await < Duration::from_secs(5), "{path}: others wait");
                most = most.max(memory(&server));
            }
            let grown = most.saturating_sub(before);
            assert!(grown < growth_max, "{path}: {} MiB more", grown / MIB);
        }
        let told = Instant::now();
        let (status, _) = server.stop();
        assert!(status.success() && told.elapsed() < Duration::from_secs(5), "{status:?} after {:?}", told.elapsed());
        drop(clients);
    }
}
