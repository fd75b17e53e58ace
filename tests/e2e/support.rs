//! Test support: fresh databases on both stores, admins, short waits.

use crate::tables;
use registrar::committer::ExpectedVersion;
use registrar::executor::{ExecuteError, Outcome, RequestContext};
use registrar::journal::{Batch, Head, JournalResult, StoredEvent, StreamId, StreamStep, codec};
use registrar::node::{Node, StoreSettings};
use registrar::vault::MasterKey;
use registrar_aggregates::admin::{
    Account, Admin, AdminChange, AdminCommand, AdminError, AdminEvent, Granter, Person, PersonText, Registration,
};
use registrar_aggregates::audit_access::AuditAccessEvent;
use registrar_aggregates::values::{AccountId, AdminId, EmailAddress, PartyId, PersonId};
use registrar_aggregates::{Actor, ActorType, DomainEvent, Metadata};
use registrar_projections::AdminDocument;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Writes a file that only its owner can read, as required for files with secrets.
pub fn write_private(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A fresh database of one of the two stores.
pub struct Database {
    pub settings: StoreSettings,
    pub master: MasterKey,
    _folder: tempfile::TempDir,
}

impl Database {
    /// A SQLite file in its own folder, created by the first open.
    pub fn sqlite() -> Self {
        Self::new(None)
    }

    /// A SQLite database with the tables.
    pub fn sqlite_with_tables() -> Self {
        let database = Self::sqlite();
        tables::create_sqlite(&database.file());
        database
    }

    /// An empty database on the private PostgreSQL server.
    pub async fn postgres() -> Self {
        Self::postgres_at(&server_url()).await
    }

    /// A database with the tables on the private PostgreSQL server.
    pub async fn postgres_with_tables() -> Self {
        let (server, name) = (server_url(), new_name());
        tables::create_postgres(&server, &name).await;
        Self::of_name(&server, &name)
    }

    /// An empty database on the PostgreSQL server at `url`.
    pub async fn postgres_at(url: &str) -> Self {
        let name = new_name();
        let mut connection = PgConnection::connect(url).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        Self::of_name(url, &name)
    }

    /// A second, empty database of the same store.
    pub async fn empty(&self) -> Self {
        if self.settings.database_url.is_some() { Self::postgres().await } else { Self::sqlite() }
    }

    /// A second database of the same store, with the tables.
    pub async fn another(&self) -> Self {
        if self.settings.database_url.is_some() {
            Self::postgres_with_tables().await
        } else {
            Self::sqlite_with_tables()
        }
    }

    fn of_name(server: &str, name: &str) -> Self {
        let (base, _) = server.rsplit_once('/').unwrap();
        Self::new(Some(format!("{base}/{name}")))
    }

    fn new(database_url: Option<String>) -> Self {
        // A folder in memory, if the run has one: a test commits hundreds of times.
        let place = std::env::var_os("REGISTRAR_TEST_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = tempfile::tempdir_in(place).unwrap();
        let settings = StoreSettings { database_url, data: folder.path().to_owned(), archives: None };
        Database { settings, master: master(), _folder: folder }
    }

    /// A node on this database; every call opens another one.
    pub async fn open(&self) -> Arc<Node> {
        Arc::new(Node::open(&self.settings, &self.master).await.unwrap())
    }

    /// A node with the master key of the program's own processes, so that it reads documents which they wrote.
    pub async fn open_as_program(&self) -> Arc<Node> {
        let key = MasterKey::from_file(&self.settings.data.join("master.key")).unwrap();
        Arc::new(Node::open(&self.settings, &key).await.unwrap())
    }

    /// File of the SQLite database.
    pub fn file(&self) -> PathBuf {
        self.settings.data.join("registrar.sqlite3")
    }

    /// Destroys the key of a person, as an erasure does. A node that has cached the key knows it for another minute.
    pub async fn erase(&self, subject: impl Display) {
        let statement = format!("UPDATE subject_keys SET wrapped_key = NULL WHERE subject_id = '{subject}'");
        assert_eq!(self.sql().await.run(&statement).await.unwrap(), 1);
    }

    /// A connection past Registrar, for acts of an operator, an attacker or a stock library.
    pub async fn sql(&self) -> Sql {
        match &self.settings.database_url {
            Some(url) => Sql::Postgres(PgConnection::connect(url).await.unwrap()),
            None => {
                let options = SqliteConnectOptions::new().filename(self.file());
                Sql::Sqlite(SqliteConnection::connect_with(&options).await.unwrap())
            }
        }
    }
}

/// A connection to either store.
pub enum Sql {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Sql {
    pub async fn run(&mut self, statement: &str) -> Result<u64, sqlx::Error> {
        Ok(match self {
            Sql::Sqlite(connection) => connection.execute(AssertSqlSafe(statement)).await?.rows_affected(),
            Sql::Postgres(connection) => connection.execute(AssertSqlSafe(statement)).await?.rows_affected(),
        })
    }

    /// The first column of every row, which must be text.
    pub async fn texts(&mut self, query: &str) -> Vec<String> {
        match self {
            Sql::Sqlite(connection) => sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(connection).await.unwrap(),
            Sql::Postgres(connection) => sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(connection).await.unwrap(),
        }
    }

    /// The single number that `query` yields.
    pub async fn number(&mut self, query: &str) -> i64 {
        match self {
            Sql::Sqlite(connection) => sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(connection).await.unwrap(),
            Sql::Postgres(connection) => sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(connection).await.unwrap(),
        }
    }

    pub async fn tables(&mut self) -> Vec<String> {
        self.texts(match self {
            Sql::Sqlite(_) => "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
            Sql::Postgres(_) => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
        })
        .await
    }

    /// Every row of a table as text, binary values in lower-case hexadecimal.
    pub async fn rows(&mut self, table: &str) -> Vec<String> {
        match self {
            Sql::Postgres(connection) => {
                let query = format!("SELECT t::text FROM {table} t");
                sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(connection).await.unwrap()
            }
            Sql::Sqlite(connection) => {
                let query = format!("SELECT * FROM {table}");
                let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(connection).await.unwrap();
                rows.iter()
                    .map(|row| {
                        let cells = (0..row.len()).map(|column| {
                            row.try_get_unchecked::<Option<String>, _>(column).ok().flatten().unwrap_or_else(|| {
                                let bytes = row.try_get_unchecked::<Option<Vec<u8>>, _>(column).unwrap();
                                hex(&bytes.unwrap_or_default())
                            })
                        });
                        cells.collect::<Vec<_>>().join("|")
                    })
                    .collect()
            }
        }
    }
}

fn server_url() -> String {
    std::env::var("REGISTRAR_TEST_DATABASE_URL")
        .expect("REGISTRAR_TEST_DATABASE_URL names a private PostgreSQL server; run the tests with ./scripts/test")
}

fn new_name() -> String {
    format!("test_{}", Uuid::now_v7().simple())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn master() -> MasterKey {
    MasterKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "the tests").unwrap()
}

pub fn context() -> RequestContext {
    RequestContext::system()
}

/// The context of a request of the admin `id`.
pub fn request_of(id: Uuid) -> RequestContext {
    let metadata = Metadata {
        actor: Actor { kind: ActorType::User, id: id.to_string(), name: Some("Marked Actor".into()) },
        ip_address: Some("203.0.113.77".into()),
        user_agent: Some("MarkedAgent/1.0".into()),
        ..RequestContext::system().metadata
    };
    RequestContext { metadata, answer: None }
}

/// A registration, with an account if there is an `email`.
pub fn registration(id: Uuid, email: Option<&str>) -> AdminCommand {
    AdminCommand::Register(Box::new(registered(id, email)), Granter::System)
}

/// The content of [`registration`].
pub fn registered(id: Uuid, email: Option<&str>) -> Registration {
    Registration {
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
            password_expires_at: None,
        }),
    }
}

/// An amendment that sets the first name.
pub fn rename(to: &str) -> AdminCommand {
    AdminCommand::Amend(vec![AdminChange::PersonText(PersonText::FirstName, Some(to.into()))], Granter::System)
}

/// The event of a registration.
pub fn admin_registered(id: Uuid, email: Option<&str>) -> DomainEvent {
    AdminEvent::Registered(Box::new(registered(id, email))).into()
}

/// An event without preconditions.
pub fn trail_read(trail: &str) -> DomainEvent {
    AuditAccessEvent::TrailRead { trail: trail.into(), filters: BTreeMap::new() }.into()
}

pub fn admin_stream(id: Uuid) -> StreamId {
    StreamId { aggregate_type: "admin", aggregate_id: id.to_string() }
}

pub fn access_stream(reader: &str) -> StreamId {
    StreamId { aggregate_type: "audit-access", aggregate_id: reader.into() }
}

/// Shorthands for frequent calls.
pub trait NodeExt {
    /// Executes a command as the system, without an expected version.
    fn admin(&self, id: Uuid, command: AdminCommand) -> impl Future<Output = Executed> + Send;
    /// Executes a command as the admin `id`.
    fn own(&self, id: Uuid, command: AdminCommand, expected: Option<u64>) -> impl Future<Output = Executed> + Send;
    fn append(&self, streams: Vec<Append>) -> impl Future<Output = JournalResult<Outcome>> + Send;
    fn find(&self, id: Uuid) -> impl Future<Output = AdminDocument> + Send;
    fn position(&self) -> impl Future<Output = u64> + Send;
    fn all_events(&self) -> impl Future<Output = Vec<StoredEvent>> + Send;
}

pub type Executed = Result<Outcome, ExecuteError<AdminError>>;
pub type Append = (StreamId, ExpectedVersion, Vec<DomainEvent>);

impl NodeExt for Node {
    async fn admin(&self, id: Uuid, command: AdminCommand) -> Executed {
        self.executor.execute::<Admin>(&context(), &id.to_string(), command, None).await
    }

    async fn own(&self, id: Uuid, command: AdminCommand, expected: Option<u64>) -> Executed {
        self.executor.execute::<Admin>(&request_of(id), &id.to_string(), command, expected).await
    }

    async fn append(&self, streams: Vec<Append>) -> JournalResult<Outcome> {
        self.executor.append(&context(), streams).await
    }

    async fn find(&self, id: Uuid) -> AdminDocument {
        let found = self.documents.find::<AdminDocument>(&id.to_string()).await.unwrap();
        AdminDocument::clone(&found.value.expect("the admin has a document"))
    }

    async fn position(&self) -> u64 {
        self.journal.head().await.unwrap().position
    }

    async fn all_events(&self) -> Vec<StoredEvent> {
        self.journal.read(0, usize::MAX).await.unwrap()
    }
}

/// How long commits are delayed for commands to meet in the queue. Correctness does not depend on their meeting.
const GATHERING: Duration = Duration::from_millis(50);

/// Locks the head while `act` submits commands, so that they meet in the committer's queue; then unlocks it and waits
/// for `act`.
pub async fn while_commits_wait<T>(node: &Node, act: impl Future<Output = T>) -> T {
    let mut holder = node.journal.writer().await.unwrap();
    holder.lock().await.unwrap();
    let mut act = std::pin::pin!(act);
    let done = tokio::time::timeout(GATHERING, act.as_mut()).await;
    holder.unlock().await.unwrap();
    match done {
        Ok(done) => done,
        Err(_) => act.await,
    }
}

/// A batch for the end of the journal as the committer would build it, of events without documents.
pub fn batch(head: &Head, events: &[(&StreamId, u64)]) -> Batch {
    let mut batch = Batch {
        expected_head: head.position,
        expected_frontier: head.frontier.clone(),
        generation: head.generation,
        recorded_at: head.recorded_at,
        frontier: head.frontier.clone(),
        ..Batch::default()
    };
    for (position, (stream, sequence)) in (head.position + 1..).zip(events) {
        let event = trail_read("batch");
        let mut stored = StoredEvent {
            position,
            recorded_at: batch.recorded_at,
            aggregate_type: stream.aggregate_type.into(),
            aggregate_id: stream.aggregate_id.clone(),
            sequence: *sequence,
            event_type: event.event_type(),
            event_version: event.event_version(),
            payload: codec::canonical(&event.to_payload().unwrap()).unwrap(),
            metadata: codec::canonical(&serde_json::to_value(context().metadata).unwrap()).unwrap(),
            leaf_hash: [0; 32],
        };
        stored.leaf_hash = codec::leaf_hash(&stored);
        batch.frontier.push(stored.leaf_hash);
        batch.events.push(stored);
        match batch.streams.iter_mut().find(|step| step.stream == **stream) {
            Some(step) => step.to = *sequence,
            None => batch.streams.push(StreamStep {
                stream: (*stream).clone(),
                from: sequence - 1,
                to: *sequence,
                first_position: position,
            }),
        }
    }
    batch
}

/// The error of a result that must be one.
pub fn refusal<T>(result: JournalResult<T>) -> registrar::journal::JournalError {
    match result {
        Ok(_) => panic!("was not refused"),
        Err(error) => error,
    }
}

/// Runs an async test body on both stores, as two tests, with the tables in place. `TEST` is their common path.
#[macro_export]
macro_rules! on_both_stores {
    ($($(#[$doc:meta])* async fn $name:ident($database:ident) $body:block)*) => {
        $(
            $(#[$doc])*
            pub(crate) mod $name {
                #[allow(unused_imports)]
                use super::*;

                #[allow(dead_code)]
                pub(crate) const TEST: &str = module_path!();

                async fn body($database: $crate::support::Database) $body

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_sqlite() {
                    body($crate::support::Database::sqlite_with_tables()).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn on_postgres() {
                    body($crate::support::Database::postgres_with_tables().await).await;
                }
            }
        )*
    };
}
