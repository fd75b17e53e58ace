//! Everything of a journal on SQLite.

use super::{Archive, ClaimRow, RawJournal, Restore, StoredKey, StreamVersion};
use crate::journal::codec::timestamp;
use crate::journal::merkle::{Frontier, Hash, proofs::Subtree};
use crate::journal::sqlite::{SqliteStore, hex, signed};
use crate::journal::tree::TILE;
use crate::journal::{JournalError, JournalResult, StoredEvent, assembled};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use std::collections::HashMap;
use tokio::sync::mpsc::Sender;

/// Streams whose events are not numbered up to the stream's version, from 1 on or from after what was archived. In two
/// parts, each led by the primary key of the other table; a full join would compare everything with everything.
pub(super) const MISNUMBERED: &str = "SELECT e.aggregate_type, e.aggregate_id FROM (SELECT aggregate_type, aggregate_id, \
     count(*) AS events, min(sequence) AS least, max(sequence) AS most FROM events GROUP BY aggregate_type, aggregate_id) e \
     CROSS JOIN journal_head h LEFT JOIN streams s ON s.aggregate_type = e.aggregate_type \
     AND s.aggregate_id = e.aggregate_id WHERE s.version IS NULL OR e.most <> s.version \
     OR e.events <> e.most - e.least + 1 OR (e.least <> 1 AND s.first_position > h.archived_until) \
     UNION ALL SELECT s.aggregate_type, s.aggregate_id FROM streams s CROSS JOIN journal_head h \
     WHERE s.first_position > h.archived_until AND NOT EXISTS (SELECT 1 FROM events e \
     WHERE e.aggregate_type = s.aggregate_type AND e.aggregate_id = s.aggregate_id) LIMIT 1";

/// Streams that have events up to `$1` that no snapshot covers.
pub(super) const UNCOVERED: &str = "SELECT e.aggregate_type, e.aggregate_id FROM events e \
     JOIN shapes t ON t.aggregate_type = e.aggregate_type WHERE e.position <= $1 \
     AND (e.aggregate_type, e.aggregate_id) > ($2, $3) \
     GROUP BY e.aggregate_type, e.aggregate_id, t.shape HAVING max(e.sequence) > coalesce((SELECT max(s.last_sequence) \
     FROM snapshots s WHERE s.aggregate_type = e.aggregate_type AND s.aggregate_id = e.aggregate_id \
     AND s.shape >= t.shape), 0) ORDER BY e.aggregate_type, e.aggregate_id LIMIT $4";

/// Streams that begin with archived events and have no snapshot that is read.
pub(super) const UNSHAPED: &str = "SELECT s.aggregate_type, s.aggregate_id FROM streams s \
     JOIN shapes t ON t.aggregate_type = s.aggregate_type CROSS JOIN journal_head h \
     WHERE s.first_position <= h.archived_until AND (s.aggregate_type, s.aggregate_id) > ($1, $2) \
     AND NOT EXISTS (SELECT 1 FROM snapshots n WHERE n.aggregate_type = s.aggregate_type \
     AND n.aggregate_id = s.aggregate_id AND n.shape >= t.shape) ORDER BY s.aggregate_type, s.aggregate_id LIMIT $3";

/// Keeps of the events up to `$1` those that streams are loaded from.
pub(super) const CARRY: &str = "INSERT INTO carried_events SELECT position, recorded_at, aggregate_type, aggregate_id, \
     sequence, event_type, event_version, payload, metadata, leaf_hash FROM events e WHERE e.position <= $1 \
     AND e.aggregate_type NOT IN (SELECT value FROM types) AND e.sequence > coalesce((SELECT max(s.last_sequence) \
     FROM snapshots s WHERE s.aggregate_type = e.aggregate_type AND s.aggregate_id = e.aggregate_id), 0)";

/// The rows of `streams` that the events come to.
pub(super) const DERIVE_STREAMS: &str = "INSERT INTO streams (aggregate_type, aggregate_id, version, first_position) \
     SELECT aggregate_type, aggregate_id, max(sequence), min(position) FROM events GROUP BY aggregate_type, aggregate_id";

/// Puts a generation in service that has no documents and that nobody takes for theirs, since no release's projections
/// have an empty signature: whoever served the documents of the empty journal refuses from now on, and the next start
/// rebuilds if this process comes to nothing.
pub(super) const RETIRE_DOCUMENTS: [&str; 3] = [
    "UPDATE generations SET state = 'retired' WHERE state = 'live'",
    "INSERT INTO generations (id, signature, state) SELECT coalesce(max(id), 0) + 1, '', 'live' FROM generations",
    "UPDATE journal_head SET generation = (SELECT max(id) FROM generations)",
];

/// An empty journal has no key but its own for digests, of which there are none either.
pub(super) const FORGET_KEYS: &str = "DELETE FROM subject_keys";

/// Between the columns of a scanned row, and between rows. No stored text has them: JSON escapes control characters,
/// and names and ids have none. In an altered row they would make too many columns.
const UNIT: char = '\u{1f}';
const RECORD: char = '\u{1e}';
/// Events that one row of a scan brings.
const GATHERED: u64 = 250;

/// Aggregate types with numbers of shapes, out of a JSON list of pairs.
fn shapes_in(argument: &str) -> String {
    format!("WITH shapes AS (SELECT value ->> 0 AS aggregate_type, value ->> 1 AS shape FROM json_each({argument}))")
}

