//! The security log: a line for every sign-in, every act on credentials and every refusal, for those who watch for attacks
//! (OWASP ASVS 5.0, 16.3). Lines have the target `registrar::security` and these fields, each where it is known:
//!
//! | field | holds |
//! |---|---|
//! | `event` | the kind of act, see [`Event`] |
//! | `outcome` | `success` or `refused` |
//! | `reason` | why it was refused, in words that hold nothing of the request |
//! | `client_address` | the address of the client, as far as trusted proxies tell it |
//! | `actor` | identifier of the user, admin or API key that called |
//! | `session` | identifier of its session |
//! | `organization` | identifier of the organization in which it acts |
//! | `subject_digest` | keyed digest of the name that was given, equal for equal names of one installation |
//! | `factors` | what was shown of a person: `password`, `password, totp` or `password, recovery-code` |
//! | `operation` | identifier of the operation, or the permission that it needs |
//! | `document` | a stored document as `collection/id`, where it is not as it was written |
//! | `request_id` | our own identifier of the request |
//! | `caller_request_id` | the one that the caller sent |
//!
//! Nothing else is written: no name, no secret, nothing of a body. Lines pass every `REGISTRAR_LOG` that does not name the
//! target, and are kept out of traces.

mod witness;

pub(crate) use witness::witness;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Target of the lines.
pub(crate) const TARGET: &str = "registrar::security";

/// Kinds of acts. Their names are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A caller shows a token or a key.
    Authentication,
    /// A person or a program signs in.
    SignIn,
    /// A session goes on, or goes over to another organization.
    Session,
    /// A session ends.
    SignOut,
    /// A token is issued for another account.
    TokenIssue,
    /// A password is set.
    Password,
    /// A second factor is set up, enabled, disabled or taken away.
    SecondFactor,
    /// An address or a telephone number of an account changes.
    Contact,
    /// An account is made, blocked, allowed again or ended.
    Account,
    /// A role or a permission is given or taken.
    Grant,
    /// A key of an organization is made, changed or ended.
    ApiKey,
    /// A signing key is made or retired.
    SigningKey,
    /// An operation is not allowed.
    Access,
    /// A thing of another tenant is asked for.
    Unseen,
    /// Too many requests come.
    RateLimit,
    /// A request is not as the contract says.
    Input,
    /// A stored document that decides about rights is not as this installation wrote it.
    Integrity,
}

impl Event {
    /// As the log names it.
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
    /// Its session.
    pub session: Option<String>,
    /// The organization in which it acts.
    pub organization: Option<String>,
}

/// A request, as far as it is known from outside.
#[derive(Debug, Default)]
pub struct Scope {
    /// Address of the client.
    pub client_address: Option<String>,
    /// Our own identifier of the request.
    pub request_id: String,
    /// The identifier that the caller sent.
    pub caller_request_id: Option<String>,
    actor: OnceLock<Actor>,
    /// Whether a line tells of a refusal already.
    refused: AtomicBool,
}

impl Scope {
    /// A request whose caller is not recognised yet.
    #[must_use]
    pub fn new(client_address: Option<String>, request_id: String, caller_request_id: Option<String>) -> Self {
        Scope { client_address, request_id, caller_request_id, ..Scope::default() }
    }
}

tokio::task_local! {
    static SCOPE: Arc<Scope>;
}

/// Does the work of a request; what it notes carries the request's fields.
pub async fn within<F: Future>(scope: Scope, work: F) -> F::Output {
    SCOPE.scope(Arc::new(scope), work).await
}

/// Names the caller, once it is recognised.
pub fn recognised(actor: Actor) {
    let _ = SCOPE.try_with(|scope| scope.actor.set(actor));
}

/// A line in the making.
#[derive(Debug, Default)]
pub struct Line<'l> {
    /// Why it was refused. Holds nothing of the request.
    pub reason: Option<&'l str>,
    /// Digest of the name that was given.
    pub subject_digest: Option<&'l str>,
    /// What was shown of a person, and was right.
    pub factors: Option<&'l str>,
    /// The operation, or the permission that it needs.
    pub operation: Option<&'l str>,
    /// A stored document, as `collection/id`.
    pub document: Option<&'l str>,
    /// The caller, where the act itself makes it known.
    pub actor: Option<Actor>,
}

/// What came of an act, and how loud its line is.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Success,
    Refused,
    Alarm,
}

impl Line<'_> {
    /// Notes an act that was carried out.
    pub fn success(self, event: Event) {
        self.write(event, Outcome::Success);
    }

    /// Notes an act that was refused.
    pub fn refused(self, event: Event) {
        self.write(event, Outcome::Refused);
    }

    /// Notes that the database holds what this installation did not write. Somebody has to look at it at once.
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

/// Notes that a request was refused, unless a line tells of it already: no refusal goes unnoticed since its own place forgot
/// to note it.
pub fn refused_unless_noted(event: Event, reason: &str) {
    let noted = SCOPE.try_with(|scope| scope.refused.load(Ordering::Relaxed)).unwrap_or(false);
    if !noted {
        refused(event, reason);
    }
}

/// Notes an act that was refused for a reason.
pub fn refused(event: Event, reason: &str) {
    Line { reason: Some(reason), ..Line::default() }.refused(event);
}

/// Notes that a stored document, `collection/id`, decides nothing since it is not as it was written.
pub(crate) fn altered(document: &str, reason: &str) {
    Line { reason: Some(reason), document: Some(document), ..Line::default() }.alarm(Event::Integrity);
}
