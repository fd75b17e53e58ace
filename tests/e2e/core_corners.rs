//! Corner cases around the commit: wrong clocks, commands that panic, replaced leaders, a database restored to an
//! earlier state, locks held by others.

use crate::on_both_stores;
use crate::support::*;
use chrono::{Duration as Period, Utc};
use registrar::api::ApiSettings;
use registrar::committer::idempotency::AnswerSlot;
use registrar::executor::RequestContext;
use registrar::followers;
use registrar::journal::{Batch, Committed};
use registrar::node::Node;
use registrar::store::DocumentRows;
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, Granter, PersonText};
use registrar_projections::AdminDocument;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn rename(node: &Node, id: Uuid, name: &str) -> Result<u64, String> {
    let change = AdminChange::PersonText(PersonText::LastName, Some(name.to_owned()));
    let command = AdminCommand::Amend(vec![change], Granter::System);
    let done = node.executor.execute::<Admin>(&context(), &id.to_string(), command, None).await;
    done.map(|outcome| outcome.position).map_err(|error| error.to_string())
}

async fn name(node: &Node, id: Uuid) -> Option<String> {
    let found = node.documents.find::<AdminDocument>(&id.to_string()).await.unwrap().value;
    found.map(|admin| admin.person.last_name.clone())
}

async fn head_is_ahead(database: &Database) {
    let ahead = if database.settings.database_url.is_some() {
        "UPDATE journal_head SET recorded_at = now() + interval '1 hour'"
    } else {
        "UPDATE journal_head SET recorded_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 hour')"
    };
    database.sql().await.run(ahead).await.unwrap();
}

