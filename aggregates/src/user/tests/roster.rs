use super::{organization, user};
use crate::samples::Samples;
use crate::user::roster::{Roster, RosterCommand, RosterError, RosterEvent, stream};
use cqrs_es::test::{AggregateTestExecutor, TestFramework};

impl Samples for RosterEvent {
    fn samples() -> Vec<Self> {
        vec![added(1), removed(1)]
    }
}

fn given(events: impl IntoIterator<Item = RosterEvent>) -> AggregateTestExecutor<Roster> {
    TestFramework::with(()).given(events.into_iter().collect())
}

fn added(number: u128) -> RosterEvent {
    RosterEvent::Added { user_id: user(number) }
}

fn removed(number: u128) -> RosterEvent {
    RosterEvent::Removed { user_id: user(number) }
}

#[test]
fn the_last_admin_cannot_be_removed_from_a_roster() {
    given([]).when(RosterCommand::Add(user(1))).then_expect_events(vec![added(1)]);
    given([added(1)]).when(RosterCommand::Add(user(1))).then_expect_events(vec![]);
    given([added(1)]).when(RosterCommand::Remove(user(1))).then_expect_error(RosterError::LastAdmin);
    given([added(1), added(2)]).when(RosterCommand::Remove(user(1))).then_expect_events(vec![removed(1)]);
    given([added(1), added(2), removed(1)])
        .when(RosterCommand::Remove(user(2)))
        .then_expect_error(RosterError::LastAdmin);
}

#[test]
fn removing_a_user_who_is_not_on_the_roster_records_nothing() {
    given([]).when(RosterCommand::Remove(user(1))).then_expect_events(vec![]);
    given([added(1)]).when(RosterCommand::Remove(user(2))).then_expect_events(vec![]);
}

#[test]
fn every_organization_and_the_system_have_their_own() {
    assert_eq!(stream(None), "system");
    assert_ne!(stream(Some(organization(1))), stream(Some(organization(2))));
}
