//! [`JournalWriter`] on SQLite.

use super::document_script::{add_documents, write_documents};
use super::script::{Cell, Script};
use super::{EVENT_COLUMNS, SqliteStore, is_gone, schema};
use crate::store::rows::{self, Columns};
use crate::store::statements::{CHECKPOINT, FENCE, HEAD, NOTE_BUILT, SERVE};
use crate::store::{
    AnswerStep, Batch, Body, ClaimStep, Committed, DocumentRows, FailedConditions, Head, JournalError, JournalResult,
    JournalWriter, StreamId, SubjectKeyStep, assembled, check_schema, signed, sql, timestamp, unsigned,
};
use async_trait::async_trait;
use chrono::Utc;
use registrar_projections::CollectionId;
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::OwnedMutexGuard;

pub(super) struct SqliteWriter {
    connection: SqliteConnection,
    store: SqliteStore,
    locked: bool,
    /// Held while a transaction is open.
    turn: Option<OwnedMutexGuard<()>>,
    /// Number of commits at the time of the last build.
    commits: u64,
}

impl SqliteWriter {
    pub(super) async fn new(store: SqliteStore) -> JournalResult<Self> {
        Ok(SqliteWriter { connection: store.connect().await?, store, locked: false, turn: None, commits: 0 })
    }

    async fn begin(&mut self) -> JournalResult<()> {
        let turn = self.store.turn().await?;
        self.store.commits.fetch_add(1, Ordering::Relaxed);
        // If BEGIN fails, `turn` is dropped and other writers continue.
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await?;
        (self.turn, self.locked) = (Some(turn), true);
        Ok(())
    }

    async fn end(&mut self, statement: &'static str) -> JournalResult<()> {
        self.locked = false;
        sqlx::query(statement).execute(&mut self.connection).await?;
        self.turn = None;
        Ok(())
    }

    async fn check(&mut self, batch: &Batch) -> JournalResult<Committed> {
        let (position, generation, least_schema, frontier): (i64, i64, i64, Vec<u8>) =
            sqlx::query_as("SELECT position, generation, least_schema, frontier FROM journal_head")
                .fetch_one(&mut self.connection)
                .await?;
        check_schema(least_schema, schema())?;
        if position != signed(batch.expected_head)?
            || generation != signed(batch.generation)?
            || frontier != batch.expected_frontier.to_bytes()
        {
            return Ok(Committed::HeadMoved);
        }
        let (streams, reads) = FailedConditions::split_reads(self.lost_streams(batch).await?, batch);
        let lost = FailedConditions {
            streams,
            reads,
            takes: self.lost_takes(batch).await?,
            answers: self.lost_answers(batch).await?,
        };
        Ok(if lost == FailedConditions::default() { Committed::Yes } else { Committed::Lost(lost) })
    }

    /// Indexes of streams at another version, in the batch's streams followed by its reads.
    async fn lost_streams(&mut self, batch: &Batch) -> JournalResult<Vec<usize>> {
        let changed = batch.streams.iter().map(|step| (&step.stream, step.from));
        let expected = changed.chain(batch.reads.iter().map(|step| (&step.stream, step.version)));
        let (streams, expected): (Vec<StreamId>, Vec<u64>) =
            expected.map(|(stream, version)| (stream.clone(), version)).unzip();
        if streams.is_empty() {
            return Ok(Vec::new());
        }
        let versions = self.versions(&streams).await?;
        let versions = expected.into_iter().zip(versions).enumerate();
        Ok(versions.filter(|(_, (expected, version))| expected != version).map(|(index, _)| index).collect())
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
        // A claim is lost if another aggregate holds it and does not release it in this batch.
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
                query.bind(&step.key).bind(timestamp(Utc::now())).fetch_optional(&mut self.connection).await?;
            if alive == Some(true) {
                lost.push(index);
            }
        }
        Ok(lost)
    }

    /// Writes a batch and commits it.
    async fn write<'a>(&mut self, batch: &'a Batch) -> JournalResult<()> {
        let mut script = Script::default();
        if !batch.events.is_empty() {
            write_events(&mut script, batch)?;
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
        script.add_rows(text, ")", claims(&batch.releases));
        // Claims still in the table belong to the taker.
        let (before, after) = (
            "INSERT INTO claims (key, aggregate_type, aggregate_id) SELECT column1, column2, column3 FROM (",
            ") WHERE NOT EXISTS (SELECT 1 FROM claims c WHERE c.key = column1)",
        );
        script.add_rows(before, after, claims(&batch.takes));
        let keys = |step: &'a SubjectKeyStep| vec![step.subject_id.as_str().into(), step.wrapped.as_slice().into()];
        let text = "INSERT INTO subject_keys (subject_id, wrapped_key)";
        script.add_rows(text, "", batch.subject_keys.iter().map(keys).collect());
        let answers = |step: &'a AnswerStep| {
            vec![
                step.key.as_slice().into(),
                step.answer.fingerprint.as_slice().into(),
                step.answer.answer.as_slice().into(),
                Cell::Text(timestamp(step.expires_at).into()),
            ]
        };
        // Only an expired answer can exist here: the check refuses others.
        let text = "INSERT OR REPLACE INTO idempotency_keys (key, fingerprint, answer, expires_at)";
        script.add_rows(text, "", batch.answers.iter().map(answers).collect());
        add_documents(&mut script, batch.generation, &batch.documents, &batch.counts);
        script.add("COMMIT", vec![]);
        script.run(&mut self.connection).await?;
        (self.locked, self.turn) = (false, None);
        Ok(())
    }
}

