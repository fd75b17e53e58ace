use super::*;

#[test]
fn a_name_is_all_that_is_needed() {
    given([]).when(register(content())).then_expect_events(vec![registered()]);
}

#[test]
fn everything_that_is_given_is_registered() {
    let content = Content {
        status: Some(Status::Restricted),
        details: Details { number: some("ORG-1"), kind: Some(code(CodeList::Kind, "SITE")), ..Details::default() },
        modes: vec![new_mode(1, "Testing")],
        addresses: vec![new_address(1, "80202")],
        properties: Some(vec![new_property("LabId", "L1")]),
        ..content()
    };
    let expected = registered_with(|profile| {
        profile.status = Status::Restricted;
        profile.details.number = some("ORG-1");
        profile.details.kind = Some(code(CodeList::Kind, "SITE"));
        profile.modes = vec![mode(1, "Testing", 1)];
        profile.addresses = vec![address(1, "80202", 1)];
        profile.properties = BTreeMap::from([("LabId".into(), property("L1", 1))]);
    });
    given([]).when(register(content)).then_expect_events(vec![expected]);
}

#[test]
fn parts_inherit_the_reason_of_the_whole_unless_they_have_their_own() {
    let content = Content {
        modes: vec![new_mode(1, "Testing"), ModeContent { remark: remark("own"), ..new_mode(2, "Training") }],
        ..content()
    };
    let command = OrganizationCommand::Register { id: ID, content: Box::new(content), stamp: because(1, "whole") };
    let expected = registered_with(|profile| {
        profile.edition = edition_because(1, "whole");
        profile.modes = vec![
            Mode { edition: edition_because(1, "whole"), ..mode(1, "Testing", 1) },
            Mode { edition: edition_because(1, "own"), ..mode(2, "Training", 1) },
        ];
    });
    given([]).when(command).then_expect_events(vec![expected]);
}

#[test]
fn an_organization_is_registered_once() {
    given([registered()]).when(register(content())).then_expect_error(OrganizationError::AlreadyRegistered);
}

#[test]
fn the_identifier_of_a_deleted_organization_is_not_given_again() {
    given([registered(), OrganizationEvent::Deleted { handle: None, edition: edition(2) }])
        .when(register(content()))
        .then_expect_error(OrganizationError::AlreadyRegistered);
}

#[test]
fn a_new_organization_has_no_known_parts() {
    let content = Content {
        modes: vec![known_mode(1, Some("Testing"))],
        addresses: vec![known_address(1, "80202")],
        ..content()
    };
    given([]).when(register(content)).then_expect_error(invalid([
        ("modes[0].id", Problem::UnknownPart),
        ("orgAddressesDetails[0].id", Problem::UnknownPart),
    ]));
}

#[test]
fn every_part_of_a_registration_needs_a_reason_if_reasons_are_mandatory() {
    let content = Content { modes: vec![new_mode(1, "Testing")], ..content() };
    let register = |stamp| OrganizationCommand::Register { id: ID, content: Box::new(content.clone()), stamp };
    given([]).when(register(strict(1))).then_expect_error(invalid([
        ("modes[0].reason", Problem::ReasonNeeded),
        ("organization.reason", Problem::ReasonNeeded),
    ]));
    assert!(organization([]).decide(register(Stamp { remark: remark("new"), ..strict(1) })).is_ok());
    assert!(organization([]).decide(register(Stamp { remark: remark(" "), ..strict(1) })).is_err());
}
