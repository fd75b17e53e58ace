//! Correct answers despite archived events: when to refuse, and where a page has gaps.

use super::selection::EventFilter;
use super::{JournalError, JournalResult, StoredEvent};
use crate::store::{ArchiveProbe, JournalStore, StreamRows};
use registrar_aggregates::AnyAggregate;

/// A page of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamPage {
    /// In order; without gaps, unless some were archived.
    pub events: Vec<StoredEvent>,
    /// Whether further events may follow.
    pub more: bool,
    /// Position up to which events were archived, if the page lacks archived events before, between or behind its own.
    pub archived: Option<u64>,
}

/// Refuses reads after position `after` that begin within the events archived up to `archived_until`.
///
/// # Errors
/// `Archived`.
pub(super) fn refuse(after: u64, archived_until: u64) -> JournalResult<()> {
    if after < archived_until { Err(JournalError::Archived { until: archived_until }) } else { Ok(()) }
}

/// The page of a stream after `after_sequence` up to position `until`, for a requested `limit` of events.
///
/// # Errors
/// `Corrupt` if an event is missing that was not archived.
pub(super) fn page(rows: StreamRows, after_sequence: u64, until: u64, limit: usize) -> JournalResult<StreamPage> {
    let StreamRows { archived_until, stream, mut events } = rows;
    let full = events.len() == limit;
    let in_order = (after_sequence + 1..).zip(&events).take_while(|(expected, event)| *expected == event.sequence);
    let whole = in_order.count();
    let known_until = events[..whole].last().map_or(0, |event| event.position);
    let version = stream.map_or(0, |(version, _)| version);
    let ends = whole == events.len() && (full || after_sequence + whole as u64 >= version);
    // Events beyond `until` may be missing: they were not requested.
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

/// Position up to which events that may match `filter`, at or before position `until`, were archived; 0 if there are
/// none.
pub(super) async fn archived_for(store: &dyn JournalStore, filter: &EventFilter, until: u64) -> JournalResult<u64> {
    let archived_until = store.archived_until().await?;
    if archived_until == 0 {
        return Ok(0);
    }
    let may_fit = match (&filter.organization_id, &filter.aggregate_id) {
        // The aggregate is not asked about in this case: its existence must not show to another organization.
        (Some(organization), _) => store.may_be_archived(&ArchiveProbe::Organization(organization), until).await?,
        (None, Some(id)) => {
            let named = |known: &&&str| filter.aggregate_type.as_ref().is_none_or(|of| of == **known);
            let types: Vec<_> = AnyAggregate::TYPES.iter().filter(named).copied().collect();
            let until = until.min(archived_until);
            !types.is_empty() && store.may_be_archived(&ArchiveProbe::Aggregate { types, id }, until).await?
        }
        (None, None) => true,
    };
    Ok(if may_fit { archived_until } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    /// Test rows; `events` are pairs of sequence and position.
    fn found(archived_until: u64, stream: Option<(u64, u64)>, events: &[(u64, u64)]) -> StreamRows {
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
        StreamRows { archived_until, stream, events: events.iter().map(event).collect() }
    }

    fn page(found: StreamRows, after: u64, until: u64, limit: usize) -> (Vec<u64>, bool, Option<u64>) {
        let page = super::page(found, after, until, limit).expect("a page");
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
    fn archived_events_before_between_or_behind_those_of_a_page_are_reported() {
        assert_eq!(page(found(256, Some((3, 7)), &[(3, 310)]), 0, 400, 10), (vec![3], false, Some(256)));
        assert_eq!(page(found(256, Some((4, 7)), &[(1, 7), (4, 310)]), 0, 400, 10), (vec![1, 4], false, Some(256)));
        assert_eq!(page(found(256, Some((4, 7)), &[]), 2, 400, 10), (vec![], false, Some(256)));
        assert_eq!(page(found(256, Some((4, 7)), &[]), 0, 7, 10), (vec![], false, Some(256)));
    }

    #[test]
    fn archived_events_beyond_the_requested_range_are_not_reported() {
        assert_eq!(page(found(256, Some((4, 7)), &[]), 0, 6, 10), (vec![], false, None));
        assert_eq!(page(found(256, Some((4, 7)), &[(1, 7), (4, 310)]), 0, 7, 10), (vec![1], false, None));
        assert_eq!(page(found(256, None, &[]), 0, 400, 10), (vec![], false, None));
    }

    #[test]
    fn missing_events_that_were_not_archived_are_corrupt() {
        for found in [found(0, Some((3, 7)), &[(1, 7), (3, 310)]), found(256, Some((2, 300)), &[(1, 300)])] {
            assert!(matches!(super::page(found, 0, 400, 10), Err(JournalError::Corrupt(_))));
        }
    }
}
