//! Selection of events by their attributes, and of positions by time.

use crate::on_both_stores;
use crate::support::*;
use chrono::{Duration, Utc};
use registrar::committer::ExpectedVersion;
use registrar::executor::RequestContext;
use registrar::journal::selection::EventFilter;
use registrar::journal::{Portion, StoredEvent};
use registrar::node::Node;
use registrar_aggregates::{Actor, ActorType, Metadata};
use serde_json::Value;
use std::collections::HashSet;
use uuid::Uuid;

/// The context of a request by `actor` within an organization.
fn within(actor: &str, organization: Option<&str>) -> RequestContext {
    let metadata = Metadata {
        actor: Actor { kind: ActorType::User, id: actor.into(), name: None },
        organization_id: organization.map(str::to_owned),
        ..context().metadata
    };
    RequestContext { metadata, answer: None }
}

/// Admins and readers of two organizations and of none, by three actors, in mixed order.
async fn history(node: &Node) -> Vec<StoredEvent> {
    let admins: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
    for n in 0..60_usize {
        let actor = ["ann", "bob", "cy"][n * 7 % 5 % 3];
        let organization = [None, Some("o1"), Some("o2")][n * 11 % 7 % 3];
        let admin = admins[n % 3];
        let events = match n % 4 {
            _ if n < 3 => vec![(admin_stream(admin), ExpectedVersion::Exact(0), vec![admin_registered(admin, None)])],
            0 => vec![(access_stream(actor), ExpectedVersion::Any, vec![trail_read("t"), trail_read("u")])],
            // A reader's stream may have the identifier of an admin.
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

/// Every combination of an existing value, a missing one, and none.
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
    async fn pages_of_any_filter_together_are_the_matching_events(database) {
        let node = database.open().await;
        let events = history(&node).await;
        let head = events.len() as u64;
        for (n, filter) in filters(&events).iter().enumerate() {
            let limit = [1, 3, 1000][n % 3];
            let (start, until) = ([0, 5, 40][n % 3], [head, 50][n % 2]);
            let expected: Vec<_> = events.iter().filter(|event| event.position > start && event.position <= until && fits(filter, event)).collect();
            let (mut found, mut after) = (Vec::new(), start);
            while after < until {
                let page = node.journal.select(filter, after, until, Portion { events: limit, bytes: usize::MAX }).await.unwrap();
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

/// Events of a journal in which the selected ones are rare.
const MANY: usize = 3_000;
/// Repetitions of each selection: PostgreSQL switches a frequent statement to a generic plan.
const REPEATS: i64 = 12;

/// Event rows that the database has read, by any plan. Connections report their counts when they end, so they are ended
/// first.
async fn rows_read(database: &Database) -> i64 {
    let mut sql = database.sql().await;
    let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while sql.number(&format!("SELECT count(pg_terminate_backend(pid)) {others}")).await > 0 {}
    let text = "SELECT ((SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE relname LIKE 'events%') \
         + (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE relname LIKE 'events%'))::bigint";
    sql.number(text).await
}

#[tokio::test]
async fn an_index_leads_to_what_is_looked_for_and_nothing_else_is_read() {
    const LIMIT: usize = 20;
    let database = Database::postgres().await;
    let node = database.open().await;
    let admin = Uuid::now_v7();
    let rare = vec![(admin_stream(admin), ExpectedVersion::Exact(0), vec![admin_registered(admin, None)])];
    node.executor.append(&within("rare", Some("rare")), rare).await.unwrap();
    for _ in 0..MANY / 100 {
        let common = (access_stream("r"), ExpectedVersion::Any, (0..100).map(|_| trail_read("t")).collect());
        node.executor.append(&within("common", Some("common")), vec![common]).await.unwrap();
    }
    let head = node.position().await;
    let filters = [
        EventFilter { aggregate_type: Some("admin".into()), ..EventFilter::default() },
        EventFilter {
            aggregate_type: Some("admin".into()),
            aggregate_id: Some(admin.to_string()),
            ..EventFilter::default()
        },
        EventFilter { event_type: Some("admin.registered".into()), ..EventFilter::default() },
        EventFilter { actor_id: Some("rare".into()), ..EventFilter::default() },
        EventFilter { organization_id: Some("rare".into()), ..EventFilter::default() },
        EventFilter { actor_id: Some("nobody".into()), ..EventFilter::default() },
        EventFilter { actor_id: Some("common".into()), ..EventFilter::default() },
        EventFilter { event_type: Some("audit-access.trail-read".into()), ..EventFilter::default() },
        EventFilter {
            aggregate_type: Some("audit-access".into()),
            aggregate_id: Some("r".into()),
            ..EventFilter::default()
        },
        EventFilter {
            actor_id: Some("rare".into()),
            event_type: Some("admin.registered".into()),
            ..EventFilter::default()
        },
        EventFilter {
            actor_id: Some("common".into()),
            organization_id: Some("common".into()),
            ..EventFilter::default()
        },
    ];
    node.store.tree().extend().await.unwrap();
    node.close().await;
    let read_for = async |filter: Option<&EventFilter>| {
        let before = rows_read(&database).await;
        // A node reads events at its start, too.
        let node = database.open().await;
        for filter in std::iter::repeat_n(filter, REPEATS as usize).flatten() {
            node.journal.select(filter, 0, head, Portion { events: LIMIT, bytes: usize::MAX }).await.unwrap();
        }
        node.close().await;
        rows_read(&database).await - before
    };
    read_for(None).await;
    let for_nothing = read_for(None).await;
    for filter in filters {
        let read = read_for(Some(&filter)).await - for_nothing;
        // For two conditions, the events of the first are checked a few hundred at a time.
        let both = filter.actor_id.is_some() && (filter.organization_id.is_some() || filter.event_type.is_some());
        let most = if both { 600 } else { 5 * LIMIT as i64 };
        assert!(read <= REPEATS * most, "{filter:?}: {read} rows were read {REPEATS} times");
    }
}
