//! The guards of an attempt to sign in: what it is counted by, whether it may be made, and what follows from a failure.
//!
//! Failures of accounts are events, so that they count on every node and after a restart. A name that nobody has leaves no
//! event: it is counted on the node, by the same rules, and asks the journal for as much, so that neither the answer nor
//! the time tells it from others. Failures of a network are counted on the node and put down by the dozen.

use super::SignInError;
use crate::auth::network::network;
use crate::directory::sessions::Origins;
use crate::directory::{DirectoryError, Refusal, lift};
use crate::executor::{ExecuteError, RequestContext, Together};
use crate::journal::JournalResult;
use crate::journal::sqlite::hex;
use crate::node::Node;
use chrono::{DateTime, Utc};
use quick_cache::unsync::Cache;
use registrar_aggregates::Metadata;
use registrar_aggregates::session::guard::{Guard, GuardCommand, GuardError, Subject};
use registrar_aggregates::values::EmailAddress;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counters that are kept on a node; those that were used longest ago go first.
const COUNTERS_MAX: usize = 100_000;
/// Failures of a network that are put down together.
const PUT_DOWN: usize = 12;

/// Failures that are counted on this node and in no event.
pub struct Failures(Mutex<Cache<String, Guard>>);

impl Default for Failures {
    fn default() -> Self {
        Failures(Mutex::new(Cache::new(COUNTERS_MAX)))
    }
}

impl Failures {
    fn lock(&self) -> MutexGuard<'_, Cache<String, Guard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, counter: &str) -> Guard {
        self.lock().get(counter).cloned().unwrap_or_default()
    }

    /// Counts a failure, unless `refuses` finds too many already.
    fn fail(
        &self,
        counter: &str,
        now: DateTime<Utc>,
        refuses: impl FnOnce(&Guard) -> Result<(), GuardError>,
    ) -> Result<(), GuardError> {
        let mut counters = self.lock();
        let mut guard = counters.get(counter).cloned().unwrap_or_default();
        refuses(&guard)?;
        guard.note(now);
        counters.insert(counter.to_owned(), guard);
        Ok(())
    }

    /// Refuses a program under whose name too many digests were wrong in a network: as many as of a person's name. They are
    /// counted on the node, and for that name alone, since programs of one cluster share a network.
    ///
    /// # Errors
    /// `Locked`.
    pub fn check_program(&self, node: &Node, name: &str, origins: &Origins) -> Result<(), GuardError> {
        self.of(&program(node, name, origins)).check(Subject::NameInNetwork, Utc::now())
    }

    /// Counts a wrong digest.
    pub fn fail_program(&self, node: &Node, name: &str, origins: &Origins) {
        // Nothing refuses here.
        let _ = self.fail(&program(node, name, origins), Utc::now(), |_| Ok(()));
    }

    /// Takes the failures of a counter away, if they are as many, to be put down.
    fn take(&self, counter: &str, at_least: usize, now: DateTime<Utc>) -> u32 {
        let mut counters = self.lock();
        let failures = counters.get(counter).map(|guard| guard.failures(now)).unwrap_or_default();
        if failures < at_least {
            return 0;
        }
        counters.remove(counter);
        u32::try_from(failures).unwrap_or(u32::MAX)
    }
}

/// Counter of a program's name in a network.
fn program(node: &Node, name: &str, origins: &Origins) -> String {
    let network = network(origins.ip_address.as_deref().unwrap_or_default());
    hex(&node.vault.digest("sign-in-guard", &[b"program", name.as_bytes(), network.as_bytes()]))
}

/// What one attempt is counted by. All names are digests.
pub(super) struct Guards {
    /// Whether there is an account, whose failures are events.
    account: bool,
    /// The name in all networks.
    pub(super) name: String,
    /// The name in the network.
    pair: String,
    /// The network.
    network: String,
}

