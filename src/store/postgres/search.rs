//! [`EventSearch`] on PostgreSQL.
//!
//! Values are placed so that a generic plan, made without knowing them, can follow only the intended index. A driver is
//! a row comparison, in the order of its index and with no other condition on positions: any such condition would offer
//! the index of positions, which scans events that do not match. A bisection step is a look-up of its own, with a
//! limit, since a join could become a merge of the whole journal.

use super::{PostgresStore, within_bytes};
use crate::store::rows::{self, Columns};
use crate::store::statements::{ALL_POSITIONS, bisection, fits};
use crate::store::{
    Condition, EventSearch, Field, FirstEvent, IndexCondition, JournalResult, MatchedPositions, Portion, StoredEvent,
    assembled, limited, search, signed,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::ops::Range;

/// The indexed expression.
fn expression(field: Field) -> &'static str {
    match field {
        Field::AggregateType => "aggregate_type",
        Field::EventType => "event_type",
        Field::Actor => r#"((metadata -> 'actor' ->> 'id') COLLATE "C")"#,
        Field::Organization => r#"((metadata ->> 'organizationId') COLLATE "C")"#,
    }
}

/// `WHERE` and `ORDER BY` of the index entries of the value `$1` between the positions `$2` and `$3`.
fn range_clause(field: Field) -> String {
    let expression = expression(field);
    let partial = match field {
        Field::Organization => "(metadata ->> 'organizationId') IS NOT NULL AND ",
        Field::AggregateType | Field::EventType | Field::Actor => "",
    };
    format!(
        "{partial}({expression}, position) > ($1, $2) AND ({expression}, position) <= ($1, $3) \
         ORDER BY {expression}, position"
    )
}

impl PostgresStore {
    /// The first positions of events of any of these types: each type's by its index, and the first of them all.
    async fn places_of(&self, names: &[&str], range: Range<u64>, limit: usize) -> JournalResult<MatchedPositions> {
        let text = "SELECT e.position, true FROM unnest($1::text[]) n (name) CROSS JOIN LATERAL (SELECT position FROM events \
             WHERE (event_type, position) > (n.name, $2) AND (event_type, position) <= (n.name, $3) \
             ORDER BY event_type, position LIMIT $4) e ORDER BY e.position LIMIT $4";
        let (from, to, count) = (signed(range.start)?, signed(range.end)?, limited(limit));
        let query = || sqlx::query_as(text).bind(names).bind(from).bind(to).bind(count);
        let rows = self.reading(|| query().fetch_all(&self.walks)).await?;
        search::places(rows)
    }
}

#[async_trait]
impl EventSearch for PostgresStore {
    async fn position_at(&self, time: DateTime<Utc>) -> JournalResult<Option<u64>> {
        let middle = "CROSS JOIN LATERAL (SELECT position, recorded_at FROM events \
             WHERE position = (b.low + b.high + 1) / 2 LIMIT 1) e";
        let text = bisection(ALL_POSITIONS, "e.recorded_at <= $1", "position", middle);
        let row = self.reading(|| sqlx::query(text.clone()).bind(time).fetch_optional(&self.walks)).await?;
        row.map(|row| row.number("position")).transpose()
    }

    async fn sequence_at(&self, aggregate_type: &str, aggregate_id: &str, position: u64) -> JournalResult<u64> {
        let bounds = "SELECT coalesce((SELECT sequence - 1 FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 \
             ORDER BY sequence LIMIT 1), 0), coalesce((SELECT sequence FROM events \
             WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY sequence DESC LIMIT 1), 0)";
        let middle = "CROSS JOIN LATERAL (SELECT sequence, position FROM events \
             WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = (b.low + b.high + 1) / 2 LIMIT 1) e";
        let text = bisection(bounds, "e.position <= $3", "sequence", middle);
        let position = signed(position)?;
        let query = || sqlx::query(text.clone()).bind(aggregate_type).bind(aggregate_id).bind(position);
        let row = self.reading(|| query().fetch_optional(&self.walks)).await?;
        row.map_or(Ok(0), |row| row.number("sequence"))
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
                let clause = "aggregate_type = $1 AND aggregate_id = $5 AND sequence > $2 AND sequence <= $3 \
                     ORDER BY sequence";
                (vec![aggregate_type, aggregate_id], clause.to_owned())
            }
        };
        let fits = fits(others, values.len() + 4, expression);
        let text =
            assembled(format!("SELECT position, coalesce({fits}, false) AS fits FROM events WHERE {clause} LIMIT $4"));
        let (from, to) = (signed(range.start)?, signed(range.end)?);
        let query = || {
            let query = sqlx::query_as(text.clone()).bind(values[0]).bind(from).bind(to).bind(limited(limit));
            let more = values[1..].iter().chain(others.iter().map(|(_, value)| value));
            more.fold(query, |query, value| query.bind(*value))
        };
        search::places(self.reading(|| query().fetch_all(&self.walks)).await?)
    }

    async fn events_at(&self, positions: &[u64], portion: Portion) -> JournalResult<Vec<StoredEvent>> {
        let [_, bytes] = portion.bounds();
        let positions = positions.iter().copied().map(signed).collect::<JournalResult<Vec<i64>>>()?;
        let text = assembled(format!("{} ORDER BY position", within_bytes("WHERE position = ANY ($1)", "$2")));
        let query = || sqlx::query(text.clone()).bind(&positions).bind(bytes);
        self.reading(|| query().fetch_all(&self.walks)).await?.iter().map(rows::event).collect()
    }

    async fn events_of(&self, organization: &str, range: Range<u64>, limit: usize) -> JournalResult<Vec<FirstEvent>> {
        let organization_of = expression(Field::Organization);
        let text = assembled(format!(
            "SELECT position, aggregate_type, aggregate_id, NOT EXISTS (SELECT 1 FROM events f \
             WHERE f.aggregate_type = e.aggregate_type AND f.aggregate_id = e.aggregate_id AND f.sequence < e.sequence \
             AND (f.metadata ->> 'organizationId') = $1) AS is_first \
             FROM (SELECT position, aggregate_type, aggregate_id, sequence, {organization_of} AS organization \
             FROM events WHERE {} LIMIT $4) e ORDER BY position",
            range_clause(Field::Organization)
        ));
        let (from, to) = (signed(range.start)?, signed(range.end)?);
        let query = || sqlx::query_as(text.clone()).bind(organization).bind(from).bind(to).bind(limited(limit));
        search::first_events(self.reading(|| query().fetch_all(&self.walks)).await?)
    }
}
