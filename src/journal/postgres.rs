//! The journal on PostgreSQL.

mod archived;
mod copy;
mod kept;
pub(crate) mod roles;
mod selection;
mod statement;
mod writer;

pub(crate) use archived::leaves_of;

use super::{
    Head, Journal, JournalError, JournalResult, JournalWriter, NOTE_PUBLISHED, PUBLISHED, Portion, Published,
    StoredAnswer, StoredEvent, StoredSnapshot,
    archived::{self as archiving, StreamPage},
    assembled, check_schema,
    merkle::Frontier,
    selection::{self as selecting, EventFilter, Members, Selection},
};
use crate::history::Watched;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kept::Kept;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{Connection, Executor, Row};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use writer::PostgresWriter;

/// Connections for what is done now and then, at most.
const CONNECTIONS_MAX: u32 = 4;
/// Connections for searching documents, at most.
const SEARCHES_MAX: usize = 16;
/// Connections for reading the journal and documents by id, at most.
const WALKS_MAX: usize = 8;
/// How long a reader waits for a connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an idle connection is taken to live without being asked.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long a connection of its own may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

const EVENT_COLUMNS: &str = "position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, event_version, \
     payload::text AS payload, metadata::text AS metadata, leaf_hash";

/// The events that the end of a statement selects, as long as those before them have fewer bytes of payloads and metadata
/// than `bytes` says.
fn within_bytes(selecting: &str, bytes: &str) -> String {
    format!(
        "SELECT * FROM (SELECT *, coalesce(sum(octet_length(payload) + octet_length(metadata)) \
         OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before \
         FROM (SELECT {EVENT_COLUMNS} FROM events {selecting}) e) e WHERE bytes_before < {bytes}"
    )
}

/// Migrations of the tables, in order.
pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Encoding in which the database keeps texts.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn encoding(connection: &mut PgConnection) -> JournalResult<String> {
    Ok(sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(connection).await?)
}

/// Number of the last migration that this release knows.
pub(crate) fn schema() -> i64 {
    super::schema(&MIGRATIONS)
}

/// A PostgreSQL database with the tables of `migrations/postgres`.
#[derive(Clone)]
pub struct PostgresStore {
    /// For what is done now and then.
    pub(crate) pool: PgPool,
    /// For searching documents.
    pub(crate) searches: Kept,
    /// Of the journal, and of documents by id, every statement follows an index, in its order, as far as it must.
    /// Statistics that expect few rows lead elsewhere: to reading all of them and sorting them, or past everything that
    /// does not fit.
    pub(crate) walks: Kept,
    options: PgConnectOptions,
}

/// Settings that role and database may have otherwise, and that the journal relies on: a statement sees what was committed
/// when it began, and is cut off by nobody but who waits for it.
const RELIED_ON: &str = "SET default_transaction_isolation = 'read committed'; SET statement_timeout = 0; \
     SET lock_timeout = 0; SET idle_session_timeout = 0";
/// Compiling a statement takes longer than any of ours runs.
const SETTINGS: &str = "SET jit = off";
/// For connections on which all statements follow indexes. Planned once, they need not be planned again.
pub(crate) const WALK_SETTINGS: &str = "SET jit = off; SET enable_bitmapscan = off; SET enable_sort = off; \
     SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";

fn pool(options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(RELIED_ON).await?;
                connection.execute(SETTINGS).await.map(drop)
            })
        })
        .connect_lazy_with(options.clone())
}

impl PostgresStore {
    /// Prepares connections; none is made yet.
    #[must_use]
    pub fn new(options: PgConnectOptions) -> Self {
        PostgresStore {
            pool: pool(&options),
            searches: Kept::new(options.clone(), SETTINGS, SEARCHES_MAX),
            walks: Kept::new(options.clone(), WALK_SETTINGS, WALKS_MAX),
            options,
        }
    }

