//! The Admin aggregate: a person who administers the platform, with contact data, grants and an optional sign-in
//! account.

mod amend;
mod differences;
mod event;
mod granting;
mod profile;
mod shown;
#[cfg(test)]
mod tests;

pub use amend::{
    AddressEdit, AddressText, AdminChange, AmendmentRefused, ListEdit, PersonText, PhoneNumberEdit, PhoneNumberText,
};
pub use event::{AccountOpened, AdminEvent, Registration};
pub use granting::{Catalogue, Granter};
pub use profile::{Account, Address, AddressDetails, Person, PhoneNumber, PhoneNumberDetails, Profile};

use crate::refusal::{RefusalKind, Refuse};
use crate::{Decide, Snapshots, decide::aggregate, values::Finding};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Life cycle of an admin: absent, active, inactive and back.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admin {
    /// Never registered.
    #[default]
    Absent,
    /// Active: may sign in.
    Active(Box<Profile>),
    /// Inactive: may not sign in, and running tokens are refused.
    Inactive(Box<Profile>),
}

/// Commands of an admin, with the caller where a rule needs it.
#[derive(Clone, PartialEq, Eq)]
pub enum AdminCommand {
    /// Registers a new admin, active at once.
    Register(Box<Registration>, Granter),
    /// Applies changes in order, all of them or none.
    Amend(Vec<AdminChange>, Granter),
    /// Activates the admin.
    Activate(Granter),
    /// Deactivates the admin; callers may not lock themselves out.
    Deactivate(Granter),
    /// Ends all sessions and tokens.
    EndSessions,
    /// Changes the password of the account after a check of the former one.
    ChangePassword {
        /// The hash that the former password matched.
        former: String,
        /// The new hash.
        hash: String,
        /// Whether the sessions go on.
        keep_sessions: bool,
    },
    /// Sets the password of another admin's account, and ends all sessions and tokens.
    SetPassword {
        /// The new hash.
        hash: String,
        /// Expiry of the password.
        expires_at: DateTime<Utc>,
    },
}

/// Hashes of passwords are not printed.
impl std::fmt::Debug for AdminCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AdminCommand::Register(registration, _) => f.debug_tuple("Register").field(registration).finish(),
            AdminCommand::Amend(changes, _) => f.debug_tuple("Amend").field(changes).finish(),
            AdminCommand::Activate(_) => f.write_str("Activate"),
            AdminCommand::Deactivate(_) => f.write_str("Deactivate"),
            AdminCommand::EndSessions => f.write_str("EndSessions"),
            AdminCommand::ChangePassword { .. } => f.write_str("ChangePassword"),
            AdminCommand::SetPassword { .. } => f.write_str("SetPassword"),
        }
    }
}

/// Refusals of an admin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// Admin not found.
    #[error("admin not found")]
    NotFound,
    /// The identifier is taken.
    #[error("admin is already registered")]
    AlreadyRegistered,
    /// Some fields are invalid; all of them are named.
    #[error("{} field(s) refused", .0.len())]
    Invalid(Vec<Finding>),
    /// A change cannot be applied.
    #[error(transparent)]
    AmendmentRefused(#[from] AmendmentRefused),
    /// Callers may not deactivate themselves.
    #[error("admins cannot deactivate themselves")]
    OwnDeactivation,
    /// The admin has no account or is inactive.
    #[error("the admin has no account that signs in")]
    NoAccount,
    /// A concurrent request changed the password.
    #[error("the password was changed meanwhile")]
    OtherPassword,
    /// Callers may not grant themselves anything.
    #[error("admins cannot grant anything to themselves")]
    OwnGrants,
    /// The grants exceed those of the caller, who lacks these permissions.
    #[error("the caller does not hold {}", .0.join(", "))]
    NotHeld(Vec<String>),
}

impl Refuse for AdminError {
    fn kind(&self) -> RefusalKind {
        match self {
            AdminError::NotFound => RefusalKind::NotFound,
            AdminError::Invalid(findings) => RefusalKind::found(findings),
            AdminError::AmendmentRefused(AmendmentRefused { step, misplaced, problem }) => {
                let member = if *misplaced { "path" } else { "value" };
                RefusalKind::invalid(&format!("[{step}].{member}"), problem)
            }
            AdminError::OwnGrants | AdminError::NotHeld(_) => RefusalKind::Forbidden,
            AdminError::AlreadyRegistered
            | AdminError::OwnDeactivation
            | AdminError::NoAccount
            | AdminError::OtherPassword => RefusalKind::Conflict,
        }
    }
}

