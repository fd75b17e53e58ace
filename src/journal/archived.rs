//! What can be told truly without the events that were archived.

use super::selection::EventFilter;
use super::{JournalError, JournalResult, StoredEvent, assembled};
use async_trait::async_trait;
use registrar_aggregates::AnyAggregate;
use sqlx::SqlStr;

/// A page of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamPage {
    /// In order; without gaps, unless some were archived.
    pub events: Vec<StoredEvent>,
    /// Whether there may be more.
    pub more: bool,
    /// Position up to which events were archived, if some that belong before, between or behind these events were.
    pub archived: Option<u64>,
}

/// What a store says of a stream in one go, so that nothing is archived in between.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Position up to which events were archived.
    pub(super) archived_until: u64,
    /// Version of the stream and position of its first event, if there is such a stream.
    pub(super) stream: Option<(u64, u64)>,
    /// Up to as many events as were asked for.
    pub(super) events: Vec<StoredEvent>,
}

impl Found {
    /// The page after `after_sequence` up to position `until`, of which `limit` events were asked for.
    ///
    /// # Errors
    /// `Corrupt` if an event is missing that was not archived.
    pub(super) fn page(self, after_sequence: u64, until: u64, limit: usize) -> JournalResult<StreamPage> {
        let Found { archived_until, stream, mut events } = self;
        let full = events.len() == limit;
        let in_order = (after_sequence + 1..).zip(&events).take_while(|(expected, event)| *expected == event.sequence);
        let whole = in_order.count();
        let known_until = events[..whole].last().map_or(0, |event| event.position);
        let version = stream.map_or(0, |(version, _)| version);
        let ends = whole == events.len() && (full || after_sequence + whole as u64 >= version);
        // Events beyond `until` may be missing: nobody asked for them.
        let begins_later = stream.is_none_or(|(_, first_position)| first_position > until);
        let complete = ends || begins_later || known_until >= until;
        let archived = stream.is_some_and(|(_, first_position)| first_position <= archived_until);
        if !complete && !archived {
            return Err(JournalError::corrupt(match events.get(whole) {
                Some(event) => format!("an event before position {} is missing", event.position),
                None => format!("the events after number {} of a stream are missing", after_sequence + whole as u64),
            }));
        }
        events.retain(|event| event.position <= until);
        let more = full && events.len() == limit;
        Ok(StreamPage { events, more, archived: (!complete).then_some(archived_until) })
    }
}

/// What a store has to bring.
#[async_trait]
pub(super) trait Archiving {
    /// Position up to which events were archived.
    async fn until(&self) -> JournalResult<u64>;

    /// Whether a query for a text `$1` and a position `$2` is answered by true.
    async fn holds(&self, query: SqlStr, text: &str, position: u64) -> JournalResult<bool>;
}

/// Position up to which events that may fit `filter`, at or before position `until`, were archived; 0 if there are none.
pub(super) async fn archived_for(store: &impl Archiving, filter: &EventFilter, until: u64) -> JournalResult<u64> {
    let archived_until = store.until().await?;
    if archived_until == 0 {
        return Ok(0);
    }
    let may_fit = match (&filter.organization_id, &filter.aggregate_id) {
        // Of an aggregate is not asked then: that it is there must not show to another organization.
        (Some(organization), _) => store.holds(SqlStr::from_static(ORGANIZATION_ARCHIVED), organization, until).await?,
        (None, Some(aggregate_id)) => {
            let types =
                AnyAggregate::TYPES.iter().filter(|known| filter.aggregate_type.as_ref().is_none_or(|of| of == *known));
            let types: Vec<_> = types.map(|name| format!("'{name}'")).collect();
            let query = assembled(format!(
                "SELECT EXISTS (SELECT 1 FROM streams WHERE aggregate_type IN ({}) AND aggregate_id = $1 \
                 AND first_position <= $2)",
                types.join(", ")
            ));
            !types.is_empty() && store.holds(query, aggregate_id, until.min(archived_until)).await?
        }
        (None, None) => true,
    };
    Ok(if may_fit { archived_until } else { 0 })
}

