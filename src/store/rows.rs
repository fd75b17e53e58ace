//! Typed rows, read alike for both databases.

use super::documents::{Generation, Rows};
use super::journal::{PortionRows, StreamRows};
use super::{Head, JournalError, JournalResult, PublishProgress, StoredEvent, StoredSnapshot, check_schema, unsigned};
use crate::merkle::Frontier;
use chrono::{DateTime, Utc};

/// Columns of a row by name. Another type than requested, or an unexpected null, is `Corrupt`.
pub(super) trait Columns {
    /// A nullable integer.
    fn integer(&self, column: &str) -> JournalResult<Option<i64>>;
    /// A text.
    fn text(&self, column: &str) -> JournalResult<String>;
    /// A nullable text.
    fn text_or_none(&self, column: &str) -> JournalResult<Option<String>>;
    /// Bytes.
    fn bytes(&self, column: &str) -> JournalResult<Vec<u8>>;
    /// A time.
    fn time(&self, column: &str) -> JournalResult<DateTime<Utc>>;

    /// A position, version or count.
    fn number(&self, column: &str) -> JournalResult<u64> {
        self.number_or_none(column)?.ok_or_else(|| JournalError::corrupt(format!("the column {column} has no value")))
    }

    /// A nullable position, version or count.
    fn number_or_none(&self, column: &str) -> JournalResult<Option<u64>> {
        self.integer(column)?.map(unsigned).transpose()
    }
}

/// Implements [`Columns`] for a row of sqlx; times are read by a function.
macro_rules! columns {
    ($row:ty, $time:path) => {
        impl $crate::store::rows::Columns for $row {
            fn integer(&self, column: &str) -> JournalResult<Option<i64>> {
                Ok(self.try_get(column)?)
            }

            fn text(&self, column: &str) -> JournalResult<String> {
                Ok(self.try_get(column)?)
            }

            fn text_or_none(&self, column: &str) -> JournalResult<Option<String>> {
                Ok(self.try_get(column)?)
            }

            fn bytes(&self, column: &str) -> JournalResult<Vec<u8>> {
                Ok(self.try_get(column)?)
            }

            fn time(&self, column: &str) -> JournalResult<DateTime<Utc>> {
                $time(self, column)
            }
        }
    };
}
pub(super) use columns;

/// An event from its ten columns.
pub(super) fn event(row: &impl Columns) -> JournalResult<StoredEvent> {
    Ok(StoredEvent {
        position: row.number("position")?,
        recorded_at: row.time("recorded_at")?,
        aggregate_type: row.text("aggregate_type")?,
        aggregate_id: row.text("aggregate_id")?,
        sequence: row.number("sequence")?,
        event_type: row.text("event_type")?,
        event_version: row.text("event_version")?,
        payload: row.text("payload")?,
        metadata: row.text("metadata")?,
        leaf_hash: row
            .bytes("leaf_hash")?
            .try_into()
            .map_err(|_| JournalError::corrupt("a leaf hash is not 32 bytes"))?,
    })
}

/// The head, for a release that knows `schema`.
///
/// # Errors
/// `OldRelease`; `Corrupt` if the tree does not match the position.
pub(super) fn head(row: &impl Columns, schema: i64) -> JournalResult<Head> {
    check_schema(row.integer("least_schema")?.unwrap_or_default(), schema)?;
    let position = row.number("position")?;
    Ok(Head {
        position,
        generation: row.number("generation")?,
        recorded_at: row.time("recorded_at")?,
        frontier: Frontier::from_bytes(position, &row.bytes("frontier")?)
            .ok_or_else(|| JournalError::corrupt("the tree in the journal head does not fit its position"))?,
    })
}

/// Reads the rows of [`super::statements::portion`].
pub(super) fn portion<R: Columns>(rows: &[R]) -> JournalResult<PortionRows> {
    let mut portion = PortionRows { events: Vec::with_capacity(rows.len()), ..PortionRows::default() };
    for row in rows {
        portion.head = row.number("head")?;
        portion.archived_until = row.number("archived_until")?;
        if row.integer("position")?.is_some() {
            portion.events.push(event(row)?);
        }
    }
    Ok(portion)
}

/// Reads the rows of [`super::statements::stream`].
pub(super) fn stream<R: Columns>(rows: &[R]) -> JournalResult<StreamRows> {
    let mut stream = StreamRows::default();
    for row in rows {
        stream.archived_until = row.number("archived_until")?;
        if let Some(version) = row.number_or_none("version")? {
            stream.stream = Some((version, row.number("first_position")?));
        }
        if row.integer("position")?.is_some() {
            stream.events.push(event(row)?);
        }
    }
    Ok(stream)
}

/// A snapshot from its number, shape and payload.
pub(super) fn snapshot<N>((last_sequence, shape, payload): (i64, N, String)) -> JournalResult<StoredSnapshot>
where
    N: TryInto<u32, Error: std::error::Error + Send + Sync + 'static>,
{
    let shape = shape.try_into().map_err(JournalError::corrupt)?;
    Ok(StoredSnapshot { last_sequence: unsigned(last_sequence)?, shape, payload })
}

/// Reads the row of [`super::statements::PUBLISHED`].
pub(super) fn published((position, sequence): (i64, i64)) -> JournalResult<PublishProgress> {
    Ok(PublishProgress { position: unsigned(position)?, sequence: unsigned(sequence)? })
}

/// Reads the rows of [`super::statements::GENERATIONS`].
pub(super) fn generations<R: Columns>(rows: &[R]) -> JournalResult<Vec<Generation>> {
    let generation = |row: &R| {
        Ok(Generation {
            id: row.number("id")?,
            signature: row.text("signature")?,
            state: row.text("state")?,
            checkpoint: row.number("checkpoint")?,
            error_position: row.number_or_none("error_position")?,
            error: row.text_or_none("error")?,
        })
    };
    rows.iter().map(generation).collect()
}

/// Reads the rows of a statement of [`super::sql`]; `total` reads the column of that name.
pub(super) fn list<R: Columns>(found: &[R], total: impl Fn(&R) -> JournalResult<u64>) -> JournalResult<Rows> {
    let mut rows = Rows::default();
    for row in found {
        rows.position = row.number("position")?;
        rows.generation = row.number("generation")?;
        rows.total = total(row)?;
        rows.bodies.extend(row.text_or_none("body")?);
    }
    Ok(rows)
}
