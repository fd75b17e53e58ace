//! The store of a node: which one the settings name, and whether its tables are those of this release.

use crate::config::clear_text::is_this_machine;
use crate::journal::postgres::{self, PostgresStore};
use crate::journal::raw::RawJournal;
use crate::journal::sqlite::{self, RELEASE_MIN, SqliteStore};
use crate::journal::tree::{Tree, TreeStore};
use crate::journal::wrapped::WrappedKeys;
use crate::journal::{Journal, JournalError};
use crate::read_store::ReadStore;
use crate::vault::VaultError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::SqliteConnection;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// File of the embedded database in the data folder.
const SQLITE_FILE: &str = "registrar.sqlite3";

/// Where a node keeps its data.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// `postgres://...`; without it SQLite in the data folder.
    pub database_url: Option<String>,
    /// Folder of the embedded database.
    pub data: PathBuf,
    /// Folder with archives that are no longer where they were written.
    pub archives: Option<PathBuf>,
}

/// Why a node cannot start. Reads as what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no database that Registrar can use.
    #[error("the database URL is not usable: {0}\nIt must look like postgres://user:password@host:5432/database.")]
    Url(String),
    /// The database does not answer.
    #[error("the database cannot be reached: {0}\nCheck that it runs and that REGISTRAR_DATABASE_URL is right.")]
    Unreachable(String),
    /// The data folder cannot be used.
    #[error("the data folder {path} cannot be used: {reason}\nChoose another one with --data or make it writable.")]
    DataFolder {
        /// The folder.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The database cannot keep every text.
    #[error("the database keeps texts in {0}\nCreate it with ENCODING 'UTF8'.")]
    Encoding(String),
    /// The embedded database has one table.
    #[error("the embedded database has no partitions\nLeave --partition-size out, or name a PostgreSQL database.")]
    NoPartitions,
    /// The embedded database is a file.
    #[error("the embedded database has no roles\nLeave --server-role out, or name a PostgreSQL database.")]
    NoRoles,
    /// There is nothing to look at.
    #[error("there is no database in {0}\nName the data folder with --data, or the database with --database-url.")]
    NoDatabase(String),
    /// The tables are not those of this release, and are only looked at.
    #[error(
        "the database must be brought up to date first\nRun `registrar migrate` with the role that owns the tables."
    )]
    NotMigrated,
    /// A newer release has migrated the database.
    #[error(
        "the database is newer than this release of Registrar (it has migration {0})\nUse the release that made it, or a later one."
    )]
    NewerDatabase(i64),
    /// The role may not migrate.
    #[error(
        "the database must be brought up to date, and this role may not: {0}\nRun `registrar migrate` with the role that owns the tables."
    )]
    MayNotMigrate(String),
    /// A migration failed.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(String),
    /// The SQLite that is linked is too old.
    #[error(
        "SQLite {0} is linked, which can corrupt a database that is written and tidied up at the same moment\nBuild Registrar with SQLite {RELEASE_MIN} or later, as it is built unless told otherwise."
    )]
    OldSqlite(String),
    /// The master key is not the one that the database is under.
    #[error(
        "the master key does not open this database\nSet REGISTRAR_MASTER_KEY to the key that it is under. While that is replaced, set REGISTRAR_FORMER_MASTER_KEY too."
    )]
    WrongMasterKey,
    /// The master key is being replaced, and the former one is not there.
    #[error(
        "the master key of this database is being replaced, and the former one is still needed\nSet REGISTRAR_FORMER_MASTER_KEY to it until `registrar keys rewrap` has finished."
    )]
    FormerKeyMissing,
    /// Anything else that the database said.
    #[error("the database cannot be used: {0}")]
    Journal(#[from] JournalError),
}

/// The two stores.
#[derive(Clone)]
pub enum Store {
    /// A PostgreSQL database, which other nodes may share.
    Postgres(PostgresStore),
    /// A file of this machine.
    Sqlite(SqliteStore),
}

