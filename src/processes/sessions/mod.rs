//! Sessions: open, refresh, switch to another organization, end.

mod ending;
mod opening;
mod person;
mod prepared;

pub use ending::{Ended, change_admin_password, end, end_all, end_all_of_everybody, end_if_spent, set_admin_password};
pub use opening::{ACCESS_SECS, OpenedSession, SESSION_SECS, SessionOpenError, SessionRequest, open};
pub(super) use person::SessionStart;
pub use person::{ClientInfo, Person};
pub(super) use prepared::prepare_at;
pub use prepared::{PreparedSession, prepare, refresh, switch};

use super::DirectoryError;
use crate::access::find_user;
use crate::auth::{Bound, SessionBounds, acting};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::read_store::Documents;
use chrono::{DateTime, Utc};
use registrar_aggregates::session::{Account, Opening, Origin};
use registrar_aggregates::values::SessionId;
use registrar_projections::sessions::{
    BY_CREATION, CREATED_AT, EPOCH, EXPIRES_AT, ORIGIN, SessionDocument, UPDATED_AT, USER_ID, origin_key,
};
use registrar_projections::stamped::time_key;
use registrar_projections::{AdminDocument, Direction, Query};
use std::sync::Arc;
use uuid::Uuid;

/// Most concurrent sessions of one person that were begun in the same way: the oldest ends as another one begins.
///
/// A person has a handful of devices; a hundred sessions are those of a script that signs in for every call, or of a
/// thief. Sessions that programs open for the person are counted separately, so no program ends a session that the
/// person has begun. Programs that identify themselves are not limited: they have as many as run at once. Sessions that
/// begin in the same moment do not see one another; the next one ends the excess.
pub const LIVE_MAX: u64 = 100;
/// Most sessions ended as another one begins; one, unless several began in the same moment or before the limit existed.
const ENDED_AT_ONCE_MAX: u64 = 16;

/// Sessions of one person that are listed.
const LISTED_MAX: u64 = 1_000;

/// A valid session with its person.
pub struct LiveSession {
    /// The session.
    pub session: Arc<SessionDocument>,
    /// The person that the session belongs to.
    pub person: Person,
}

/// The session, if it is still valid.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn find(
    node: &Node,
    bounds: &SessionBounds,
    id: SessionId,
    now: DateTime<Utc>,
) -> JournalResult<Option<LiveSession>> {
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
    Ok(person.map(|person| LiveSession { session, person }))
}

/// The session of a refresh token, if it is still valid.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn find_by_refresh_token(
    node: &Node,
    bounds: &SessionBounds,
    token: &str,
    now: DateTime<Utc>,
) -> JournalResult<Option<LiveSession>> {
    let id = token.split_once('.').and_then(|(id, _)| Uuid::try_parse(id).ok());
    match id {
        Some(id) => find(node, bounds, SessionId(id), now).await,
        None => Ok(None),
    }
}

/// The valid sessions of a person, newest first.
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

/// The sessions to end as another one begins, which is not among the documents yet. A session without a place to act,
/// such as one of a former member, counts as valid.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
async fn too_many(
    documents: &Documents,
    bound: Bound,
    opening: &Opening,
    now: DateTime<Utc>,
) -> JournalResult<Vec<SessionId>> {
    if opening.origin == Origin::Workload {
        return Ok(Vec::new());
    }
    let query = Query::<SessionDocument>::sorted(&BY_CREATION, Direction::Descending)
        .equal(&USER_ID, opening.user_id.to_string())
        // Keeps the index scan from covering the person's whole past.
        .above(&CREATED_AT, time_key(now - bound.life))
        .above(&EXPIRES_AT, time_key(now))
        .above(&UPDATED_AT, time_key(now - bound.idle))
        .equal(&ORIGIN, origin_key(opening.origin))
        .number_at_least(&EPOCH, i64::try_from(opening.epoch).unwrap_or(i64::MAX))
        .uncounted();
    let found = documents.ids(query.page(LIVE_MAX - 1, ENDED_AT_ONCE_MAX)).await?.value.items;
    Ok(found.iter().filter_map(|id| Uuid::try_parse(id).ok()).map(SessionId).collect())
}

/// Whether another aggregate holds a claim that must be unique.
pub(crate) fn is_taken(error: &DirectoryError) -> bool {
    matches!(error, DirectoryError::Journal(JournalError::ClaimTaken { .. }))
}
