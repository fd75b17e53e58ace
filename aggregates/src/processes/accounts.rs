//! Actions on an account that end its other sessions but keep the calling one.

pub use crate::user::Contact;

use super::membership::profile;
use super::sessions::renew;
use super::{Step, Streams};
use crate::user::{User, UserCommand};
use crate::values::{SessionId, UserId};

/// Records that the shown contact was verified as the user's. All sessions but the calling one end.
///
/// # Errors
/// `OtherEmail`, `OtherPhone`; other refusals of the user.
pub fn confirm_contact(streams: &mut Streams, user: UserId, session: Option<SessionId>, contact: &Contact) -> Step<()> {
    let command = match contact.clone() {
        Contact::Email(email) => UserCommand::ConfirmEmail(email),
        Contact::Phone(phone) => UserCommand::ConfirmPhone(phone),
    };
    let confirmed = streams.execute::<User>(user, command)?;
    let epoch = profile(streams, user)?.epoch;
    renew(streams, session.filter(|_| confirmed), epoch)
}

/// Replaces the password hash `former`, with which the given password was compared. The user's other sessions end
/// unless they are to be kept; the calling one goes on.
///
/// # Errors
/// `OtherPassword` for a lost race against another change.
pub fn change_password(
    streams: &mut Streams,
    user: UserId,
    session: Option<SessionId>,
    former: &str,
    hash: &str,
    keep_sessions: bool,
) -> Step<()> {
    let (former, hash) = (former.to_owned(), hash.to_owned());
    streams.execute::<User>(user, UserCommand::ChangePassword { former, hash, keep_sessions })?;
    let epoch = profile(streams, user)?.epoch;
    renew(streams, session.filter(|_| !keep_sessions), epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::testing::*;
    use crate::session::{Session, SessionError, SessionEvent};
    use crate::user::{UserError, UserEvent, UserState};
    use crate::values::EmailAddress;
    use uuid::Uuid;

    const SESSION: SessionId = SessionId(Uuid::from_u128(0x5));

    fn renewed(epoch: u64) -> History {
        events::<Session>(SESSION, [SessionEvent::Renewed { epoch }])
    }

    fn contact() -> Contact {
        Contact::Email(EmailAddress::parse("ada@example.com").expect("an address"))
    }

    fn changed(ends_sessions: bool) -> History {
        let password_hash = "new".to_owned();
        let event = UserEvent::PasswordChanged { password_hash, state: UserState::Confirmed, ends_sessions };
        events::<User>(ADA, [event])
    }

    #[test]
    fn a_confirmed_address_ends_every_session_but_the_one_that_asks() {
        let Contact::Email(email) = contact() else { unreachable!("an e-mail address") };
        let confirmed = UserEvent::EmailConfirmed { former: None, email, ends_sessions: true };
        given([user(ADA, []), session(SESSION, ADA)])
            .when(|streams| confirm_contact(streams, ADA, Some(SESSION), &contact()))
            .then([events::<User>(ADA, [confirmed]), renewed(1)]);
    }

    #[test]
    fn an_address_is_confirmed_once() {
        let Contact::Email(email) = contact() else { unreachable!("an e-mail address") };
        let before = user(ADA, [UserCommand::ConfirmEmail(email)]);
        given([before, session(SESSION, ADA)])
            .when(|streams| confirm_contact(streams, ADA, Some(SESSION), &contact()))
            .then_nothing();
    }

    #[test]
    fn only_the_address_that_is_shown_is_confirmed() {
        let other = Contact::Email(EmailAddress::parse("bob@example.com").expect("an address"));
        given([user(ADA, []), session(SESSION, ADA)])
            .when(|streams| confirm_contact(streams, ADA, Some(SESSION), &other))
            .then_refused(UserError::OtherEmail);
    }

    #[test]
    fn another_password_ends_other_sessions_unless_they_are_kept() {
        let change = |session, keep| {
            given([user(ADA, []), self::session(SESSION, ADA)])
                .when(move |streams| change_password(streams, ADA, session, "hash", "new", keep))
        };
        change(Some(SESSION), false).then([changed(true), renewed(1)]);
        change(Some(SESSION), true).then([changed(false)]);
        change(None, false).then([changed(true)]);
    }

    #[test]
    fn of_two_changes_of_a_password_one_is_made() {
        given([user(ADA, []), session(SESSION, ADA)])
            .when(|streams| change_password(streams, ADA, Some(SESSION), "former", "new", false))
            .then_refused(UserError::OtherPassword);
    }

    #[test]
    fn a_session_that_is_over_changes_no_password() {
        given([user(ADA, [])])
            .when(|streams| change_password(streams, ADA, Some(SESSION), "hash", "new", false))
            .then_refused(SessionError::Over);
    }
}
