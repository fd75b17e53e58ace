//! Opening the database from the settings: the only code that knows all databases.

use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;
use super::{
    Announcements, Backend, DocumentStore, JournalResult, JournalStore, LeadershipGuard, OpenError, RawJournal,
    TreeStore, WrappedKeys,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Location of a node's data.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// `postgres://...`; `None` for SQLite in the data folder.
    pub database_url: Option<String>,
    /// Folder of the embedded database.
    pub data: PathBuf,
    /// Folder with archives that were moved from where they were written.
    pub archives: Option<PathBuf>,
}

/// Handle of a database; its parts are accessed by use.
#[derive(Clone)]
pub struct Store(Arc<dyn Backend>);

impl Store {
    /// Prepares the database of the settings; no connection is made yet.
    ///
    /// # Errors
    /// `Url`, `DataFolder`.
    pub fn open(settings: &StoreSettings) -> Result<Self, OpenError> {
        Ok(match &settings.database_url {
            Some(url) => Store(Arc::new(PostgresStore::at(url)?)),
            None => Store(Arc::new(SqliteStore::in_folder(&settings.data)?)),
        })
    }

    /// As [`Store::open`], for reading only, without a change to the database or beside it.
    ///
    /// # Errors
    /// `Url`, `NoDatabase`.
    pub fn open_to_look(settings: &StoreSettings) -> Result<Self, OpenError> {
        match &settings.database_url {
            Some(_) => Store::open(settings),
            None => Ok(Store(Arc::new(SqliteStore::in_folder_to_look_at(&settings.data)?))),
        }
    }

    /// Prepares an embedded database in the file at `path`.
    #[must_use]
    pub fn in_file(path: &Path) -> Self {
        Store(Arc::new(SqliteStore::new(path)))
    }

    /// Name for operators.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Journal in SQL; [`crate::journal::Journal`] adds the rules.
    #[must_use]
    pub fn journal_store(&self) -> Arc<dyn JournalStore> {
        Arc::clone(&self.0) as _
    }

    /// Journal rows as stored, unchecked.
    #[must_use]
    pub fn raw(&self) -> Arc<dyn RawJournal> {
        Arc::clone(&self.0) as _
    }

    /// Stored hashes of the Merkle tree; [`crate::journal::tree::Tree`] adds the rules.
    #[must_use]
    pub fn tree_store(&self) -> Arc<dyn TreeStore> {
        Arc::clone(&self.0) as _
    }

    /// Values wrapped by the master key.
    #[must_use]
    pub fn wrapped_keys(&self) -> Arc<dyn WrappedKeys> {
        Arc::clone(&self.0) as _
    }

    /// Document tables.
    #[must_use]
    pub fn document_store(&self) -> Arc<dyn DocumentStore> {
        Arc::clone(&self.0) as _
    }

    /// Checks that the tables are those of this release.
    ///
    /// # Errors
    /// `Unreachable`, `OldSqlite`, `NewerDatabase`, `NotMigrated`.
    pub async fn look(&self) -> Result<(), OpenError> {
        let applied = self.0.applied().await?;
        let known: Vec<i64> = self.0.migrations().iter().map(|migration| migration.version).collect();
        if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
            return Err(OpenError::NewerDatabase(*newer));
        }
        if known.iter().all(|version| applied.contains(version)) { Ok(()) } else { Err(OpenError::NotMigrated) }
    }

    /// Whether the journal can be written to: not on a standby, in a copy, or by a read-only role.
    ///
    /// # Errors
    /// `Unreachable`.
    pub async fn may_be_written(&self) -> Result<bool, OpenError> {
        self.0.may_be_written().await.map_err(OpenError::unreachable)
    }

    /// Migrates the tables, one process at a time.
    ///
    /// # Errors
    /// `Unreachable`, `Encoding`, `OldSqlite`, `NewerDatabase`, `MayNotMigrate`, `Migration`.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        self.0.migrate().await
    }

    /// Grants the servers' role the rights it needs, and none to change the journal. A missing role is created;
    /// `password` is set if given.
    ///
    /// # Errors
    /// `NoRoles` for the embedded database; `Unreachable`; `Journal` if the database refuses.
    pub async fn grant_server(&self, role: &str, password: Option<&str>) -> Result<(), OpenError> {
        self.0.grant_server(role, password).await
    }

    /// Sets the number of positions in a partition of events. Partitions with events stay as they are, empty ones are
    /// recreated.
    ///
    /// # Errors
    /// `NoPartitions` for the embedded database; `Unreachable`; `Journal` if the database refuses.
    pub async fn set_partition_size(&self, positions: u32) -> Result<(), OpenError> {
        self.0.set_partition_size(positions).await
    }

    /// Tries to lead the task `name` among all processes that use the database; `None` while another one does. Dropping
    /// the guard lets others lead.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn try_lead(&self, name: &str) -> JournalResult<Option<LeadershipGuard>> {
        self.0.try_lead(name).await
    }

    /// Heads that other nodes announce from now on; `None` if the database has no announcements.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn announcements(&self) -> JournalResult<Option<Announcements>> {
        self.0.announcements().await
    }

    /// Target time for writing a page of documents while a generation is built.
    #[must_use]
    pub fn write_time(&self) -> Duration {
        self.0.write_time()
    }

    /// Whether the database is one file, which [`Store::copy_to`] copies.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.0.is_file()
    }

    /// Writes a consistent copy to an empty file; other processes can read and write meanwhile.
    ///
    /// # Errors
    /// `Unavailable`, also if the database is not a file.
    pub async fn copy_to(&self, path: &Path) -> JournalResult<()> {
        self.0.copy_to(path).await
    }

    /// Moves all commits into one file, if the database is one.
    ///
    /// # Errors
    /// `Unavailable`, in particular while another process reads.
    pub async fn settle(&self) -> JournalResult<()> {
        self.0.settle().await
    }
}
