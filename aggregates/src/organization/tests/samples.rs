//! The largest event of every type.

use super::*;
use crate::samples::Samples;
use crate::values::ThemeId;

fn full_edition() -> Edition {
    Edition { start: second(2), reason: some("asked for"), comment: some("none") }
}

fn full_property() -> Property {
    Property { value: "2A5E".into(), entity_type: some("INSTITUTION"), edition: full_edition() }
}

fn full_mode() -> Mode {
    Mode { entity_type: some("Contact"), edition: full_edition(), ..mode(1, "Testing", 1) }
}

fn full_address() -> Address {
    Address {
        details: AddressDetails {
            kind: Some(code(CodeList::AddressKind, "Primary")),
            street1: some("1 Main Street"),
            street2: some("Floor 2"),
            city: some("Denver"),
            postal_code: "80202".into(),
            region: Some(code(CodeList::Region, "Colorado")),
            country: Some(code(CodeList::Country, "USA")),
            main_primary: true,
            entity_type: some("Contact"),
        },
        properties: BTreeMap::from([("labId".into(), full_property())]),
        edition: full_edition(),
        ..address(1, "80202", 1)
    }
}

fn full_details() -> Details {
    Details {
        number: some("ORG-12345"),
        kind: Some(code(CodeList::Kind, "SITE")),
        category: Some(code(CodeList::Category, "SITE")),
        sub_type: Some(code(CodeList::SubType, "LAB")),
        time_zone: some("America/New_York"),
        tax_id: some("TAX-12345"),
        vat_id: some("VAT-67890"),
        web_url: some("https://acme.example.com"),
        msa: Some(true),
        msa_start: Some(second(1)),
        msa_end: Some(second(2)),
    }
}

fn full_tenancy() -> Tenancy {
    Tenancy {
        handle: some("acme"),
        authorization: Authorization::Restricted,
        classification: Some(crate::user::Classification::Customer),
        provider_type: some("clinic"),
        theme_id: Some(ThemeId(Uuid::from_u128(1))),
        sign_in_url: some("https://acme.example.com/sign-in"),
    }
}

impl Samples for OrganizationEvent {
    fn samples() -> Vec<Self> {
        use OrganizationEvent as Event;
        let edition = full_edition;
        let name = || "labId".to_owned();
        vec![
            Event::Registered(Box::new(Profile {
                details: full_details(),
                edition: edition(),
                modes: vec![full_mode()],
                addresses: vec![full_address()],
                properties: BTreeMap::from([(name(), full_property())]),
                study_id: some("S1"),
                features: vec!["F1".into()],
                themes: vec!["T1".into()],
                tenancy: full_tenancy(),
                ..profile()
            })),
            Event::Renamed { name: "Acme CRO".into(), edition: edition() },
            Event::StatusChanged { status: Status::Retired, edition: edition(), grounds: some("merged") },
            Event::DetailsAmended { details: Box::new(full_details()), edition: edition() },
            Event::ModeAdded { mode: full_mode() },
            Event::ModeAmended { mode: full_mode() },
            Event::ModeEnded { mode_id: full_mode().id, edition: edition() },
            Event::AddressAdded { address: full_address() },
            Event::AddressAmended { address: full_address() },
            Event::AddressEnded { address_id: full_address().id, edition: edition() },
            Event::PropertyAdded { name: name(), property: full_property() },
            Event::PropertyAmended { name: name(), property: full_property() },
            Event::PropertyEnded { name: name(), edition: edition() },
            Event::Archived { edition: edition() },
            Event::Restored { edition: edition() },
            Event::StudyAssigned { study_id: "S1".into(), edition: edition() },
            Event::StudyReleased { edition: edition() },
            Event::ReferencesAmended { features: vec!["F1".into()], themes: vec!["T1".into()], edition: edition() },
            Event::TenancyAmended {
                former_handle: some("acme"),
                tenancy: Box::new(full_tenancy()),
                edition: edition(),
            },
            Event::Deleted { handle: some("acme"), edition: edition() },
        ]
    }
}

#[test]
fn every_event_tells_the_reason_and_the_comment_that_it_was_given() {
    use crate::EventFacts;
    for event in OrganizationEvent::samples() {
        assert_eq!((event.reason(), event.comment()), (Some("asked for"), Some("none")), "{event:?}");
    }
}

#[test]
fn a_snapshot_gives_back_the_state_it_was_taken_of() {
    let full = OrganizationEvent::samples();
    let states = [
        organization([]),
        organization([registered()]),
        organization(full[..5].to_vec()),
        organization([full[0].clone(), full[19].clone()]),
    ];
    for state in states {
        let snapshot = serde_json::to_value(&state).expect("JSON");
        assert_eq!(serde_json::from_value::<Organization>(snapshot).expect("its own shape"), state);
    }
}

#[test]
fn events_that_come_before_any_registration_leave_the_organization_absent() {
    assert_eq!(organization(OrganizationEvent::samples().into_iter().skip(1)), Organization::Absent);
}

#[test]
fn later_events_leave_a_deleted_organization_deleted() {
    let deleted = OrganizationEvent::Deleted { handle: None, edition: edition(2) };
    let later = [registered(), deleted].into_iter().chain(OrganizationEvent::samples());
    assert_eq!(organization(later), Organization::Deleted);
}
