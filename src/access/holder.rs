//! Holders of grants, and the grants that follow from their account.

use registrar_aggregates::granting::Granter;
use registrar_aggregates::group::staffing::Staffing;
use registrar_aggregates::user::{Role, SystemRole};
use registrar_aggregates::values::{AdminId, GroupId, OrganizationId, UserId};
use registrar_projections::{Query, UserDocument, users};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A party that may hold grants. Disabled and archived users hold none.
#[derive(Debug, Clone, Default)]
pub struct Holder {
    /// Whether every grant is held.
    pub(super) everything: bool,
    /// The organization that a holder without a user account administers.
    pub(super) administers: Option<OrganizationId>,
    pub(super) user: Option<Arc<UserDocument>>,
    /// The account of an admin, which is not a user account.
    pub(super) admin: Option<UserId>,
    /// Whether the holder has fewer permissions than system admins.
    pub(super) lesser: bool,
}

static NOTHING: BTreeSet<GroupId> = BTreeSet::new();

impl Holder {
    /// A user as [found](super::find_acting_user) now. The grants follow from the document, so it must not contain
    /// memberships in deleted or retired organizations.
    #[must_use]
    pub fn user(user: Arc<UserDocument>) -> Self {
        if !user.state.is_enabled() {
            return Holder::default();
        }
        let everything = user.system_roles.contains(&SystemRole::Admin);
        Holder { everything, user: Some(user), ..Holder::default() }
    }

    /// A system admin without a user account.
    #[must_use]
    pub fn of_everything() -> Self {
        Holder { everything: true, ..Holder::default() }
    }

    /// An organization admin without a user account.
    #[must_use]
    pub fn of_organization(organization: OrganizationId) -> Self {
        Holder { administers: Some(organization), ..Holder::default() }
    }

    /// Adds the id of the owner's account, which is not a user account.
    #[must_use]
    pub fn with_account(self, admin: AdminId) -> Self {
        Holder { admin: Some(UserId(admin.0)), ..self }
    }

    /// Marks the holder as an admin with fewer permissions than system admins.
    #[must_use]
    pub fn with_fewer_permissions(self) -> Self {
        Holder { lesser: true, ..self }
    }

    /// Identifier of the account, user or admin.
    #[must_use]
    pub fn account_id(&self) -> Option<UserId> {
        self.user_id().or(self.admin)
    }

    /// Whether every grant is held.
    #[must_use]
    pub fn holds_everything(&self) -> bool {
        self.everything
    }

    /// The user document, if the holder is a user.
    #[must_use]
    pub fn as_user(&self) -> Option<&Arc<UserDocument>> {
        self.user.as_ref()
    }

