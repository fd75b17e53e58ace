//! The home of an account: whose admins rule over it besides the person.

use super::profile::Profile;
use crate::values::OrganizationId;
use serde::{Deserialize, Serialize};

/// The organization that an account was created, invited or signed up through; the system if it was none.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "UserHome"))]
#[serde(rename_all = "camelCase")]
pub struct Home {
    /// The organization; absent for the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
}

impl Home {
    /// The system.
    pub const SYSTEM: Home = Home { organization_id: None };

    /// An organization.
    #[must_use]
    pub fn of(organization: OrganizationId) -> Self {
        Home { organization_id: Some(organization) }
    }
}

impl Profile {
    /// The organization whose account it is; `None` for the system.
    #[must_use]
    pub fn home(&self) -> Option<OrganizationId> {
        self.home.and_then(|home| home.organization_id)
    }

    /// The organization of the oldest membership but that in `left`: where default and home go when the user leaves.
    pub(super) fn heir(&self, left: OrganizationId) -> Option<OrganizationId> {
        let others = self.memberships.iter().filter(|(organization, _)| **organization != left);
        others.min_by_key(|(_, membership)| membership.number).map(|(organization, _)| *organization)
    }

    /// Accounts from before homes were recorded belong to the first organization that they join.
    pub(super) fn settle(&mut self, home: Home) {
        self.home.get_or_insert(home);
    }
}