fn write_events<'a>(script: &mut Script<'a>, batch: &'a Batch) -> JournalResult<()> {
    let recorded_at = timestamp(batch.recorded_at);
    let events = batch.events.iter().map(|event| {
        Ok(vec![
            signed(event.position)?.into(),
            Cell::Text(recorded_at.clone().into()),
            event.aggregate_type.as_str().into(),
            event.aggregate_id.as_str().into(),
            signed(event.sequence)?.into(),
            event.event_type.as_str().into(),
            event.event_version.as_str().into(),
            event.payload.as_str().into(),
            event.metadata.as_str().into(),
            event.leaf_hash.as_slice().into(),
        ])
    });
    let text = format!("INSERT INTO events ({EVENT_COLUMNS})");
    script.add_rows(&text, "", events.collect::<JournalResult<_>>()?);
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
    script.add_rows(before, after, streams.collect::<JournalResult<_>>()?);
    let head = signed(batch.expected_head + batch.events.len() as u64)?;
    script.add(
        "UPDATE journal_head SET position = ?, recorded_at = ?, frontier = ?",
        vec![head.into(), Cell::Text(recorded_at.into()), Cell::Bytes(batch.frontier.to_bytes().into())],
    );
    Ok(())
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
        rows::head(&sqlx::query(HEAD).fetch_one(&mut self.connection).await?, schema())
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
        query.fetch_all(&mut self.connection).await?.iter().map(|row| row.number("version")).collect()
    }

    async fn documents(
        &mut self,
        generation: u64,
        collection: CollectionId,
        ids: &[String],
    ) -> JournalResult<HashMap<String, Body>> {
        let table = sql::table(collection.collection(), generation);
        let text =
            assembled(format!("SELECT id, body, digest FROM {table} WHERE id IN (SELECT value FROM json_each($1))"));
        let query = sqlx::query_as(text).bind(json!(ids).to_string());
        match query.fetch_all(&mut self.connection).await {
            Ok(rows) => Ok(rows.into_iter().map(Body::of_row).collect()),
            Err(sqlx::Error::Database(error)) if is_gone(&*error) => Err(JournalError::OtherGeneration),
            Err(error) => Err(error.into()),
        }
    }

    /// In WAL mode this is safe for the journal in the same file: the log is one sequence, so a synced commit syncs all
    /// before it, and a power cut loses only its end.
    async fn relax(&mut self) -> JournalResult<()> {
        sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn tighten(&mut self) -> JournalResult<()> {
        sqlx::query("PRAGMA synchronous = FULL").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn build(&mut self, generation: u64, rows: &DocumentRows, checkpoint: u64) -> JournalResult<()> {
        let turn = self.store.turn().await?;
        let begun = Instant::now();
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        write_documents(&mut transaction, generation, rows).await?;
        let built = sqlx::query(NOTE_BUILT).bind(signed(generation)?).bind(signed(checkpoint)?);
        built.execute(&mut *transaction).await?;
        transaction.commit().await?;
        drop(turn);
        let commits = self.store.commits.load(Ordering::Relaxed);
        if commits != std::mem::replace(&mut self.commits, commits) {
            // Other writers are active: half of the time is theirs.
            tokio::time::sleep(begun.elapsed()).await;
        }
        Ok(())
    }

    async fn follow(
        &mut self,
        generation: u64,
        follower: &str,
        rows: &DocumentRows,
        (from, to): (u64, u64),
    ) -> JournalResult<bool> {
        let _turn = self.store.turn().await?;
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let fence = sqlx::query(FENCE).bind(follower).bind(signed(generation)?).bind(signed(to)?).bind(signed(from)?);
        let moved = fence.execute(&mut *transaction).await?.rows_affected() > 0;
        if moved {
            write_documents(&mut transaction, generation, rows).await?;
            transaction.commit().await?;
        }
        Ok(moved)
    }

    async fn checkpoint(&mut self, generation: u64, follower: &str) -> JournalResult<u64> {
        let query = sqlx::query_scalar(CHECKPOINT).bind(follower).bind(signed(generation)?);
        unsigned(query.fetch_optional(&mut self.connection).await?.unwrap_or_default())
    }

    async fn swap(&mut self, generation: u64, rows: &DocumentRows) -> JournalResult<()> {
        write_documents(&mut self.connection, generation, rows).await?;
        for text in SERVE {
            sqlx::query(text).bind(signed(generation)?).execute(&mut self.connection).await?;
        }
        self.end("COMMIT").await
    }
}
