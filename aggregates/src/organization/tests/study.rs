//! Changes that an active study forbids.

use super::*;
use OrganizationCommand::{AssignStudy, Delete, ReleaseStudy, Retire};
use OrganizationEvent as Event;

fn assign(at: i64, study: &str) -> OrganizationCommand {
    AssignStudy { study_id: study.into(), stamp: stamp(at) }
}

fn assigned(at: i64) -> Event {
    Event::StudyAssigned { study_id: "S1".into(), edition: edition(at) }
}

fn in_study() -> [Event; 2] {
    let with_parts = registered_with(|profile| {
        profile.modes = vec![mode(1, "Testing", 1)];
        profile.addresses = vec![address(1, "80202", 1)];
    });
    [with_parts, assigned(2)]
}

fn kept() -> Content {
    Content { modes: vec![known_mode(1, None)], addresses: vec![known_address(1, "80202")], ..content() }
}

#[test]
fn a_study_is_assigned_and_released_once_each() {
    given([registered()]).when(assign(2, "S1")).then_expect_events(vec![assigned(2)]);
    given([registered(), assigned(2)]).when(assign(3, "S1")).then_expect_events(vec![]);
    given([registered()]).when(ReleaseStudy(stamp(2))).then_expect_events(vec![]);
    given([registered(), assigned(2)])
        .when(ReleaseStudy(stamp(3)))
        .then_expect_events(vec![Event::StudyReleased { edition: edition(3) }]);
}

#[test]
fn an_active_study_protects_the_status_modes_and_addresses_of_its_organization() {
    for command in [
        Retire { grounds: None, stamp: stamp(3) },
        Delete(stamp(3)),
        replace(3, Content { status: Some(Status::Restricted), ..kept() }),
        replace(3, Content { modes: vec![], ..kept() }),
        replace(3, Content { modes: vec![known_mode(1, Some("Training"))], ..kept() }),
        replace(3, Content { addresses: vec![], ..kept() }),
    ] {
        given(in_study()).when(command).then_expect_error(OrganizationError::ActiveStudy);
    }
}

#[test]
fn everything_else_may_change() {
    let filed = ModeContent { entity_type: some("Contact"), ..known_mode(1, None) };
    for content in [
        Content { name: "Other".into(), ..kept() },
        Content { modes: vec![filed, new_mode(2, "Training")], ..kept() },
        Content { addresses: vec![known_address(1, "80203"), new_address(2, "1010")], ..kept() },
        Content { properties: Some(vec![new_property("a", "b")]), ..kept() },
    ] {
        assert!(organization(in_study()).decide(replace(3, content)).is_ok_and(|events| !events.is_empty()));
    }
}

#[test]
fn a_retired_organization_may_become_active_in_a_study() {
    let retired = registered_with(|profile| profile.status = Status::Retired);
    let content = Content { status: Some(Status::Active), ..content() };
    let active = Event::StatusChanged { status: Status::Active, edition: edition(3), grounds: None };
    given([retired, assigned(2)]).when(replace(3, content)).then_expect_events(vec![active]);
}

#[test]
fn after_the_study_everything_may_be_taken_away() {
    let [with_parts, assigned] = in_study();
    let released = Event::StudyReleased { edition: edition(3) };
    given([with_parts, assigned, released])
        .when(Delete(stamp(4)))
        .then_expect_events(vec![Event::Deleted { handle: None, edition: edition(4) }]);
}
