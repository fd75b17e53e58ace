//! Replacing an organization part by part.

use super::*;
use OrganizationEvent as Event;

fn with_parts() -> Event {
    registered_with(|profile| {
        profile.modes = vec![mode(1, "Testing", 1), mode(2, "Training", 1)];
        profile.addresses = vec![address(1, "80202", 1), address(2, "1010", 1)];
        profile.properties = BTreeMap::from([("LabId".into(), property("L1", 1)), ("Ward".into(), property("W1", 1))]);
    })
}

/// The content that leaves [`with_parts`] as it is.
fn same() -> Content {
    Content {
        modes: vec![known_mode(1, Some("Testing")), known_mode(2, None)],
        addresses: vec![known_address(1, "80202"), known_address(2, "1010")],
        properties: Some(vec![new_property("Ward", "W1"), new_property("LabId", "L1")]),
        ..content()
    }
}

#[track_caller]
fn expect(content: Content, events: Vec<Event>) {
    given([with_parts()]).when(replace(2, content)).then_expect_events(events);
}

#[test]
fn replacing_with_the_same_content_records_nothing_new() {
    expect(same(), vec![]);
    given([registered()]).when(replace(2, unchanged())).then_expect_events(vec![]);
}

#[test]
fn a_reason_alone_changes_nothing() {
    let command =
        OrganizationCommand::Replace { content: Box::new(same()), stamp: because(2, "no change"), may_end: true };
    given([with_parts()]).when(command).then_expect_events(vec![]);
}

#[test]
fn another_name_is_recorded_as_a_rename_would_be() {
    let renamed = Event::Renamed { name: "Acme CRO".into(), edition: edition(2) };
    expect(Content { name: "Acme CRO".into(), ..same() }, vec![renamed.clone()]);
    given([with_parts()]).when(rename(2, "Acme CRO")).then_expect_events(vec![renamed]);
}

#[test]
fn another_status_is_recorded_as_a_retirement_would_be() {
    let event = Event::StatusChanged { status: Status::Retired, edition: edition(2), grounds: None };
    expect(Content { status: Some(Status::Retired), ..same() }, vec![event.clone()]);
    let retire = OrganizationCommand::Retire { grounds: None, stamp: stamp(2) };
    given([with_parts()]).when(retire).then_expect_events(vec![event]);
}

#[test]
fn master_data_that_is_left_out_becomes_empty_but_for_number_type_and_status() {
    let full = registered_with(|profile| {
        profile.status = Status::Restricted;
        profile.details = Details {
            number: some("ORG-1"),
            kind: Some(code(CodeList::Kind, "SITE")),
            category: Some(code(CodeList::Category, "SITE")),
            tax_id: some("T1"),
            time_zone: some("UTC"),
            msa: Some(true),
            ..Details::default()
        };
    });
    let details = Details { number: some("ORG-1"), kind: Some(code(CodeList::Kind, "SITE")), ..Details::default() };
    let amended = Event::DetailsAmended { details: Box::new(details), edition: edition(2) };
    given([full]).when(replace(2, content())).then_expect_events(vec![amended]);
}

#[test]
fn a_study_is_kept() {
    let in_study = registered_with(|profile| profile.study_id = some("S1"));
    let (_, organization) = after(organization([in_study]), replace(2, Content::named("Other")));
    assert_eq!(organization.profile().and_then(|profile| profile.study_id.as_deref()), Some("S1"));
}

#[test]
fn parts_that_are_left_out_end_with_the_reason_of_the_whole() {
    let content = Content { modes: vec![], addresses: vec![], properties: Some(vec![]), ..content() };
    let command =
        OrganizationCommand::Replace { content: Box::new(content), stamp: because(2, "closed"), may_end: true };
    let edition = || edition_because(2, "closed");
    given([with_parts()]).when(command).then_expect_events(vec![
        Event::ModeEnded { mode_id: mode(1, "Testing", 1).id, edition: edition() },
        Event::ModeEnded { mode_id: mode(2, "Training", 1).id, edition: edition() },
        Event::AddressEnded { address_id: address(1, "", 1).id, edition: edition() },
        Event::AddressEnded { address_id: address(2, "", 1).id, edition: edition() },
        Event::PropertyEnded { name: "LabId".into(), edition: edition() },
        Event::PropertyEnded { name: "Ward".into(), edition: edition() },
    ]);
}

#[test]
fn properties_that_are_not_sent_stay() {
    expect(Content { properties: None, ..same() }, vec![]);
}

#[test]
fn known_parts_are_changed_and_new_ones_added() {
    let content = Content {
        modes: vec![known_mode(1, Some("Production")), known_mode(2, None), new_mode(3, "Testing")],
        addresses: vec![known_address(1, "80203"), known_address(2, "1010"), new_address(3, "1020")],
        properties: Some(vec![new_property("LabId", "L2"), new_property("Ward", "W1"), new_property("Zone", "Z1")]),
        ..content()
    };
    expect(
        content,
        vec![
            Event::ModeAmended { mode: mode(1, "Production", 2) },
            Event::ModeAdded { mode: mode(3, "Testing", 2) },
            Event::AddressAmended { address: address(1, "80203", 2) },
            Event::AddressAdded { address: address(3, "1020", 2) },
            Event::PropertyAmended { name: "LabId".into(), property: property("L2", 2) },
            Event::PropertyAdded { name: "Zone".into(), property: property("Z1", 2) },
        ],
    );
}

