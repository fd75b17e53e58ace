//! NATS is killed, restarted and loses data: the stream is complete in the end.

use crate::publishing::harness::{NatsServer, Publisher, commit};
use crate::support::Database;
use std::path::Path;
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_killed_again_and_again_under_load_loses_and_repeats_nothing() {
    let (nats, database) = (NatsServer::start(), Database::sqlite());
    let node = database.open().await;
    let publishers = [(); 2].map(|()| Publisher::start(&node, nats.settings()));
    let mut head = 0;
    for _ in 0..5 {
        head = commit(&node, 400).await;
        // In the middle of publishing.
        publishers[0].reached(head - 300).await;
        nats.kill();
        head = head.max(commit(&node, 200).await);
        nats.start_again();
    }
    for publisher in &publishers {
        publisher.reached(head).await;
    }
    nats.assert_holds_every_position(head).await;
}

/// JetStream acknowledges before the disk has the message, so a power cut can lose acknowledged messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_the_broker_lost_is_filled_again() {
    let (nats, database) = (NatsServer::start(), Database::sqlite());
    let node = database.open().await;
    let publisher = Publisher::of_node(&node, nats.settings());
    publisher.reached(commit(&node, 300).await).await;
    let (data, kept) = (nats.data(), nats.data().with_extension("kept"));
    nats.kill();
    copy(&data, &kept);
    nats.start_again();
    let head = commit(&node, 300).await;
    publisher.reached(head).await;
    nats.kill();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&kept, &data);
    nats.start_again();
    let head = head.max(commit(&node, 10).await);
    publisher.reached(head).await;
    nats.assert_holds_every_position(head).await;
}

/// Copies a folder, including owners.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}
