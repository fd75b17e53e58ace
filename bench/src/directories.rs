//! Filled directories: `registrar seed` into a database of its own, once in a run for every size.

use crate::server::{Database, Servers};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The name space of `registrar seed`: whoever knows a number knows the identifiers.
const NAMESPACE: Uuid = Uuid::from_u128(0x8f4f_2c0e_91b6_4b5e_a3c1_6f0d_2a77_5e01);

/// Identifier of seeded admin `number`.
pub(crate) fn admin_id(number: u64) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("admin/{number}").as_bytes())
}

/// Identifier of the person behind seeded admin `number`.
pub(crate) fn person_id(number: u64) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("person/{number}").as_bytes())
}

/// A number below `end` that looks random and is the same in every run.
pub(crate) fn scattered(step: u64, end: u64) -> u64 {
    (step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) % end.max(1)
}

#[derive(Default)]
pub(crate) struct Directories(BTreeMap<u64, Database>);

impl Directories {
    /// The directory with `admins` admins, seeded now if there is none yet.
    pub(crate) async fn of(&mut self, servers: &Servers, admins: u64) -> anyhow::Result<Database> {
        if let Some(database) = self.0.get(&admins) {
            return Ok(database.clone());
        }
        let database = servers.database().await?;
        grow(&database, admins).await?;
        self.0.insert(admins, database.clone());
        Ok(database)
    }

    /// Keeps a directory that has come to have `admins` admins.
    pub(crate) fn keep(&mut self, admins: u64, database: Database) {
        self.0.insert(admins, database);
    }

    pub(crate) fn get(&self, admins: u64) -> Option<Database> {
        self.0.get(&admins).cloned()
    }
}

/// Seeds until there are `admins` admins; those that are there already stay as they are. Ends as after a quiet
/// night: vacuumed and analysed.
pub(crate) async fn grow(database: &Database, admins: u64) -> anyhow::Result<()> {
    crate::progress(format_args!("seeding {admins} admins"));
    database.run_registrar(&["seed", "--admins", &admins.to_string()]).await?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut database.connect().await?).await?;
    Ok(())
}
