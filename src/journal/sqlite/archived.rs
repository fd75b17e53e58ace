//! What is no longer in the database, on SQLite.

use super::{SqliteStore, signed};
use crate::journal::merkle::Hash;
use crate::journal::postgres::leaves_of;
use crate::journal::{JournalError, JournalResult, StoredEvent};
use std::ops::Range;

impl SqliteStore {
    /// Position up to which events were archived.
    pub(crate) async fn archived_until(&self) -> JournalResult<u64> {
        let query = sqlx::query_scalar::<_, i64>("SELECT archived_until FROM journal_head");
        u64::try_from(query.fetch_one(&self.pool).await?).map_err(JournalError::corrupt)
    }

    /// The events of a stream after a version, unless the next one was archived.
    pub(super) async fn unless_archived(
        &self,
        stream: (&str, &str),
        after_sequence: u64,
        events: Vec<StoredEvent>,
    ) -> JournalResult<Vec<StoredEvent>> {
        let first = events.first().map(|event| event.sequence);
        if first == Some(after_sequence + 1) || (first.is_none() && after_sequence > 0) {
            return Ok(events);
        }
        let text = "SELECT h.archived_until FROM journal_head h JOIN streams s ON s.first_position <= h.archived_until \
             WHERE s.aggregate_type = $1 AND s.aggregate_id = $2";
        let query = sqlx::query_scalar::<_, i64>(text).bind(stream.0).bind(stream.1);
        match query.fetch_optional(&self.pool).await? {
            Some(until) => Err(JournalError::Archived { until: u64::try_from(until).map_err(JournalError::corrupt)? }),
            None => Ok(events),
        }
    }

    /// Hashes of the archived leaves at the start of `range`.
    pub(crate) async fn archived_leaves(&self, range: Range<u64>) -> JournalResult<Vec<Hash>> {
        let text = "SELECT tile, hashes FROM archived_leaves WHERE tile >= $1 AND tile <= $2 ORDER BY tile";
        let query = sqlx::query_as(text).bind(signed(range.start / 256)?).bind(signed(range.end / 256)?);
        Ok(leaves_of(query.fetch_all(&self.pool).await?, &range))
    }
}
