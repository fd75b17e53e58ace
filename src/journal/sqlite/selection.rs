//! Finding events on SQLite. Each driver names its index: without statistics the planner would guess.

use super::{SqliteStore, event, signed, unsigned, within_bytes};
use crate::journal::selection::{self, Driver, Field, Members, Places, Rest, Selecting};
use crate::journal::{JournalError, JournalResult, Portion, StoredEvent, assembled, codec::timestamp};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;

/// The expression that the index is made of.
fn expression(field: Field) -> &'static str {
    match field {
        Field::AggregateType => "aggregate_type",
        Field::EventType => "event_type",
        Field::Actor => "(metadata ->> '$.actor.id')",
        Field::Organization => "(metadata ->> '$.organizationId')",
    }
}

/// `INDEXED BY`, `WHERE` and `ORDER BY` of what an index leads to between the positions `$2` and `$3`, for `$1`.
fn along(field: Field) -> String {
    let (index, partial) = match field {
        Field::Actor => ("events_actor", ""),
        Field::Organization => ("events_organization", "(metadata ->> '$.organizationId') IS NOT NULL AND "),
        Field::EventType | Field::AggregateType => ("events_event_type", ""),
    };
    let expression = expression(field);
    format!(
        "INDEXED BY {index} WHERE {partial}{expression} = $1 AND position > $2 AND position <= $3 ORDER BY position"
    )
}

impl SqliteStore {
    /// The number of the stream's last event at or before `position`, by bisection: numbers are dense and rise with
    /// positions.
    async fn sequence_at(&self, aggregate_type: &str, aggregate_id: &str, position: u64) -> JournalResult<u64> {
        if position == 0 {
            return Ok(0);
        }
        let text = "WITH RECURSIVE bisection (low, high) AS ( \
             SELECT coalesce((SELECT min(sequence) - 1 FROM events WHERE aggregate_type = $1 AND aggregate_id = $2), 0), \
             coalesce((SELECT max(sequence) FROM events WHERE aggregate_type = $1 AND aggregate_id = $2), 0) \
             UNION ALL SELECT CASE WHEN e.position <= $3 THEN e.sequence ELSE b.low END, \
             CASE WHEN e.position <= $3 THEN b.high ELSE e.sequence - 1 END \
             FROM bisection b JOIN events e ON e.aggregate_type = $1 AND e.aggregate_id = $2 \
             AND e.sequence = (b.low + b.high + 1) / 2 WHERE b.low < b.high) \
             SELECT low AS sequence FROM bisection WHERE low >= high";
        let query = sqlx::query(text).bind(aggregate_type).bind(aggregate_id).bind(signed(position)?);
        let row = query.fetch_optional(&self.pool).await?;
        row.map_or(Ok(0), |row| unsigned(&row, "sequence"))
    }

    /// The first positions of events of any of these types: those of each by its index, and of them the first.
    async fn places_of(&self, names: &[&str], after: u64, until: u64, limit: usize) -> JournalResult<Places> {
        if names.is_empty() {
            return Ok(Places::new());
        }
        let of_one = |n| {
            format!(
                "SELECT position, true FROM (SELECT position FROM events INDEXED BY events_event_type WHERE event_type = ${n} \
                 AND position > $1 AND position <= $2 ORDER BY position LIMIT $3)"
            )
        };
        let each: Vec<_> = (0..names.len()).map(|n| of_one(n + 4)).collect();
        let text = assembled(format!("{} ORDER BY position LIMIT $3", each.join(" UNION ALL ")));
        let query = sqlx::query_as(text).bind(signed(after)?).bind(signed(until)?);
        let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let query = names.iter().fold(query, |query, name| query.bind(*name));
        selection::places(query.fetch_all(&self.pool).await?)
    }

