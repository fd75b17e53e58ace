//! Migration scripts of both stores, embedded in the program. They are listed here rather than found by
//! `sqlx::migrate!`, whose macros would build sqlx and SQLite a second time for the compiler's own use.
//!
//! Nodes are replaced one by one, so for a while two releases share a database. Migrations add first. A column, table
//! or function that an older release relies on is removed a release later, by a migration that sets
//! `journal_head.least_schema` to the number of the migration that brought the replacement. A release knows its own
//! number, that of its last migration. If the number of a node is lower:
//!
//! - Every commit is refused by the statement that would have written it.
//! - Within a second `node/watched_head.rs` takes the node out of service: `/readyz` and every request answer 503 with
//!   the reason, and the log has it once. Until then the node may answer 500 where it needs what was removed. It comes
//!   back by itself if the number goes back.
//!
//! A release does not start on a database with migrations that it does not know. An event type that it does not know
//! makes the event's stream answer 503, and stops a rebuild.
//!
//! PostgreSQL's migrations up to 0008 and SQLite's up to 0006 are older than this rule: PostgreSQL's 0005 drops a
//! function at once, SQLite's 0005 copies a table in one transaction. Databases may have applied them, so they stay as
//! they are.

use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use std::sync::LazyLock;

/// A script: file name and text.
type Script = (&'static str, &'static str);

macro_rules! scripts {
    ($folder:literal: $($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../migrations/", $folder, "/", $name, ".sql"))),)*]
    };
}

const ON_POSTGRES: &[Script] = scripts! {
    "postgres":
    "0001_journal",
    "0002_audit",
    "0003_proofs",
    "0004_archives",
    "0005_append",
    "0006_bounded_locks",
    "0007_published",
    "0008_roles",
    "0009_upgrades",
};

const ON_SQLITE: &[Script] = scripts! {
    "sqlite":
    "0001_journal",
    "0002_audit",
    "0003_proofs",
    "0004_archives",
    "0005_ordered_events",
    "0006_published",
    "0007_upgrades",
};

/// Migrations of a PostgreSQL database, in order.
pub(super) static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| migrator(ON_POSTGRES));

/// Migrations of a SQLite database, in order.
pub(super) static SQLITE: LazyLock<Migrator> = LazyLock::new(|| migrator(ON_SQLITE));

fn migrator(scripts: &[Script]) -> Migrator {
    Migrator::with_migrations(scripts.iter().map(|script| migration(*script)).collect())
}

/// The number before the first `_` of the file name is the version. The words are the description stored by databases.
fn migration((name, sql): Script) -> Migration {
    let (version, words) = name.split_once('_').unwrap_or((name, ""));
    let version = version.parse().expect("names of migrations begin with their number");
    Migration::new(version, words.replace('_', " ").into(), MigrationType::Simple, SqlStr::from_static(sql), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &str) -> Vec<String> {
        let files = std::fs::read_dir(format!("{}/migrations/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_script_of_the_folders_is_listed_in_order() {
        for (folder, scripts) in [("postgres", ON_POSTGRES), ("sqlite", ON_SQLITE)] {
            let listed: Vec<_> = scripts.iter().map(|(name, _)| format!("{name}.sql")).collect();
            assert_eq!(listed, names_in(folder));
        }
    }

    /// Databases store version, description and a checksum of each applied migration; a mismatch stops the start.
    #[test]
    fn released_migrations_are_unchanged() {
        let first = |migrator: &Migrator| {
            let first = migrator.iter().next().unwrap();
            let digits: String = first.checksum.iter().map(|byte| format!("{byte:02x}")).collect();
            (first.version, first.description.to_string(), digits[..24].to_owned())
        };
        assert_eq!(first(&SQLITE), (1, "journal".to_owned(), "49b5f55527201e9f3bcddc56".to_owned()));
        assert_eq!(first(&POSTGRES), (1, "journal".to_owned(), "4ed8f847a87d20bcd50d49e1".to_owned()));
        let words: Vec<_> = POSTGRES.iter().map(|migration| &*migration.description).collect();
        assert_eq!(words[5], "bounded locks");
        let own_transaction =
            |migrator: &Migrator| migrator.iter().any(|m| m.sql.as_str().starts_with("-- no-transaction"));
        assert!(!own_transaction(&POSTGRES) && !own_transaction(&SQLITE), "every script runs in a transaction");
    }
}
