//! Opening a session: the wish, the result and the refusals.

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

/// The session that is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How it begins.
    pub origin: Origin,
    /// Where it acts; where its user acts by default if absent.
    pub organization: Option<OrganizationId>,
    /// Life of its access tokens, in seconds.
    pub access_secs: u32,
    /// Whether that life outlasts refreshes.
    pub sticky: bool,
    /// Life of the session, in seconds.
    pub session_secs: u64,
    /// Whether it can be refreshed.
    pub refreshable: bool,
    /// Further claims of its access token.
    pub additional: BTreeMap<String, Value>,
    /// The one that acts in it, where it is not its user.
    pub by: Option<Opener>,
    /// The organization whose own sign-in opens it.
    pub via: Option<OrganizationId>,
}

impl Wish {
    /// A session with the defaults for its origin.
    #[must_use]
    pub fn plain(origin: Origin) -> Self {
        Wish {
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

/// A session that was opened or given new tokens.
pub struct Opened {
    /// The session.
    pub id: SessionId,
    /// Where it acts.
    pub organization: Option<OrganizationId>,
    /// Its tokens.
    pub tokens: SessionTokens,
    /// Refresh token, shown this once.
    pub refresh_token: Option<Zeroizing<String>>,
    /// Life of the access token, in seconds.
    pub access_secs: u32,
    /// Recovery codes of a second factor that was put in force with it, shown this once.
    pub recovery_codes: Option<RecoveryCodes>,
}

/// Why a session does not begin, or does not go to an organization.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// The organization has a sign-in of its own, at this address.
    #[error("the organization has a sign-in of its own")]
    SignInElsewhere(String),
    /// The organization is retired.
    #[error("the organization is retired")]
    Retired,
    /// The user is not a member of the organization.
    #[error("the user is not a member of the organization")]
    NotAMember,
    /// It could not be found out or recorded.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<JournalError> for NotOpened {
    fn from(error: JournalError) -> Self {
        NotOpened::Directory(error.into())
    }
}

/// Opens a session for a person who was recognised in another way than by signing in.
///
/// # Errors
/// As [`prepare`] and [`Prepared::commit`].
pub async fn open(
    node: &Node,
    authenticator: &Authenticator,
    context: &RequestContext,
    person: &Person,
    wish: &Wish,
) -> Result<Opened, NotOpened> {
    Ok(prepare(node, authenticator, person, wish).await?.commit(node, context).await?)
}
