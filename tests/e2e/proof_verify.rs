//! `journal verify`. The journal is altered with its triggers disabled, as by an attacker with full access to the
//! database.

use crate::on_both_stores;
use crate::process::{fail, registrar, run};
use crate::support::*;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use registrar::checkpoint::{NoteVerifier, signer};
use registrar::committer::ExpectedVersion;
use registrar::journal::codec;
use registrar::journal_files::{verify, verify::ExpectedCheckpoint};
use registrar::merkle::Frontier;
use registrar::node::{Node, Store};
use uuid::Uuid;

/// A journal of some 700 events of several kinds, with stored nodes of its tree.
async fn filled(database: &Database) -> std::sync::Arc<Node> {
    let node = database.open().await;
    let id = Uuid::now_v7();
    node.admin(id, registration(id, Some("ada@example.org"))).await.unwrap();
    node.own(id, rename("Augusta"), None).await.unwrap();
    signer(&node).await.unwrap();
    for n in 0..7 {
        let events = (0..100).map(|n| trail_read(&n.to_string())).collect();
        node.append(vec![(access_stream(&format!("r{n}")), ExpectedVersion::Any, events)]).await.unwrap();
    }
    node.store.tree().extend().await.unwrap();
    node
}

async fn note(node: &Node) -> String {
    signer(node).await.unwrap().sign(&node.journal.head().await.unwrap().frontier)
}

/// Runs statements with the guards disabled.
async fn tamper(database: &Database, statements: &[String]) {
    let mut sql = database.sql().await;
    match sql {
        Sql::Postgres(_) => {
            sql.run("SET session_replication_role = replica").await.unwrap();
        }
        Sql::Sqlite(_) => {
            for trigger in ["events_no_update", "events_no_delete", "events_no_replace"] {
                sql.run(&format!("DROP TRIGGER {trigger}")).await.unwrap();
            }
        }
    }
    for statement in statements {
        sql.run(statement).await.unwrap();
    }
}

async fn found(database: &Database, held: Option<&ExpectedCheckpoint>) -> String {
    let store = Store::open(&database.settings).unwrap();
    verify(&store, held, &|_, _| {}).await.unwrap_err().to_string()
}

/// Bytes as a literal of the store.
fn literal(database: &Database, bytes: &[u8]) -> String {
    if database.settings.database_url.is_some() { format!("'\\x{}'", hex(bytes)) } else { format!("x'{}'", hex(bytes)) }
}

/// The statement that replaces text in a JSON column.
fn replace(database: &Database, column: &str, from: &str, to: &str, position: u64) -> String {
    let (text, json) = if database.settings.database_url.is_some() { ("::text", "::json") } else { ("", "") };
    format!("UPDATE events SET {column} = replace({column}{text}, '{from}', '{to}'){json} WHERE position = {position}")
}

/// Alters a journal and asserts the error of the verification.
async fn assert_verification_fails(database: &Database, statements: &[String], expected: &str) {
    filled(database).await.close().await;
    tamper(database, statements).await;
    assert_eq!(found(database, None).await, format!("the journal was altered: {expected}"));
    // The verification writes nothing: a second run finds the same.
    assert_eq!(found(database, None).await, format!("the journal was altered: {expected}"));
}

async fn told_of(database: &Database, statement: &str, expected: &str) {
    assert_verification_fails(database, &[statement.to_owned()], expected).await;
}

