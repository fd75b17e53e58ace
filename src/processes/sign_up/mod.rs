//! Signing up: accounts that people open by themselves, by the code of an organization or by an invitation, and their
//! confirmation by a code that is sent to them. The rules are in [`registrar_aggregates::processes::sign_up`].
//!
//! Everything that a form has wrong is told at once, before the password is hashed. Whether an address is taken is seen
//! at the commit, after the hash, and told to the holder of a valid code alone. Other public answers do not tell known
//! names from unknown ones; they are held to equal times by the caller ([`Pace`](super::codes::Pace)).

mod by_code;
mod by_referral;
mod confirming;
mod form;
mod limits;
mod resending;

pub use by_code::{CodeForm, PreparedCodeSignUp};
pub use by_referral::{PreparedReferralSignUp, ReferralForm};
pub use confirming::{ConfirmationForm, confirmed};
pub use form::address;
pub use limits::SignUpLimits;
pub use resending::{PlannedResend, ResendForm, SignUpKind};

use super::DirectoryError;
use super::codes::{CodeOrder, Shadows};
use super::notices::about;
use super::passwords::{PasswordError, Pwned};
use super::sign_in::Failures;
use crate::auth::rate_limit::RateExceeded;
use crate::auth::{HasherBusy, PasswordHasher};
use crate::journal::JournalError;
use crate::messages::Composer;
use crate::node::Node;
use registrar_aggregates::Violation;
use registrar_aggregates::message::Kind;
use registrar_aggregates::one_time_code::Purpose;
use registrar_aggregates::user::{Contact, Locale, Names};
use registrar_aggregates::values::{OrganizationId, UserId};

/// The parts of the server that signing up needs.
#[derive(Clone, Copy)]
pub struct SignUps<'a> {
    /// The node.
    pub node: &'a Node,
    /// Composes the messages.
    pub composer: &'a Composer,
    /// Hashes passwords.
    pub passwords: &'a PasswordHasher,
    /// Look-up of stolen passwords.
    pub pwned: Option<&'a Pwned>,
    /// Wrong codes counted on this node.
    pub failures: &'a Failures,
    /// Tries by name.
    pub shadows: &'a Shadows,
    /// Limits that are counted on this node.
    pub limits: &'a SignUpLimits,
}

/// Reason why a sign-up is refused.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// Members of the form are invalid, all of which are named.
    #[error("{} member(s) refused", .0.len())]
    Invalid(Vec<Violation>),
    /// An address belongs to another account.
    #[error("the address is taken")]
    Taken {
        /// Field of the form.
        field: &'static str,
    },
    /// The network was told of too many addresses that are taken, or the name asked for too many messages.
    #[error("too many requests")]
    TooMany(RateExceeded),
    /// Too many passwords are checked at the moment.
    #[error(transparent)]
    Busy(#[from] HasherBusy),
    /// The required look-up of the password among stolen ones failed.
    #[error("the password could not be looked up among those that were stolen elsewhere")]
    NotLookedUp,
    /// A refusal of the domain, a failed look-up or commit.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<JournalError> for SignUpError {
    fn from(error: JournalError) -> Self {
        SignUpError::Directory(error.into())
    }
}

impl From<PasswordError> for SignUpError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Weak(weak) => {
                SignUpError::Invalid(vec![Violation { field: "password".to_owned(), detail: weak.to_string() }])
            }
            PasswordError::Busy(busy) => SignUpError::Busy(busy),
            PasswordError::NotLookedUp => SignUpError::NotLookedUp,
        }
    }
}

/// The code that confirms an account, to be sent to one of its contacts in the name of an organization.
fn confirmation_code(
    user: UserId,
    to: Contact,
    locale: Locale,
    organization: Option<OrganizationId>,
    names: &Names,
) -> CodeOrder {
    CodeOrder {
        user,
        purpose: Purpose::SignUp,
        to,
        kind: Kind::VerifyEmail,
        locale,
        organization,
        names: names.clone(),
        about: about(user),
    }
}
