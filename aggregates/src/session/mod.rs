//! Sessions, and the guard in front of them.
//!
//! A [`Session`] is a sign-in with its consequences. It stores the user's epoch and membership at its start: a look-up
//! of a session compares them with the present user, so that ending all sessions of a user needs one event and reaches
//! every session, however many there are (see [`crate::user`]).

pub mod guard;
#[cfg(test)]
mod tests;

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{OrganizationId, SessionId, UserId};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// Most valid refresh tokens of a session; beyond that the oldest is dropped.
pub const REFRESH_TOKENS_MAX: usize = 16;
/// Most exchanged refresh tokens of a session that are recognised on reuse.
const SPENT_TOKENS_MAX: usize = 64;

/// Origin of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The user signed in.
    SignIn,
    /// A program authenticated itself.
    Workload,
    /// A program acts for the user, who did not sign in.
    Synthetic,
}

/// Kind of the account of a session.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "SessionAccount"))]
#[serde(rename_all = "kebab-case")]
pub enum Account {
    /// A user.
    #[default]
    User,
    /// An admin; the session's user is the admin.
    Admin,
}

/// Organization in which a session acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "SessionScope"))]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Number of the user's membership there; the session ends when the membership ends or is replaced.
    pub membership: u64,
}

/// The principal that opened a session for another user and acts in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "SessionOpener"))]
#[serde(rename_all = "camelCase")]
pub struct Opener {
    /// Identifier of the user or admin.
    pub id: UserId,
    /// Kind of the account.
    #[serde(default)]
    pub account: Account,
}

/// Data of a new session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Opening {
    /// The session.
    pub id: SessionId,
    /// User or admin of the session.
    pub user_id: UserId,
    /// Kind of the account.
    #[serde(default)]
    pub account: Account,
    /// Epoch of the user; the session ends with the epoch.
    pub epoch: u64,
    /// Organization that the session acts in, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Origin of the session.
    pub origin: Origin,
    /// Principal that acts in the session for its user. Absent where the user acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Opener>,
    /// The organization whose own sign-in opened the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<OrganizationId>,
    /// Latest end of the session.
    pub expires_at: DateTime<Utc>,
    /// Requested lifetime of its access tokens, in seconds, if it is to outlast refreshes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_secs: Option<u32>,
    /// Digest of the refresh token, base64; a session without one cannot be refreshed. A secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_digest: Option<String>,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("scope", &self.scope)
            .field("origin", &self.origin)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Reason of an early end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The user signed out.
    SignedOut,
    /// The user ended the session from another one.
    EndedElsewhere,
    /// An exchanged refresh token was used again: it may have been stolen.
    TokenReused,
    /// The user began another session and had the maximum number.
    TooMany,
}

/// Events of a session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum SessionEvent {
    /// A session began.
    #[serde(rename = "session.opened")]
    Opened(Box<Opening>),
    /// A session got new tokens.
    #[serde(rename = "session.refreshed")]
    Refreshed {
        /// User or admin of the session.
        user_id: UserId,
        /// Kind of the account.
        #[serde(default)]
        account: Account,
        /// Digest of the new refresh token, base64. A secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refresh_digest: Option<String>,
        /// Digest of the replaced refresh token, base64. A secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spent_digest: Option<String>,
    },
    /// A session switched to another organization.
    #[serde(rename = "session.switched")]
    Switched {
        /// The new organization of the session.
        scope: Scope,
        /// Digest of a further refresh token, base64. A secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refresh_digest: Option<String>,
    },
    /// A session goes on while the other sessions of its user end.
    #[serde(rename = "session.renewed")]
    Renewed {
        /// The new epoch of the user.
        epoch: u64,
    },
    /// A session ended before its expiry.
    #[serde(rename = "session.ended")]
    Ended {
        /// Reason of the end.
        reason: EndReason,
    },
}

event_names!(SessionEvent {
    Opened => "session.opened" @ "1.0" Insert, clear [
        "/id", "/userId", "/account", "/scope/organizationId", "/origin", "/by/id", "/by/account", "/via",
        "/expiresAt",
    ];
    Refreshed => "session.refreshed" @ "1.0" Update, clear ["/userId", "/account"];
    Switched => "session.switched" @ "1.0" Update, clear ["/scope/organizationId"];
    Renewed => "session.renewed" @ "1.0" Update, clear [];
    Ended => "session.ended" @ "1.0" Delete, clear ["/reason"];
});

/// Prints the event's name but not its content: part of it is a secret.
impl fmt::Debug for SessionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cqrs_es::DomainEvent::event_type(self))
    }
}

impl EventFacts for SessionEvent {
    // A session is no person, but it has a secret.
    const HAS_SUBJECT: bool = true;

    fn secret_fields(&self) -> &'static [&'static str] {
        match self {
            SessionEvent::Opened(_) | SessionEvent::Switched { .. } => &["/refreshDigest"],
            SessionEvent::Refreshed { .. } => &["/refreshDigest", "/spentDigest"],
            SessionEvent::Renewed { .. } | SessionEvent::Ended { .. } => &[],
        }
    }
}

/// Life cycle of a session.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Session {
    /// Never opened.
    #[default]
    Absent,
    /// Open until its expiry.
    Open(Box<OpenSession>),
    /// Ended.
    Ended,
}

/// An open session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenSession {
    /// User or admin of the session.
    pub user_id: UserId,
    /// Kind of the account.
    #[serde(default)]
    pub account: Account,
    /// Organization in which the session acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Latest end of the session.
    pub expires_at: DateTime<Utc>,
    /// Digests of its refresh tokens, oldest first. Set by events only: no stored state contains them.
    #[serde(skip)]
    pub refresh_digests: VecDeque<String>,
    /// Digests of exchanged refresh tokens, oldest first.
    #[serde(skip)]
    pub spent_digests: VecDeque<String>,
}

