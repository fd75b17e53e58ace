//! The second factor: a secret from which a user's device makes codes (TOTP, RFC 6238).
//!
//! Codes are compared outside, where the clock is; the aggregate receives the time step of a correct code. No step is
//! accepted twice, nor one before it (RFC 6238 5.2).

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{TotpId, UserId};
use crate::{Claim, ClaimKey, Decide, decide::aggregate};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Events of a configuration.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum TotpEvent {
    /// A second factor was created, not enabled yet.
    #[serde(rename = "totp-configuration.created")]
    Created {
        /// The second factor.
        id: TotpId,
        /// User of the second factor.
        user_id: UserId,
        /// The shared secret, base32. A secret.
        secret: String,
    },
    /// A second factor was enabled: every sign-in needs a code.
    #[serde(rename = "totp-configuration.enabled")]
    Enabled {
        /// User of the second factor.
        user_id: UserId,
        /// Time step of the last code that confirmed it.
        step: u64,
        /// Digests of the recovery codes, base64. Secrets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        recovery_digests: Vec<String>,
    },
    /// A code of a second factor was used.
    #[serde(rename = "totp-configuration.code-used")]
    CodeUsed {
        /// Time step of the code.
        step: u64,
    },
    /// A recovery code of a second factor was used; each is valid once.
    #[serde(rename = "totp-configuration.recovery-code-used")]
    RecoveryCodeUsed {
        /// Index of the recovery code, from 0, in the order of issue.
        number: usize,
    },
    /// A second factor was disabled.
    #[serde(rename = "totp-configuration.disabled")]
    Disabled {
        /// User of the second factor.
        user_id: UserId,
    },
    /// A second factor was deleted.
    #[serde(rename = "totp-configuration.deleted")]
    Deleted {
        /// The user who may create a pending configuration again; absent for a configuration that had been enabled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_id: Option<UserId>,
    },
}

event_names!(TotpEvent {
    Created => "totp-configuration.created" @ "1.0" Insert, clear ["/id", "/userId"];
    Enabled => "totp-configuration.enabled" @ "1.0" Update, clear ["/userId"];
    CodeUsed => "totp-configuration.code-used" @ "1.0" Update, clear [];
    RecoveryCodeUsed => "totp-configuration.recovery-code-used" @ "1.0" Update, clear [];
    Disabled => "totp-configuration.disabled" @ "1.0" Update, clear ["/userId"];
    Deleted => "totp-configuration.deleted" @ "1.0" Delete, clear ["/userId"];
});

/// Prints the event's name but not its content: part of it is a secret.
impl fmt::Debug for TotpEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&cqrs_es::DomainEvent::event_type(self))
    }
}

impl EventFacts for TotpEvent {
    // A configuration is no person, but it has a secret.
    const HAS_SUBJECT: bool = true;

    fn claims(&self) -> Vec<Claim> {
        match self {
            TotpEvent::Created { user_id, .. } => vec![Claim::Take(ClaimKey::pending_totp(*user_id))],
            TotpEvent::Enabled { user_id, .. } => {
                vec![Claim::Release(ClaimKey::pending_totp(*user_id)), Claim::Take(ClaimKey::enabled_totp(*user_id))]
            }
            TotpEvent::Disabled { user_id } => vec![Claim::Release(ClaimKey::enabled_totp(*user_id))],
            TotpEvent::Deleted { user_id } => {
                user_id.map(|user_id| Claim::Release(ClaimKey::pending_totp(user_id))).into_iter().collect()
            }
            TotpEvent::CodeUsed { .. } | TotpEvent::RecoveryCodeUsed { .. } => vec![],
        }
    }

    fn own_act(&self) -> bool {
        match self {
            TotpEvent::Created { .. }
            | TotpEvent::Enabled { .. }
            | TotpEvent::Disabled { .. }
            | TotpEvent::Deleted { .. } => true,
            TotpEvent::CodeUsed { .. } | TotpEvent::RecoveryCodeUsed { .. } => false,
        }
    }

