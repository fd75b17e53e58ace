//! Rebuilds and followers.

use crate::on_both_stores;
use crate::support::{Database, NodeExt, Sql, access_stream, context, registration, trail_read};
use registrar::committer::ExpectedVersion;
use registrar::followers::{self, RebuildError, following};
use registrar::journal::JournalError;
use registrar::node::Node;
use registrar::store::Leadership;
use registrar::store::schema;
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, Granter, ListEdit, PersonText};
use registrar_projections::event_statistics::BY_EVENT_TYPE;
use registrar_projections::{AdminDocument, CollectionId, Direction, EventStatistic, Query};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const INLINE: [CollectionId; 3] = [CollectionId::Admins, CollectionId::AuditEntries, CollectionId::TrailCounters];

async fn change_something(node: &Node, n: u32) -> Uuid {
    let id = Uuid::now_v7();
    let execute =
        async |command| node.executor.execute::<Admin>(&context(), &id.to_string(), command, None).await.unwrap();
    execute(registration(id, Some(&format!("admin{n}@example.org")))).await;
    execute(AdminCommand::Amend(
        vec![
            AdminChange::PersonText(PersonText::LastName, Some(format!("Byron {n}"))),
            AdminChange::Policies(ListEdit::Insert { at: None, entry: "p2".into() }),
        ],
        Granter::System,
    ))
    .await;
    execute(AdminCommand::Deactivate(Granter::System)).await;
    id
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
    // Any read notices the swap and moves to the new generation.
    let query = Query::<AdminDocument>::sorted(&registrar_projections::admins::BY_NAME, Direction::Ascending);
    node.documents.page(query.page(0, 1)).await.unwrap();
    assert_eq!(node.status().generation, generation);
    generation
}

/// The stage at which a rebuild is cut off.
#[derive(Debug, Clone, Copy)]
enum Stage {
    InHistory,
    BeforeIndexes,
    BetweenIndexes,
    BeforeSwap,
}

