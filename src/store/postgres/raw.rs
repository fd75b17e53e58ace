//! [`RawJournal`] on PostgreSQL.

use super::restore::PostgresRestore;
use super::{PostgresStore, scan};
use crate::store::statements::{ARCHIVE_OF, CARRY, FORGET_KEYS, KEYS, LAST_POSITION, MISNUMBERED, UNCOVERED, UNSHAPED};
use crate::store::{
    Archive, JournalError, JournalResult, RawJournal, Restore, StoredEvent, StoredKey, StreamVersion, assembled,
    limited, signed, unsigned,
};
use async_trait::async_trait;
use scan::{number_of, text_of};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

#[async_trait]
impl RawJournal for PostgresStore {
    async fn scan(&self, after: u64, until: u64, pages: Sender<Vec<StoredEvent>>) -> JournalResult<()> {
        let (after, until) = (signed(after)?, signed(until)?);
        let text = format!(
            "COPY (SELECT position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, event_version, \
             payload, metadata, leaf_hash FROM events WHERE position > {after} AND position <= {until} \
             ORDER BY position) TO STDOUT (FORMAT binary)"
        );
        self.copy(&text, pages, scan::event).await
    }

    async fn last_position(&self) -> JournalResult<u64> {
        unsigned(sqlx::query_scalar(LAST_POSITION).fetch_one(&self.pool).await?)
    }

    async fn stream_versions(&self, pages: Sender<Vec<StreamVersion>>) -> JournalResult<()> {
        let text = "COPY (SELECT aggregate_type, aggregate_id, version FROM streams) TO STDOUT (FORMAT binary)";
        self.copy(text, pages, |[aggregate_type, aggregate_id, version]| {
            Some((text_of(aggregate_type)?, text_of(aggregate_id)?, u64::try_from(number_of(version)?).ok()?))
        })
        .await
    }

    async fn misnumbered(&self) -> JournalResult<Option<(String, String)>> {
        Ok(sqlx::query_as(MISNUMBERED).fetch_optional(&self.pool).await?)
    }

    async fn keys(&self, after: &str, limit: usize) -> JournalResult<Vec<StoredKey>> {
        Ok(sqlx::query_as(KEYS).bind(after).bind(limited(limit)).fetch_all(&self.pool).await?)
    }

    async fn archive_of(&self, position: u64) -> JournalResult<Option<Archive>> {
        let row = sqlx::query_as(ARCHIVE_OF).bind(signed(position)?).fetch_optional(&self.pool).await?;
        row.map(Archive::of_row).transpose()
    }

    async fn archivable(&self, before: u64) -> JournalResult<u64> {
        let text = "SELECT coalesce(max(p.last_position), 0) FROM event_partitions p, journal_head h \
             WHERE p.last_position < $1 AND p.last_position <= h.position";
        let query = sqlx::query_scalar(text).bind(i64::try_from(before).unwrap_or(i64::MAX));
        unsigned(query.fetch_one(&self.pool).await?)
    }