#[test]
fn a_kind_of_record_that_is_left_out_stays() {
    let filed = registered_with(|profile| {
        profile.modes = vec![Mode { entity_type: some("Contact"), ..mode(1, "Testing", 1) }];
    });
    let content = Content { modes: vec![known_mode(1, None)], ..content() };
    given([filed]).when(replace(2, content)).then_expect_events(vec![]);
}

#[test]
fn extra_values_of_an_address_belong_to_its_version() {
    let with = |value: &str, at| Address {
        properties: BTreeMap::from([("Door".into(), property(value, at))]),
        ..address(1, "80202", at)
    };
    let registered = registered_with(|profile| profile.addresses = vec![with("A", 1)]);
    let address = |properties| AddressContent { properties, ..known_address(1, "80202") };
    let content = |properties| Content { addresses: vec![address(properties)], ..content() };
    let replaced = |properties| given([registered.clone()]).when(replace(2, content(properties)));
    replaced(None).then_expect_events(vec![]);
    replaced(Some(vec![new_property("Door", "A")])).then_expect_events(vec![]);
    replaced(Some(vec![new_property("Door", "B")]))
        .then_expect_events(vec![Event::AddressAmended { address: with("B", 2) }]);
    replaced(Some(vec![])).then_expect_events(vec![Event::AddressAmended { address: super::address(1, "80202", 2) }]);
}

#[test]
fn a_part_that_the_organization_does_not_have_is_refused() {
    let content = Content {
        modes: vec![known_mode(9, Some("Testing"))],
        addresses: vec![known_address(1, "80202"), known_address(9, "1")],
        ..content()
    };
    given([with_parts()]).when(replace(2, content)).then_expect_error(invalid([
        ("modes[0].id", Problem::UnknownPart),
        ("orgAddressesDetails[1].id", Problem::UnknownPart),
    ]));
}

#[test]
fn a_part_that_has_ended_is_unknown() {
    let ended = Event::ModeEnded { mode_id: mode(1, "Testing", 1).id, edition: edition(2) };
    let content = Content { modes: vec![known_mode(1, Some("Testing"))], ..content() };
    given([registered_with(|profile| profile.modes = vec![mode(1, "Testing", 1)]), ended])
        .when(replace(3, content))
        .then_expect_error(invalid([("modes[0].id", Problem::UnknownPart)]));
}

#[test]
fn a_mode_that_an_assignment_keeps_is_not_given_to_another() {
    let content = Content { modes: vec![known_mode(1, None), known_mode(2, Some("Testing"))], ..same() };
    given([with_parts()]).when(replace(2, content)).then_expect_error(invalid([("modes[1].mode", Problem::Repeated)]));
}

#[test]
fn two_assignments_may_change_places() {
    let content = Content { modes: vec![known_mode(1, Some("Training")), known_mode(2, Some("Testing"))], ..same() };
    expect(
        content,
        vec![Event::ModeAmended { mode: mode(1, "Training", 2) }, Event::ModeAmended { mode: mode(2, "Testing", 2) }],
    );
}

#[test]
fn only_changed_parts_need_a_reason_if_reasons_are_mandatory() {
    let content = Content {
        modes: vec![known_mode(1, Some("Testing"))],
        addresses: vec![known_address(1, "80203"), known_address(2, "1010")],
        properties: Some(vec![new_property("LabId", "L2"), new_property("Ward", "W1")]),
        ..content()
    };
    let replace = |content, stamp| OrganizationCommand::Replace { content: Box::new(content), stamp, may_end: true };
    given([with_parts()]).when(replace(content.clone(), strict(2))).then_expect_error(invalid([
        // The second mode ended, which needs the reason of the whole.
        ("organization.reason", Problem::ReasonNeeded),
        ("orgAddressesDetails[0].reason", Problem::ReasonNeeded),
        ("properties[0].reason", Problem::ReasonNeeded),
    ]));
    let mut explained = content;
    explained.modes.push(known_mode(2, None));
    explained.addresses[0].remark = remark("moved");
    explained.properties = None;
    given([with_parts()]).when(replace(explained, strict(2))).then_expect_events(vec![Event::AddressAmended {
        address: Address { edition: edition_because(2, "moved"), ..address(1, "80203", 2) },
    }]);
}

#[test]
fn callers_who_may_not_end_organizations_neither_retire_nor_reactivate_them() {
    let replace = |status| {
        let content = Box::new(Content { status: Some(status), ..same() });
        OrganizationCommand::Replace { content, stamp: stamp(3), may_end: false }
    };
    let retired = Event::StatusChanged { status: Status::Retired, edition: edition(2), grounds: None };
    let refused = Err(OrganizationError::EndNotAllowed);
    assert_eq!(organization([with_parts()]).decide(replace(Status::Retired)), refused);
    assert_eq!(organization([with_parts(), retired.clone()]).decide(replace(Status::Active)), refused);
    assert_eq!(organization([with_parts(), retired.clone()]).decide(replace(Status::Restricted)), refused);
    // An unchanged status ends nothing, and other statuses are free.
    assert_eq!(organization([with_parts(), retired]).decide(replace(Status::Retired)), Ok(vec![]));
    let restricted = organization([with_parts()]).decide(replace(Status::Restricted));
    assert!(restricted.is_ok_and(|events| events.len() == 1));
}
