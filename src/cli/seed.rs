//! `registrar seed`: fictitious people, always the same ones.

use super::progress::Progress;
use super::start;
use crate::auth::PasswordHasher;
use crate::config::{FirstAdministratorArgs, Secrets, StoreArgs};
use crate::executor::{ExecuteError, RequestContext};
use crate::node::Node;
use clap::Args;
use futures::{StreamExt, TryStreamExt};
use registrar_aggregates::admin::{
    Address, AddressDetails, Admin, AdminCommand, AdminError, Person, PhoneNumber, PhoneNumberDetails, Registration,
};
use registrar_aggregates::values::{AddressId, AdminId, CountryCode, PartyId, PersonId, PhoneNumberId};
use uuid::Uuid;

/// Commands under way at a time: enough to fill the batches of the committer.
const CONCURRENCY: usize = 128;
/// Ids are made from it and the number, so that seeding again adds only what is missing.
const NAMESPACE: Uuid = Uuid::from_u128(0x8f4f_2c0e_91b6_4b5e_a3c1_6f0d_2a77_5e01);

const FIRST_NAMES: [&str; 16] = [
    "Ada", "Björn", "Chiara", "Dmitri", "Emeka", "Fatima", "Grace", "Hiro", "Ingrid", "José", "Keira", "Liang", "Maya",
    "Noor", "Olga", "Pablo",
];
const LAST_NAMES: [&str; 16] = [
    "Abbott",
    "Bianchi",
    "Castro",
    "Dubois",
    "Eriksen",
    "Fischer",
    "García",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Müller",
    "Nakamura",
    "Okafor",
    "Petrov",
];

#[derive(Debug, Args)]
pub(super) struct SeedArgs {
    /// How many fictitious admins there are to be; they hold no permissions and cannot sign in
    #[arg(long, value_name = "NUMBER")]
    admins: u64,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    first_administrator: FirstAdministratorArgs,
}

pub(super) async fn seed(args: SeedArgs) -> anyhow::Result<()> {
    let secrets = Secrets::from_env();
    let first = args.first_administrator.resolve(&secrets)?;
    let node = start::open(&args.store.resolve(), &secrets).await?;
    // Once anybody is registered the journal is not empty any more, and nobody would be made who can sign in.
    start::first_administrator(&node, &PasswordHasher::for_this_machine(), &first).await?;
    let seeded = admins(&node, args.admins).await;
    node.close().await;
    seeded
}

async fn admins(node: &Node, count: u64) -> anyhow::Result<()> {
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
    match node.executor.execute::<Admin>(context, &id, AdminCommand::Register(registration), None).await {
        Ok(_) | Err(ExecuteError::Refused(AdminError::AlreadyRegistered)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn admin(number: u64) -> Registration {
    let id = |what: &str| Uuid::new_v5(&NAMESPACE, format!("{what}/{number}").as_bytes());
    let name = |names: &[&str; 16], number: u64| names[(number % 16) as usize].to_owned();
    Registration {
        id: AdminId(id("admin")),
        person_id: PersonId(id("person")),
        party_id: PartyId(id("party")),
        policies: Vec::new(),
        custom_permissions: Vec::new(),
        person: Person {
            salutation: None,
            first_name: name(&FIRST_NAMES, number),
            last_name: name(&LAST_NAMES, number / 16),
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
    // Numbers that are kept free for fiction.
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
    fn everybody_who_is_seeded_is_a_proper_admin_and_always_the_same() {
        for number in [0, 1, 15, 16, 99_999, u64::MAX - 1] {
            assert_eq!(admin(number), admin(number));
            Admin::Absent.decide(AdminCommand::Register(Box::new(admin(number)))).expect("registered");
        }
        assert_ne!(admin(0).id, admin(1).id);
    }
}
