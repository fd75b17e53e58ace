//! Authentication and permission of callers.
//!
//! [`Authenticator`] turns the `Authorization` header of a request into a [`Principal`]; each route asks the principal
//! for the permission that it declares. Grants are those of the admin's document at that moment, so an amendment or a
//! deactivation counts from the next request on, on every node. Programs of an organization come with an API key
//! instead (see [`api_keys`]).

pub mod api_keys;
mod authenticator;
pub(crate) mod keys;
pub mod network;
pub mod passwords;
pub mod permissions;
pub(crate) mod places;
pub mod rate_limit;
mod sessions;
mod tokens;
pub mod workloads;

pub use authenticator::{Authenticator, IssueError, TTL_MAX, TokenRequest};
pub use keys::{FormerKey, retire, rotate};
pub use passwords::{HasherBusy, PasswordHasher};
pub use permissions::{Permission, Permissions, Policy};
pub use rate_limit::{Rate, RateLimiter};
pub use sessions::{
    ACCESS_SECS_MAX, ActingUser, Bound, Identity, SessionBounds, SessionTokens, SigningInput, acting, is_reserved,
};

use crate::access::Holder;
use crate::journal::{JournalError, JournalResult};
use crate::read_store::Documents;
use registrar_aggregates::admin::Granter;
use registrar_aggregates::api_key::Key;
use registrar_aggregates::user::SystemRole;
use registrar_aggregates::values::{AdminId, OrganizationId, SessionId};
use registrar_aggregates::{Actor, ActorType, OnBehalfOf};
use registrar_projections::{AdminDocument, OrganizationDocument, UserDocument};
use std::sync::Arc;

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Actor recorded with every act of the caller.
    pub actor: Actor,
    /// The represented user whose rights count, where the actor acts for another user.
    pub on_behalf_of: Option<OnBehalfOf>,
    /// Identifier of the admin; `None` for an API key.
    pub admin_id: Option<AdminId>,
    /// The only organization that the caller reaches; `None` for all of them.
    pub organization: Option<String>,
    /// The session in which the caller acts; `None` for a token issued without a session.
    pub session: Option<SessionId>,
    user: Option<Arc<UserDocument>>,
    permissions: Permissions,
    /// Whether the caller holds every grant among users, individuals and groups within its reach. Kept beside
    /// `permissions`, because narrowing to an organization removes all platform-wide permissions there.
    identity_admin: bool,
}

impl Principal {
    /// The admin of `document`, narrowed to an organization and to named permissions where these are given. Narrowing
    /// adds no permission, and within an organization removes all platform-wide ones.
    #[must_use]
    pub fn new(document: &AdminDocument, organization: Option<String>, narrowed_to: Option<&[String]>) -> Self {
        let mut permissions = Permissions::granted(&document.policies, &document.custom_permissions);
        if let Some(names) = narrowed_to {
            permissions = permissions.and(Permissions::named(names));
        }
        // Use the spelling of events: texts are compared, so the result must not depend on the client's spelling.
        let organization = organization.map(spelled);
        let identity_admin = permissions.contains(Permission::IdentityAdmin);
        if organization.is_some() {
            permissions = permissions.within_an_organization();
        }
        let actor = Actor { kind: ActorType::User, id: document.id.to_string(), name: Some(document.full_name()) };
        Principal {
            actor,
            on_behalf_of: None,
            admin_id: Some(document.id),
            organization,
            session: None,
            user: None,
            permissions,
            identity_admin,
        }
    }

    /// The holder of an API key: reaches its organization, with the permissions of its roles.
    #[must_use]
    pub fn of_key(key: &Key) -> Self {
        let permissions = key.roles.iter().flat_map(|role| Permissions::of_role(*role).iter()).collect();
        let actor = Actor { kind: ActorType::Api, id: key.id.to_string(), name: Some(key.name.clone()) };
        let organization = Some(key.organization_id.to_string());
        Principal {
            actor,
            on_behalf_of: None,
            admin_id: None,
            organization,
            session: None,
            user: None,
            permissions,
            identity_admin: false,
        }
    }

