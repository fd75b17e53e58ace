//! The one that commits, on PostgreSQL.

use super::copy::copy_documents;
use super::{head, signed, unsigned};
use crate::folding::Rows;
use crate::journal::{
    Batch, Committed, DocumentStep, Head, JournalError, JournalResult, JournalWriter, Lost, StreamId,
};
use crate::read_store::{schema, sql};
use async_trait::async_trait;
use registrar_projections::{ChangeKind, CollectionId, KeyValue};
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Connection, Postgres, Row};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

pub(super) struct PostgresWriter {
    connection: PgConnection,
    locked: bool,
}

impl PostgresWriter {
    /// Makes a connection one that commits.
    pub(super) async fn new(mut connection: PgConnection) -> JournalResult<Self> {
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
        Ok(PostgresWriter { connection, locked: false })
    }
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
    documents: impl IntoIterator<Item = &'q DocumentStep>,
    counts: &'q HashMap<String, i64>,
) -> JournalResult<Bound<'q>> {
    let mut lists: BTreeMap<(CollectionId, ChangeKind), Vec<&'q DocumentStep>> = BTreeMap::new();
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
    let steps: Vec<&DocumentStep> = lists.into_values().flatten().collect();
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

    async fn relax(&mut self) -> JournalResult<()> {
        sqlx::query("SET synchronous_commit = off").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn build(&mut self, generation: u64, rows: &Rows, checkpoint: u64) -> JournalResult<()> {
        let mut transaction = self.connection.begin().await?;
        let (new, others): (Vec<_>, Vec<_>) = rows.documents.iter().partition(|step| step.kind == ChangeKind::Insert);
        copy_documents(&mut transaction, generation, &new).await?;
        let text = schema::write_statement(generation);
        bind_documents(sqlx::query(&text), others, &rows.counts)?.execute(&mut *transaction).await?;
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
