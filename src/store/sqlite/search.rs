//! [`EventSearch`] on SQLite. Each driver names its index: without statistics the planner would guess.

use super::{SqliteStore, within_bytes};
use crate::store::rows::{self, Columns};
use crate::store::statements::{ALL_POSITIONS, bisection, fits};
use crate::store::{
    Condition, EventSearch, Field, FirstEvent, IndexCondition, JournalResult, MatchedPositions, Portion, StoredEvent,
    assembled, limited, search, signed, timestamp,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;
use std::ops::Range;

/// The indexed expression.
fn expression(field: Field) -> &'static str {
    match field {
        Field::AggregateType => "aggregate_type",
        Field::EventType => "event_type",
        Field::Actor => "(metadata ->> '$.actor.id')",
        Field::Organization => "(metadata ->> '$.organizationId')",
    }
}

/// `INDEXED BY`, `WHERE` and `ORDER BY` of the index entries of the value `$1` between the positions `$2` and `$3`.
fn range_clause(field: Field) -> String {
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
    /// The first positions of events of any of these types: each type's by its index, and the first of them all.
    async fn places_of(&self, names: &[&str], range: Range<u64>, limit: usize) -> JournalResult<MatchedPositions> {
        if names.is_empty() {
            return Ok(MatchedPositions::new());
        }
        let of_one = |n| {
            format!(
                "SELECT position, true FROM (SELECT position FROM events INDEXED BY events_event_type WHERE event_type = ${n} \
                 AND position > $1 AND position <= $2 ORDER BY position LIMIT $3)"
            )
        };
        let each: Vec<_> = (0..names.len()).map(|n| of_one(n + 4)).collect();
        let text = assembled(format!("{} ORDER BY position LIMIT $3", each.join(" UNION ALL ")));
        let query = sqlx::query_as(text).bind(signed(range.start)?).bind(signed(range.end)?).bind(limited(limit));
        let query = names.iter().fold(query, |query, name| query.bind(*name));
        search::places(query.fetch_all(&self.pool).await?)
    }
}

#[async_trait]
impl EventSearch for SqliteStore {
    async fn position_at(&self, time: DateTime<Utc>) -> JournalResult<Option<u64>> {
        let middle = "JOIN events e ON e.position = (b.low + b.high + 1) / 2";
        let text = bisection(ALL_POSITIONS, "e.recorded_at <= $1", "position", middle);
        let row = sqlx::query(text).bind(timestamp(time)).fetch_optional(&self.pool).await?;
        row.map(|row| row.number("position")).transpose()
    }

    async fn sequence_at(&self, aggregate_type: &str, aggregate_id: &str, position: u64) -> JournalResult<u64> {
        let bounds = "SELECT coalesce((SELECT min(sequence) - 1 FROM events WHERE aggregate_type = $1 AND aggregate_id = $2), 0), \
             coalesce((SELECT max(sequence) FROM events WHERE aggregate_type = $1 AND aggregate_id = $2), 0)";
        let middle = "JOIN events e ON e.aggregate_type = $1 AND e.aggregate_id = $2 \
             AND e.sequence = (b.low + b.high + 1) / 2";
        let text = bisection(bounds, "e.position <= $3", "sequence", middle);
        let query = sqlx::query(text).bind(aggregate_type).bind(aggregate_id).bind(signed(position)?);
        query.fetch_optional(&self.pool).await?.map_or(Ok(0), |row| row.number("sequence"))
    }

    async fn places(
        &self,
        condition: &IndexCondition<'_>,
        others: &[Condition<'_>],
        range: Range<u64>,
        limit: usize,
    ) -> JournalResult<MatchedPositions> {
        let (values, clause) = match *condition {
            IndexCondition::EventTypes(ref names) => return self.places_of(names, range, limit).await,
            IndexCondition::Equal(field, value) => (vec![value], range_clause(field)),
            IndexCondition::Stream { aggregate_type, aggregate_id } => {
                let clause = "WHERE aggregate_type = $1 AND aggregate_id = $5 AND sequence > $2 AND sequence <= $3 \
                     ORDER BY sequence";
                (vec![aggregate_type, aggregate_id], clause.to_owned())
            }
        };
        let fits = fits(others, values.len() + 4, expression);
        let text = assembled(format!("SELECT position, coalesce({fits}, false) AS fits FROM events {clause} LIMIT $4"));
        let query = sqlx::query_as(text).bind(values[0]).bind(signed(range.start)?).bind(signed(range.end)?);
        let more = values[1..].iter().chain(others.iter().map(|(_, value)| value));
        let query = more.fold(query.bind(limited(limit)), |query, value| query.bind(*value));
        search::places(query.fetch_all(&self.pool).await?)
    }

    async fn events_at(&self, positions: &[u64], portion: Portion) -> JournalResult<Vec<StoredEvent>> {
        let [_, bytes] = portion.bounds();
        let chosen = within_bytes("WHERE position IN (SELECT value FROM json_each($1))", "$2");
        let text = assembled(format!("{chosen} ORDER BY position"));
        let query = sqlx::query(text).bind(json!(positions).to_string()).bind(bytes);
        query.fetch_all(&self.pool).await?.iter().map(rows::event).collect()
    }

    async fn events_of(&self, organization: &str, range: Range<u64>, limit: usize) -> JournalResult<Vec<FirstEvent>> {
        let text = assembled(format!(
            "SELECT position, aggregate_type, aggregate_id, NOT EXISTS (SELECT 1 FROM events f \
             WHERE f.aggregate_type = e.aggregate_type AND f.aggregate_id = e.aggregate_id AND f.sequence < e.sequence \
             AND (f.metadata ->> '$.organizationId') = $1) AS is_first \
             FROM (SELECT position, aggregate_type, aggregate_id, sequence FROM events {} LIMIT $4) e ORDER BY position",
            range_clause(Field::Organization)
        ));
        let query = sqlx::query_as(text).bind(organization).bind(signed(range.start)?).bind(signed(range.end)?);
        search::first_events(query.bind(limited(limit)).fetch_all(&self.pool).await?)
    }
}
