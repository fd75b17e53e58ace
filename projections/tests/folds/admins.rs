//! The admins: each event, and the keys for finding and sorting a document.

use crate::given::*;
use registrar_aggregates::access_token::AccessTokenEvent;
use registrar_aggregates::admin::AdminEvent::{self, *};
use registrar_aggregates::admin::{Person, Registration};
use registrar_aggregates::audit_access::AuditAccessEvent;
use registrar_aggregates::values::AdminId;
use registrar_projections::admins::AuditInfo;
use registrar_projections::collection::{KEY_LENGTH_MAX, SEPARATOR};
use registrar_projections::{AdminDocument, Document, DocumentKey, FoldError, KeyValue, WorkingSet};
use serde_json::{Value, json};

fn first() -> AdminEvent {
    registered(full_registration())
}

fn stamps(created: u64, updated: u64) -> AuditInfo {
    AuditInfo {
        created_at: time(created),
        created_by: format!("actor-{created}"),
        updated_at: time(updated),
        updated_by: format!("actor-{updated}"),
    }
}

/// Checks that an event changes the document as `change` does, besides version and stamps.
fn changes(event: AdminEvent, change: impl FnOnce(&mut AdminDocument)) {
    let mut expected = given([first()]).admin();
    expected.version = 2;
    expected.audit_info = stamps(1, 2);
    change(&mut expected);
    assert_eq!(given([first(), event]).admin(), expected);
}

fn ids<T>(entries: &[T], id: impl Fn(&T) -> uuid::Uuid) -> Vec<u128> {
    entries.iter().map(|entry| id(entry).as_u128() % 100).collect()
}

#[test]
fn a_registered_admin_has_a_document_of_everything_but_the_secret() {
    let Registration { policies, custom_permissions, person, addresses, phone_numbers, .. } = full_registration();
    let document = given([first()]).admin();
    assert_eq!((document.id.0, document.person_id.0, document.party_id.0), (ADMIN, PERSON, PARTY));
    assert_eq!((&document.policies, &document.custom_permissions), (&policies, &custom_permissions));
    assert_eq!((&document.person, document.legacy_identifier.as_deref()), (&person, Some("L1")));
    assert_eq!((document.active, document.active_changed_at, document.version), (true, time(1), 1));
    let details: Vec<_> = document.addresses.iter().map(|address| (address.id, address.details.clone())).collect();
    assert_eq!(details, addresses.into_iter().map(|address| (address.id, address.details)).collect::<Vec<_>>());
    assert!(document.addresses.iter().all(|address| address.audit_info == stamps(1, 1)));
    assert_eq!((&document.phone_numbers, &document.audit_info), (&phone_numbers, &stamps(1, 1)));
    assert_eq!(document.account.as_ref().map(|account| account.email.as_str()), Some("Ada@Example.org"));
    assert!(!serde_json::to_string(&document).expect("JSON").contains("argon2id"));
}

#[test]
fn a_registration_without_options_leaves_them_out() {
    let document = given([registered(registration())]).admin();
    let body = serde_json::to_value(&document).expect("JSON");
    for absent in ["account", "legacyIdentifier"] {
        assert_eq!(body.get(absent), None, "{absent}");
    }
    assert_eq!(
        (&body["policies"], &body["addresses"], &body["person"]["emailAddress"]),
        (&json!([]), &json!([]), &Value::Null)
    );
}

#[test]
fn amended_grants_replace_the_former() {
    let (policies, custom_permissions) = (texts(&["p3"]), texts(&[]));
    changes(GrantsAmended { policies: policies.clone(), custom_permissions: vec![] }, |document| {
        (document.policies, document.custom_permissions) = (policies, custom_permissions);
    });
}

#[test]
fn an_amended_person_replaces_the_former() {
    let person = Person { first_name: "Augusta".into(), ..ada() };
    changes(PersonAmended { person: person.clone() }, |document| document.person = person);
}