impl Decide for Admin {
    const SNAPSHOT: Option<Snapshots> = Some(Snapshots { shape: 1, personal: profile::PERSONAL_STATE });

    fn creates(command: &AdminCommand) -> bool {
        matches!(command, AdminCommand::Register(..))
    }

    fn shown(&self) -> Option<serde_json::Value> {
        self.shown_state()
    }

    fn decide(&self, command: AdminCommand) -> Result<Vec<AdminEvent>, AdminError> {
        use Admin::{Absent, Active, Inactive};
        use AdminCommand::{Activate, Amend, ChangePassword, Deactivate, EndSessions, Register, SetPassword};
        match (self, command) {
            (Absent, Register(registration, granter)) => {
                registration.check()?;
                granter.check_holds(&registration.policies, &registration.custom_permissions)?;
                Ok(vec![AdminEvent::Registered(Box::new(registration.normalised()))])
            }
            (
                Absent,
                Amend(..) | Activate(_) | Deactivate(_) | ChangePassword { .. } | SetPassword { .. } | EndSessions,
            ) => Err(AdminError::NotFound),
            (Active(_) | Inactive(_), Register(..)) => Err(AdminError::AlreadyRegistered),
            (Active(profile) | Inactive(profile), Amend(changes, granter)) => amend::amend(profile, changes, &granter),
            (Active(profile), Deactivate(granter)) if granter.is(profile) => Err(AdminError::OwnDeactivation),
            (Active(profile), Deactivate(granter)) => {
                granter.check_switch(profile)?;
                Ok(vec![AdminEvent::Deactivated {}])
            }
            (Inactive(profile), Activate(granter)) => {
                granter.check_switch(profile)?;
                Ok(vec![AdminEvent::Activated {}])
            }
            (Active(profile), ChangePassword { former, hash, keep_sessions }) => match &profile.account {
                None => Err(AdminError::NoAccount),
                Some(account) if account.password_hash != former => Err(AdminError::OtherPassword),
                Some(_) => Ok(vec![AdminEvent::PasswordChanged {
                    password_hash: hash,
                    ends_sessions: !keep_sessions,
                    expires_at: None,
                }]),
            },
            (Active(profile), SetPassword { hash, expires_at }) => match &profile.account {
                None => Err(AdminError::NoAccount),
                Some(_) => Ok(vec![AdminEvent::PasswordChanged {
                    password_hash: hash,
                    ends_sessions: true,
                    expires_at: Some(expires_at),
                }]),
            },
            (Inactive(_), ChangePassword { .. } | SetPassword { .. }) => Err(AdminError::NoAccount),
            (Active(_), EndSessions) => Ok(vec![AdminEvent::SessionsEnded {}]),
            // Repeating a command is no error: the caller already has the wanted state.
            (Active(_), Activate(_)) | (Inactive(_), Deactivate(_) | EndSessions) => Ok(vec![]),
        }
    }
}

impl Admin {
    /// The profile of the admin, unless never registered.
    #[must_use]
    pub fn profile(&self) -> Option<&Profile> {
        match self {
            Admin::Absent => None,
            Admin::Active(profile) | Admin::Inactive(profile) => Some(profile),
        }
    }

    /// Members of a snapshot with personal values, as the patterns of [`crate::personal`].
    pub const PERSONAL_STATE: &'static [&'static str] = profile::PERSONAL_STATE;

    fn evolve(&mut self, event: AdminEvent) {
        *self = match (std::mem::take(self), event) {
            (Admin::Absent, AdminEvent::Registered(registration)) => {
                Admin::Active(Box::new(Profile::from(*registration)))
            }
            (Admin::Inactive(profile), AdminEvent::Activated {}) => Admin::Active(profile),
            (Admin::Active(profile), AdminEvent::Deactivated {}) => Admin::Inactive(profile),
            (Admin::Active(mut profile), event) => {
                profile.evolve(event);
                Admin::Active(profile)
            }
            (Admin::Inactive(mut profile), event) => {
                profile.evolve(event);
                Admin::Inactive(profile)
            }
            // Only a registration can be the first event; recorded events are never refused.
            (Admin::Absent, _) => Admin::Absent,
        };
    }
}

aggregate!(Admin, "admin", AdminCommand, AdminEvent, AdminError);
