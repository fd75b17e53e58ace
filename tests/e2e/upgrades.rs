//! Overlapping releases: nodes of an older release on a database that a later one has changed, and states stored in
//! another shape.

use crate::ecg_app::{ADMINS, App, minimal, path_of};
use crate::journal_files_support::{archived, filled, small_partitions};
use crate::on_both_stores;
use crate::support::*;
use registrar::api::ApiSettings;
use registrar::archives::HistoryError;
use registrar::executor::ExecuteError;
use registrar::followers::{self, RebuildError};
use registrar::journal::{Committed, JournalError, codec};
use registrar::journal_files::{ResnapshotError, resnapshot};
use registrar::node::{Node, OpenError};
use registrar_aggregates::admin::Admin;
use serde_json::json;
use std::time::{Duration, Instant};
use uuid::Uuid;

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A migration of a later release that removes something.
async fn want_a_later_release(database: &Database) {
    database.sql().await.run("UPDATE journal_head SET least_schema = 1000000").await.unwrap();
}

async fn state(node: &Node, id: &str) -> (u64, Admin) {
    node.executor.state::<Admin>(id).await.unwrap()
}

async fn refused(node: &Node, id: Uuid) -> JournalError {
    match node.admin(id, rename("Refused")).await {
        Err(ExecuteError::Journal(error)) => error,
        done => panic!("{done:?}"),
    }
}