#[async_trait]
impl RawJournal for SqliteStore {
    // Many events come as one row: a row at a time costs the driver more than all that is done with it.
    async fn scan(&self, after: u64, until: u64, pages: Sender<Vec<StoredEvent>>) -> JournalResult<()> {
        let text = "SELECT group_concat(concat_ws(char(31), position, recorded_at, aggregate_type, aggregate_id, \
             sequence, event_type, event_version, payload, metadata, hex(leaf_hash)), char(30)) \
             FROM (SELECT * FROM events WHERE position > $1 AND position <= $2 ORDER BY position)";
        let mut connection = self.connect().await?;
        // Every page is read once: mapped, that takes no call for each.
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
        let query = sqlx::query_scalar::<_, i64>("SELECT coalesce(max(position), 0) FROM events");
        u64::try_from(query.fetch_one(&self.pool).await?).map_err(JournalError::corrupt)
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
        let text =
            "SELECT subject_id, wrapped_key FROM subject_keys WHERE subject_id > $1 ORDER BY subject_id LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(sqlx::query_as(text).bind(after).bind(limit).fetch_all(&self.pool).await?)
    }

    async fn archived_until(&self) -> JournalResult<u64> {
        SqliteStore::archived_until(self).await
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
        let head: i64 = sqlx::query_scalar("SELECT position FROM journal_head").fetch_one(&self.pool).await?;
        let head = u64::try_from(head).map_err(JournalError::corrupt)?;
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
        let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX)).bind(json!(shapes).to_string());
        Ok(query.fetch_all(&self.pool).await?)
    }

    async fn unshaped(
        &self,
        shapes: &[(&str, u32)],
        after: &(String, String),
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>> {
        let query = sqlx::query_as(assembled(format!("{} {UNSHAPED}", shapes_in("$4")))).bind(&after.0).bind(&after.1);
        let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX)).bind(json!(shapes).to_string());
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// The trigger that guards the events is lifted within the transaction that deletes, so that nobody else ever sees
    /// the table without it: SQLite's changes of the schema are part of the transaction. A table for each range would
    /// be dropped as a whole, but every read of a stream would have to look into all of them.
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
        // What the trigger was made with, which a migration of this program did.
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
    // A hash of another length matches none.
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

/// What cannot be read stands at its place and has a hash that nothing has.
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

struct SqliteRestore {
    connection: SqliteConnection,
}

#[async_trait]
impl Restore for SqliteRestore {
    async fn events(&mut self, events: &[StoredEvent]) -> JournalResult<()> {
        let row = |event: &StoredEvent| {
            json!([
                event.position,
                timestamp(event.recorded_at),
                event.aggregate_type,
                event.aggregate_id,
                event.sequence,
                event.event_type,
                event.event_version,
                event.payload,
                event.metadata,
                hex(&event.leaf_hash),
            ])
        };
        let text = "INSERT INTO events (position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, \
             event_version, payload, metadata, leaf_hash) SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, \
             value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8, unhex(value ->> 9) FROM json_each($1)";
        self.rows(text, events.iter().map(row).collect()).await
    }

    async fn keys(&mut self, keys: &[StoredKey]) -> JournalResult<()> {
        let row = |(id, key): &StoredKey| json!([id, key.as_ref().map(|key| hex(key))]);
        let text = "INSERT INTO subject_keys (subject_id, wrapped_key) SELECT value ->> 0, unhex(value ->> 1) FROM json_each($1)";
        self.rows(text, keys.iter().map(row).collect()).await
    }

    async fn added_keys(&mut self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>> {
        let text =
            "SELECT subject_id, wrapped_key FROM subject_keys WHERE subject_id IN (SELECT value FROM json_each($1))";
        let rows = sqlx::query_as(text).bind(json!(subject_ids).to_string()).fetch_all(&mut self.connection).await?;
        Ok(rows.into_iter().collect())
    }

    async fn claims(&mut self, released: &[ClaimRow], taken: &[ClaimRow]) -> JournalResult<()> {
        let text = "DELETE FROM claims WHERE (key, aggregate_type, aggregate_id) IN \
             (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1))";
        self.rows(text, released.iter().map(|row| json!(row)).collect()).await?;
        let text = "INSERT INTO claims (key, aggregate_type, aggregate_id) \
             SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)";
        self.rows(text, taken.iter().map(|row| json!(row)).collect()).await
    }

    async fn nodes(&mut self, nodes: &[(Subtree, Hash)]) -> JournalResult<()> {
        let row = |(node, hash): &(Subtree, Hash)| json!([node.level, node.index, hex(hash)]);
        let text = "INSERT INTO merkle_nodes (level, number, hash) \
             SELECT value ->> 0, value ->> 1, unhex(value ->> 2) FROM json_each($1)";
        self.rows(text, nodes.iter().map(row).collect()).await
    }

    async fn finish(mut self: Box<Self>, head: &Frontier, recorded_at: DateTime<Utc>) -> JournalResult<()> {
        for text in [DERIVE_STREAMS].iter().chain(&RETIRE_DOCUMENTS) {
            sqlx::query(*text).execute(&mut self.connection).await?;
        }
        sqlx::query("UPDATE journal_head SET position = $1, recorded_at = $2, frontier = $3")
            .bind(signed(head.size())?)
            .bind(timestamp(recorded_at))
            .bind(head.to_bytes())
            .execute(&mut self.connection)
            .await?;
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        Ok(())
    }
}

impl SqliteRestore {
    /// Runs a statement over rows that are given to it as JSON.
    async fn rows(&mut self, text: &'static str, rows: Vec<Value>) -> JournalResult<()> {
        if !rows.is_empty() {
            sqlx::query(text).bind(Value::Array(rows).to_string()).execute(&mut self.connection).await?;
        }
        Ok(())
    }
}
