//! Permissions, and the built-in policies that grant them.

use registrar_aggregates::admin::Catalogue;
use registrar_aggregates::api_key::Role;
use registrar_aggregates::user::Role as MemberRole;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

macro_rules! permissions {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// A permission, named `<resource>.<act>`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission {
            $($(#[$doc])* $variant,)*
        }

        impl Permission {
            /// All permissions.
            pub const ALL: &'static [Permission] = &[$(Permission::$variant),*];

            /// Name of the permission in tokens and in the custom permissions of an admin.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Permission::$variant => $name,)* }
            }
        }
    };
}

permissions! {
    /// Reads admins.
    EcgAdminsRead => "ecg-admins.read",
    /// Registers admins.
    EcgAdminsCreate => "ecg-admins.create",
    /// Amends, activates and deactivates admins.
    EcgAdminsUpdate => "ecg-admins.update",
    /// Reads the audit trail of admins.
    EcgAdminsAudit => "ecg-admins.audit",
    /// Follows the events of the whole directory.
    EventsRead => "events.read",
    /// Reads history, past states and proofs.
    AuditRead => "audit.read",
    /// Reads organizations and their resources.
    OrganizationsRead => "organizations.read",
    /// Changes organizations and their resources.
    OrganizationsWrite => "organizations.write",
    /// Deletes and retires organizations and ends their retirement.
    OrganizationsEnd => "organizations.end",
    /// Reads the audit trail of an organization.
    OrganizationsAudit => "organizations.audit",
    /// Reads the API keys of an organization.
    ApiKeysRead => "api-keys.read",
    /// Creates, changes and deletes the API keys of an organization.
    ApiKeysWrite => "api-keys.write",
    /// Holds every grant among users, individuals and groups.
    IdentityAdmin => "identity.admin",
    /// Reports what became of messages.
    MessagesReport => "messages.report",
}

impl Permission {
    /// Whether the permission reaches beyond a single organization. A principal narrowed to an organization never has
    /// it.
    #[must_use]
    pub const fn is_platform_wide(self) -> bool {
        match self {
            Permission::EcgAdminsRead
            | Permission::EcgAdminsCreate
            | Permission::EcgAdminsUpdate
            | Permission::EcgAdminsAudit
            | Permission::IdentityAdmin
            // An organization does not end itself.
            | Permission::OrganizationsEnd
            // A mail server hands on the mails of every organization.
            | Permission::MessagesReport
            // The feed carries the events of every organization.
            | Permission::EventsRead => true,
            Permission::AuditRead
            | Permission::OrganizationsRead
            | Permission::OrganizationsWrite
            | Permission::OrganizationsAudit
            | Permission::ApiKeysRead
            | Permission::ApiKeysWrite => false,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that is not the name of a permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such permission; there are {}", Permission::ALL.iter().map(|p| p.name()).collect::<Vec<_>>().join(", "))]
pub struct UnknownPermission;

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        Permission::ALL.iter().copied().find(|permission| permission.name() == text).ok_or(UnknownPermission)
    }
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u32);

impl Permissions {
    /// The empty set.
    pub const NONE: Permissions = Permissions(0);
    /// All permissions.
    pub const ALL: Permissions = Permissions::of(Permission::ALL);

    /// The permissions of a list.
    #[must_use]
    pub const fn of(list: &[Permission]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < list.len() {
            bits |= 1 << list[index] as u32;
            index += 1;
        }
        Permissions(bits)
    }

    /// The permissions granted by policies and custom permissions together. Unknown policies and texts grant nothing.
    #[must_use]
    pub fn granted(policies: &[String], custom_permissions: &[String]) -> Self {
        let from_policies =
            policies.iter().filter_map(|id| Policy::find(id)).fold(0, |bits, policy| bits | policy.permissions.0);
        Permissions(from_policies | Permissions::named(custom_permissions).0)
    }

    /// Permissions that a role grants to an API key, within its organization.
    #[must_use]
    pub const fn of_role(role: Role) -> Self {
        match role {
            Role::Admin => Permissions::of(&[
                Permission::OrganizationsRead,
                Permission::OrganizationsWrite,
                Permission::OrganizationsAudit,
                Permission::ApiKeysRead,
                Permission::ApiKeysWrite,
            ]),
            Role::Developer => Permissions::of(&[Permission::OrganizationsRead, Permission::OrganizationsAudit]),
            Role::QueryEndpoints => Permissions::NONE,
        }
    }

