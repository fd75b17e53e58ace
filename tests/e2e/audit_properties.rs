//! Random histories: a past state is the fold of the events until then, differences add up, and pages make the whole
//! list.

use crate::audit_app::*;
use crate::ecg_app::App;
use crate::on_both_stores;
use crate::support::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use registrar::committer::ExpectedVersion;
use registrar::journal::{StoredEvent, codec};
use registrar_aggregates::admin::{Address, AddressDetails, AdminEvent, Person};
use registrar_aggregates::values::AddressId;
use registrar_aggregates::{AnyAggregate, DomainEvent};
use registrar_projections::audit_trail::diff::{alike, differences};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use uuid::Uuid;

/// An event of one of two admins, in one of two organizations or none.
#[derive(Debug, Clone)]
struct Act {
    admin: usize,
    organization: Option<usize>,
    what: ChangeKind,
}

#[derive(Debug, Clone)]
enum ChangeKind {
    Rename(u8),
    Grant(Vec<u8>),
    Deactivate,
    Activate,
    AddAddress(u8),
    AmendAddress(u8, u8),
    RemoveAddress(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let what = prop_oneof![
        3 => (0..3_u8).prop_map(ChangeKind::Rename),
        2 => proptest::collection::vec(0..3_u8, 0..3).prop_map(ChangeKind::Grant),
        1 => Just(ChangeKind::Deactivate),
        1 => Just(ChangeKind::Activate),
        2 => (0..3_u8).prop_map(ChangeKind::AddAddress),
        2 => (0..3_u8, 0..3_u8).prop_map(|(address, city)| ChangeKind::AmendAddress(address, city)),
        1 => (0..3_u8).prop_map(ChangeKind::RemoveAddress),
    ];
    let act = (0..2_usize, proptest::option::of(0..2_usize), what);
    let act = act.prop_map(|(admin, organization, what)| Act { admin, organization, what });
    proptest::collection::vec(act, 1..40)
}

fn address(n: u8, city: u8) -> Address {
    let details = AddressDetails {
        address_type: 1,
        address_line1: None,
        address_line2: None,
        city: (city > 0).then(|| format!("city {city}")),
        postal_code: None,
        state_province_code: None,
        country_code: None,
        region_code: None,
    };
    Address { id: AddressId(Uuid::from_u128(n.into())), details }
}

impl ChangeKind {
    /// The event, recorded without a decision, whatever the state.
    fn event(&self) -> DomainEvent {
        match self {
            ChangeKind::Rename(name) => AdminEvent::PersonAmended {
                person: Person {
                    salutation: None,
                    first_name: format!("name {name}"),
                    last_name: "L".into(),
                    suffix: None,
                    email_address: (*name > 1).then(|| "a@example.org".into()),
                },
            },
            ChangeKind::Grant(policies) => AdminEvent::GrantsAmended {
                policies: policies.iter().map(u8::to_string).collect(),
                custom_permissions: vec![],
            },
            ChangeKind::Deactivate => AdminEvent::Deactivated {},
            ChangeKind::Activate => AdminEvent::Activated {},
            ChangeKind::AddAddress(n) => AdminEvent::AddressAdded { address: address(*n, 0), index: 0 },
            ChangeKind::AmendAddress(n, city) => AdminEvent::AddressAmended { address: address(*n, *city) },
            ChangeKind::RemoveAddress(n) => {
                AdminEvent::AddressRemoved { address_id: AddressId(Uuid::from_u128((*n).into())) }
            }
        }
        .into()
    }
}

/// Whether the event fits the addresses in `there`; existing ones must not be added again, since lists have no
/// duplicates.
fn fits(what: &ChangeKind, there: &mut Vec<u8>) -> bool {
    match what {
        ChangeKind::AddAddress(n) if there.contains(n) => false,
        ChangeKind::AddAddress(n) => {
            there.push(*n);
            true
        }
        ChangeKind::AmendAddress(n, _) => there.contains(n),
        ChangeKind::RemoveAddress(n) => {
            let known = there.contains(n);
            there.retain(|other| other != n);
            known
        }
        ChangeKind::Rename(_) | ChangeKind::Grant(_) | ChangeKind::Deactivate | ChangeKind::Activate => true,
    }
}

async fn play(app: &App, acts: &[Act]) -> [Uuid; 2] {
    let admins = [Uuid::now_v7(), Uuid::now_v7()];
    registered_within(app, admins[0], Some("o0")).await;
    registered_within(app, admins[1], None).await;
    let mut there = [Vec::new(), Vec::new()];
    for Act { admin, organization, what } in acts {
        if fits(what, &mut there[*admin]) {
            let organization = organization.map(|n| format!("o{n}"));
            let events = vec![(admin_stream(admins[*admin]), ExpectedVersion::Any, vec![what.event()])];
            app.state.node.executor.append(&within("ann", organization.as_deref()), events).await.unwrap();
        }
    }
    admins
}

/// The state that the events fold to, computed without the server's cache.
async fn folded(app: &App, events: &[StoredEvent]) -> Option<Value> {
    let mut state = AnyAggregate::absent("admin").unwrap();
    for event in codec::decode(&app.state.node.vault, events).await.unwrap() {
        state.apply(Arc::unwrap_or_clone(event.event));
    }
    state.shown()
}

type Changes = BTreeMap<String, (Value, Value)>;

/// The value as compared: an empty list equals an absent one.
fn value(value: &Value) -> Value {
    if alike(value, &Value::Null) { Value::Null } else { value.clone() }
}

fn changes(answer: &Value) -> Changes {
    let told = answer["changes"].as_array().unwrap().iter();
    let change = |change: &Value| {
        (change["path"].as_str().unwrap().to_owned(), (value(&change["oldValue"]), value(&change["newValue"])))
    };
    told.map(change).collect()
}

/// The sum of two consecutive differences.
fn sum(first: Changes, second: Changes) -> Changes {
    let mut sum = first;
    for (path, (old, new)) in second {
        let old = sum.remove(&path).map_or(old, |(first, _)| first);
        sum.insert(path, (old, new));
    }
    sum.retain(|_, (old, new)| !alike(old, new));
    sum
}

async fn check_admin(app: &App, id: &str, start: u64, events: &[StoredEvent], token: Option<&str>) {
    let get = |path: String| {
        let call = app.call("GET", &path).token(Some(token.unwrap_or(&app.token)));
        async move { call.send().await }
    };
    let metadata = |event: &StoredEvent| serde_json::from_str::<Value>(&event.metadata).unwrap();
    let seen: Vec<_> = events
        .iter()
        .filter(|event| event.aggregate_id == id)
        .filter(|event| token.is_none() || metadata(event)["organizationId"] == "o0")
        .cloned()
        .collect();
    let end = events.len() as u64;
    for position in start..=end {
        let until: Vec<_> = seen.iter().filter(|event| event.position <= position).cloned().collect();
        let answer = get(format!("/audit/admin/{id}?asOf={position}")).await;
        match folded(app, &until).await {
            Some(state) => {
                let answer = answer.ok();
                assert_eq!((&answer["state"], &answer["position"]), (&state, &until.last().unwrap().position.into()));
            }
            None => assert_eq!(answer.status, 404),
        }
    }
    if seen.is_empty() {
        assert_eq!(get(format!("/audit/admin/{id}/diff?to={end}")).await.status, 404);
        return;
    }
    let first = seen[0].position;
    let between = |from: u64, to: u64| {
        let answer = get(format!("/audit/admin/{id}/diff?from={from}&to={to}"));
        async move { changes(&answer.await.ok()) }
    };
    let middle = first + (end - first) / 2;
    let (one, two, whole) = (between(0, middle).await, between(middle, end).await, between(0, end).await);
    assert_eq!(sum(one, two), whole);
    let state = folded(app, &seen).await;
    let ends = differences(&Value::Null, &state.unwrap_or_default())
        .into_iter()
        .map(|change| (change.path, (value(&change.old_value), value(&change.new_value))));
    assert_eq!(whole, ends.collect::<Changes>());
    let history = get(format!("/audit/admin/{id}/history?to={end}&limit=1000")).await.ok();
    let steps = items(&history).iter().map(changes).fold(Changes::new(), sum);
    assert_eq!(steps, whole);
}

on_both_stores! {
    async fn past_states_are_the_fold_of_the_events_until_then(database) {
        let app = App::open(&database).await;
        let token = narrowed(&app, "o0").await;
        let case = async |acts: Vec<Act>| {
            let start = app.head().await;
            let admins = play(&app, &acts).await;
            let events = app.state.node.all_events().await;
            let after = format!("/audit/events?from={}&to={}", start + 1, events.len());
            let stream = lines_of(&app, &after).await;
            assert_eq!(positions(&stream), (start + 1..=events.len() as u64).collect::<Vec<_>>());
            assert_eq!(all_pages(&app, &after, acts.len() % 7 + 1).await, stream);
            for admin in admins {
                check_admin(&app, &admin.to_string(), start, &events, None).await;
                check_admin(&app, &admin.to_string(), start, &events, Some(&token)).await;
            }
        };
        let config = Config { cases: 3, failure_persistence: None, max_shrink_iters: 10, ..Config::default() };
        let run = |acts| {
            Handle::current().block_on(case(acts));
            Ok(())
        };
        tokio::task::block_in_place(|| TestRunner::new(config).run(&acts(), run)).unwrap();
    }
}
