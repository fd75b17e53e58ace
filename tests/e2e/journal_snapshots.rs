//! Snapshots as Registrar reads and replaces them. `compatibility/` tests them with stock readers.

use crate::on_both_stores;
use crate::support::*;
use registrar::journal::StoredSnapshot;
use registrar::node::Node;
use registrar_aggregates::admin::Admin;
use serde_json::Value;
use uuid::Uuid;

/// Waits for the snapshot that is saved in the background of a command.
async fn snapshot(node: &Node, id: Uuid, last_sequence: u64) {
    loop {
        let snapshot = node.journal.snapshot("admin", &id.to_string()).await.unwrap();
        if snapshot.is_some_and(|snapshot| snapshot.last_sequence >= last_sequence) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

on_both_stores! {
    async fn a_node_that_comes_up_reads_the_snapshot_and_what_follows_it(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, Some("ada@example.org"))).await.unwrap();
        for n in 2..=101 {
            node.admin(id, rename(&format!("Ada {n}"))).await.unwrap();
        }
        snapshot(&node, id, 100).await;
        let expected = node.executor.state::<Admin>(&id.to_string()).await.unwrap();
        let fresh = database.open().await;
        assert_eq!(fresh.executor.state::<Admin>(&id.to_string()).await.unwrap(), expected);
        assert_eq!(expected.1.profile().unwrap().person.first_name, "Ada 101");
        // Snapshots only save time: an unreadable one is skipped.
        let broken = r#"UPDATE snapshots SET payload = '{"Active": 7}'"#;
        database.sql().await.run(broken).await.unwrap();
        assert_eq!(database.open().await.executor.state::<Admin>(&id.to_string()).await.unwrap(), expected);
    }

    async fn a_slower_node_does_not_bring_back_an_older_snapshot(database) {
        let node = database.open().await;
        let save = |last_sequence: u64| {
            let payload = Value::from(last_sequence).to_string();
            node.journal.save_snapshot("admin", "a", StoredSnapshot { last_sequence, shape: 1, payload })
        };
        for (saved, latest) in [(100, 100), (300, 300), (200, 300), (300, 300)] {
            save(saved).await.unwrap();
            assert_eq!(node.journal.snapshot("admin", "a").await.unwrap().unwrap().last_sequence, latest);
        }
        assert_eq!(database.sql().await.number("SELECT count(*) FROM snapshots").await, 1);
    }
}