    /// A connection of its own, outside the pool.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn connect(&self) -> JournalResult<PgConnection> {
        let connecting = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            connection.execute(RELIED_ON).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(elapsed) => Err(JournalError::unavailable(elapsed)),
        }
    }

    /// Whether this connection's role may add to the journal, and this server takes changes.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn may_be_written(&self) -> JournalResult<bool> {
        let text = "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' \
             AND has_table_privilege('events', 'INSERT')";
        Ok(sqlx::query_scalar(text).fetch_one(&mut self.connect().await?).await?)
    }

    /// Sets how many positions a partition has. Those with events stay as they are, empty ones are made anew.
    ///
    /// # Errors
    /// `Unavailable` where the database refuses.
    pub async fn set_partition_size(&self, positions: u32) -> JournalResult<()> {
        let statement = assembled(format!(
            "DO $$ DECLARE v_head bigint; v_table text; BEGIN \
             SELECT position INTO v_head FROM journal_head FOR UPDATE; \
             IF (SELECT partition_size FROM journal_settings) = {positions} THEN RETURN; END IF; \
             UPDATE journal_settings SET partition_size = {positions}; \
             FOR v_table IN SELECT table_name FROM event_partitions WHERE first_position > v_head LOOP \
             EXECUTE format('ALTER TABLE events DETACH PARTITION %I', v_table); \
             EXECUTE format('DROP TABLE %I', v_table); \
             DELETE FROM event_partitions WHERE table_name = v_table; END LOOP; \
             UPDATE journal_head SET partitioned_until = \
             (SELECT coalesce(max(last_position), 0) FROM event_partitions); \
             PERFORM partition_events(v_head); END $$"
        ));
        sqlx::raw_sql(statement).execute(&mut self.connect().await?).await?;
        Ok(())
    }

    /// Reads, and again if the connection was broken: after the database was started anew all that were kept are, and
    /// those that were used a moment ago are not asked first.
    pub(crate) async fn reading<T, F>(&self, read: impl Fn() -> F) -> sqlx::Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        let begun = Instant::now();
        loop {
            match read().await {
                Err(error) if is_broken(&error) && begun.elapsed() < ACQUIRE_TIMEOUT => {
                    // Each failure costs a broken one; a network that is gone fails as fast.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                done => return done,
            }
        }
    }
}

/// Whether a connection was ended, by an administrator, a crash or the line, or not made yet by a server that starts.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| matches!(&*code, "57P01" | "57P02" | "57P03")),
        _ => false,
    }
}

/// Positions, versions and counts are `bigint` and never negative; anything else is not what was written.
fn unsigned(row: &PgRow, column: &str) -> JournalResult<u64> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(JournalError::corrupt)
}

pub(crate) fn signed(number: u64) -> JournalResult<i64> {
    i64::try_from(number).map_err(JournalError::corrupt)
}

