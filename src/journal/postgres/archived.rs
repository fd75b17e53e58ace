//! What is no longer in the database, on PostgreSQL.

use super::{EVENT_COLUMNS, PostgresStore, event, signed, unsigned};
use crate::journal::archived::{ARCHIVED_POSITION_AT, Archiving, Found};
use crate::journal::merkle::Hash;
use crate::journal::{JournalError, JournalResult, assembled};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Row, SqlStr};
use std::ops::{Range, RangeInclusive};

impl PostgresStore {
    /// Position up to which events were archived.
    pub(crate) async fn archived_until(&self) -> JournalResult<u64> {
        let query = || sqlx::query_scalar::<_, i64>("SELECT archived_until FROM journal_head");
        u64::try_from(self.reading(|| query().fetch_one(&self.walks)).await?).map_err(JournalError::corrupt)
    }

    /// A stream's events after a version, and what is to be known of it. From the stream's first event on, so that older
    /// partitions are not looked into.
    pub(super) async fn found(&self, stream: (&str, &str), after: u64, limit: usize) -> JournalResult<Found> {
        let text = assembled(format!(
            "SELECT h.archived_until, s.version, s.first_position, e.* FROM journal_head h \
             LEFT JOIN streams s ON s.aggregate_type = $1 AND s.aggregate_id = $2 LEFT JOIN ( \
             SELECT {EVENT_COLUMNS} FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence > $3 \
             AND position >= (SELECT coalesce(min(first_position), 1) FROM streams \
             WHERE aggregate_type = $1 AND aggregate_id = $2) \
             UNION ALL SELECT {EVENT_COLUMNS} FROM carried_events WHERE aggregate_type = $1 AND aggregate_id = $2 \
             AND sequence > $3 ORDER BY sequence LIMIT $4) e ON true ORDER BY e.sequence"
        ));
        let (after, count) = (signed(after)?, i64::try_from(limit).unwrap_or(i64::MAX));
        let query = || sqlx::query(text.clone()).bind(stream.0).bind(stream.1).bind(after).bind(count);
        let rows = self.reading(|| query().fetch_all(&self.walks)).await?;
        let mut found = Found::default();
        for row in &rows {
            found.archived_until = unsigned(row, "archived_until")?;
            if row.try_get::<Option<i64>, _>("version")?.is_some() {
                found.stream = Some((unsigned(row, "version")?, unsigned(row, "first_position")?));
            }
            if row.try_get::<Option<i64>, _>("position")?.is_some() {
                found.events.push(event(row)?);
            }
        }
        Ok(found)
    }

    /// Between which positions the last event recorded at `time` or before stands, which was archived.
    pub(super) async fn archived_position_at(
        &self,
        time: DateTime<Utc>,
        archived_until: u64,
    ) -> JournalResult<RangeInclusive<u64>> {
        let head = "SELECT position FROM journal_head WHERE recorded_at <= $1";
        let head = || sqlx::query_scalar::<_, i64>(head).bind(time);
        if let Some(head) = self.reading(|| head().fetch_optional(&self.walks)).await? {
            let head = u64::try_from(head).map_err(JournalError::corrupt)?;
            return Ok(head..=head);
        }
        let until = signed(archived_until)?;
        let query = || sqlx::query(ARCHIVED_POSITION_AT).bind(time).bind(until);
        let row = self.reading(|| query().fetch_one(&self.walks)).await?;
        Ok(unsigned(&row, "first")?..=unsigned(&row, "last")?)
    }

    /// Hashes of the archived leaves at the start of `range`.
    pub(crate) async fn archived_leaves(&self, range: Range<u64>) -> JournalResult<Vec<Hash>> {
        let text = "SELECT tile, hashes FROM archived_leaves WHERE tile >= $1 AND tile <= $2 ORDER BY tile";
        let (first, last) = (signed(range.start / 256)?, signed(range.end / 256)?);
        let rows = self.reading(|| sqlx::query_as(text).bind(first).bind(last).fetch_all(&self.walks)).await?;
        Ok(leaves_of(rows, &range))
    }
}

#[async_trait]
impl Archiving for PostgresStore {
    async fn until(&self) -> JournalResult<u64> {
        self.archived_until().await
    }

    async fn holds(&self, query: SqlStr, text: &str, position: u64) -> JournalResult<bool> {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let query = || sqlx::query_scalar(query.clone()).bind(text).bind(position);
        Ok(self.reading(|| query().fetch_one(&self.walks)).await?)
    }
}

/// The leaves of `range` out of rows of 256, up to the first that is missing.
pub(crate) fn leaves_of(rows: Vec<(i64, Vec<u8>)>, range: &Range<u64>) -> Vec<Hash> {
    let wanted = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let numbered = rows.into_iter().zip(range.start / 256..);
    let tiles = numbered.take_while(|((tile, _), expected)| u64::try_from(*tile) == Ok(*expected));
    let hashes = tiles.flat_map(|((_, hashes), _)| hashes.as_chunks::<32>().0.to_vec());
    hashes.skip((range.start % 256) as usize).take(wanted).collect()
}
