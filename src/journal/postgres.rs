//! The journal on PostgreSQL.

mod archived;
mod selection;

pub(crate) use archived::leaves_of;

use super::{
    Batch, Committed, Head, Journal, JournalError, JournalResult, JournalWriter, Lost, StoredAnswer, StoredEvent,
    StoredSnapshot, StreamId,
    archived::{self as archiving, StreamPage},
    merkle::Frontier,
    selection::{self as selecting, EventFilter, Members, Selection},
};
use crate::folding::Rows;
use crate::read_store::{schema, sql};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use registrar_projections::{ChangeKind, CollectionId, KeyValue};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Connection, Postgres, Row};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Connections for reading, at most.
const CONNECTIONS_MAX: u32 = 16;
/// How long a reader waits for a connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an idle connection is taken to live without being asked.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long a connection of its own may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

const EVENT_COLUMNS: &str = "position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, event_version, \
     payload::text AS payload, metadata::text AS metadata, leaf_hash";

/// A PostgreSQL database with the tables of `migrations/postgres`.
#[derive(Clone)]
pub struct PostgresStore {
    pub(crate) pool: PgPool,
    options: PgConnectOptions,
}

impl PostgresStore {
    /// Prepares connections; none is made yet.
    #[must_use]
    pub fn new(options: PgConnectOptions) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // Asking before every use would double the round trips; one that has just been used is taken to live.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options.clone());
        PostgresStore { pool, options }
    }

    /// A connection of its own, outside the pool.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn connect(&self) -> JournalResult<PgConnection> {
        match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&self.options)).await {
            Ok(connected) => Ok(connected?),
            Err(elapsed) => Err(JournalError::unavailable(elapsed)),
        }
    }

    /// Reads, and again if the connection was broken: after the database was started anew all in the pool are, and
    /// those that were used a moment ago are not asked first.
    pub(crate) async fn reading<T, F>(&self, read: impl Fn() -> F) -> sqlx::Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        let begun = Instant::now();
        loop {
            match read().await {
                Err(error) if is_broken(&error) && begun.elapsed() < ACQUIRE_TIMEOUT => {
                    // Each failure takes a broken one out of the pool; a network that is gone fails as fast.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                done => return done,
            }
        }
    }
}

/// Whether a connection was ended, by an administrator, a crash or the line. A pool that cannot make another one says
/// that it timed out.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| matches!(&*code, "57P01" | "57P02")),
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

