//! The stock way: `cqrs-es` with one of its stores and a `GenericQuery` into the store's view repository, on the same
//! aggregate, hence with the same validation and the same events.
//!
//! As its book sets it up: the tables of its `db/init.sql`, one view, no snapshots (two events a stream need none).
//! Left out in its favour: it has no unique values and no audit trail, and the view is not read again for an answer.

use crate::contender::{Acknowledged, Contender, total};
use crate::workload::{Command, rename};
use anyhow::ensure;
use async_trait::async_trait;
use cqrs_es::persist::{GenericQuery, PersistedEventRepository, PersistedEventStore, ViewRepository};
use cqrs_es::{CqrsFramework, EventEnvelope, View};
use registrar_aggregates::admin::{Admin, AdminCommand, AdminEvent, Granter, Person, Registration};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An admin as it is now.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminView {
    /// Events of its stream.
    pub version: u64,
    /// Whether it is active.
    pub active: bool,
    /// The rest, which events carry whole.
    pub admin: Option<Registration>,
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

/// Query of [`Stored::counts`]: events of a store, and those that its views show.
pub const COUNTS: &str =
    "SELECT (SELECT count(*) FROM events), (SELECT CAST(coalesce(sum(version), 0) AS bigint) FROM admin_view)";

/// The store under the framework, asked past it.
#[async_trait]
pub trait Stored: Send + Sync + 'static {
    /// Answer to [`COUNTS`].
    async fn counts(&self) -> anyhow::Result<(i64, i64)>;
}

/// The framework over one of its stores.
pub struct Stock<E: PersistedEventRepository, V, S> {
    name: &'static str,
    cqrs: CqrsFramework<Admin, PersistedEventStore<E, Admin>>,
    views: Arc<V>,
    stored: S,
}

/// Its book recommends an error handler strongly: without one a view that was not written goes unnoticed.
#[must_use]
#[expect(clippy::panic, reason = "a figure for work that was not done would be worthless")]
pub fn query<V: ViewRepository<AdminView, Admin>>(views: &Arc<V>) -> GenericQuery<V, AdminView, Admin> {
    let mut query = GenericQuery::new(Arc::clone(views));
    query.use_error_handler(Box::new(|error| panic!("the view was not written: {error}")));
    query
}

impl<E: PersistedEventRepository, V: ViewRepository<AdminView, Admin>, S: Stored> Stock<E, V, S> {
    /// The framework with [`query`] into `views`, over the store that `stored` asks.
    pub fn new(
        name: &'static str,
        cqrs: CqrsFramework<Admin, PersistedEventStore<E, Admin>>,
        views: Arc<V>,
        stored: S,
    ) -> Self {
        Stock { name, cqrs, views, stored }
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// A refusal, or what the store could not do.
    pub async fn command(&self, id: &str, command: AdminCommand) -> anyhow::Result<()> {
        Ok(self.cqrs.execute(id, command).await?)
    }

    /// The view, as a handler answers with it.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn view(&self, id: &str) -> anyhow::Result<Option<AdminView>> {
        Ok(self.views.load(id).await?)
    }
}

#[async_trait]
impl<E, V, S> Contender for Stock<E, V, S>
where
    E: PersistedEventRepository + 'static,
    V: ViewRepository<AdminView, Admin> + 'static,
    S: Stored,
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
        let (events, seen) = self.stored.counts().await?;
        let total = i64::try_from(total(acknowledged))?;
        ensure!(events == total && seen == total, "{total} commands, {events} events, {seen} of them in views");
        Ok(())
    }
}
