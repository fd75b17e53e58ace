//! The journal on SQLite: one file, no server. The writer's transaction is `BEGIN IMMEDIATE`, so that other processes
//! (the command line, say) may write beside it, with the same checks.

mod archived;
mod documents;
mod rows;
mod selection;
mod writer;

use super::{
    Head, Journal, JournalError, JournalResult, JournalWriter, NOTE_PUBLISHED, PUBLISHED, Portion, Published,
    StoredAnswer, StoredEvent, StoredSnapshot,
    archived::{self as archiving, StreamPage},
    assembled, check_schema,
    codec::timestamp,
    merkle::Frontier,
    selection::{self as selecting, EventFilter, Members, Selection},
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rows::STATEMENTS_KEPT;
use serde_json::json;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Connection, Row};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use writer::SqliteWriter;

/// Connections for reading.
const CONNECTIONS_MAX: u32 = 4;
/// How long a writer waits for another process to finish its transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

const EVENT_COLUMNS: &str = "position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, event_version, \
     payload, metadata, leaf_hash";

/// The events that the end of a statement selects, as long as those before them have fewer bytes of payloads and metadata
/// than `bytes` says. Lengths are read without the texts, so that no text is read in vain.
fn within_bytes(selecting: &str, bytes: &str) -> String {
    format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE position IN (SELECT position FROM (SELECT position, \
         coalesce(sum(bytes) OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before \
         FROM (SELECT position, octet_length(payload) + octet_length(metadata) AS bytes FROM events {selecting})) \
         WHERE bytes_before < {bytes})"
    )
}

/// The first release of SQLite that a store may use. Earlier ones can corrupt a file when one connection commits or
/// checkpoints at the moment at which another begins the write-ahead log anew.
pub const RELEASE_MIN: &str = "3.51.3";

/// Page cache of a connection that writes, in KiB (negative by SQLite's convention): what random keys touch of the
/// indexes of some ten thousand aggregates.
const WRITER_CACHE: &str = "-16384";

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).statement_cache_capacity(STATEMENTS_KEPT)
}

/// Migrations of the tables, in order.
pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Number of the last migration that this release knows.
pub(crate) fn schema() -> i64 {
    super::schema(&MIGRATIONS)
}

/// A SQLite file with the tables of `migrations/sqlite`.
#[derive(Clone)]
pub struct SqliteStore {
    pub(crate) pool: SqlitePool,
    pub(crate) options: SqliteConnectOptions,
    turns: Arc<Mutex<()>>,
    /// Commits that were begun.
    commits: Arc<AtomicU64>,
}

impl SqliteStore {
    /// Prepares connections to the file at `path`; none is made yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let options = options(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: what was acknowledged survives a power cut, not only a crash.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        Self::with(options)
    }

    /// The same for a file that is only read. One in a folder that nobody may write to, without a write-ahead log, is a copy
    /// that stays as it is: SQLite could not make the files by which readers and writers of a database know each other.
    #[must_use]
    pub fn to_look_at(path: &Path) -> Self {
        let log = path.with_file_name(format!("{}-wal", path.file_name().unwrap_or_default().to_string_lossy()));
        let is_whole = std::fs::metadata(log).map_or(true, |log| log.len() == 0);
        let store = Self::with(options(path).read_only(true));
        if is_whole && !store.may_be_written() {
            return Self::with(options(path).read_only(true).immutable(true));
        }
        store
    }

    /// Whether this process may write to the file and beside it. What has no one's right to write is meant to stay as it is,
    /// though the system would let root.
    #[must_use]
    pub(crate) fn may_be_written(&self) -> bool {
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
            // A file does not hang up.
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        SqliteStore { pool, options, turns: Arc::default(), commits: Arc::default() }
    }

    /// Waits until it is this one's turn to write. SQLite itself lets those who wait look again now and then, so that
    /// whoever writes on and on, as a rebuild does, comes first for ever; here they stand in line.
    ///
    /// # Errors
    /// `Unavailable` if that takes too long.
    pub(crate) async fn turn(&self) -> JournalResult<OwnedMutexGuard<()>> {
        let turn = tokio::time::timeout(BUSY_TIMEOUT, Arc::clone(&self.turns).lock_owned()).await;
        turn.map_err(JournalError::unavailable)
    }

    /// Brings everything that was committed into the one file, which is a whole copy by itself then.
    ///
    /// # Errors
    /// `Unavailable`, above all while somebody reads.
    pub(crate) async fn settle(&self) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Writes a copy as of one moment to an empty file; others read and write meanwhile.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) async fn copy_to(&self, path: &Path) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        let path = path.to_str().ok_or_else(|| JournalError::corrupt("the path is not UTF-8"))?;
        sqlx::query("VACUUM INTO $1").bind(path).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// A connection of its own, outside the pool.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn connect(&self) -> JournalResult<SqliteConnection> {
        Ok(SqliteConnection::connect_with(&self.options.clone().pragma("cache_size", WRITER_CACHE)).await?)
    }
}

