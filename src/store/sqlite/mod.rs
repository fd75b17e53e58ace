//! A SQLite database: one file, no server. The writer's transaction is `BEGIN IMMEDIATE`, so other processes, such as
//! the command line, may write as well, with the same checks.

mod backend;
mod document_script;
mod documents;
mod journal;
mod raw;
mod restore;
mod script;
mod search;
mod tree;
mod wrapped;
mod writer;

use super::rows::columns;
use super::{JournalError, JournalResult, migrations, schema_of};
use chrono::{DateTime, Utc};
use script::STATEMENTS_KEPT;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Connection, Row};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Connections for reading.
const CONNECTIONS_MAX: u32 = 4;
/// Time a writer waits for another process to finish its transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

const EVENT_COLUMNS: &str = "position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, event_version, \
     payload, metadata, leaf_hash";

/// Limits the events selected by `selecting`: an event is included while those before it have fewer bytes of payloads
/// and metadata than `bytes`. Lengths are read without the texts, so no text is read in vain.
fn within_bytes(selecting: &str, bytes: &str) -> String {
    format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE position IN (SELECT position FROM (SELECT position, \
         coalesce(sum(bytes) OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before \
         FROM (SELECT position, octet_length(payload) + octet_length(metadata) AS bytes FROM events {selecting})) \
         WHERE bytes_before < {bytes})"
    )
}

/// The first supported release of SQLite. Earlier ones can corrupt a file when one connection commits or checkpoints at
/// the moment at which another restarts the write-ahead log.
pub(super) const RELEASE_MIN: &str = "3.51.3";

/// Page cache of a writing connection, in KiB (negative by SQLite's convention): the index pages that random keys of
/// some ten thousand aggregates touch.
const WRITER_CACHE: &str = "-16384";

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).statement_cache_capacity(STATEMENTS_KEPT)
}

/// Number of the last migration that this release knows.
fn schema() -> i64 {
    schema_of(&migrations::SQLITE)
}

columns!(SqliteRow, time);

fn time(row: &SqliteRow, column: &str) -> JournalResult<DateTime<Utc>> {
    let text: String = row.try_get(column)?;
    Ok(DateTime::parse_from_rfc3339(&text).map_err(JournalError::corrupt)?.to_utc())
}

/// A SQLite file with the tables of `migrations/sqlite`.
#[derive(Clone)]
pub(super) struct SqliteStore {
    pool: SqlitePool,
    options: SqliteConnectOptions,
    turns: Arc<Mutex<()>>,
    /// Number of commits begun.
    commits: Arc<AtomicU64>,
}

impl SqliteStore {
    /// Prepares connections to the file at `path`; none is made yet.
    #[must_use]
    pub(super) fn new(path: &Path) -> Self {
        let options = options(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: an acknowledged commit survives a power cut, not only a crash.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        Self::with(options)
    }

    /// As [`SqliteStore::new`], for reading only. A file in a read-only folder without a write-ahead log is a copy that
    /// does not change: SQLite could not create the files that coordinate readers and writers of a database.
    #[must_use]
    fn to_look_at(path: &Path) -> Self {
        let log = path.with_file_name(format!("{}-wal", path.file_name().unwrap_or_default().to_string_lossy()));
        let is_whole = std::fs::metadata(log).map_or(true, |log| log.len() == 0);
        let store = Self::with(options(path).read_only(true));
        if is_whole && !store.is_writable() {
            return Self::with(options(path).read_only(true).immutable(true));
        }
        store
    }

    /// Whether this process may write to the file and its folder. A file without any write permission is meant to stay
    /// unchanged, though the system would let root write.
    #[must_use]
    fn is_writable(&self) -> bool {
        let file = self.options.get_filename();
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        [file, folder].iter().all(|path| {
            let meant = std::fs::metadata(path).is_ok_and(|metadata| !metadata.permissions().readonly());
            meant && rustix::fs::access(*path, rustix::fs::Access::WRITE_OK).is_ok()
        })
    }

    fn with(options: SqliteConnectOptions) -> Self {
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A file needs no ping.
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        SqliteStore { pool, options, turns: Arc::default(), commits: Arc::default() }
    }

    /// Waits for this writer's turn. SQLite lets waiting connections poll, so a continuous writer such as a rebuild
    /// would always win; here writers queue.
    ///
    /// # Errors
    /// `Unavailable` if the wait takes too long.
    async fn turn(&self) -> JournalResult<OwnedMutexGuard<()>> {
        let turn = tokio::time::timeout(BUSY_TIMEOUT, Arc::clone(&self.turns).lock_owned()).await;
        turn.map_err(JournalError::unavailable)
    }

    /// Opens a dedicated connection, outside the pool.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn connect(&self) -> JournalResult<SqliteConnection> {
        Ok(SqliteConnection::connect_with(&self.options.clone().pragma("cache_size", WRITER_CACHE)).await?)
    }
}

/// The linked release of SQLite.
///
/// # Errors
/// `Unavailable`.
async fn release(connection: &mut SqliteConnection) -> JournalResult<String> {
    Ok(sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection).await?)
}

/// Whether a release is [`RELEASE_MIN`] or later.
fn is_sound(release: &str) -> bool {
    let numbers = |release: &str| release.split('.').map(str::parse::<u32>).collect::<Result<Vec<_>, _>>();
    matches!((numbers(release), numbers(RELEASE_MIN)), (Ok(release), Ok(least)) if release >= least)
}

/// Whether an error means that a table does not exist, as after its generation was dropped. SQLite has no error code of
/// its own for that.
fn is_gone(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.message().starts_with("no such table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_linked_release_is_sound() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let release = release(&mut connection).await.unwrap();
        assert!(is_sound(&release), "{release}");
    }

    #[test]
    fn releases_are_compared_by_their_numbers() {
        for sound in ["3.51.3", "3.51.10", "3.100.0", "4.0.0"] {
            assert!(is_sound(sound), "{sound}");
        }
        for other in ["3.51.2", "3.46.0", "3.9.9", "3.51", "2.99.9", "", "3.51.x"] {
            assert!(!is_sound(other), "{other}");
        }
    }
}
