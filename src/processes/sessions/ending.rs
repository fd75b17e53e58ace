//! Ends of sessions: of one, of a person's, of all; and the passwords of admins, which end sessions.

use super::{LiveSession, Person, prepared};
use crate::executor::{ExecuteError, RequestContext};
use crate::node::Node;
use crate::processes::{DirectoryError, ProcessResult, commit};
use crate::security::{self, Event};
use chrono::{DateTime, Utc};
use registrar_aggregates::admin::{Admin, AdminCommand};
use registrar_aggregates::processes::{Streams, sessions as rules};
use registrar_aggregates::session::{EndReason, Session, SessionCommand, SessionError};
use registrar_aggregates::user::{User, UserCommand, UserError};
use registrar_aggregates::values::SessionId;
use registrar_projections::{AdminDocument, Direction, Query, UserDocument, admins, users};

/// Ends all sessions of a person, and all tokens of an admin; the session in `kept` goes on.
///
/// # Errors
/// The journal's.
pub async fn end_all(node: &Node, context: &RequestContext, person: &Person, kept: Option<SessionId>) -> ProcessResult {
    let end = |streams: &mut Streams| rules::end_all(streams, person.account(), person.id(), kept, person.epoch() + 1);
    commit(node, context, end).await
}

/// Numbers of people whose sessions were ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Users.
    pub users: u64,
    /// Admins.
    pub admins: u64,
}

/// Ends all sessions of all users and all sessions and tokens of all admins, one after the other: a commit of all of
/// them would be too large, and would hold up all other commands meanwhile. Archived and inactive accounts have none.
///
/// # Errors
/// The journal's. Sessions before the failure are ended then.
pub async fn end_all_of_everybody(node: &Node, context: &RequestContext) -> Result<Ended, DirectoryError> {
    let (documents, executor) = (&node.documents, &node.executor);
    let users = Query::<UserDocument>::sorted(&users::BY_ID, Direction::Ascending).uncounted();
    let admins = Query::<AdminDocument>::sorted(&admins::BY_NAME, Direction::Ascending).uncounted();
    let mut ended = Ended { users: 0, admins: 0 };
    // Admins first, since they have the most rights.
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

/// Ends a session whose refresh token was shown again after it was exchanged, and returns whether it did: one of the
/// two clients that showed it has stolen it.
///
/// # Errors
/// The journal's.
pub async fn end_if_spent(
    node: &Node,
    context: &RequestContext,
    live: &LiveSession,
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
        // The session ended meanwhile.
        Err(ExecuteError::Refused(SessionError::Over)) => Ok(node.heads.position()),
        Err(error) => Err(error.into()),
    }
}

/// Sets the password of an admin's account on behalf of its owner, who is to replace it by `expires_at`, and ends all
/// sessions and tokens of the admin.
///
/// # Errors
/// `NoAccount`.
pub async fn set_admin_password(
    node: &Node,
    context: &RequestContext,
    admin: &AdminDocument,
    hash: String,
    expires_at: DateTime<Utc>,
) -> ProcessResult {
    let command = AdminCommand::SetPassword { hash, expires_at };
    Ok(node.executor.execute::<Admin>(context, &admin.id.to_string(), command, None).await?)
}

/// Replaces the password of an admin's account after the former one was shown. The admin's other sessions end unless
/// they are to be kept; the caller's goes on.
///
/// # Errors
/// `NoAccount`; `OtherPassword` after a lost race.
pub async fn change_admin_password(
    node: &Node,
    context: &RequestContext,
    admin: &AdminDocument,
    session: Option<SessionId>,
    former: String,
    hash: String,
    keep_sessions: bool,
) -> ProcessResult {
    // If the admin is deactivated meanwhile, the session is over in any case.
    let session = session.map(|session| (session, admin.epoch + 1));
    let change =
        |streams: &mut Streams| rules::change_admin_password(streams, admin.id, session, &former, &hash, keep_sessions);
    commit(node, context, change).await
}
