//! The User aggregate: names, contacts, sign-in, memberships and roles.
//!
//! A user's memberships and roles are part of this state, since they are few; the admins of an organization are in its
//! [`roster::Roster`] as well, so that the last one cannot be removed. Sessions are separate streams. Their end through
//! a change of the user needs no event of theirs: each stores the [`Profile::epoch`] of the user at its start, and in
//! an organization the [`Membership::number`] as well.

mod calling_codes;
mod contacts;
mod creation;
mod decide;
mod enrollment;
mod event;
mod facts;
mod home;
mod preferences;
mod profile;
mod roles;
pub mod roster;
#[cfg(test)]
mod tests;

pub use contacts::{Contact, ContactChange, Contacts, Phone, PhoneType, SignInName, Username};
pub use creation::Creation;
pub use enrollment::{Enrollment, Gender};
pub use event::UserEvent;
pub use home::Home;
pub use preferences::{
    Channel, PREFERENCES_BYTES_MAX, PREFERENCES_DEPTH_MAX, PREFERENCES_MEMBERS_MAX, Preferences, check_preferences,
};
pub use profile::{BirthDate, Classification, InvitationState, Locale, Names, Profile, UserState};
pub use roles::{Membership, Role, SystemRole};

use crate::refusal::{RefusalKind, Refuse};
use crate::values::{EmailAddress, Finding, IndividualId, OnboardingRequestId, OrganizationId, UserId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Longest first or last name, in characters.
pub const NAME_LENGTH_MAX: usize = 255;
/// Most organizations of one user.
pub const MEMBERSHIPS_MAX: usize = 1_000;
/// Most individuals of one user.
pub const INDIVIDUALS_MAX: usize = 1_000;
/// Most corrections of the address of one sign-up.
pub const CORRECTIONS_MAX: u8 = 3;

/// Life cycle of a user.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    /// Never created.
    #[default]
    Absent,
    /// Present, in any state.
    Present(Box<Profile>),
}

/// Commands of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserCommand {
    /// Creates the user.
    Create(Box<Creation>),
    /// Changes the given members, all of them or none.
    Amend(Box<Amendment>),
    /// Marks the shown e-mail address as verified. The former verified one is freed, and all sessions end.
    ConfirmEmail(EmailAddress),
    /// Marks the shown telephone number as verified. The former verified one is freed, and all sessions end.
    ConfirmPhone(Phone),
    /// Restores the verified e-mail address, if this one is still pending.
    RevertEmail(EmailAddress),
    /// Restores the verified telephone number, if this one is still pending.
    RevertPhone(Phone),
    /// Changes the password after a check of the former one.
    ChangePassword {
        /// Hash with which the given password was compared: another hash by now means a lost race.
        former: String,
        /// The new hash.
        hash: String,
        /// Whether sessions other than the calling one go on.
        keep_sessions: bool,
    },
    /// Sets a password for the user, who has to change it before the next sign-in.
    SetPassword {
        /// The new hash.
        hash: String,
        /// Whether the user's sessions go on.
        keep_sessions: bool,
    },
    /// Sets a password for the user, who has proven a contact. All sessions end, and the password need not be changed.
    ResetPassword {
        /// The new hash.
        hash: String,
    },
    /// Sets the first password of an invited user, who signs up by it. Before an address is confirmed it is set again
    /// by another sign-up, at the earliest when the code of the last one has expired.
    Register {
        /// The hash.
        hash: String,
        /// The onboarding request by which the person signs up.
        onboarding: Option<OnboardingRequestId>,
        /// The current time.
        at: DateTime<Utc>,
    },
    /// Lets a registered user sign in, whose address was confirmed.
    CompleteSignUp,
    /// Records the answers that the person gave with the sign-up.
    Enroll(Box<Enrollment>),
    /// Replaces the e-mail address with which a user signed up by the code of an organization and will sign in, and that
    /// is not confirmed.
    CorrectEmail(EmailAddress),
    /// Ends all sessions.
    EndSessions,
    /// Blocks sign-in and ends all sessions.
    Disable {
        /// The caller; users cannot disable themselves.
        by: UserId,
    },
    /// Allows sign-in again.
    Enable,
    /// Archives the user for good; the contacts are free again.
    Archive,
    /// Makes the user a member of an organization.
    Join(OrganizationId),
    /// Ends a membership with its roles.
    Leave(OrganizationId),
    /// Gives a role in an organization.
    Grant(OrganizationId, Role),
    /// Revokes a role in an organization.
    Revoke(OrganizationId, Role),
    /// Gives a role in the whole system.
    GrantSystem(SystemRole),
    /// Revokes a role in the whole system.
    RevokeSystem(SystemRole),
    /// Records the user's agreement to documents.
    Agree(BTreeSet<Uuid>),
    /// Deletes every agreement, so that the user is asked again.
    ForgetAgreements,
    /// Adds an individual to the user; the first one is the primary one.
    AddIndividual(IndividualId),
    /// Makes an individual the primary one of the user, who gets it if they did not have it.
    AddPrimaryIndividual(IndividualId),
    /// Takes an individual away from the user; the next one becomes the primary one.
    RemoveIndividual(IndividualId),
    /// Moves an account that is not confirmed yet to another home; any other account stays.
    MoveHome(OrganizationId),
    /// Records the state of the person's invitation by an organization.
    NoteInvitation(InvitationState),
}

