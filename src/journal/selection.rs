//! Filtered pages of events, found through an index; other events are not read where that can be avoided.
//!
//! Of several conditions, the most selective one is followed through its index and the others are compared event by
//! event. The number of events compared for one page is bounded, so a page may end before it is full.
//!
//! Every index is in the order of positions (`migrations/postgres/0002_audit.sql`), so a page costs the same at any
//! length of the journal.

use super::{JournalError, JournalResult, Portion, StoredEvent};
use crate::store::{Condition, EventSearch, Field, FirstEvent, IndexCondition, MatchedPositions};
use registrar_aggregates::{AnyAggregate, DomainEvent};

/// Most events compared for one page when more than one condition is given.
const LOOKED_AT_MAX: usize = 20_000;

/// Filter of events; an event must match every condition given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Kebab-case name of the aggregate type.
    pub aggregate_type: Option<String>,
    /// Identifier within the aggregate type.
    pub aggregate_id: Option<String>,
    /// Name of the event.
    pub event_type: Option<String>,
    /// Identifier of the actor.
    pub actor_id: Option<String>,
    /// Tenant recorded in the event's metadata.
    pub organization_id: Option<String>,
}

/// One page of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPage {
    /// The matching events, in order.
    pub events: Vec<StoredEvent>,
    /// Position up to which no further event matches: that of the last event, the end of the requested range, or the
    /// end of the search.
    pub looked_until: u64,
}

/// An aggregate that is related to an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationAggregate {
    /// Position of its first event that carries the organization.
    pub position: u64,
    /// Kebab-case name of the aggregate type.
    pub aggregate_type: String,
    /// Identifier within the aggregate type.
    pub aggregate_id: String,
}

/// One page of aggregates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AggregatePage {
    /// The aggregates, in the order of their first events.
    pub members: Vec<OrganizationAggregate>,
    /// Position up to which no further aggregate follows.
    pub looked_until: u64,
}

/// Conditions that are compared event by event.
type Rest<'a> = Vec<Condition<'a>>;

/// Members among up to `limit` events of an organization up to `until`.
pub(super) fn members(events: Vec<FirstEvent>, until: u64, limit: usize) -> AggregatePage {
    let full = events.len() == limit;
    let looked_until = events.last().filter(|_| full).map_or(until, |(position, ..)| *position);
    let first = events.into_iter().filter(|(.., is_first)| *is_first);
    let members = first.map(|(position, aggregate_type, aggregate_id, _)| OrganizationAggregate {
        position,
        aggregate_type,
        aggregate_id,
    });
    AggregatePage { members: members.collect(), looked_until }
}

impl EventFilter {
    /// Whether the filter matches every event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == EventFilter::default()
    }

    /// Plans the indexes to follow, together leading to every candidate, and the conditions left to compare. Not meant
    /// for an empty filter.
    fn plan(&self) -> (Vec<IndexCondition<'_>>, Rest<'_>) {
        let aggregate_type = self.aggregate_type.as_deref();
        let mut rest: Rest<'_> = [
            (Field::Actor, &self.actor_id),
            (Field::Organization, &self.organization_id),
            (Field::EventType, &self.event_type),
        ]
        .into_iter()
        .filter_map(|(field, value)| Some((field, value.as_deref()?)))
        .collect();
        if let Some(aggregate_id) = self.aggregate_id.as_deref() {
            // Streams of several types may share one identifier, e.g. an admin and the admin's read state.
            let types =
                AnyAggregate::TYPES.iter().copied().filter(|known| aggregate_type.is_none_or(|of| of == *known));
            return (
                types.map(|aggregate_type| IndexCondition::Stream { aggregate_type, aggregate_id }).collect(),
                rest,
            );
        }
        if rest.is_empty() {
            // An event's name begins with that of its aggregate type, and no name is ever removed.
            let named = |name: &&str| aggregate_type == name.split_once('.').map(|(of, _)| of);
            return (vec![IndexCondition::EventTypes(DomainEvent::event_types().filter(named).collect())], rest);
        }
        let (field, value) = rest.remove(0);
        rest.extend(aggregate_type.map(|of| (Field::AggregateType, of)));
        (vec![IndexCondition::Equal(field, value)], rest)
    }
}