fn head(row: &PgRow) -> JournalResult<Head> {
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
        let text = "SELECT position, generation, recorded_at, frontier FROM journal_head";
        head(&self.reading(|| sqlx::query(text).fetch_one(&self.pool)).await?)
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

    async fn read(&self, after: u64, limit: usize) -> JournalResult<Vec<StoredEvent>> {
        let text = format!(
            "SELECT h.position AS head, h.archived_until, e.* FROM journal_head h LEFT JOIN (SELECT {EVENT_COLUMNS} FROM events \
             WHERE position > $1 ORDER BY position LIMIT $2) e ON 1 = 1 ORDER BY e.position"
        );
        let (from, count) = (signed(after)?, i64::try_from(limit).unwrap_or(i64::MAX));
        let query = || sqlx::query(&text).bind(from).bind(count);
        let rows = self.reading(|| query().fetch_all(&self.pool)).await?;
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
        super::dense(after, limit, head, events)
    }

    async fn select(&self, filter: &EventFilter, after: u64, until: u64, limit: usize) -> JournalResult<Selection> {
        if !filter.is_empty() {
            let archived = self.archived_for(filter, until).await?;
            if after < archived {
                return Err(JournalError::Archived { until: archived });
            }
            return selecting::select(self, filter, after, until, limit).await;
        }
        let mut events = self.read(after, limit).await?;
        let full = events.len() == limit;
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
        let text = format!("SELECT {EVENT_COLUMNS} FROM carried_events WHERE position = $1");
        let position = signed(position)?;
        let row = self.reading(|| sqlx::query(&text).bind(position).fetch_optional(&self.pool)).await?;
        row.as_ref().map(event).transpose()
    }

    async fn archived_for(&self, filter: &EventFilter, until: u64) -> JournalResult<u64> {
        archiving::archived_for(self, filter, until).await
    }

    async fn claim_holder(&self, key: &str) -> JournalResult<Option<(String, String)>> {
        let query = || sqlx::query_as("SELECT aggregate_type, aggregate_id FROM claims WHERE key = $1").bind(key);
        Ok(self.reading(|| query().fetch_optional(&self.pool)).await?)
    }

    async fn snapshot(&self, aggregate_type: &str, aggregate_id: &str) -> JournalResult<Option<StoredSnapshot>> {
        let text = "SELECT last_sequence, payload::text AS payload FROM snapshots \
             WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY last_sequence DESC LIMIT 1";
        let query = || sqlx::query(text).bind(aggregate_type).bind(aggregate_id);
        let row = self.reading(|| query().fetch_optional(&self.pool)).await?;
        row.map(|row| {
            Ok(StoredSnapshot { last_sequence: unsigned(&row, "last_sequence")?, payload: row.try_get("payload")? })
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
        let text = "WITH former AS (DELETE FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 AND last_sequence < $3 \
             RETURNING current_snapshot) \
             INSERT INTO snapshots (aggregate_type, aggregate_id, last_sequence, current_snapshot, payload) \
             SELECT $1, $2, $3, coalesce((SELECT max(current_snapshot) FROM former), 0) + 1, $4::json \
             WHERE NOT EXISTS (SELECT 1 FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 AND last_sequence >= $3)";
        let query = sqlx::query(text).bind(aggregate_type).bind(aggregate_id).bind(signed(snapshot.last_sequence)?);
        query.bind(snapshot.payload).execute(&self.pool).await?;
        Ok(())
    }

    async fn subject_keys(&self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>> {
        let text = "SELECT subject_id, wrapped_key FROM subject_keys WHERE subject_id = ANY ($1)";
        let query = || sqlx::query_as(text).bind(subject_ids);
        Ok(self.reading(|| query().fetch_all(&self.pool)).await?.into_iter().collect())
    }

    async fn answer(&self, key: &[u8], now: DateTime<Utc>) -> JournalResult<Option<StoredAnswer>> {
        let text = "SELECT fingerprint, answer FROM idempotency_keys WHERE key = $1 AND expires_at > $2";
        let query = || sqlx::query_as(text).bind(key).bind(now);
        let found: Option<(Vec<u8>, Vec<u8>)> = self.reading(|| query().fetch_optional(&self.pool)).await?;
        Ok(found.map(|(fingerprint, answer)| StoredAnswer { fingerprint, answer }))
    }

    async fn forget_answers(&self, now: DateTime<Utc>) -> JournalResult<u64> {
        let query = sqlx::query("DELETE FROM idempotency_keys WHERE expires_at <= $1").bind(now);
        Ok(query.execute(&self.pool).await?.rows_affected())
    }

    async fn writer(&self) -> JournalResult<Box<dyn JournalWriter>> {
        let mut connection = self.connect().await?;
        // The commit is one call of a function whose statements have generic plans with index look-ups only: planning
        // each anew, or compiling it, costs many times what it does. An acknowledged commit is on disk.
        for setting in [
            "SET jit = off",
            "SET plan_cache_mode = force_generic_plan",
            "SET enable_seqscan = off",
            "SET enable_hashjoin = off",
            "SET enable_mergejoin = off",
            "SET synchronous_commit = on",
            // A node that is cut off or frozen while it holds the head must not stop the others for good.
            "SET idle_in_transaction_session_timeout = '5s'",
        ] {
            sqlx::query(setting).execute(&mut connection).await?;
        }
        Ok(Box::new(PostgresWriter { connection, locked: false }))
    }
}

struct PostgresWriter {
    connection: PgConnection,
    locked: bool,
}

type Bound<'q> = Query<'q, Postgres, PgArguments>;

fn bind_append<'q>(query: Bound<'q>, batch: &'q Batch) -> JournalResult<Bound<'q>> {
    let events = &batch.events;
    let numbers = |numbers: Vec<u64>| numbers.into_iter().map(signed).collect::<JournalResult<Vec<i64>>>();
    let query = query
        .bind(signed(batch.expected_head)?)
        .bind(signed(batch.generation)?)
        .bind(batch.recorded_at)
        .bind(batch.frontier.to_bytes())
        .bind(events.iter().map(|event| event.aggregate_type.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.aggregate_id.as_str()).collect::<Vec<_>>())
        .bind(numbers(events.iter().map(|event| event.sequence).collect())?)
        .bind(events.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.event_version.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.payload.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.metadata.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.leaf_hash.as_slice()).collect::<Vec<_>>())
        .bind(batch.streams.iter().map(|step| step.stream.aggregate_type).collect::<Vec<_>>())
        .bind(batch.streams.iter().map(|step| step.stream.aggregate_id.as_str()).collect::<Vec<_>>())
        .bind(numbers(batch.streams.iter().map(|step| step.from).collect())?)
        .bind(numbers(batch.streams.iter().map(|step| step.to).collect())?)
        .bind(numbers(batch.streams.iter().map(|step| step.first_position).collect())?);
    let query = [&batch.takes, &batch.releases].into_iter().fold(query, |query, claims| {
        query
            .bind(claims.iter().map(|step| step.key.as_str()).collect::<Vec<_>>())
            .bind(claims.iter().map(|step| step.holder.aggregate_type).collect::<Vec<_>>())
            .bind(claims.iter().map(|step| step.holder.aggregate_id.as_str()).collect::<Vec<_>>())
    });
    Ok(query
        .bind(batch.subject_keys.iter().map(|step| step.subject_id.as_str()).collect::<Vec<_>>())
        .bind(batch.subject_keys.iter().map(|step| step.wrapped.as_slice()).collect::<Vec<_>>())
        .bind(batch.answers.iter().map(|step| step.key.as_slice()).collect::<Vec<_>>())
        .bind(batch.answers.iter().map(|step| step.answer.fingerprint.as_slice()).collect::<Vec<_>>())
        .bind(batch.answers.iter().map(|step| step.answer.answer.as_slice()).collect::<Vec<_>>())
        .bind(batch.answers.iter().map(|step| step.expires_at).collect::<Vec<_>>()))
}

fn bind_documents<'q>(
    query: Bound<'q>,
    documents: &'q [super::DocumentStep],
    counts: &'q HashMap<String, i64>,
) -> JournalResult<Bound<'q>> {
    let mut lists: BTreeMap<(CollectionId, ChangeKind), Vec<&'q super::DocumentStep>> = BTreeMap::new();
    for step in documents {
        lists.entry((step.key.collection, step.kind)).or_default().push(step);
    }
    let (mut operations, mut from, mut to, mut end) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for ((collection, kind), steps) in &lists {
        operations.push(schema::operation(collection.collection(), *kind));
        from.push(end + 1);
        end += i32::try_from(steps.len()).map_err(JournalError::corrupt)?;
        to.push(end);
    }
    let steps: Vec<&super::DocumentStep> = lists.into_values().flatten().collect();
    let mut query = query
        .bind(counts.keys().map(String::as_str).collect::<Vec<_>>())
        .bind(counts.values().copied().collect::<Vec<_>>())
        .bind(operations)
        .bind(from)
        .bind(to)
        .bind(steps.iter().map(|step| step.key.id.as_str()).collect::<Vec<_>>())
        .bind(steps.iter().map(|step| step.body.as_str()).collect::<Vec<_>>());
    for n in 0..schema::keys_max() {
        let values = steps.iter().map(|step| step.keys.get(n).map(key_text).transpose());
        query = query.bind(values.collect::<JournalResult<Vec<Option<Cow<'q, str>>>>>()?);
    }
    Ok(query)
}

fn key_text(value: &KeyValue) -> JournalResult<Cow<'_, str>> {
    match value {
        KeyValue::Text(text) => Ok(Cow::Borrowed(text)),
        KeyValue::Integer(number) => Ok(Cow::Owned(number.to_string())),
        KeyValue::Texts(texts) => serde_json::to_string(texts).map(Cow::Owned).map_err(JournalError::corrupt),
    }
}