#[test]
fn an_amended_party_replaces_the_legacy_identifier() {
    changes(PartyAmended { legacy_identifier: None }, |document| document.legacy_identifier = None);
    let legacy_identifier = Some("L2".to_owned());
    changes(PartyAmended { legacy_identifier: legacy_identifier.clone() }, |document| {
        document.legacy_identifier = legacy_identifier
    });
}

#[test]
fn an_added_address_stands_at_its_place_with_stamps_of_its_own() {
    for (index, order) in [(0, [3, 1, 2]), (1, [1, 3, 2]), (2, [1, 2, 3]), (9, [1, 2, 3])] {
        let document = given([first(), AddressAdded { address: address(3), index }]).admin();
        assert_eq!(ids(&document.addresses, |address| address.id.0), order);
        for address in &document.addresses {
            let at = if address.id.0.as_u128() == 103 { 2 } else { 1 };
            assert_eq!(address.audit_info, stamps(at, at));
        }
    }
}

#[test]
fn an_amended_address_keeps_its_place_and_creation() {
    let mut amended = address(1);
    amended.details.city = Some("Paris".into());
    changes(AddressAmended { address: amended.clone() }, |document| {
        document.addresses[0].details = amended.details;
        document.addresses[0].audit_info = stamps(1, 2);
    });
}

#[test]
fn a_removed_address_is_gone_and_the_others_keep_their_order() {
    changes(AddressRemoved { address_id: address(1).id }, |document| drop(document.addresses.remove(0)));
}

#[test]
fn an_added_phone_number_stands_at_its_place() {
    for (index, order) in [(0, [3, 1, 2]), (1, [1, 3, 2]), (2, [1, 2, 3]), (9, [1, 2, 3])] {
        let document = given([first(), PhoneNumberAdded { phone_number: phone_number(3), index }]).admin();
        assert_eq!(ids(&document.phone_numbers, |number| number.id.0), order);
    }
}

#[test]
fn an_amended_phone_number_keeps_its_place() {
    let mut amended = phone_number(1);
    amended.details.extension = Some("7".into());
    changes(PhoneNumberAmended { phone_number: amended.clone() }, |document| document.phone_numbers[0] = amended);
}

#[test]
fn a_removed_phone_number_is_gone() {
    changes(PhoneNumberRemoved { phone_number_id: phone_number(2).id }, |document| drop(document.phone_numbers.pop()));
}

#[test]
fn deactivation_and_activation_are_stamped() {
    changes(Deactivated {}, |document| {
        (document.active, document.active_changed_at, document.epoch) = (false, time(2), 1);
    });
    let again = given([first(), Deactivated {}, Activated {}]).admin();
    assert_eq!((again.active, again.active_changed_at, again.version), (true, time(3), 3));
    assert_eq!(again.audit_info, stamps(1, 3));
}

#[test]
fn events_of_others_leave_the_admins_alone() {
    let mut recorder = Recorder::default();
    let admin = recorder.record(&ADMIN.to_string(), first());
    let read = AuditAccessEvent::TrailRead { trail: "t".into(), filters: Default::default() };
    let issued = AccessTokenEvent::Issued {
        admin_id: AdminId(ADMIN),
        expires_at: time(9),
        organization_id: None,
        permissions: None,
    };
    let id = ADMIN.to_string();
    let others = [recorder.record(&id, read), recorder.record(&id, issued)];
    assert_eq!(history([admin].into_iter().chain(others)).admin(), given([first()]).admin());
}

#[test]
fn a_change_of_an_admin_without_a_document_cannot_be_folded() {
    let event = Recorder::default().record(&ADMIN.to_string(), Activated {});
    let error = fold(&[event], &mut WorkingSet::default());
    assert_eq!(error, Err(FoldError::Missing(DocumentKey::of::<AdminDocument>(ADMIN.to_string()))));
}

#[test]
fn a_second_registration_under_one_identifier_cannot_be_folded() {
    let mut recorder = Recorder::default();
    let twice = [(); 2].map(|()| recorder.record(&ADMIN.to_string(), first()));
    let error = fold(&twice, &mut WorkingSet::default());
    assert_eq!(error, Err(FoldError::Exists(DocumentKey::of::<AdminDocument>(ADMIN.to_string()))));
}

