//! A database as a whole: migrated, shared between processes, copied.

use super::{DocumentStore, JournalError, JournalResult, JournalStore, OpenError, RawJournal, TreeStore, WrappedKeys};
use async_trait::async_trait;
use futures::stream::BoxStream;
use sqlx::migrate::Migrator;
use std::path::Path;
use std::time::Duration;

/// The lock of a leadership.
#[async_trait]
pub trait LeadershipLock: Send {
    /// Whether the lock is still held, as far as the database answers.
    async fn is_held(&mut self) -> bool;
}

/// Guard of a leadership; dropping it lets another process take over.
pub type LeadershipGuard = Box<dyn LeadershipLock>;

/// Head positions announced by other nodes, `None` for an announcement without one; the stream ends with the
/// connection. An announcement is only a hint to look: other database users may send one too.
pub type Announcements = BoxStream<'static, JournalResult<Option<u64>>>;

/// All capabilities of a database.
#[async_trait]
pub trait Backend: JournalStore + DocumentStore + RawJournal + TreeStore + WrappedKeys {
    /// Name for operators.
    fn name(&self) -> &'static str;

    /// Migrations of the tables, in order.
    fn migrations(&self) -> &'static Migrator;

    /// Versions of the migrations that were applied.
    ///
    /// # Errors
    /// `NotMigrated` if none ever was; `Unreachable`, `OldSqlite`.
    async fn applied(&self) -> Result<Vec<i64>, OpenError>;

    /// See [`super::Store::migrate`].
    async fn migrate(&self) -> Result<(), OpenError>;

    /// Whether this process can write to the journal.
    async fn may_be_written(&self) -> JournalResult<bool>;

    /// See [`super::Store::try_lead`].
    async fn try_lead(&self, name: &str) -> JournalResult<Option<LeadershipGuard>>;

    /// See [`super::Store::write_time`].
    fn write_time(&self) -> Duration;

    /// See [`super::Store::announcements`].
    async fn announcements(&self) -> JournalResult<Option<Announcements>> {
        Ok(None)
    }

    /// See [`super::Store::grant_server`].
    async fn grant_server(&self, _role: &str, _password: Option<&str>) -> Result<(), OpenError> {
        Err(OpenError::NoRoles)
    }

    /// See [`super::Store::set_partition_size`].
    async fn set_partition_size(&self, _positions: u32) -> Result<(), OpenError> {
        Err(OpenError::NoPartitions)
    }

    /// See [`super::Store::is_file`].
    fn is_file(&self) -> bool {
        false
    }

    /// See [`super::Store::copy_to`].
    async fn copy_to(&self, _path: &Path) -> JournalResult<()> {
        Err(JournalError::unavailable(std::io::Error::from(std::io::ErrorKind::Unsupported)))
    }

    /// See [`super::Store::settle`].
    async fn settle(&self) -> JournalResult<()> {
        Ok(())
    }
}
