//! Opening of sessions: the request, the result and the refusals.

use super::{Person, prepare};
use crate::auth::{Authenticator, SessionTokens};
use crate::executor::RequestContext;
use crate::journal::JournalError;
use crate::node::Node;
use crate::processes::DirectoryError;
use crate::processes::second_factor::RecoveryCodes;
use registrar_aggregates::session::{Opener, Origin};
use registrar_aggregates::values::{OrganizationId, SessionId};
use serde_json::Value;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Longest life of an access token, and the default one, in seconds.
pub const ACCESS_SECS: u32 = crate::auth::ACCESS_SECS_MAX;
/// Default life of a session, in seconds: thirty days.
pub const SESSION_SECS: u64 = 30 * 24 * 60 * 60;

/// Parameters of a requested session.
#[derive(Debug, Clone)]
pub struct SessionRequest {
    /// Origin of the session.
    pub origin: Origin,
    /// The organization that it acts in; `None` for the user's default one.
    pub organization: Option<OrganizationId>,
    /// Life of its access tokens, in seconds.
    pub access_secs: u32,
    /// Whether that life also applies after refreshes.
    pub sticky: bool,
    /// Life of the session, in seconds.
    pub session_secs: u64,
    /// Whether it can be refreshed.
    pub refreshable: bool,
    /// Further claims of its access token.
    pub additional: BTreeMap<String, Value>,
    /// The acting party, where it is not the user.
    pub by: Option<Opener>,
    /// The organization whose own sign-in opens it.
    pub via: Option<OrganizationId>,
}

impl SessionRequest {
    /// A session with the defaults for its origin.
    #[must_use]
    pub fn plain(origin: Origin) -> Self {
        SessionRequest {
            origin,
            organization: None,
            access_secs: ACCESS_SECS,
            sticky: false,
            session_secs: SESSION_SECS,
            refreshable: true,
            additional: BTreeMap::new(),
            by: None,
            via: None,
        }
    }
}

/// A session that was opened or refreshed.
pub struct OpenedSession {
    /// Identifier of the session.
    pub id: SessionId,
    /// The organization that it acts in.
    pub organization: Option<OrganizationId>,
    /// Access and id token.
    pub tokens: SessionTokens,
    /// Refresh token, shown this once.
    pub refresh_token: Option<Zeroizing<String>>,
    /// Life of the access token, in seconds.
    pub access_secs: u32,
    /// Recovery codes of a second factor that was enabled with it, shown this once.
    pub recovery_codes: Option<RecoveryCodes>,
}

/// Reason why a session is not opened or switched.
#[derive(Debug, thiserror::Error)]
pub enum SessionOpenError {
    /// The organization has a sign-in of its own, at this address.
    #[error("the organization has a sign-in of its own")]
    SignInElsewhere(String),
    /// The organization is retired.
    #[error("the organization is retired")]
    Retired,
    /// The user is not a member of the organization.
    #[error("the user is not a member of the organization")]
    NotAMember,
    /// A look-up or the commit failed.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<JournalError> for SessionOpenError {
    fn from(error: JournalError) -> Self {
        SessionOpenError::Directory(error.into())
    }
}

/// Opens a session for a person who was authenticated in another way than by signing in.
///
/// # Errors
/// As [`prepare`] and [`commit`](super::PreparedSession::commit).
pub async fn open(
    node: &Node,
    authenticator: &Authenticator,
    context: &RequestContext,
    person: &Person,
    request: &SessionRequest,
) -> Result<OpenedSession, SessionOpenError> {
    Ok(prepare(node, authenticator, person, request).await?.commit(node, context).await?)
}
