//! Sessions: opened, given new tokens, moved to another organization, ended.

use super::{DirectoryError, Refusal, lift};
use crate::access::find_user;
use crate::auth::{Authenticator, Identity, Principal, SessionTokens, Signing, is_live};
use crate::executor::{ExecuteError, RequestContext, Together};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use registrar_aggregates::session::{
    Account, EndReason, Opening, Origin, Scope, Session, SessionCommand, SessionError,
};
use registrar_aggregates::values::{OrganizationId, SessionId, UserId};
use registrar_projections::sessions::SessionDocument;
use registrar_projections::{AdminDocument, UserDocument};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Life of an access token that names none, and the longest one, in seconds.
pub const ACCESS_SECS: u32 = crate::auth::ACCESS_SECS_MAX;
/// Life of a session that names none, in seconds: thirty days.
pub const SESSION_SECS: u64 = 30 * 24 * 60 * 60;
/// Longest life of a session, in seconds: ninety days.
pub const SESSION_SECS_MAX: u64 = 90 * 24 * 60 * 60;

/// Whoever a session is of.
#[derive(Debug, Clone)]
pub enum Person {
    /// A user.
    User(Arc<UserDocument>),
    /// An admin.
    Admin(Arc<AdminDocument>),
}

impl Person {
    /// The identifier that tokens name it by.
    #[must_use]
    pub fn id(&self) -> UserId {
        match self {
            Person::User(user) => user.profile.id,
            Person::Admin(admin) => UserId(admin.id.0),
        }
    }

    fn account(&self) -> Account {
        match self {
            Person::User(_) => Account::User,
            Person::Admin(_) => Account::Admin,
        }
    }

    fn epoch(&self) -> u64 {
        match self {
            Person::User(user) => user.epoch,
            Person::Admin(admin) => admin.epoch,
        }
    }

    /// The organization that its sessions begin in.
    #[must_use]
    pub fn default_organization(&self) -> Option<OrganizationId> {
        match self {
            Person::User(user) => user.default_organization,
            Person::Admin(_) => None,
        }
    }

    fn scope(&self, organization: Option<OrganizationId>) -> Option<Scope> {
        let (Person::User(user), Some(organization_id)) = (self, organization) else { return None };
        let membership = user.memberships.get(&organization_id)?.number;
        Some(Scope { organization_id, membership })
    }

    fn identity(&self) -> Identity {
        match self {
            Person::User(user) => Identity::from(&user.profile),
            Person::Admin(admin) => Identity::from(&**admin),
        }
    }

    /// The circumstances of what it does itself, beyond those of the request.
    #[must_use]
    pub fn context(&self, context: &RequestContext, session: SessionId, facts: &Origins) -> RequestContext {
        let principal = match self {
            Person::User(user) => Principal::of_user(Arc::clone(user), session, self.default_organization()),
            Person::Admin(admin) => Principal::new(admin, None, None),
        };
        let mut context = context.clone();
        context.metadata.actor = principal.actor;
        context.metadata.organization_id = principal.organization;
        context.metadata.ip_address.clone_from(&facts.ip_address);
        context.metadata.user_agent.clone_from(&facts.user_agent);
        context
    }
}

/// Where a request came from. Personal; kept only with acts of somebody whose key can seal it.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// Address of the client.
    pub ip_address: Option<String>,
    /// Program of the client.
    pub user_agent: Option<String>,
}

/// How a session is to be.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How it begins.
    pub origin: Origin,
    /// Where it acts; where its user acts by default if absent.
    pub organization: Option<OrganizationId>,
    /// Life of its access tokens, in seconds.
    pub access_secs: u32,
    /// Whether that life outlasts refreshes.
    pub sticky: bool,
    /// Life of the session, in seconds.
    pub session_secs: u64,
    /// Whether it can be refreshed.
    pub refreshable: bool,
    /// What its access token says besides.
    pub additional: BTreeMap<String, Value>,
}

impl Wish {
    /// What a session is that nobody says more of.
    #[must_use]
    pub fn plain(origin: Origin) -> Self {
        Wish {
            origin,
            organization: None,
            access_secs: ACCESS_SECS,
            sticky: false,
            session_secs: SESSION_SECS,
            refreshable: true,
            additional: BTreeMap::new(),
        }
    }
}

