//! Roles of a user: in organizations, each with a membership, and in the whole system.

use crate::values::OrganizationId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A role in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Role {
    /// Administers the organization.
    #[serde(rename = "org.admin")]
    Admin,
    /// Works with individuals of the organization.
    #[serde(rename = "org.provider")]
    Provider,
    /// Is a participant of the organization.
    #[serde(rename = "org.member")]
    Member,
}

/// A role in the whole system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum SystemRole {
    /// Holds every grant.
    #[serde(rename = "system.admin")]
    Admin,
    /// Helps users of every organization.
    #[serde(rename = "system.support")]
    Support,
    /// Marks an account of a program.
    #[serde(rename = "system.service")]
    Service,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Admin, Role::Provider, Role::Member];

    /// The role as written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Admin => "org.admin",
            Role::Provider => "org.provider",
            Role::Member => "org.member",
        }
    }

    /// Identifier of the role in an organization: derived from the organization's.
    #[must_use]
    pub fn id(self, organization: OrganizationId) -> Uuid {
        Uuid::new_v5(&organization.0, self.name().as_bytes())
    }
}

impl SystemRole {
    /// All system roles.
    pub const ALL: [SystemRole; 3] = [SystemRole::Admin, SystemRole::Support, SystemRole::Service];

    /// The role as written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SystemRole::Admin => "system.admin",
            SystemRole::Support => "system.support",
            SystemRole::Service => "system.service",
        }
    }

    /// Identifier of the role.
    #[must_use]
    pub fn id(self) -> Uuid {
        Uuid::new_v5(&Uuid::nil(), self.name().as_bytes())
    }
}

/// A user's membership in an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// Number of the membership, counted from 1: a user who rejoins gets another one.
    pub number: u64,
    /// Roles in the organization.
    pub roles: BTreeSet<Role>,
}