    pub(super) async fn find_position_at(&self, time: DateTime<Utc>) -> JournalResult<u64> {
        let text = "WITH RECURSIVE bisection (low, high) AS ( \
             SELECT coalesce((SELECT min(position) - 1 FROM events), h.position), h.position FROM journal_head h \
             UNION ALL SELECT CASE WHEN e.recorded_at <= $1 THEN e.position ELSE b.low END, \
             CASE WHEN e.recorded_at <= $1 THEN b.high ELSE e.position - 1 END \
             FROM bisection b JOIN events e ON e.position = (b.low + b.high + 1) / 2 WHERE b.low < b.high) \
             SELECT low AS position FROM bisection WHERE low >= high";
        let row = sqlx::query(text).bind(timestamp(time)).fetch_optional(&self.pool).await?;
        let row = row.ok_or_else(|| JournalError::corrupt("an event is missing on the way to a time"))?;
        unsigned(&row, "position")
    }

    pub(super) async fn find_members(
        &self,
        organization: &str,
        after: u64,
        until: u64,
        limit: usize,
    ) -> JournalResult<Members> {
        let text = assembled(format!(
            "SELECT position, aggregate_type, aggregate_id, NOT EXISTS (SELECT 1 FROM events f \
             WHERE f.aggregate_type = e.aggregate_type AND f.aggregate_id = e.aggregate_id AND f.sequence < e.sequence \
             AND (f.metadata ->> '$.organizationId') = $1) AS is_first \
             FROM (SELECT position, aggregate_type, aggregate_id, sequence FROM events {} LIMIT $4) e ORDER BY position",
            along(Field::Organization)
        ));
        let query = sqlx::query_as(text).bind(organization).bind(signed(after)?).bind(signed(until)?);
        let rows = query.bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(&self.pool).await?;
        selection::members(rows, until, limit)
    }
}

#[async_trait]
impl Selecting for SqliteStore {
    async fn places(
        &self,
        driver: &Driver<'_>,
        rest: &Rest<'_>,
        after: u64,
        until: u64,
        limit: usize,
    ) -> JournalResult<Places> {
        let (first, last, values, along) = match *driver {
            Driver::EventTypes(ref names) => return self.places_of(names, after, until, limit).await,
            Driver::Equal(field, value) => (after, until, vec![value], along(field)),
            Driver::Stream { aggregate_type, aggregate_id } => {
                let first = self.sequence_at(aggregate_type, aggregate_id, after).await?;
                let last = self.sequence_at(aggregate_type, aggregate_id, until).await?;
                let along = "WHERE aggregate_type = $1 AND aggregate_id = $5 AND sequence > $2 AND sequence <= $3 \
                     ORDER BY sequence";
                (first, last, vec![aggregate_type, aggregate_id], along.to_owned())
            }
        };
        let next = values.len() + 4;
        let conditions = rest.iter().zip(next..).map(|((field, _), n)| format!("{} = ${n}", expression(*field)));
        let fits = std::iter::once("true".to_owned()).chain(conditions).collect::<Vec<_>>().join(" AND ");
        let text = assembled(format!("SELECT position, coalesce({fits}, false) AS fits FROM events {along} LIMIT $4"));
        let query = sqlx::query_as(text).bind(values[0]).bind(signed(first)?).bind(signed(last)?);
        let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let others = values[1..].iter().chain(rest.iter().map(|(_, value)| value));
        let query = others.fold(query, |query, value| query.bind(*value));
        selection::places(query.fetch_all(&self.pool).await?)
    }

    async fn at(&self, positions: &[u64], portion: Portion) -> JournalResult<Vec<StoredEvent>> {
        let [_, bytes] = portion.bounds();
        let chosen = within_bytes("WHERE position IN (SELECT value FROM json_each($1))", "$2");
        let text = assembled(format!("{chosen} ORDER BY position"));
        let query = sqlx::query(text).bind(json!(positions).to_string()).bind(bytes);
        query.fetch_all(&self.pool).await?.iter().map(event).collect()
    }
}
