//! Everything of a journal on PostgreSQL. Events come as binary COPY: a row at a time costs the driver more than all
//! that is done with it.

use super::{Archive, ClaimRow, PAGE, RawJournal, Restore, StoredKey, StreamVersion};
use crate::journal::merkle::{Frontier, Hash, proofs::Subtree};
use crate::journal::postgres::{PostgresStore, WALK_SETTINGS, signed};
use crate::journal::{JournalError, JournalResult, StoredEvent, assembled};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use futures::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// What a binary COPY begins with (PostgreSQL documentation, COPY, binary format).
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

#[async_trait]
impl RawJournal for PostgresStore {
    async fn scan(&self, after: u64, until: u64, pages: Sender<Vec<StoredEvent>>) -> JournalResult<()> {
        let (after, until) = (signed(after)?, signed(until)?);
        let text = format!(
            "COPY (SELECT position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, event_version, \
             payload, metadata, leaf_hash FROM events WHERE position > {after} AND position <= {until} \
             ORDER BY position) TO STDOUT (FORMAT binary)"
        );
        self.copy(&text, pages, event).await
    }

    async fn last_position(&self) -> JournalResult<u64> {
        let query = sqlx::query_scalar::<_, i64>("SELECT coalesce(max(position), 0) FROM events");
        u64::try_from(query.fetch_one(&self.pool).await?).map_err(JournalError::corrupt)
    }

    async fn stream_versions(&self, pages: Sender<Vec<StreamVersion>>) -> JournalResult<()> {
        let text = "COPY (SELECT aggregate_type, aggregate_id, version FROM streams) TO STDOUT (FORMAT binary)";
        self.copy(text, pages, |[aggregate_type, aggregate_id, version]| {
            Some((text_of(aggregate_type)?, text_of(aggregate_id)?, u64::try_from(number_of(version)?).ok()?))
        })
        .await
    }

    async fn misnumbered(&self) -> JournalResult<Option<(String, String)>> {
        Ok(sqlx::query_as(super::sqlite::MISNUMBERED).fetch_optional(&self.pool).await?)
    }

    async fn keys(&self, after: &str, limit: usize) -> JournalResult<Vec<StoredKey>> {
        let text =
            "SELECT subject_id, wrapped_key FROM subject_keys WHERE subject_id > $1 ORDER BY subject_id LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(sqlx::query_as(text).bind(after).bind(limit).fetch_all(&self.pool).await?)
    }

    async fn archived_until(&self) -> JournalResult<u64> {
        PostgresStore::archived_until(self).await
    }

    async fn archive_of(&self, position: u64) -> JournalResult<Option<Archive>> {
        let text = "SELECT first_position, last_position, file FROM archives WHERE first_position <= $1 AND last_position >= $1";
        let row: Option<(i64, i64, String)> =
            sqlx::query_as(text).bind(signed(position)?).fetch_optional(&self.pool).await?;
        row.map(|(first, last, file)| {
            let number = |number| u64::try_from(number).map_err(JournalError::corrupt);
            Ok(Archive { first: number(first)?, last: number(last)?, file })
        })
        .transpose()
    }

    async fn archivable(&self, before: u64) -> JournalResult<u64> {
        let text = "SELECT coalesce(max(p.last_position), 0) FROM event_partitions p, journal_head h \
             WHERE p.last_position < $1 AND p.last_position <= h.position";
        let query = sqlx::query_scalar::<_, i64>(text).bind(i64::try_from(before).unwrap_or(i64::MAX));
        u64::try_from(query.fetch_one(&self.pool).await?).map_err(JournalError::corrupt)
    }

    async fn uncovered(
        &self,
        shapes: &[(&str, u32)],
        until: u64,
        after: &(String, String),
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>> {
        let text = format!("{} {}", shapes_in("$5", "$6"), super::sqlite::UNCOVERED);
        let query = sqlx::query_as(assembled(text)).bind(signed(until)?).bind(&after.0).bind(&after.1);
        let (types, numbers) = lists(shapes)?;
        let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX)).bind(types).bind(numbers);
        Ok(query.fetch_all(&self.pool).await?)
    }

    async fn unshaped(
        &self,
        shapes: &[(&str, u32)],
        after: &(String, String),
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>> {
        let text = format!("{} {}", shapes_in("$4", "$5"), super::sqlite::UNSHAPED);
        let (types, numbers) = lists(shapes)?;
        let query = sqlx::query_as(assembled(text)).bind(&after.0).bind(&after.1);
        let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX)).bind(types).bind(numbers);
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// Everything that takes long is done before the head is locked: what is archived does not change any more.
    async fn detach(&self, until: u64, file: &str, never_loaded: &[&str]) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        let mut transaction = connection.begin().await?;
        let carry = format!("WITH types AS (SELECT unnest($2::text[]) AS value) {}", super::sqlite::CARRY);
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
        sqlx::query(super::sqlite::FORGET_KEYS).execute(&mut connection).await?;
        Ok(Some(Box::new(PostgresRestore { connection, partitioned_until: 0 })))
    }
}

