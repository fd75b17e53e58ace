//! The enabled admins of one organization, or of the system: one stream each, committed with every change that makes or
//! unmakes an enabled admin, so that the last one cannot be removed, not even two at once.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{OrganizationId, UserId};
use crate::{Decide, decide::aggregate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The enabled admins.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roster(BTreeSet<UserId>);

/// Commands of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterCommand {
    /// Adds an enabled admin.
    Add(UserId),
    /// Removes an admin who lost the role or was disabled.
    Remove(UserId),
}

/// Events of a roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum RosterEvent {
    /// An enabled admin was added to an organization or to the system.
    #[serde(rename = "admin-roster.added")]
    Added {
        /// The admin.
        user_id: UserId,
    },
    /// An enabled admin was removed from an organization or from the system.
    #[serde(rename = "admin-roster.removed")]
    Removed {
        /// The admin.
        user_id: UserId,
    },
}

event_names!(RosterEvent {
    Added => "admin-roster.added" @ "1.0" Update, clear ["/userId"];
    Removed => "admin-roster.removed" @ "1.0" Withdraw, clear ["/userId"];
});

impl EventFacts for RosterEvent {}

/// Refusals of a roster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// The last admin cannot be removed.
    #[error("the last admin cannot be removed")]
    LastAdmin,
}

impl Refuse for RosterError {
    fn kind(&self) -> RefusalKind {
        match self {
            RosterError::LastAdmin => RefusalKind::Conflict,
        }
    }
}

/// The stream of an organization's roster; `None` for the system's.
#[must_use]
pub fn stream(organization: Option<OrganizationId>) -> String {
    organization.map_or_else(|| "system".to_owned(), |organization| organization.to_string())
}

impl Roster {
    /// Whether the user is on the roster.
    #[must_use]
    pub fn has(&self, user: UserId) -> bool {
        self.0.contains(&user)
    }

    fn evolve(&mut self, event: RosterEvent) {
        match event {
            RosterEvent::Added { user_id } => self.0.insert(user_id),
            RosterEvent::Removed { user_id } => self.0.remove(&user_id),
        };
    }
}

impl Decide for Roster {
    fn decide(&self, command: RosterCommand) -> Result<Vec<RosterEvent>, RosterError> {
        match command {
            RosterCommand::Add(user_id) if !self.has(user_id) => Ok(vec![RosterEvent::Added { user_id }]),
            RosterCommand::Remove(user_id) if self.has(user_id) && self.0.len() == 1 => Err(RosterError::LastAdmin),
            RosterCommand::Remove(user_id) if self.has(user_id) => Ok(vec![RosterEvent::Removed { user_id }]),
            RosterCommand::Add(_) | RosterCommand::Remove(_) => Ok(vec![]),
        }
    }
}

aggregate!(Roster, "admin-roster", RosterCommand, RosterEvent, RosterError);
