//! Sessions: opened, given new tokens, moved to another organization, ended.

mod prepared;

pub(super) use prepared::prepare_at;
pub use prepared::{Prepared, prepare, refresh, switch};

use super::second_factor::RecoveryCodes;
use super::{DirectoryError, Done, Step, commit, lift};
use crate::access::find_user;
use crate::auth::places::{self, Place};
use crate::auth::{Authenticator, Bound, Identity, Principal, SessionBounds, SessionTokens, acting};
use crate::executor::{ExecuteError, RequestContext, Together};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::read_store::Documents;
use crate::security::{self, Event};
use chrono::{DateTime, Utc};
use registrar_aggregates::admin::{Admin, AdminCommand};
use registrar_aggregates::session::{
    Account, EndReason, Opener, Opening, Origin, Scope, Session, SessionCommand, SessionError,
};
use registrar_aggregates::user::{User, UserCommand, UserError};
use registrar_aggregates::values::{OrganizationId, SessionId, UserId};
use registrar_projections::sessions::{
    BY_CREATION, CREATED_AT, EPOCH, EXPIRES_AT, ORIGIN, SessionDocument, UPDATED_AT, USER_ID, origin_key,
};
use registrar_projections::stamped::time_key;
use registrar_projections::{AdminDocument, Direction, Query, UserDocument, admins, users};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Life of an access token that names none, and the longest one, in seconds.
pub const ACCESS_SECS: u32 = crate::auth::ACCESS_SECS_MAX;
/// Life of a session that names none, in seconds: thirty days.
pub const SESSION_SECS: u64 = 30 * 24 * 60 * 60;

/// Most sessions of one person that go on at once and were begun in the same way: the oldest ends as another one begins.
///
/// A person has a handful of devices; whoever has a hundred is a script that signs in for every call, or a thief. Those that
/// programs open for the person are counted by themselves, so that no program ends what the person has begun. Programs that
/// identify themselves have no number: there are as many as run at once. Those that begin in the same moment do not see one
/// another; the next one ends what is too much then.
pub const LIVE_MAX: u64 = 100;
/// Most sessions that are ended as another one begins; one, unless several began in the same moment or there was no number.
const ENDED_AT_ONCE_MAX: u64 = 16;

/// Sessions of one person that are listed.
const LISTED_MAX: u64 = 1_000;

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

    /// Of what kind its account is.
    #[must_use]
    pub fn account(&self) -> Account {
        match self {
            Person::User(_) => Account::User,
            Person::Admin(_) => Account::Admin,
        }
    }

    /// Whether it may do much beyond its own affairs: every ECG admin, and users with a system role.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        match self {
            Person::User(user) => !user.system_roles.is_empty(),
            Person::Admin(_) => true,
        }
    }

    fn epoch(&self) -> u64 {
        match self {
            Person::User(user) => user.epoch,
            Person::Admin(admin) => admin.epoch,
        }
    }

    fn scope(&self, organization_id: OrganizationId) -> Option<Scope> {
        let Person::User(user) = self else { return None };
        let membership = user.memberships.get(&organization_id)?.number;
        Some(Scope { organization_id, membership })
    }

    /// Where a session begins: in the organization that is wished for, else in the default one, else in the oldest
    /// membership, each if sessions can act there. Deleted organizations count as none; of retired ones only the person
    /// without another one is told.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(super) async fn begins(&self, documents: &Documents, wish: &Wish) -> JournalResult<Beginning> {
        let Person::User(user) = self else { return Ok(Beginning::At(None)) };
        let mut candidates: Vec<_> = match wish.organization {
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
            match places::place(documents, user, organization, wish.via).await? {
                Place::Usable => return Ok(Beginning::At(Some(scope))),
                Place::SignInElsewhere(url) => return Ok(Beginning::Elsewhere(url)),
                Place::Retired => retired = true,
                Place::Gone => {}
            }
        }
        Ok(match wish.organization {
            _ if retired && (wish.organization.is_some() || user.system_roles.is_empty()) => Beginning::Retired,
            Some(_) => Beginning::Nowhere,
            None => Beginning::At(None),
        })
    }

    fn identity(&self) -> Identity {
        match self {
            Person::User(user) => Identity::from(&user.profile),
            Person::Admin(admin) => Identity::from(&**admin),
        }
    }

    /// The circumstances of what it does itself, beyond those of the request.
    #[must_use]
    pub fn context(
        &self,
        context: &RequestContext,
        (session, organization): (Option<SessionId>, Option<OrganizationId>),
        facts: &Origins,
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

/// Where a session begins.
pub(super) enum Beginning {
    /// Here; in no organization if none is named.
    At(Option<Scope>),
    /// At the sign-in of the organization, which is at this address.
    Elsewhere(String),
    /// All its organizations are retired.
    Retired,
    /// In the organization that was wished for, which is none of its own.
    Nowhere,
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
    /// The one that acts in it, where it is not its user.
    pub by: Option<Opener>,
    /// The organization whose own sign-in opens it.
    pub via: Option<OrganizationId>,
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
            by: None,
            via: None,
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
    /// Recovery codes of a second factor that was put in force with it, shown this once.
    pub recovery_codes: Option<RecoveryCodes>,
}

/// Why a session does not begin, or does not go to an organization.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// The organization has a sign-in of its own, at this address.
    #[error("the organization has a sign-in of its own")]
    SignInElsewhere(String),
    /// The organization is retired.
    #[error("the organization is retired")]
    Retired,
    /// The organization is none of the user's.
    #[error("the user is not a member of the organization")]
    NotAMember,
    /// It could not be found out or recorded.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<JournalError> for NotOpened {
    fn from(error: JournalError) -> Self {
        NotOpened::Directory(error.into())
    }
}