/// Aggregate types with numbers of shapes, out of two arrays.
fn shapes_in(types: &str, numbers: &str) -> String {
    format!("WITH shapes AS (SELECT * FROM unnest({types}::text[], {numbers}::integer[]) t (aggregate_type, shape))")
}

/// The same as arrays.
fn lists<'a>(shapes: &[(&'a str, u32)]) -> JournalResult<(Vec<&'a str>, Vec<i32>)> {
    let pairs = shapes.iter().map(|(name, shape)| Ok((*name, i32::try_from(*shape).map_err(JournalError::corrupt)?)));
    Ok(pairs.collect::<JournalResult<Vec<_>>>()?.into_iter().unzip())
}

/// Locks the events for good, before the head: commits take both in this order. All who read or commit next wait for the
/// lock as long as it waits itself, so that it waits for a moment only, and tries again.
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
    // The head is locked for as long as a commit takes.
    sqlx::query("SET LOCAL lock_timeout = '5s'").execute(&mut *transaction).await?;
    Ok(())
}

impl PostgresStore {
    /// Sends what a binary COPY of `N` columns brings, in pages.
    async fn copy<const N: usize, T: Send>(
        &self,
        text: &str,
        pages: Sender<Vec<T>>,
        read: impl Fn([&[u8]; N]) -> Option<T> + Send,
    ) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        connection.execute(WALK_SETTINGS).await?;
        let mut copied = connection.copy_out_raw(text).await?;
        let mut rows = Rows::default();
        let mut page = Vec::with_capacity(PAGE);
        while let Some(bytes) = copied.try_next().await? {
            rows.pending.extend_from_slice(&bytes);
            while let Some(row) = rows.next(&read)? {
                page.push(row);
                if page.len() == PAGE
                    && pages.send(std::mem::replace(&mut page, Vec::with_capacity(PAGE))).await.is_err()
                {
                    return Ok(());
                }
            }
        }
        let _ = pages.send(page).await;
        Ok(())
    }
}

/// Rows of a binary COPY, as far as they have arrived.
#[derive(Default)]
struct Rows {
    pending: Vec<u8>,
    read: usize,
    begun: bool,
}

fn broken() -> JournalError {
    JournalError::corrupt("the database's copy of the events is not readable")
}

impl Rows {
    /// The next row that is complete.
    fn next<const N: usize, T>(&mut self, read: impl Fn([&[u8]; N]) -> Option<T>) -> JournalResult<Option<T>> {
        if !self.begun {
            // Signature, flags, and the length of an extension that there is none of.
            if self.pending.len() < SIGNATURE.len() + 8 {
                return Ok(None);
            }
            if !self.pending.starts_with(SIGNATURE) {
                return Err(broken());
            }
            (self.begun, self.read) = (true, SIGNATURE.len() + 8);
        }
        let mut cursor = Cursor(&self.pending[self.read..]);
        match cursor.row() {
            Some(fields) => {
                self.read = self.pending.len() - cursor.0.len();
                read(fields).map(Some).ok_or_else(broken)
            }
            None => {
                self.pending.drain(..self.read);
                self.read = 0;
                Ok(None)
            }
        }
    }
}

struct Cursor<'b>(&'b [u8]);

impl<'b> Cursor<'b> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn field(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(i32::from_be_bytes(self.take()?)).ok()?;
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    /// A row, or `None` if it is not complete; the end of the copy never is.
    fn row<const N: usize>(&mut self) -> Option<[&'b [u8]; N]> {
        if usize::from(u16::from_be_bytes(self.take()?)) != N {
            return None;
        }
        let mut fields = [&[][..]; N];
        for field in &mut fields {
            *field = self.field()?;
        }
        Some(fields)
    }
}

fn number_of(field: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(field.try_into().ok()?))
}

fn text_of(field: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(field).ok()?.to_owned())
}

fn event(fields: [&[u8]; 10]) -> Option<StoredEvent> {
    let [
        position,
        recorded_at,
        aggregate_type,
        aggregate_id,
        sequence,
        event_type,
        event_version,
        payload,
        metadata,
        leaf,
    ] = fields;
    // Microseconds since the beginning of 2000.
    let epoch = Utc.timestamp_opt(946_684_800, 0).single()?;
    Some(StoredEvent {
        position: u64::try_from(number_of(position)?).ok()?,
        recorded_at: epoch.checked_add_signed(TimeDelta::microseconds(number_of(recorded_at)?))?,
        aggregate_type: text_of(aggregate_type)?,
        aggregate_id: text_of(aggregate_id)?,
        sequence: u64::try_from(number_of(sequence)?).ok()?,
        event_type: text_of(event_type)?,
        event_version: text_of(event_version)?,
        payload: text_of(payload)?,
        metadata: text_of(metadata)?,
        // A hash of another length matches none.
        leaf_hash: leaf.try_into().unwrap_or_default(),
    })
}

