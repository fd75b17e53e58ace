//! The stock implementation: `cqrs-es` with one of its stores and a `GenericQuery` into the store's view repository, on
//! the same aggregate, hence with the same validation and the same events.
//!
//! The setup follows its book: the tables of its `db/init.sql`, one view, no snapshots (streams of two events need
//! none). Two simplifications are in its favour: it has no unique values and no audit trail, and the view is not read
//! again for an answer.

use crate::contender::{Acknowledged, Contender, total};
use crate::workload::{Command, rename};
use anyhow::ensure;
use async_trait::async_trait;
use cqrs_es::persist::{GenericQuery, PersistedEventRepository, PersistedEventStore, ViewRepository};
use cqrs_es::{CqrsFramework, EventEnvelope, View};
use registrar_aggregates::admin::{Admin, AdminCommand, AdminEvent, Granter, Person, Registration};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The read model of an admin.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminView {
    /// Number of events in the stream.
    pub version: u64,
    /// Whether it is active.
    pub active: bool,
    /// The remaining data, which events carry as a whole.
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
            // The workload has no other events.
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

/// Query of [`StoreCounts::counts`]: events in the store, and events reflected in its views.
pub const COUNTS: &str =
    "SELECT (SELECT count(*) FROM events), (SELECT CAST(coalesce(sum(version), 0) AS bigint) FROM admin_view)";

/// Direct access to the store of the framework.
#[async_trait]
pub trait StoreCounts: Send + Sync + 'static {
    /// The result of [`COUNTS`].
    async fn counts(&self) -> anyhow::Result<(i64, i64)>;
}

/// The framework over one of its stores.
pub struct Stock<E: PersistedEventRepository, V, S> {
    name: &'static str,
    cqrs: CqrsFramework<Admin, PersistedEventStore<E, Admin>>,
    views: Arc<V>,
    stored: S,
}

/// The query that maintains the view. Its book strongly recommends an error handler: without one a failed write of a
/// view goes unnoticed.
#[must_use]
#[expect(clippy::panic, reason = "a figure for work that was not done would be worthless")]
pub fn query<V: ViewRepository<AdminView, Admin>>(views: &Arc<V>) -> GenericQuery<V, AdminView, Admin> {
    let mut query = GenericQuery::new(Arc::clone(views));
    query.use_error_handler(Box::new(|error| panic!("the view was not written: {error}")));
    query
}

impl<E: PersistedEventRepository, V: ViewRepository<AdminView, Admin>, S: StoreCounts> Stock<E, V, S> {
    /// The framework with [`query`] into `views`; `stored` counts its events.
    pub fn new(
        name: &'static str,
        cqrs: CqrsFramework<Admin, PersistedEventStore<E, Admin>>,
        views: Arc<V>,
        stored: S,
    ) -> Self {
        Stock { name, cqrs, views, stored }
    }

    /// Executes a command.
    ///
    /// # Errors
    /// A refusal, or an error of the store.
    pub async fn command(&self, id: &str, command: AdminCommand) -> anyhow::Result<()> {
        Ok(self.cqrs.execute(id, command).await?)
    }

    /// The view, as a handler returns it.
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
    S: StoreCounts,
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