    /// Permissions that a role grants to a member of an organization, within it.
    #[must_use]
    pub const fn of_member(role: MemberRole) -> Self {
        match role {
            MemberRole::Admin => Permissions::of(&[
                Permission::OrganizationsRead,
                Permission::OrganizationsWrite,
                Permission::OrganizationsAudit,
                Permission::AuditRead,
                Permission::ApiKeysRead,
                Permission::ApiKeysWrite,
            ]),
            // The identity API decides how much of their organization they see.
            MemberRole::Provider | MemberRole::Member => Permissions::NONE,
        }
    }

    /// The permissions with these names. Unknown names are skipped.
    #[must_use]
    pub fn named(names: &[String]) -> Self {
        names.iter().filter_map(|name| name.parse::<Permission>().ok()).collect()
    }

    /// The intersection of both sets.
    #[must_use]
    pub fn and(self, other: Permissions) -> Self {
        Permissions(self.0 & other.0)
    }

    /// Removes permissions that reach beyond one organization.
    #[must_use]
    pub fn within_an_organization(self) -> Self {
        self.iter().filter(|permission| !permission.is_platform_wide()).collect()
    }

    /// Whether the set contains `permission`.
    #[must_use]
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u32) != 0
    }

    /// Names of the permissions in the set.
    #[must_use]
    pub fn names(self) -> BTreeSet<String> {
        self.iter().map(|permission| permission.name().to_owned()).collect()
    }

    /// Iterates over the set.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Permissions(permissions.into_iter().fold(0, |bits, permission| bits | 1 << permission as u32))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::name)).finish()
    }
}

/// A built-in set of permissions. Clients name it by its id, which is the same in every installation.
#[derive(Debug)]
pub struct Policy {
    /// Identifier, opaque to clients.
    pub id: &'static str,
    /// Display name.
    pub name: &'static str,
    /// Permissions that the policy grants.
    pub permissions: Permissions,
}

/// All permissions, in every organization.
pub const ADMINISTRATOR: Policy =
    Policy { id: "0f6c1f8e-5b0a-4d6e-9a57-3f1d2c7b8a01", name: "administrator", permissions: Permissions::ALL };

/// Runs the directory from day to day, including the end of organizations. It does not change admins.
pub const OPERATOR: Policy = Policy {
    id: "0f6c1f8e-5b0a-4d6e-9a57-3f1d2c7b8a02",
    name: "operator",
    permissions: Permissions::of(&[
        Permission::EcgAdminsRead,
        Permission::EventsRead,
        Permission::OrganizationsRead,
        Permission::OrganizationsWrite,
        Permission::OrganizationsEnd,
    ]),
};

/// Reads everything and changes nothing.
pub const AUDITOR: Policy = Policy {
    id: "0f6c1f8e-5b0a-4d6e-9a57-3f1d2c7b8a03",
    name: "auditor",
    permissions: Permissions::of(&[
        Permission::EcgAdminsRead,
        Permission::EcgAdminsAudit,
        Permission::EventsRead,
        Permission::AuditRead,
        Permission::OrganizationsRead,
        Permission::OrganizationsAudit,
        Permission::ApiKeysRead,
    ]),
};

impl Policy {
    /// All built-in policies.
    pub const ALL: &'static [Policy] = &[ADMINISTRATOR, OPERATOR, AUDITOR];

    /// The policy with this id, letter case of the UUID aside.
    #[must_use]
    pub fn find(id: &str) -> Option<&'static Policy> {
        Policy::ALL.iter().find(|policy| policy.id.eq_ignore_ascii_case(id))
    }
}

