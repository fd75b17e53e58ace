//! A database that lost its last commits, in a failover or by a restore in place, and the state of it that clients and
//! nodes still hold.

use crate::ecg_app::{ADMINS, App, path_of, sample};
use crate::on_both_stores;
use crate::support::*;
use registrar::journal::{Batch, Committed};
use registrar::node::Node;
use registrar_aggregates::admin::{Admin, AdminChange, AdminCommand, Granter, PersonText};
use registrar_projections::AdminDocument;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The tables as of a position, to be restored.
struct Backup {
    position: u64,
    generation: u64,
    tables: Vec<String>,
}

impl Backup {
    async fn of(database: &Database, node: &Node) -> Self {
        let (position, generation) = (node.journal.head().await.unwrap().position, node.status().generation);
        let tables: Vec<_> = ["journal_head", "streams", "claims"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("admins_g{generation}")])
            .collect();
        let mut sql = database.sql().await;
        for table in &tables {
            sql.run(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await.unwrap();
        }
        let lift = match database.settings.database_url.is_some() {
            true => "ALTER TABLE events DISABLE TRIGGER USER",
            false => "DROP TRIGGER events_no_delete",
        };
        sql.run(lift).await.unwrap();
        Backup { position, generation, tables }
    }

    /// Restores the tables, which loses every later commit.
    async fn bring_back(&self, database: &Database) {
        let Backup { position, generation, tables } = self;
        let mut sql = database.sql().await;
        sql.run("BEGIN").await.unwrap();
        sql.run(&format!("DELETE FROM events WHERE position > {position}")).await.unwrap();
        sql.run(&format!("DELETE FROM audit_entries_g{generation} WHERE position > {position}")).await.unwrap();
        for table in tables {
            sql.run(&format!("DELETE FROM {table}")).await.unwrap();
            sql.run(&format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await.unwrap();
        }
        sql.run("COMMIT").await.unwrap();
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn change(node: &Node, id: Uuid, text: PersonText, to: &str) {
    let command = AdminCommand::Amend(vec![AdminChange::PersonText(text, Some(to.to_owned()))], Granter::System);
    node.executor.execute::<Admin>(&context(), &id.to_string(), command, None).await.unwrap();
}

fn first_name(name: &str) -> Value {
    json!([{"op": "replace", "path": "/person/firstName", "value": name}])
}

on_both_stores! {
    async fn versions_and_cursors_of_a_lost_history_are_refused(database) {
        let app = App::open(&database).await;
        let node = &app.state.node;
        let admin = app.create(&sample()).await;
        let (path, tag) = (path_of(&admin), app.get(&path_of(&admin)).await.header("etag").to_owned());
        let kept = Backup::of(&database, node).await;
        let lost = app.call("PATCH", &path).header("if-match", &tag).json(&first_name("Lost")).send().await;
        let lost_tag = lost.header("etag").to_owned();
        app.patch(&admin, &first_name("Lost too")).await.ok();
        let page = app.get(&format!("/audit/events?after={}&limit=1", kept.position)).await;
        let lost_cursor = page.json()["next"].as_str().unwrap().to_owned();
        let whole = app.get("/audit/events?limit=1").await;
        let cursor = whole.json()["next"].as_str().unwrap().to_owned();
        let lost_position = app.head().await;
        // A node reads the head once a second, so it has seen the lost commits.
        tokio::time::sleep(Duration::from_millis(1_500)).await;

        kept.bring_back(&database).await;
        until("the lost history is forgotten", async || node.heads.position() == kept.position).await;
        // The new commit has the stream version and the position of the lost one.
        let other = app.call("PATCH", &path).header("if-match", &tag).json(&first_name("Other")).send().await;
        assert_eq!((other.version(), lost.version()), (2, 2), "{other:?}");
        app.refused(app.call("PATCH", &path).header("if-match", &lost_tag).json(&first_name("Back")), 412).await;
        app.refused(app.call("POST", &format!("{path}/deactivate")).header("if-match", &lost_tag), 412).await;
        assert_eq!(app.get(&path).await.ok()["person"]["firstName"], "Other");
        let early = app.call("GET", ADMINS).header("registrar-min-position", lost_position.to_string());
        app.refused(early, 503).await;
        let goes_on = |cursor: &str| app.call("GET", &format!("/audit/events?limit=1&after={cursor}"));
        let before = app.head().await;
        let told = app.get(&format!("/audit/events?after={lost_cursor}&limit=1")).await;
        assert!(told.status == 400 && told.text.contains("the database has lost"), "{told:?}");
        assert_eq!(app.head().await, before, "not even the reading is recorded");
        assert_eq!(goes_on(&cursor).send().await.status, 200);
        let answer = app.call("PATCH", &path).header("if-match", other.header("etag")).json(&first_name("Next")).send().await;
        assert_eq!(answer.version(), 3, "{answer:?}");
    }

    async fn a_decision_upon_a_lost_history_is_made_again(database) {
        let node = database.open().await;
        let id = Uuid::now_v7();
        node.admin(id, registration(id, None)).await.unwrap();
        let kept = Backup::of(&database, &node).await;
        change(&node, id, PersonText::FirstName, "Lost").await;
        kept.bring_back(&database).await;
        // A second node writes as many events as were lost before the first can notice the loss.
        let other = database.open().await;
        change(&other, id, PersonText::FirstName, "Other").await;
        change(&node, id, PersonText::LastName, "New").await;
        for node in [&node, &other] {
            let admin = node.documents.find::<AdminDocument>(&id.to_string()).await.unwrap().value.unwrap();
            assert_eq!((admin.version, admin.person.first_name.as_str(), admin.person.last_name.as_str()), (3, "Other", "New"));
        }
        let verified = registrar::journal_files::verify(&node.store, None, &|_, _| {}).await.unwrap();
        assert_eq!(verified.position, kept.position + 2);
    }

    async fn nothing_is_written_behind_another_history(database) {
        let node = database.open().await;
        let stream = access_stream("r");
        let mut writer = node.journal.writer().await.unwrap();
        let first = node.journal.head().await.unwrap();
        assert_eq!(writer.commit(&batch(&first, &[(&stream, 1)])).await.unwrap(), Committed::Yes);
        let head = node.journal.head().await.unwrap();
        let mut other = first.frontier;
        other.push([7; 32]);
        let behind = Batch { expected_frontier: other, ..batch(&head, &[(&stream, 2)]) };
        assert_eq!(writer.commit(&behind).await.unwrap(), Committed::HeadMoved);
        assert_eq!(node.journal.head().await.unwrap(), head, "nothing is stored");
        assert_eq!(writer.commit(&batch(&head, &[(&stream, 2)])).await.unwrap(), Committed::Yes);
    }
}
