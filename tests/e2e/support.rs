//! What the tests share: fresh databases on both stores, admins, small waits.

use registrar::executor::RequestContext;
use registrar::node::{Node, StoreSettings};
use registrar::vault::MasterKey;
use registrar_aggregates::admin::{Account, AdminCommand, Person, Registration};
use registrar_aggregates::values::{AccountId, AdminId, EmailAddress, PartyId, PersonId};
use sqlx::{Connection, Executor, PgConnection};
use std::sync::Arc;
use uuid::Uuid;

/// One of the two stores, fresh.
pub struct Database {
    pub settings: StoreSettings,
    pub master: MasterKey,
    _folder: tempfile::TempDir,
}

impl Database {
    /// A SQLite file in a folder of its own.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Database {
            settings: StoreSettings { database_url: None, data: folder.path().to_owned() },
            master: master(),
            _folder: folder,
        }
    }

    /// A database of its own on the private PostgreSQL server.
    pub async fn postgres() -> Self {
        let server = std::env::var("REGISTRAR_TEST_DATABASE_URL")
            .expect("REGISTRAR_TEST_DATABASE_URL names a private PostgreSQL server; run the tests with ./scripts/test");
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&server).await.unwrap();
        connection.execute(format!("CREATE DATABASE {name}").as_str()).await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        let folder = tempfile::tempdir().unwrap();
        Database {
            settings: StoreSettings { database_url: Some(format!("{base}/{name}")), data: folder.path().to_owned() },
            master: master(),
            _folder: folder,
        }
    }

    pub async fn open(&self) -> Arc<Node> {
        Arc::new(Node::open(&self.settings, &self.master).await.unwrap())
    }
}

fn master() -> MasterKey {
    MasterKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "the tests").unwrap()
}

pub fn context() -> RequestContext {
    RequestContext::system()
}

/// A registration with an account under `email`, if there is one.
pub fn registration(id: Uuid, email: Option<&str>) -> AdminCommand {
    AdminCommand::Register(Box::new(Registration {
        id: AdminId(id),
        person_id: PersonId(Uuid::new_v4()),
        party_id: PartyId(Uuid::new_v4()),
        policies: vec!["p1".into()],
        custom_permissions: vec![],
        person: Person {
            salutation: None,
            first_name: "Ada".into(),
            last_name: "Lovelace".into(),
            suffix: None,
            email_address: Some("ada@example.org".into()),
        },
        legacy_identifier: None,
        addresses: vec![],
        phone_numbers: vec![],
        account: email.map(|email| Account {
            id: AccountId(Uuid::new_v4()),
            email: EmailAddress::parse(email).unwrap(),
            password_hash: "$argon2id$secret".into(),
        }),
    }))
}

/// Runs an async test body on both stores, as two tests.
#[macro_export]
macro_rules! on_both_stores {
    ($($(#[$doc:meta])* async fn $name:ident($database:ident) $body:block)*) => {
        $(
            $(#[$doc])*
            mod $name {
                #[allow(unused_imports)]
                use super::*;

                async fn body($database: $crate::support::Database) $body

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_sqlite() {
                    body($crate::support::Database::sqlite()).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_postgres() {
                    body($crate::support::Database::postgres().await).await;
                }
            }
        )*
    };
}
