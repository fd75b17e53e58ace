//! Checkpoints and proofs over HTTP, verified with independent implementations: `signed_note`, `tlog_tiles`, and the
//! leaf recomputed with a stock canonicalizer.

use crate::ecg_app::App;
use crate::on_both_stores;
use crate::support::*;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use registrar::auth::Permission;
use registrar::journal::StoredEvent;
use serde_json::{Value, json};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{Hash, check_record, check_tree, record_hash};
use uuid::Uuid;

fn hash(value: &Value) -> Hash {
    Hash(BASE64.decode(value.as_str().unwrap()).unwrap().try_into().unwrap())
}

fn hashes(proof: &Value) -> Vec<Hash> {
    proof["hashes"].as_array().unwrap().iter().map(hash).collect()
}

/// The leaf hash of the sealed event, computed without Registrar's codec.
fn leaf(event: &StoredEvent) -> Hash {
    let sealed = json!({
        "position": event.position,
        "recordedAt": event.recorded_at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        "aggregateType": event.aggregate_type,
        "aggregateId": event.aggregate_id,
        "sequence": event.sequence,
        "eventType": event.event_type,
        "eventVersion": event.event_version,
        "payload": serde_json::from_str::<Value>(&event.payload).unwrap(),
        "metadata": serde_json::from_str::<Value>(&event.metadata).unwrap(),
    });
    record_hash(&serde_json_canonicalizer::to_vec(&sealed).unwrap())
}

/// Size and root of the checkpoint, whose signature is checked.
async fn checkpoint(app: &App) -> (u64, Hash) {
    let key = app.get("/audit/checkpoint/key").await;
    let note = app.get("/audit/checkpoint").await;
    assert_eq!((note.status, note.header("content-type")), (200.try_into().unwrap(), "text/plain; charset=utf-8"));
    let verifier = StandardVerifier::new(key.text.strip_suffix('\n').unwrap()).unwrap();
    let note = Note::from_bytes(note.text.as_bytes()).unwrap();
    let (verified, _) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!(verified.len(), 1);
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    (checkpoint.size(), *checkpoint.hash())
}

/// Appends events without documents, in few commits.
async fn append(app: &App, count: u64) {
    let mut left = count;
    while left > 0 {
        let now = left.min(400);
        let events = (0..now).map(|n| trail_read(&n.to_string())).collect();
        let any = registrar::committer::ExpectedVersion::Any;
        app.state.node.append(vec![(access_stream("r"), any, events)]).await.unwrap();
        left -= now;
    }
}

async fn prove(app: &App, index: u64, size: u64, root: Hash, event: &StoredEvent) {
    let position = index + 1;
    let proof = app.get(&format!("/audit/proofs/inclusion?position={position}&treeSize={size}")).await.ok();
    assert_eq!(
        (&proof["position"], &proof["leafIndex"], &proof["treeSize"]),
        (&json!(position), &json!(index), &json!(size))
    );
    assert_eq!(hash(&proof["rootHash"]), root);
    check_record(&hashes(&proof), size, root, index, leaf(event)).unwrap();
}