impl Store {
    /// Prepares the store that the settings name; nothing is opened yet.
    ///
    /// # Errors
    /// `Url`, `DataFolder`.
    pub fn prepare(settings: &StoreSettings) -> Result<Self, OpenError> {
        match &settings.database_url {
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                let options = PgConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.to_string()))?;
                Ok(Store::Postgres(PostgresStore::new(verified(url, options).application_name("registrar"))))
            }
            Some(_) => Err(OpenError::Url("only postgres:// URLs are known; leave it out for SQLite".into())),
            None => {
                check_folder(&settings.data)?;
                Ok(Store::Sqlite(SqliteStore::new(&settings.data.join(SQLITE_FILE))))
            }
        }
    }

    /// Prepares to look at the store that the settings name, without a change to it or beside it.
    ///
    /// # Errors
    /// `Url`, `NoDatabase`.
    pub fn prepare_to_look(settings: &StoreSettings) -> Result<Self, OpenError> {
        if settings.database_url.is_some() {
            return Store::prepare(settings);
        }
        let path = settings.data.join(SQLITE_FILE);
        if !path.exists() {
            return Err(OpenError::NoDatabase(settings.data.display().to_string()));
        }
        Ok(Store::Sqlite(SqliteStore::to_look_at(&path)))
    }

    /// What operators know it by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Store::Postgres(_) => "postgresql",
            Store::Sqlite(_) => "sqlite",
        }
    }

    /// Its journal.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        match self {
            Store::Postgres(store) => Arc::new(store.clone()),
            Store::Sqlite(store) => Arc::new(store.clone()),
        }
    }

    /// Its journal as it is stored, unchecked.
    #[must_use]
    pub fn raw(&self) -> Arc<dyn RawJournal> {
        match self {
            Store::Postgres(store) => Arc::new(store.clone()),
            Store::Sqlite(store) => Arc::new(store.clone()),
        }
    }

    /// Where hashes of its Merkle tree are kept.
    #[must_use]
    pub fn tree_store(&self) -> Arc<dyn TreeStore> {
        match self {
            Store::Postgres(store) => Arc::new(store.clone()),
            Store::Sqlite(store) => Arc::new(store.clone()),
        }
    }

    /// What hangs on the master key.
    #[must_use]
    pub fn wrapped_keys(&self) -> Arc<dyn WrappedKeys> {
        match self {
            Store::Postgres(store) => Arc::new(store.clone()),
            Store::Sqlite(store) => Arc::new(store.clone()),
        }
    }

    /// The Merkle tree over the events of its journal.
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree::new(self.journal(), self.tree_store())
    }

    /// Its documents.
    #[must_use]
    pub fn read_store(&self) -> Arc<dyn ReadStore> {
        match self {
            Store::Postgres(store) => Arc::new(store.clone()),
            Store::Sqlite(store) => Arc::new(store.clone()),
        }
    }

    /// Sees whether the tables are those of this release.
    ///
    /// # Errors
    /// `Unreachable`, `OldSqlite`, `NewerDatabase`, `NotMigrated`.
    pub async fn look(&self) -> Result<(), OpenError> {
        const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
        let (applied, migrations) = match self {
            Store::Postgres(store) => {
                let mut connection = store.connect().await.map_err(unreachable)?;
                (sqlx::query_scalar(APPLIED).fetch_all(&mut connection).await, &postgres::MIGRATIONS)
            }
            Store::Sqlite(store) => {
                let mut connection = store.connect().await.map_err(unreachable)?;
                check_release(&mut connection).await?;
                (sqlx::query_scalar(APPLIED).fetch_all(&mut connection).await, &sqlite::MIGRATIONS)
            }
        };
        let applied: Vec<i64> = match applied {
            Ok(applied) => applied,
            Err(error) if is_without_table(&error) => return Err(OpenError::NotMigrated),
            Err(error) => return Err(unreachable(error.into())),
        };
        let known: Vec<i64> = migrations.iter().map(|migration| migration.version).collect();
        if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
            return Err(OpenError::NewerDatabase(*newer));
        }
        if known.iter().all(|version| applied.contains(version)) { Ok(()) } else { Err(OpenError::NotMigrated) }
    }

    /// Whether the journal can be written to: not on a standby, in a copy, or by a role that may only read.
    ///
    /// # Errors
    /// `Unreachable`.
    pub async fn may_be_written(&self) -> Result<bool, OpenError> {
        match self {
            Store::Postgres(store) => store.may_be_written().await.map_err(unreachable),
            Store::Sqlite(store) => Ok(store.may_be_written()),
        }
    }

    /// Brings the tables up to date, one process at a time.
    ///
    /// # Errors
    /// `Unreachable`, `OldSqlite`, `NewerDatabase`, `Migration`.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        match self {
            Store::Postgres(store) => {
                let mut connection = store.connect().await.map_err(unreachable)?;
                let encoding = postgres::encoding(&mut connection).await.map_err(unreachable)?;
                if encoding != "UTF8" {
                    return Err(OpenError::Encoding(encoding));
                }
                // The migrator takes an advisory lock of its own.
                postgres::MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(migration_error)
            }
            Store::Sqlite(store) => {
                let path = store.options.get_filename().with_extension("lock");
                let failed = |error: std::io::Error| OpenError::Migration(format!("{}: {error}", path.display()));
                let file = std::fs::File::create(&path).map_err(failed)?;
                let locked = file.try_clone().map_err(failed)?;
                tokio::task::spawn_blocking(move || locked.lock())
                    .await
                    .map_err(std::io::Error::other)
                    .map_err(failed)?
                    .map_err(failed)?;
                let mut connection = store.connect().await.map_err(unreachable)?;
                check_release(&mut connection).await?;
                let migrated =
                    sqlite::MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(migration_error);
                drop(file);
                migrated
            }
        }
    }

    /// Gives the role of servers what they need, and nothing by which the journal could be changed. It is made if there is
    /// none; `password` is set if given.
    ///
    /// # Errors
    /// `NoRoles` for the embedded store; `Unreachable`, `Journal` where the database refuses.
    pub async fn grant_server(&self, role: &str, password: Option<&str>) -> Result<(), OpenError> {
        match self {
            Store::Postgres(store) => postgres::roles::grant(store, role, password).await.map_err(unreachable),
            Store::Sqlite(_) => Err(OpenError::NoRoles),
        }
    }

    /// Sets how many positions a partition of events has. Partitions with events stay as they are, empty ones are made anew.
    ///
    /// # Errors
    /// `NoPartitions` for the embedded store; `Unreachable`, `Journal` where the database refuses.
    pub async fn set_partition_size(&self, positions: u32) -> Result<(), OpenError> {
        match self {
            Store::Postgres(store) => store.set_partition_size(positions).await.map_err(unreachable),
            Store::Sqlite(_) => Err(OpenError::NoPartitions),
        }
    }
}