/// A session that was opened or given new tokens.
pub struct Opened {
    /// The session.
    pub id: SessionId,
    /// Where it acts.
    pub organization: Option<OrganizationId>,
    /// Its tokens.
    pub tokens: SessionTokens,
    /// What it is refreshed with, shown this once.
    pub refresh_token: Option<Zeroizing<String>>,
    /// Life of the access token, in seconds.
    pub access_secs: u32,
}

/// A session in the making, to be opened with whatever else is decided.
pub struct Draft {
    opening: Opening,
    refresh_token: Option<Zeroizing<String>>,
    access_secs: u32,
    signing: Signing,
}

impl Draft {
    /// A session of `person` as wished for.
    #[must_use]
    pub fn new(node: &Node, person: &Person, wish: &Wish, now: DateTime<Utc>) -> Self {
        let id = SessionId(Uuid::now_v7());
        let scope = person.scope(wish.organization.or_else(|| person.default_organization()));
        let session_secs = wish.session_secs.clamp(1, SESSION_SECS_MAX);
        let life = TimeDelta::seconds(i64::try_from(session_secs).unwrap_or(i64::MAX / 1_000));
        let access_secs = wish.access_secs.clamp(1, ACCESS_SECS);
        let refresh_token = wish.refreshable.then(|| {
            let secret = Zeroizing::new(crate::vault::random::<32>());
            Zeroizing::new(format!("{id}.{}", BASE64_URL_SAFE_NO_PAD.encode(*secret)))
        });
        let opening = Opening {
            id,
            user_id: person.id(),
            account: person.account(),
            epoch: person.epoch(),
            scope,
            origin: wish.origin,
            expires_at: now + life,
            access_secs: wish.sticky.then_some(access_secs),
            refresh_digest: refresh_token.as_ref().map(|token| digest(node, token)),
        };
        let signing = Signing {
            subject: person.id().to_string(),
            session: id,
            organization: scope.map(|scope| scope.organization_id),
            seconds: access_secs,
            additional: wish.additional.clone(),
            identity: person.identity(),
        };
        Draft { opening, refresh_token, access_secs, signing }
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.opening.id
    }

    /// Opens it together with whatever else is decided.
    pub(super) async fn open(&self, together: &mut Together<'_>) -> Result<(), ExecuteError<Refusal>> {
        let command = SessionCommand::Open(Box::new(self.opening.clone()));
        together.execute::<Session>(&self.opening.id.to_string(), command).await.map_err(lift)?;
        Ok(())
    }

    /// Signs its tokens, after it was opened.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn sign(self, node: &Node, authenticator: &Authenticator, now: DateTime<Utc>) -> JournalResult<Opened> {
        let tokens = authenticator.sign_session(node, &self.signing, now).await?;
        Ok(Opened {
            id: self.opening.id,
            organization: self.signing.organization,
            tokens,
            refresh_token: self.refresh_token,
            access_secs: self.access_secs,
        })
    }
}

fn digest(node: &Node, refresh_token: &str) -> String {
    BASE64_STANDARD.encode(node.vault.digest("refresh-token", &[refresh_token.as_bytes()]))
}

/// Opens a session for somebody who was recognised some other way than by signing in.
///
/// # Errors
/// `Unavailable`, and the rest of the journal's.
pub async fn open(
    node: &Node,
    authenticator: &Authenticator,
    context: &RequestContext,
    person: &Person,
    wish: &Wish,
) -> Result<Opened, DirectoryError> {
    let now = Utc::now();
    let draft = Draft::new(node, person, wish, now);
    let opening = &draft;
    node.executor.execute_together(context, |together| Box::pin(async move { opening.open(together).await })).await?;
    Ok(draft.sign(node, authenticator, now).await?)
}

/// A session that goes on, with whoever it is of.
pub struct Live {
    /// The session.
    pub session: Arc<SessionDocument>,
    /// Whose it is.
    pub person: Person,
}