/// The release of SQLite that is linked.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn release(connection: &mut SqliteConnection) -> JournalResult<String> {
    Ok(sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection).await?)
}

/// Whether a release is [`RELEASE_MIN`] or later.
pub(crate) fn is_sound(release: &str) -> bool {
    let numbers = |release: &str| release.split('.').map(str::parse::<u32>).collect::<Result<Vec<_>, _>>();
    matches!((numbers(release), numbers(RELEASE_MIN)), (Ok(release), Ok(least)) if release >= least)
}

fn unsigned(row: &SqliteRow, column: &str) -> JournalResult<u64> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(JournalError::corrupt)
}

pub(crate) fn signed(number: u64) -> JournalResult<i64> {
    i64::try_from(number).map_err(JournalError::corrupt)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn time(row: &SqliteRow, column: &str) -> JournalResult<DateTime<Utc>> {
    let text: String = row.try_get(column)?;
    Ok(DateTime::parse_from_rfc3339(&text).map_err(JournalError::corrupt)?.to_utc())
}

fn event(row: &SqliteRow) -> JournalResult<StoredEvent> {
    let leaf_hash: Vec<u8> = row.try_get("leaf_hash")?;
    Ok(StoredEvent {
        position: unsigned(row, "position")?,
        recorded_at: time(row, "recorded_at")?,
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: unsigned(row, "sequence")?,
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        payload: row.try_get("payload")?,
        metadata: row.try_get("metadata")?,
        leaf_hash: leaf_hash.try_into().map_err(|_| JournalError::corrupt("a leaf hash is not 32 bytes"))?,
    })
}

const HEAD: &str = "SELECT position, generation, recorded_at, frontier, least_schema FROM journal_head";

fn head(row: &SqliteRow) -> JournalResult<Head> {
    check_schema(row.try_get("least_schema")?, schema())?;
    let position = unsigned(row, "position")?;
    let frontier: Vec<u8> = row.try_get("frontier")?;
    Ok(Head {
        position,
        generation: unsigned(row, "generation")?,
        recorded_at: time(row, "recorded_at")?,
        frontier: Frontier::from_bytes(position, &frontier)
            .ok_or_else(|| JournalError::corrupt("the tree in the journal head does not fit its position"))?,
    })
}

#[async_trait]
impl Journal for SqliteStore {
    async fn head(&self) -> JournalResult<Head> {
        head(&sqlx::query(HEAD).fetch_one(&self.pool).await?)
    }

    async fn stream(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> JournalResult<Vec<StoredEvent>> {
        let found = self.found((aggregate_type, aggregate_id), after_sequence, usize::MAX).await?;
        let page = found.page(after_sequence, u64::MAX, usize::MAX)?;
        page.archived.map_or(Ok(page.events), |until| Err(JournalError::Archived { until }))
    }

    async fn stream_page(
        &self,
        stream: (&str, &str),
        after_sequence: u64,
        until: u64,
        limit: usize,
    ) -> JournalResult<StreamPage> {
        self.found(stream, after_sequence, limit).await?.page(after_sequence, until, limit)
    }

    async fn read_portion(&self, after: u64, portion: Portion) -> JournalResult<Vec<StoredEvent>> {
        let next = within_bytes("WHERE position > $1 ORDER BY position LIMIT $2", "$3");
        let text = assembled(format!(
            "SELECT h.position AS head, h.archived_until, e.* FROM journal_head h LEFT JOIN ({next}) e ON 1 = 1 \
             ORDER BY e.position"
        ));
        let (from, [count, bytes]) = (signed(after)?, portion.bounds());
        let rows = sqlx::query(text).bind(from).bind(count).bind(bytes).fetch_all(&self.pool).await?;
        let head = rows.first().map_or(Ok(0), |row| unsigned(row, "head"))?;
        let archived_until = rows.first().map_or(Ok(0), |row| unsigned(row, "archived_until"))?;
        if after < archived_until {
            return Err(JournalError::Archived { until: archived_until });
        }
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            if row.try_get::<Option<i64>, _>("position")?.is_some() {
                events.push(event(row)?);
            }
        }
        super::dense(after, portion, head, events)
    }

    async fn select(&self, filter: &EventFilter, after: u64, until: u64, portion: Portion) -> JournalResult<Selection> {
        if !filter.is_empty() {
            let archived = self.archived_for(filter, until).await?;
            if after < archived {
                return Err(JournalError::Archived { until: archived });
            }
            return selecting::select(self, filter, after, until, portion).await;
        }
        let mut events = self.read_portion(after, portion).await?;
        let full = portion.is_full(&events);
        events.retain(|event| event.position <= until);
        let looked_until = events.last().filter(|_| full).map_or(until, |event| event.position);
        Ok(Selection { events, looked_until })
    }

    async fn members(&self, organization: &str, after: u64, until: u64, limit: usize) -> JournalResult<Members> {
        let of = EventFilter { organization_id: Some(organization.to_owned()), ..EventFilter::default() };
        match self.archived_for(&of, until).await? {
            0 => self.find_members(organization, after, until, limit).await,
            archived => Err(JournalError::Archived { until: archived }),
        }
    }

    async fn position_at(&self, time: DateTime<Utc>) -> JournalResult<RangeInclusive<u64>> {
        let position = self.find_position_at(time).await?;
        let archived_until = self.archived_until().await?;
        if archived_until == 0 || position > archived_until {
            return Ok(position..=position);
        }
        self.archived_position_at(time, archived_until).await
    }

    async fn carried(&self, position: u64) -> JournalResult<Option<StoredEvent>> {
        let text = assembled(format!("SELECT {EVENT_COLUMNS} FROM carried_events WHERE position = $1"));
        let row = sqlx::query(text).bind(signed(position)?).fetch_optional(&self.pool).await?;
        row.as_ref().map(event).transpose()
    }

    async fn archived_for(&self, filter: &EventFilter, until: u64) -> JournalResult<u64> {
        archiving::archived_for(self, filter, until).await
    }

    async fn claim_holder(&self, key: &str) -> JournalResult<Option<(String, String)>> {
        let query = sqlx::query_as("SELECT aggregate_type, aggregate_id FROM claims WHERE key = $1").bind(key);
        Ok(query.fetch_optional(&self.pool).await?)
    }

    async fn snapshot(&self, aggregate_type: &str, aggregate_id: &str) -> JournalResult<Option<StoredSnapshot>> {
        let text = "SELECT last_sequence, shape, payload FROM snapshots \
             WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY last_sequence DESC LIMIT 1";
        let row = sqlx::query(text).bind(aggregate_type).bind(aggregate_id).fetch_optional(&self.pool).await?;
        row.map(|row| {
            Ok(StoredSnapshot {
                last_sequence: unsigned(&row, "last_sequence")?,
                shape: u32::try_from(row.try_get::<i64, _>("shape")?).map_err(JournalError::corrupt)?,
                payload: row.try_get("payload")?,
            })
        })
        .transpose()
    }

    async fn save_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        snapshot: StoredSnapshot,
    ) -> JournalResult<()> {
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let former: Option<(i64, i64, i64)> = sqlx::query_as(
            "SELECT shape, last_sequence, current_snapshot FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 \
             ORDER BY last_sequence DESC LIMIT 1",
        )
        .bind(aggregate_type)
        .bind(aggregate_id)
        .fetch_optional(&mut *transaction)
        .await?;
        let (last_sequence, shape) = (signed(snapshot.last_sequence)?, i64::from(snapshot.shape));
        if former.is_some_and(|former| (former.0, former.1) >= (shape, last_sequence)) {
            return Ok(());
        }
        sqlx::query("DELETE FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2")
            .bind(aggregate_type)
            .bind(aggregate_id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO snapshots (aggregate_type, aggregate_id, last_sequence, current_snapshot, payload, shape) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(aggregate_type)
        .bind(aggregate_id)
        .bind(last_sequence)
        .bind(former.map_or(1, |(_, _, current)| current + 1))
        .bind(snapshot.payload)
        .bind(shape)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    async fn subject_keys(&self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>> {
        let query = sqlx::query_as(
            "SELECT subject_id, wrapped_key FROM subject_keys WHERE subject_id IN (SELECT value FROM json_each($1))",
        );
        Ok(query.bind(json!(subject_ids).to_string()).fetch_all(&self.pool).await?.into_iter().collect())
    }

    async fn answer(&self, key: &[u8]) -> JournalResult<Option<StoredAnswer>> {
        let query =
            sqlx::query_as("SELECT fingerprint, answer FROM idempotency_keys WHERE key = $1 AND expires_at > $2");
        let found: Option<(Vec<u8>, Vec<u8>)> =
            query.bind(key).bind(timestamp(Utc::now())).fetch_optional(&self.pool).await?;
        Ok(found.map(|(fingerprint, answer)| StoredAnswer { fingerprint, answer }))
    }

    async fn forget_answers(&self) -> JournalResult<u64> {
        let query = sqlx::query("DELETE FROM idempotency_keys WHERE expires_at <= $1").bind(timestamp(Utc::now()));
        Ok(query.execute(&self.pool).await?.rows_affected())
    }

    async fn published(&self) -> JournalResult<Option<Published>> {
        let row = sqlx::query(PUBLISHED).fetch_optional(&self.pool).await?;
        let published = |row: SqliteRow| {
            Ok(Published { position: unsigned(&row, "position")?, sequence: unsigned(&row, "sequence")? })
        };
        row.map(published).transpose()
    }

    async fn note_published(&self, published: Published) -> JournalResult<()> {
        let Published { position, sequence } = published;
        let _turn = self.turn().await?;
        let query = sqlx::query(NOTE_PUBLISHED).bind(signed(position)?).bind(signed(sequence)?);
        query.execute(&self.pool).await?;
        Ok(())
    }

    async fn clock(&self) -> JournalResult<Option<DateTime<Utc>>> {
        Ok(None)
    }

    async fn writer(&self) -> JournalResult<Box<dyn JournalWriter>> {
        Ok(Box::new(SqliteWriter::new(self.clone()).await?))
    }
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