fn keys(change: impl FnOnce(&mut Person)) -> Vec<KeyValue> {
    let mut registration = full_registration();
    change(&mut registration.person);
    given([registered(registration)]).admin().keys()
}

#[test]
fn keys_stand_in_the_order_in_which_they_are_declared() {
    let names: Vec<_> = AdminDocument::COLLECTION.keys.iter().map(|key| key.name).collect();
    assert_eq!(names, ["person_id", "name", "search", "policies"]);
    let keys = keys(|_| {});
    assert_eq!(keys[0], KeyValue::Text(PERSON.to_string()));
    assert_eq!(keys[1], KeyValue::Text(format!("ada{SEPARATOR}lovelace")));
    assert_eq!(keys[2], KeyValue::Text(format!("ada lovelace{SEPARATOR}ada@example.org")));
    assert_eq!(keys[3], KeyValue::Texts(texts(&["p1", "p2"])));
}

#[test]
fn names_are_sorted_and_searched_in_their_folded_form() {
    let keys = keys(|person| {
        (person.first_name, person.last_name, person.email_address) = ("STRASSE".into(), "ÅNGSTRÖM".into(), None);
    });
    assert_eq!(keys[1], KeyValue::Text(format!("strasse{SEPARATOR}ångström")));
    assert_eq!(keys[2], KeyValue::Text(format!("strasse ångström{SEPARATOR}")));
}

#[test]
fn a_long_name_is_sorted_by_its_beginning_and_searched_whole() {
    let keys = keys(|person| person.first_name = "ä".repeat(400));
    let KeyValue::Text(name) = &keys[1] else { panic!("{:?}", keys[1]) };
    assert_eq!(name.len(), KEY_LENGTH_MAX);
    let KeyValue::Text(search) = &keys[2] else { panic!("{:?}", keys[2]) };
    assert!(search.starts_with(&"ä".repeat(400)));
}

/// All events of an admin, in a possible order.
fn everything() -> Vec<AdminEvent> {
    let mut amended = address(3);
    amended.details.city = Some("Paris".into());
    vec![
        first(),
        GrantsAmended { policies: texts(&["p2"]), custom_permissions: texts(&["c1", "c2"]) },
        PersonAmended { person: Person { first_name: "Augusta".into(), ..ada() } },
        PartyAmended { legacy_identifier: Some("L2".into()) },
        AddressAdded { address: address(3), index: 1 },
        AddressAmended { address: amended },
        AddressRemoved { address_id: address(1).id },
        PhoneNumberAdded { phone_number: phone_number(3), index: 0 },
        PhoneNumberAmended { phone_number: phone_number(3) },
        PhoneNumberRemoved { phone_number_id: phone_number(2).id },
        Deactivated {},
        Activated {},
    ]
}

#[test]
fn folding_one_by_one_through_a_store_gives_the_same_bytes_as_at_once() {
    let mut recorder = Recorder::default();
    let events: Vec<_> = everything().into_iter().map(|event| recorder.record(&ADMIN.to_string(), event)).collect();
    let mut stored: std::collections::BTreeMap<DocumentKey, String> = Default::default();
    for event in &events {
        let mut documents = WorkingSet::default();
        for key in registrar_projections::wants(event) {
            let body = stored.get(&key).map(|body| serde_json::from_str(body).expect("JSON"));
            let document = body.map(|body| registrar_projections::AnyDocument::from_body(key.collection, body));
            documents.provide(key, document.map(|document| document.expect("its shape").into()));
        }
        registrar_projections::fold(event, &mut documents).expect("the events fit");
        for change in documents.changes() {
            stored.insert(change.key, change.after.expect("nothing is deleted").to_body().expect("JSON").to_string());
        }
    }
    let mut at_once: std::collections::BTreeMap<DocumentKey, String> = Default::default();
    for change in history(events).0.changes() {
        at_once.insert(change.key, change.after.expect("nothing is deleted").to_body().expect("JSON").to_string());
    }
    assert_eq!(stored, at_once);
}