    /// Identifier of the user, if the holder is one.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.user.as_ref().map(|user| user.profile.id)
    }

    /// Whether the holder has this role in the whole system.
    #[must_use]
    pub fn has_system_role(&self, role: SystemRole) -> bool {
        self.user.as_ref().is_some_and(|user| user.system_roles.contains(&role))
    }

    /// The organizations that the holder is a member of.
    pub fn organizations(&self) -> impl Iterator<Item = OrganizationId> + '_ {
        let memberships = self.user.iter().flat_map(|user| user.memberships.keys().copied());
        memberships.chain(self.administers)
    }

    /// Whether the holder is a member of an organization.
    #[must_use]
    pub fn is_member(&self, organization: OrganizationId) -> bool {
        self.administers == Some(organization)
            || self.user.as_ref().is_some_and(|user| user.memberships.contains_key(&organization))
    }

    /// Whether the holder administers an organization.
    #[must_use]
    pub fn is_admin(&self, organization: OrganizationId) -> bool {
        self.everything || self.administers == Some(organization) || self.acts_as(Role::Admin, organization)
    }

    /// Whether the holder administers any organization.
    #[must_use]
    pub fn is_admin_anywhere(&self) -> bool {
        self.everything || self.organizations().any(|organization| self.is_admin(organization))
    }

    /// Whether the holder works with the people of an organization, as provider or admin.
    #[must_use]
    pub fn is_provider(&self, organization: OrganizationId) -> bool {
        self.administers == Some(organization)
            || self.acts_as(Role::Provider, organization)
            || self.acts_as(Role::Admin, organization)
    }

    /// The groups and divisions that the holder leads in an organization.
    #[must_use]
    pub fn leads(&self, organization: OrganizationId) -> &BTreeSet<GroupId> {
        self.posts(organization).map_or(&NOTHING, |posts| &posts.leads)
    }

    /// The groups that the holder works in.
    #[must_use]
    pub fn works_in(&self, organization: OrganizationId) -> &BTreeSet<GroupId> {
        self.posts(organization).map_or(&NOTHING, |posts| &posts.works_in)
    }

    /// Whether the holder leads a group of an organization, or works in it.
    #[must_use]
    pub fn stands_in(&self, organization: OrganizationId, group: GroupId) -> bool {
        self.leads(organization).contains(&group) || self.works_in(organization).contains(&group)
    }

    /// Whether the holder may see `other`: themselves and members of shared organizations; participants see staff only.
    #[must_use]
    pub fn sees(&self, other: &UserDocument) -> bool {
        let shares = |organization: OrganizationId| {
            other.memberships.get(&organization).is_some_and(|theirs| {
                self.sees_all_of(organization) || theirs.roles.iter().any(|role| *role != Role::Member)
            })
        };
        self.everything
            || self.user_id() == Some(other.profile.id)
            || self.has_system_role(SystemRole::Service)
            || self.has_system_role(SystemRole::Support)
            || self.organizations().any(shares)
    }

    /// Whether the holder sees every user.
    #[must_use]
    pub fn sees_everybody(&self) -> bool {
        self.everything || self.has_system_role(SystemRole::Service) || self.has_system_role(SystemRole::Support)
    }

    /// Whether the holder sees an organization at all.
    #[must_use]
    pub fn sees_organization(&self, organization: OrganizationId) -> bool {
        self.sees_everybody() || self.is_member(organization)
    }

    /// Restricts a query to users that the holder [sees](Holder::sees).
    #[must_use]
    pub fn only_seen(&self, query: Query<UserDocument>) -> Query<UserDocument> {
        if self.everything || self.has_system_role(SystemRole::Service) || self.has_system_role(SystemRole::Support) {
            return query;
        }
        let mut places: Vec<_> = self.user_id().map(users::being).into_iter().collect();
        for organization in self.organizations() {
            if self.sees_all_of(organization) {
                places.push(users::member_of(organization));
            } else {
                let working = Role::ALL.into_iter().filter(|role| *role != Role::Member);
                places.extend(working.map(|role| users::holding(role.id(organization))));
            }
        }
        query.contains_any(&users::PLACES, places)
    }

    /// Whether the holder may change another user's account: system admins, and admins of the account's home
    /// organization. Only system admins change accounts with a role in the whole system, and only if they hold as much
    /// themselves.
    #[must_use]
    pub fn manages_account(&self, other: &UserDocument) -> bool {
        self.is_above(other) || other.system_roles.is_empty() && self.administers_home(other)
    }

    /// Whether the holder administers the system and `other` holds nothing beyond.
    pub(super) fn is_above(&self, other: &UserDocument) -> bool {
        self.everything && !(self.lesser && other.system_roles.contains(&SystemRole::Admin))
    }

    /// Whether the holder administers the home organization of a user.
    pub(super) fn administers_home(&self, other: &UserDocument) -> bool {
        other.home().is_some_and(|home| self.is_admin(home))
    }

    /// Whether the holder sets passwords for people who cannot sign in.
    #[must_use]
    pub fn supports(&self) -> bool {
        self.everything || self.has_system_role(SystemRole::Support)
    }

    /// The grants that the holder may give to others.
    #[must_use]
    pub fn granter(&self) -> Granter {
        let administers = self.organizations().filter(|organization| self.is_admin(*organization));
        let granter = Granter::new(self.user_id(), self.everything, administers.collect());
        if self.lesser { granter.without_system_admins() } else { granter }
    }

    /// Whether the holder is a program or administers the system; both may ask any access question.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.everything || self.has_system_role(SystemRole::Service)
    }

    /// Whether the holder may ask for a user's access. Every holder may ask for their own.
    #[must_use]
    pub fn may_ask_about(&self, user: UserId) -> bool {
        self.user_id() == Some(user) || self.is_service()
    }

    /// Whether the holder sees every user of an organization.
    #[must_use]
    pub fn sees_all_of(&self, organization: OrganizationId) -> bool {
        self.is_admin(organization)
            || self.is_provider(organization)
            || self.has_system_role(SystemRole::Service)
            || self.has_system_role(SystemRole::Support)
    }

    fn acts_as(&self, role: Role, organization: OrganizationId) -> bool {
        self.user.as_ref().is_some_and(|user| user.acts_as(role, organization))
    }

    fn posts(&self, organization: OrganizationId) -> Option<&Staffing> {
        self.user.as_ref().and_then(|user| user.standing_posts_in(organization))
    }
}
