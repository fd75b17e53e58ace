//! The rules of giving memberships and roles. Granters give only rights that they hold, never to themselves, and open a
//! person's records (as the participant role does) only to the person's home or with the person's consent.

use crate::refusal::{RefusalKind, Refuse};
use crate::user::{Role, SystemRole};
use crate::values::{OrganizationId, UserId};
use std::collections::BTreeSet;

/// A membership or role to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// Membership in an organization, without a role.
    Membership(OrganizationId),
    /// A role in an organization.
    Role(OrganizationId, Role),
    /// A role in the whole system.
    System(SystemRole),
}

/// The party that grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GrantSource {
    /// The system itself: command line, seeds, tests.
    System,
    /// A user.
    User(UserId),
    /// An account that is no user, so that it cannot grant to itself.
    Admin,
}

/// A granter with its rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granter {
    giver: GrantSource,
    everything: bool,
    /// Whether the granter may give system administration, which holds every permission in every dialect.
    administers_system: bool,
    administers: BTreeSet<OrganizationId>,
    accepted: bool,
}

/// Refusals of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The receiver is the granter.
    #[error("nobody can grant anything to themselves")]
    Oneself,
    /// The granter does not hold the right.
    #[error("a grant needs a granter who holds it")]
    NotHeld,
    /// The person belongs to another organization and has not accepted participation in this one.
    #[error("people from elsewhere take part in an organization only after they have accepted")]
    NotAccepted,
}

impl Refuse for GrantError {
    fn kind(&self) -> RefusalKind {
        match self {
            GrantError::Oneself | GrantError::NotHeld | GrantError::NotAccepted => RefusalKind::Forbidden,
        }
    }
}

impl Granter {
    /// The system, which may grant everything to all.
    #[must_use]
    pub fn system() -> Self {
        let giver = GrantSource::System;
        Granter { giver, everything: true, administers_system: true, administers: BTreeSet::new(), accepted: false }
    }

    /// A user, or an account that is no user, with its rights: everything, or the administration of organizations.
    #[must_use]
    pub fn new(user: Option<UserId>, everything: bool, administers: BTreeSet<OrganizationId>) -> Self {
        let giver = user.map_or(GrantSource::Admin, GrantSource::User);
        Granter { giver, everything, administers_system: everything, administers, accepted: false }
    }

    /// The same granter, who holds everything among people and groups, and fewer permissions than a system admin.
    #[must_use]
    pub fn without_system_admins(self) -> Self {
        Granter { administers_system: false, ..self }
    }

    /// The same granter with the receiver's consent to the grant.
    #[must_use]
    pub fn with_consent(self) -> Self {
        Granter { accepted: true, ..self }
    }

    /// Refuses a grant to the user `to`, whose home organization is `home`. Admins of an organization hold every role
    /// in it; system admins hold everything.
    ///
    /// # Errors
    /// `Oneself`, `NotHeld`, `NotAccepted`.
    pub fn check(&self, grant: Grant, to: UserId, home: Option<OrganizationId>) -> Result<(), GrantError> {
        match self.giver {
            GrantSource::System => return Ok(()),
            GrantSource::User(giver) if giver == to => return Err(GrantError::Oneself),
            GrantSource::User(_) | GrantSource::Admin => {}
        }
        if grant == Grant::System(SystemRole::Admin) && !self.administers_system {
            return Err(GrantError::NotHeld);
        }
        if self.everything {
            return Ok(());
        }
        let organization = match grant {
            Grant::Membership(organization) | Grant::Role(organization, _) => organization,
            Grant::System(_) => return Err(GrantError::NotHeld),
        };
        if !self.administers.contains(&organization) {
            return Err(GrantError::NotHeld);
        }
        match grant {
            Grant::Role(_, Role::Member) if home != Some(organization) && !self.accepted => {
                Err(GrantError::NotAccepted)
            }
            Grant::Membership(_) | Grant::Role(..) | Grant::System(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const HERE: OrganizationId = OrganizationId(Uuid::from_u128(0xA));
    const ELSEWHERE: OrganizationId = OrganizationId(Uuid::from_u128(0xB));
    const GIVER: UserId = UserId(Uuid::from_u128(1));
    const OTHER: UserId = UserId(Uuid::from_u128(2));

    fn every_grant() -> Vec<Grant> {
        let roles = Role::ALL.map(|role| Grant::Role(HERE, role));
        let system = SystemRole::ALL.map(Grant::System);
        [Grant::Membership(HERE)].into_iter().chain(roles).chain(system).collect()
    }

    #[test]
    fn granters_without_every_permission_cannot_make_system_admins() {
        let lesser = Granter::new(None, true, BTreeSet::new()).without_system_admins();
        for grant in every_grant() {
            let expected = if grant == Grant::System(SystemRole::Admin) { Err(GrantError::NotHeld) } else { Ok(()) };
            assert_eq!(lesser.check(grant, OTHER, None), expected, "{grant:?}");
        }
    }

    fn admin_of(organization: OrganizationId) -> Granter {
        Granter::new(Some(GIVER), false, BTreeSet::from([organization]))
    }

    #[test]
    fn the_system_gives_everything() {
        for grant in every_grant() {
            assert_eq!(Granter::system().check(grant, OTHER, None), Ok(()), "{grant:?}");
        }
    }

    #[test]
    fn granters_cannot_grant_to_themselves() {
        for granter in [admin_of(HERE), Granter::new(Some(GIVER), true, BTreeSet::new()), admin_of(HERE).with_consent()]
        {
            for grant in every_grant() {
                assert_eq!(granter.check(grant, GIVER, Some(HERE)), Err(GrantError::Oneself), "{grant:?}");
            }
        }
    }

    #[test]
    fn system_admins_give_everything_to_others_consent_or_not() {
        for granter in [Some(GIVER), None].map(|user| Granter::new(user, true, BTreeSet::new())) {
            for grant in every_grant() {
                assert_eq!(granter.check(grant, OTHER, Some(ELSEWHERE)), Ok(()), "{grant:?}");
            }
        }
    }

    #[test]
    fn organization_admins_grant_everything_there_but_system_roles() {
        for grant in every_grant() {
            let of_system = matches!(grant, Grant::System(_));
            let expected = if of_system { Err(GrantError::NotHeld) } else { Ok(()) };
            assert_eq!(admin_of(HERE).check(grant, OTHER, Some(HERE)), expected, "{grant:?}");
            for granter in [admin_of(ELSEWHERE), Granter::new(Some(GIVER), false, BTreeSet::new())] {
                assert_eq!(granter.check(grant, OTHER, Some(HERE)), Err(GrantError::NotHeld), "{grant:?}");
            }
        }
    }

    #[test]
    fn people_from_elsewhere_take_part_only_with_their_consent() {
        let takes_part = Grant::Role(HERE, Role::Member);
        for home in [Some(ELSEWHERE), None] {
            assert_eq!(admin_of(HERE).check(takes_part, OTHER, home), Err(GrantError::NotAccepted));
            assert_eq!(admin_of(HERE).with_consent().check(takes_part, OTHER, home), Ok(()));
            for grant in [Grant::Membership(HERE), Grant::Role(HERE, Role::Provider), Grant::Role(HERE, Role::Admin)] {
                assert_eq!(admin_of(HERE).check(grant, OTHER, home), Ok(()), "{grant:?}");
            }
        }
    }
}
