//! The home of an account: the organization whose admins manage it besides the person.
//!
//! The right over an account is its home's; the right over a membership is that of the membership's organization.

use super::profile::Profile;
use crate::values::OrganizationId;
use serde::{Deserialize, Serialize};

/// The organization through which an account was created, invited or signed up; else the system.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "UserHomeOrganization"))]
#[serde(rename_all = "camelCase")]
pub struct Home {
    /// The organization; absent for the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
}

impl Home {
    /// The home of system accounts.
    pub const SYSTEM: Home = Home { organization_id: None };

    /// The home of an organization's accounts.
    #[must_use]
    pub fn of(organization: OrganizationId) -> Self {
        Home { organization_id: Some(organization) }
    }
}

impl Profile {
    /// The organization that owns the account; `None` for the system.
    #[must_use]
    pub fn home(&self) -> Option<OrganizationId> {
        self.home.and_then(|home| home.organization_id)
    }

    /// The organization of the oldest membership except that in `left`: the new default and home when the user leaves.
    pub(super) fn heir(&self, left: OrganizationId) -> Option<OrganizationId> {
        let others = self.memberships.iter().filter(|(organization, _)| **organization != left);
        others.min_by_key(|(_, membership)| membership.number).map(|(organization, _)| *organization)
    }

    /// Accounts from releases that recorded no homes belong to the first organization that they join.
    pub(super) fn settle(&mut self, home: Home) {
        self.home.get_or_insert(home);
    }
}