/// Rebuilds until `stage`, as a process that is killed there. Answers the generation that is left half built.
async fn cut_off(database: &Database, node: &Node, stage: Stage) -> u64 {
    let here = Notify::new();
    let progress = |done, total| {
        if done > 0 && (done == total || matches!(stage, Stage::InHistory)) {
            here.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = here.notified() => {}
        ended = followers::rebuild(node, &progress) => panic!("{ended:?}"),
    }
    let generations = node.read_store.generations().await.unwrap();
    let half = generations.into_iter().find(|generation| generation.state == "building").unwrap();
    let head = node.journal.head().await.unwrap().position;
    assert!(half.checkpoint > 0 && (half.checkpoint < head) == matches!(stage, Stage::InHistory), "{half:?}, {head}");
    match stage {
        Stage::InHistory | Stage::BeforeIndexes => {}
        Stage::BetweenIndexes => {
            let mut sql = database.sql().await;
            if matches!(sql, Sql::Postgres(_)) {
                sql.run(&schema::indexes(half.id)[3]).await.unwrap();
            } else {
                let search = &schema::searches(half.id)[0];
                sql.run(&search.create).await.unwrap();
                sql.run(&search.fill.replace("$1", "0").replace("$2", "7")).await.unwrap();
            }
        }
        Stage::BeforeSwap => node.read_store.index_generation(half.id).await.unwrap(),
    }
    half.id
}

/// Tables, indexes and triggers of a generation, from the database's catalog.
async fn catalog(database: &Database, generation: u64) -> Vec<String> {
    let mut sql = database.sql().await;
    let query = match sql {
        Sql::Postgres(_) => {
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL \
             SELECT table_name || '.' || column_name || ' ' || data_type FROM information_schema.columns \
             WHERE table_schema = 'public' UNION ALL SELECT proname || ' ' || prosrc FROM pg_proc WHERE prolang <> 12"
        }
        Sql::Sqlite(_) => "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema",
    };
    let (own, all) = (format!("_g{generation}"), sql.texts(query).await);
    let mut own: Vec<_> = all.iter().filter(|item| item.contains(&own)).map(|item| item.replace(&own, "")).collect();
    own.sort();
    own
}

/// Number of admins found by a part of their last name; checks that the search index agrees.
async fn found(database: &Database, node: &Node, term: &str) -> u64 {
    let query = Query::<AdminDocument>::sorted(&registrar_projections::admins::BY_NAME, Direction::Ascending);
    let found = node.documents.page(query.search(&registrar_projections::admins::SEARCH, term)).await.unwrap();
    let mut sql = database.sql().await;
    if let Sql::Sqlite(_) = sql {
        for search in schema::searches(node.status().generation) {
            // Rank 1 compares the index with the documents.
            let check = format!("INSERT INTO {0} ({0}, rank) VALUES ('integrity-check', 1)", search.name);
            sql.run(&check).await.unwrap();
        }
    }
    found.value.total
}

on_both_stores! {
    async fn a_rebuild_goes_on_wherever_it_was_cut_off(database) {
        let node = database.open().await;
        let mut admins = Vec::new();
        for n in 0..20 {
            admins.push(change_something(&node, n).await);
        }
        for n in 0..20 {
            let events = (0..100).map(|n| trail_read(&n.to_string())).collect();
            node.append(vec![(access_stream(&format!("r{n}")), ExpectedVersion::Any, events)]).await.unwrap();
        }
        let fresh = catalog(&database, 1).await;
        for (stage, n) in [Stage::InHistory, Stage::BeforeIndexes, Stage::BetweenIndexes, Stage::BeforeSwap].into_iter().zip(1000..) {
            let building = cut_off(&database, &node, stage).await;
            let renamed = AdminChange::PersonText(PersonText::LastName, Some(format!("Renamed {n}")));
            for id in &admins[..5] {
                node.admin(*id, AdminCommand::Amend(vec![renamed.clone()], Granter::System)).await.unwrap();
            }
            change_something(&node, n).await;
            let live = dump(&node).await;
            while let Err(refused) = followers::rebuild(&node, &|_, _| {}).await {
                // PostgreSQL may not have noticed yet that the killed process is gone.
                assert!(matches!(refused, RebuildError::Busy), "{stage:?}: {refused:?}");
                tokio::task::yield_now().await;
            }
            assert_eq!(found(&database, &node, &format!("renamed {n}")).await, 5, "{stage:?}");
            assert_eq!(node.status().generation, building, "{stage:?}");
            assert_eq!(dump(&node).await, live, "{stage:?}");
            assert_eq!(catalog(&database, building).await, fresh, "{stage:?}");
            assert_eq!(found(&database, &node, &format!("byron {n}")).await, 1, "{stage:?}");
        }
    }

    async fn a_rebuilt_generation_is_made_like_a_fresh_one(database) {
        let node = database.open().await;
        change_something(&node, 1).await;
        let fresh = catalog(&database, 1).await;
        assert!(fresh.iter().filter(|item| item.contains("INDEX")).count() > 10, "{fresh:?}");
        let generation = rebuild(&node).await;
        assert_eq!(catalog(&database, generation).await, fresh);
        change_something(&node, 2).await;
        assert_eq!((found(&database, &node, "byron").await, found(&database, &node, "byron 2").await), (2, 1));
    }

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

    async fn events_written_during_a_rebuild_are_in_the_new_generation(database) {
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

    async fn a_rebuild_is_done_though_the_former_tables_stay_and_the_next_start_drops_them(database) {
        let node = database.open().await;
        let id = change_something(&node, 1).await;
        let mut sql = database.sql().await;
        let (keep, let_go) = match sql {
            Sql::Postgres(_) => (
                "CREATE TRIGGER kept BEFORE DELETE ON generations FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
                "DROP TRIGGER kept ON generations",
            ),
            Sql::Sqlite(_) => (
                "CREATE TRIGGER kept BEFORE DELETE ON generations BEGIN SELECT RAISE(ABORT, 'kept'); END",
                "DROP TRIGGER kept",
            ),
        };
        sql.run(keep).await.unwrap();
        let generation = followers::rebuild(&node, &|_, _| {}).await.unwrap();
        assert_eq!(node.journal.head().await.unwrap().generation, generation);
        assert_eq!(node.read_store.generations().await.unwrap().len(), 2);
        sql.run(let_go).await.unwrap();
        // As after a crash between the swap and the drop.
        node.close().await;
        drop(node);
        let node = database.open().await;
        tokio::spawn(followers::keep_documents(Arc::clone(&node)));
        let begun = std::time::Instant::now();
        while node.read_store.generations().await.unwrap().len() > 1 {
            assert!(begun.elapsed() < Duration::from_secs(20), "the former generation is still there");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left: Vec<_> = sql.tables().await.into_iter().filter(|table| table.ends_with("_g1")).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(node.documents.find::<AdminDocument>(&id.to_string()).await.unwrap().value.is_some());
    }

    async fn only_one_process_rebuilds(database) {
        let node = database.open().await;
        let held = Leadership::try_take(&node.store, "rebuild").await.unwrap();
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
async fn documents_of_another_release_are_not_served_until_they_are_rebuilt() {
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
    let refused = node.executor.execute::<Admin>(&context(), "x", AdminCommand::Activate(Granter::System), None).await;
    assert!(refused.is_err());
    tokio::spawn(followers::keep_documents(Arc::clone(&node)));
    tokio::time::timeout(Duration::from_secs(20), async {
        while node.needs_rebuild() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    assert!(find().await.unwrap().value.is_none());
}

#[tokio::test]
async fn the_planner_knows_what_a_rebuilt_generation_holds() {
    let database = Database::postgres().await;
    let node = database.open().await;
    for n in 0..20 {
        change_something(&node, n).await;
    }
    // The last events are folded after the statistics were taken; they are too few to matter.
    for n in 0..20 {
        let events = (0..100).map(|n| trail_read(&n.to_string())).collect();
        node.append(vec![(access_stream(&format!("r{n}")), ExpectedVersion::Any, events)]).await.unwrap();
    }
    let generation = rebuild(&node).await;
    let mut sql = database.sql().await;
    for table in ["admins", "audit_entries"] {
        let known = format!("SELECT count(*) FROM pg_stats WHERE tablename = '{table}_g{generation}'");
        assert!(sql.number(&known).await > 0, "{table}");
    }
}
