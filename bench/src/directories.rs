//! Filled directories: `registrar seed` into a database of its own, once per run and size.

use crate::server::{Database, Servers};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The UUID name space of `registrar seed`: the number of a resource determines its identifier.
const NAMESPACE: Uuid = Uuid::from_u128(0x8f4f_2c0e_91b6_4b5e_a3c1_6f0d_2a77_5e01);

/// Identifier of a seeded resource of kind `what`.
pub(crate) fn seeded_id(what: &str, number: u64) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{what}/{number}").as_bytes())
}

/// Identifier of seeded admin `number`.
pub(crate) fn admin_id(number: u64) -> Uuid {
    seeded_id("admin", number)
}

/// Identifier of the person of seeded admin `number`.
pub(crate) fn person_id(number: u64) -> Uuid {
    seeded_id("person", number)
}

/// A pseudo-random number below `end`, the same in every run.
pub(crate) fn scattered(step: u64, end: u64) -> u64 {
    (step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) % end.max(1)
}

/// The content of a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Contents {
    pub(crate) admins: u64,
    pub(crate) users: u64,
    pub(crate) groups: u64,
}

impl Contents {
    pub(crate) fn admins(admins: u64) -> Self {
        Contents { admins, ..Contents::default() }
    }
}

#[derive(Default)]
pub(crate) struct Directories(BTreeMap<Contents, Database>);

impl Directories {
    /// The directory with these contents; seeds it if there is none yet.
    pub(crate) async fn with(&mut self, servers: &Servers, contents: Contents) -> anyhow::Result<Database> {
        if let Some(database) = self.0.get(&contents) {
            return Ok(database.clone());
        }
        let database = servers.database().await?;
        seed(&database, contents).await?;
        self.0.insert(contents, database.clone());
        Ok(database)
    }

    /// The directory with `admins` admins; seeds it if there is none yet.
    pub(crate) async fn of(&mut self, servers: &Servers, admins: u64) -> anyhow::Result<Database> {
        self.with(servers, Contents::admins(admins)).await
    }

    /// Keeps a directory that has grown to `admins` admins.
    pub(crate) fn keep(&mut self, admins: u64, database: Database) {
        self.0.insert(Contents::admins(admins), database);
    }

    /// Drops all directories to free their disk space. A later use seeds them again.
    pub(crate) async fn let_go(&mut self, servers: &Servers) -> anyhow::Result<()> {
        for database in std::mem::take(&mut self.0).into_values() {
            servers.drop(database).await?;
        }
        Ok(())
    }

    pub(crate) fn get(&self, admins: u64) -> Option<Database> {
        self.0.get(&Contents::admins(admins)).cloned()
    }
}

/// Seeds until there are `admins` admins; existing ones stay unchanged.
pub(crate) async fn grow(database: &Database, admins: u64) -> anyhow::Result<()> {
    seed(database, Contents::admins(admins)).await
}

/// Seeds a database, then vacuums and analyses it.
async fn seed(database: &Database, contents: Contents) -> anyhow::Result<()> {
    let Contents { admins, users, groups } = contents;
    crate::progress(format_args!("seeding {admins} admins, {users} users, {groups} groups"));
    let [admins, users, groups] = [admins, users, groups].map(|number| number.to_string());
    database.run_registrar(&["seed", "--admins", &admins, "--users", &users, "--groups", &groups]).await?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut database.connect().await?).await?;
    Ok(())
}
