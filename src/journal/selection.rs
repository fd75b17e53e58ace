//! Events by what they say of themselves: one page of those that fit a filter, found through an index and never by
//! looking at what does not fit, as far as that can be.
//!
//! Of several conditions the one that lets the fewest pass is followed through its index and the others are looked at
//! event by event; how many are looked at for one page is bounded, so that a page may end before it is full.

use super::{JournalError, JournalResult, Portion, StoredEvent};
use async_trait::async_trait;
use registrar_aggregates::{AnyAggregate, DomainEvent};

/// Events that are looked at for one page where more than one condition holds.
const LOOKED_AT_MAX: usize = 20_000;

/// Which events are asked for: those for which everything that is given holds.
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
    /// Tenant that the event carried when it was written.
    pub organization_id: Option<String>,
}

/// One page of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// In order.
    pub events: Vec<StoredEvent>,
    /// Position up to which there is no other one: that of the last event, the end of what was asked for, or how far
    /// was looked.
    pub looked_until: u64,
}

/// An aggregate that an organization has something to do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Position of its first event that carries the organization.
    pub position: u64,
    /// Kebab-case name of the aggregate type.
    pub aggregate_type: String,
    /// Identifier within the aggregate type.
    pub aggregate_id: String,
}

/// One page of aggregates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// In the order of their first events.
    pub members: Vec<Member>,
    /// Position up to which there is no other one.
    pub looked_until: u64,
}

/// What an index is made of, and what else can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    AggregateType,
    EventType,
    Actor,
    Organization,
}

/// A condition that an index answers in the order of positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Driver<'a> {
    Stream {
        aggregate_type: &'a str,
        aggregate_id: &'a str,
    },
    Equal(Field, &'a str),
    /// One of these, with nothing left to be looked at.
    EventTypes(Vec<&'a str>),
}

/// Conditions that are looked at event by event.
pub(super) type Rest<'a> = Vec<(Field, &'a str)>;

/// Positions that a driver leads to, in order, and whether the rest holds there.
pub(super) type Places = Vec<(u64, bool)>;

/// Places out of rows of a position and whether the rest fits.
pub(super) fn places(rows: Vec<(i64, bool)>) -> JournalResult<Places> {
    let place = |(position, fits): (i64, bool)| Ok((u64::try_from(position).map_err(JournalError::corrupt)?, fits));
    rows.into_iter().map(place).collect()
}

/// Members out of up to `limit` rows of an organization's events up to `until`: position, aggregate type, aggregate id,
/// and whether it is the first event of its aggregate there.
pub(super) fn members(rows: Vec<(i64, String, String, bool)>, until: u64, limit: usize) -> JournalResult<Members> {
    let full = rows.len() == limit;
    let mut members = Members { members: Vec::new(), looked_until: until };
    for (position, aggregate_type, aggregate_id, is_first) in rows {
        let position = u64::try_from(position).map_err(JournalError::corrupt)?;
        if full {
            members.looked_until = position;
        }
        if is_first {
            members.members.push(Member { position, aggregate_type, aggregate_id });
        }
    }
    Ok(members)
}

/// What a store has to bring.
#[async_trait]
pub(super) trait Selecting {
    /// The first `limit` positions in `after..=until` that the driver leads to.
    async fn places(
        &self,
        driver: &Driver<'_>,
        rest: &Rest<'_>,
        after: u64,
        until: u64,
        limit: usize,
    ) -> JournalResult<Places>;

    /// The events at these positions, in order, up to the bytes of a portion.
    async fn at(&self, positions: &[u64], portion: Portion) -> JournalResult<Vec<StoredEvent>>;
}

impl EventFilter {
    /// Whether every event fits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == EventFilter::default()
    }

    /// The indexes to follow, together leading to everything that may fit, and what is left to be looked at. Not
    /// meant for an empty filter.
    fn plan(&self) -> (Vec<Driver<'_>>, Rest<'_>) {
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
            // Streams of several types may bear one identifier: an admin and what that admin has read, say.
            let types =
                AnyAggregate::TYPES.iter().copied().filter(|known| aggregate_type.is_none_or(|of| of == *known));
            return (types.map(|aggregate_type| Driver::Stream { aggregate_type, aggregate_id }).collect(), rest);
        }
        if rest.is_empty() {
            // An event's name begins with that of its aggregate type, and no name is ever taken away.
            let named = |name: &&str| aggregate_type == name.split_once('.').map(|(of, _)| of);
            return (vec![Driver::EventTypes(DomainEvent::event_types().filter(named).collect())], rest);
        }
        let (field, value) = rest.remove(0);
        rest.extend(aggregate_type.map(|of| (Field::AggregateType, of)));
        (vec![Driver::Equal(field, value)], rest)
    }
}

/// One page of the events in `after..=until` that fit; `filter` is not empty.
pub(super) async fn select(
    store: &impl Selecting,
    filter: &EventFilter,
    after: u64,
    until: u64,
    portion: Portion,
) -> JournalResult<Selection> {
    let limit = portion.events;
    let (drivers, rest) = filter.plan();
    let (mut from, mut looked_at) = (after, 0);
    let mut found: Vec<u64> = Vec::new();
    // Many of few: a page is full long before everything that the rest might hold for was looked at.
    let mut step = if rest.is_empty() { limit } else { limit.max(500) };
    while from < until && found.len() < limit && looked_at < LOOKED_AT_MAX {
        let mut looked_until = until;
        let mut fitting = Vec::new();
        for driver in &drivers {
            let places = store.places(driver, &rest, from, until, step).await?;
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
    let events = if found.is_empty() { Vec::new() } else { store.at(&found, portion).await? };
    if events.len() < found.len() && portion.is_full(&events) {
        found.truncate(events.len());
        from = found.last().copied().unwrap_or(from);
    }
    if !events.iter().map(|event| event.position).eq(found) {
        return Err(super::JournalError::corrupt("an event that an index leads to is missing"));
    }
    Ok(Selection { events, looked_until: from })
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
    fn one_aggregate_is_read_by_its_stream() {
        let one = filter(|filter| {
            filter.aggregate_type = Some("admin".into());
            filter.aggregate_id = Some("a".into());
            filter.actor_id = Some("b".into());
        });
        let (drivers, rest) = one.plan();
        assert_eq!(drivers, [Driver::Stream { aggregate_type: "admin", aggregate_id: "a" }]);
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
        assert_eq!(one.plan().0, [Driver::EventTypes(vec!["key-ring.key-added", "key-ring.key-retired"])]);
        let none = filter(|filter| filter.aggregate_type = Some("key".into()));
        assert_eq!(none.plan(), (vec![Driver::EventTypes(vec![])], vec![]));
    }

    #[test]
    fn the_actor_is_followed_before_everything_but_the_aggregate() {
        let all = filter(|filter| {
            filter.aggregate_type = Some("admin".into());
            filter.event_type = Some("admin.registered".into());
            filter.organization_id = Some("o".into());
            filter.actor_id = Some("b".into());
        });
        let (drivers, rest) = all.plan();
        assert_eq!(drivers, [Driver::Equal(Field::Actor, "b")]);
        let names: Vec<_> = rest.iter().map(|(field, _)| *field).collect();
        assert_eq!(names, [Field::Organization, Field::EventType, Field::AggregateType]);
    }
}