    async fn uncovered(
        &self,
        shapes: &[(&str, u32)],
        until: u64,
        after: &(String, String),
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>> {
        let text = format!("{} {}", shapes_in("$5", "$6"), UNCOVERED);
        let query = sqlx::query_as(assembled(text)).bind(signed(until)?).bind(&after.0).bind(&after.1);
        let (types, numbers) = lists(shapes)?;
        let query = query.bind(limited(limit)).bind(types).bind(numbers);
        Ok(query.fetch_all(&self.pool).await?)
    }

    async fn unshaped(
        &self,
        shapes: &[(&str, u32)],
        after: &(String, String),
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>> {
        let text = format!("{} {}", shapes_in("$4", "$5"), UNSHAPED);
        let (types, numbers) = lists(shapes)?;
        let query = sqlx::query_as(assembled(text)).bind(&after.0).bind(&after.1);
        let query = query.bind(limited(limit)).bind(types).bind(numbers);
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// Slow steps run before the head is locked: events to be archived no longer change.
    async fn detach(&self, until: u64, file: &str, never_loaded: &[&str]) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        let mut transaction = connection.begin().await?;
        let carry = format!("WITH types AS (SELECT unnest($2::text[]) AS value) {}", CARRY);
        sqlx::query(assembled(carry)).bind(signed(until)?).bind(never_loaded).execute(&mut *transaction).await?;
        let leaves = "INSERT INTO archived_leaves (tile, hashes) \
             SELECT (position - 1) / 256, string_agg(leaf_hash, ''::bytea ORDER BY position) FROM events \
             WHERE position <= $1 GROUP BY 1";
        sqlx::query(leaves).bind(signed(until)?).execute(&mut *transaction).await?;
        let organizations = "INSERT INTO archived_organizations (organization_id, first_position) \
             SELECT metadata ->> 'organizationId', min(position) FROM events \
             WHERE (metadata ->> 'organizationId') IS NOT NULL AND position <= $1 GROUP BY 1 ON CONFLICT DO NOTHING";
        sqlx::query(organizations).bind(signed(until)?).execute(&mut *transaction).await?;
        lock_events(&mut transaction).await?;
        sqlx::query("SELECT 1 FROM journal_head FOR UPDATE").execute(&mut *transaction).await?;
        let archived = "INSERT INTO archives (first_position, last_position, file, archived_at, organizations_noted) \
             SELECT archived_until + 1, $1, $2, now(), true FROM journal_head";
        sqlx::query(archived).bind(signed(until)?).bind(file).execute(&mut *transaction).await?;
        let text = "DELETE FROM event_partitions WHERE last_position <= $1 RETURNING table_name";
        let tables: Vec<String> = sqlx::query_scalar(text).bind(signed(until)?).fetch_all(&mut *transaction).await?;
        for table in tables {
            for text in [format!("ALTER TABLE events DETACH PARTITION {table}"), format!("DROP TABLE {table}")] {
                sqlx::query(assembled(text)).persistent(false).execute(&mut *transaction).await?;
            }
        }
        let text = "UPDATE journal_head SET archived_until = $1";
        sqlx::query(text).bind(signed(until)?).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    async fn restore(&self) -> JournalResult<Option<Box<dyn Restore>>> {
        let mut connection = self.connect().await?;
        sqlx::query("BEGIN").execute(&mut connection).await?;
        let head: i64 =
            sqlx::query_scalar("SELECT position FROM journal_head FOR UPDATE").fetch_one(&mut connection).await?;
        if head != 0 {
            return Ok(None);
        }
        sqlx::query(FORGET_KEYS).execute(&mut connection).await?;
        Ok(Some(Box::new(PostgresRestore { connection, partitioned_until: 0 })))
    }
}

/// Aggregate types with shape numbers, from two arrays.
fn shapes_in(types: &str, numbers: &str) -> String {
    format!("WITH shapes AS (SELECT * FROM unnest({types}::text[], {numbers}::integer[]) t (aggregate_type, shape))")
}

/// Splits the shapes into these two arrays.
fn lists<'a>(shapes: &[(&'a str, u32)]) -> JournalResult<(Vec<&'a str>, Vec<i32>)> {
    let pairs = shapes.iter().map(|(name, shape)| Ok((*name, i32::try_from(*shape).map_err(JournalError::corrupt)?)));
    Ok(pairs.collect::<JournalResult<Vec<_>>>()?.into_iter().unzip())
}

/// Locks the events until the transaction ends, before the head: commits take both in this order. Later readers and
/// commits queue behind a waiting lock request, so it waits for a moment only, and retries.
async fn lock_events(transaction: &mut PgConnection) -> JournalResult<()> {
    const TRIES: u32 = 50;
    sqlx::query("SET LOCAL lock_timeout = '100ms'").execute(&mut *transaction).await?;
    for tries in 1..=TRIES {
        sqlx::query("SAVEPOINT before_lock").execute(&mut *transaction).await?;
        let locked = sqlx::query("LOCK TABLE events IN ACCESS EXCLUSIVE MODE").execute(&mut *transaction).await;
        let Err(error) = locked else { break };
        let waited = matches!(&error, sqlx::Error::Database(error) if error.code().as_deref() == Some("55P03"));
        if !waited || tries == TRIES {
            return Err(error.into());
        }
        sqlx::query("ROLLBACK TO SAVEPOINT before_lock").execute(&mut *transaction).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The head stays locked for about as long as for a commit.
    sqlx::query("SET LOCAL lock_timeout = '5s'").execute(&mut *transaction).await?;
    Ok(())
}
