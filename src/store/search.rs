//! Finding events through an index, condition by condition. The choice of index, and the number of events to compare
//! for a page, are decided above, in [`crate::journal::selection`].

use super::{JournalResult, Portion, StoredEvent, unsigned};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::ops::Range;

/// Field of an event, for an index or for comparison event by event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Aggregate type.
    AggregateType,
    /// Name of the event.
    EventType,
    /// Identifier of the actor.
    Actor,
    /// Tenant of the event.
    Organization,
}

/// A condition that an index answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexCondition<'a> {
    /// Events of one stream, along their numbers.
    Stream {
        /// Aggregate type.
        aggregate_type: &'a str,
        /// Aggregate id.
        aggregate_id: &'a str,
    },
    /// Events with this value of a field, along their positions.
    Equal(Field, &'a str),
    /// Events of one of these names, along their positions; not combined with other conditions.
    EventTypes(Vec<&'a str>),
}

/// A condition that is compared event by event.
pub type Condition<'a> = (Field, &'a str);

/// Positions of a driver's events, in order, and whether the other conditions match.
pub type MatchedPositions = Vec<(u64, bool)>;

/// An event that carries an organization: position, aggregate type, aggregate id, and whether it is the first such
/// event of its aggregate.
pub type FirstEvent = (u64, String, String, bool);

/// Converts rows to places.
pub(super) fn places(rows: Vec<(i64, bool)>) -> JournalResult<MatchedPositions> {
    rows.into_iter().map(|(position, fits)| Ok((unsigned(position)?, fits))).collect()
}

/// Converts rows to events.
pub(super) fn first_events(rows: Vec<(i64, String, String, bool)>) -> JournalResult<Vec<FirstEvent>> {
    let event = |(position, of_type, id, is_first)| Ok((unsigned(position)?, of_type, id, is_first));
    rows.into_iter().map(event).collect()
}

/// Searches the events that were not archived.
#[async_trait]
pub trait EventSearch: Send + Sync {
    /// Position of the last event recorded at `time` or before: 0, or the one before the first event in the database,
    /// if no event is that old; `None` if the search finds an event missing.
    async fn position_at(&self, time: DateTime<Utc>) -> JournalResult<Option<u64>>;

    /// Number of the last event of a stream at or before `position`, which is not 0.
    async fn sequence_at(&self, aggregate_type: &str, aggregate_id: &str, position: u64) -> JournalResult<u64>;

    /// The first `limit` positions of `condition` after the start of `range` up to its end: a range of numbers for a
    /// stream, of positions otherwise.
    async fn places(
        &self,
        condition: &IndexCondition<'_>,
        others: &[Condition<'_>],
        range: Range<u64>,
        limit: usize,
    ) -> JournalResult<MatchedPositions>;

    /// The events at these positions, in order, within the byte limit of a portion.
    async fn events_at(&self, positions: &[u64], portion: Portion) -> JournalResult<Vec<StoredEvent>>;

    /// The first `limit` events that carry an organization after the start of `range` up to its end, by position.
    async fn events_of(&self, organization: &str, range: Range<u64>, limit: usize) -> JournalResult<Vec<FirstEvent>>;
}