fn indexes(row: &PgRow, column: &str) -> JournalResult<Vec<usize>> {
    let found: Option<Vec<i64>> = row.try_get(column)?;
    found.unwrap_or_default().into_iter().map(|index| usize::try_from(index).map_err(JournalError::corrupt)).collect()
}

#[async_trait]
impl JournalWriter for PostgresWriter {
    async fn commit(&mut self, batch: &Batch) -> JournalResult<Committed> {
        let text = schema::commit_statement(batch.generation);
        let query = bind_documents(bind_append(sqlx::query(&text), batch)?, &batch.documents, &batch.counts)?;
        let row = match query.fetch_one(&mut self.connection).await {
            Ok(row) => row,
            // The generation was dropped after a swap: its function is gone, and the head has moved.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42883") && !self.locked => {
                return Ok(Committed::HeadMoved);
            }
            Err(error) => return Err(error.into()),
        };
        let committed = match row.try_get::<i32, _>("o_status")? {
            0 => Committed::Yes,
            1 => Committed::HeadMoved,
            _ => Committed::Lost(Lost {
                streams: indexes(&row, "o_lost_streams")?,
                takes: indexes(&row, "o_lost_takes")?,
                answers: indexes(&row, "o_lost_answers")?,
            }),
        };
        if self.locked {
            let end = if committed == Committed::Yes { "COMMIT" } else { "ROLLBACK" };
            sqlx::query(end).execute(&mut self.connection).await?;
            self.locked = false;
        }
        Ok(committed)
    }

    async fn lock(&mut self) -> JournalResult<Head> {
        if self.locked {
            self.unlock().await?;
        }
        sqlx::query("BEGIN").execute(&mut self.connection).await?;
        self.locked = true;
        let text = "SELECT position, generation, recorded_at, frontier FROM journal_head FOR UPDATE";
        head(&sqlx::query(text).fetch_one(&mut self.connection).await?)
    }

    async fn unlock(&mut self) -> JournalResult<()> {
        if self.locked {
            sqlx::query("ROLLBACK").execute(&mut self.connection).await?;
            self.locked = false;
        }
        Ok(())
    }

    async fn versions(&mut self, streams: &[StreamId]) -> JournalResult<Vec<u64>> {
        let text = "SELECT coalesce(s.version, 0) AS version FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u (t, i, n) \
             LEFT JOIN streams s ON s.aggregate_type = u.t AND s.aggregate_id = u.i ORDER BY u.n";
        let query = sqlx::query(text)
            .bind(streams.iter().map(|stream| stream.aggregate_type).collect::<Vec<_>>())
            .bind(streams.iter().map(|stream| stream.aggregate_id.as_str()).collect::<Vec<_>>());
        query.fetch_all(&mut self.connection).await?.iter().map(|row| unsigned(row, "version")).collect()
    }

    async fn documents(
        &mut self,
        generation: u64,
        collection: CollectionId,
        ids: &[String],
    ) -> JournalResult<HashMap<String, String>> {
        let table = sql::table(collection.collection(), generation);
        let text = format!("SELECT id, body FROM {table} WHERE id = ANY ($1)");
        Ok(sqlx::query_as(&text).bind(ids).fetch_all(&mut self.connection).await?.into_iter().collect())
    }

    async fn build(&mut self, generation: u64, rows: &Rows, checkpoint: u64) -> JournalResult<()> {
        let mut transaction = self.connection.begin().await?;
        write_documents(&mut transaction, generation, rows).await?;
        sqlx::query("UPDATE generations SET checkpoint = $2 WHERE id = $1")
            .bind(signed(generation)?)
            .bind(signed(checkpoint)?)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn follow(&mut self, generation: u64, follower: &str, rows: &Rows, checkpoint: u64) -> JournalResult<bool> {
        let mut transaction = self.connection.begin().await?;
        let served: i64 =
            sqlx::query_scalar("SELECT generation FROM journal_head").fetch_one(&mut *transaction).await?;
        if served != signed(generation)? {
            return Ok(false);
        }
        write_documents(&mut transaction, generation, rows).await?;
        let text = "INSERT INTO followers (name, generation, checkpoint) VALUES ($1, $2, $3) \
             ON CONFLICT (name, generation) DO UPDATE SET checkpoint = excluded.checkpoint";
        sqlx::query(text)
            .bind(follower)
            .bind(signed(generation)?)
            .bind(signed(checkpoint)?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn checkpoint(&mut self, generation: u64, follower: &str) -> JournalResult<u64> {
        let text = "SELECT checkpoint FROM followers WHERE name = $1 AND generation = $2";
        let query = sqlx::query_scalar(text).bind(follower).bind(signed(generation)?);
        let checkpoint: Option<i64> = query.fetch_optional(&mut self.connection).await?;
        u64::try_from(checkpoint.unwrap_or_default()).map_err(JournalError::corrupt)
    }

    async fn swap(&mut self, generation: u64, rows: &Rows) -> JournalResult<()> {
        write_documents(&mut self.connection, generation, rows).await?;
        for text in [
            "UPDATE generations SET state = 'retired' WHERE state = 'live' AND id <> $1",
            "UPDATE generations SET state = 'live', checkpoint = (SELECT position FROM journal_head) WHERE id = $1",
            "UPDATE journal_head SET generation = $1",
        ] {
            sqlx::query(text).bind(signed(generation)?).execute(&mut self.connection).await?;
        }
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        self.locked = false;
        Ok(())
    }
}

async fn write_documents(connection: &mut PgConnection, generation: u64, rows: &Rows) -> JournalResult<()> {
    let text = schema::write_statement(generation);
    bind_documents(sqlx::query(&text), &rows.documents, &rows.counts)?.execute(connection).await?;
    Ok(())
}

/// Waits on `LISTEN` for heads that other nodes announce; ends with the connection.
///
/// # Errors
/// `Unavailable` when the connection ends.
pub async fn listen(store: &PostgresStore, announce: impl Fn(u64)) -> JournalResult<()> {
    let mut listener = sqlx::postgres::PgListener::connect_with(&store.pool).await?;
    listener.listen("registrar_head").await?;
    announce(store.head().await?.position);
    loop {
        if let Ok(position) = listener.recv().await?.payload().parse() {
            announce(position);
        }
    }
}
