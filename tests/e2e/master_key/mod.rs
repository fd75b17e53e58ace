//! Replacement of the master key under a running server: `registrar keys rewrap`.

mod dying;
mod journal_files;
mod servers;

use crate::journal_files_support::*;
use crate::on_both_stores;
use crate::process::{fail, fail_after_start, registrar};
use crate::support::*;
use chrono::{Duration, Utc};
use dying::FailingKeys;
use registrar::committer::idempotency::{Answer, AnswerSlot};
use registrar::executor::{ExecuteError, RequestContext};
use registrar::journal::JournalError;
use registrar::node::{Node, OpenError, Store};
use registrar::store::{DIGEST_KEY_ID, FORMER_KEY_ID};
use registrar::vault::{MasterKey, MasterKeys, RewrapCounts, RewrapError, Vault, VaultError, rewrap};
use registrar_aggregates::admin::Admin;
use std::collections::HashSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use uuid::Uuid;

/// The initial master key of every [`Database`] of the tests.
const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const WRONG: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn key(text: &str) -> MasterKey {
    MasterKey::parse(text, "the test").unwrap()
}

fn keys(configured: &str, former: Option<&str>) -> MasterKeys {
    MasterKeys::new(key(configured), former.map(key)).unwrap()
}

/// `registrar` with these master keys.
fn keyed(database: &Database, arguments: &[&str], configured: &str, former: Option<&str>) -> Command {
    let mut command = registrar(&database.settings, arguments);
    command.env("REGISTRAR_MASTER_KEY", configured).env("REGISTRAR_FORMER_MASTER_KEY", former.unwrap_or_default());
    // Rate limits are not part of these tests.
    command.env("REGISTRAR_CALLER_RATE", "none");
    command
}

fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// All wrapped values, as stored.
async fn boxes(database: &Database) -> Vec<String> {
    let mut sql = database.sql().await;
    let mut rows = sql.rows("subject_keys").await;
    rows.extend(sql.rows("idempotency_keys").await);
    rows.sort();
    rows
}

