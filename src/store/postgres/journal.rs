//! [`JournalStore`] on PostgreSQL.

use super::writer::PostgresWriter;
use super::{EVENT_COLUMNS, PostgresStore, schema, within_bytes};
use crate::store::rows::{self, Columns};
use crate::store::statements::{self, stays};
use crate::store::{
    ArchiveProbe, Head, JournalError, JournalResult, JournalStore, JournalWriter, Portion, PortionRows,
    PublishProgress, StoredAnswer, StoredEvent, StoredSnapshot, StreamRows, assembled, limited, signed, unsigned,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::ops::RangeInclusive;

#[async_trait]
impl JournalStore for PostgresStore {
    async fn head(&self) -> JournalResult<Head> {
        rows::head(&self.reading(|| sqlx::query(statements::HEAD).fetch_one(&self.walks)).await?, schema())
    }

    async fn stream(&self, stream: (&str, &str), after_sequence: u64, limit: usize) -> JournalResult<StreamRows> {
        // Starts at the stream's first event, so that older partitions are not searched.
        let only = "AND position >= (SELECT coalesce(min(first_position), 1) FROM streams \
             WHERE aggregate_type = $1 AND aggregate_id = $2) ";
        let text = statements::stream(EVENT_COLUMNS, only, "true");
        let after = signed(after_sequence)?;
        let query = || sqlx::query(text.clone()).bind(stream.0).bind(stream.1).bind(after).bind(limited(limit));
        rows::stream(&self.reading(|| query().fetch_all(&self.walks)).await?)
    }

    async fn portion(&self, after: u64, portion: Portion) -> JournalResult<PortionRows> {
        let text = statements::portion(&within_bytes("WHERE position > $1 ORDER BY position LIMIT $2", "$3"));
        let (from, [count, bytes]) = (signed(after)?, portion.bounds());
        let query = || sqlx::query(text.clone()).bind(from).bind(count).bind(bytes);
        rows::portion(&self.reading(|| query().fetch_all(&self.walks)).await?)
    }

    async fn archived_until(&self) -> JournalResult<u64> {
        unsigned(self.reading(|| sqlx::query_scalar(statements::ARCHIVED_UNTIL).fetch_one(&self.walks)).await?)
    }

    async fn may_be_archived(&self, probe: &ArchiveProbe<'_>, until: u64) -> JournalResult<bool> {
        let ((text, of), until) = (probe.statement(), i64::try_from(until).unwrap_or(i64::MAX));
        let query = || sqlx::query_scalar(text.clone()).bind(of).bind(until);
        Ok(self.reading(|| query().fetch_one(&self.walks)).await?)
    }

    async fn carried_around(&self, time: DateTime<Utc>, archived_until: u64) -> JournalResult<RangeInclusive<u64>> {
        let until = signed(archived_until)?;
        let query = || sqlx::query(statements::CARRIED_AROUND).bind(time).bind(until);
        let row = self.reading(|| query().fetch_one(&self.walks)).await?;
        Ok(row.number("first")?..=row.number("last")?)
    }

    async fn carried(&self, position: u64) -> JournalResult<Option<StoredEvent>> {
        let text = assembled(format!("SELECT {EVENT_COLUMNS} FROM carried_events WHERE position = $1"));
        let position = signed(position)?;
        let row = self.reading(|| sqlx::query(text.clone()).bind(position).fetch_optional(&self.walks)).await?;
        row.as_ref().map(rows::event).transpose()
    }

    async fn claim_holder(&self, key: &str) -> JournalResult<Option<(String, String)>> {
        let query = || sqlx::query_as(statements::CLAIM_HOLDER).bind(key);
        Ok(self.reading(|| query().fetch_optional(&self.walks)).await?)
    }

    async fn snapshot(&self, aggregate_type: &str, aggregate_id: &str) -> JournalResult<Option<StoredSnapshot>> {
        let text = "SELECT last_sequence, shape, payload::text AS payload FROM snapshots \
             WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY last_sequence DESC LIMIT 1";
        let query = || sqlx::query_as(text).bind(aggregate_type).bind(aggregate_id);
        let row: Option<(i64, i32, String)> = self.reading(|| query().fetch_optional(&self.walks)).await?;
        row.map(rows::snapshot).transpose()
    }

    async fn save_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        snapshot: StoredSnapshot,
    ) -> JournalResult<()> {
        // One row per aggregate, as postgres-es reads them.
        let text = concat!(
            "WITH former AS (DELETE FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 \
             AND (shape, last_sequence) < ($5, $3) RETURNING current_snapshot) \
             INSERT INTO snapshots (aggregate_type, aggregate_id, last_sequence, current_snapshot, payload, shape) \
             SELECT $1, $2, $3, coalesce((SELECT max(current_snapshot) FROM former), 0) + 1, $4::json, $5 \
             WHERE NOT EXISTS (SELECT 1 FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 AND ",
            stays!("$3", "$5"),
            ")"
        );
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
        // The database's clock is the same for all nodes.
        let text = "SELECT fingerprint, answer FROM idempotency_keys WHERE key = $1 AND expires_at > clock_timestamp()";
        let query = || sqlx::query_as(text).bind(key);
        let found: Option<(Vec<u8>, Vec<u8>)> = self.reading(|| query().fetch_optional(&self.walks)).await?;
        Ok(found.map(|(fingerprint, answer)| StoredAnswer { fingerprint, answer }))
    }

    async fn forget_answers(&self) -> JournalResult<u64> {
        let query = sqlx::query("DELETE FROM idempotency_keys WHERE expires_at <= clock_timestamp()");
        Ok(query.execute(&self.walks).await?.rows_affected())
    }

    async fn published(&self) -> JournalResult<Option<PublishProgress>> {
        let row = self.reading(|| sqlx::query_as(statements::PUBLISHED).fetch_optional(&self.walks)).await?;
        row.map(rows::published).transpose()
    }

    async fn note_published(&self, PublishProgress { position, sequence }: PublishProgress) -> JournalResult<()> {
        let query = sqlx::query(statements::NOTE_PUBLISHED).bind(signed(position)?).bind(signed(sequence)?);
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