/// Asks the library itself, since a build may be told to link the one of the system.
async fn check_release(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let release = sqlite::release(connection).await.map_err(unreachable)?;
    if sqlite::is_sound(&release) { Ok(()) } else { Err(OpenError::OldSqlite(release)) }
}

/// Whether a statement names a table that is not there.
fn is_without_table(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
}

impl From<VaultError> for OpenError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::WrongMasterKey => OpenError::WrongMasterKey,
            VaultError::FormerKeyMissing => OpenError::FormerKeyMissing,
            VaultError::Journal(error) => OpenError::Journal(error),
        }
    }
}

fn unreachable(error: JournalError) -> OpenError {
    match error {
        JournalError::Unavailable(source) => OpenError::Unreachable(source.to_string()),
        other => OpenError::Journal(other),
    }
}

fn migration_error(error: MigrateError) -> OpenError {
    match error {
        MigrateError::VersionMissing(version) => OpenError::NewerDatabase(version),
        other => {
            let text = other.to_string();
            let refused = ["permission denied", "must be owner"].iter().any(|words| text.contains(words));
            if refused { OpenError::MayNotMigrate(text) } else { OpenError::Migration(text) }
        }
    }
}

/// A database beyond this machine is spoken to over TLS, with its certificate checked, unless the URL or `PGSSLMODE` says
/// otherwise.
fn verified(url: &str, options: PgConnectOptions) -> PgConnectOptions {
    let environment = std::env::var_os("PGSSLMODE").is_some_and(|mode| !mode.is_empty());
    verified_unless(environment, url, options)
}

fn verified_unless(environment_says: bool, url: &str, options: PgConnectOptions) -> PgConnectOptions {
    let host = options.get_host();
    let here = host.starts_with('/') || is_this_machine(host) || options.get_socket().is_some();
    let said = environment_says || ["sslmode=", "ssl-mode="].iter().any(|name| url.contains(name));
    if here || said { options } else { options.ssl_mode(PgSslMode::VerifyFull) }
}

/// Finds out now, and with a clear word, what SQLite would report as "unable to open database file".
fn check_folder(folder: &Path) -> Result<(), OpenError> {
    let failed =
        |error: std::io::Error| OpenError::DataFolder { path: folder.display().to_string(), reason: error.to_string() };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let probe = folder.join(format!(".writable-{}", std::process::id()));
    std::fs::write(&probe, b"").map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_beyond_this_machine_is_verified_unless_somebody_says_otherwise() {
        let mode = |url: &str, environment_says: bool| {
            let options = PgConnectOptions::from_str(url).expect("a URL").ssl_mode(PgSslMode::Prefer);
            // What the URL says is kept as the driver read it.
            let options = match url.contains("sslmode=disable") || url.contains("ssl-mode=disable") {
                true => options.ssl_mode(PgSslMode::Disable),
                false => options,
            };
            format!("{:?}", verified_unless(environment_says, url, options).get_ssl_mode())
        };
        for (url, expected) in [
            ("postgres://u:p@db.example.org/d", "VerifyFull"),
            ("postgresql://u:p@db.example.org:5433/d?application_name=x", "VerifyFull"),
            ("postgres://u:p@192.0.2.7/d", "VerifyFull"),
            ("postgres://u:p@[2001:db8::1]/d", "VerifyFull"),
            ("postgres://u:p@localhost.example.org/d", "VerifyFull"),
            ("postgres://u:p@localhost/d", "Prefer"),
            ("postgres://u:p@127.0.0.1:5432/d", "Prefer"),
            ("postgres://u:p@127.8.0.1/d", "Prefer"),
            ("postgres://u:p@[::1]/d", "Prefer"),
            ("postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d", "Prefer"),
            ("postgres:///d?host=/var/run/postgresql", "Prefer"),
            ("postgres://u:p@db.example.org/d?sslmode=disable", "Disable"),
            ("postgres://u:p@db.example.org/d?ssl-mode=disable", "Disable"),
        ] {
            assert_eq!(mode(url, false), expected, "{url}");
        }
        assert_eq!(mode("postgres://u:p@db.example.org/d", true), "Prefer", "PGSSLMODE says so");
    }
}