on_both_stores! {
    /// A replacement that stops between any two steps: both keys together open everything; each key alone opens
    /// everything or is refused. A second run completes it.
    async fn a_replacement_goes_on_wherever_it_ended(database) {
        let node = with_people(&database).await;
        let digest = node.vault.digest("s", &[b"v"]);
        let (store, people) = (node.store.clone(), people(&node).await);
        let (mut died, mut total) = (0, RewrapCounts::default());
        loop {
            let vault = open(&store, keys(NEW, Some(OLD))).await.unwrap();
            let dying = FailingKeys { inner: store.wrapped_keys(), steps: AtomicI64::new(died) };
            match rewrap(&vault, &dying, &|_, _| {}).await {
                Ok(done) => {
                    total = RewrapCounts { keys: total.keys + done.keys, answers: total.answers + done.answers };
                    break;
                }
                Err(error) => assert!(matches!(error, RewrapError::Journal(_)), "{error}"),
            }
            let both = open(&store, keys(NEW, Some(OLD))).await.unwrap();
            assert!(opens_all(&both, &people).await && both.digest("s", &[b"v"]) == digest, "step {died}");
            for alone in [NEW, OLD] {
                match open(&store, keys(alone, None)).await {
                    Ok(vault) => assert!(opens_all(&vault, &people).await, "step {died} with {alone}"),
                    Err(error) => assert!(!matches!(error, VaultError::Journal(_)), "{error}"),
                }
            }
            died += 1;
        }
        assert!(died > 5, "it has more steps than {died}");
        assert!(total.keys <= people.len() as u64 + 1);
        let vault = open(&store, keys(NEW, None)).await.unwrap();
        assert!(opens_all(&vault, &people).await && vault.digest("s", &[b"v"]) == digest);
        assert!(matches!(open(&store, keys(OLD, None)).await, Err(VaultError::WrongMasterKey)));
        let again = rewrap(&vault, &*store.wrapped_keys(), &|_, _| {}).await.unwrap();
        assert_eq!(again, RewrapCounts::default());

        // The node that served meanwhile has the old key alone.
        node.vault.look().await.unwrap();
        assert!(!node.vault.has_master_key());
        let id = Uuid::now_v7();
        let refused = node.admin(id, registration(id, None)).await;
        assert!(matches!(refused, Err(ExecuteError::Journal(JournalError::Unavailable(_)))), "{refused:?}");
    }

    async fn a_wrong_former_key_changes_nothing(database) {
        with_people(&database).await.close().await;
        let before = boxes(&database).await;
        for former in [None, Some(WRONG)] {
            let refused = Node::open(&database.settings, keys(NEW, former)).await.err().unwrap();
            assert!(matches!(refused, OpenError::WrongMasterKey), "{refused}");
        }
        let told = fail(keyed(&database, &["keys", "rewrap"], NEW, Some(WRONG)));
        assert!(told.starts_with("registrar: the master key does not open this database"), "{told}");
        assert!(told.contains("REGISTRAR_FORMER_MASTER_KEY"), "{told}");
        assert_eq!(boxes(&database).await, before);

        // Halfway, some values are wrapped by the old key and some by the new one.
        let store = Store::open(&database.settings).unwrap();
        let vault = open(&store, keys(NEW, Some(OLD))).await.unwrap();
        let dying = FailingKeys { inner: store.wrapped_keys(), steps: AtomicI64::new(6) };
        rewrap(&vault, &dying, &|_, _| {}).await.unwrap_err();
        let before = boxes(&database).await;
        for former in [None, Some(WRONG)] {
            let told = fail(keyed(&database, &["keys", "rewrap"], NEW, former));
            assert!(told.starts_with("registrar: the master key of this database is being replaced"), "{told}");
            assert!(told.contains("REGISTRAR_FORMER_MASTER_KEY"), "{told}");
        }
        assert_eq!(boxes(&database).await, before);
    }

    /// A value that neither key unwraps is named, and the command fails.
    async fn a_key_that_cannot_be_rewrapped_is_named(database) {
        let node = with_people(&database).await;
        let alien = people(&node).await.into_iter().max().unwrap();
        node.close().await;
        let zeros = "0102030405060708".repeat(8);
        let text = match &database.settings.database_url {
            Some(_) => format!("UPDATE subject_keys SET wrapped_key = '\\x02{zeros}' WHERE subject_id = '{alien}'"),
            None => format!("UPDATE subject_keys SET wrapped_key = x'02{zeros}' WHERE subject_id = '{alien}'"),
        };
        database.sql().await.run(&text).await.unwrap();
        let told = fail_after_start(keyed(&database, &["keys", "rewrap"], NEW, Some(OLD)));
        // By then the replacement has begun and has logged its start.
        let refusal = format!("registrar: the key of {alien} is wrapped by another master key");
        assert!(told.lines().any(|line| line.starts_with(&refusal)), "{told}");
        assert!(told.contains("REGISTRAR_FORMER_MASTER_KEY") && told.contains("0102030405060708"), "{told}");
    }
}

/// A journal under the old key: people with addresses, more than one batch of the replacement, and answers.
async fn with_people(database: &Database) -> Arc<Node> {
    let node = filled(database).await;
    let registered = (0..180).map(|n| {
        let (node, id) = (Arc::clone(&node), Uuid::now_v7());
        tokio::spawn(
            async move { node.admin(id, registration(id, Some(&format!("grace{n}@example.org")))).await.unwrap() },
        )
    });
    for registered in registered.collect::<Vec<_>>() {
        registered.await.unwrap();
    }
    for n in 0..3 {
        let slot = AnswerSlot::new(vec![n], b"fingerprint".into(), Utc::now() + Duration::days(1));
        slot.answer_with(|_| Some(Answer { status: 201, headers: vec![], body: "answer".into() }));
        let (context, id) = (RequestContext { answer: Some(Arc::new(slot)), ..context() }, Uuid::now_v7());
        node.executor.execute::<Admin>(&context, &id.to_string(), registration(id, None), None).await.unwrap();
    }
    node
}

/// Identifiers of all people with a key.
async fn people(node: &Node) -> HashSet<String> {
    let stored = node.store.raw().keys("", 10_000).await.unwrap();
    let people = stored.into_iter().filter(|(_, key)| key.is_some()).map(|(id, _)| id);
    people.filter(|id| id != DIGEST_KEY_ID && id != FORMER_KEY_ID).collect()
}

async fn open(store: &Store, keys: MasterKeys) -> Result<Vault, VaultError> {
    Vault::open(keys, store).await
}

/// Whether a vault opens the keys of all these people.
async fn opens_all(vault: &Vault, people: &HashSet<String>) -> bool {
    match vault.keys_by_subject(people.clone()).await {
        Ok(keys) => keys.len() == people.len() && keys.values().all(Option::is_some),
        Err(_) => false,
    }
}