/// The session, if it goes on.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn find(node: &Node, id: SessionId, now: DateTime<Utc>) -> JournalResult<Option<Live>> {
    let documents = &node.documents;
    let Some(session) = documents.find::<SessionDocument>(&id.to_string()).await?.value else { return Ok(None) };
    let owner = session.state.user_id.to_string();
    let person = match session.state.account {
        Account::User => {
            let user = find_user(documents, &owner).await?;
            user.filter(|user| is_live(&session, user, now)).map(Person::User)
        }
        Account::Admin => {
            let admin = documents.find::<AdminDocument>(&owner).await?.value;
            let live = |admin: &Arc<AdminDocument>| {
                admin.active && admin.epoch == session.state.epoch && now < session.state.expires_at
            };
            admin.filter(live).map(Person::Admin)
        }
    };
    Ok(person.map(|person| Live { session, person }))
}

/// The session that a refresh token belongs to, if it goes on.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn find_by_refresh_token(node: &Node, token: &str, now: DateTime<Utc>) -> JournalResult<Option<Live>> {
    let id = token.split_once('.').and_then(|(id, _)| Uuid::try_parse(id).ok());
    match id {
        Some(id) => find(node, SessionId(id), now).await,
        None => Ok(None),
    }
}

/// Gives a session new tokens.
///
/// # Errors
/// `Over`, `OtherToken`.
pub async fn refresh(
    node: &Node,
    authenticator: &Authenticator,
    context: &RequestContext,
    live: &Live,
    token: &str,
) -> Result<Opened, DirectoryError> {
    let now = Utc::now();
    let id = live.session.state.id;
    let command = SessionCommand::Refresh { digest: digest(node, token), now };
    node.executor.execute::<Session>(context, &id.to_string(), command, None).await?;
    let organization = live.session.state.scope.map(|scope| scope.organization_id);
    sign(node, authenticator, live, organization, now).await
}

/// Lets a session act in another organization that its user is a member of, and gives it tokens for there.
///
/// # Errors
/// `Over`; `None` if the user is no member of the organization.
pub async fn switch(
    node: &Node,
    authenticator: &Authenticator,
    context: &RequestContext,
    live: &Live,
    organization: OrganizationId,
    set_default: bool,
) -> Result<Option<Opened>, DirectoryError> {
    let now = Utc::now();
    let Some(scope) = live.person.scope(Some(organization)) else { return Ok(None) };
    let (session, user) = (&live.session.state.id.to_string(), &live.person.id().to_string());
    node.executor
        .execute_together(context, |together| {
            Box::pin(async move {
                let command = SessionCommand::Switch { scope, now };
                together.execute::<Session>(session, command).await.map_err(lift)?;
                if set_default {
                    use registrar_aggregates::user::{Amendment, User, UserCommand};
                    let amendment = Amendment { default_organization: Some(organization), ..Amendment::default() };
                    together.execute::<User>(user, UserCommand::Amend(Box::new(amendment))).await.map_err(lift)?;
                }
                Ok::<_, ExecuteError<Refusal>>(())
            })
        })
        .await?;
    Ok(Some(sign(node, authenticator, live, Some(organization), now).await?))
}

async fn sign(
    node: &Node,
    authenticator: &Authenticator,
    live: &Live,
    organization: Option<OrganizationId>,
    now: DateTime<Utc>,
) -> Result<Opened, DirectoryError> {
    let access_secs = live.session.state.access_secs.unwrap_or(ACCESS_SECS);
    let signing = Signing {
        subject: live.person.id().to_string(),
        session: live.session.state.id,
        organization,
        seconds: access_secs,
        additional: BTreeMap::new(),
        identity: live.person.identity(),
    };
    let tokens = authenticator.sign_session(node, &signing, now).await?;
    Ok(Opened { id: signing.session, organization, tokens, refresh_token: None, access_secs })
}

/// Ends a session.
///
/// # Errors
/// The journal's.
pub async fn end(node: &Node, context: &RequestContext, id: SessionId) -> Result<u64, DirectoryError> {
    let command = SessionCommand::End(EndReason::SignedOut);
    match node.executor.execute::<Session>(context, &id.to_string(), command, None).await {
        Ok(outcome) => Ok(outcome.position),
        // It ended meanwhile.
        Err(ExecuteError::Refused(SessionError::Over)) => Ok(node.heads.position()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the journal says that another one holds what was to be unique.
pub(crate) fn is_taken(error: &DirectoryError) -> bool {
    matches!(error, DirectoryError::Journal(JournalError::ClaimTaken { .. }))
}
