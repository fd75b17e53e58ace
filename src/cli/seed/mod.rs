//! `registrar seed`: fictitious people, the same ones every time.

mod admins;
mod people;

use super::start;
use crate::auth::PasswordHasher;
use crate::config::{FirstAdministratorArgs, Secrets, StoreArgs};
use clap::{Args, value_parser};
use uuid::Uuid;

/// Concurrent commands: enough to fill the batches of the committer.
const CONCURRENCY: usize = 128;
/// Most people: more than any installation is meant for.
const PEOPLE_MAX: u64 = 10_000_000;
/// Most organizations.
const ORGANIZATIONS_MAX: u64 = 1_000_000;
/// Most groups, all of which are one tree.
const GROUPS_MAX: u64 = 100_000;
/// Ids are derived from it and the number, so that seeding again adds only missing items.
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
    /// Number of fictitious admins to reach; they hold no permissions and cannot sign in
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = value_parser!(u64).range(..=PEOPLE_MAX))]
    admins: u64,
    /// Number of fictitious organizations to reach; the users are spread evenly over them, over one at least
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = value_parser!(u64).range(..=ORGANIZATIONS_MAX))]
    organizations: u64,
    /// Number of fictitious users to reach, each in one organization; they have no password
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = value_parser!(u64).range(..=PEOPLE_MAX))]
    users: u64,
    /// Number of groups of the first organization to reach, in a tree whose divisions have five children each; every
    /// participant there is in ten of them
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = value_parser!(u64).range(..=GROUPS_MAX))]
    groups: u64,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    first_administrator: FirstAdministratorArgs,
}

pub(super) async fn seed(args: SeedArgs) -> anyhow::Result<()> {
    let SeedArgs { admins, organizations, users, groups, store, first_administrator } = args;
    let secrets = Secrets::from_env();
    let first = first_administrator.resolve(&secrets)?;
    let node = start::open(&store.resolve(), &secrets).await?;
    // Later the journal would no longer be empty, and no admin would be made who can sign in.
    start::first_administrator(&node, &PasswordHasher::for_this_machine(), None, &first).await?;
    let seeded = async {
        admins::register_all(&node, admins).await?;
        let organizations = if users > 0 || groups > 0 { organizations.max(1) } else { organizations };
        people::create_all(&node, people::Numbers { organizations, users, groups }).await
    };
    let seeded = seeded.await;
    node.close().await;
    seeded
}

/// The identifier of a fictitious item.
fn id(what: &str, number: u64) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{what}/{number}").as_bytes())
}

/// The first and the last name of a fictitious person.
fn name(number: u64) -> (String, String) {
    let name = |names: &[&str; 16], number: u64| names[(number % 16) as usize].to_owned();
    (name(&FIRST_NAMES, number), name(&LAST_NAMES, number / 16))
}
