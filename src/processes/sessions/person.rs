//! The people that have sessions, and the places where their sessions begin.

use super::SessionRequest;
use crate::auth::places::{self, EntryStatus};
use crate::auth::{Identity, Principal};
use crate::executor::RequestContext;
use crate::journal::JournalResult;
use crate::read_store::Documents;
use registrar_aggregates::session::{Account, Scope};
use registrar_aggregates::values::{OrganizationId, SessionId, UserId};
use registrar_projections::{AdminDocument, UserDocument};
use std::sync::Arc;
use uuid::Uuid;

/// The account that a session belongs to.
#[derive(Debug, Clone)]
pub enum Person {
    /// A user.
    User(Arc<UserDocument>),
    /// An admin.
    Admin(Arc<AdminDocument>),
}

impl Person {
    /// The identifier in tokens.
    #[must_use]
    pub fn id(&self) -> UserId {
        match self {
            Person::User(user) => user.profile.id,
            Person::Admin(admin) => UserId(admin.id.0),
        }
    }

    /// The kind of account.
    #[must_use]
    pub fn account(&self) -> Account {
        match self {
            Person::User(_) => Account::User,
            Person::Admin(_) => Account::Admin,
        }
    }

    /// Whether the account has wide rights: every ECG admin, and users with a system role.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        match self {
            Person::User(user) => !user.system_roles.is_empty(),
            Person::Admin(_) => true,
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        match self {
            Person::User(user) => user.epoch,
            Person::Admin(admin) => admin.epoch,
        }
    }

    pub(super) fn scope(&self, organization_id: OrganizationId) -> Option<Scope> {
        let Person::User(user) = self else { return None };
        let membership = user.memberships.get(&organization_id)?.number;
        Some(Scope { organization_id, membership })
    }

    /// The place where a session begins: the requested organization, else the default one, else the oldest membership,
    /// each if sessions can act there. Deleted organizations are skipped; retired ones are reported only to a person
    /// without another one.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(in crate::processes) async fn begins(
        &self,
        documents: &Documents,
        request: &SessionRequest,
    ) -> JournalResult<SessionStart> {
        let Person::User(user) = self else { return Ok(SessionStart::At(None)) };
        let mut candidates: Vec<_> = match request.organization {
            Some(wished) => vec![wished],
            None => user.memberships.keys().copied().collect(),
        };
        let default = user.default_organization;
        candidates.sort_by_key(|organization| {
            let number = user.memberships.get(organization).map(|membership| membership.number);
            (Some(*organization) != default, number)
        });
        let mut retired = false;
        for organization in candidates {
            let Some(scope) = self.scope(organization) else { continue };
            match places::entry_status(documents, user, organization, request.via).await? {
                EntryStatus::Usable => return Ok(SessionStart::At(Some(scope))),
                EntryStatus::SignInElsewhere(url) => return Ok(SessionStart::Elsewhere(url)),
                EntryStatus::Retired => retired = true,
                EntryStatus::Gone => {}
            }
        }
        Ok(match request.organization {
            _ if retired && (request.organization.is_some() || user.system_roles.is_empty()) => SessionStart::Retired,
            Some(_) => SessionStart::Nowhere,
            None => SessionStart::At(None),
        })
    }

    pub(super) fn identity(&self) -> Identity {
        match self {
            Person::User(user) => Identity::from(&user.profile),
            Person::Admin(admin) => Identity::from(&**admin),
        }
    }

    /// The request context extended to the person's own acts.
    #[must_use]
    pub fn context(
        &self,
        context: &RequestContext,
        (session, organization): (Option<SessionId>, Option<OrganizationId>),
        facts: &ClientInfo,
    ) -> RequestContext {
        let principal = match self {
            Person::User(user) => {
                let nowhere = SessionId(Uuid::nil());
                Principal::of_user(Arc::clone(user), session.unwrap_or(nowhere), organization)
            }
            Person::Admin(admin) => Principal::new(admin, None, None),
        };
        let mut context = context.clone();
        context.metadata.actor = principal.actor;
        context.metadata.session = session;
        context.metadata.organization_id = principal.organization;
        context.metadata.ip_address.clone_from(&facts.ip_address);
        context.metadata.user_agent.clone_from(&facts.user_agent);
        context
    }
}

/// The place where a session begins.
pub(in crate::processes) enum SessionStart {
    /// In this scope; `None` for a session without an organization.
    At(Option<Scope>),
    /// The organization's own sign-in, at this address.
    Elsewhere(String),
    /// All its organizations are retired.
    Retired,
    /// The person is not a member of the requested organization.
    Nowhere,
}

/// The origin of a request. Personal; stored only with acts of people whose key can seal it.
#[derive(Debug, Clone, Default)]
pub struct ClientInfo {
    /// Address of the client.
    pub ip_address: Option<String>,
    /// Program of the client.
    pub user_agent: Option<String>,
}
