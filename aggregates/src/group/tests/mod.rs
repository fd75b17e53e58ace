//! Given, when, then for the tree of groups and for the people in it.

mod node;
mod placement;
mod samples;
mod staffing;
mod tree;

use super::*;
use cqrs_es::Aggregate;
use cqrs_es::test::{AggregateTestExecutor, TestFramework};

fn given<A>(events: impl IntoIterator<Item = A::Event>) -> AggregateTestExecutor<A>
where
    A: Aggregate<Services = ()>,
{
    TestFramework::with(()).given(events.into_iter().collect())
}

/// The state that `events` lead to.
fn state<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> A {
    let mut state = A::default();
    events.into_iter().for_each(|event| state.apply(event));
    state
}

fn organization() -> OrganizationId {
    OrganizationId(Uuid::from_u128(0xA))
}

/// A group known only by its number.
fn group(number: u128) -> GroupId {
    GroupId(Uuid::from_u128(number))
}

fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}
