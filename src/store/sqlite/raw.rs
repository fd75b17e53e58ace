//! [`RawJournal`] on SQLite.

use super::SqliteStore;
use super::restore::SqliteRestore;
use crate::merkle::{Hash, TILE};
use crate::store::statements::{ARCHIVE_OF, CARRY, FORGET_KEYS, KEYS, LAST_POSITION, MISNUMBERED, UNCOVERED, UNSHAPED};
use crate::store::{
    Archive, JournalError, JournalResult, RawJournal, Restore, StoredEvent, StoredKey, StreamVersion, assembled,
    limited, signed, timestamp, unsigned,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Connection;
use tokio::sync::mpsc::Sender;

/// Separators between the columns of a scanned row, and between rows. No stored text has them: JSON escapes control
/// characters, and names and ids have none. In an altered row they would make too many columns.
const UNIT: char = '\u{1f}';
const RECORD: char = '\u{1e}';
/// Events combined in one row of a scan.
const GATHERED: u64 = 250;

/// Aggregate types with shape numbers, from a JSON list of pairs.
fn shapes_in(argument: &str) -> String {
    format!("WITH shapes AS (SELECT value ->> 0 AS aggregate_type, value ->> 1 AS shape FROM json_each({argument}))")
}

#[async_trait]
impl RawJournal for SqliteStore {
    // Many events come as one row: row by row, the driver costs more than all processing.
    async fn scan(&self, after: u64, until: u64, pages: Sender<Vec<StoredEvent>>) -> JournalResult<()> {
        let text = "SELECT group_concat(concat_ws(char(31), position, recorded_at, aggregate_type, aggregate_id, \
             sequence, event_type, event_version, payload, metadata, hex(leaf_hash)), char(30)) \
             FROM (SELECT * FROM events WHERE position > $1 AND position <= $2 ORDER BY position)";
        let mut connection = self.connect().await?;
        // Every page is read once: memory mapping saves a system call for each.
        sqlx::query("PRAGMA mmap_size = 1099511627776").execute(&mut connection).await?;
        let mut from = after;
        while from < until {
            let to = until.min(from + GATHERED);
            let query = sqlx::query_scalar(text).bind(signed(from)?).bind(signed(to)?);
            let gathered: Option<String> = query.fetch_one(&mut connection).await?;
            let page = gathered
                .iter()
                .flat_map(|rows| rows.split(RECORD))
                .map(|row| event(row).unwrap_or_else(|| unreadable(row)));
            if pages.send(page.collect()).await.is_err() {
                return Ok(());
            }
            from = to;
        }
        Ok(())
    }

    async fn last_position(&self) -> JournalResult<u64> {
        unsigned(sqlx::query_scalar(LAST_POSITION).fetch_one(&self.pool).await?)
    }

    async fn stream_versions(&self, pages: Sender<Vec<StreamVersion>>) -> JournalResult<()> {
        let text = "SELECT group_concat(concat_ws(char(31), aggregate_type, aggregate_id, version), char(30)) \
             FROM (SELECT * FROM streams WHERE (aggregate_type, aggregate_id) > ($1, $2) \
             ORDER BY aggregate_type, aggregate_id LIMIT $3)";
        let mut connection = self.pool.acquire().await?;
        let mut after = (String::new(), String::new());
        loop {
            let query = sqlx::query_scalar(text).bind(&after.0).bind(&after.1).bind(signed(GATHERED)?);
            let gathered: Option<String> = query.fetch_one(&mut *connection).await?;
            let rows = gathered.iter().flat_map(|rows| rows.split(RECORD)).map(stream_version);
            let page =
                rows.collect::<Option<Vec<_>>>().ok_or_else(|| JournalError::corrupt("a stream is not readable"))?;
            let Some((aggregate_type, aggregate_id, _)) = page.last() else { return Ok(()) };
            after = (aggregate_type.clone(), aggregate_id.clone());
            if pages.send(page).await.is_err() {
                return Ok(());
            }
        }
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
        let head = unsigned(sqlx::query_scalar("SELECT position FROM journal_head").fetch_one(&self.pool).await?)?;
        Ok(before.saturating_sub(1).min(head) / TILE * TILE)
    }

    async fn uncovered(
        &self,
        shapes: &[(&str, u32)],
        until: u64,
        after: &(String, String),
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>> {
        let query = sqlx::query_as(assembled(format!("{} {UNCOVERED}", shapes_in("$5"))));
        let query = query.bind(signed(until)?).bind(&after.0).bind(&after.1);
        let query = query.bind(limited(limit)).bind(json!(shapes).to_string());
        Ok(query.fetch_all(&self.pool).await?)
    }

    async fn unshaped(
        &self,
        shapes: &[(&str, u32)],
        after: &(String, String),
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>> {
        let query = sqlx::query_as(assembled(format!("{} {UNSHAPED}", shapes_in("$4")))).bind(&after.0).bind(&after.1);
        let query = query.bind(limited(limit)).bind(json!(shapes).to_string());
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// The trigger that guards the events is dropped and restored within the deleting transaction, so no other
    /// connection sees the table without it: SQLite's schema changes are transactional. With a table for each range,
    /// archiving would drop one, but every read of a stream would have to search all of them.
    async fn detach(&self, until: u64, file: &str, never_loaded: &[&str]) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let guard: String = sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE name = 'events_no_delete'")
            .fetch_one(&mut *transaction)
            .await?;
        let carry = format!("WITH types AS (SELECT value FROM json_each($2)) {CARRY}");
        let carry = sqlx::query(assembled(carry)).bind(signed(until)?).bind(json!(never_loaded).to_string());
        carry.execute(&mut *transaction).await?;
        let archived = "INSERT INTO archives (first_position, last_position, file, archived_at, organizations_noted) \
             SELECT archived_until + 1, $1, $2, $3, true FROM journal_head";
        let archived = sqlx::query(archived).bind(signed(until)?).bind(file).bind(timestamp(Utc::now()));
        archived.execute(&mut *transaction).await?;
        sqlx::query("DROP TRIGGER events_no_delete").execute(&mut *transaction).await?;
        for text in [
            "INSERT INTO archived_organizations (organization_id, first_position) \
             SELECT metadata ->> '$.organizationId', min(position) FROM events \
             WHERE (metadata ->> '$.organizationId') IS NOT NULL AND position <= $1 GROUP BY 1 ON CONFLICT DO NOTHING",
            "INSERT INTO archived_leaves (tile, hashes) SELECT (position - 1) / 256, unhex(group_concat(hex(leaf_hash), '')) \
             FROM (SELECT position, leaf_hash FROM events WHERE position <= $1 ORDER BY position) GROUP BY 1",
            "DELETE FROM events WHERE position <= $1",
            "UPDATE journal_head SET archived_until = $1",
        ] {
            sqlx::query(text).bind(signed(until)?).execute(&mut *transaction).await?;
        }
        // The trigger's stored definition, written by a migration of this program.
        sqlx::query(assembled(guard)).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    async fn restore(&self) -> JournalResult<Option<Box<dyn Restore>>> {
        let mut connection = self.connect().await?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await?;
        let head: i64 = sqlx::query_scalar("SELECT position FROM journal_head").fetch_one(&mut connection).await?;
        if head != 0 {
            return Ok(None);
        }
        sqlx::query(FORGET_KEYS).execute(&mut connection).await?;
        Ok(Some(Box::new(SqliteRestore { connection })))
    }
}

fn event(row: &str) -> Option<StoredEvent> {
    let mut fields = row.split(UNIT);
    let mut next = || fields.next();
    let position = next()?.parse().ok()?;
    let recorded_at = DateTime::parse_from_rfc3339(next()?).ok()?.to_utc();
    let (aggregate_type, aggregate_id) = (next()?.to_owned(), next()?.to_owned());
    let sequence = next()?.parse().ok()?;
    let (event_type, event_version) = (next()?.to_owned(), next()?.to_owned());
    let (payload, metadata) = (next()?.to_owned(), next()?.to_owned());
    // A hash of another length matches no event.
    let leaf_hash = unhex(next()?).unwrap_or_default();
    let event = StoredEvent {
        position,
        recorded_at,
        aggregate_type,
        aggregate_id,
        sequence,
        event_type,
        event_version,
        payload,
        metadata,
        leaf_hash,
    };
    fields.next().is_none().then_some(event)
}

fn stream_version(row: &str) -> Option<StreamVersion> {
    let mut fields = row.split(UNIT);
    let version = (fields.next()?.to_owned(), fields.next()?.to_owned(), fields.next()?.parse().ok()?);
    fields.next().is_none().then_some(version)
}

/// Placeholder for an unreadable row, at its position and with a hash that matches no event.
fn unreadable(row: &str) -> StoredEvent {
    let position = row.split(UNIT).next().and_then(|position| position.parse().ok());
    StoredEvent {
        position: position.unwrap_or_default(),
        recorded_at: DateTime::UNIX_EPOCH,
        aggregate_type: String::new(),
        aggregate_id: String::new(),
        sequence: 0,
        event_type: String::new(),
        event_version: String::new(),
        payload: String::new(),
        metadata: String::new(),
        leaf_hash: [0; 32],
    }
}

fn unhex(text: &str) -> Option<Hash> {
    let mut bytes = [0; 32];
    let digit = |digit: u8| (digit as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}