/// Whether archived events up to `$2` carried the organization `$1`. Of archives that did not note which organizations
/// are in them anything may be so.
const ORGANIZATION_ARCHIVED: &str = "SELECT EXISTS (SELECT 1 FROM archives WHERE NOT organizations_noted) \
     OR EXISTS (SELECT 1 FROM archived_organizations WHERE organization_id = $1 AND first_position <= $2)";

/// Between which positions the last event recorded at a time or before stands, for a time (`$1`) before the first event
/// that is here; `$2` is the last archived position. No event that was carried over stands between them.
pub(super) const ARCHIVED_POSITION_AT: &str = "SELECT coalesce(max(CASE WHEN recorded_at <= $1 THEN position END), 0) AS first, \
     coalesce(min(CASE WHEN recorded_at > $1 THEN position END) - 1, $2) AS last FROM carried_events";

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    /// Events by sequence and position.
    fn found(archived_until: u64, stream: Option<(u64, u64)>, events: &[(u64, u64)]) -> Found {
        let event = |(sequence, position): &(u64, u64)| StoredEvent {
            position: *position,
            recorded_at: DateTime::UNIX_EPOCH,
            aggregate_type: "admin".into(),
            aggregate_id: "a".into(),
            sequence: *sequence,
            event_type: "x".into(),
            event_version: "1.0".into(),
            payload: "{}".into(),
            metadata: "{}".into(),
            leaf_hash: [0; 32],
        };
        Found { archived_until, stream, events: events.iter().map(event).collect() }
    }

    fn page(found: Found, after: u64, until: u64, limit: usize) -> (Vec<u64>, bool, Option<u64>) {
        let page = found.page(after, until, limit).expect("a page");
        (page.events.iter().map(|event| event.sequence).collect(), page.more, page.archived)
    }

    #[test]
    fn a_stream_that_begins_behind_the_archives_is_whole() {
        assert_eq!(page(found(256, Some((2, 300)), &[(1, 300), (2, 310)]), 0, 400, 10), (vec![1, 2], false, None));
        assert_eq!(page(found(256, Some((3, 300)), &[(1, 300), (2, 310)]), 0, 400, 2), (vec![1, 2], true, None));
        assert_eq!(page(found(256, Some((2, 300)), &[(1, 300), (2, 310)]), 0, 305, 2), (vec![1], false, None));
    }

    #[test]
    fn a_stream_with_events_carried_over_is_whole() {
        assert_eq!(page(found(256, Some((2, 7)), &[(1, 7), (2, 310)]), 0, 400, 10), (vec![1, 2], false, None));
        assert_eq!(page(found(256, Some((2, 7)), &[]), 2, 400, 10), (vec![], false, None));
    }

    #[test]
    fn what_was_archived_before_between_or_behind_is_told() {
        assert_eq!(page(found(256, Some((3, 7)), &[(3, 310)]), 0, 400, 10), (vec![3], false, Some(256)));
        assert_eq!(page(found(256, Some((4, 7)), &[(1, 7), (4, 310)]), 0, 400, 10), (vec![1, 4], false, Some(256)));
        assert_eq!(page(found(256, Some((4, 7)), &[]), 2, 400, 10), (vec![], false, Some(256)));
        assert_eq!(page(found(256, Some((4, 7)), &[]), 0, 7, 10), (vec![], false, Some(256)));
    }

    #[test]
    fn what_was_archived_beyond_the_question_does_not_matter() {
        assert_eq!(page(found(256, Some((4, 7)), &[]), 0, 6, 10), (vec![], false, None));
        assert_eq!(page(found(256, Some((4, 7)), &[(1, 7), (4, 310)]), 0, 7, 10), (vec![1], false, None));
        assert_eq!(page(found(256, None, &[]), 0, 400, 10), (vec![], false, None));
    }

    #[test]
    fn what_is_missing_and_was_not_archived_is_corrupt() {
        for found in [found(0, Some((3, 7)), &[(1, 7), (3, 310)]), found(256, Some((2, 300)), &[(1, 300)])] {
            assert!(matches!(found.page(0, 400, 10), Err(JournalError::Corrupt(_))));
        }
    }
}
