//! Refusals of a sign-in.

use crate::auth::HasherBusy;
use crate::journal::JournalError;
use crate::processes::DirectoryError;
use crate::processes::passwords::{PasswordError, PasswordWeakness};
use crate::processes::sessions::SessionOpenError;
use registrar_aggregates::session::guard::GuardError;
use uuid::Uuid;

/// The reason why a sign-in was refused.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Wrong name or wrong password; the client does not learn which.
    #[error("wrong user name or password")]
    BadCredentials,
    /// The second factor is needed.
    #[error("a code of the second factor is needed")]
    CodeNeeded,
    /// The code is wrong, or was used before.
    #[error("the code is wrong, or was used before")]
    BadCode,
    /// The account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// The contact of the account was never confirmed.
    #[error("the account is not confirmed yet")]
    Unconfirmed,
    /// The proven contact is not enough: it was corrected before anyone confirmed it.
    #[error("the address was corrected after the sign-up, so the password is needed")]
    PasswordNeeded,
    /// A second factor must be set up first.
    #[error("a second factor must be set up first")]
    SetUpNeeded,
    /// The account need not set up a second factor to sign in.
    #[error("a second factor is set up here only where one must be")]
    SetUpNotNeeded,
    /// Another password must be set first.
    #[error("another password must be set first")]
    ResetNeeded,
    /// Another password should have been set earlier.
    #[error("the password that was set by support counts no longer")]
    ResetOverdue,
    /// The first password, set by another person, has expired.
    #[error("the first password counts no longer")]
    FirstPasswordOver,
    /// The account need not set another password to sign in.
    #[error("a new password is taken only where another one must be set")]
    ResetNotNeeded,
    /// The new password is the present one.
    #[error("the new password must be another one")]
    SamePassword,
    /// The new password is refused.
    #[error(transparent)]
    Weak(#[from] PasswordWeakness),
    /// All organizations of the account are retired.
    #[error("the organization is retired")]
    OrganizationRetired,
    /// Documents must be agreed to first.
    #[error("documents must be agreed to first")]
    AgreementsNeeded(Vec<Uuid>),
    /// A document in the agreements does not exist.
    #[error("there is no such document")]
    NoSuchDocument(Uuid),
    /// Too many failures.
    #[error(transparent)]
    Locked(#[from] GuardError),
    /// Too many passwords are checked at the moment.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The required look-up of the new password among stolen ones failed.
    #[error("the new password could not be looked up among those that were stolen elsewhere")]
    NotLookedUp,
    /// A look-up or the commit failed.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<SessionOpenError> for SignInError {
    fn from(error: SessionOpenError) -> Self {
        match error {
            SessionOpenError::Directory(error) => SignInError::Directory(error),
            SessionOpenError::Retired => SignInError::OrganizationRetired,
            // The place of a session is settled before it is prepared.
            SessionOpenError::SignInElsewhere(_) | SessionOpenError::NotAMember => SignInError::BadCredentials,
        }
    }
}

impl From<PasswordError> for SignInError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Weak(weak) => SignInError::Weak(weak),
            PasswordError::Busy(busy) => SignInError::Busy(busy),
            PasswordError::NotLookedUp => SignInError::NotLookedUp,
        }
    }
}

impl From<JournalError> for SignInError {
    fn from(error: JournalError) -> Self {
        SignInError::Directory(error.into())
    }
}
