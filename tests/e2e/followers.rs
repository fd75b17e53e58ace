//! Rebuilds and followers.

use crate::on_both_stores;
use crate::support::{Database, context, registration};
use registrar::followers::{self, RebuildError, following};
use registrar::journal::JournalError;
use registrar::node::Node;
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, ListEdit, PersonText};
use registrar_projections::event_statistics::BY_EVENT_TYPE;
use registrar_projections::{AdminDocument, CollectionId, Direction, EventStatistic, Query};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const INLINE: [CollectionId; 3] = [CollectionId::Admins, CollectionId::AuditEntries, CollectionId::TrailCounters];

async fn change_something(node: &Node, n: u32) {
    let id = Uuid::now_v7();
    let execute =
        async |command| node.executor.execute::<Admin>(&context(), &id.to_string(), command, None).await.unwrap();
    execute(registration(id, Some(&format!("admin{n}@example.org")))).await;
    execute(AdminCommand::Amend(vec![
        AdminChange::PersonText(PersonText::LastName, Some(format!("Byron {n}"))),
        AdminChange::Policies(ListEdit::Insert { at: None, entry: "p2".into() }),
    ]))
    .await;
    execute(AdminCommand::Deactivate { by: "system".into() }).await;
}

async fn dump(node: &Node) -> Vec<Vec<(String, String)>> {
    let mut dumps = Vec::new();
    for collection in INLINE {
        dumps.push(node.read_store.dump(node.status().generation, collection).await.unwrap());
    }
    dumps
}

async fn rebuild(node: &Node) -> u64 {
    let generation = followers::rebuild(node, &|_, _| {}).await.unwrap();
    // Any read finds the swap and moves on.
    let query = Query::<AdminDocument>::sorted(&registrar_projections::admins::BY_NAME, Direction::Ascending);
    node.documents.page(query.page(0, 1)).await.unwrap();
    assert_eq!(node.status().generation, generation);
    generation
}

on_both_stores! {
    async fn a_rebuild_gives_the_bytes_that_were_written_live(database) {
        let node = database.open().await;
        for n in 0..20 {
            change_something(&node, n).await;
        }
        let live = dump(&node).await;
        assert_eq!(rebuild(&node).await, 2);
        assert_eq!(dump(&node).await, live);
        assert_eq!(node.read_store.generations().await.unwrap().len(), 1, "the former generation is dropped");
    }

    async fn what_is_written_during_a_rebuild_is_in_the_new_generation(database) {
        let node = database.open().await;
        for n in 0..150 {
            change_something(&node, n).await;
        }
        let done = Arc::new(AtomicBool::new(false));
        let writing = tokio::spawn({
            let (node, done) = (Arc::clone(&node), Arc::clone(&done));
            async move {
                let mut n = 1000;
                while !done.load(Ordering::Acquire) {
                    change_something(&node, n).await;
                    n += 1;
                }
                n - 1000
            }
        });
        rebuild(&node).await;
        done.store(true, Ordering::Release);
        let written = writing.await.unwrap();
        let query = Query::<AdminDocument>::sorted(&registrar_projections::admins::BY_NAME, Direction::Ascending);
        assert_eq!(node.documents.page(query.page(0, 1)).await.unwrap().value.total, 150 + u64::from(written));
        let live = dump(&node).await;
        rebuild(&node).await;
        assert_eq!(dump(&node).await, live);
    }

    async fn only_one_process_rebuilds(database) {
        let node = database.open().await;
        let held = followers::Leadership::try_take(&node.store, "rebuild").await.unwrap();
        assert!(held.is_some());
        let refused = followers::rebuild(&node, &|_, _| {}).await;
        assert!(matches!(refused, Err(RebuildError::Busy)));
        assert_eq!(node.read_store.generations().await.unwrap().len(), 1);
    }

    async fn a_follower_counts_what_is_committed_and_starts_over_in_a_new_generation(database) {
        let node = database.open().await;
        let shutdown = CancellationToken::new();
        following::start(&node, &shutdown);
        for n in 0..5 {
            change_something(&node, n).await;
        }
        for _ in 0..2 {
            let head = node.journal.head().await.unwrap().position;
            let statistics = &registrar_projections::FOLLOWING[0];
            following::wait_for(&node, statistics, head, Duration::from_secs(20)).await.unwrap();
            let query = Query::<EventStatistic>::sorted(&BY_EVENT_TYPE, Direction::Ascending);
            let counted = node.documents.page(query).await.unwrap().value.items;
            let registered = counted.iter().find(|statistic| statistic.event_type == "admin.registered").unwrap();
            assert_eq!(registered.events, 5);
            assert_eq!(counted.iter().map(|statistic| statistic.events).sum::<u64>(), head);
            rebuild(&node).await;
        }
        shutdown.cancel();
    }
}

#[tokio::test]
async fn documents_of_another_release_are_served_by_nobody_until_they_are_rebuilt() {
    let database = Database::sqlite();
    let node = database.open().await;
    change_something(&node, 1).await;
    sqlx::query("UPDATE generations SET signature = 'admins:0'")
        .execute(
            &sqlx::SqlitePool::connect(&format!("sqlite://{}/registrar.sqlite3", database.settings.data.display()))
                .await
                .unwrap(),
        )
        .await
        .unwrap();
    drop(node);
    let node = database.open().await;
    assert!(node.needs_rebuild());
    let find = async || node.documents.find::<AdminDocument>("x").await;
    assert!(matches!(find().await, Err(JournalError::OtherGeneration)));
    let refused = node.executor.execute::<Admin>(&context(), "x", AdminCommand::Activate, None).await;
    assert!(refused.is_err());
    followers::rebuild_if_needed(&node);
    tokio::time::timeout(Duration::from_secs(20), async {
        while node.needs_rebuild() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(find().await.unwrap().value.is_none());
}