/// Who an attempt is made for.
pub(super) enum Who<'w> {
    /// The owner of this account, whichever of its names was given.
    Account(&'w str),
    /// Nobody; the name that was given.
    Unknown(&'w str),
}

impl Guards {
    pub(super) fn new(node: &Node, who: &Who<'_>, origins: &Origins) -> Self {
        let digest = |kind: &str, parts: &[&str]| {
            let parts: Vec<_> = std::iter::once(kind).chain(parts.iter().copied()).map(str::as_bytes).collect();
            hex(&node.vault.digest("sign-in-guard", &parts))
        };
        let network = network(origins.ip_address.as_deref().unwrap_or_default());
        let (account, name) = match who {
            Who::Account(id) => (true, (*id).to_owned()),
            // Spellings of one name are one name.
            Who::Unknown(name) => {
                let name = name.trim();
                (false, EmailAddress::parse(name).map_or_else(|_| name.to_owned(), |email| email.comparable()))
            }
        };
        let kind = if account { "account" } else { "unknown" };
        Guards {
            account,
            name: digest(kind, &[&name]),
            pair: digest("in-network", &[kind, &name, &network]),
            network: digest("network", &[&network]),
        }
    }

    /// Whether a sign-in may be tried, or have been tried: failures that were counted meanwhile count before it.
    pub(super) async fn check(&self, node: &Node, failures: &Failures, now: DateTime<Utc>) -> Result<(), SignInError> {
        let [name, pair, network] = [&self.name, &self.pair, &self.network].map(|stream| state(node, stream));
        let (name, pair, network) = futures::try_join!(name, pair, network)?;
        pair.check_with(&failures.of(&self.pair), Subject::NameInNetwork, now)?;
        // Others cannot keep the owner of a name out of where the owner has been.
        if !name.knows(&self.network, now) {
            name.check_with(&failures.of(&self.name), Subject::Name, now)?;
            network.check_with(&failures.of(&self.network), Subject::Network, now)?;
        }
        Ok(())
    }

    /// Counts a failure.
    pub(super) async fn fail(
        &self,
        node: &Node,
        failures: &Failures,
        context: &RequestContext,
    ) -> Result<(), SignInError> {
        let now = Utc::now();
        failures.fail(&self.network, now, |_| Ok(()))?;
        let put_down = failures.take(&self.network, PUT_DOWN, now);
        let mut commands =
            vec![(&self.network, GuardCommand::Count { subject: Subject::Network, failures: put_down, now })];
        if self.account {
            commands.push((&self.pair, GuardCommand::Fail { subject: Subject::NameInNetwork, now }));
            commands.push((&self.name, GuardCommand::Fail { subject: Subject::Name, now }));
        } else {
            failures.fail(&self.pair, now, |guard| guard.check(Subject::NameInNetwork, now))?;
            failures.fail(&self.name, now, |_| Ok(()))?;
        }
        if !self.account && put_down == 0 {
            return Ok(());
        }
        carry_out(node, context, &commands).await
    }

    /// Has the session that is opened depend on the guard, and notes the network as known.
    pub(super) async fn pass(
        &self,
        together: &mut Together<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), ExecuteError<Refusal>> {
        let admit = GuardCommand::Admit { subject: Subject::NameInNetwork, now };
        together.execute::<Guard>(&self.pair, admit).await.map_err(lift)?;
        let pass = GuardCommand::Pass { network: self.network.clone(), now };
        together.execute::<Guard>(&self.name, pass).await.map_err(lift)?;
        Ok(())
    }
}

/// The guard of a session in which a password is asked for again.
pub(super) struct SessionGuard(String);

impl SessionGuard {
    /// The guard of what `context` acts in: its session, else its actor.
    pub(super) fn new(node: &Node, context: &RequestContext) -> Self {
        let metadata = &context.metadata;
        let session = metadata.session.map_or_else(|| metadata.actor.id.clone(), |session| session.to_string());
        SessionGuard(hex(&node.vault.digest("sign-in-guard", &[b"session", session.as_bytes()])))
    }

    pub(super) async fn check(&self, node: &Node) -> Result<(), SignInError> {
        Ok(state(node, &self.0).await?.check(Subject::Session, Utc::now())?)
    }

    pub(super) async fn fail(&self, node: &Node, context: &RequestContext) -> Result<(), SignInError> {
        let command = GuardCommand::Fail { subject: Subject::Session, now: Utc::now() };
        carry_out(node, context, &[(&self.0, command)]).await
    }
}

async fn state(node: &Node, stream: &str) -> JournalResult<Guard> {
    Ok(node.executor.state::<Guard>(stream).await?.1)
}

async fn carry_out(
    node: &Node,
    context: &RequestContext,
    commands: &[(&String, GuardCommand)],
) -> Result<(), SignInError> {
    // The person who failed is not known, whichever name was given.
    let mut context = RequestContext { answer: None, ..context.clone() };
    context.metadata = Metadata::system(context.metadata.request_id);
    let done = node.executor.execute_together(&context, |together| {
        Box::pin(async move {
            for (stream, command) in commands {
                together.execute::<Guard>(stream, command.clone()).await.map_err(lift)?;
            }
            Ok::<_, ExecuteError<Refusal>>(())
        })
    });
    match done.await {
        Ok(_) => Ok(()),
        Err(ExecuteError::Refused(Refusal::Guard(locked))) => Err(locked.into()),
        Err(error) => Err(DirectoryError::from(error).into()),
    }
}
