//! Commands about the organization as a whole.

use super::*;
use OrganizationCommand::{Archive, Delete, Refer, ReleaseStudy, Restore, Retire};
use OrganizationEvent as Event;

fn retire(at: i64, grounds: Option<&str>) -> OrganizationCommand {
    Retire { grounds: grounds.map(str::to_owned), stamp: stamp(at) }
}

fn refer(at: i64, feature: &str) -> OrganizationCommand {
    Refer { features: vec![feature.into()], themes: vec![], stamp: stamp(at) }
}

fn retired(at: i64) -> Event {
    Event::StatusChanged { status: Status::Retired, edition: edition(at), grounds: None }
}

/// Every command but a registration.
fn commands(stamp: &Stamp) -> Vec<OrganizationCommand> {
    let stamp = || stamp.clone();
    vec![
        OrganizationCommand::Rename { name: "Other".into(), stamp: stamp() },
        OrganizationCommand::Replace { content: Box::new(Content::named("Other")), stamp: stamp(), may_end: true },
        Retire { grounds: None, stamp: stamp() },
        Archive(stamp()),
        OrganizationCommand::AssignStudy { study_id: "S1".into(), stamp: stamp() },
        Refer { features: vec!["F1".into()], themes: vec![], stamp: stamp() },
        Delete(stamp()),
    ]
}

#[test]
fn an_organization_is_renamed() {
    let renamed = Event::Renamed { name: "Acme CRO".into(), edition: edition(2) };
    given([registered()]).when(rename(2, "Acme CRO")).then_expect_events(vec![renamed.clone()]);
    let name = organization([registered(), renamed]).profile().map(|profile| profile.name.clone());
    assert_eq!(name.as_deref(), Some("Acme CRO"));
}

#[test]
fn the_same_name_again_records_nothing_new() {
    given([registered()]).when(rename(2, "Acme")).then_expect_events(vec![]);
}

#[test]
fn a_blank_or_endless_name_is_refused() {
    given([registered()]).when(rename(2, " ")).then_expect_error(invalid([("organization.name", Problem::Blank)]));
    given([registered()])
        .when(rename(2, &"n".repeat(501)))
        .then_expect_error(invalid([("organization.name", Problem::TooLong { max: 500 })]));
}

#[test]
fn names_need_not_be_unique_but_handles_must() {
    use crate::{Claim, ClaimKey, EventFacts, samples::Samples};
    let acme = || ClaimKey::organization_handle("ACME");
    let claims: Vec<_> = OrganizationEvent::samples().iter().flat_map(EventFacts::claims).collect();
    assert_eq!(claims, [Claim::Take(acme()), Claim::Release(acme())]);
    let renamed = |handle: &str| {
        let tenancy = Tenancy { handle: some(handle), ..Tenancy::default() };
        Event::TenancyAmended { former_handle: some("acme"), tenancy: Box::new(tenancy), edition: edition(2) }.claims()
    };
    assert_eq!(renamed("Nadir"), [Claim::Release(acme()), Claim::Take(ClaimKey::organization_handle("nadir"))]);
    assert_eq!(renamed("Acme"), []);
    assert_eq!(registered().claims(), []);
}

#[test]
fn an_organization_is_retired_with_its_grounds() {
    let event = Event::StatusChanged { status: Status::Retired, edition: edition(2), grounds: some("merged") };
    given([registered()]).when(retire(2, Some("merged"))).then_expect_events(vec![event]);
}

#[test]
fn retiring_twice_records_nothing_new() {
    given([registered(), retired(2)]).when(retire(3, None)).then_expect_events(vec![]);
}

#[test]
fn an_organization_is_put_away_and_taken_out_once_each() {
    let (archived, restored) = (Event::Archived { edition: edition(2) }, Event::Restored { edition: edition(3) });
    given([registered()]).when(Restore(stamp(2))).then_expect_events(vec![]);
    given([registered()]).when(Archive(stamp(2))).then_expect_events(vec![archived.clone()]);
    given([registered(), archived.clone()]).when(Archive(stamp(3))).then_expect_events(vec![]);
    given([registered(), archived.clone()]).when(Restore(stamp(3))).then_expect_events(vec![restored.clone()]);
    assert!(organization([registered(), archived.clone()]).profile().is_some_and(|profile| profile.archived));
    assert!(organization([registered(), archived, restored]).profile().is_some_and(|profile| !profile.archived));
}

#[test]
fn references_are_set_as_a_whole() {
    let event = Event::ReferencesAmended { features: vec!["F1".into()], themes: vec![], edition: edition(2) };
    given([registered()]).when(refer(2, "F1")).then_expect_events(vec![event.clone()]);
    given([registered(), event]).when(refer(3, "F1")).then_expect_events(vec![]);
}

#[test]
fn a_deleted_organization_is_not_found() {
    let deleted = Event::Deleted { handle: None, edition: edition(2) };
    given([registered()]).when(Delete(stamp(2))).then_expect_events(vec![deleted.clone()]);
    for command in commands(&stamp(3)).into_iter().chain([Restore(stamp(3)), ReleaseStudy(stamp(3))]) {
        given([registered(), deleted.clone()]).when(command).then_expect_error(OrganizationError::NotFound);
    }
}

#[test]
fn an_organization_that_was_never_registered_is_not_found() {
    for command in commands(&stamp(1)) {
        given([]).when(command).then_expect_error(OrganizationError::NotFound);
    }
}

#[test]
fn every_change_needs_a_reason_if_reasons_are_mandatory() {
    for command in commands(&strict(2)) {
        let refusal = organization([registered()]).decide(command.clone());
        let Err(OrganizationError::Invalid(findings)) = refusal else { panic!("{command:?} was not refused") };
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].field.ends_with("reason") && findings[0].problem == Problem::ReasonNeeded);
    }
    for command in commands(&Stamp { remark: remark("asked for"), ..strict(2) }) {
        let events = organization([registered()]).decide(command).expect("with a reason");
        assert!(events.iter().all(|event| *event.edition() == edition_because(2, "asked for")));
    }
}

#[test]
fn a_command_without_effect_needs_no_reason() {
    let rename = OrganizationCommand::Rename { name: "Acme".into(), stamp: strict(2) };
    given([registered()]).when(rename).then_expect_events(vec![]);
}

#[test]
fn reasons_and_comments_have_their_limits() {
    let remark = Remark { reason: Some("r".repeat(256)), comment: Some("c".repeat(2049)) };
    let refusal = invalid([("reason", Problem::TooLong { max: 255 }), ("comment", Problem::TooLong { max: 2048 })]);
    given([registered()]).when(Delete(Stamp { remark, ..stamp(2) })).then_expect_error(refusal);
}

#[test]
fn retired_deleted_and_absent_organizations_take_no_additions() {
    let retired = || Event::StatusChanged { status: Status::Retired, edition: edition(2), grounds: None };
    assert_eq!(organization([registered()]).check_takes_additions(), Ok(()));
    assert_eq!(organization([registered(), retired()]).check_takes_additions(), Err(OrganizationError::Retired));
    let active = Event::StatusChanged { status: Status::Active, edition: edition(3), grounds: None };
    assert_eq!(organization([registered(), retired(), active]).check_takes_additions(), Ok(()));
    let deleted = || Event::Deleted { handle: None, edition: edition(3) };
    assert_eq!(organization([registered(), deleted()]).check_takes_additions(), Err(OrganizationError::NotFound));
    assert_eq!(Organization::Absent.check_takes_additions(), Err(OrganizationError::NotFound));
}
