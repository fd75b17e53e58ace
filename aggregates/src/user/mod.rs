//! The User aggregate: who signs in, what they are called, where they belong and what they may be asked to be there.
//!
//! A user's memberships and roles stand here, since there are few of them; who an organization's admins are stands in its
//! [`roster::Roster`] as well, so that the last one cannot go. Sessions are streams of their own. That they end with
//! something that happens to the user needs no event of theirs: each remembers the [`Profile::epoch`] of the user that
//! it began in, and in an organization the [`Membership::number`] as well.

mod contacts;
mod creation;
mod decide;
mod event;
mod home;
mod preferences;
mod profile;
pub mod roster;
#[cfg(test)]
mod tests;

pub use contacts::{Contacts, Phone, PhoneType, SignInName, Username};
pub use creation::Creation;
pub use event::UserEvent;
pub use home::Home;
pub use preferences::{Channel, PREFERENCES_BYTES_MAX, PREFERENCES_DEPTH_MAX, PREFERENCES_MEMBERS_MAX, Preferences};
pub use profile::{BirthDate, Classification, Locale, Membership, Names, Profile, Role, SystemRole, UserState};

use crate::refusal::{RefusalKind, Refuse};
use crate::values::{EmailAddress, Finding, IndividualId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Longest first or last name, in characters.
pub const NAME_LENGTH_MAX: usize = 255;
/// Most organizations of one user.
pub const MEMBERSHIPS_MAX: usize = 1_000;
/// Most individuals of one user.
pub const INDIVIDUALS_MAX: usize = 1_000;

/// A user's life.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    /// Never created.
    #[default]
    Absent,
    /// There, in whichever state.
    Present(Box<Profile>),
}

/// What can be asked of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserCommand {
    /// Creates the user.
    Create(Box<Creation>),
    /// Changes what is given, all of it or nothing.
    Amend(Box<Amendment>),
    /// Notes that the e-mail address, the one that is shown, was found to be the user's. The verified one before is free
    /// then, and all sessions end.
    ConfirmEmail(EmailAddress),
    /// Notes that the telephone number, the one that is shown, was found to be the user's. The verified one before is free
    /// then, and all sessions end.
    ConfirmPhone(Phone),
    /// Puts the verified e-mail address back, if this one still waits.
    RevertEmail(EmailAddress),
    /// Puts the verified telephone number back, if this one still waits.
    RevertPhone(Phone),
    /// Sets another password after the former one was given.
    ChangePassword {
        /// Hash that the given password was compared with: another one by now means that somebody was faster.
        former: String,
        /// Hash of the new one.
        hash: String,
        /// Whether sessions other than the one that asks go on.
        keep_sessions: bool,
    },
    /// Sets another password for the user, who has to change it before the next sign-in.
    SetPassword {
        /// Its hash.
        hash: String,
        /// Whether the user's sessions go on.
        keep_sessions: bool,
    },
    /// Ends all sessions.
    EndSessions,
    /// Blocks sign-in and ends all sessions.
    Disable {
        /// Who asks; nobody disables themselves.
        by: UserId,
    },
    /// Allows sign-in again.
    Enable,
    /// Ends it for good; the contacts are free again.
    Archive,
    /// Makes the user a member of an organization.
    Join(OrganizationId),
    /// Ends a membership with its roles.
    Leave(OrganizationId),
    /// Gives a role in an organization.
    Grant(OrganizationId, Role),
    /// Takes a role in an organization away.
    Revoke(OrganizationId, Role),
    /// Gives a role in the whole system.
    GrantSystem(SystemRole),
    /// Takes a role in the whole system away.
    RevokeSystem(SystemRole),
    /// Notes that the user agrees to documents.
    Agree(BTreeSet<Uuid>),
    /// Forgets every agreement, so that the user is asked again.
    ForgetAgreements,
    /// Makes an individual the user's own; the first one is the primary one.
    AddIndividual(IndividualId),
}

/// Changes of a user. What is absent stays as it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// Another first name.
    pub first_name: Option<String>,
    /// Another last name.
    pub last_name: Option<String>,
    /// Another e-mail address, not verified yet.
    pub email: Option<EmailAddress>,
    /// Another telephone number, not verified yet.
    pub phone: Option<Phone>,
    /// Which contact is the user name.
    pub username: Option<Username>,
    /// Another locale, chosen by the user.
    pub locale: Option<Locale>,
    /// Another time zone (IANA name), chosen by the user.
    pub time_zone: Option<String>,
    /// Other preferences, channel by channel.
    pub preferences: Option<Preferences>,
    /// Another default organization.
    pub default_organization: Option<OrganizationId>,
    /// Another classification.
    pub classification: Option<Classification>,
    /// Another date of birth.
    pub birth_date: Option<BirthDate>,
}

/// Why a user refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// There is no such user.
    #[error("user not found")]
    NotFound,
    /// The identifier is taken.
    #[error("user already exists")]
    AlreadyExists,
    /// Some fields are not as they must be; all of them are named.
    #[error("{} field(s) refused", .0.len())]
    Invalid(Vec<Finding>),
    /// An archived user is not changed any more.
    #[error("the user is archived")]
    Archived,
    /// The user name would be a contact that the user does not have.
    #[error("the user has no such contact")]
    NoSuchContact,
    /// The default organization is none of the user's.
    #[error("the user is not a member of the organization")]
    NotAMember,
    /// The address is not the user's current one.
    #[error("the e-mail address is another one")]
    OtherEmail,
    /// The number is not the user's current one.
    #[error("the telephone number is another one")]
    OtherPhone,
    /// The password was changed in the meantime.
    #[error("the password was changed in the meantime")]
    OtherPassword,
    /// Nobody disables themselves.
    #[error("nobody can disable themselves")]
    Oneself,
    /// More organizations than a user may have.
    #[error("a user is a member of {MEMBERSHIPS_MAX} organizations at most")]
    TooManyMemberships,
    /// More individuals than a user may have.
    #[error("a user has {INDIVIDUALS_MAX} individuals at most")]
    TooManyIndividuals,
}

impl Refuse for UserError {
    fn kind(&self) -> RefusalKind {
        match self {
            UserError::NotFound => RefusalKind::NotFound,
            UserError::Invalid(findings) => RefusalKind::found(findings),
            UserError::NoSuchContact => RefusalKind::invalid("username", self),
            UserError::NotAMember => RefusalKind::invalid("defaultOrganizationId", self),
            UserError::AlreadyExists
            | UserError::Archived
            | UserError::OtherEmail
            | UserError::OtherPhone
            | UserError::OtherPassword
            | UserError::Oneself
            | UserError::TooManyMemberships
            | UserError::TooManyIndividuals => RefusalKind::Conflict,
        }
    }
}
