//! Sessions, with the dependent changes at their beginning and end.

use super::{MissingStream, Step, Streams};
use crate::admin::{Admin, AdminCommand};
use crate::session::{Account, EndReason, Session, SessionCommand};
use crate::user::{Amendment, User, UserCommand};
use crate::values::{AdminId, OrganizationId, SessionId, UserId};

/// A change of a session, with its dependent changes.
#[derive(Debug, Clone)]
pub struct SessionChange {
    /// The session.
    pub id: SessionId,
    /// The change.
    pub command: SessionCommand,
    /// The user whose default organization becomes this one.
    pub default_of: Option<(UserId, OrganizationId)>,
    /// Sessions of the same person that end with this change, since they exceed the limit.
    pub ended: Vec<SessionId>,
}

/// Carries out a change of a session.
///
/// # Errors
/// `Over`, `OtherToken`; refusals of the user.
pub fn change(streams: &mut Streams, change: &SessionChange) -> Step<()> {
    streams.prefetch(change.ended.iter().map(MissingStream::of::<Session>))?;
    streams.execute::<Session>(change.id, change.command.clone())?;
    if let Some((user, organization)) = change.default_of {
        let amendment = Amendment { default_organization: Some(organization), ..Amendment::default() };
        streams.execute::<User>(user, UserCommand::Amend(Box::new(amendment)))?;
    }
    for session in &change.ended {
        streams.execute::<Session>(session, SessionCommand::End(EndReason::TooMany))?;
    }
    Ok(())
}

/// Ends all sessions of a person, and all tokens of an admin. The session in `kept` goes on in the new `epoch`.
///
/// # Errors
/// Refusals of the account; `Over`.
pub fn end_all(
    streams: &mut Streams,
    account: Account,
    person: UserId,
    kept: Option<SessionId>,
    epoch: u64,
) -> Step<()> {
    match account {
        Account::User => streams.execute::<User>(person, UserCommand::EndSessions)?,
        Account::Admin => streams.execute::<Admin>(AdminId(person.0), AdminCommand::EndSessions)?,
    };
    renew(streams, kept, epoch)
}

/// Replaces the password hash `former` of an admin's account, with which the given password was compared. The admin's
/// other sessions end unless they are to be kept; the calling one goes on in the new `epoch`.
///
/// # Errors
/// `NoAccount`; `OtherPassword` for a lost race against another change.
pub fn change_admin_password(
    streams: &mut Streams,
    admin: AdminId,
    session: Option<(SessionId, u64)>,
    former: &str,
    hash: &str,
    keep_sessions: bool,
) -> Step<()> {
    let (former, hash) = (former.to_owned(), hash.to_owned());
    streams.execute::<Admin>(admin, AdminCommand::ChangePassword { former, hash, keep_sessions })?;
    match session.filter(|_| !keep_sessions) {
        Some((session, epoch)) => renew(streams, Some(session), epoch),
        None => Ok(()),
    }
}

/// Moves the calling session into the new epoch of its own action, which ends all the others.
///
/// # Errors
/// `Over`.
pub(super) fn renew(streams: &mut Streams, session: Option<SessionId>, epoch: u64) -> Step<()> {
    if let Some(session) = session {
        streams.execute::<Session>(session, SessionCommand::Renew { epoch })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{AdminError, AdminEvent};
    use crate::processes::testing::*;
    use crate::session::{SessionError, SessionEvent};
    use crate::user::UserEvent;
    use uuid::Uuid;

    const SESSION: SessionId = SessionId(Uuid::from_u128(0x5));
    const OLDEST: SessionId = SessionId(Uuid::from_u128(0x6));

    fn renewed(epoch: u64) -> History {
        events::<Session>(SESSION, [SessionEvent::Renewed { epoch }])
    }

    fn opened() -> SessionChange {
        let command = SessionCommand::Open(Box::new(opening(SESSION, ADA)));
        SessionChange { id: SESSION, command, default_of: None, ended: vec![] }
    }

    fn ended(id: SessionId, reason: EndReason) -> History {
        events::<Session>(id, [SessionEvent::Ended { reason }])
    }

    #[test]
    fn one_session_too_many_ends_the_oldest() {
        given([session(OLDEST, ADA)])
            .when(|streams| change(streams, &SessionChange { ended: vec![OLDEST], ..opened() }))
            .then([session(SESSION, ADA), ended(OLDEST, EndReason::TooMany)]);
    }

    #[test]
    fn a_session_that_ended_meanwhile_does_not_block_a_new_one() {
        let mut over = session(OLDEST, ADA);
        over.1.extend(ended(OLDEST, EndReason::SignedOut).1);
        given([over])
            .when(|streams| change(streams, &SessionChange { ended: vec![OLDEST], ..opened() }))
            .then([session(SESSION, ADA)]);
    }

    #[test]
    fn the_organization_of_a_session_may_become_the_default_one() {
        let commands = [UserCommand::Join(ACME), UserCommand::Join(OTHER)];
        let default_of = Some((ADA, OTHER));
        let event = UserEvent::DefaultOrganizationChanged { organization_id: Some(OTHER) };
        given([user(ADA, commands)])
            .when(|streams| change(streams, &SessionChange { default_of, ..opened() }))
            .then([session(SESSION, ADA), events::<User>(ADA, [event])]);
    }

    #[test]
    fn a_session_that_is_over_is_not_changed() {
        let command = SessionCommand::Refresh { digest: "digest".into(), replacement: None, now: at(0) };
        given([])
            .when(|streams| change(streams, &SessionChange { command: command.clone(), ..opened() }))
            .then_refused(SessionError::Over);
        given([session(SESSION, ADA)])
            .when(|streams| change(streams, &SessionChange { command: command.clone(), ..opened() }))
            .then_refused(SessionError::OtherToken);
    }

    #[test]
    fn all_sessions_of_a_person_end_but_the_one_that_is_kept() {
        let sessions_ended = || events::<User>(ADA, [UserEvent::SessionsEnded {}]);
        let end = |kept| {
            given([user(ADA, []), session(SESSION, ADA)])
                .when(move |streams| end_all(streams, Account::User, ADA, kept, 1))
        };
        end(Some(SESSION)).then([sessions_ended(), renewed(1)]);
        end(None).then([sessions_ended()]);
    }

    #[test]
    fn all_sessions_and_tokens_of_an_admin_end() {
        let before = admin("hash");
        given([before, session(SESSION, ADA)])
            .when(|streams| end_all(streams, Account::Admin, ADA, Some(SESSION), 1))
            .then([events::<Admin>(AdminId(ADA.0), [AdminEvent::SessionsEnded {}]), renewed(1)]);
    }

    #[test]
    fn another_password_of_an_admin_ends_other_sessions_unless_they_are_kept() {
        let change = |former: &'static str, keep| {
            given([admin("hash"), session(SESSION, ADA)]).when(move |streams| {
                change_admin_password(streams, AdminId(ADA.0), Some((SESSION, 1)), former, "new", keep)
            })
        };
        let changed = |ends_sessions| {
            let password_hash = "new".to_owned();
            let event = AdminEvent::PasswordChanged { password_hash, ends_sessions, expires_at: None };
            events::<Admin>(AdminId(ADA.0), [event])
        };
        change("hash", false).then([changed(true), renewed(1)]);
        change("hash", true).then([changed(false)]);
        change("other", false).then_refused(AdminError::OtherPassword);
    }
}
