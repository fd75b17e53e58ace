//! The guards of an attempt to sign in. Their rules are those of [`registrar_aggregates::processes::guards`]; here
//! their streams are named, loaded and committed, and failures without an event are counted.
//!
//! Failures of accounts are events, so they count on every node and after a restart. Failures of an unknown name are
//! counted on the node, by the same rules and with as many journal reads, so that neither the response nor its time
//! tells it from known names. Failures of a network are counted on the node and recorded by the dozen.

use super::SignInError;
use crate::auth::network::network;
use crate::executor::RequestContext;
use crate::journal::JournalResult;
use crate::node::Node;
use crate::processes::sessions::ClientInfo;
use crate::processes::{DirectoryError, Refusal, commit};
use crate::store::hex;
use chrono::{DateTime, Utc};
use quick_cache::unsync::Cache;
use registrar_aggregates::Metadata;
use registrar_aggregates::processes::guards::{self, Counters, Counts};
use registrar_aggregates::processes::{Step, Streams};
use registrar_aggregates::session::guard::{Guard, GuardError, Subject};
use registrar_aggregates::values::EmailAddress;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most counters on a node; the least recently used are evicted first.
const COUNTERS_MAX: usize = 100_000;
/// Failures of a network that are recorded together.
const PUT_DOWN: usize = 12;

/// Failures counted on this node and in no event.
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

    /// Refuses a program after too many wrong digests under its name in a network: the same limit as for a person's
    /// name. Failures are counted on the node, and for that name alone, since programs of one cluster share a network.
    ///
    /// # Errors
    /// `Locked`.
    pub fn check_program(&self, node: &Node, name: &str, client_info: &ClientInfo) -> Result<(), GuardError> {
        self.of(&program(node, name, client_info)).check(Subject::NameInNetwork, Utc::now())
    }

    /// Counts a wrong digest.
    pub fn fail_program(&self, node: &Node, name: &str, client_info: &ClientInfo) {
        // This check never refuses.
        let _ = self.fail(&program(node, name, client_info), Utc::now(), |_| Ok(()));
    }

    /// Removes at least `at_least` failures from a counter, to be recorded.
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

/// Key of the counter for a program's name in a network.
fn program(node: &Node, name: &str, client_info: &ClientInfo) -> String {
    let network = network(client_info.ip_address.as_deref().unwrap_or_default());
    hex(&node.vault.digest("sign-in-guard", &[b"program", name.as_bytes(), network.as_bytes()]))
}

/// The guards of one attempt.
pub(super) struct Guards {
    /// Whether the account exists, so that its failures are events.
    account: bool,
    pub(super) counters: Counters,
}

