//! Journal files under one master key or another.

use super::dying::FailingKeys;
use super::{NEW, OLD, keyed, keys, open, opens_all, people, printed, with_people};
use crate::journal_files_support::*;
use crate::on_both_stores;
use crate::support::*;
use registrar::executor::ExecuteError;
use registrar::journal::JournalError;
use registrar::journal_files::{ImportError, import};
use registrar::node::{Node, Store};
use registrar::store::DIGEST_KEY_ID;
use registrar::vault::rewrap;
use registrar_aggregates::ClaimKey;
use registrar_aggregates::values::EmailAddress;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use uuid::Uuid;

on_both_stores! {
    /// Journal files from any phase can be imported with the keys that wrap them, and unique values stay unique.
    async fn journal_files_move_before_during_and_after(database) {
        let node = with_people(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let before = export_all(&node, folder.path(), "before").await;
        let store = node.store.clone();
        let vault = open(&store, keys(NEW, Some(OLD))).await.unwrap();
        let dying = FailingKeys { inner: store.wrapped_keys(), steps: AtomicI64::new(6) };
        rewrap(&vault, &dying, &|_, _| {}).await.unwrap_err();
        let both = Node::open(&database.settings, keys(NEW, Some(OLD))).await.unwrap();
        let during = export_all(&both, folder.path(), "during").await;
        rewrap(&vault, &*store.wrapped_keys(), &|_, _| {}).await.unwrap();
        let after = export_all(&both, folder.path(), "after").await;
        let claims = rows(&database, "key || aggregate_id", "claims").await;

        for (path, configured, former, fits) in [
            (&before, OLD, None, true),
            (&before, NEW, Some(OLD), true),
            (&before, NEW, None, false),
            (&during, NEW, Some(OLD), true),
            (&during, NEW, None, false),
            (&during, OLD, None, false),
            (&after, NEW, None, true),
            (&after, OLD, None, false),
        ] {
            let target = Database::sqlite_with_tables();
            let node = Node::open(&target.settings, keys(configured, former)).await.unwrap();
            let imported = import_all(&node, path).await;
            if !fits {
                assert!(matches!(imported, Err(ImportError::MasterKey)), "{path:?} {configured}");
                assert_eq!(node.position().await, 0);
                continue;
            }
            imported.unwrap();
            node.close().await;
            assert_eq!(rows(&target, "key || aggregate_id", "claims").await, claims);
            let node = Node::open(&target.settings, keys(configured, former)).await.unwrap();
            assert!(opens_all(&node.vault, &people(&node).await).await);
            let id = Uuid::now_v7();
            let taken = node.admin(id, registration(id, Some("ADA7@example.org"))).await;
            assert!(matches!(taken, Err(ExecuteError::Journal(JournalError::ClaimTaken { .. }))), "{taken:?}");
        }
    }

    /// Databases and files of earlier releases have no digest key: their digests depend on the master key itself.
    async fn a_journal_of_an_earlier_release_comes_under_another_master_key(database) {
        let store = Store::open(&database.settings).unwrap();
        store.migrate().await.unwrap();
        // A person erased before the first start of this release, so that the journal does not count as new.
        database.sql().await.run("INSERT INTO subject_keys (subject_id, wrapped_key) VALUES ('gone', NULL)").await.unwrap();
        let node = with_people(&database).await;
        let claim = |node: &Node| node.vault.claim(&ClaimKey::account_email(&EmailAddress::parse("ada7@example.org").unwrap()));
        let claimed = claim(&node);
        let folder = tempfile::tempdir().unwrap();
        let path = export_all(&node, folder.path(), "earlier").await;
        node.close().await;
        // Earlier wrapped keys name no master key, and there is no digest key.
        let boxed = match &database.settings.database_url {
            Some(_) => "'\\x01'::bytea || substring(wrapped_key FROM 10)",
            None => "unhex('01' || substr(hex(wrapped_key), 19))",
        };
        let mut sql = database.sql().await;
        sql.run(&format!("UPDATE subject_keys SET wrapped_key = {boxed} WHERE wrapped_key IS NOT NULL")).await.unwrap();
        sql.run(&format!("DELETE FROM subject_keys WHERE subject_id = '{DIGEST_KEY_ID}'")).await.unwrap();

        let both = Node::open(&database.settings, keys(NEW, Some(OLD))).await.unwrap();
        assert_eq!(claim(&both), claimed);
        let all = people(&both).await;
        assert!(opens_all(&both.vault, &all).await);
        both.close().await;
        let told = printed(keyed(&database, &["keys", "rewrap"], NEW, Some(OLD)));
        assert!(told.ends_with("nothing is left under a former master key\n"), "{told}");
        let alone = Node::open(&database.settings, keys(NEW, None)).await.unwrap();
        assert_eq!(claim(&alone), claimed);
        assert!(opens_all(&alone.vault, &all).await);

        edit_keys(&path, |line| !line.contains(DIGEST_KEY_ID));
        let target = Database::sqlite();
        let node = target.open().await;
        import_all(&node, &path).await.unwrap();
        node.close().await;
        let node = target.open().await;
        assert_eq!(claim(&node), claimed);
        let id = Uuid::now_v7();
        let taken = node.admin(id, registration(id, Some("ada7@example.org"))).await;
        assert!(matches!(taken, Err(ExecuteError::Journal(JournalError::ClaimTaken { .. }))), "{taken:?}");
        let empty = Database::sqlite();
        let node = Node::open(&empty.settings, keys(NEW, None)).await.unwrap();
        assert!(matches!(import(&node, &[path], None, &|_, _| {}).await, Err(ImportError::MasterKey)));
    }
}

/// Removes lines from the file of keys, and adjusts its count.
fn edit_keys(path: &Path, takes: impl Fn(&str) -> bool) {
    let path = with(path, ".keys");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<_> = text.lines().filter(|line| !line.contains("\"count\"") && takes(line)).collect();
    std::fs::write(&path, format!("{}\n{}\n", kept.join("\n"), json!({ "count": kept.len() }))).unwrap();
}
