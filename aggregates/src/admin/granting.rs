//! Rules of granting: callers grant only permissions that they hold, grant nothing to themselves, and do not change the
//! rights of an admin with more permissions.

use super::{AdminError, profile::Profile};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All policies and permissions. Policies are no aggregates, so a command carries their meaning.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// Names of all permissions.
    pub permissions: BTreeSet<String>,
    /// Permissions of each policy, by its id in lower case.
    pub policies: BTreeMap<String, BTreeSet<String>>,
}

impl Catalogue {
    /// The permissions that policies and custom permissions grant together; unknown ones grant nothing.
    fn granted(&self, policies: &[String], custom_permissions: &[String]) -> BTreeSet<&str> {
        let of_policies = policies.iter().filter_map(|id| self.policies.get(&id.to_ascii_lowercase())).flatten();
        let single = custom_permissions.iter().filter_map(|name| self.permissions.get(name));
        of_policies.chain(single).map(String::as_str).collect()
    }
}

/// The caller of a command, with the permissions that it may pass on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granter {
    /// The server itself and its command line, which may grant everything.
    System,
    /// A caller of an API.
    Caller {
        /// Identifier of the actor.
        id: String,
        /// Names of the permissions that the caller holds in this request, in every organization.
        held: BTreeSet<String>,
        /// The existing policies and permissions.
        catalogue: Arc<Catalogue>,
    },
}

impl Granter {
    /// Whether the caller is the admin of `profile`.
    pub(super) fn is(&self, profile: &Profile) -> bool {
        matches!(self, Granter::Caller { id, .. } if *id == profile.id.to_string())
    }

    /// Checks that the caller holds everything that the lists grant.
    ///
    /// # Errors
    /// `NotHeld` with the missing permissions.
    pub(super) fn check_holds(&self, policies: &[String], custom_permissions: &[String]) -> Result<(), AdminError> {
        let Granter::Caller { held, catalogue, .. } = self else { return Ok(()) };
        let granted = catalogue.granted(policies, custom_permissions);
        let lacking: Vec<_> = granted.into_iter().filter(|name| !held.contains(*name)).map(str::to_owned).collect();
        if lacking.is_empty() { Ok(()) } else { Err(AdminError::NotHeld(lacking)) }
    }

    /// Checks a change of the grants of `profile` to those of the lists. The order of entries grants nothing.
    ///
    /// # Errors
    /// `OwnGrants` where callers add an entry to their own; `NotHeld` where the grants before or after exceed the
    /// caller's.
    pub(super) fn check_change(
        &self,
        profile: &Profile,
        policies: &[String],
        custom_permissions: &[String],
    ) -> Result<(), AdminError> {
        let lists = [(&*profile.policies, policies), (&*profile.custom_permissions, custom_permissions)];
        let added = lists.iter().any(|(before, after)| after.iter().any(|entry| !before.contains(entry)));
        let removed = lists.iter().any(|(before, after)| before.iter().any(|entry| !after.contains(entry)));
        if self.is(profile) {
            return if added { Err(AdminError::OwnGrants) } else { Ok(()) };
        }
        if added || removed {
            self.check_holds(&profile.policies, &profile.custom_permissions)?;
            self.check_holds(policies, custom_permissions)?;
        }
        Ok(())
    }

    /// Checks that the caller may activate or deactivate the admin of `profile`.
    ///
    /// # Errors
    /// `NotHeld` where the admin holds more than the caller.
    pub(super) fn check_switch(&self, profile: &Profile) -> Result<(), AdminError> {
        self.check_holds(&profile.policies, &profile.custom_permissions)
    }
}