struct PostgresRestore {
    connection: PgConnection,
    /// Position up to which there are partitions.
    partitioned_until: u64,
}

impl PostgresRestore {
    /// Makes room for events up to `position`.
    async fn partition(&mut self, position: u64) -> JournalResult<()> {
        if position <= self.partitioned_until {
            return Ok(());
        }
        sqlx::query("SELECT partition_events($1)").bind(signed(position)?).execute(&mut self.connection).await?;
        let text = "SELECT partitioned_until FROM journal_head";
        let until: i64 = sqlx::query_scalar(text).fetch_one(&mut self.connection).await?;
        self.partitioned_until = u64::try_from(until).map_err(JournalError::corrupt)?;
        Ok(())
    }
}

#[async_trait]
impl Restore for PostgresRestore {
    async fn events(&mut self, events: &[StoredEvent]) -> JournalResult<()> {
        self.partition(events.last().map_or(0, |event| event.position)).await?;
        let text = "INSERT INTO events (position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, \
             event_version, payload, metadata, leaf_hash) \
             SELECT p, r, t, i, s, et, ev, pl::json, m::json, l FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], \
             $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[]) \
             u (p, r, t, i, s, et, ev, pl, m, l)";
        let numbers = |numbers: Vec<u64>| numbers.into_iter().map(signed).collect::<JournalResult<Vec<i64>>>();
        sqlx::query(text)
            .bind(numbers(events.iter().map(|event| event.position).collect())?)
            .bind(events.iter().map(|event| event.recorded_at).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.aggregate_type.as_str()).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.aggregate_id.as_str()).collect::<Vec<_>>())
            .bind(numbers(events.iter().map(|event| event.sequence).collect())?)
            .bind(events.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.event_version.as_str()).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.payload.as_str()).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.metadata.as_str()).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.leaf_hash.as_slice()).collect::<Vec<_>>())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn keys(&mut self, keys: &[StoredKey]) -> JournalResult<()> {
        sqlx::query("INSERT INTO subject_keys (subject_id, wrapped_key) SELECT * FROM unnest($1::text[], $2::bytea[])")
            .bind(keys.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>())
            .bind(keys.iter().map(|(_, key)| key.as_deref()).collect::<Vec<_>>())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn added_keys(&mut self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>> {
        let text = "SELECT subject_id, wrapped_key FROM subject_keys WHERE subject_id = ANY ($1)";
        let rows = sqlx::query_as(text).bind(subject_ids).fetch_all(&mut self.connection).await?;
        Ok(rows.into_iter().collect())
    }

    async fn claims(&mut self, released: &[ClaimRow], taken: &[ClaimRow]) -> JournalResult<()> {
        for (text, rows) in [
            (
                "DELETE FROM claims c USING unnest($1::text[], $2::text[], $3::text[]) u (k, t, i) \
                 WHERE c.key = u.k AND c.aggregate_type = u.t AND c.aggregate_id = u.i",
                released,
            ),
            (
                "INSERT INTO claims (key, aggregate_type, aggregate_id) \
                 SELECT * FROM unnest($1::text[], $2::text[], $3::text[])",
                taken,
            ),
        ] {
            sqlx::query(text)
                .bind(rows.iter().map(|row| row.0.as_str()).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.1.as_str()).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.2.as_str()).collect::<Vec<_>>())
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    async fn nodes(&mut self, nodes: &[(Subtree, Hash)]) -> JournalResult<()> {
        let text = "INSERT INTO merkle_nodes (level, number, hash) \
             SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])";
        let numbers = nodes.iter().map(|(node, _)| signed(node.index)).collect::<JournalResult<Vec<_>>>()?;
        sqlx::query(text)
            .bind(nodes.iter().map(|(node, _)| i16::from(node.level)).collect::<Vec<_>>())
            .bind(numbers)
            .bind(nodes.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<_>>())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn finish(mut self: Box<Self>, head: &Frontier, recorded_at: DateTime<Utc>) -> JournalResult<()> {
        for text in [super::sqlite::DERIVE_STREAMS].iter().chain(&super::sqlite::RETIRE_DOCUMENTS) {
            sqlx::query(*text).execute(&mut self.connection).await?;
        }
        sqlx::query("UPDATE journal_head SET position = $1, recorded_at = $2, frontier = $3")
            .bind(signed(head.size())?)
            .bind(recorded_at)
            .bind(head.to_bytes())
            .execute(&mut self.connection)
            .await?;
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        Ok(())
    }
}
