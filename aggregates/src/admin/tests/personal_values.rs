//! Sealed events and states keep no personal value.
//!
//! The largest event of every type and the largest state are filled with texts that contain `personal` wherever a text
//! can reveal something about a person. They are whole struct literals: an author who adds a member has to decide here
//! whether it is personal.

use super::*;
use crate::facts::{EventFacts, EventTypes};
use crate::samples::Samples;
use crate::{personal, values::RegionCode};
use serde_json::Value;

/// Part of every personal text and of no other.
const MARK: &str = "personal";

fn marked(kind: &str) -> String {
    format!("{MARK}-{kind}")
}

fn full_person() -> Person {
    Person {
        salutation: Some(1),
        first_name: marked("first-name"),
        last_name: marked("last-name"),
        suffix: Some(marked("suffix")),
        email_address: Some(marked("contact-address")),
    }
}

fn full_address(number: u128) -> Address {
    Address {
        id: address(number).id,
        details: AddressDetails {
            address_type: 1,
            address_line1: Some(marked("address-line-1")),
            address_line2: Some(marked("address-line-2")),
            city: Some(marked("city")),
            postal_code: Some(marked("postal-code")),
            state_province_code: Some(marked("state")),
            country_code: country("DE"),
            region_code: Some(RegionCode::Eu),
        },
    }
}

fn full_phone_number(number: u128) -> PhoneNumber {
    PhoneNumber {
        id: phone_number(number).id,
        details: PhoneNumberDetails {
            phone_type: 1,
            phone_number: Some(marked("telephone")),
            extension: Some(marked("extension")),
        },
    }
}

fn full_registration() -> Registration {
    Registration {
        id: registration().id,
        person_id: registration().person_id,
        party_id: registration().party_id,
        policies: texts(&["policy-1", "policy-2"]),
        custom_permissions: texts(&["permission-1"]),
        person: full_person(),
        legacy_identifier: Some(marked("legacy-identifier")),
        addresses: vec![full_address(1), full_address(2)],
        phone_numbers: vec![full_phone_number(1), full_phone_number(2)],
        account: Some(Account {
            id: account().id,
            email: EmailAddress::parse("personal-account@example.org").expect("well formed"),
            password_hash: marked("password-hash"),
            password_expires_at: Some(chrono::DateTime::UNIX_EPOCH),
        }),
    }
}

impl Samples for AdminEvent {
    fn samples() -> Vec<Self> {
        vec![
            AdminEvent::Registered(Box::new(full_registration())),
            AdminEvent::GrantsAmended { policies: texts(&["policy-1"]), custom_permissions: texts(&["permission-1"]) },
            AdminEvent::PersonAmended { person: full_person() },
            AdminEvent::PartyAmended { legacy_identifier: Some(marked("legacy-identifier")) },
            AdminEvent::AddressAdded { address: full_address(1), index: 1 },
            AdminEvent::AddressAmended { address: full_address(1) },
            AdminEvent::AddressRemoved { address_id: address(1).id },
            AdminEvent::PhoneNumberAdded { phone_number: full_phone_number(1), index: 1 },
            AdminEvent::PhoneNumberAmended { phone_number: full_phone_number(1) },
            AdminEvent::PhoneNumberRemoved { phone_number_id: phone_number(1).id },
            AdminEvent::PasswordChanged {
                password_hash: marked("password-hash"),
                ends_sessions: true,
                expires_at: Some(chrono::DateTime::UNIX_EPOCH),
            },
            AdminEvent::SessionsEnded {},
            AdminEvent::Activated {},
            AdminEvent::Deactivated {},
        ]
    }
}

fn full_states() -> [Admin; 2] {
    let profile = Box::new(Profile::from(full_registration()));
    [Admin::Active(profile.clone()), Admin::Inactive(profile)]
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("JSON")
}

/// Number of personal texts in `document`.
fn marks(document: &Value) -> usize {
    document.to_string().matches(MARK).count()
}

