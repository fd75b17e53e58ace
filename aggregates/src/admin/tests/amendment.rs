//! Rules for amendments of any kind.

use super::*;
use AdminChange::{Addresses, LegacyIdentifier, PersonText as Text, PhoneNumbers, Policies};

fn first_name(name: &str) -> AdminChange {
    Text(PersonText::FirstName, some(name))
}

#[test]
fn an_amendment_without_steps_records_nothing() {
    given([registered()]).when(amend([])).then_expect_events(vec![]);
}

#[test]
fn an_unknown_admin_cannot_be_amended() {
    given([]).when(amend([first_name("Grace")])).then_expect_error(AdminError::NotFound);
}

#[test]
fn an_empty_amendment_of_an_unknown_admin_is_refused() {
    given([]).when(amend([])).then_expect_error(AdminError::NotFound);
}

#[test]
fn a_refused_step_undoes_earlier_steps_and_hides_later_findings() {
    given([registered()])
        .when(amend([first_name("Grace"), LegacyIdentifier(some("\0")), first_name(" ")]))
        .then_expect_error(unfit(1, Problem::Nul));
}

#[test]
fn a_refusal_names_the_step_and_the_problem() {
    let refusal = misplaced(2, none_there(3));
    assert_eq!(refusal.to_string(), "step 2: names no existing element (the list has 3)");
}

#[test]
fn each_record_touched_has_one_event_in_a_settled_order() {
    let before = registered_with(|r| {
        r.addresses = vec![address(1), address(2)];
        r.phone_numbers = vec![phone_number(1), phone_number(2)];
    });
    given([before])
        .when(amend([
            PhoneNumbers(PhoneNumberEdit::Insert { at: None, phone_number: phone_number(3) }),
            PhoneNumbers(PhoneNumberEdit::Remove { at: 0 }),
            PhoneNumbers(PhoneNumberEdit::Kind { at: 0, phone_type: 2 }),
            PhoneNumbers(PhoneNumberEdit::Text { at: 0, text: PhoneNumberText::Extension, value: some("7") }),
            Addresses(AddressEdit::Insert { at: Some(0), address: Box::new(address(3)) }),
            Addresses(AddressEdit::Remove { at: 1 }),
            Addresses(AddressEdit::Kind { at: 1, address_type: 2 }),
            Addresses(AddressEdit::Text { at: 1, text: AddressText::City, value: some("London") }),
            LegacyIdentifier(some("L-1")),
            first_name("Grace"),
            Text(PersonText::LastName, some("Hopper")),
            Policies(ListEdit::Insert { at: None, entry: "p1".into() }),
            Policies(ListEdit::Insert { at: None, entry: "p2".into() }),
        ]))
        .then_expect_events(vec![
            AdminEvent::GrantsAmended { policies: texts(&["p1", "p2"]), custom_permissions: vec![] },
            AdminEvent::PersonAmended {
                person: Person { first_name: "Grace".into(), last_name: "Hopper".into(), ..registration().person },
            },
            AdminEvent::PartyAmended { legacy_identifier: some("L-1") },
            AdminEvent::AddressRemoved { address_id: address(1).id },
            AdminEvent::AddressAdded { address: address(3), index: 0 },
            AdminEvent::AddressAmended {
                address: address_with(2, |a| {
                    a.address_type = 2;
                    a.city = some("London");
                }),
            },
            AdminEvent::PhoneNumberRemoved { phone_number_id: phone_number(1).id },
            AdminEvent::PhoneNumberAmended {
                phone_number: phone_number_with(2, |n| {
                    n.phone_type = 2;
                    n.extension = some("7");
                }),
            },
            AdminEvent::PhoneNumberAdded { phone_number: phone_number(3), index: 1 },
        ]);
}

#[test]
fn the_same_amendment_again_records_nothing() {
    let change = || amend([first_name("Grace"), LegacyIdentifier(some("L-1"))]);
    let mut events = vec![registered()];
    events.extend(given(events.clone()).when(change()).inspect_result().expect("accepted"));
    given(events).when(change()).then_expect_events(vec![]);
}

#[test]
fn only_a_registration_claims_anything() {
    use crate::facts::EventFacts;
    let before = registered_with(|r| {
        r.account = Some(account());
        r.addresses = vec![address(1)];
    });
    let events = given([before])
        .when(amend([
            Text(PersonText::EmailAddress, some("other@example.org")),
            Addresses(AddressEdit::Replace { at: 0, address: Box::new(address(2)) }),
        ]))
        .inspect_result()
        .expect("accepted");
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event.claims().is_empty()));
}