    /// A user in a session. It reaches the session's organization, with the permissions of the user's roles there;
    /// system admins reach every organization.
    #[must_use]
    pub fn of_user(user: Arc<UserDocument>, session: SessionId, scope: Option<OrganizationId>) -> Self {
        let kind = match () {
            () if user.system_roles.contains(&SystemRole::Support) => ActorType::Support,
            () if user.system_roles.contains(&SystemRole::Service) => ActorType::Api,
            () => ActorType::User,
        };
        let actor = Actor { kind, id: user.profile.id.to_string(), name: Some(user.full_name()) };
        let organization = scope.map(|scope| scope.to_string());
        let roles = scope.and_then(|scope| user.memberships.get(&scope)).map(|membership| &membership.roles);
        let permissions = match roles {
            _ if user.system_roles.contains(&SystemRole::Admin) => Permissions::ALL,
            Some(roles) => roles.iter().flat_map(|role| Permissions::of_member(*role).iter()).collect(),
            None => Permissions::NONE,
        };
        let reaches = if permissions == Permissions::ALL { None } else { organization };
        Principal {
            actor,
            on_behalf_of: None,
            admin_id: None,
            organization: reaches,
            session: Some(session),
            user: Some(user),
            permissions,
            // Grants of a user follow from its roles.
            identity_admin: false,
        }
    }

    /// Puts the principal into a session of its own.
    #[must_use]
    pub fn in_session(self, session: SessionId) -> Self {
        Principal { session: Some(session), ..self }
    }

    /// Removes the rights of an organization admin where the organization is retired or deleted.
    async fn standing(self, documents: &Documents) -> JournalResult<Self> {
        let Some(own) = self.organization.as_ref().filter(|_| self.identity_admin) else { return Ok(self) };
        let found = documents.find::<OrganizationDocument>(own).await?.value;
        Ok(Principal { identity_admin: crate::access::is_in_force(found.as_deref()), ..self })
    }

    /// Keeps the rights, but records `actor` as acting.
    #[must_use]
    pub fn acted_by(self, actor: Actor) -> Self {
        let represented = OnBehalfOf { kind: self.actor.kind, id: self.actor.id };
        Principal { actor, on_behalf_of: Some(represented), ..self }
    }

    /// Whether the actor acts for another user. Such principals change no address, password, second factor or role.
    #[must_use]
    pub fn acts_for_another(&self) -> bool {
        self.on_behalf_of.is_some()
    }

    /// Identifier of the party whose rights count: the represented user, else the actor.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.on_behalf_of.as_ref().map_or(&self.actor.id, |represented| &represented.id)
    }

    /// The caller's grants among users, individuals and groups. An admin with `identity.admin` that is narrowed to an
    /// organization is an admin of that organization; every other admin and every API key holds nothing there.
    #[must_use]
    pub fn holder(&self) -> Holder {
        if let Some(user) = &self.user {
            return Holder::user(Arc::clone(user));
        }
        let own = self.organization.as_deref().map(uuid::Uuid::try_parse);
        let holder = match own {
            None if self.identity_admin && self.permissions == Permissions::ALL => Holder::of_everything(),
            None if self.identity_admin => Holder::of_everything().with_fewer_permissions(),
            Some(Ok(own)) if self.identity_admin => Holder::of_organization(OrganizationId(own)),
            _ => Holder::default(),
        };
        match self.admin_id {
            Some(admin) => holder.with_account(admin),
            None => holder,
        }
    }

    /// Permissions that the caller may pass on to admins. Permissions within one organization are never granted to
    /// admins.
    #[must_use]
    pub fn granter(&self) -> Granter {
        let held = if self.organization.is_none() { self.permissions } else { Permissions::NONE };
        Granter::Caller { id: self.actor.id.clone(), held: held.names(), catalogue: permissions::catalogue() }
    }

    /// Whether the caller holds `permission`.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(permission)
    }

    /// Whether the caller may see the organization at all. Its own is named by a UUID in any spelling.
    #[must_use]
    pub fn reaches(&self, organization: OrganizationId) -> bool {
        let own = self.organization.as_deref();
        own.is_none_or(|own| uuid::Uuid::try_parse(own).is_ok_and(|own| own == organization.0))
    }

    /// All permissions of the caller.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        self.permissions
    }
}

/// The canonical spelling of an identifier: UUIDs in lower case with hyphens, any other text unchanged.
#[must_use]
pub fn spelled(id: String) -> String {
    uuid::Uuid::try_parse(&id).map_or(id, |id| id.to_string())
}

/// Reason why a caller was not authenticated.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Token missing or rejected. The reason is for the client.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// Authentication could not be decided. This says nothing about the token.
    #[error(transparent)]
    Unavailable(#[from] JournalError),
}

impl From<tokens::TokenError> for AuthError {
    fn from(error: tokens::TokenError) -> Self {
        AuthError::Unauthenticated(error.reason())
    }
}

#[cfg(test)]
mod tests;
