//! The journal on SQLite: one file, no server. The writer's transaction is `BEGIN IMMEDIATE`, so that other processes
//! (the command line, say) may write beside it, with the same checks.

mod archived;
mod documents;
mod rows;
mod selection;

use super::{
    AnswerStep, Batch, ClaimStep, Committed, Head, Journal, JournalError, JournalResult, JournalWriter, Lost,
    StoredAnswer, StoredEvent, StoredSnapshot, StreamId, SubjectKeyStep,
    archived::{self as archiving, StreamPage},
    codec::timestamp,
    merkle::Frontier,
    selection::{self as selecting, EventFilter, Members, Selection},
};
use crate::folding::Rows;
use crate::read_store::sql;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use documents::write_documents;
use registrar_projections::CollectionId;
use rows::{Cell, STATEMENTS_KEPT, write_rows};
use serde_json::{Value, json};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Connection, Row};
use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// Connections for reading.
const CONNECTIONS_MAX: u32 = 4;
/// How long a writer waits for another process to finish its transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

const EVENT_COLUMNS: &str = "position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, event_version, \
     payload, metadata, leaf_hash";

/// A SQLite file with the tables of `migrations/sqlite`.
#[derive(Clone)]
pub struct SqliteStore {
    pub(crate) pool: SqlitePool,
    pub(crate) options: SqliteConnectOptions,
}

impl SqliteStore {
    /// Prepares connections to the file at `path`; none is made yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: what was acknowledged survives a power cut, not only a crash.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(STATEMENTS_KEPT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A file does not hang up.
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        SqliteStore { pool, options }
    }

    /// A connection of its own, outside the pool.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn connect(&self) -> JournalResult<SqliteConnection> {
        Ok(SqliteConnection::connect_with(&self.options).await?)
    }
}

fn unsigned(row: &SqliteRow, column: &str) -> JournalResult<u64> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(JournalError::corrupt)
}

