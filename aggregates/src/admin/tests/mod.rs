//! Given, when, then for every command of an admin.
//!
//! Builders give small records that differ by a number only; a test changes the one member that it is about.

mod activation;
mod addresses;
mod amendment;
mod granting;
mod grants;
mod person;
mod personal_values;
mod phone_numbers;
mod properties;
mod registration;

use super::*;
use crate::values::{
    AccountId, AddressId, AdminId, CountryCode, EmailAddress, PartyId, PersonId, PhoneNumberId, Problem,
};
use cqrs_es::{
    Aggregate,
    test::{AggregateTestExecutor, TestFramework},
};
use uuid::Uuid;

fn given(events: impl IntoIterator<Item = AdminEvent>) -> AggregateTestExecutor<Admin> {
    TestFramework::with(()).given(events.into_iter().collect())
}

/// The state that `events` lead to.
fn admin(events: impl IntoIterator<Item = AdminEvent>) -> Admin {
    let mut admin = Admin::default();
    for event in events {
        admin.apply(event);
    }
    admin
}

/// An admin with only the required data.
fn registration() -> Registration {
    Registration {
        id: AdminId(Uuid::from_u128(1)),
        person_id: PersonId(Uuid::from_u128(2)),
        party_id: PartyId(Uuid::from_u128(3)),
        policies: vec![],
        custom_permissions: vec![],
        person: Person {
            salutation: None,
            first_name: "Ada".into(),
            last_name: "Lovelace".into(),
            suffix: None,
            email_address: None,
        },
        legacy_identifier: None,
        addresses: vec![],
        phone_numbers: vec![],
        account: None,
    }
}

/// A registration changed by `edit`.
fn registration_with(edit: impl FnOnce(&mut Registration)) -> Registration {
    let mut registration = registration();
    edit(&mut registration);
    registration
}

fn register(registration: Registration) -> AdminCommand {
    AdminCommand::Register(Box::new(registration), Granter::System)
}

fn registered() -> AdminEvent {
    AdminEvent::Registered(Box::new(registration()))
}

fn registered_with(edit: impl FnOnce(&mut Registration)) -> AdminEvent {
    AdminEvent::Registered(Box::new(registration_with(edit)))
}

fn account() -> Account {
    Account {
        id: AccountId(Uuid::from_u128(4)),
        email: EmailAddress::parse("Ada@Example.org").expect("well formed"),
        password_hash: "$argon2id$hash".into(),
        password_expires_at: None,
    }
}

fn address(number: u128) -> Address {
    Address {
        id: AddressId(Uuid::from_u128(100 + number)),
        details: AddressDetails {
            address_type: 1,
            address_line1: None,
            address_line2: None,
            city: None,
            postal_code: None,
            state_province_code: None,
            country_code: None,
            region_code: None,
        },
    }
}

fn address_with(number: u128, edit: impl FnOnce(&mut AddressDetails)) -> Address {
    let mut address = address(number);
    edit(&mut address.details);
    address
}

fn phone_number(number: u128) -> PhoneNumber {
    PhoneNumber {
        id: PhoneNumberId(Uuid::from_u128(200 + number)),
        details: PhoneNumberDetails { phone_type: 1, phone_number: None, extension: None },
    }
}

fn phone_number_with(number: u128, edit: impl FnOnce(&mut PhoneNumberDetails)) -> PhoneNumber {
    let mut phone_number = phone_number(number);
    edit(&mut phone_number.details);
    phone_number
}

fn country(code: &str) -> Option<CountryCode> {
    Some(CountryCode::parse(code).expect("known country"))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn amend(changes: impl IntoIterator<Item = AdminChange>) -> AdminCommand {
    AdminCommand::Amend(changes.into_iter().collect(), Granter::System)
}

/// A caller who holds `held`, where the policy `p-all` grants c1, c2 and c3, and `p-one` grants c1.
fn granter(id: &str, held: &[&str]) -> Granter {
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    let policies = [("p-all", &["c1", "c2", "c3"][..]), ("p-one", &["c1"])];
    let catalogue = Catalogue {
        permissions: names(&["c1", "c2", "c3"]),
        policies: policies.into_iter().map(|(id, list)| (id.to_owned(), names(list))).collect(),
    };
    Granter::Caller { id: id.to_owned(), held: names(held), catalogue: catalogue.into() }
}

/// Refusal: the step has a wrong position.
fn misplaced(step: usize, problem: Problem) -> AdminError {
    AdminError::AmendmentRefused(AmendmentRefused { step, misplaced: true, problem })
}

/// Refusal: the step has an invalid value.
fn unfit(step: usize, problem: Problem) -> AdminError {
    AdminError::AmendmentRefused(AmendmentRefused { step, misplaced: false, problem })
}

/// The problem of a place beyond a list of `length` entries.
fn none_there(length: usize) -> Problem {
    Problem::NoSuchElement { length }
}