impl fmt::Debug for OpenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSession")
            .field("user_id", &self.user_id)
            .field("scope", &self.scope)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Commands of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionCommand {
    /// Opens the session.
    Open(Box<Opening>),
    /// Issues new tokens.
    Refresh {
        /// Digest of the presented refresh token.
        digest: String,
        /// Digest of the replacing refresh token; without one, the presented token stays valid.
        replacement: Option<String>,
        /// The current time.
        now: DateTime<Utc>,
    },
    /// Switches the session to another organization.
    Switch {
        /// The new organization of the session.
        scope: Scope,
        /// Digest of a further refresh token. A session without refresh tokens gets none.
        digest: Option<String>,
        /// The current time.
        now: DateTime<Utc>,
    },
    /// Continues the session in a new epoch of its user.
    Renew {
        /// The new epoch of the user.
        epoch: u64,
    },
    /// Ends the session.
    End(EndReason),
}

/// Refusals of a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The identifier is taken.
    #[error("session already exists")]
    AlreadyExists,
    /// Session not found, or ended.
    #[error("there is no such session any more")]
    Over,
    /// The refresh token belongs to another session.
    #[error("the token does not belong to the session")]
    OtherToken,
}

impl Refuse for SessionError {
    fn kind(&self) -> RefusalKind {
        match self {
            SessionError::AlreadyExists => RefusalKind::Conflict,
            SessionError::Over | SessionError::OtherToken => RefusalKind::Unauthenticated,
        }
    }
}

impl Decide for Session {
    fn creates(command: &SessionCommand) -> bool {
        matches!(command, SessionCommand::Open(_))
    }

    fn decide(&self, command: SessionCommand) -> Result<Vec<SessionEvent>, SessionError> {
        use SessionCommand::{End, Open, Refresh, Renew, Switch};
        match (self, command) {
            (Session::Absent, Open(opening)) => Ok(vec![SessionEvent::Opened(opening)]),
            (Session::Open(_) | Session::Ended, Open(_)) => Err(SessionError::AlreadyExists),
            (Session::Open(running), Refresh { digest, replacement, now }) => {
                running.check(now)?;
                if !running.refresh_digests.contains(&digest) {
                    return Err(SessionError::OtherToken);
                }
                let spent_digest = replacement.is_some().then_some(digest);
                let OpenSession { user_id, account, .. } = **running;
                Ok(vec![SessionEvent::Refreshed { user_id, account, refresh_digest: replacement, spent_digest }])
            }
            (Session::Open(running), Switch { scope, digest, now }) => {
                running.check(now)?;
                let refresh_digest = digest.filter(|_| running.is_refreshable());
                let same = running.scope == Some(scope) && refresh_digest.is_none();
                Ok(if same { vec![] } else { vec![SessionEvent::Switched { scope, refresh_digest }] })
            }
            (Session::Open(_), Renew { epoch }) => Ok(vec![SessionEvent::Renewed { epoch }]),
            (Session::Open(_), End(reason)) => Ok(vec![SessionEvent::Ended { reason }]),
            (Session::Ended, End(_)) => Ok(vec![]),
            (Session::Absent, End(_))
            | (Session::Absent | Session::Ended, Refresh { .. } | Switch { .. } | Renew { .. }) => {
                Err(SessionError::Over)
            }
        }
    }
}

impl OpenSession {
    /// Whether the session has refresh tokens.
    #[must_use]
    pub fn is_refreshable(&self) -> bool {
        !self.refresh_digests.is_empty()
    }

    /// Whether a refresh token with this digest was exchanged.
    #[must_use]
    pub fn is_spent(&self, digest: &str) -> bool {
        self.spent_digests.iter().any(|spent| spent == digest)
    }

    fn keep(&mut self, digest: Option<String>) {
        push(&mut self.refresh_digests, digest, REFRESH_TOKENS_MAX);
    }

    fn spend(&mut self, digest: Option<String>) {
        self.refresh_digests.retain(|kept| Some(kept) != digest.as_ref());
        push(&mut self.spent_digests, digest, SPENT_TOKENS_MAX);
    }

    fn check(&self, now: DateTime<Utc>) -> Result<(), SessionError> {
        if now < self.expires_at { Ok(()) } else { Err(SessionError::Over) }
    }
}

/// Adds a digest; beyond `max` the oldest are dropped.
fn push(digests: &mut VecDeque<String>, digest: Option<String>, max: usize) {
    digests.extend(digest);
    while digests.len() > max {
        digests.pop_front();
    }
}

impl Session {
    fn evolve(&mut self, event: SessionEvent) {
        match (&mut *self, event) {
            (Session::Absent, SessionEvent::Opened(opening)) => {
                let Opening { user_id, account, scope, expires_at, refresh_digest, .. } = *opening;
                let refresh_digests = refresh_digest.into_iter().collect();
                let spent_digests = VecDeque::new();
                let running = OpenSession { user_id, account, scope, expires_at, refresh_digests, spent_digests };
                *self = Session::Open(Box::new(running));
            }
            (Session::Open(running), SessionEvent::Refreshed { refresh_digest, spent_digest, .. }) => {
                running.spend(spent_digest);
                running.keep(refresh_digest);
            }
            (Session::Open(running), SessionEvent::Switched { scope, refresh_digest }) => {
                running.scope = Some(scope);
                running.keep(refresh_digest);
            }
            (Session::Open(_), SessionEvent::Ended { .. }) => *self = Session::Ended,
            // Recorded events are never refused.
            _ => {}
        }
    }
}

aggregate!(Session, "session", SessionCommand, SessionEvent, SessionError);