pub(crate) fn signed(number: u64) -> JournalResult<i64> {
    i64::try_from(number).map_err(JournalError::corrupt)
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

const HEAD: &str = "SELECT position, generation, recorded_at, frontier FROM journal_head";

fn head(row: &SqliteRow) -> JournalResult<Head> {
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

    async fn read(&self, after: u64, limit: usize) -> JournalResult<Vec<StoredEvent>> {
        let text = format!(
            "SELECT h.position AS head, h.archived_until, e.* FROM journal_head h LEFT JOIN (SELECT {EVENT_COLUMNS} FROM events \
             WHERE position > $1 ORDER BY position LIMIT $2) e ON 1 = 1 ORDER BY e.position"
        );
        let rows = sqlx::query(&text)
            .bind(signed(after)?)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
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
        let row = sqlx::query(&text).bind(signed(position)?).fetch_optional(&self.pool).await?;
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
        let text = "SELECT last_sequence, payload FROM snapshots \
             WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY last_sequence DESC LIMIT 1";
        let row = sqlx::query(text).bind(aggregate_type).bind(aggregate_id).fetch_optional(&self.pool).await?;
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
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let former: Option<(i64, i64)> = sqlx::query_as(
            "SELECT last_sequence, current_snapshot FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 \
             ORDER BY last_sequence DESC LIMIT 1",
        )
        .bind(aggregate_type)
        .bind(aggregate_id)
        .fetch_optional(&mut *transaction)
        .await?;
        let last_sequence = signed(snapshot.last_sequence)?;
        if former.is_some_and(|(former, _)| former >= last_sequence) {
            return Ok(());
        }
        sqlx::query("DELETE FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2")
            .bind(aggregate_type)
            .bind(aggregate_id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO snapshots (aggregate_type, aggregate_id, last_sequence, current_snapshot, payload) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(aggregate_type)
        .bind(aggregate_id)
        .bind(last_sequence)
        .bind(former.map_or(1, |(_, current)| current + 1))
        .bind(snapshot.payload)
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

    async fn answer(&self, key: &[u8], now: DateTime<Utc>) -> JournalResult<Option<StoredAnswer>> {
        let query =
            sqlx::query_as("SELECT fingerprint, answer FROM idempotency_keys WHERE key = $1 AND expires_at > $2");
        let found: Option<(Vec<u8>, Vec<u8>)> = query.bind(key).bind(timestamp(now)).fetch_optional(&self.pool).await?;
        Ok(found.map(|(fingerprint, answer)| StoredAnswer { fingerprint, answer }))
    }

    async fn forget_answers(&self, now: DateTime<Utc>) -> JournalResult<u64> {
        let query = sqlx::query("DELETE FROM idempotency_keys WHERE expires_at <= $1").bind(timestamp(now));
        Ok(query.execute(&self.pool).await?.rows_affected())
    }

    async fn writer(&self) -> JournalResult<Box<dyn JournalWriter>> {
        Ok(Box::new(SqliteWriter { connection: self.connect().await?, locked: false }))
    }
}

struct SqliteWriter {
    connection: SqliteConnection,
    locked: bool,
}

impl SqliteWriter {
    async fn begin(&mut self) -> JournalResult<()> {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await?;
        self.locked = true;
        Ok(())
    }

    async fn end(&mut self, statement: &str) -> JournalResult<()> {
        self.locked = false;
        sqlx::query(statement).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn check(&mut self, batch: &Batch) -> JournalResult<Committed> {
        let (position, generation): (i64, i64) =
            sqlx::query_as("SELECT position, generation FROM journal_head").fetch_one(&mut self.connection).await?;
        if position != signed(batch.expected_head)? || generation != signed(batch.generation)? {
            return Ok(Committed::HeadMoved);
        }
        let lost = Lost {
            streams: self.lost_streams(batch).await?,
            takes: self.lost_takes(batch).await?,
            answers: self.lost_answers(batch).await?,
        };
        Ok(if lost == Lost::default() { Committed::Yes } else { Committed::Lost(lost) })
    }

    async fn lost_streams(&mut self, batch: &Batch) -> JournalResult<Vec<usize>> {
        let streams: Vec<StreamId> = batch.streams.iter().map(|step| step.stream.clone()).collect();
        if streams.is_empty() {
            return Ok(Vec::new());
        }
        let versions = self.versions(&streams).await?;
        let steps = batch.streams.iter().zip(versions).enumerate();
        Ok(steps.filter(|(_, (step, version))| step.from != *version).map(|(index, _)| index).collect())
    }

    async fn lost_takes(&mut self, batch: &Batch) -> JournalResult<Vec<usize>> {
        if batch.takes.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<&str> = batch.takes.iter().map(|step| step.key.as_str()).collect();
        let query = sqlx::query_as(
            "SELECT key, aggregate_type, aggregate_id FROM claims WHERE key IN (SELECT value FROM json_each($1))",
        );
        let held: Vec<(String, String, String)> =
            query.bind(json!(keys).to_string()).fetch_all(&mut self.connection).await?;
        let is = |step: &ClaimStep, claim: &(String, String, String)| {
            step.key == claim.0 && step.holder.aggregate_type == claim.1 && step.holder.aggregate_id == claim.2
        };
        // Lost is what another holds and does not release in this batch.
        let lost: HashSet<&str> = held
            .iter()
            .filter(|claim| !batch.releases.iter().chain(&batch.takes).any(|step| is(step, claim)))
            .map(|claim| claim.0.as_str())
            .collect();
        Ok(keys.iter().enumerate().filter(|(_, key)| lost.contains(*key)).map(|(index, _)| index).collect())
    }

    async fn lost_answers(&mut self, batch: &Batch) -> JournalResult<Vec<usize>> {
        let mut lost = Vec::new();
        for (index, step) in batch.answers.iter().enumerate() {
            let query = sqlx::query_scalar("SELECT expires_at > $2 FROM idempotency_keys WHERE key = $1");
            let alive: Option<bool> =
                query.bind(&step.key).bind(timestamp(batch.recorded_at)).fetch_optional(&mut self.connection).await?;
            if alive == Some(true) {
                lost.push(index);
            }
        }
        Ok(lost)
    }

    async fn write<'a>(&mut self, batch: &'a Batch) -> JournalResult<()> {
        if !batch.events.is_empty() {
            self.write_events(batch).await?;
        }
        let claims = |steps: &'a [ClaimStep]| -> Vec<Vec<Cell<'a>>> {
            let row = |step: &'a ClaimStep| {
                vec![
                    step.key.as_str().into(),
                    step.holder.aggregate_type.into(),
                    step.holder.aggregate_id.as_str().into(),
                ]
            };
            steps.iter().map(row).collect()
        };
        let text = "DELETE FROM claims WHERE (key, aggregate_type, aggregate_id) IN (";
        write_rows(&mut self.connection, text, ")", claims(&batch.releases)).await?;
        // What still stands there is the taker's own.
        let (before, after) = (
            "INSERT INTO claims (key, aggregate_type, aggregate_id) SELECT column1, column2, column3 FROM (",
            ") WHERE NOT EXISTS (SELECT 1 FROM claims c WHERE c.key = column1)",
        );
        write_rows(&mut self.connection, before, after, claims(&batch.takes)).await?;
        let keys = |step: &'a SubjectKeyStep| vec![step.subject_id.as_str().into(), Cell::Bytes(&step.wrapped)];
        let text = "INSERT INTO subject_keys (subject_id, wrapped_key)";
        write_rows(&mut self.connection, text, "", batch.subject_keys.iter().map(keys).collect()).await?;
        let answers = |step: &'a AnswerStep| {
            vec![
                Cell::Bytes(&step.key),
                Cell::Bytes(&step.answer.fingerprint),
                Cell::Bytes(&step.answer.answer),
                Cell::Text(timestamp(step.expires_at).into()),
            ]
        };
        // Only an expired answer can stand there: the check has seen to it.
        let text = "INSERT OR REPLACE INTO idempotency_keys (key, fingerprint, answer, expires_at)";
        write_rows(&mut self.connection, text, "", batch.answers.iter().map(answers).collect()).await?;
        write_documents(&mut self.connection, batch.generation, &batch.documents, &batch.counts).await
    }

    async fn write_events(&mut self, batch: &Batch) -> JournalResult<()> {
        let recorded_at = timestamp(batch.recorded_at);
        let events = batch.events.iter().map(|event| {
            Ok(vec![
                signed(event.position)?.into(),
                recorded_at.as_str().into(),
                event.aggregate_type.as_str().into(),
                event.aggregate_id.as_str().into(),
                signed(event.sequence)?.into(),
                event.event_type.as_str().into(),
                event.event_version.as_str().into(),
                event.payload.as_str().into(),
                event.metadata.as_str().into(),
                Cell::Bytes(&event.leaf_hash),
            ])
        });
        let text = format!("INSERT INTO events ({EVENT_COLUMNS})");
        write_rows(&mut self.connection, &text, "", events.collect::<JournalResult<_>>()?).await?;
        let streams = batch.streams.iter().map(|step| {
            Ok(vec![
                step.stream.aggregate_type.into(),
                step.stream.aggregate_id.as_str().into(),
                signed(step.to)?.into(),
                signed(step.first_position)?.into(),
            ])
        });
        let (before, after) = (
            "INSERT INTO streams (aggregate_type, aggregate_id, version, first_position)",
            "ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET version = excluded.version",
        );
        write_rows(&mut self.connection, before, after, streams.collect::<JournalResult<_>>()?).await?;
        sqlx::query("UPDATE journal_head SET position = $1, recorded_at = $2, frontier = $3")
            .bind(signed(batch.expected_head + batch.events.len() as u64)?)
            .bind(&recorded_at)
            .bind(batch.frontier.to_bytes())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[async_trait]
impl JournalWriter for SqliteWriter {
    async fn commit(&mut self, batch: &Batch) -> JournalResult<Committed> {
        if !self.locked {
            self.begin().await?;
        }
        let committed = self.check(batch).await?;
        if committed == Committed::Yes {
            self.write(batch).await?;
            self.end("COMMIT").await?;
        } else {
            self.end("ROLLBACK").await?;
        }
        Ok(committed)
    }

    async fn lock(&mut self) -> JournalResult<Head> {
        if self.locked {
            self.unlock().await?;
        }
        self.begin().await?;
        head(&sqlx::query(HEAD).fetch_one(&mut self.connection).await?)
    }

    async fn unlock(&mut self) -> JournalResult<()> {
        if self.locked { self.end("ROLLBACK").await } else { Ok(()) }
    }

    async fn versions(&mut self, streams: &[StreamId]) -> JournalResult<Vec<u64>> {
        let rows: Vec<Value> =
            streams.iter().map(|stream| json!([stream.aggregate_type, stream.aggregate_id])).collect();
        let text = "SELECT coalesce(s.version, 0) AS version FROM json_each($1) u \
             LEFT JOIN streams s ON s.aggregate_type = u.value ->> 0 AND s.aggregate_id = u.value ->> 1 ORDER BY u.key";
        let query = sqlx::query(text).bind(Value::Array(rows).to_string());
        query.fetch_all(&mut self.connection).await?.iter().map(|row| unsigned(row, "version")).collect()
    }

    async fn documents(
        &mut self,
        generation: u64,
        collection: CollectionId,
        ids: &[String],
    ) -> JournalResult<HashMap<String, String>> {
        let table = sql::table(collection.collection(), generation);
        let text = format!("SELECT id, body FROM {table} WHERE id IN (SELECT value FROM json_each($1))");
        let query = sqlx::query_as(&text).bind(json!(ids).to_string());
        Ok(query.fetch_all(&mut self.connection).await?.into_iter().collect())
    }

    async fn build(&mut self, generation: u64, rows: &Rows, checkpoint: u64) -> JournalResult<()> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        write_documents(&mut transaction, generation, &rows.documents, &rows.counts).await?;
        sqlx::query("UPDATE generations SET checkpoint = $2 WHERE id = $1")
            .bind(signed(generation)?)
            .bind(signed(checkpoint)?)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn follow(&mut self, generation: u64, follower: &str, rows: &Rows, checkpoint: u64) -> JournalResult<bool> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let served: i64 =
            sqlx::query_scalar("SELECT generation FROM journal_head").fetch_one(&mut *transaction).await?;
        if served != signed(generation)? {
            return Ok(false);
        }
        write_documents(&mut transaction, generation, &rows.documents, &rows.counts).await?;
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
        write_documents(&mut self.connection, generation, &rows.documents, &rows.counts).await?;
        for text in [
            "UPDATE generations SET state = 'retired' WHERE state = 'live' AND id <> $1",
            "UPDATE generations SET state = 'live', checkpoint = (SELECT position FROM journal_head) WHERE id = $1",
            "UPDATE journal_head SET generation = $1",
        ] {
            sqlx::query(text).bind(signed(generation)?).execute(&mut self.connection).await?;
        }
        self.end("COMMIT").await
    }
}
