//! Imports: a journal moves from one store to the other unchanged; an incomplete journal is not imported at all.

use crate::ecg_app::App;
use crate::journal_files_support::*;
use crate::on_both_stores;
use crate::process::{Server, fail, registrar, run};
use crate::support::*;
use registrar::api::ApiSettings;
use registrar::checkpoint::NoteVerifier;
use registrar::journal_files::{ExportFilter, Format, ImportError, import, verify, verify::ExpectedCheckpoint};
use registrar::vault::MasterKey;
use std::path::Path;

/// An empty database of the other store.
async fn other(database: &Database) -> Database {
    match database.settings.database_url {
        Some(_) => Database::sqlite_with_tables(),
        None => Database::postgres_with_tables().await,
    }
}

/// Imports a file that must be refused, and asserts that the database stays empty.
async fn refused(database: &Database, path: &Path) -> String {
    let target = other(database).await;
    let node = target.open().await;
    let keys = rows(&target, "subject_id", "subject_keys").await;
    let error = import(&node, &[path.to_owned()], None, &|_, _| {}).await.unwrap_err();
    let head = node.journal.head().await.unwrap();
    assert_eq!((head.position, head.generation), (0, 1));
    let mut sql = target.sql().await;
    assert_eq!(rows(&target, "subject_id", "subject_keys").await, keys);
    assert_eq!(keys, ["vault-digest-key"]);
    for table in ["events", "streams", "claims", "merkle_nodes"] {
        assert_eq!(sql.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    // The empty database still works.
    let id = uuid::Uuid::now_v7();
    assert_eq!(node.admin(id, registration(id, None)).await.unwrap().position, 1);
    let told = error.to_string();
    assert!((1..=3).contains(&told.lines().count()), "{told}");
    told
}

fn edit(path: &Path, edit: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, edit(text)).unwrap();
}

fn without_line(text: &str, number: usize) -> String {
    text.lines().enumerate().filter(|(n, _)| *n != number).map(|(_, line)| format!("{line}\n")).collect()
}

on_both_stores! {
    async fn a_journal_in_the_other_store_is_the_same(database) {
        let app = App::over(filled(&database).await, ApiSettings::default()).await;
        let source = &app.state.node;
        source.store.tree().extend().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = export_all(source, folder.path(), "journal").await;
        let target = other(&database).await;
        // More partitions than exist before the first event.
        small_partitions(&target).await;
        let node = target.open().await;
        let imported = import_all(&node, &path).await.unwrap();
        node.close().await;
        assert_eq!(imported.position, source.position().await);

        let node = target.open().await;
        assert_eq!(node.all_events().await, source.all_events().await);
        let (there, here) = (node.journal.head().await.unwrap(), source.journal.head().await.unwrap());
        assert_eq!((there.position, there.recorded_at, there.frontier), (here.position, here.recorded_at, here.frontier));
        assert_eq!(note(&node).await, note(source).await);
        assert_eq!(documents(&node).await, documents(source).await);
        for (columns, table) in [
            ("aggregate_type || '/' || aggregate_id || ' ' || version || ' ' || first_position", "streams"),
            ("key || ' ' || aggregate_type || '/' || aggregate_id", "claims"),
            ("subject_id", "subject_keys"),
        ] {
            assert_eq!(rows(&target, columns, table).await, rows(&database, columns, table).await, "{table}");
        }
        let mut ids: Vec<String> = rows(&target, "subject_id", "subject_keys").await;
        ids.push("nobody".into());
        assert_eq!(node.journal.subject_keys(&ids).await.unwrap(), source.journal.subject_keys(&ids).await.unwrap());
        let held = ExpectedCheckpoint { note: std::fs::read_to_string(with(&path, ".checkpoint")).unwrap(), key: None };
        verify(&node.store, Some(&held), &|_, _| {}).await.unwrap();
        let size = here.position;
        let proof = source.store.tree().inclusion(299, size).await.unwrap();
        assert_eq!(node.store.tree().inclusion(299, size).await.unwrap(), proof);
        assert_eq!(target.sql().await.number("SELECT count(*) FROM merkle_nodes").await as u64, size / 256);
    }

    async fn the_same_tokens_and_unique_values_hold_after_the_move(database) {
        let app = App::over(filled(&database).await, ApiSettings::default()).await;
        let folder = tempfile::tempdir().unwrap();
        let path = export_all(&app.state.node, folder.path(), "journal").await;
        let target = other(&database).await;
        let node = target.open().await;
        import_all(&node, &path).await.unwrap();
        node.close().await;
        let moved = App::over(target.open().await, ApiSettings::default()).await;
        let before = app.get("/api/ecg-admins?take=100").await.ok();
        let mut answer = moved.call("GET", "/api/ecg-admins?take=100").token(Some(&app.token)).send().await.ok();
        // The target has one more admin, the caller.
        let items = answer["items"].as_array_mut().unwrap();
        items.retain(|item| item["person"]["firstName"] != "Grace" || before["items"].as_array().unwrap().contains(item));
        assert_eq!(answer["items"], before["items"]);
        let id = uuid::Uuid::now_v7();
        let taken = moved.state.node.admin(id, registration(id, Some("ADA7@example.org"))).await;
        assert!(matches!(taken, Err(registrar::executor::ExecuteError::Journal(registrar::journal::JournalError::ClaimTaken { .. }))));
        moved.state.node.admin(id, registration(id, Some("new@example.org"))).await.unwrap();
    }

    async fn a_way_there_and_back_changes_no_byte(database) {
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let first = export_all(&node, folder.path(), "first").await;
        let target = other(&database).await;
        let there = target.open().await;
        import_all(&there, &first).await.unwrap();
        there.close().await;
        let second = export_all(&*target.open().await, folder.path(), "second").await;
        for suffix in ["", ".checkpoint", ".proofs", ".keys"] {
            assert_eq!(std::fs::read(with(&second, suffix)).unwrap(), std::fs::read(with(&first, suffix)).unwrap(), "{suffix}");
        }
    }

    async fn an_import_wants_an_empty_journal(database) {
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let path = export_all(&node, folder.path(), "journal").await;
        let before = (node.journal.head().await.unwrap(), documents(&node).await);
        let told = import(&node, &[path], None, &|_, _| {}).await.unwrap_err();
        assert!(matches!(told, ImportError::NotEmpty(position) if position == before.0.position), "{told}");
        assert_eq!((node.journal.head().await.unwrap(), documents(&node).await), before);
    }

    async fn an_incomplete_export_is_refused(database) {
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let path = export_all(&node, folder.path(), "journal").await;
        let broken = |name: &str, suffix: &str, change: &dyn Fn(String) -> String| {
            let copied = copy(&path, name);
            edit(&with(&copied, suffix), change);
            copied
        };
        for (name, suffix, change, expected) in [
            ("half", "", (&|text: String| text[..text.len() - 30].to_owned()) as &dyn Fn(String) -> String, "is only half written: it ends in the middle of line 681"),
            ("short", "", &|text| without_line(&text, 680), "it ends at position 680, its checkpoint is of 681 events"),
            ("gap", "", &|text| without_line(&text, 99), "position 100 is missing, 101 follows"),
            ("first", "", &|text| without_line(&text, 0), "position 1 is missing, 2 follows"),
            ("doubled", "", &|text| text.replacen('\n', &format!("\n{}\n", text.lines().next().unwrap()), 1), "position 2 is missing, 1 follows"),
            ("changed", "", &|text| text.replacen("admin.registered", "admin.activated!", 1), "the event at position 1 is not the one that was stored there"),
            ("spaced", "", &|text| text.replacen("\"payload\":{", "\"payload\":{ ", 1), "the event at position 1 is not the one that was stored there"),
            ("nonsense", "", &|text| text.replacen("{\"aggregateId\"", "[\"aggregateId\"", 1), "line 1 is not an event"),
            ("empty", "", &|_| String::new(), "it ends at position 0, its checkpoint is of 681 events"),
            ("resized", ".checkpoint", &|text| text.replacen("\n681\n", "\n680\n", 1), "it goes on beyond the 680 events of its checkpoint"),
            ("resigned", ".checkpoint", &|text| text.replacen("registrar/", "registrar-/", 2), "it is not signed by the key of this journal"),
            ("no-note", ".checkpoint", &|_| "hello\n".into(), "it is not a signed checkpoint"),
            ("cut-keys", ".keys", &|text| without_line(&text, 42), "its end is missing"),
            ("fewer-keys", ".keys", &|text| without_line(&text, 3), "line 42 is not a key"),
            ("other-keys", ".keys", &|text| text.replacen("\"wrappedKey\":\"AT", "\"wrappedKey\":\"AS", 1).replacen("\"wrappedKey\":\"A", "\"wrappedKey\":\"B", 1), "the master key does not open the keys of this journal"),
            ("no-key", ".keys", &|text| without_line(&text, 3).replace("\"count\":42", "\"count\":41"), "a key is missing: that of "),
        ] {
            let told = refused(&database, &broken(name, suffix, change)).await;
            assert!(told.contains(expected), "{name}: {told}");
        }
        for (name, suffix) in [("gone", ""), ("gone-keys", ".keys"), ("gone-note", ".checkpoint")] {
            let copied = copy(&path, name);
            std::fs::remove_file(with(&copied, suffix)).unwrap();
            let told = refused(&database, &copied).await;
            assert!(told.contains("cannot be read"), "{name}: {told}");
        }
    }

    /// Event and leaf hash replaced together: the signed root reveals it.
    async fn a_forged_export_is_refused(database) {
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let path = export_all(&node, folder.path(), "journal").await;
        let mut event = node.all_events().await[300].clone();
        let mut original = String::new();
        registrar::journal::codec::write_line(&mut original, &event);
        event.payload = event.payload.replace("trail-read\"", "trail-read\"  ");
        event.leaf_hash = registrar::journal::codec::leaf_hash(&event);
        let mut forged = String::new();
        registrar::journal::codec::write_line(&mut forged, &event);
        edit(&path, |text| text.replacen(&original, &forged, 1));
        assert!(refused(&database, &path).await.contains("its events are not those of its checkpoint"));
    }

    async fn parts_are_refused(database) {
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let all = ExportFilter::all(Format::Ndjson);
        for (name, selection, expected) in [
            ("after", ExportFilter { after: 10, ..all.clone() }, "position 1 is missing, 11 follows"),
            ("until", ExportFilter { until: Some(10), ..all.clone() }, "it ends at position 10"),
            ("type", ExportFilter { aggregate_type: Some("audit-access".into()), ..all.clone() }, "position 1 is missing, 82 follows"),
            ("csv", ExportFilter { format: Format::Csv, ..all.clone() }, "is not a journal in NDJSON: line 1 is not an event"),
            ("parquet", ExportFilter { format: Format::Parquet, ..all.clone() }, "is not a journal in NDJSON"),
        ] {
            let path = folder.path().join(name);
            export_to(&node, &path, selection).await.unwrap();
            let told = refused(&database, &path).await;
            assert!(told.contains(expected), "{name}: {told}");
        }
    }

    async fn another_master_key_or_another_signer_is_refused(database) {
        let node = filled(&database).await;
        let folder = tempfile::tempdir().unwrap();
        let path = export_all(&node, folder.path(), "journal").await;
        let mut target = other(&database).await;
        target.master = MasterKey::parse("//////////////////////////////////////////8=", "the test").unwrap();
        let empty = target.open().await;
        let told = import(&empty, std::slice::from_ref(&path), None, &|_, _| {}).await.unwrap_err();
        assert!(matches!(told, ImportError::MasterKey), "{told}");
        let stranger = NoteVerifier::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let target = other(&database).await;
        let node = target.open().await;
        let told = import(&node, &[path], Some(&stranger), &|_, _| {}).await.unwrap_err();
        assert!(matches!(told, ImportError::Note(_)), "{told}");
        assert_eq!((node.position().await, empty.position().await), (0, 0));
    }

    /// With the real program, and a server before and after.
    async fn a_journal_moves_with_its_users(database) {
        let source = Server::start(&database.settings);
        let token = run(&database.settings, &["token", "create", "--admin", "admin@registrar.local"]);
        run(&database.settings, &["seed", "--admins", "300"]);
        let list = |url: &str| {
            let request = reqwest::Client::new().get(format!("{url}/api/ecg-admins?take=20&skip=3")).bearer_auth(token.trim());
            async move { request.send().await.unwrap().text().await.unwrap() }
        };
        let before = list(&source.url).await;
        assert!(before.contains("\"totalRecords\":301"), "{before}");
        assert!(source.stop().0.success());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let file = path.to_str().unwrap();
        run(&database.settings, &["journal", "export", "--output", file]);

        let target = other(&database).await;
        let told = fail(registrar(&target.settings, &["journal", "import", file]));
        assert!(told.contains("the master key of the exported journal is missing"), "{told}");
        std::fs::copy(database.settings.data.join("master.key"), target.settings.data.join("master.key")).unwrap();
        assert_eq!(run(&target.settings, &["journal", "import", file]), "304 events imported\n");
        let told = fail(registrar(&target.settings, &["journal", "import", file]));
        assert!(told.contains("the database is not empty: its journal ends at position 304"), "{told}");
        let verified = ["journal", "verify", "--checkpoint", &format!("{file}.checkpoint")];
        assert!(run(&target.settings, &verified).starts_with("304 events, root "));
        let moved = Server::start(&target.settings);
        assert_eq!(moved.printed.len(), 1);
        assert_eq!(list(&moved.url).await, before);
    }
}
