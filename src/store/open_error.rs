//! Reasons why a database cannot be opened.

use super::JournalError;
use super::sqlite::RELEASE_MIN;
use sqlx::migrate::MigrateError;

/// Reasons why a node cannot start. The message tells the operator how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is not that of a supported database.
    #[error("the database URL is not usable: {0}\nIt must look like postgres://user:password@host:5432/database.")]
    Url(String),
    /// The database does not answer.
    #[error("the database cannot be reached: {0}\nCheck that it runs and that REGISTRAR_DATABASE_URL is right.")]
    Unreachable(String),
    /// The data folder cannot be used.
    #[error("the data folder {path} cannot be used: {reason}\nChoose another one with --data or make it writable.")]
    DataFolder {
        /// Path of the folder.
        path: String,
        /// Cause.
        reason: String,
    },
    /// The database's encoding cannot store every text.
    #[error("the database keeps texts in {0}\nCreate it with ENCODING 'UTF8'.")]
    Encoding(String),
    /// The embedded database stores events in one table.
    #[error("the embedded database has no partitions\nLeave --partition-size out, or name a PostgreSQL database.")]
    NoPartitions,
    /// The embedded database is a file without roles.
    #[error("the embedded database has no roles\nLeave --server-role out, or name a PostgreSQL database.")]
    NoRoles,
    /// The database does not exist, and is opened for reading only.
    #[error("there is no database in {0}\nName the data folder with --data, or the database with --database-url.")]
    NoDatabase(String),
    /// The tables need a migration, and are opened for reading only.
    #[error(
        "the database must be brought up to date first\nRun `registrar migrate` with the role that owns the tables."
    )]
    NotMigrated,
    /// A newer release has migrated the database.
    #[error(
        "the database is newer than this release of Registrar (it has migration {0})\nUse the release that made it, or a later one."
    )]
    NewerDatabase(i64),
    /// The role lacks the rights to migrate.
    #[error(
        "the database must be brought up to date, and this role may not: {0}\nRun `registrar migrate` with the role that owns the tables."
    )]
    MayNotMigrate(String),
    /// A migration failed.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(String),
    /// The linked SQLite is too old.
    #[error(
        "SQLite {0} is linked, which can corrupt a database that is written and tidied up at the same moment\nBuild Registrar with SQLite {RELEASE_MIN} or later, as it is built unless told otherwise."
    )]
    OldSqlite(String),
    /// The database is under another master key.
    #[error(
        "the master key does not open this database\nSet REGISTRAR_MASTER_KEY to the key that it is under. While that is replaced, set REGISTRAR_FORMER_MASTER_KEY too."
    )]
    WrongMasterKey,
    /// The master key is being replaced, and the former one is not configured.
    #[error(
        "the master key of this database is being replaced, and the former one is still needed\nSet REGISTRAR_FORMER_MASTER_KEY to it until `registrar keys rewrap` has finished."
    )]
    FormerKeyMissing,
    /// Any other database error.
    #[error("the database cannot be used: {0}")]
    Journal(#[from] JournalError),
}

impl OpenError {
    /// Converts a connection failure.
    pub(super) fn unreachable(error: JournalError) -> Self {
        match error {
            JournalError::Unavailable(source) => OpenError::Unreachable(source.to_string()),
            other => OpenError::Journal(other),
        }
    }

    /// Converts a failure of the migrator.
    pub(super) fn of_migration(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => OpenError::NewerDatabase(version),
            other => {
                let text = other.to_string();
                let refused = ["permission denied", "must be owner"].iter().any(|words| text.contains(words));
                if refused { OpenError::MayNotMigrate(text) } else { OpenError::Migration(text) }
            }
        }
    }
}
