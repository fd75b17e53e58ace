//! Finding events by what they say of themselves, and positions by time.

use crate::on_both_stores;
use crate::support::*;
use chrono::{Duration, Utc};
use registrar::committer::ExpectedVersion;
use registrar::executor::RequestContext;
use registrar::journal::StoredEvent;
use registrar::journal::selection::EventFilter;
use registrar::node::Node;
use registrar_aggregates::{Actor, ActorType, Metadata};
use serde_json::Value;
use std::collections::HashSet;
use uuid::Uuid;

/// The circumstances of somebody's request within an organization.
fn within(actor: &str, organization: Option<&str>) -> RequestContext {
    let metadata = Metadata {
        actor: Actor { kind: ActorType::User, id: actor.into(), name: None },
        organization_id: organization.map(str::to_owned),
        ..context().metadata
    };
    RequestContext { metadata, answer: None }
}

/// Admins and readers of two organizations and of none, by three actors, in no particular order.
async fn history(node: &Node) -> Vec<StoredEvent> {
    let admins: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
    for n in 0..60_usize {
        let actor = ["ann", "bob", "cy"][n * 7 % 5 % 3];
        let organization = [None, Some("o1"), Some("o2")][n * 11 % 7 % 3];
        let admin = admins[n % 3];
        let events = match n % 4 {
            _ if n < 3 => vec![(admin_stream(admin), ExpectedVersion::Exact(0), vec![admin_registered(admin, None)])],
            0 => vec![(access_stream(actor), ExpectedVersion::Any, vec![trail_read("t"), trail_read("u")])],
            // A reader's stream may bear the identifier of an admin.
            1 => vec![(access_stream(&admin.to_string()), ExpectedVersion::Any, vec![trail_read("t")])],
            _ => {
                let amended =
                    registrar_aggregates::admin::AdminEvent::PartyAmended { legacy_identifier: Some(n.to_string()) };
                vec![(admin_stream(admin), ExpectedVersion::Any, vec![amended.into()])]
            }
        };
        node.executor.append(&within(actor, organization), events).await.unwrap();
    }
    node.all_events().await
}

fn fits(filter: &EventFilter, event: &StoredEvent) -> bool {
    let metadata: Value = serde_json::from_str(&event.metadata).unwrap();
    let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
    is(&filter.aggregate_type, Some(&event.aggregate_type))
        && is(&filter.aggregate_id, Some(&event.aggregate_id))
        && is(&filter.event_type, Some(&event.event_type))
        && is(&filter.actor_id, metadata["actor"]["id"].as_str())
        && is(&filter.organization_id, metadata["organizationId"].as_str())
}

/// Every combination of a value that there is, one that there is not, and none.
fn filters(events: &[StoredEvent]) -> Vec<EventFilter> {
    let id = events.iter().find(|event| event.aggregate_type == "admin").unwrap().aggregate_id.as_str();
    let mut filters = vec![EventFilter::default()];
    type Set = fn(&mut EventFilter, String);
    let fields: [(Set, [&str; 2]); 5] = [
        (|filter, value| filter.aggregate_type = Some(value), ["admin", "audit-access"]),
        (|filter, value| filter.aggregate_id = Some(value), [id, "nobody"]),
        (|filter, value| filter.event_type = Some(value), ["admin.party-amended", "admin.nothing"]),
        (|filter, value| filter.actor_id = Some(value), ["bob", "b"]),
        (|filter, value| filter.organization_id = Some(value), ["o2", "O2"]),
    ];
    for (set, values) in fields {
        let more = filters.iter().flat_map(|filter| {
            values.map(|value| {
                let mut filter = filter.clone();
                set(&mut filter, value.into());
                filter
            })
        });
        filters.extend(more.collect::<Vec<_>>());
    }
    filters
}

on_both_stores! {
    async fn whatever_the_filter_pages_together_are_what_fits(database) {
        let node = database.open().await;
        let events = history(&node).await;
        let head = events.len() as u64;
        for (n, filter) in filters(&events).iter().enumerate() {
            let limit = [1, 3, 1000][n % 3];
            let (start, until) = ([0, 5, 40][n % 3], [head, 50][n % 2]);
            let expected: Vec<_> = events.iter().filter(|event| event.position > start && event.position <= until && fits(filter, event)).collect();
            let (mut found, mut after) = (Vec::new(), start);
            while after < until {
                let page = node.journal.select(filter, after, until, limit).await.unwrap();
                assert!(page.events.len() <= limit && page.looked_until > after && page.looked_until <= until, "{filter:?}");
                assert!(page.events.len() == limit || page.looked_until == until, "a page that could be full is not: {filter:?}");
                after = page.looked_until;
                found.extend(page.events);
            }
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
        }
    }

    async fn an_organization_has_each_of_its_aggregates_once(database) {
        let node = database.open().await;
        let events = history(&node).await;
        for organization in ["o1", "o2", "nothing"] {
            let filter = EventFilter { organization_id: Some(organization.into()), ..EventFilter::default() };
            let mut seen = HashSet::new();
            let expected: Vec<_> = events.iter().filter(|event| fits(&filter, event) && event.position <= 50)
                .filter(|event| seen.insert((&event.aggregate_type, &event.aggregate_id))).collect();
            let (mut found, mut after) = (Vec::new(), 0);
            while after < 50 {
                let page = node.journal.members(organization, after, 50, 4).await.unwrap();
                assert!(page.looked_until > after);
                after = page.looked_until;
                found.extend(page.members);
            }
            let told = |position, of: &str, id: &str| (position, of.to_owned(), id.to_owned());
            let found: Vec<_> = found.iter().map(|member| told(member.position, &member.aggregate_type, &member.aggregate_id)).collect();
            let expected: Vec<_> = expected.iter().map(|event| told(event.position, &event.aggregate_type, &event.aggregate_id)).collect();
            assert_eq!(found, expected, "{organization}");
        }
    }

    async fn a_time_is_the_position_of_the_last_event_before_it(database) {
        let node = database.open().await;
        assert_eq!(node.journal.position_at(Utc::now()).await.unwrap(), 0..=0);
        let events = history(&node).await;
        let millisecond = Duration::milliseconds(1);
        let last_at = |time| events.iter().filter(|event| event.recorded_at <= time).count() as u64;
        for time in events.iter().flat_map(|event| [event.recorded_at - millisecond, event.recorded_at, event.recorded_at + millisecond]) {
            assert_eq!(node.journal.position_at(time).await.unwrap(), last_at(time)..=last_at(time));
        }
        let end = events.len() as u64;
        assert_eq!(node.journal.position_at(Utc::now() + Duration::days(1)).await.unwrap(), end..=end);
    }
}
