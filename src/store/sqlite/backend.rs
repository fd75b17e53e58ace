//! [`Backend`] on SQLite.

use super::{SqliteStore, is_gone, is_sound, release};
use crate::store::statements::APPLIED;
use crate::store::{Backend, JournalError, JournalResult, LeadershipGuard, LeadershipLock, OpenError, migrations};
use async_trait::async_trait;
use sqlx::Connection;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnection;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

/// File name of the database in the data folder.
const FILE: &str = "registrar.sqlite3";

impl SqliteStore {
    /// The database in a data folder, which is created if missing.
    ///
    /// # Errors
    /// `DataFolder`.
    pub(in crate::store) fn in_folder(folder: &Path) -> Result<Self, OpenError> {
        check_folder(folder)?;
        Ok(SqliteStore::new(&folder.join(FILE)))
    }

    /// The database in a data folder, for reading only.
    ///
    /// # Errors
    /// `NoDatabase`.
    pub(in crate::store) fn in_folder_to_look_at(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Err(OpenError::NoDatabase(folder.display().to_string()));
        }
        Ok(SqliteStore::to_look_at(&path))
    }

    /// Opens a connection after checking the release of the SQLite library.
    async fn checked(&self) -> Result<SqliteConnection, OpenError> {
        let mut connection = self.connect().await.map_err(OpenError::unreachable)?;
        // Asked of the library itself, since a build may link the system's.
        let release = release(&mut connection).await.map_err(OpenError::unreachable)?;
        if is_sound(&release) { Ok(connection) } else { Err(OpenError::OldSqlite(release)) }
    }
}

#[async_trait]
impl Backend for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn migrations(&self) -> &'static Migrator {
        &migrations::SQLITE
    }

    async fn applied(&self) -> Result<Vec<i64>, OpenError> {
        match sqlx::query_scalar(APPLIED).fetch_all(&mut self.checked().await?).await {
            Err(sqlx::Error::Database(error)) if is_gone(&*error) => Err(OpenError::NotMigrated),
            applied => applied.map_err(|error| OpenError::unreachable(error.into())),
        }
    }

    async fn migrate(&self) -> Result<(), OpenError> {
        let path = self.options.get_filename().with_extension("lock");
        let failed = |error: std::io::Error| OpenError::Migration(format!("{}: {error}", path.display()));
        let file = File::create(&path).map_err(failed)?;
        let locked = file.try_clone().map_err(failed)?;
        let locking = tokio::task::spawn_blocking(move || locked.lock()).await;
        locking.map_err(std::io::Error::other).map_err(failed)?.map_err(failed)?;
        let mut connection = self.checked().await?;
        let migrated =
            migrations::SQLITE.run_direct(None, &mut connection, false).await.map_err(OpenError::of_migration);
        drop(file);
        migrated
    }

    async fn may_be_written(&self) -> JournalResult<bool> {
        Ok(self.is_writable())
    }

    /// Takes a lock on a file, which ends with the process.
    async fn try_lead(&self, name: &str) -> JournalResult<Option<LeadershipGuard>> {
        let path = self.options.get_filename().with_extension(format!("{name}.lock"));
        let file = File::create(path).map_err(JournalError::unavailable)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(JournalError::unavailable(error)),
        }
    }

    /// Commits wait for this long.
    fn write_time(&self) -> Duration {
        Duration::from_millis(10)
    }

    fn is_file(&self) -> bool {
        true
    }

    async fn copy_to(&self, path: &Path) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        let path = path.to_str().ok_or_else(|| JournalError::corrupt("the path is not UTF-8"))?;
        sqlx::query("VACUUM INTO $1").bind(path).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    async fn settle(&self) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
        Ok(connection.close().await?)
    }
}

/// A locked file stays locked until its process ends.
#[async_trait]
impl LeadershipLock for File {
    async fn is_held(&mut self) -> bool {
        true
    }
}

/// Reports folder problems with a clear message; SQLite would say "unable to open database file".
fn check_folder(folder: &Path) -> Result<(), OpenError> {
    let failed =
        |error: std::io::Error| OpenError::DataFolder { path: folder.display().to_string(), reason: error.to_string() };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let probe = folder.join(format!(".writable-{}", std::process::id()));
    std::fs::write(&probe, b"").map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)
}
