//! Verification and export without write access: with a read-only role, and in a copy.

use crate::on_both_stores;
use crate::process::{fail, registrar, run};
use crate::support::*;
use registrar::node::{Node, StoreSettings};
use registrar::vault::MasterKey;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use uuid::Uuid;

const COMMANDS: [&[&str]; 5] = [
    &["journal", "verify"],
    &["journal", "verify", "--documents"],
    &["journal", "key"],
    &["projections", "status"],
    &["projections", "verify"],
];

/// Settings with read-only access to the database.
async fn read_only(database: &Database, place: &Path) -> StoreSettings {
    match &database.settings.database_url {
        Some(url) => {
            let role = format!("reader_{}", Uuid::now_v7().simple());
            let mut sql = database.sql().await;
            for statement in [
                format!("CREATE ROLE {role} LOGIN PASSWORD 'reads'"),
                format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"),
            ] {
                sql.run(&statement).await.unwrap();
            }
            let (_, host) = url.split_once('@').unwrap();
            StoreSettings { database_url: Some(format!("postgres://{role}:reads@{host}")), ..database.settings.clone() }
        }
        None => {
            for name in ["registrar.sqlite3", "master.key"] {
                std::fs::copy(database.settings.data.join(name), place.join(name)).unwrap();
            }
            std::fs::set_permissions(place.join("registrar.sqlite3"), std::fs::Permissions::from_mode(0o400)).unwrap();
            std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o500)).unwrap();
            StoreSettings { data: place.to_owned(), ..database.settings.clone() }
        }
    }
}

/// The files of a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
}

on_both_stores! {
    async fn a_read_only_journal_is_verified_and_exported(database) {
        run(&database.settings, &["seed", "--users", "20", "--groups", "5"]);
        let key = run(&database.settings, &["journal", "key"]);
        let (copy, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let reader = read_only(&database, copy.path()).await;
        let before = contents(copy.path());
        let told: Vec<_> = COMMANDS.iter().map(|command| run(&reader, command)).collect();
        assert_eq!(told[2], key);
        assert!(told[0].contains("nothing was altered") && told[4].contains("what history makes them"), "{told:?}");
        for (command, told) in COMMANDS.iter().zip(&told) {
            assert_eq!(&run(&database.settings, command), told, "{command:?}");
        }
        let export = |settings: &StoreSettings, name: &str| {
            let path = files.path().join(name);
            run(settings, &["journal", "export", "--output", path.to_str().unwrap()]);
            std::fs::read(path).unwrap()
        };
        assert_eq!(export(&reader, "read"), export(&database.settings, "owned"));
        let after = contents(copy.path());
        // A process with write access to the folder, such as root, leaves the shared-memory files of SQLite there.
        assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)), "the copy was changed");
    }

    async fn an_altered_document_is_found_where_nothing_may_be_written(database) {
        run(&database.settings, &["seed", "--users", "20", "--groups", "5"]);
        let mut sql = database.sql().await;
        let id = sql.texts("SELECT id FROM users_g1 ORDER BY id").await[3].clone();
        let kind = if database.settings.database_url.is_some() { "::text" } else { "" };
        sql.run(&format!("UPDATE users_g1 SET body = replace(body{kind}, '\"version\":', '\"version\":9') WHERE id = '{id}'")).await.unwrap();
        sql.run("DELETE FROM organizations_g1").await.unwrap();
        drop(sql);
        // Opens and closes the database, so that the copy is one file without a WAL.
        let master = MasterKey::from_file(&database.settings.data.join("master.key")).unwrap();
        Node::open(&database.settings, &master).await.unwrap().close().await;
        let copy = tempfile::tempdir().unwrap();
        let reader = read_only(&database, copy.path()).await;
        let told = crate::process::fail_after_start(registrar(&reader, &["projections", "verify"]));
        if database.settings.database_url.is_some() {
            assert!(told.contains("2 documents are not what history makes them; the first is organizations/"), "{told}");
        }
        assert!(told.contains("documents are not what history makes them"), "{told}");
    }

    async fn a_read_only_database_that_needs_a_migration_says_so(database) {
        run(&database.settings, &["seed", "--admins", "3"]);
        run(&database.settings, &["journal", "key"]);
        let mut sql = database.sql().await;
        sql.run("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await.unwrap();
        let applied = sql.number("SELECT count(*) FROM _sqlx_migrations").await;
        let export = ["journal", "export", "--output", "/nonexistent/export"];
        for command in COMMANDS.iter().copied().chain([&export[..]]) {
            let told = fail(registrar(&database.settings, command));
            assert!(told.contains("the database must be brought up to date first"), "{command:?}: {told}");
            assert!(told.contains("registrar migrate"), "{told}");
        }
        assert_eq!(sql.number("SELECT count(*) FROM _sqlx_migrations").await, applied, "nothing was migrated");
    }
}

#[test]
fn a_missing_database_is_not_created() {
    let place = tempfile::tempdir().unwrap();
    let settings = StoreSettings { database_url: None, data: place.path().join("data"), archives: None };
    for command in COMMANDS {
        let told = fail(registrar(&settings, command));
        assert!(told.contains("there is no database in") || told.contains("the master key is missing"), "{told}");
    }
    assert!(!place.path().join("data").exists());
}