/// All that can be granted, in the form that the rules about granting read.
#[must_use]
pub fn catalogue() -> Arc<Catalogue> {
    static CATALOGUE: LazyLock<Arc<Catalogue>> = LazyLock::new(|| {
        let policies = Policy::ALL.iter().map(|policy| (policy.id.to_ascii_lowercase(), policy.permissions.names()));
        Arc::new(Catalogue { permissions: Permissions::ALL.names(), policies: policies.collect() })
    });
    Arc::clone(&CATALOGUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn every_permission_is_found_by_its_name_and_only_by_it() {
        for &permission in Permission::ALL {
            assert_eq!(permission.name().parse(), Ok(permission));
            assert_eq!(permission.name().to_uppercase().parse::<Permission>(), Err(UnknownPermission));
        }
        assert_eq!("".parse::<Permission>(), Err(UnknownPermission));
    }

    #[test]
    fn policy_ids_are_uuids_and_differ() {
        for policy in Policy::ALL {
            let id: uuid::Uuid = policy.id.parse().expect("a UUID");
            assert_eq!(id.to_string(), policy.id);
            assert_eq!(Policy::ALL.iter().filter(|other| other.id == policy.id).count(), 1);
        }
    }

    #[test]
    fn an_admin_without_grants_holds_no_permission() {
        assert_eq!(Permissions::granted(&[], &[]), Permissions::NONE);
    }

    #[test]
    fn the_administrator_policy_grants_everything() {
        let held = Permissions::granted(&texts(&[ADMINISTRATOR.id]), &[]);
        assert!(Permission::ALL.iter().all(|&permission| held.contains(permission)));
    }

    #[test]
    fn operator_and_auditor_cannot_make_administrators() {
        for policy in [OPERATOR, AUDITOR] {
            assert!(!policy.permissions.contains(Permission::EcgAdminsCreate));
            assert!(!policy.permissions.contains(Permission::EcgAdminsUpdate));
        }
    }

    #[test]
    fn unknown_policies_and_texts_grant_nothing() {
        let held = Permissions::granted(
            &texts(&["administrator", "", "3fa85f64-5717-4562-b3fc-2c963f66afa6"]),
            &texts(&["*", "all"]),
        );
        assert_eq!(held, Permissions::NONE);
    }

    #[test]
    fn a_custom_permission_is_added_to_those_of_the_policies() {
        let held = Permissions::granted(&texts(&[AUDITOR.id]), &texts(&["ecg-admins.create", "ecg-admins.fly"]));
        assert!(held.contains(Permission::EcgAdminsCreate));
        assert!(held.contains(Permission::AuditRead));
        assert!(!held.contains(Permission::EcgAdminsUpdate));
    }

    #[test]
    fn no_role_of_a_key_reaches_beyond_its_organization() {
        for role in Role::ALL {
            let held = Permissions::of_role(role);
            assert_eq!(held, held.within_an_organization(), "{role}");
        }
        assert_eq!(Permissions::of_role(Role::QueryEndpoints), Permissions::NONE);
        assert!(!Permissions::of_role(Role::Developer).contains(Permission::OrganizationsWrite));
    }

    #[test]
    fn keys_that_may_write_keys_hold_the_permissions_of_every_role() {
        for role in Role::ALL {
            let held = Permissions::of_role(role);
            let all =
                Role::ALL.iter().all(|other| Permissions::of_role(*other).and(held) == Permissions::of_role(*other));
            assert!(all || !held.contains(Permission::ApiKeysWrite), "{role}");
        }
    }

    #[test]
    fn organizations_are_ended_by_administrators_and_operators_alone() {
        let ending = Policy::ALL.iter().filter(|policy| policy.permissions.contains(Permission::OrganizationsEnd));
        assert_eq!(ending.map(|policy| policy.name).collect::<Vec<_>>(), ["administrator", "operator"]);
        let roles = [MemberRole::Admin, MemberRole::Provider, MemberRole::Member];
        assert!(roles.iter().all(|role| !Permissions::of_member(*role).contains(Permission::OrganizationsEnd)));
        assert!(Role::ALL.iter().all(|role| !Permissions::of_role(*role).contains(Permission::OrganizationsEnd)));
        assert!(!ADMINISTRATOR.permissions.within_an_organization().contains(Permission::OrganizationsEnd));
    }

    #[test]
    fn messages_are_reported_on_by_administrators_and_those_who_are_named_for_it() {
        let reporting = Policy::ALL.iter().filter(|policy| policy.permissions.contains(Permission::MessagesReport));
        assert_eq!(reporting.map(|policy| policy.name).collect::<Vec<_>>(), ["administrator"]);
        assert!(Permissions::granted(&[], &texts(&["messages.report"])).contains(Permission::MessagesReport));
        assert!(Role::ALL.iter().all(|role| !Permissions::of_role(*role).contains(Permission::MessagesReport)));
        assert!(!Permissions::ALL.within_an_organization().contains(Permission::MessagesReport));
    }

    #[test]
    fn no_role_of_a_member_reaches_beyond_its_organization() {
        for role in [MemberRole::Admin, MemberRole::Provider, MemberRole::Member] {
            let held = Permissions::of_member(role);
            assert_eq!(held, held.within_an_organization(), "{role:?}");
        }
        assert_eq!(Permissions::of_member(MemberRole::Provider), Permissions::NONE);
        assert_eq!(Permissions::of_member(MemberRole::Member), Permissions::NONE);
    }

    #[test]
    fn the_catalogue_names_every_permission_and_policy() {
        let catalogue = catalogue();
        assert_eq!(catalogue.permissions.len(), Permission::ALL.len());
        for policy in Policy::ALL {
            assert_eq!(catalogue.policies[policy.id], policy.permissions.names(), "{}", policy.name);
        }
    }

    #[test]
    fn within_an_organization_no_platform_wide_permission_is_left() {
        let held = Permissions::ALL.within_an_organization();
        assert!(held.contains(Permission::OrganizationsWrite));
        assert!(held.iter().all(|permission| !permission.name().starts_with("ecg-admins.")));
    }
}