    fn secret_fields(&self) -> &'static [&'static str] {
        match self {
            TotpEvent::Created { .. } => &["/secret"],
            TotpEvent::Enabled { .. } => &["/recoveryDigests/*"],
            TotpEvent::CodeUsed { .. }
            | TotpEvent::RecoveryCodeUsed { .. }
            | TotpEvent::Disabled { .. }
            | TotpEvent::Deleted { .. } => &[],
        }
    }
}

/// Life cycle of a configuration.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Totp {
    /// Never created.
    #[default]
    Absent,
    /// Present, enabled or not.
    Present(Box<Configuration>),
    /// Deleted.
    Deleted,
}

/// A present configuration.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// User of the second factor.
    pub user_id: UserId,
    /// Whether sign-in needs a code.
    pub enabled: bool,
    /// Time step of the last accepted code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_step: Option<u64>,
    /// The shared secret, base32. Set by events only: no stored state contains it.
    #[serde(skip)]
    pub secret: String,
    /// Digests of the recovery codes, base64; `None` in place of a used one. Set by events only, too.
    #[serde(skip)]
    pub recovery_digests: Vec<Option<String>>,
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration")
            .field("user_id", &self.user_id)
            .field("enabled", &self.enabled)
            .field("last_step", &self.last_step)
            .finish_non_exhaustive()
    }
}

/// Commands of a configuration.
#[derive(Clone, PartialEq, Eq)]
pub enum TotpCommand {
    /// Creates the configuration.
    Create {
        /// The second factor.
        id: TotpId,
        /// User of the second factor.
        user_id: UserId,
        /// The shared secret, base32.
        secret: String,
    },
    /// Enables it, after two correct codes.
    Enable {
        /// Time steps of the codes, in the order of entry.
        steps: [u64; 2],
        /// Digests of the recovery codes, base64. Earlier codes become invalid.
        recovery_digests: Vec<String>,
    },
    /// Records the use of a code.
    Use {
        /// Time step of the code.
        step: u64,
    },
    /// Records the use of a recovery code.
    Recover {
        /// Digest of the code, base64.
        digest: String,
    },
    /// Disables the configuration.
    Disable,
    /// Deletes the configuration.
    Delete,
}

impl fmt::Debug for TotpCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TotpCommand::Create { .. } => "Create",
            TotpCommand::Enable { .. } => "Enable",
            TotpCommand::Use { .. } => "Use",
            TotpCommand::Recover { .. } => "Recover",
            TotpCommand::Disable => "Disable",
            TotpCommand::Delete => "Delete",
        })
    }
}

/// Refusals of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    /// Configuration not found, or deleted.
    #[error("TOTP configuration not found")]
    NotFound,
    /// The identifier is taken.
    #[error("TOTP configuration already exists")]
    AlreadyExists,
    /// The codes do not belong to two consecutive steps.
    #[error("the codes are not consecutive")]
    NotConsecutive,
    /// The code was used before, or is older than a used one.
    #[error("the code was used before")]
    UsedCode,
    /// The configuration is not enabled.
    #[error("the TOTP configuration is not enabled")]
    NotEnabled,
    /// An enabled configuration cannot be deleted.
    #[error("the TOTP configuration is enabled")]
    Enabled,
}

impl Refuse for TotpError {
    fn kind(&self) -> RefusalKind {
        match self {
            TotpError::NotFound => RefusalKind::NotFound,
            TotpError::NotConsecutive | TotpError::UsedCode => RefusalKind::WrongCode,
            TotpError::AlreadyExists | TotpError::NotEnabled | TotpError::Enabled => RefusalKind::Conflict,
        }
    }
}

impl Decide for Totp {
    fn creates(command: &TotpCommand) -> bool {
        matches!(command, TotpCommand::Create { .. })
    }

