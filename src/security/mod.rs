//! The security log: a line for every sign-in, every act on credentials and every refusal, for detecting attacks (OWASP
//! ASVS 5.0, 16.3). Lines have the target `registrar::security` and these fields, each where it is known:
//!
//! | field | holds |
//! |---|---|
//! | `event` | the kind of act, see [`Event`] |
//! | `outcome` | `success` or `refused` |
//! | `reason` | reason of a refusal, in words that hold nothing of the request |
//! | `client_address` | the address of the client, as far as trusted proxies tell it |
//! | `actor` | identifier of the calling user, admin or API key |
//! | `session` | identifier of its session |
//! | `organization` | identifier of the organization in which it acts |
//! | `subject_digest` | keyed digest of the given name, equal for equal names of one installation |
//! | `factors` | factors shown by a person: `password`, `password, totp` or `password, recovery-code` |
//! | `operation` | identifier of the operation, or the permission that it needs |
//! | `document` | an altered stored document, as `collection/id` |
//! | `request_id` | our own identifier of the request |
//! | `caller_request_id` | the one that the caller sent |
//!
//! No other data is written: no name, no secret, nothing of a request body. Lines pass every `REGISTRAR_LOG` that does
//! not name the target, and are kept out of traces.

mod witness;

pub(crate) use witness::witness;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Target of the lines.
pub(crate) const TARGET: &str = "registrar::security";

/// Kinds of acts. Their names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A caller shows a token or a key.
    Authentication,
    /// A person or a program signs in.
    SignIn,
    /// A session is refreshed or switched to another organization.
    Session,
    /// A session ends.
    SignOut,
    /// A token is issued for another account.
    TokenIssue,
    /// A password is set.
    Password,
    /// A second factor is set up, enabled, disabled or removed.
    SecondFactor,
    /// An address or a telephone number of an account changes.
    Contact,
    /// An account is created, blocked, unblocked or ended.
    Account,
    /// A role or a permission is granted or revoked.
    Grant,
    /// A key of an organization is created, changed or ended.
    ApiKey,
    /// A signing key is created or retired.
    SigningKey,
    /// An operation is forbidden.
    Access,
    /// A resource of another tenant is requested.
    Unseen,
    /// A rate limit is exceeded.
    RateLimit,
    /// A request violates the contract.
    Input,
    /// A stored document that decides about rights was not written by this installation.
    Integrity,
}

impl Event {
    /// Name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Event::Authentication => "authentication",
            Event::SignIn => "sign-in",
            Event::Session => "session",
            Event::SignOut => "sign-out",
            Event::TokenIssue => "token-issue",
            Event::Password => "password",
            Event::SecondFactor => "second-factor",
            Event::Contact => "contact",
            Event::Account => "account",
            Event::Grant => "grant",
            Event::ApiKey => "api-key",
            Event::SigningKey => "signing-key",
            Event::Access => "access",
            Event::Unseen => "unseen",
            Event::RateLimit => "rate-limit",
            Event::Input => "input",
            Event::Integrity => "integrity",
        }
    }
}

/// The caller of a request.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    /// Identifier of the user, admin or API key.
    pub id: String,
    /// Session of the caller.
    pub session: Option<String>,
    /// The organization in which it acts.
    pub organization: Option<String>,
}

/// External facts about a request.
#[derive(Debug, Default)]
pub struct Scope {
    /// Address of the client.
    pub client_address: Option<String>,
    /// Our own identifier of the request.
    pub request_id: String,
    /// The identifier that the caller sent.
    pub caller_request_id: Option<String>,
    actor: OnceLock<Actor>,
    /// Whether a refusal has been logged already.
    refused: AtomicBool,
}

impl Scope {
    /// A request whose caller is not authenticated yet.
    #[must_use]
    pub fn new(client_address: Option<String>, request_id: String, caller_request_id: Option<String>) -> Self {
        Scope { client_address, request_id, caller_request_id, ..Scope::default() }
    }
}

tokio::task_local! {
    static SCOPE: Arc<Scope>;
}

/// Runs the work of a request; its lines carry the request's fields.
pub async fn within<F: Future>(scope: Scope, work: F) -> F::Output {
    SCOPE.scope(Arc::new(scope), work).await
}

/// Sets the caller, once it is authenticated.
pub fn recognised(actor: Actor) {
    let _ = SCOPE.try_with(|scope| scope.actor.set(actor));
}

/// A line being built.
#[derive(Debug, Default)]
pub struct Line<'l> {
    /// Reason of a refusal. Contains nothing of the request.
    pub reason: Option<&'l str>,
    /// Digest of the given name.
    pub subject_digest: Option<&'l str>,
    /// Right factors that a person showed.
    pub factors: Option<&'l str>,
    /// The operation, or the permission that it needs.
    pub operation: Option<&'l str>,
    /// A stored document, as `collection/id`.
    pub document: Option<&'l str>,
    /// The caller, if the act itself identifies it.
    pub actor: Option<Actor>,
}

/// The result of an act, which sets the level of its line.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Success,
    Refused,
    Alarm,
}

impl Line<'_> {
    /// Logs an act that succeeded.
    pub fn success(self, event: Event) {
        self.write(event, Outcome::Success);
    }

    /// Logs an act that was refused.
    pub fn refused(self, event: Event) {
        self.write(event, Outcome::Refused);
    }

    /// Logs data in the database that this installation did not write; an operator has to look at it immediately.
    fn alarm(self, event: Event) {
        self.write(event, Outcome::Alarm);
    }

    fn write(self, event: Event, outcome: Outcome) {
        let scope = SCOPE.try_with(Arc::clone).unwrap_or_default();
        let actor = self.actor.as_ref().or(scope.actor.get());
        let event = event.name();
        let (actor, session, organization) = (
            actor.map(|actor| actor.id.as_str()),
            actor.and_then(|actor| actor.session.as_deref()),
            actor.and_then(|actor| actor.organization.as_deref()),
        );
        scope.refused.fetch_or(!matches!(outcome, Outcome::Success), Ordering::Relaxed);
        let Scope { client_address, request_id, caller_request_id, .. } = &*scope;
        let (client_address, caller_request_id) = (client_address.as_deref(), caller_request_id.as_deref());
        let Line { reason, subject_digest, factors, operation, document, .. } = self;
        macro_rules! line {
            ($level:ident, $outcome:literal) => {
                tracing::$level!(
                    target: TARGET,
                    event, outcome = $outcome, reason, client_address, actor, session, organization, subject_digest,
                    factors, operation, document, request_id, caller_request_id, concat!("security: ", $outcome)
                )
            };
        }
        match outcome {
            Outcome::Success => line!(info, "success"),
            Outcome::Refused => line!(warn, "refused"),
            Outcome::Alarm => line!(error, "refused"),
        }
    }
}

/// Logs a refused request, unless a line exists already: so no refusal is missed because its own place does not log it.
pub fn refused_unless_noted(event: Event, reason: &str) {
    let noted = SCOPE.try_with(|scope| scope.refused.load(Ordering::Relaxed)).unwrap_or(false);
    if !noted {
        refused(event, reason);
    }
}

/// Logs an act that was refused for a reason.
pub fn refused(event: Event, reason: &str) {
    Line { reason: Some(reason), ..Line::default() }.refused(event);
}

/// Logs that a stored document, `collection/id`, is ignored since it was altered.
pub(crate) fn altered(document: &str, reason: &str) {
    Line { reason: Some(reason), document: Some(document), ..Line::default() }.alarm(Event::Integrity);
}
