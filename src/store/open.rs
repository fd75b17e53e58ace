//! Opening the database that the settings name: the one place that knows which databases there are.

use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;
use super::{
    Announcements, Backend, DocumentStore, Held, JournalResult, JournalStore, OpenError, RawJournal, TreeStore,
    WrappedKeys,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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

/// A database, by what is done with it.
#[derive(Clone)]
pub struct Store(Arc<dyn Backend>);

impl Store {
    /// Prepares the database that the settings name; no connection is made yet.
    ///
    /// # Errors
    /// `Url`, `DataFolder`.
    pub fn open(settings: &StoreSettings) -> Result<Self, OpenError> {
        Ok(match &settings.database_url {
            Some(url) => Store(Arc::new(PostgresStore::at(url)?)),
            None => Store(Arc::new(SqliteStore::in_folder(&settings.data)?)),
        })
    }

    /// The same to look at, without a change to the database or beside it.
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

    /// What operators know it by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Its journal as SQL reads it; [`crate::journal::Journal`] has the rules.
    #[must_use]
    pub fn journal_store(&self) -> Arc<dyn JournalStore> {
        Arc::clone(&self.0) as _
    }

    /// Its journal as it is stored, unchecked.
    #[must_use]
    pub fn raw(&self) -> Arc<dyn RawJournal> {
        Arc::clone(&self.0) as _
    }

    /// Hashes of its Merkle tree as they are stored; [`crate::journal::tree::Tree`] has the rules.
    #[must_use]
    pub fn tree_store(&self) -> Arc<dyn TreeStore> {
        Arc::clone(&self.0) as _
    }

    /// What hangs on the master key.
    #[must_use]
    pub fn wrapped_keys(&self) -> Arc<dyn WrappedKeys> {
        Arc::clone(&self.0) as _
    }

    /// Its documents.
    #[must_use]
    pub fn document_store(&self) -> Arc<dyn DocumentStore> {
        Arc::clone(&self.0) as _
    }

    /// Sees whether the tables are those of this release.
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

    /// Whether the journal can be written to: not on a standby, in a copy, or by a role that may only read.
    ///
    /// # Errors
    /// `Unreachable`.
    pub async fn may_be_written(&self) -> Result<bool, OpenError> {
        self.0.may_be_written().await.map_err(OpenError::unreachable)
    }

    /// Brings the tables up to date, one process at a time.
    ///
    /// # Errors
    /// `Unreachable`, `Encoding`, `OldSqlite`, `NewerDatabase`, `MayNotMigrate`, `Migration`.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        self.0.migrate().await
    }

    /// Gives the role of servers what they need, and nothing by which the journal could be changed. It is made if there is
    /// none; `password` is set if given.
    ///
    /// # Errors
    /// `NoRoles` for the embedded database; `Unreachable`, `Journal` where the database refuses.
    pub async fn grant_server(&self, role: &str, password: Option<&str>) -> Result<(), OpenError> {
        self.0.grant_server(role, password).await
    }

    /// Sets how many positions a partition of events has. Partitions with events stay as they are, empty ones are made anew.
    ///
    /// # Errors
    /// `NoPartitions` for the embedded database; `Unreachable`, `Journal` where the database refuses.
    pub async fn set_partition_size(&self, positions: u32) -> Result<(), OpenError> {
        self.0.set_partition_size(positions).await
    }

    /// Tries to lead in the matter of `name`, among all processes that use the database; `None` while another one does. Others
    /// may lead once what is answered is dropped.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn try_lead(&self, name: &str) -> JournalResult<Option<Held>> {
        self.0.try_lead(name).await
    }

    /// Heads that other nodes announce from now on; `None` where none does.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn announcements(&self) -> JournalResult<Option<Announcements>> {
        self.0.announcements().await
    }

    /// How long the writing of a page of documents should take while a generation is built.
    #[must_use]
    pub fn write_time(&self) -> Duration {
        self.0.write_time()
    }

    /// Whether the database is one file, which [`Store::copy_to`] copies.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.0.is_file()
    }

    /// Writes a copy as of one moment to an empty file; others read and write meanwhile.
    ///
    /// # Errors
    /// `Unavailable`, also where the database is no file.
    pub async fn copy_to(&self, path: &Path) -> JournalResult<()> {
        self.0.copy_to(path).await
    }

    /// Brings everything that was committed into one file, if the database is one.
    ///
    /// # Errors
    /// `Unavailable`, above all while another process reads.
    pub async fn settle(&self) -> JournalResult<()> {
        self.0.settle().await
    }
}
