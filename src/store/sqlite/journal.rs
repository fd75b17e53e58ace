//! [`JournalStore`] on SQLite.

use super::writer::SqliteWriter;
use super::{EVENT_COLUMNS, SqliteStore, schema, within_bytes};
use crate::store::rows::{self, Columns};
use crate::store::statements::{self, stays};
use crate::store::{
    ArchiveProbe, Head, JournalResult, JournalStore, JournalWriter, Portion, PortionRows, PublishProgress,
    StoredAnswer, StoredEvent, StoredSnapshot, StreamRows, assembled, limited, signed, timestamp, unsigned,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Connection;
use std::collections::HashMap;
use std::ops::RangeInclusive;

#[async_trait]
impl JournalStore for SqliteStore {
    async fn head(&self) -> JournalResult<Head> {
        rows::head(&sqlx::query(statements::HEAD).fetch_one(&self.pool).await?, schema())
    }

    async fn stream(&self, stream: (&str, &str), after_sequence: u64, limit: usize) -> JournalResult<StreamRows> {
        let query = sqlx::query(statements::stream(EVENT_COLUMNS, "", "1 = 1")).bind(stream.0).bind(stream.1);
        let query = query.bind(signed(after_sequence)?).bind(limited(limit));
        rows::stream(&query.fetch_all(&self.pool).await?)
    }

    async fn portion(&self, after: u64, portion: Portion) -> JournalResult<PortionRows> {
        let text = statements::portion(&within_bytes("WHERE position > $1 ORDER BY position LIMIT $2", "$3"));
        let [count, bytes] = portion.bounds();
        let query = sqlx::query(text).bind(signed(after)?).bind(count).bind(bytes);
        rows::portion(&query.fetch_all(&self.pool).await?)
    }

    async fn archived_until(&self) -> JournalResult<u64> {
        unsigned(sqlx::query_scalar(statements::ARCHIVED_UNTIL).fetch_one(&self.pool).await?)
    }

    async fn may_be_archived(&self, probe: &ArchiveProbe<'_>, until: u64) -> JournalResult<bool> {
        let ((text, of), until) = (probe.statement(), i64::try_from(until).unwrap_or(i64::MAX));
        Ok(sqlx::query_scalar(text).bind(of).bind(until).fetch_one(&self.pool).await?)
    }

    async fn carried_around(&self, time: DateTime<Utc>, archived_until: u64) -> JournalResult<RangeInclusive<u64>> {
        let query = sqlx::query(statements::CARRIED_AROUND).bind(timestamp(time)).bind(signed(archived_until)?);
        let row = query.fetch_one(&self.pool).await?;
        Ok(row.number("first")?..=row.number("last")?)
    }

    async fn carried(&self, position: u64) -> JournalResult<Option<StoredEvent>> {
        let text = assembled(format!("SELECT {EVENT_COLUMNS} FROM carried_events WHERE position = $1"));
        let row = sqlx::query(text).bind(signed(position)?).fetch_optional(&self.pool).await?;
        row.as_ref().map(rows::event).transpose()
    }

    async fn claim_holder(&self, key: &str) -> JournalResult<Option<(String, String)>> {
        Ok(sqlx::query_as(statements::CLAIM_HOLDER).bind(key).fetch_optional(&self.pool).await?)
    }

    async fn snapshot(&self, aggregate_type: &str, aggregate_id: &str) -> JournalResult<Option<StoredSnapshot>> {
        let text = "SELECT last_sequence, shape, payload FROM snapshots \
             WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY last_sequence DESC LIMIT 1";
        let query = sqlx::query_as(text).bind(aggregate_type).bind(aggregate_id);
        let row: Option<(i64, i64, String)> = query.fetch_optional(&self.pool).await?;
        row.map(rows::snapshot).transpose()
    }

    async fn save_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        snapshot: StoredSnapshot,
    ) -> JournalResult<()> {
        let (last_sequence, shape) = (signed(snapshot.last_sequence)?, i64::from(snapshot.shape));
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let former = concat!(
            "SELECT current_snapshot, ",
            stays!("$3", "$4"),
            " FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY last_sequence DESC LIMIT 1"
        );
        let former = sqlx::query_as(former).bind(aggregate_type).bind(aggregate_id).bind(last_sequence).bind(shape);
        let former: Option<(i64, bool)> = former.fetch_optional(&mut *transaction).await?;
        if former.is_some_and(|(_, stays)| stays) {
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
        .bind(former.map_or(1, |(current, _)| current + 1))
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

    async fn published(&self) -> JournalResult<Option<PublishProgress>> {
        let row = sqlx::query_as(statements::PUBLISHED).fetch_optional(&self.pool).await?;
        row.map(rows::published).transpose()
    }

    async fn note_published(&self, PublishProgress { position, sequence }: PublishProgress) -> JournalResult<()> {
        let _turn = self.turn().await?;
        let query = sqlx::query(statements::NOTE_PUBLISHED).bind(signed(position)?).bind(signed(sequence)?);
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
