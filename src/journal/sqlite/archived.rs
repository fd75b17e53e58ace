//! What is no longer in the database, on SQLite.

use super::{EVENT_COLUMNS, event, unsigned};
use super::{SqliteStore, signed};
use crate::journal::archived::{ARCHIVED_POSITION_AT, Archiving, Found};
use crate::journal::codec::timestamp;
use crate::journal::merkle::Hash;
use crate::journal::postgres::leaves_of;
use crate::journal::{JournalError, JournalResult, assembled};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Row, SqlStr};
use std::ops::{Range, RangeInclusive};

impl SqliteStore {
    /// Position up to which events were archived.
    pub(crate) async fn archived_until(&self) -> JournalResult<u64> {
        let query = sqlx::query_scalar::<_, i64>("SELECT archived_until FROM journal_head");
        u64::try_from(query.fetch_one(&self.pool).await?).map_err(JournalError::corrupt)
    }

    /// A stream's events after a version, and what is to be known of it.
    pub(super) async fn found(&self, stream: (&str, &str), after: u64, limit: usize) -> JournalResult<Found> {
        let text = assembled(format!(
            "SELECT h.archived_until, s.version, s.first_position, e.* FROM journal_head h \
             LEFT JOIN streams s ON s.aggregate_type = $1 AND s.aggregate_id = $2 LEFT JOIN ( \
             SELECT {EVENT_COLUMNS} FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence > $3 \
             UNION ALL SELECT {EVENT_COLUMNS} FROM carried_events WHERE aggregate_type = $1 AND aggregate_id = $2 \
             AND sequence > $3 ORDER BY sequence LIMIT $4) e ON 1 = 1 ORDER BY e.sequence"
        ));
        let query = sqlx::query(text).bind(stream.0).bind(stream.1).bind(signed(after)?);
        let rows = query.bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(&self.pool).await?;
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
        let head: (i64, String) =
            sqlx::query_as("SELECT position, recorded_at FROM journal_head").fetch_one(&self.pool).await?;
        if head.1 <= timestamp(time) {
            let head = u64::try_from(head.0).map_err(JournalError::corrupt)?;
            return Ok(head..=head);
        }
        let query = sqlx::query(ARCHIVED_POSITION_AT).bind(timestamp(time)).bind(signed(archived_until)?);
        let row = query.fetch_one(&self.pool).await?;
        Ok(unsigned(&row, "first")?..=unsigned(&row, "last")?)
    }

    /// Hashes of the archived leaves at the start of `range`.
    pub(crate) async fn archived_leaves(&self, range: Range<u64>) -> JournalResult<Vec<Hash>> {
        let text = "SELECT tile, hashes FROM archived_leaves WHERE tile >= $1 AND tile <= $2 ORDER BY tile";
        let query = sqlx::query_as(text).bind(signed(range.start / 256)?).bind(signed(range.end / 256)?);
        Ok(leaves_of(query.fetch_all(&self.pool).await?, &range))
    }
}

#[async_trait]
impl Archiving for SqliteStore {
    async fn until(&self) -> JournalResult<u64> {
        self.archived_until().await
    }

    async fn holds(&self, query: SqlStr, text: &str, position: u64) -> JournalResult<bool> {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        Ok(sqlx::query_scalar(query).bind(text).bind(position).fetch_one(&self.pool).await?)
    }
}
