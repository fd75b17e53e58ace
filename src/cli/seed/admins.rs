//! Admins without permissions, who cannot sign in.

use super::{CONCURRENCY, id, name};
use crate::cli::progress::Progress;
use crate::executor::{ExecuteError, RequestContext};
use crate::node::Node;
use futures::{StreamExt, TryStreamExt};
use registrar_aggregates::admin::{
    Address, AddressDetails, Admin, AdminCommand, AdminError, Granter, Person, PhoneNumber, PhoneNumberDetails,
    Registration,
};
use registrar_aggregates::values::{AddressId, AdminId, CountryCode, PartyId, PersonId, PhoneNumberId};

pub(super) async fn register_all(node: &Node, count: u64) -> anyhow::Result<()> {
    let progress = Progress::start("registering admins");
    let context = RequestContext::system();
    let mut registered =
        futures::stream::iter(0..count).map(|number| register(node, &context, number)).buffer_unordered(CONCURRENCY);
    let mut done = 0;
    while registered.try_next().await?.is_some() {
        done += 1;
        progress.show(done, count);
    }
    progress.finish(count);
    Ok(())
}

async fn register(node: &Node, context: &RequestContext, number: u64) -> anyhow::Result<()> {
    let registration = Box::new(admin(number));
    let id = registration.id.to_string();
    match node
        .executor
        .execute::<Admin>(context, &id, AdminCommand::Register(registration, Granter::System), None)
        .await
    {
        Ok(_) | Err(ExecuteError::Refused(AdminError::AlreadyRegistered)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn admin(number: u64) -> Registration {
    let id = |what: &str| id(what, number);
    let (first_name, last_name) = name(number);
    Registration {
        id: AdminId(id("admin")),
        person_id: PersonId(id("person")),
        party_id: PartyId(id("party")),
        policies: Vec::new(),
        custom_permissions: Vec::new(),
        person: Person {
            salutation: None,
            first_name,
            last_name,
            suffix: None,
            email_address: Some(format!("admin{number}@example.com")),
        },
        legacy_identifier: Some(format!("SEED-{number}")),
        addresses: vec![Address { id: AddressId(id("address")), details: address(number) }],
        phone_numbers: vec![PhoneNumber { id: PhoneNumberId(id("phone")), details: phone_number(number) }],
        account: None,
    }
}

fn address(number: u64) -> AddressDetails {
    AddressDetails {
        address_type: 1,
        address_line1: Some(format!("{} Example Street", number + 1)),
        address_line2: None,
        city: Some("Springfield".into()),
        postal_code: Some(format!("{:05}", number % 100_000)),
        state_province_code: Some("IL".into()),
        country_code: CountryCode::parse("US").ok(),
        region_code: None,
    }
}

fn phone_number(number: u64) -> PhoneNumberDetails {
    // Numbers reserved for fiction.
    PhoneNumberDetails {
        phone_type: 3,
        phone_number: Some(format!("+1-202-555-01{:02}", number % 100)),
        extension: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use registrar_aggregates::Decide;

    #[test]
    fn seeded_admins_are_valid_and_always_the_same() {
        for number in [0, 1, 15, 16, 99_999, u64::MAX - 1] {
            assert_eq!(admin(number), admin(number));
            Admin::Absent.decide(AdminCommand::Register(Box::new(admin(number)), Granter::System)).expect("registered");
        }
        assert_ne!(admin(0).id, admin(1).id);
    }
}