on_both_stores! {
    async fn a_node_that_is_too_old_for_the_database_refuses_its_next_commit(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        want_a_later_release(&database).await;
        let error = refused(&node, id).await;
        assert!(matches!(error, JournalError::OldRelease), "{error:?}");
        assert!(error.to_string().starts_with("this release of Registrar is too old for the database"), "{error}");
        let mut sql = database.sql().await;
        assert_eq!(sql.number("SELECT position FROM journal_head").await, 1, "nothing is stored");
        assert_eq!(sql.number("SELECT count(*) FROM events").await, 1);
        // A node that starts now does not serve either.
        let told = Node::open(&database.settings, &database.master).await.err().unwrap().to_string();
        assert!(told.contains("too old for the database"), "{told}");
    }

    async fn a_node_that_is_too_old_for_the_database_is_not_ready_and_says_why(database) {
        let app = App::over(database.open().await, ApiSettings::default()).await;
        let admin = app.create(&minimal("Ada", "Lovelace")).await;
        let head = app.head().await;
        assert_eq!(app.get("/readyz").await.status, 200);
        want_a_later_release(&database).await;
        until("it is not ready", async || app.get("/readyz").await.status == 503).await;
        let reason = "this node's release is too old for the database; a later release has to take its place";
        assert_eq!(app.get("/readyz").await.json()["reason"], reason);
        // Nodes that only read notice it as well, without a commit.
        until("it answers nothing", async || app.get(&path_of(&admin)).await.status == 503).await;
        assert_eq!(app.get(&path_of(&admin)).await.refused(503), reason);
        assert_eq!(app.get(ADMINS).await.refused(503), reason);
        let steps = json!([{"op": "replace", "path": "/person/lastName", "value": "Byron"}]);
        assert_eq!(app.patch(&admin, &steps).await.refused(503), reason);
        assert_eq!(app.get("/healthz").await.status, 200, "it lives");
        let mut sql = database.sql().await;
        assert_eq!(sql.number("SELECT position FROM journal_head").await, i64::try_from(head).unwrap());
        // An operator who set it by mistake can undo it.
        sql.run("UPDATE journal_head SET least_schema = 0").await.unwrap();
        until("it is ready again", async || app.get(&path_of(&admin)).await.status == 200).await;
        assert_eq!(app.get("/readyz").await.status, 200);
        assert_eq!(app.patch(&admin, &steps).await.status, 200);
    }

    async fn a_node_does_not_start_on_a_database_with_later_migrations(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        let mut sql = database.sql().await;
        let nothing = if database.settings.database_url.is_some() { "''::bytea" } else { "x''" };
        sql.run(&format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (1000000, 'later', true, {nothing}, 0)"
        ))
        .await
        .unwrap();
        // A running node goes on: an additive migration takes nothing from it.
        node.admin(id, rename("Augusta")).await.unwrap();
        let refused = Node::open(&database.settings, &database.master).await;
        assert!(matches!(refused, Err(OpenError::NewerDatabase(1_000_000))), "{:?}", refused.err());
    }

    async fn events_of_a_later_release_stop_their_streams_and_a_rebuild_and_nothing_else(database) {
        let node = database.open().await;
        let [id, other] = [Uuid::now_v7(), Uuid::now_v7()];
        for id in [id, other] {
            node.admin(id, registration(id, None)).await.unwrap();
        }
        let head = node.journal.head().await.unwrap();
        let mut later = batch(&head, &[(&admin_stream(id), 2)]);
        later.events[0].event_type = "admin.teleported".into();
        later.events[0].payload = codec::canonical(&json!({"type": "admin.teleported", "to": "Mars"})).unwrap();
        later.events[0].leaf_hash = codec::leaf_hash(&later.events[0]);
        later.frontier = head.frontier.clone();
        later.frontier.push(later.events[0].leaf_hash);
        later.recorded_at = chrono::Utc::now();
        later.events[0].recorded_at = later.recorded_at;
        let mut writer = node.journal.writer().await.unwrap();
        assert_eq!(writer.commit(&later).await.unwrap(), Committed::Yes);
        let error = refused(&node, id).await;
        assert!(matches!(error, JournalError::OldRelease), "{error:?}");
        node.admin(other, rename("Augusta")).await.unwrap();
        assert_eq!(node.position().await, 4, "the event and the command of the other one");
        let stopped = followers::rebuild(&node, &|_, _| {}).await;
        let names = |reason: &str| reason.starts_with("event at position 3: ");
        assert!(matches!(&stopped, Err(RebuildError::NotFoldable { reason, .. }) if names(reason)), "{stopped:?}");
        assert_eq!(node.find(other).await.person.first_name, "Augusta", "the former documents are served on");
    }

    async fn a_snapshot_of_another_shape_is_folded_again(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, Some("ada@example.org"))).await.unwrap();
        for n in 2..=101 {
            node.admin(id, rename(&format!("Ada {n}"))).await.unwrap();
        }
        let mut sql = database.sql().await;
        until("the snapshot is saved", async || sql.number("SELECT count(*) FROM snapshots").await == 1).await;
        let expected = state(&node, &id.to_string()).await;
        // With the present shape this payload would be trusted.
        sql.run(r#"UPDATE snapshots SET payload = '"Absent"'"#).await.unwrap();
        assert_eq!(state(&*database.open().await, &id.to_string()).await, (101, Admin::Absent));
        for shape in ["shape - 1", "shape + 2"] {
            sql.run(&format!("UPDATE snapshots SET shape = {shape}")).await.unwrap();
            assert_eq!(state(&*database.open().await, &id.to_string()).await, expected, "{shape}");
        }
    }

    async fn a_later_shape_is_not_replaced_by_an_earlier_one(database) {
        let node = database.open().await;
        let save = |last_sequence: u64, shape: u32| {
            let payload = json!([last_sequence, shape]).to_string();
            node.journal.save_snapshot("admin", "a", registrar::journal::StoredSnapshot { last_sequence, shape, payload })
        };
        for (saved, kept) in [((100, 1), (100, 1)), ((100, 2), (100, 2)), ((200, 1), (100, 2)), ((200, 2), (200, 2)), ((100, 3), (100, 3))] {
            save(saved.0, saved.1).await.unwrap();
            let found = node.journal.snapshot("admin", "a").await.unwrap().unwrap();
            assert_eq!((found.last_sequence, found.shape), kept, "{saved:?}");
            assert_eq!(found.payload.replace(' ', ""), format!("[{},{}]", kept.0, kept.1));
        }
        assert_eq!(database.sql().await.number("SELECT count(*) FROM snapshots").await, 1);
    }

    async fn a_state_archived_in_another_shape_is_folded_again_from_the_archives(database) {
        small_partitions(&database).await;
        let node = filled(&database).await;
        let mut sql = database.sql().await;
        let ids = sql.texts("SELECT aggregate_id FROM streams WHERE aggregate_type = 'admin' ORDER BY 1").await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.ndjson");
        archived(&node, 300, &path).await.unwrap();
        // Two of the admins have later events.
        for (id, name) in ids.iter().zip(["Grace", "Mary"]) {
            node.admin(id.parse().unwrap(), rename(name)).await.unwrap();
        }
        let mut expected = Vec::new();
        for id in &ids {
            expected.push(state(&node, id).await);
        }
        node.close().await;
        drop(node);
        assert_eq!(sql.run("UPDATE snapshots SET shape = shape - 1").await.unwrap(), 40);

        let app = App::over(database.open().await, ApiSettings::default()).await;
        let (node, head) = (&app.state.node, app.head().await);
        let error = refused(node, ids[0].parse().unwrap()).await;
        assert!(matches!(error, JournalError::OtherShape { .. }), "{error:?}");
        assert!(error.to_string().contains("run `registrar journal resnapshot`"), "{error}");
        let person = node.find(ids[0].parse().unwrap()).await.person_id.to_string();
        let steps = json!([{"op": "replace", "path": "/person/lastName", "value": "Byron"}]);
        let patched = app.call("PATCH", &format!("{ADMINS}/{person}")).json(&steps).send().await.refused(503);
        let told = "this needs a state that an earlier release archived; the operator has to run `registrar journal resnapshot`";
        assert_eq!(patched, told);
        assert_eq!(app.head().await, head, "nothing is stored");

        // The archive must exist and be unaltered.
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let missing = resnapshot(node, &|_, _| {}).await;
        assert!(matches!(missing, Err(ResnapshotError::History(HistoryError::Missing { .. }))), "{missing:?}");
        std::fs::write(&path, whole.replacen("admin.registered", "admin.reregistered", 1)).unwrap();
        let altered = resnapshot(node, &|_, _| {}).await;
        assert!(matches!(altered, Err(ResnapshotError::History(HistoryError::Altered { .. }))), "{altered:?}");
        assert_eq!(sql.number("SELECT count(*) FROM snapshots WHERE shape <> 0").await, 0, "nothing is stored");
        std::fs::write(&path, &whole).unwrap();

        // With a running server that waits for the snapshots.
        let mut command = crate::process::registrar(&database.settings, &["journal", "resnapshot"]);
        command.env("REGISTRAR_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        let done = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout), "40 states made anew\n", "{done:?}");
        for (id, expected) in ids.iter().zip(&expected) {
            assert_eq!(&state(node, id).await, expected);
        }
        assert_eq!(app.call("PATCH", &format!("{ADMINS}/{person}")).json(&steps).send().await.status, 200);
        let snapshots = sql.rows("snapshots").await.join("\n");
        assert!(!snapshots.contains("Augusta") && !snapshots.contains("example.org"), "personal values are sealed");
        assert_eq!(resnapshot(node, &|_, _| {}).await.unwrap(), 0);
        // A snapshot of a later release is not recreated.
        sql.run("UPDATE snapshots SET shape = shape + 2").await.unwrap();
        let late = refused(&*database.open().await, ids[1].parse().unwrap()).await;
        assert!(matches!(late, JournalError::OldRelease), "{late:?}");
    }
}