/// Removes the personal values and checks that exactly these are gone.
fn sealed<P: AsRef<str>>(mut document: Value, patterns: &[P]) -> Value {
    let (original, personal_texts) = (document.clone(), marks(&document));
    let taken = personal::take(&mut document, patterns);
    assert_eq!(marks(&document), 0, "left in the clear: {document}");
    for (pointer, value) in &taken {
        assert!(value.as_str().is_some_and(|text| text.contains(MARK)), "{pointer} took {value}");
    }
    assert_eq!(taken.len(), personal_texts);
    let mut restored = document.clone();
    personal::restore(&mut restored, taken);
    assert_eq!(restored, original);
    document
}

/// Pointers of the personal values of an event.
fn personal(event: &AdminEvent) -> Vec<String> {
    event.declared().disclosure.personal(&json(event))
}

/// An event as it is stored.
fn stored(event: &AdminEvent) -> Value {
    sealed(json(event), &personal(event))
}

#[test]
fn every_type_of_event_is_looked_at() {
    use cqrs_es::DomainEvent;
    let types: Vec<_> = AdminEvent::samples().iter().map(AdminEvent::event_type).collect();
    assert_eq!(types, AdminEvent::TYPES.iter().map(|declared| declared.name).collect::<Vec<_>>());
}

#[test]
fn sealing_an_event_takes_exactly_its_personal_values() {
    for event in AdminEvent::samples() {
        stored(&event);
    }
}

#[test]
fn sealing_a_state_takes_exactly_its_personal_values() {
    for state in full_states() {
        sealed(json(&state), Admin::PERSONAL_STATE);
    }
}

#[test]
fn every_pattern_of_the_state_finds_something_in_the_largest() {
    for state in full_states() {
        for pattern in Admin::PERSONAL_STATE {
            assert_ne!(personal::take(&mut json(&state), &[pattern]).len(), 0, "{pattern}");
        }
    }
}

#[test]
fn a_sealed_event_is_still_an_event_of_its_type() {
    for event in AdminEvent::samples() {
        let read: AdminEvent = serde_json::from_value(stored(&event)).expect("its own shape");
        assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(&event));
    }
}

#[test]
fn an_erased_event_is_still_an_event_of_its_type() {
    for event in AdminEvent::samples() {
        let mut document = stored(&event);
        personal::erase(&mut document, &personal(&event));
        assert!(!document.to_string().contains(personal::SEALED), "{document}");
        let read: AdminEvent = serde_json::from_value(document).expect("its own shape");
        assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(&event));
    }
}

#[test]
fn a_reader_without_keys_sees_placeholders_for_the_values() {
    let event = AdminEvent::Registered(Box::new(full_registration()));
    let AdminEvent::Registered(read) = serde_json::from_value(stored(&event)).expect("its own shape") else {
        unreachable!("the type is not personal")
    };
    assert_eq!(read.person.first_name, personal::SEALED);
    assert_eq!(read.account_email().map(EmailAddress::as_str), Some(personal::SEALED));
    assert_eq!(read.addresses[1].details.city.as_deref(), Some(personal::SEALED));
    assert_eq!(read.policies, full_registration().policies);
    assert_eq!(read.addresses[1].details.country_code, country("DE"));
}

#[test]
fn a_sealed_state_is_still_the_state_of_an_admin() {
    for state in full_states() {
        let read: Admin = serde_json::from_value(sealed(json(&state), Admin::PERSONAL_STATE)).expect("its own shape");
        assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(&state));
    }
}

#[test]
fn an_absent_admin_has_no_personal_values() {
    assert!(personal::take(&mut json(&Admin::Absent), Admin::PERSONAL_STATE).is_empty());
}

#[test]
fn the_password_hash_is_secret_in_every_event() {
    for event in AdminEvent::samples() {
        let mut document = json(&event);
        personal::replace(&mut document, event.secret_fields(), personal::SECRET);
        assert!(!document.to_string().contains("password-hash"), "{document}");
    }
}