on_both_stores! {
    async fn a_journal_that_is_ahead_goes_on_and_says_so(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        head_is_ahead(&database).await;
        drop(node);
        let app = crate::ecg_app::App::over(database.open().await, ApiSettings::default()).await;
        rename(&app.state.node, id, "Later").await.unwrap();
        let ready = app.call("GET", "/readyz").token(None).send().await.json();
        assert_eq!(ready["status"], "ready", "{ready}");
        let seconds = ready["journalAheadSeconds"].as_i64().unwrap();
        assert!((3_500..=3_600).contains(&seconds), "{seconds}");
    }

    async fn a_command_that_panics_costs_no_other(database) {
        let node = database.open().await;
        let slot = AnswerSlot::new(b"k".to_vec(), b"f".to_vec(), Utc::now() + Period::days(1));
        slot.answer_with(|_| panic!("the rendering of an answer"));
        let panicking = RequestContext { answer: Some(Arc::new(slot)), ..context() };
        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        let (id, command) = (one.to_string(), registration(one, None));
        let (failed, done) = tokio::join!(
            node.executor.execute::<Admin>(&panicking, &id, command, None),
            node.admin(other, registration(other, None)),
        );
        assert!(failed.is_err(), "{failed:?}");
        done.unwrap();
        assert_eq!((name(&node, one).await, node.position().await), (None, 1));
        rename(&node, other, "Still").await.unwrap();
        assert!(!node.failed().is_cancelled());
    }

    async fn a_leader_that_was_replaced_counts_nothing_twice(database) {
        let node = database.open().await;
        let generation = node.status().generation;
        let mut writer = node.journal.writer().await.unwrap();
        let mut follow = async |from, to| writer.follow(generation, "f", &DocumentRows::default(), (from, to)).await.unwrap();
        assert!(!follow(3, 5).await, "it never was at 3");
        assert!(follow(0, 5).await);
        assert!(!follow(0, 7).await, "another one has come to 5");
        assert!(follow(5, 7).await);
        assert_eq!(writer.checkpoint(generation, "f").await.unwrap(), 7);
    }

    async fn every_node_takes_over_what_another_one_has_rebuilt(database) {
        let first = database.open().await;
        let id = Uuid::now_v7();
        first.admin(id, registration(id, None)).await.unwrap();
        let idle = database.open().await;
        tokio::spawn(followers::keep_documents(Arc::clone(&idle)));
        // A manual rebuild beside a running server.
        followers::rebuild(&first, &|_, _| {}).await.unwrap();
        let served = first.journal.head().await.unwrap().generation;
        until("the idle node serves the new generation", async || idle.status().generation == served).await;
        first.close().await;
        drop(first);
        // Two nodes of a new release start concurrently.
        database.sql().await.run("UPDATE generations SET signature = 'admins:0'").await.unwrap();
        let nodes = [database.open().await, database.open().await];
        for node in &nodes {
            assert!(node.needs_rebuild());
            tokio::spawn(followers::keep_documents(Arc::clone(node)));
        }
        for node in &nodes {
            until("every node serves", async || !node.needs_rebuild()).await;
            assert!(name(node, id).await.is_some());
        }
    }

    async fn the_first_command_after_a_rebuild_elsewhere_is_carried_out(database) {
        let (node, other) = (database.open().await, database.open().await);
        let ids = [Uuid::now_v7(), Uuid::now_v7()];
        node.admin(ids[0], registration(ids[0], None)).await.unwrap();
        // The node has not cached the second admin.
        other.admin(ids[1], registration(ids[1], None)).await.unwrap();
        rename(&node, ids[0], "Before").await.unwrap();
        for name in ["First", "Second"] {
            followers::rebuild(&other, &|_, _| {}).await.unwrap();
            rename(&node, ids[1], name).await.unwrap();
            assert_eq!(self::name(&node, ids[1]).await.as_deref(), Some(name));
            assert_eq!(self::name(&other, ids[1]).await.as_deref(), Some(name));
        }
    }

    async fn a_database_that_went_back_is_believed(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        let mut sql = database.sql().await;
        let generation = node.status().generation;
        let kept = ["journal_head".to_owned(), "streams".to_owned(), format!("admins_g{generation}")];
        for table in &kept {
            sql.run(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await.unwrap();
        }
        let first = name(&node, id).await;
        rename(&node, id, "Lost").await.unwrap();
        assert_eq!(name(&node, id).await.as_deref(), Some("Lost"));
        tokio::time::sleep(Duration::from_millis(1_500)).await;

        let triggers = if database.settings.database_url.is_some() {
            vec!["ALTER TABLE events DISABLE TRIGGER USER"]
        } else {
            vec!["DROP TRIGGER events_no_delete"]
        };
        for statement in triggers {
            sql.run(statement).await.unwrap();
        }
        sql.run("DELETE FROM events WHERE position > 1").await.unwrap();
        sql.run(&format!("DELETE FROM audit_entries_g{generation} WHERE position > 1")).await.unwrap_or_default();
        for table in &kept {
            sql.run(&format!("DELETE FROM {table}")).await.unwrap();
            sql.run(&format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await.unwrap();
        }
        until("what was lost is forgotten", async || name(&node, id).await == first).await;
        assert_eq!(node.heads.position(), 1);
        // The change is decided upon the restored state, not upon the lost one of the same version.
        let position = rename(&node, id, "Lost").await.unwrap();
        assert_eq!((position, name(&node, id).await.as_deref()), (2, Some("Lost")));
    }
}

#[tokio::test]
async fn nothing_is_recorded_in_the_future() {
    let database = Database::postgres().await;
    let node = database.open().await;
    let stream = access_stream("r");
    let head = node.journal.head().await.unwrap();
    let future = Batch { recorded_at: Utc::now() + Period::seconds(60), ..batch(&head, &[(&stream, 1)]) };
    let mut writer = node.journal.writer().await.unwrap();
    assert_eq!(writer.commit(&future).await.unwrap(), Committed::ClockAhead);
    assert_eq!(node.journal.head().await.unwrap(), head, "nothing is stored");
    let present = Batch { recorded_at: Utc::now(), ..future };
    assert_eq!(writer.commit(&present).await.unwrap(), Committed::Yes);
}

#[tokio::test]
async fn a_partition_is_not_waited_for_with_the_head_locked() {
    let database = Database::postgres().await;
    let _node = database.open().await;
    let (mut analysing, mut sql) = (database.sql().await, database.sql().await);
    analysing.run("BEGIN").await.unwrap();
    analysing.run("LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE").await.unwrap();
    let begun = Instant::now();
    sql.run("SELECT partition_events(partitioned_until) FROM journal_head").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn settings_of_the_role_do_not_matter() {
    let database = Database::postgres().await;
    let mut sql = database.sql().await;
    for setting in
        ["default_transaction_isolation = 'serializable'", "statement_timeout = '300ms'", "lock_timeout = '1ms'"]
    {
        sql.run(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$",
            setting.replace('\'', "''")
        ))
        .await
        .unwrap();
    }
    let nodes = [database.open().await, database.open().await];
    let ids: Vec<_> = (0..40).map(|_| Uuid::now_v7()).collect();
    let registered = ids.iter().enumerate().map(|(index, id)| nodes[index % 2].admin(*id, registration(*id, None)));
    for done in futures::future::join_all(registered).await {
        done.unwrap();
    }
    followers::rebuild(&nodes[0], &|_, _| {}).await.unwrap();
    let found = name(&nodes[1], ids[0]).await;
    assert!(found.is_some());
}

/// A session of an operator holds the head; no time-out ends it.
#[tokio::test]
async fn a_command_that_was_given_up_is_not_committed_later() {
    let database = Database::postgres().await;
    let node = database.open().await;
    let (mut holding, mut sql) = (database.sql().await, database.sql().await);
    holding.run("BEGIN").await.unwrap();
    holding.run("SELECT 1 FROM journal_head FOR UPDATE").await.unwrap();
    let (id, begun) = (Uuid::now_v7(), Instant::now());
    let refused = node.admin(id, registration(id, None)).await;
    assert!(refused.is_err() && begun.elapsed() < Duration::from_secs(25), "{refused:?} after {:?}", begun.elapsed());
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("nobody waits for the head any more", async || sql.number(waiting).await == 0).await;
    holding.run("ROLLBACK").await.unwrap();
    rename(&node, id, "Nobody").await.unwrap_err();
    assert_eq!(node.position().await, 0, "nothing was committed behind the caller's back");
}
