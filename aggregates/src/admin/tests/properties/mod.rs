//! Amendments of random profiles, compared with a model that applies each step to whole lists and knows no events.

mod generated;
mod model;

use super::*;
use generated::{changes, grants, profile, text};
use model::model;
use proptest::prelude::*;
use std::collections::HashSet;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn amendments_agree_with_a_naive_model(before in profile(), changes in changes()) {
        let expected = model(before.clone(), &changes);
        match (active(&before).decide(amend(changes)), expected) {
            (Ok(events), Ok(after)) => prop_assert_eq!(replayed(&before, events), after),
            (Err(AdminError::AmendmentRefused(refusal)), Err(step)) => prop_assert_eq!(refusal.step, step),
            (decision, expected) => prop_assert!(false, "decided {decision:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_events_of_an_amendment_fit_the_lists_they_are_applied_to(before in profile(), changes in changes()) {
        let Ok(events) = active(&before).decide(amend(changes)) else { return Ok(()) };
        let mut profile = before;
        for event in events {
            prop_assert_eq!(misfit(&profile, &event), None);
            let former = profile.clone();
            profile.evolve(event.clone());
            prop_assert_ne!(profile.clone(), former, "{:?} changes nothing", event);
        }
    }

    #[test]
    fn an_amendment_has_one_event_for_each_record_it_touches(before in profile(), changes in changes()) {
        let Ok(events) = active(&before).decide(amend(changes)) else { return Ok(()) };
        let touched: HashSet<_> = events.iter().map(record).collect();
        prop_assert_eq!(touched.len(), events.len(), "{:?}", events);
    }

    #[test]
    fn an_amendment_decides_alike_in_and_out_of_force(before in profile(), changes in changes()) {
        let inactive = Admin::Inactive(Box::new(before.clone()));
        prop_assert_eq!(active(&before).decide(amend(changes.clone())), inactive.decide(amend(changes)));
    }

    #[test]
    fn an_amendment_to_the_present_values_records_nothing(profile in profile()) {
        prop_assert_eq!(active(&profile).decide(amend(restatement(&profile))), Ok(vec![]));
    }

    #[test]
    fn grants_are_never_recorded_twice(before in profile(), changes in changes()) {
        let Ok(events) = active(&before).decide(amend(changes)) else { return Ok(()) };
        let after = replayed(&before, events);
        for list in [after.policies, after.custom_permissions] {
            let distinct: HashSet<_> = list.iter().collect();
            prop_assert_eq!(distinct.len(), list.len());
        }
    }

    #[test]
    fn a_registration_is_recorded_as_amendments_would_leave_it(profile in profile(), policies in grants(8), suffix in text()) {
        let brought = registration_with(|r| {
            r.policies = policies;
            r.person = Person { suffix, ..profile.person };
            r.addresses = profile.addresses;
            r.phone_numbers = profile.phone_numbers;
        });
        let Ok(events) = Admin::Absent.decide(register(brought)) else { return Ok(()) };
        let state = admin(events);
        let profile = state.profile().expect("registered");
        prop_assert_eq!(state.decide(amend(restatement(profile))), Ok(vec![]));
    }
}

#[test]
fn random_amendments_are_often_accepted_and_often_refused() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let accepted = (0..1000)
        .filter(|_| {
            let (before, changes) = (profile(), changes()).new_tree(&mut runner).expect("no filters").current();
            active(&before).decide(amend(changes)).is_ok_and(|events| !events.is_empty())
        })
        .count();
    assert!((250..750).contains(&accepted), "{accepted} of 1000 were accepted: the properties above say little");
}

fn active(profile: &Profile) -> Admin {
    Admin::Active(Box::new(profile.clone()))
}

fn replayed(before: &Profile, events: Vec<AdminEvent>) -> Profile {
    let mut profile = before.clone();
    for event in events {
        profile.evolve(event);
    }
    profile
}