fn event(row: &PgRow) -> JournalResult<StoredEvent> {
    let leaf_hash: Vec<u8> = row.try_get("leaf_hash")?;
    Ok(StoredEvent {
        position: unsigned(row, "position")?,
        recorded_at: row.try_get("recorded_at")?,
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

fn head(row: &PgRow) -> JournalResult<Head> {
    check_schema(row.try_get("least_schema")?, schema())?;
    let position = unsigned(row, "position")?;
    let frontier: Vec<u8> = row.try_get("frontier")?;
    Ok(Head {
        position,
        generation: unsigned(row, "generation")?,
        recorded_at: row.try_get("recorded_at")?,
        frontier: Frontier::from_bytes(position, &frontier)
            .ok_or_else(|| JournalError::corrupt("the tree in the journal head does not fit its position"))?,
    })
}

#[async_trait]
impl Journal for PostgresStore {
    async fn head(&self) -> JournalResult<Head> {
        head(&self.reading(|| sqlx::query(HEAD).fetch_one(&self.walks)).await?)
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
        let query = || sqlx::query(text.clone()).bind(from).bind(count).bind(bytes);
        let rows = self.reading(|| query().fetch_all(&self.walks)).await?;
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
        let position = signed(position)?;
        let row = self.reading(|| sqlx::query(text.clone()).bind(position).fetch_optional(&self.walks)).await?;
        row.as_ref().map(event).transpose()
    }

    async fn archived_for(&self, filter: &EventFilter, until: u64) -> JournalResult<u64> {
        archiving::archived_for(self, filter, until).await
    }

    async fn claim_holder(&self, key: &str) -> JournalResult<Option<(String, String)>> {
        let query = || sqlx::query_as("SELECT aggregate_type, aggregate_id FROM claims WHERE key = $1").bind(key);
        Ok(self.reading(|| query().fetch_optional(&self.walks)).await?)
    }

    async fn snapshot(&self, aggregate_type: &str, aggregate_id: &str) -> JournalResult<Option<StoredSnapshot>> {
        let text = "SELECT last_sequence, shape, payload::text AS payload FROM snapshots \
             WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY last_sequence DESC LIMIT 1";
        let query = || sqlx::query(text).bind(aggregate_type).bind(aggregate_id);
        let row = self.reading(|| query().fetch_optional(&self.walks)).await?;
        row.map(|row| {
            Ok(StoredSnapshot {
                last_sequence: unsigned(&row, "last_sequence")?,
                shape: u32::try_from(row.try_get::<i32, _>("shape")?).map_err(JournalError::corrupt)?,
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
        // One row an aggregate, as postgres-es reads them; a slower writer does not bring back an older one.
        let text = "WITH former AS (DELETE FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 \
             AND (shape, last_sequence) < ($5, $3) RETURNING current_snapshot) \
             INSERT INTO snapshots (aggregate_type, aggregate_id, last_sequence, current_snapshot, payload, shape) \
             SELECT $1, $2, $3, coalesce((SELECT max(current_snapshot) FROM former), 0) + 1, $4::json, $5 \
             WHERE NOT EXISTS (SELECT 1 FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 \
             AND (shape, last_sequence) >= ($5, $3))";
        let query = sqlx::query(text).bind(aggregate_type).bind(aggregate_id).bind(signed(snapshot.last_sequence)?);
        let shape = i32::try_from(snapshot.shape).map_err(JournalError::corrupt)?;
        query.bind(snapshot.payload).bind(shape).execute(&self.walks).await?;
        Ok(())
    }

    async fn subject_keys(&self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>> {
        let text = "SELECT subject_id, wrapped_key FROM subject_keys WHERE subject_id = ANY ($1)";
        let query = || sqlx::query_as(text).bind(subject_ids);
        Ok(self.reading(|| query().fetch_all(&self.walks)).await?.into_iter().collect())
    }

    async fn answer(&self, key: &[u8]) -> JournalResult<Option<StoredAnswer>> {
        // By the database's clock, which is the same for all nodes.
        let text = "SELECT fingerprint, answer FROM idempotency_keys WHERE key = $1 AND expires_at > clock_timestamp()";
        let query = || sqlx::query_as(text).bind(key);
        let found: Option<(Vec<u8>, Vec<u8>)> = self.reading(|| query().fetch_optional(&self.walks)).await?;
        Ok(found.map(|(fingerprint, answer)| StoredAnswer { fingerprint, answer }))
    }

    async fn forget_answers(&self) -> JournalResult<u64> {
        let query = sqlx::query("DELETE FROM idempotency_keys WHERE expires_at <= clock_timestamp()");
        Ok(query.execute(&self.walks).await?.rows_affected())
    }

    async fn published(&self) -> JournalResult<Option<Published>> {
        let row = self.reading(|| sqlx::query(PUBLISHED).fetch_optional(&self.walks)).await?;
        let published =
            |row: PgRow| Ok(Published { position: unsigned(&row, "position")?, sequence: unsigned(&row, "sequence")? });
        row.map(published).transpose()
    }

    async fn note_published(&self, published: Published) -> JournalResult<()> {
        let Published { position, sequence } = published;
        let query = sqlx::query(NOTE_PUBLISHED).bind(signed(position)?).bind(signed(sequence)?);
        query.execute(&self.pool).await?;
        Ok(())
    }

    async fn clock(&self) -> JournalResult<Option<DateTime<Utc>>> {
        let now = || sqlx::query_scalar("SELECT clock_timestamp()");
        Ok(Some(self.reading(|| now().fetch_one(&self.walks)).await?))
    }

    async fn writer(&self) -> JournalResult<Box<dyn JournalWriter>> {
        Ok(Box::new(PostgresWriter::new(self.connect().await?).await?))
    }
}

/// The channel on which the nodes of one schema announce heads: several installations may share a database.
pub(super) const CHANNEL: &str = "'registrar_head_' || md5(current_schema())";

/// Waits on `LISTEN` for heads that other nodes announce; ends with the connection. A notification is a hint to look and
/// nothing else, since anybody who may connect to the database can send one.
///
/// # Errors
/// `Unavailable` when the connection ends or the head cannot be read.
pub(crate) async fn listen(store: &PostgresStore, watched: &Watched, journal: &dyn Journal) -> JournalResult<()> {
    let mut listener = sqlx::postgres::PgListener::connect_with(&store.pool).await?;
    let channel: String = sqlx::query_scalar(assembled(format!("SELECT {CHANNEL}"))).fetch_one(&store.pool).await?;
    listener.listen(&channel).await?;
    watched.look(journal).await?;
    loop {
        let announced = listener.recv().await?.payload().parse::<u64>();
        // Heads of this node's own commits are known already.
        if announced.is_ok_and(|announced| announced > watched.known()) {
            watched.look(journal).await?;
        }
    }
}
