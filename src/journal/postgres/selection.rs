//! Finding events on PostgreSQL.
//!
//! What is looked for stands in the statements in such a way that a generic plan, made for no value in particular, can
//! follow only the index that is meant. A driver is a comparison of rows, in the order of its index and with no other
//! word about positions: any offers the index of positions, which leads past everything that does not fit. A step of a
//! bisection is a look-up of its own, with a limit, since a join could become a merge of the whole journal.

use super::{PostgresStore, event, signed, unsigned, within_bytes};
use crate::journal::selection::{self, Driver, Field, Members, Places, Rest, Selecting};
use crate::journal::{JournalError, JournalResult, Portion, StoredEvent, assembled};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// The expression that the index is made of.
fn expression(field: Field) -> &'static str {
    match field {
        Field::AggregateType => "aggregate_type",
        Field::EventType => "event_type",
        Field::Actor => r#"((metadata -> 'actor' ->> 'id') COLLATE "C")"#,
        Field::Organization => r#"((metadata ->> 'organizationId') COLLATE "C")"#,
    }
}

/// `WHERE` and `ORDER BY` of what an index leads to between the positions `$2` and `$3`, for the value `$1`.
fn along(field: Field) -> String {
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
    /// The number of the stream's last event at or before `position`, by bisection: numbers are dense and rise with
    /// positions.
    async fn sequence_at(&self, aggregate_type: &str, aggregate_id: &str, position: u64) -> JournalResult<u64> {
        if position == 0 {
            return Ok(0);
        }
        let text = "WITH RECURSIVE bisection (low, high) AS ( \
             SELECT coalesce((SELECT sequence - 1 FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 \
             ORDER BY sequence LIMIT 1), 0), coalesce((SELECT sequence FROM events \
             WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY sequence DESC LIMIT 1), 0) \
             UNION ALL SELECT CASE WHEN e.position <= $3 THEN e.sequence ELSE b.low END, \
             CASE WHEN e.position <= $3 THEN b.high ELSE e.sequence - 1 END \
             FROM bisection b CROSS JOIN LATERAL (SELECT sequence, position FROM events \
             WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = (b.low + b.high + 1) / 2 LIMIT 1) e \
             WHERE b.low < b.high) \
             SELECT low AS sequence FROM bisection WHERE low >= high";
        let position = signed(position)?;
        let query = || sqlx::query(text).bind(aggregate_type).bind(aggregate_id).bind(position);
        let row = self.reading(|| query().fetch_optional(&self.walks)).await?;
        row.map_or(Ok(0), |row| unsigned(&row, "sequence"))
    }

    /// The first positions of events of any of these types: those of each by its index, and of them the first.
    async fn places_of(&self, names: &[&str], after: u64, until: u64, limit: usize) -> JournalResult<Places> {
        let text = "SELECT e.position, true FROM unnest($1::text[]) n (name) CROSS JOIN LATERAL (SELECT position FROM events \
             WHERE (event_type, position) > (n.name, $2) AND (event_type, position) <= (n.name, $3) \
             ORDER BY event_type, position LIMIT $4) e ORDER BY e.position LIMIT $4";
        let (from, to, count) = (signed(after)?, signed(until)?, i64::try_from(limit).unwrap_or(i64::MAX));
        let query = || sqlx::query_as(text).bind(names).bind(from).bind(to).bind(count);
        let rows = self.reading(|| query().fetch_all(&self.walks)).await?;
        selection::places(rows)
    }

    pub(super) async fn find_position_at(&self, time: DateTime<Utc>) -> JournalResult<u64> {
        let text = "WITH RECURSIVE bisection (low, high) AS ( \
             SELECT coalesce((SELECT min(position) - 1 FROM events), h.position), h.position FROM journal_head h \
             UNION ALL SELECT CASE WHEN e.recorded_at <= $1 THEN e.position ELSE b.low END, \
             CASE WHEN e.recorded_at <= $1 THEN b.high ELSE e.position - 1 END \
             FROM bisection b CROSS JOIN LATERAL (SELECT position, recorded_at FROM events \
             WHERE position = (b.low + b.high + 1) / 2 LIMIT 1) e WHERE b.low < b.high) \
             SELECT low AS position FROM bisection WHERE low >= high";
        let row = self.reading(|| sqlx::query(text).bind(time).fetch_optional(&self.walks)).await?;
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
        let organization_of = expression(Field::Organization);
        let text = assembled(format!(
            "SELECT position, aggregate_type, aggregate_id, NOT EXISTS (SELECT 1 FROM events f \
             WHERE f.aggregate_type = e.aggregate_type AND f.aggregate_id = e.aggregate_id AND f.sequence < e.sequence \
             AND (f.metadata ->> 'organizationId') = $1) AS is_first \
             FROM (SELECT position, aggregate_type, aggregate_id, sequence, {organization_of} AS organization \
             FROM events WHERE {} LIMIT $4) e ORDER BY position",
            along(Field::Organization)
        ));
        let (from, to, count) = (signed(after)?, signed(until)?, i64::try_from(limit).unwrap_or(i64::MAX));
        let query = || sqlx::query_as(text.clone()).bind(organization).bind(from).bind(to).bind(count);
        let rows = self.reading(|| query().fetch_all(&self.walks)).await?;
        selection::members(rows, until, limit)
    }
}

#[async_trait]
impl Selecting for PostgresStore {
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
                let along = "aggregate_type = $1 AND aggregate_id = $5 AND sequence > $2 AND sequence <= $3 \
                     ORDER BY sequence";
                (first, last, vec![aggregate_type, aggregate_id], along.to_owned())
            }
        };
        let next = values.len() + 4;
        let conditions = rest.iter().zip(next..).map(|((field, _), n)| format!("{} = ${n}", expression(*field)));
        let fits = std::iter::once("true".to_owned()).chain(conditions).collect::<Vec<_>>().join(" AND ");
        let text =
            assembled(format!("SELECT position, coalesce({fits}, false) AS fits FROM events WHERE {along} LIMIT $4"));
        let (from, to, count) = (signed(first)?, signed(last)?, i64::try_from(limit).unwrap_or(i64::MAX));
        let query = || {
            let query = sqlx::query_as(text.clone()).bind(values[0]).bind(from).bind(to).bind(count);
            let others = values[1..].iter().chain(rest.iter().map(|(_, value)| value));
            others.fold(query, |query, value| query.bind(*value))
        };
        let rows = self.reading(|| query().fetch_all(&self.walks)).await?;
        selection::places(rows)
    }

    async fn at(&self, positions: &[u64], portion: Portion) -> JournalResult<Vec<StoredEvent>> {
        let [_, bytes] = portion.bounds();
        let positions = positions.iter().copied().map(signed).collect::<JournalResult<Vec<i64>>>()?;
        let text = assembled(format!("{} ORDER BY position", within_bytes("WHERE position = ANY ($1)", "$2")));
        let rows =
            self.reading(|| sqlx::query(text.clone()).bind(&positions).bind(bytes).fetch_all(&self.walks)).await?;
        rows.iter().map(event).collect()
    }
}