/// One page of the events in `after..=until` that match; `filter` is not empty.
pub(super) async fn select(
    store: &(impl EventSearch + ?Sized),
    filter: &EventFilter,
    after: u64,
    until: u64,
    portion: Portion,
) -> JournalResult<EventPage> {
    let limit = portion.events;
    let (conditions, rest) = filter.plan();
    let (mut from, mut looked_at) = (after, 0);
    let mut found: Vec<u64> = Vec::new();
    // Few matches among many candidates: a page may be full long before all candidates were compared.
    let mut step = if rest.is_empty() { limit } else { limit.max(500) };
    while from < until && found.len() < limit && looked_at < LOOKED_AT_MAX {
        let mut looked_until = until;
        let mut fitting = Vec::new();
        for condition in &conditions {
            let places = places(store, condition, &rest, from, until, step).await?;
            looked_at += places.len();
            if places.len() == step {
                looked_until = looked_until.min(places.last().map_or(until, |(position, _)| *position));
            }
            fitting.extend(places.into_iter().filter(|(_, fits)| *fits).map(|(position, _)| position));
        }
        fitting.retain(|position| *position <= looked_until);
        fitting.sort_unstable();
        found.extend(fitting);
        from = looked_until;
        step = (step * 4).min(LOOKED_AT_MAX / 4);
    }
    if found.len() >= limit {
        found.truncate(limit);
        from = found.last().copied().unwrap_or(from);
    }
    let events = if found.is_empty() { Vec::new() } else { store.events_at(&found, portion).await? };
    if events.len() < found.len() && portion.is_full(&events) {
        found.truncate(events.len());
        from = found.last().copied().unwrap_or(from);
    }
    if !events.iter().map(|event| event.position).eq(found) {
        return Err(JournalError::corrupt("an event that an index leads to is missing"));
    }
    Ok(EventPage { events, looked_until: from })
}

/// The first `limit` positions in `after..=until` that the driver leads to, and whether the other conditions match
/// there.
async fn places(
    store: &(impl EventSearch + ?Sized),
    condition: &IndexCondition<'_>,
    rest: &[Condition<'_>],
    after: u64,
    until: u64,
    limit: usize,
) -> JournalResult<MatchedPositions> {
    let range = match condition {
        IndexCondition::Stream { aggregate_type, aggregate_id } => {
            let first = match after {
                0 => 0,
                _ => store.sequence_at(aggregate_type, aggregate_id, after).await?,
            };
            first..store.sequence_at(aggregate_type, aggregate_id, until).await?
        }
        IndexCondition::Equal(..) | IndexCondition::EventTypes(_) => after..until,
    };
    store.places(condition, rest, range, limit).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(set: impl FnOnce(&mut EventFilter)) -> EventFilter {
        let mut filter = EventFilter::default();
        set(&mut filter);
        filter
    }

    #[test]
    fn members_are_the_aggregates_whose_first_event_is_on_the_page() {
        let event = |position, id: &str, is_first| (position, "user".to_owned(), id.to_owned(), is_first);
        let events = || vec![event(3, "a", true), event(4, "a", false), event(9, "b", true)];
        let part = members(events(), 20, 4);
        assert_eq!(part.members.iter().map(|member| member.position).collect::<Vec<_>>(), [3, 9]);
        assert_eq!(part.looked_until, 20, "there are no more");
        assert_eq!(members(events(), 20, 3).looked_until, 9, "there may be more");
        assert_eq!(members(vec![], 20, 3), AggregatePage { members: vec![], looked_until: 20 });
    }

    #[test]
    fn one_aggregate_is_read_by_its_stream() {
        let one = filter(|filter| {
            filter.aggregate_type = Some("admin".into());
            filter.aggregate_id = Some("a".into());
            filter.actor_id = Some("b".into());
        });
        let (conditions, rest) = one.plan();
        assert_eq!(conditions, [IndexCondition::Stream { aggregate_type: "admin", aggregate_id: "a" }]);
        assert_eq!(rest, [(Field::Actor, "b")]);
    }

    #[test]
    fn an_identifier_alone_is_looked_for_in_every_type() {
        let one = filter(|filter| filter.aggregate_id = Some("a".into()));
        assert_eq!(one.plan().0.len(), AnyAggregate::TYPES.len());
    }

    #[test]
    fn a_type_is_read_by_the_names_of_its_events() {
        let one = filter(|filter| filter.aggregate_type = Some("key-ring".into()));
        assert_eq!(one.plan().0, [IndexCondition::EventTypes(vec!["key-ring.key-added", "key-ring.key-retired"])]);
        let none = filter(|filter| filter.aggregate_type = Some("key".into()));
        assert_eq!(none.plan(), (vec![IndexCondition::EventTypes(vec![])], vec![]));
    }

    #[test]
    fn the_actor_is_followed_before_everything_but_the_aggregate() {
        let all = filter(|filter| {
            filter.aggregate_type = Some("admin".into());
            filter.event_type = Some("admin.registered".into());
            filter.organization_id = Some("o".into());
            filter.actor_id = Some("b".into());
        });
        let (conditions, rest) = all.plan();
        assert_eq!(conditions, [IndexCondition::Equal(Field::Actor, "b")]);
        let names: Vec<_> = rest.iter().map(|(field, _)| *field).collect();
        assert_eq!(names, [Field::Organization, Field::EventType, Field::AggregateType]);
    }
}
