//! What is no longer in the database, on PostgreSQL.

use super::{PostgresStore, signed};
use crate::journal::merkle::Hash;
use crate::journal::{JournalError, JournalResult, StoredEvent};
use std::ops::Range;

impl PostgresStore {
    /// Position up to which events were archived.
    pub(crate) async fn archived_until(&self) -> JournalResult<u64> {
        let query = || sqlx::query_scalar::<_, i64>("SELECT archived_until FROM journal_head");
        u64::try_from(self.reading(|| query().fetch_one(&self.walks)).await?).map_err(JournalError::corrupt)
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
        let query = || sqlx::query_scalar::<_, i64>(text).bind(stream.0).bind(stream.1);
        match self.reading(|| query().fetch_optional(&self.walks)).await? {
            Some(until) => Err(JournalError::Archived { until: u64::try_from(until).map_err(JournalError::corrupt)? }),
            None => Ok(events),
        }
    }

    /// Hashes of the archived leaves at the start of `range`.
    pub(crate) async fn archived_leaves(&self, range: Range<u64>) -> JournalResult<Vec<Hash>> {
        let text = "SELECT tile, hashes FROM archived_leaves WHERE tile >= $1 AND tile <= $2 ORDER BY tile";
        let (first, last) = (signed(range.start / 256)?, signed(range.end / 256)?);
        let rows = self.reading(|| sqlx::query_as(text).bind(first).bind(last).fetch_all(&self.walks)).await?;
        Ok(leaves_of(rows, &range))
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