/// Problem of applying `event` here, where `evolve` would silently ignore it.
fn misfit(profile: &Profile, event: &AdminEvent) -> Option<&'static str> {
    let has_address = |id| profile.addresses.iter().any(|entry| entry.id == id);
    let has_number = |id| profile.phone_numbers.iter().any(|entry| entry.id == id);
    let fits = match event {
        AdminEvent::AddressAdded { address, index } => *index <= profile.addresses.len() && !has_address(address.id),
        AdminEvent::AddressAmended { address } => has_address(address.id),
        AdminEvent::AddressRemoved { address_id } => has_address(*address_id),
        AdminEvent::PhoneNumberAdded { phone_number, index } => {
            *index <= profile.phone_numbers.len() && !has_number(phone_number.id)
        }
        AdminEvent::PhoneNumberAmended { phone_number } => has_number(phone_number.id),
        AdminEvent::PhoneNumberRemoved { phone_number_id } => has_number(*phone_number_id),
        AdminEvent::GrantsAmended { .. } | AdminEvent::PersonAmended { .. } | AdminEvent::PartyAmended { .. } => true,
        AdminEvent::Registered(_)
        | AdminEvent::PasswordChanged { .. }
        | AdminEvent::SessionsEnded {}
        | AdminEvent::Activated {}
        | AdminEvent::Deactivated {} => {
            return Some("not an amendment");
        }
    };
    (!fits).then_some("the list does not have that place or entry")
}

/// The record that an event of an amendment is about.
fn record(event: &AdminEvent) -> (&'static str, Option<Uuid>) {
    match event {
        AdminEvent::Registered(_)
        | AdminEvent::PasswordChanged { .. }
        | AdminEvent::SessionsEnded {}
        | AdminEvent::Activated {}
        | AdminEvent::Deactivated {} => ("whole", None),
        AdminEvent::GrantsAmended { .. } => ("grants", None),
        AdminEvent::PersonAmended { .. } => ("person", None),
        AdminEvent::PartyAmended { .. } => ("party", None),
        AdminEvent::AddressAdded { address, .. } | AdminEvent::AddressAmended { address } => {
            ("address", Some(address.id.0))
        }
        AdminEvent::AddressRemoved { address_id } => ("address", Some(address_id.0)),
        AdminEvent::PhoneNumberAdded { phone_number, .. } | AdminEvent::PhoneNumberAmended { phone_number } => {
            ("phone number", Some(phone_number.id.0))
        }
        AdminEvent::PhoneNumberRemoved { phone_number_id } => ("phone number", Some(phone_number_id.0)),
    }
}

/// Steps that set everything to its present value.
fn restatement(profile: &Profile) -> Vec<AdminChange> {
    use AdminChange::{
        Addresses, CustomPermissions, LegacyIdentifier, PersonText as Text, PhoneNumbers, Policies, Salutation,
    };
    let person = profile.person.clone();
    let mut steps = vec![
        Policies(ListEdit::Set([profile.policies.clone(), profile.policies.clone()].concat())),
        CustomPermissions(ListEdit::Set(profile.custom_permissions.clone())),
        Salutation(person.salutation),
        Text(PersonText::FirstName, Some(person.first_name)),
        Text(PersonText::LastName, Some(person.last_name)),
        Text(PersonText::Suffix, person.suffix),
        Text(PersonText::EmailAddress, person.email_address),
        LegacyIdentifier(profile.legacy_identifier.clone()),
    ];
    for (at, Address { details, .. }) in profile.addresses.iter().enumerate() {
        steps.push(Addresses(AddressEdit::Kind { at, address_type: details.address_type }));
        for (text, value) in address_texts(details.clone()) {
            steps.push(Addresses(AddressEdit::Text { at, text, value }));
        }
    }
    for (at, PhoneNumber { details, .. }) in profile.phone_numbers.iter().enumerate() {
        steps.push(PhoneNumbers(PhoneNumberEdit::Kind { at, phone_type: details.phone_type }));
        for (text, value) in [
            (PhoneNumberText::PhoneNumber, details.phone_number.clone()),
            (PhoneNumberText::Extension, details.extension.clone()),
        ] {
            steps.push(PhoneNumbers(PhoneNumberEdit::Text { at, text, value }));
        }
    }
    steps
}

fn address_texts(details: AddressDetails) -> [(AddressText, Option<String>); 7] {
    [
        (AddressText::AddressLine1, details.address_line1),
        (AddressText::AddressLine2, details.address_line2),
        (AddressText::City, details.city),
        (AddressText::PostalCode, details.postal_code),
        (AddressText::StateProvinceCode, details.state_province_code),
        (AddressText::CountryCode, details.country_code.map(|code| code.as_str().to_owned())),
        (AddressText::RegionCode, details.region_code.map(|code| code.code().to_owned())),
    ]
}