on_both_stores! {
    /// With no stored tree nodes, with some, and with some not stored yet.
    async fn every_event_is_proved_and_every_checkpoint_continues_the_one_before(database) {
        let app = App::open(&database).await;
        let mut checkpoints = vec![checkpoint(&app).await];
        for count in [1, 250, 800, 1_500] {
            append(&app, count).await;
            if count == 800 {
                let covered = app.state.node.store.tree().extend().await.unwrap();
                assert_eq!(covered, app.head().await / 256 * 256);
            }
            checkpoints.push(checkpoint(&app).await);
        }
        let events = app.state.node.all_events().await;
        for (size, root) in &checkpoints {
            for index in [0, 1, 2, 255, 256, 257, 511, 512, 1000, size / 2, size - 2, size - 1] {
                if index < *size {
                    prove(&app, index, *size, *root, &events[index as usize]).await;
                }
            }
        }
        for (from, old) in &checkpoints {
            for (to, new) in checkpoints.iter().filter(|(to, _)| to >= from) {
                let proof = app.get(&format!("/audit/proofs/consistency?from={from}&to={to}")).await.ok();
                assert_eq!((hash(&proof["fromRootHash"]), hash(&proof["toRootHash"])), (*old, *new));
                check_tree(&hashes(&proof), *to, *new, *from, *old).unwrap();
            }
        }
    }

    async fn nodes_that_are_kept_answer_as_those_that_are_computed(database) {
        let app = App::open(&database).await;
        append(&app, 70_000).await;
        let tree = app.state.node.store.tree();
        let size = app.head().await;
        let of = |index| { let tree = tree.clone(); async move { tree.inclusion(index, size).await.unwrap() } };
        database.sql().await.run("DELETE FROM merkle_nodes").await.unwrap();
        let computed = [of(0).await, of(65_535).await, of(65_536).await, of(size - 1).await];
        tree.extend().await.unwrap();
        let mut sql = database.sql().await;
        assert_eq!(sql.number("SELECT count(*) FROM merkle_nodes WHERE level = 8").await as u64, size / 256);
        assert_eq!(sql.number("SELECT count(*) FROM merkle_nodes WHERE level = 16").await, 1);
        assert_eq!(computed, [of(0).await, of(65_535).await, of(65_536).await, of(size - 1).await]);
    }

    async fn the_signing_key_is_created_once(database) {
        let (one, two) = (App::open(&database).await, App::open(&database).await);
        let before = one.head().await;
        let keys = futures::future::join_all([&one, &two, &one, &two].map(|app| app.get("/audit/checkpoint/key"))).await;
        let first = &keys[0].text;
        assert!(keys.iter().all(|key| key.text == *first), "{keys:?}");
        assert_eq!(one.head().await, before + 1);
        assert_eq!(checkpoint(&two).await.0, before + 1);
        let reopened = App::open(&database).await;
        assert_eq!(reopened.get("/audit/checkpoint/key").await.text, *first);
    }

    async fn the_private_key_is_nowhere_in_the_clear(database) {
        let app = App::open(&database).await;
        checkpoint(&app).await;
        let key = registrar::checkpoint::key(&app.state.node).await.unwrap().unwrap();
        let mut sql = database.sql().await;
        for table in sql.tables().await {
            for row in sql.rows(&table).await {
                assert!(!row.contains(&key.private_key), "{table}: {row}");
            }
        }
    }

    async fn an_impossible_proof_is_refused(database) {
        let app = App::open(&database).await;
        append(&app, 10).await;
        let head = app.head().await;
        let beyond = head + 1;
        for (path, status, word) in [
            ("inclusion".to_owned(), 400, "position must be given"),
            ("inclusion?position=0".to_owned(), 400, "position must not be less than 1"),
            ("inclusion?position=-1".to_owned(), 400, "position must not be less than 1"),
            ("inclusion?position=one".to_owned(), 400, "position must be an integer number"),
            ("inclusion?position=1.5".to_owned(), 400, "position must be an integer number"),
            ("inclusion?position=1&position=2".to_owned(), 400, "position must not be given more than once"),
            ("inclusion?position=1&treeSize=0".to_owned(), 400, "treeSize must not be less than 1"),
            ("inclusion?position=1&treeSize=".to_owned(), 400, "treeSize must be an integer number"),
            ("inclusion?position=4&treeSize=3".to_owned(), 400, "position must not be greater than treeSize"),
            ("inclusion?position=99999999999999999999".to_owned(), 400, "position must not be greater than"),
            (format!("inclusion?position={beyond}"), 404, "The journal has not reached this position"),
            (format!("inclusion?position=1&treeSize={beyond}"), 404, "The journal has not reached this position"),
            ("inclusion?position=18446744073709551615".to_owned(), 404, "The journal has not reached this position"),
            ("consistency".to_owned(), 400, "from must be given"),
            ("consistency?from=0".to_owned(), 400, "from must not be less than 1"),
            ("consistency?from=x&to=y".to_owned(), 400, "from must be an integer number"),
            ("consistency?from=3&to=2".to_owned(), 400, "from must not be greater than to"),
            (format!("consistency?from=1&to={beyond}"), 404, "The journal has not reached this position"),
            (format!("consistency?from={beyond}"), 404, "The journal has not reached this position"),
        ] {
            let answer = app.get(&format!("/audit/proofs/{path}")).await;
            assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(word), "{path}: {detail}");
        }
        assert_eq!(app.head().await, head);
    }

    async fn only_auditors_read_proofs(database) {
        let app = App::open(&database).await;
        let other = app.token_of(&app.caller, Some(vec![Permission::EcgAdminsRead])).await;
        let head = app.head().await;
        for path in ["checkpoint", "checkpoint/key", "proofs/inclusion?position=1", "proofs/consistency?from=1"] {
            let path = format!("/audit/{path}");
            assert_eq!(app.call("GET", &path).token(None).send().await.status, 401);
            assert_eq!(app.call("GET", &path).token(Some(&other)).send().await.status, 403);
        }
        assert_eq!(app.head().await, head);
    }

    async fn proofs_of_one_event_go_to_its_organization(database) {
        let app = App::open(&database).await;
        let mut context = context();
        context.metadata.organization_id = Some("o1".into());
        let any = registrar::committer::ExpectedVersion::Any;
        let append = vec![(access_stream("r"), any, vec![trail_read("t")])];
        let position = app.state.node.executor.append(&context, append).await.unwrap().position;
        let request = registrar::auth::TokenRequest {
            admin_id: registrar_aggregates::values::AdminId(app.caller.parse::<Uuid>().unwrap()),
            ttl: std::time::Duration::from_secs(60),
            organization: Some("o1".into()),
            permissions: None,
        };
        let token = app.state.authenticator.issue(&app.state.node, &crate::support::context(), request).await.unwrap();
        for (position, status) in [(position, 200), (1, 404), (position + 100, 404)] {
            let path = format!("/audit/proofs/inclusion?position={position}");
            assert_eq!(app.call("GET", &path).token(Some(&token)).send().await.status, status, "{position}");
        }
    }
}
