//! Archives: old events leave the database and nothing else changes.

use crate::ecg_app::App;
use crate::journal_files_support::*;
use crate::on_both_stores;
use crate::publishing::harness::{NatsServer, Publisher, commit};
use crate::support::*;
use registrar::api::ApiSettings;
use registrar::followers;
use registrar::journal::JournalError;
use registrar::journal_files::{
    ArchiveError, ArchivedRange, ExportError, ExportFilter, Format, archive, import, verify, verify::ExpectedCheckpoint,
};
use registrar::publisher::STREAM;
use registrar::store::DocumentRows;
use registrar_aggregates::admin::{Admin, AdminCommand, Granter};
use registrar_aggregates::key_ring::{KEY_RING_ID, KeyRing};
use uuid::Uuid;

on_both_stores! {
    async fn positions_proofs_states_and_documents_stay(database) {
        small_partitions(&database).await;
        let app = App::over(filled(&database).await, ApiSettings::default()).await;
        let node = &app.state.node;
        follow(node).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        let size = node.position().await;
        let tree = node.store.tree();
        let (before, proof, consistency) = (note(node).await, tree.inclusion(600, size).await.unwrap(), tree.consistency(100, size).await.unwrap());
        let (served, proof_of_old) = (documents(node).await, tree.inclusion(10, size).await.unwrap());
        let admin = node.all_events().await[0].aggregate_id.clone();
        let state = node.executor.state::<Admin>(&admin).await.unwrap();
        let ring = node.executor.state::<KeyRing>(KEY_RING_ID).await.unwrap().0;

        assert_eq!(archived(node, 600, &path).await.unwrap(), (1, 512));
        let fresh = database.open().await;
        assert_eq!((note(&fresh).await, documents(&fresh).await), (before.clone(), served));
        let tree = fresh.store.tree();
        assert_eq!(tree.inclusion(600, size).await.unwrap(), proof);
        assert_eq!(tree.inclusion(10, size).await.unwrap(), proof_of_old);
        assert_eq!(tree.consistency(100, size).await.unwrap(), consistency);
        assert_eq!(fresh.executor.state::<Admin>(&admin).await.unwrap(), state);
        assert_eq!(fresh.executor.state::<KeyRing>(KEY_RING_ID).await.unwrap().0, ring);
        verify(&fresh.store, Some(&ExpectedCheckpoint { note: before, key: None }), &|_, _| {}).await.unwrap();
        assert_eq!(database.sql().await.number("SELECT count(*) FROM events WHERE position <= 512").await, 0);

        // Commands go on, also for the archived admin.
        let id: Uuid = admin.parse().unwrap();
        fresh.admin(id, rename("Once more")).await.unwrap();
        assert_eq!(fresh.find(id).await.person.first_name, "Once more");
        let taken = Uuid::now_v7();
        assert!(fresh.admin(taken, registration(taken, Some("ada3@example.org"))).await.is_err());
        let token = fresh.journal.read(512, 1).await.unwrap();
        assert_eq!(token[0].position, 513);
        assert_eq!(app.get("/api/ecg-admins").await.status, 200);
        verify(&fresh.store, None, &|_, _| {}).await.unwrap();
    }

    async fn a_node_that_remembers_less_than_was_archived_finds_the_rest(database) {
        small_partitions(&database).await;
        let (node, other) = (database.open().await, database.open().await);
        let id = Uuid::now_v7();
        node.admin(id, registration(id, Some("ada@example.org"))).await.unwrap();
        assert_eq!(other.executor.state::<Admin>(&id.to_string()).await.unwrap().0, 1);
        node.admin(id, rename("Augusta")).await.unwrap();
        node.admin(id, AdminCommand::Deactivate(Granter::System)).await.unwrap();
        filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        archived(&node, 257, &folder.path().join("archive")).await.unwrap();
        // A command without effect is decided upon the present state, not upon the archived one.
        let position = other.position().await;
        assert_eq!(other.admin(id, AdminCommand::Deactivate(Granter::System)).await.unwrap().position, position);
        assert_eq!(other.executor.state::<Admin>(&id.to_string()).await.unwrap(), node.executor.state::<Admin>(&id.to_string()).await.unwrap());
        other.admin(id, rename("Ada")).await.unwrap();
        assert_eq!(other.executor.state::<Admin>(&id.to_string()).await.unwrap().0, 4);
    }

    async fn archived_events_are_reported_as_archived_and_never_as_not_found(database) {
        small_partitions(&database).await;
        let app = App::over(filled(&database).await, ApiSettings::default()).await;
        let node = &app.state.node;
        let folder = tempfile::tempdir().unwrap();
        let reader = node.all_events().await[300].aggregate_id.clone();
        archived(node, 600, &folder.path().join("archive")).await.unwrap();
        for after in [0, 1, 511] {
            let refused = node.journal.read(after, 10).await;
            assert!(matches!(refused, Err(JournalError::Archived { until: 512 })), "{refused:?}");
        }
        let refused = node.journal.stream("audit-access", &reader, 0).await;
        assert!(matches!(refused, Err(JournalError::Archived { until: 512 })), "{refused:?}");
        for path in ["events/7", "events?limit=5", "events?aggregateType=admin", &format!("audit-access/{reader}/history")] {
            let answer = app.get(&format!("/audit/{path}")).await;
            assert_eq!(answer.status, 410, "{path}: {answer:?}");
            let problem = answer.json();
            assert_eq!((problem["code"].as_str(), problem["detail"].as_str()), (Some("archived"), Some("this needs events that were archived, up to position 512; lists of events can begin after it")));
        }
        assert_eq!(app.get("/audit/events/513").await.status, 200);
        assert_eq!(app.get("/audit/events?after=cursor").await.status, 400);
        assert_eq!(app.get("/events/stream?after=511").await.status, 410);
        assert_eq!(app.get("/audit/proofs/inclusion?position=7").await.status, 200);
        let refused = export_to(node, &folder.path().join("all"), ExportFilter::all(Format::Ndjson)).await;
        assert!(matches!(refused, Err(ExportError::Archived(512))), "{refused:?}");
    }

    async fn an_archive_and_the_rest_make_the_journal_again(database) {
        small_partitions(&database).await;
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let whole = export_all(&node, folder.path(), "whole").await;
        let parts = ["one", "two", "rest"].map(|name| folder.path().join(name));
        assert_eq!(archived(&node, 257, &parts[0]).await.unwrap(), (1, 256));
        assert_eq!(archived(&node, u64::MAX, &parts[1]).await.unwrap(), (257, 512));
        export_to(&node, &parts[2], ExportFilter { after: 512, ..ExportFilter::all(Format::Ndjson) }).await.unwrap();
        let joined: String = parts.iter().map(|part| std::fs::read_to_string(part).unwrap()).collect();
        assert_eq!(joined, std::fs::read_to_string(&whole).unwrap());

        let target = Database::sqlite();
        let restored = target.open().await;
        let imported = import(&restored, &parts, None, &|_, _| {}).await.unwrap();
        followers::rebuild(&restored, &|_, _| {}).await.unwrap();
        restored.close().await;
        let restored = target.open().await;
        follow(&restored).await;
        assert_eq!((imported.position, note(&restored).await), (node.position().await, note(&node).await));
        assert_eq!(documents(&restored).await, documents(&node).await);
        let again = target_without(&parts[1..]).await;
        assert!(again.contains("position 1 is missing, 257 follows"), "{again}");
    }

    async fn events_that_cannot_be_archived_stay(database) {
        small_partitions(&database).await;
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        let events = node.all_events().await;
        for before in [0, 1, 256] {
            let refused = archived(&node, before, &path).await;
            assert!(matches!(refused, Err(ArchiveError::Nothing { archived: 0, .. })), "{refused:?}");
        }
        std::fs::write(&path, "mine").unwrap();
        let refused = archived(&node, 600, &path).await;
        assert!(matches!(refused, Err(ArchiveError::Export(ExportError::File(_)))), "{refused:?}");
        assert_eq!(node.all_events().await, events);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        std::fs::remove_file(&path).unwrap();
        archived(&node, 600, &path).await.unwrap();
        let again = archived(&node, 600, &folder.path().join("again")).await;
        assert!(matches!(again, Err(ArchiveError::Nothing { archived: 512, .. })), "{again:?}");
    }

    async fn events_that_a_follower_has_not_passed_are_not_archived(database) {
        small_partitions(&database).await;
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let (events, path) = (node.all_events().await, folder.path().join("archive"));
        let mut from = 0;
        for (position, passed) in [(0, false), (511, false), (512, true)] {
            // The checkpoint of a follower at this position.
            let mut writer = node.journal.writer().await.unwrap();
            let name = registrar_projections::FOLLOWING[0].name;
            let generation = node.status().generation;
            if position > 0 {
                assert!(writer.follow(generation, name, &DocumentRows::default(), (from, position)).await.unwrap());
                from = position;
            }
            drop(writer);
            let result = archive(&node, 600, &path, None, &|_, _| {}).await;
            if passed {
                assert_eq!(result.unwrap(), ArchivedRange { first: 1, last: 512 });
                continue;
            }
            let refused = result.unwrap_err();
            assert!(matches!(refused, ArchiveError::Followed { position: at, last: 512, .. } if at == position), "{refused:?}");
            let told = format!("the follower {name} still needs the events: it has come to position {position}, those up to 512 would be archived\nLet a server run");
            assert!(refused.to_string().starts_with(&told), "{refused}");
            assert_eq!(node.all_events().await, events);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    async fn events_that_are_not_published_are_not_archived(database) {
        small_partitions(&database).await;
        let (node, nats) = (filled(&database).await, NatsServer::start());
        follow(&node).await;
        let folder = tempfile::tempdir().unwrap();
        let (events, path, settings) = (node.all_events().await, folder.path().join("archive"), nats.settings());
        let refuse = async || {
            let refused = archive(&node, u64::MAX, &path, Some(&settings), &|_, _| {}).await.unwrap_err();
            assert_eq!(node.all_events().await, events);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
            refused
        };
        let refused = refuse().await;
        assert!(matches!(refused, ArchiveError::Unpublished { position: 0, last: 512 }), "{refused:?}");
        let told = "the events are not all published: the stream REGISTRAR ends at position 0, those up to 512 would be archived\nLet a server publish";
        assert!(refused.to_string().starts_with(told), "{refused}");
        assert!(nats.jetstream().await.get_stream(STREAM).await.is_err(), "asking makes no stream");
        let publisher = Publisher::of_node(&node, settings.clone());
        publisher.reached(events.len() as u64).await;
        publisher.stop().await;
        // The last message in the stream is that of the archive's end, or an earlier one.
        let sequence = nats.stream().await.cached_info().state.last_sequence;
        for gone in (512..=sequence).rev() {
            nats.stream().await.delete_message(gone).await.unwrap();
        }
        let refused = refuse().await;
        assert!(matches!(refused, ArchiveError::Unpublished { position: 511, last: 512 }), "{refused:?}");
        nats.kill();
        let refused = refuse().await;
        assert!(refused.to_string().starts_with("NATS does not say how far the events are published: connecting to NATS: "), "{refused}");
        nats.start_again();
        let publisher = Publisher::of_node(&node, settings.clone());
        publisher.reached(events.len() as u64).await;
        publisher.stop().await;
        let archived = archive(&node, u64::MAX, &path, Some(&settings), &|_, _| {}).await.unwrap();
        assert_eq!(archived, ArchivedRange { first: 1, last: 512 });
    }

    async fn publishing_goes_on_behind_an_archive(database) {
        small_partitions(&database).await;
        let (node, nats) = (filled(&database).await, NatsServer::start());
        let head = commit(&node, 768 - node.position().await).await;
        let publisher = Publisher::of_node(&node, nats.settings());
        publisher.reached(head).await;
        publisher.stop().await;
        follow(&node).await;
        let folder = tempfile::tempdir().unwrap();
        let done = archive(&node, u64::MAX, &folder.path().join("archive"), Some(&nats.settings()), &|_, _| {}).await.unwrap();
        assert_eq!(done, ArchivedRange { first: 1, last: head });
        let publisher = Publisher::of_node(&node, nats.settings());
        let head = commit(&node, 10).await;
        publisher.reached(head).await;
        nats.assert_holds_every_position(head).await;
    }

    async fn the_guard_stands_after_an_archive(database) {
        small_partitions(&database).await;
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        archived(&node, 600, &folder.path().join("archive")).await.unwrap();
        let mut sql = database.sql().await;
        for statement in ["DELETE FROM events WHERE position = 600", "UPDATE events SET event_type = 'x' WHERE position = 600"] {
            let refused = sql.run(statement).await.unwrap_err().to_string();
            assert!(refused.contains("the journal is append-only"), "{refused}");
        }
        node.append(vec![(access_stream("r"), registrar::committer::ExpectedVersion::Any, vec![trail_read("t")])]).await.unwrap();
    }
}

async fn target_without(parts: &[std::path::PathBuf]) -> String {
    let target = Database::sqlite();
    let node = target.open().await;
    let refused = import(&node, parts, None, &|_, _| {}).await.unwrap_err().to_string();
    assert_eq!(node.position().await, 0);
    refused
}

/// Partitions are created ahead of the head, with the same guard as the table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_run_through_partitions() {
    let database = Database::postgres().await;
    small_partitions(&database).await;
    let node = filled(&database).await;
    let head = node.position().await as i64;
    let mut sql = database.sql().await;
    assert!(sql.number("SELECT min(partitioned_until) FROM journal_head").await >= head + 4096);
    assert_eq!(sql.number("SELECT count(*) FROM events_from_257").await, 256);
    assert_eq!(
        sql.number("SELECT count(*) FROM event_partitions").await,
        sql.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass").await
    );
    for statement in
        ["DELETE FROM events_from_1", "UPDATE events_from_1 SET event_type = 'x'", "TRUNCATE events_from_1"]
    {
        let refused = sql.run(statement).await.unwrap_err().to_string();
        assert!(refused.contains("the journal is append-only"), "{statement}: {refused}");
    }
    // Loads scan the partitions from the stream's first event on.
    let plan = sql.texts("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM events WHERE aggregate_type = 'audit-access' AND aggregate_id = 'r5' \
         AND position >= (SELECT coalesce(min(first_position), 1) FROM streams WHERE aggregate_type = 'audit-access' AND aggregate_id = 'r5')").await.join("\n");
    let never = plan.matches("never executed").count();
    assert!(never >= 2 && plan.contains("events_from_513"), "{plan}");
}

/// A long reader, such as `pg_dump`, is waited for without a lock on the head.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_waits_for_a_reader_keeps_no_commit_waiting() {
    let database = Database::postgres().await;
    small_partitions(&database).await;
    let node = filled(&database).await;
    follow(&node).await;
    let folder = tempfile::tempdir().unwrap();
    let mut reading = database.sql().await;
    reading.run("BEGIN").await.unwrap();
    reading.run("LOCK TABLE events IN ACCESS SHARE MODE").await.unwrap();
    let archiving = tokio::spawn({
        let (node, path) = (std::sync::Arc::clone(&node), folder.path().join("archive"));
        async move { archive(&node, 600, &path, None, &|_, _| {}).await }
    });
    let (begun, mut longest) = (std::time::Instant::now(), std::time::Duration::ZERO);
    while begun.elapsed() < std::time::Duration::from_secs(3) {
        let commit = std::time::Instant::now();
        node.append(vec![(access_stream("r"), registrar::committer::ExpectedVersion::Any, vec![trail_read("t")])])
            .await
            .unwrap();
        longest = longest.max(commit.elapsed());
    }
    assert!(!archiving.is_finished(), "it does not wait");
    assert!(longest < std::time::Duration::from_secs(2), "{longest:?}");
    reading.run("ROLLBACK").await.unwrap();
    assert_eq!(archiving.await.unwrap().unwrap(), ArchivedRange { first: 1, last: 512 });
}

/// Events from before the partitions are in them afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_move_into_partitions() {
    let database = Database::postgres().await;
    let mut sql = database.sql().await;
    for migration in [
        include_str!("../../migrations/postgres/0001_journal.sql"),
        include_str!("../../migrations/postgres/0002_audit.sql"),
    ] {
        sql.run(migration).await.unwrap();
    }
    sql.run("INSERT INTO events SELECT n, now(), 'admin', 'a', n, 'x', '1.0', '{\"a\": 1}', '{}', sha256(n::text::bytea) FROM generate_series(1, 1000) n").await.unwrap();
    sql.run("UPDATE journal_head SET position = 1000").await.unwrap();
    let digest = "SELECT md5(string_agg(e::text, '|' ORDER BY position)) FROM events e";
    let before = sql.texts(digest).await;
    sql.run(include_str!("../../migrations/postgres/0003_proofs.sql")).await.unwrap();
    assert_eq!(sql.texts(digest).await, before);
    assert_eq!(sql.number("SELECT count(*) FROM events_from_1").await, 1000);
}