    fn decide(&self, command: TotpCommand) -> Result<Vec<TotpEvent>, TotpError> {
        let configuration = match (self, command) {
            (Totp::Absent, TotpCommand::Create { id, user_id, secret }) => {
                return Ok(vec![TotpEvent::Created { id, user_id, secret }]);
            }
            (Totp::Present(_) | Totp::Deleted, TotpCommand::Create { .. }) => return Err(TotpError::AlreadyExists),
            (Totp::Absent | Totp::Deleted, _) => return Err(TotpError::NotFound),
            (Totp::Present(configuration), command) => (configuration, command),
        };
        match configuration {
            (configuration, TotpCommand::Enable { steps: [first, second], recovery_digests }) => {
                if first.checked_add(1) != Some(second) {
                    return Err(TotpError::NotConsecutive);
                }
                configuration.check(first)?;
                let user_id = configuration.user_id;
                let event = TotpEvent::Enabled { user_id, step: second, recovery_digests };
                Ok(if configuration.enabled { vec![] } else { vec![event] })
            }
            (configuration, TotpCommand::Use { step }) => {
                if !configuration.enabled {
                    return Err(TotpError::NotEnabled);
                }
                configuration.check(step)?;
                Ok(vec![TotpEvent::CodeUsed { step }])
            }
            (configuration, TotpCommand::Recover { digest }) => {
                if !configuration.enabled {
                    return Err(TotpError::NotEnabled);
                }
                let number = configuration.recovery_code(&digest).ok_or(TotpError::UsedCode)?;
                Ok(vec![TotpEvent::RecoveryCodeUsed { number }])
            }
            (configuration, TotpCommand::Disable) if configuration.enabled => {
                Ok(vec![TotpEvent::Disabled { user_id: configuration.user_id }])
            }
            (_, TotpCommand::Disable) => Ok(vec![]),
            (configuration, TotpCommand::Delete) if configuration.enabled => Err(TotpError::Enabled),
            (configuration, TotpCommand::Delete) => {
                Ok(vec![TotpEvent::Deleted { user_id: configuration.pending_of() }])
            }
            (_, TotpCommand::Create { .. }) => Err(TotpError::AlreadyExists),
        }
    }
}

impl Configuration {
    /// The user of a configuration that was never enabled.
    fn pending_of(&self) -> Option<UserId> {
        self.last_step.is_none().then_some(self.user_id)
    }

    /// Index of the unused recovery code with this digest.
    #[must_use]
    pub fn recovery_code(&self, digest: &str) -> Option<usize> {
        self.recovery_digests.iter().position(|code| code.as_deref() == Some(digest))
    }

    fn check(&self, step: u64) -> Result<(), TotpError> {
        if self.last_step.is_some_and(|last| step <= last) { Err(TotpError::UsedCode) } else { Ok(()) }
    }
}

impl Totp {
    fn evolve(&mut self, event: TotpEvent) {
        match (&mut *self, event) {
            (Totp::Absent, TotpEvent::Created { user_id, secret, .. }) => {
                *self = Totp::Present(Box::new(Configuration {
                    user_id,
                    enabled: false,
                    last_step: None,
                    secret,
                    recovery_digests: Vec::new(),
                }));
            }
            (Totp::Present(configuration), TotpEvent::Enabled { step, recovery_digests, .. }) => {
                (configuration.enabled, configuration.last_step) = (true, Some(step));
                configuration.recovery_digests = recovery_digests.into_iter().map(Some).collect();
            }
            (Totp::Present(configuration), TotpEvent::RecoveryCodeUsed { number }) => {
                if let Some(code) = configuration.recovery_digests.get_mut(number) {
                    *code = None;
                }
            }
            (Totp::Present(configuration), TotpEvent::CodeUsed { step }) => configuration.last_step = Some(step),
            (Totp::Present(configuration), TotpEvent::Disabled { .. }) => configuration.enabled = false,
            (Totp::Present(_), TotpEvent::Deleted { .. }) => *self = Totp::Deleted,
            // Recorded events are never refused.
            _ => {}
        }
    }
}

aggregate!(Totp, "totp-configuration", TotpCommand, TotpEvent, TotpError);

#[cfg(test)]
mod tests;