/// The owner of the name in an attempt.
pub(super) enum NameOwner<'w> {
    /// An account, found by any of its names.
    Account(&'w str),
    /// A name without an account.
    Unknown(&'w str),
}

impl Guards {
    pub(super) fn new(node: &Node, who: &NameOwner<'_>, client_info: &ClientInfo) -> Self {
        let digest = |kind: &str, parts: &[&str]| {
            let parts: Vec<_> = std::iter::once(kind).chain(parts.iter().copied()).map(str::as_bytes).collect();
            hex(&node.vault.digest("sign-in-guard", &parts))
        };
        let network = network(client_info.ip_address.as_deref().unwrap_or_default());
        let (account, name) = match who {
            NameOwner::Account(id) => (true, (*id).to_owned()),
            // All spellings of a name share one counter.
            NameOwner::Unknown(name) => {
                let name = name.trim();
                (false, EmailAddress::parse(name).map_or_else(|_| name.to_owned(), |email| email.comparable()))
            }
        };
        let kind = if account { "account" } else { "unknown" };
        let counters = Counters {
            name: digest(kind, &[&name]),
            pair: digest("in-network", &[kind, &name, &network]),
            network: digest("network", &[&network]),
        };
        Guards { account, counters }
    }

    /// Refuses before or after an attempt: failures counted meanwhile count before it. Returns whether the network is new
    /// to the account, see [`Guard::is_new`].
    pub(super) async fn check(
        &self,
        node: &Node,
        failures: &Failures,
        now: DateTime<Utc>,
    ) -> Result<bool, SignInError> {
        let Counters { name, pair, network } = &self.counters;
        let recorded = futures::try_join!(state(node, name), state(node, pair), state(node, network))?;
        let recorded = Counts { name: recorded.0, pair: recorded.1, network: recorded.2 };
        let further = Counts { name: failures.of(name), pair: failures.of(pair), network: failures.of(network) };
        self.counters.check(&recorded, &further, now)?;
        Ok(recorded.name.is_new(network, now))
    }

    /// Counts a failure.
    pub(super) async fn fail(
        &self,
        node: &Node,
        failures: &Failures,
        context: &RequestContext,
    ) -> Result<(), SignInError> {
        let now = Utc::now();
        let Counters { name, pair, network } = &self.counters;
        failures.fail(network, now, |_| Ok(()))?;
        let counted = failures.take(network, PUT_DOWN, now);
        if !self.account {
            failures.fail(pair, now, |guard| guard.check(Subject::NameInNetwork, now))?;
            failures.fail(name, now, |_| Ok(()))?;
            if counted == 0 {
                return Ok(());
            }
        }
        record(node, context, |streams| self.counters.fail(streams, self.account, counted, now)).await
    }
}

/// The guard of a network alone.
pub(in crate::processes) struct NetworkGuard(String);

impl NetworkGuard {
    /// The guard of one-time codes, apart from that of sign-ins.
    pub(in crate::processes) fn of_codes(node: &Node, client_info: &ClientInfo) -> Self {
        let network = network(client_info.ip_address.as_deref().unwrap_or_default());
        NetworkGuard(hex(&node.vault.digest("sign-in-guard", &[b"codes-of-network", network.as_bytes()])))
    }

    pub(in crate::processes) async fn check(&self, node: &Node, failures: &Failures) -> Result<(), DirectoryError> {
        let (recorded, further) = (state(node, &self.0).await?, failures.of(&self.0));
        let checked = recorded.check_with(&further, Subject::Network, Utc::now());
        checked.map_err(|locked| DirectoryError::Refused(locked.into()))
    }

    /// Counts a failure, in events that hold a dozen, like those of sign-ins.
    pub(in crate::processes) async fn fail(&self, node: &Node, failures: &Failures) -> Result<(), DirectoryError> {
        let now = Utc::now();
        // This check never refuses.
        let _ = failures.fail(&self.0, now, |_| Ok(()));
        let counted = failures.take(&self.0, PUT_DOWN, now);
        if counted == 0 {
            return Ok(());
        }
        let counters = Counters { name: String::new(), pair: String::new(), network: self.0.clone() };
        let context = RequestContext::system();
        commit(node, &context, |streams| counters.fail(streams, false, counted, now)).await.map(drop)
    }
}

/// The guard of a session in which a password is asked for again.
pub(super) struct SessionGuard(String);

impl SessionGuard {
    /// The guard of the session in `context`, else of its actor.
    pub(super) fn new(node: &Node, context: &RequestContext) -> Self {
        let metadata = &context.metadata;
        let session = metadata.session.map_or_else(|| metadata.actor.id.clone(), |session| session.to_string());
        SessionGuard(hex(&node.vault.digest("sign-in-guard", &[b"session", session.as_bytes()])))
    }

    pub(super) async fn check(&self, node: &Node) -> Result<(), SignInError> {
        Ok(state(node, &self.0).await?.check(Subject::Session, Utc::now())?)
    }

    pub(super) async fn fail(&self, node: &Node, context: &RequestContext) -> Result<(), SignInError> {
        let now = Utc::now();
        record(node, context, |streams| guards::fail(streams, &self.0, Subject::Session, now)).await
    }
}

async fn state(node: &Node, stream: &str) -> JournalResult<Guard> {
    Ok(node.executor.state::<Guard>(stream).await?.1)
}

/// Commits failures with the system as their actor: a given name does not tell which person failed.
async fn record(
    node: &Node,
    context: &RequestContext,
    decide: impl Fn(&mut Streams) -> Step<()> + Send,
) -> Result<(), SignInError> {
    let mut context = RequestContext { answer: None, ..context.clone() };
    context.metadata = Metadata::system(context.metadata.request_id);
    match commit(node, &context, decide).await {
        Ok(_) => Ok(()),
        Err(DirectoryError::Refused(Refusal::Guard(locked))) => Err(locked.into()),
        Err(error) => Err(error.into()),
    }
}