on_both_stores! {
    async fn an_unaltered_journal_is_in_order(database) {
        let store = Store::open(&database.settings).unwrap();
        store.migrate().await.unwrap();
        assert_eq!(verify(&store, None, &|_, _| {}).await.unwrap().position, 0);
        let node = filled(&database).await;
        let before = note(&node).await;
        node.append(vec![(access_stream("r"), ExpectedVersion::Any, vec![trail_read("t")])]).await.unwrap();
        for note in [before, note(&node).await] {
            let verified = verify(&store, Some(&ExpectedCheckpoint { note, key: None }), &|_, _| {}).await.unwrap();
            let head = node.journal.head().await.unwrap();
            assert_eq!((verified.position, verified.root), (head.position, head.frontier.root()));
        }
        let printed = run(&database.settings, &["journal", "verify"]);
        let head = node.journal.head().await.unwrap();
        let root = BASE64.encode(head.frontier.root());
        assert_eq!(printed, format!("{} events, root {root}: nothing was altered\n", head.position));
    }

    async fn a_changed_byte_of_a_payload_is_found(database) {
        let statement = replace(&database, "payload", "\"trail\":\"1\"", "\"trail\":\"2\"", 305);
        let statement = [statement, replace(&database, "payload", "trail", "trial", 306)];
        assert_verification_fails(&database, &statement[..], "the event at position 305 is not the one that was stored there").await;
    }

    async fn a_changed_byte_of_metadata_is_found(database) {
        let statement = replace(&database, "metadata", "system", "System", 2);
        let statement = [statement, replace(&database, "metadata", "requestId", "requestid", 9)];
        assert_verification_fails(&database, &statement[..], "the event at position 9 is not the one that was stored there").await;
    }

    async fn a_changed_column_is_found(database) {
        for (n, change) in ["aggregate_id = 'R'", "aggregate_type = 'admin'", "sequence = 1000", "event_type = 'x'", "event_version = '2.0'"].iter().enumerate() {
            let database = database.another().await;
            let position = 300 + n;
            let expected = format!("the event at position {position} is not the one that was stored there");
            told_of(&database, &format!("UPDATE events SET {change} WHERE position = {position}"), &expected).await;
        }
    }

    async fn a_changed_time_is_found(database) {
        let later = if database.settings.database_url.is_some() { "recorded_at + interval '1 ms'" } else { "'2020-01-01T00:00:00.000Z'" };
        told_of(&database, &format!("UPDATE events SET recorded_at = {later} WHERE position = 1"), "the event at position 1 is not the one that was stored there").await;
    }

    async fn a_text_that_is_no_json_is_found(database) {
        let broken = if database.settings.database_url.is_some() { "'{}'::json" } else { "'{' || char(31) || char(30)" };
        let told = {
            filled(&database).await.close().await;
            tamper(&database, &[format!("UPDATE events SET payload = {broken} WHERE position = 20")]).await;
            found(&database, None).await
        };
        assert!(told.contains("event at position 20 "), "{told}");
    }

    async fn a_removed_row_is_found(database) {
        told_of(&database, "DELETE FROM events WHERE position = 128", "the event at position 128 is missing").await;
    }

    async fn a_missing_first_row_is_found(database) {
        told_of(&database, "DELETE FROM events WHERE position IN (1, 200)", "the event at position 1 is missing").await;
    }

    async fn two_swapped_rows_are_found(database) {
        let swap = ["UPDATE events SET position = 100000 WHERE position = 410", "UPDATE events SET position = 410 WHERE position = 420", "UPDATE events SET position = 420 WHERE position = 100000"];
        assert_verification_fails(&database, &swap.map(String::from), "the event at position 410 is not the one that was stored there").await;
    }

    async fn a_truncated_tail_is_found(database) {
        told_of(&database, "DELETE FROM events WHERE position > 690", "the event at position 691 is missing").await;
    }

    async fn a_row_beyond_the_head_is_found(database) {
        told_of(&database, "UPDATE journal_head SET position = 512, frontier = (SELECT hash FROM merkle_nodes WHERE level = 8 AND number = 0)", "an event stands at position 513, beyond the end that journal_head names").await;
    }

    async fn a_changed_head_is_found(database) {
        let node = filled(&database).await;
        let mut frontier = node.journal.head().await.unwrap().frontier.to_bytes();
        let position = node.position().await;
        node.close().await;
        *frontier.last_mut().unwrap() ^= 1;
        tamper(&database, &[format!("UPDATE journal_head SET frontier = {}", literal(&database, &frontier))]).await;
        assert_eq!(found(&database, None).await, format!("the journal was altered: journal_head is not that of the {position} events that are there"));
        tamper_head(&database, &format!("frontier = {}", literal(&database, &[1, 2, 3]))).await;
        assert!(found(&database, None).await.starts_with("the journal was altered: journal_head is not readable"));
    }

    /// An attacker who replaces an event, its leaf hash and the head is revealed by the stored tree nodes.
    async fn an_event_exchanged_with_its_leaf_hash_is_found_nearby(database) {
        let node = filled(&database).await;
        let mut events = node.all_events().await;
        node.close().await;
        let statements = forged(&database, &mut events, 299);
        tamper(&database, &statements).await;
        assert_eq!(found(&database, None).await, "the journal was altered: an event from position 257 to 512, with its leaf hash, is not the one that was stored there");
    }

    /// If the stored nodes are replaced too, a checkpoint reveals it.
    async fn a_forged_journal_does_not_match_its_checkpoint(database) {
        let node = filled(&database).await;
        let note = note(&node).await;
        let mut events = node.all_events().await;
        node.close().await;
        let mut statements = forged(&database, &mut events, 299);
        statements.push("DELETE FROM merkle_nodes".into());
        tamper(&database, &statements).await;
        let store = Store::open(&database.settings).unwrap();
        verify(&store, None, &|_, _| {}).await.unwrap();
        let told = found(&database, Some(&ExpectedCheckpoint { note, key: None })).await;
        assert_eq!(told, format!("the journal was altered: its first {} events are not those of the checkpoint", events.len()));
    }

    async fn a_shortened_journal_does_not_match_its_checkpoint(database) {
        let node = filled(&database).await;
        let (note, position) = (note(&node).await, node.position().await);
        let frontier = node.store.tree().frontier(600).await.unwrap().to_bytes();
        node.close().await;
        let mut statements = vec!["DELETE FROM events WHERE position > 600".to_owned(), "DELETE FROM merkle_nodes".into()];
        statements.push(format!("UPDATE journal_head SET position = 600, frontier = {}", literal(&database, &frontier)));
        statements.push("DELETE FROM streams WHERE aggregate_id = 'r6'".to_owned());
        statements.push("UPDATE streams SET version = (SELECT max(sequence) FROM events WHERE aggregate_id = 'r5') WHERE aggregate_id = 'r5'".to_owned());
        tamper(&database, &statements).await;
        let held = ExpectedCheckpoint { note, key: None };
        assert_eq!(found(&database, Some(&held)).await, format!("the journal was altered: the checkpoint is of {position} events, the journal ends at position 600"));
    }

    async fn a_stream_at_another_version_is_found(database) {
        told_of(&database, "UPDATE streams SET version = 99 WHERE aggregate_id = 'r3'", "the events of audit-access/r3 are not numbered from 1 to the stream's version").await;
    }

    async fn a_checkpoint_that_others_signed_is_not_believed(database) {
        let node = filled(&database).await;
        let note = note(&node).await;
        let trusted = signer(&node).await.unwrap().verifier().clone();
        let other = NoteVerifier::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let told = |held: ExpectedCheckpoint| async { let held = held; found(&database, Some(&held)).await };
        for (note, key, reason) in [
            (note.clone(), Some(other), "it is not signed by the key of this journal"),
            (note.replacen("\n7", "\n8", 1), Some(trusted.clone()), "its signature is wrong"),
            ("nonsense".into(), None, "it is not a signed checkpoint"),
        ] {
            let told = told(ExpectedCheckpoint { note, key }).await;
            assert!(told.starts_with(&format!("the checkpoint cannot be used: {reason}\n")), "{told}");
        }
        let store = Store::open(&database.settings).unwrap();
        verify(&store, Some(&ExpectedCheckpoint { note, key: Some(trusted) }), &|_, _| {}).await.unwrap();
    }

    async fn the_program_prints_one_line_and_fails(database) {
        filled(&database).await.close().await;
        tamper(&database, &["DELETE FROM events WHERE position = 128".to_owned()]).await;
        let told = fail(registrar(&database.settings, &["journal", "verify"]));
        assert_eq!(told, "registrar: the journal was altered: the event at position 128 is missing\n");
    }
}

async fn tamper_head(database: &Database, change: &str) {
    database.sql().await.run(&format!("UPDATE journal_head SET {change}")).await.unwrap();
}

/// Statements that change the event at an index and make leaf hash and head match.
fn forged(database: &Database, events: &mut [registrar::journal::StoredEvent], index: usize) -> Vec<String> {
    let mut frontier = Frontier::default();
    events[index].payload = events[index].payload.replace("trail-read", "trail-reed");
    events[index].leaf_hash = codec::leaf_hash(&events[index]);
    events.iter().for_each(|event| frontier.push(event.leaf_hash));
    let (position, leaf) = (events[index].position, literal(database, &events[index].leaf_hash));
    vec![
        replace(database, "payload", "trail-read", "trail-reed", position),
        format!("UPDATE events SET leaf_hash = {leaf} WHERE position = {position}"),
        format!("UPDATE journal_head SET frontier = {}", literal(database, &frontier.to_bytes())),
    ]
}