/// Opens a session for somebody who was recognised some other way than by signing in.
///
/// # Errors
/// As [`prepare`] and [`Prepared::commit`].
pub async fn open(
    node: &Node,
    authenticator: &Authenticator,
    context: &RequestContext,
    person: &Person,
    wish: &Wish,
) -> Result<Opened, NotOpened> {
    Ok(prepare(node, authenticator, person, wish).await?.commit(node, context).await?)
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
pub async fn find(
    node: &Node,
    bounds: &SessionBounds,
    id: SessionId,
    now: DateTime<Utc>,
) -> JournalResult<Option<Live>> {
    let documents = &node.documents;
    let Some(session) = documents.find::<SessionDocument>(&id.to_string()).await?.value else { return Ok(None) };
    let owner = session.state.user_id.to_string();
    let person = match session.state.account {
        Account::User => {
            let user = find_user(documents, &owner).await?;
            match user {
                Some(user) => acting(documents, bounds, &session, &user, now).await?.map(|_| Person::User(user)),
                None => None,
            }
        }
        Account::Admin => {
            let admin = documents.find::<AdminDocument>(&owner).await?.value;
            let live = |admin: &Arc<AdminDocument>| {
                admin.active && admin.epoch == session.state.epoch && bounds.goes_on(&session, true, now)
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
pub async fn find_by_refresh_token(
    node: &Node,
    bounds: &SessionBounds,
    token: &str,
    now: DateTime<Utc>,
) -> JournalResult<Option<Live>> {
    let id = token.split_once('.').and_then(|(id, _)| Uuid::try_parse(id).ok());
    match id {
        Some(id) => find(node, bounds, SessionId(id), now).await,
        None => Ok(None),
    }
}

/// The sessions of somebody that go on, newest first.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn of_person(
    documents: &Documents,
    bounds: &SessionBounds,
    person: &Person,
    now: DateTime<Utc>,
) -> JournalResult<Vec<SessionDocument>> {
    let query = Query::<SessionDocument>::sorted(&BY_CREATION, Direction::Descending)
        .equal(&USER_ID, person.id().to_string())
        .above(&EXPIRES_AT, time_key(now));
    let mut found = documents.verified(query.page(0, LISTED_MAX)).await?;
    found.retain(|session| {
        let own = session.account == person.account() && session.epoch == person.epoch();
        own && bounds.goes_on(session, person.is_privileged(), now)
    });
    if let Person::User(user) = person {
        let mut live = Vec::with_capacity(found.len());
        for session in found {
            if acting(documents, bounds, &session, user, now).await?.is_some() {
                live.push(session);
            }
        }
        found = live;
    }
    Ok(found)
}

/// The sessions that end as another one begins, which is not among the documents yet. One without a place to act, such as a
/// member's who has left, is taken for one that goes on.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
async fn too_many(
    documents: &Documents,
    bound: Bound,
    opening: &Opening,
    now: DateTime<Utc>,
) -> JournalResult<Vec<String>> {
    if opening.origin == Origin::Workload {
        return Ok(Vec::new());
    }
    let query = Query::<SessionDocument>::sorted(&BY_CREATION, Direction::Descending)
        .equal(&USER_ID, opening.user_id.to_string())
        // Keeps the index from going through the person's whole past.
        .above(&CREATED_AT, time_key(now - bound.life))
        .above(&EXPIRES_AT, time_key(now))
        .above(&UPDATED_AT, time_key(now - bound.idle))
        .equal(&ORIGIN, origin_key(opening.origin))
        .number_at_least(&EPOCH, i64::try_from(opening.epoch).unwrap_or(i64::MAX))
        .uncounted();
    Ok(documents.ids(query.page(LIVE_MAX - 1, ENDED_AT_ONCE_MAX)).await?.value.items)
}

/// Ends all sessions of somebody, and all tokens of an admin; the one in `kept` goes on.
///
/// # Errors
/// The journal's.
pub async fn end_all(node: &Node, context: &RequestContext, person: &Person, kept: Option<SessionId>) -> Done {
    let (id, epoch) = (&person.id().to_string(), person.epoch() + 1);
    commit(node, context, |together| {
        Box::pin(async move {
            match person {
                Person::User(_) => together.execute::<User>(id, UserCommand::EndSessions).await.map_err(lift)?,
                Person::Admin(_) => together.execute::<Admin>(id, AdminCommand::EndSessions).await.map_err(lift)?,
            };
            renew(together, kept, epoch).await
        })
    })
    .await
}

/// Of how many people everything was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Users.
    pub users: u64,
    /// Admins.
    pub admins: u64,
}

/// Ends all sessions of all users and all sessions and tokens of all admins, one after the other: a commit of all of them
/// would be too large, and would keep everybody from everything meanwhile. Who was archived or put out of force has none.
///
/// # Errors
/// The journal's. Those that came before are ended then.
pub async fn end_all_of_everybody(node: &Node, context: &RequestContext) -> Result<Ended, DirectoryError> {
    let (documents, executor) = (&node.documents, &node.executor);
    let users = Query::<UserDocument>::sorted(&users::BY_ID, Direction::Ascending).uncounted();
    let admins = Query::<AdminDocument>::sorted(&admins::BY_NAME, Direction::Ascending).uncounted();
    let mut ended = Ended { users: 0, admins: 0 };
    // Admins first: they may do the most.
    for id in documents.ids(admins).await?.value.items {
        let outcome = executor.execute::<Admin>(context, &id, AdminCommand::EndSessions, None).await?;
        ended.admins += u64::from(!outcome.events.is_empty());
    }
    for id in documents.ids(users).await?.value.items {
        match executor.execute::<User>(context, &id, UserCommand::EndSessions, None).await {
            Ok(outcome) => ended.users += u64::from(!outcome.events.is_empty()),
            Err(ExecuteError::Refused(UserError::Archived)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ended)
}

/// Ends a session whose refresh token was shown again after it was exchanged for another one, and tells whether it did: one
/// of the two that showed it has stolen it.
///
/// # Errors
/// The journal's.
pub async fn end_if_spent(
    node: &Node,
    context: &RequestContext,
    live: &Live,
    token: &str,
) -> Result<bool, DirectoryError> {
    let id = live.session.state.id;
    let (_, state) = node.executor.state::<Session>(&id.to_string()).await?;
    let spent = matches!(&state, Session::Open(running) if running.is_spent(&prepared::digest(node, token)));
    if spent {
        security::refused(Event::Session, "a spent refresh token was shown");
        end(node, context, id, EndReason::TokenReused).await?;
    }
    Ok(spent)
}

/// Ends a session.
///
/// # Errors
/// The journal's.
pub async fn end(
    node: &Node,
    context: &RequestContext,
    id: SessionId,
    reason: EndReason,
) -> Result<u64, DirectoryError> {
    let command = SessionCommand::End(reason);
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

/// Takes the session that asks into the epoch that began with its own act, which ends all the others.
pub(super) async fn renew(together: &mut Together<'_>, session: Option<SessionId>, epoch: u64) -> Step<()> {
    if let Some(session) = session {
        together.execute::<Session>(&session.to_string(), SessionCommand::Renew { epoch }).await.map_err(lift)?;
    }
    Ok(())
}

/// Sets another password of an admin's account for its owner, who is to replace it by `expires_at`, and ends all sessions and
/// tokens of the admin.
///
/// # Errors
/// `NoAccount`.
pub async fn set_admin_password(
    node: &Node,
    context: &RequestContext,
    admin: &AdminDocument,
    hash: String,
    expires_at: DateTime<Utc>,
) -> Done {
    let command = AdminCommand::SetPassword { hash, expires_at };
    Ok(node.executor.execute::<Admin>(context, &admin.id.to_string(), command, None).await?)
}

/// Sets another password of an admin's account after the former one was shown. The admin's other sessions end unless they
/// are to be kept; the one that asks goes on.
///
/// # Errors
/// `NoAccount`; `OtherPassword` if another request was faster.
pub async fn change_admin_password(
    node: &Node,
    context: &RequestContext,
    admin: &AdminDocument,
    session: Option<SessionId>,
    former: String,
    hash: String,
    keep_sessions: bool,
) -> Done {
    let (id, former, hash) = (&admin.id.to_string(), &former, &hash);
    // Were the admin put out of force meanwhile, the session would be over in any case.
    let epoch = admin.epoch + 1;
    commit(node, context, |together| {
        Box::pin(async move {
            let command = AdminCommand::ChangePassword { former: former.clone(), hash: hash.clone(), keep_sessions };
            together.execute::<Admin>(id, command).await.map_err(lift)?;
            renew(together, session.filter(|_| !keep_sessions), epoch).await
        })
    })
    .await
}