/// Changes of a user. Absent members stay as they are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// The new first name.
    pub first_name: Option<String>,
    /// The new last name.
    pub last_name: Option<String>,
    /// The new e-mail address, not verified yet.
    pub email: Option<EmailAddress>,
    /// The new telephone number, not verified yet.
    pub phone: Option<Phone>,
    /// The contact for signing in.
    pub username: Option<Username>,
    /// The new locale, chosen by the user.
    pub locale: Option<Locale>,
    /// The new time zone (IANA name), chosen by the user.
    pub time_zone: Option<String>,
    /// The new preferences, channel by channel.
    pub preferences: Option<Preferences>,
    /// The new default organization.
    pub default_organization: Option<OrganizationId>,
    /// The new classification.
    pub classification: Option<Classification>,
    /// The new date of birth.
    pub birth_date: Option<BirthDate>,
}

/// Refusals of a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// User not found.
    #[error("user not found")]
    NotFound,
    /// The identifier is taken.
    #[error("user already exists")]
    AlreadyExists,
    /// Some fields are invalid; all of them are named.
    #[error("{} field(s) refused", .0.len())]
    Invalid(Vec<Finding>),
    /// An archived user cannot be changed.
    #[error("the user is archived")]
    Archived,
    /// The chosen sign-in contact is missing.
    #[error("the user has no such contact")]
    NoSuchContact,
    /// The user is not a member of the default organization.
    #[error("the user is not a member of the organization")]
    NotAMember,
    /// The address is not the user's current one.
    #[error("the e-mail address is another one")]
    OtherEmail,
    /// The number is not the user's current one.
    #[error("the telephone number is another one")]
    OtherPhone,
    /// A concurrent request changed the password.
    #[error("the password was changed in the meantime")]
    OtherPassword,
    /// The user has not signed up, or is not allowed to sign in.
    #[error("no sign-up of the user is open")]
    NotRegistered,
    /// A sign-up with the same invitation has just begun.
    #[error("a sign-up with it has begun; confirm it, or sign up again in ten minutes")]
    SigningUp,
    /// The address belongs to an account that is in use.
    #[error("the address belongs to an account; sign in and claim the invitation")]
    HasAccount,
    /// The address of the sign-up was corrected too often.
    #[error("the address of a sign-up is corrected {CORRECTIONS_MAX} times at most")]
    TooManyCorrections,
    /// Users cannot do this to themselves.
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
            UserError::SigningUp => RefusalKind::Taken { field: "referralCode" },
            UserError::HasAccount => RefusalKind::Taken { field: "username" },
            UserError::AlreadyExists
            | UserError::Archived
            | UserError::OtherEmail
            | UserError::OtherPhone
            | UserError::OtherPassword
            | UserError::NotRegistered
            | UserError::TooManyCorrections
            | UserError::Oneself
            | UserError::TooManyMemberships
            | UserError::TooManyIndividuals => RefusalKind::Conflict,
        }
    }
}
