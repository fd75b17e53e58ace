//! The stock way: `cqrs-es` with `postgres-es` or `sqlite-es` and a `GenericQuery` into its view repository, on the
//! same aggregate, hence with the same validation and the same events.
//!
//! As its book sets it up: the tables of its `db/init.sql`, one view, no snapshots (two events a stream need none).
//! Left out in its favour: it has no unique values and no audit trail, and the view is not read again for an answer.

use super::{Acknowledged, Contender, pool, total};
use crate::workload::{Command, rename};
use anyhow::ensure;
use async_trait::async_trait;
use cqrs_es::persist::{GenericQuery, PersistedEventRepository, PersistedEventStore, ViewRepository};
use cqrs_es::{CqrsFramework, EventEnvelope, View};
use postgres_es::{PostgresEventRepository, PostgresViewRepository, postgres_cqrs};
use registrar_aggregates::admin::{Admin, AdminCommand, AdminEvent, Granter, Person, Registration};
use serde::{Deserialize, Serialize};
use sqlite_es::{SqliteEventRepository, SqliteViewRepository, sqlite_cqrs};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const POSTGRES: &str = "
CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence));
CREATE TABLE admin_view (
    view_id text NOT NULL, version bigint CHECK (version >= 0) NOT NULL, payload json NOT NULL, PRIMARY KEY (view_id));";
const SQLITE: &str = "
CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence integer CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL, event_version text NOT NULL, payload text NOT NULL, metadata text NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)) STRICT;
CREATE TABLE admin_view (
    view_id text NOT NULL, version integer CHECK (version >= 0) NOT NULL, payload text NOT NULL,
    PRIMARY KEY (view_id)) STRICT;";
/// `sqlite-es` leaves waiting for the one writer to SQLite.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// An admin as it is now.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AdminView {
    pub(crate) version: u64,
    pub(crate) active: bool,
    /// The rest, which events carry whole.
    pub(crate) admin: Option<Registration>,
}

impl View<Admin> for AdminView {
    fn update(&mut self, event: &EventEnvelope<Admin>) {
        self.version = event.sequence as u64;
        match &event.payload {
            AdminEvent::Registered(registration) => {
                let mut admin = Registration::clone(registration);
                if let Some(account) = &mut admin.account {
                    account.password_hash.clear();
                }
                self.admin = Some(admin);
                self.active = true;
            }
            AdminEvent::PersonAmended { person } => self.set_person(person),
            AdminEvent::Activated {} => self.active = true,
            AdminEvent::Deactivated {} => self.active = false,
            // Nothing else is asked here.
            _ => {}
        }
    }
}

impl AdminView {
    fn set_person(&mut self, person: &Person) {
        if let Some(admin) = &mut self.admin {
            admin.person.clone_from(person);
        }
    }
}

/// The framework over one of its stores.
pub(crate) struct Stock<E: PersistedEventRepository, V> {
    name: &'static str,
    cqrs: CqrsFramework<Admin, PersistedEventStore<E, Admin>>,
    views: Arc<V>,
    pool: Pool,
}

enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

pub(crate) type StockPostgres = Stock<PostgresEventRepository, PostgresViewRepository<AdminView, Admin>>;
pub(crate) type StockSqlite = Stock<SqliteEventRepository, SqliteViewRepository<AdminView, Admin>>;

impl StockPostgres {
    pub(crate) async fn open(url: &str, connections: u32) -> anyhow::Result<Self> {
        let pool = pool(url, connections).await?;
        sqlx::raw_sql(POSTGRES).execute(&pool).await?;
        let views = Arc::new(PostgresViewRepository::new("admin_view", pool.clone()));
        let cqrs = postgres_cqrs(pool.clone(), vec![Box::new(query(&views))], ());
        Ok(Stock { name: "cqrs-es + postgres-es", cqrs, views, pool: Pool::Postgres(pool) })
    }
}

impl StockSqlite {
    pub(crate) async fn open(file: &Path, connections: u32) -> anyhow::Result<Self> {
        // As its `default_sqlite_pool`, but as durable as ours, and waiting where that would fail.
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        // One writes at a time whatever the pool; a few connections let reads go beside it.
        let pools =
            SqlitePoolOptions::new().max_connections(connections.min(4)).acquire_timeout(Duration::from_secs(120));
        let pool = pools.connect_with(options).await?;
        sqlx::raw_sql(SQLITE).execute(&pool).await?;
        let views = Arc::new(SqliteViewRepository::new("admin_view", pool.clone()));
        let cqrs = sqlite_cqrs(pool.clone(), vec![Box::new(query(&views))], ());
        Ok(Stock { name: "cqrs-es + sqlite-es", cqrs, views, pool: Pool::Sqlite(pool) })
    }
}

/// Its book recommends an error handler strongly: without one a view that was not written goes unnoticed.
#[expect(clippy::panic, reason = "a figure for work that was not done would be worthless")]
fn query<V: ViewRepository<AdminView, Admin>>(views: &Arc<V>) -> GenericQuery<V, AdminView, Admin> {
    let mut query = GenericQuery::new(Arc::clone(views));
    query.use_error_handler(Box::new(|error| panic!("the view was not written: {error}")));
    query
}

impl<E: PersistedEventRepository, V: ViewRepository<AdminView, Admin>> Stock<E, V> {
    pub(crate) async fn command(&self, id: &str, command: AdminCommand) -> anyhow::Result<()> {
        Ok(self.cqrs.execute(id, command).await?)
    }

    /// The view, as a handler answers with it.
    pub(crate) async fn view(&self, id: &str) -> anyhow::Result<Option<AdminView>> {
        Ok(self.views.load(id).await?)
    }
}

#[async_trait]
impl<E, V> Contender for Stock<E, V>
where
    E: PersistedEventRepository + 'static,
    V: ViewRepository<AdminView, Admin> + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    async fn execute(&self, command: Command) -> anyhow::Result<()> {
        let id = command.id().to_string();
        match command {
            Command::Register(registration) => {
                self.command(&id, AdminCommand::Register(registration, Granter::System)).await
            }
            Command::Rename(_) => self.command(&id, rename()).await,
            Command::Note(_) => anyhow::bail!("not compared"),
        }
    }

    async fn check(&self, acknowledged: &[Acknowledged]) -> anyhow::Result<()> {
        let text =
            "SELECT (SELECT count(*) FROM events), (SELECT CAST(coalesce(sum(version), 0) AS bigint) FROM admin_view)";
        let (events, seen): (i64, i64) = match &self.pool {
            Pool::Postgres(pool) => sqlx::query_as(text).fetch_one(pool).await?,
            Pool::Sqlite(pool) => sqlx::query_as(text).fetch_one(pool).await?,
        };
        let total = i64::try_from(total(acknowledged))?;
        ensure!(events == total && seen == total, "{total} commands, {events} events, {seen} of them in views");
        Ok(())
    }
}
