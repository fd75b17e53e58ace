//! Actions on an account: its contacts and its password.

pub use crate::user::Contact;

use super::codes::{Verdict, try_code, void};
use super::membership::profile;
use super::sessions::renew;
use super::{MissingStream, Step, Stop, Streams, check_version, refused, sign_up};
use crate::one_time_code::{OneTimeCode, Purpose, stream};
use crate::session::SessionError;
use crate::user::{Amendment, User, UserCommand, UserState};
use crate::values::{IndividualId, RegistrationInvitationId, SessionId, UserId};
use chrono::{DateTime, Utc};

/// Amends a user at a version, for which the messages of changed contacts were composed.
///
/// # Errors
/// `OtherVersion`; refusals of the user.
pub fn amend(streams: &mut Streams, user: UserId, amendment: &Amendment, version: u64) -> Step<()> {
    check_version::<User>(streams, user, Some(version))?;
    streams.execute::<User>(user, UserCommand::Amend(Box::new(amendment.clone()))).map(drop)
}

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

/// A code by which a user in a session confirms a contact.
pub struct EnteredCode<'c> {
    /// The user.
    pub user: UserId,
    /// The calling session.
    pub session: Option<SessionId>,
    /// Epoch of the user in which that session was found open.
    pub epoch: u64,
    /// Keyed digests of the code, by the purpose that it may have.
    pub digests: &'c [(Purpose, String)],
    /// The current time.
    pub now: DateTime<Utc>,
}

/// Confirms by a code the contact that is not verified yet; false for a wrong code, which is counted for each such
/// contact. All sessions but the calling one end.
///
/// # Errors
/// `TooManyTries`, if there is no such contact left to try; `Over` for a session that ended meanwhile; refusals of the
/// user.
pub fn confirm_by_code(streams: &mut Streams, entered: &EnteredCode<'_>) -> Step<bool> {
    let EnteredCode { user, session, epoch, digests, now } = *entered;
    let account = profile(streams, user)?;
    if account.epoch != epoch {
        return refused(SessionError::Over);
    }
    let waiting: Vec<Contact> = account.contacts.unverified().collect();
    let purposes: Vec<Purpose> = waiting.iter().map(Purpose::confirming).collect();
    let tried: Vec<_> = digests.iter().filter(|(purpose, _)| purposes.contains(purpose)).collect();
    streams.prefetch(tried.iter().map(|(purpose, _)| MissingStream::of::<OneTimeCode>(stream(user, *purpose))))?;
    for (purpose, digest) in &tried {
        let code = streams.state::<OneTimeCode>(stream(user, *purpose))?;
        if code.check(now).is_err() || code.proof(digest, now).is_none() {
            continue;
        }
        return match try_code(streams, user, *purpose, digest, now)? {
            // A code for a contact that was replaced since proves nothing that is shown.
            Verdict::Right(to) if waiting.iter().any(|shown| shown.is_same(&to)) => {
                confirm_contact(streams, user, session, &to)?;
                Ok(true)
            }
            Verdict::Right(_) | Verdict::Wrong => Ok(false),
        };
    }
    let (mut counted, mut locked) = (false, None);
    for (purpose, digest) in tried {
        match try_code(streams, user, *purpose, digest, now) {
            Ok(_) => counted = true,
            // The other contact may still have tries, and they are counted.
            Err(Stop::Refused(refusal)) => locked = Some(refusal),
            Err(stop) => return Err(stop),
        }
    }
    match locked {
        Some(refusal) if !counted => Err(Stop::Refused(refusal)),
        _ => Ok(false),
    }
}

/// A new password for a user who cannot sign in, by a code.
pub struct PasswordReset<'r> {
    /// The user.
    pub user: UserId,
    /// Purpose of the code, by the kind of contact to which it was sent.
    pub purpose: Purpose,
    /// Keyed digest of the code.
    pub digest: &'r str,
    /// Hash of the new password.
    pub hash: &'r str,
    /// A new individual, for a sign-up that is completed by this.
    pub individual: IndividualId,
    /// The invitation by a friend, for such a sign-up.
    pub invitation: Option<RegistrationInvitationId>,
    /// The current time.
    pub now: DateTime<Utc>,
}

/// Sets a password by a code; false for a wrong code, which is counted. All sessions end. It completes a sign-up that was
/// not confirmed, as the code proves the same contact.
///
/// # Errors
/// `TooManyTries`; refusals of the user, and those of a sign-up.
pub fn reset_password(streams: &mut Streams, reset: &PasswordReset<'_>) -> Step<bool> {
    let PasswordReset { user, purpose, digest, hash, individual, invitation, now } = *reset;
    let Verdict::Right(to) = try_code(streams, user, purpose, digest, now)? else { return Ok(false) };
    let account = profile(streams, user)?;
    // The contact may have been replaced, or the account disabled, since the code was sent.
    if !account.recovery_contact(to.kind()).is_some_and(|contact| contact.is_same(&to)) {
        return Ok(false);
    }
    let is_sign_up = account.state == UserState::Registered;
    streams.execute::<User>(user, UserCommand::ResetPassword { hash: hash.to_owned() })?;
    if is_sign_up {
        sign_up::complete(streams, user, &to, individual, invitation, now)?;
        void(streams, user, Purpose::SignUp, now)?;
    }
    // A code that was sent over the other channel would let a further password be set.
    for other in [Purpose::Password, Purpose::PasswordSms].into_iter().filter(|other| *other != purpose) {
        void(streams, user, other, now)?;
    }
    Ok(true)
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
    use crate::one_time_code::{OneTimeCodeError, OneTimeCodeEvent, VALIDITY};
    use crate::processes::testing::*;
    use crate::session::{Session, SessionError, SessionEvent};
    use crate::user::{Phone, UserError, UserEvent};
    use crate::values::EmailAddress;
    use uuid::Uuid;

    const SESSION: SessionId = SessionId(Uuid::from_u128(0x5));
    const INDIVIDUAL: IndividualId = IndividualId(Uuid::from_u128(0x3));

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

    fn email(text: &str) -> Contact {
        Contact::Email(EmailAddress::parse(text).expect("an address"))
    }

    fn phone() -> Contact {
        Contact::Phone(Phone::parse("+12025550123").expect("a number"))
    }

    fn issued(purpose: Purpose, to: Contact) -> OneTimeCodeEvent {
        OneTimeCodeEvent::Issued { user_id: ADA, purpose, to, digest: "right".into(), at: at(0) }
    }

    fn codes(purpose: Purpose, happened: impl IntoIterator<Item = OneTimeCodeEvent>) -> History {
        events::<OneTimeCode>(stream(ADA, purpose), happened)
    }

    fn out(purpose: Purpose, to: Contact) -> History {
        codes(purpose, [issued(purpose, to)])
    }

    fn used(purpose: Purpose) -> History {
        codes(purpose, [OneTimeCodeEvent::Used { at: at(1) }])
    }

    fn missed(purpose: Purpose) -> History {
        codes(purpose, [OneTimeCodeEvent::Missed { at: at(1) }])
    }

    fn locked(purpose: Purpose, to: Contact) -> History {
        let misses = (0..5).map(|_| OneTimeCodeEvent::Missed { at: at(0) });
        codes(purpose, [issued(purpose, to)].into_iter().chain(misses))
    }

    fn amendment(email: Option<&str>, phone: bool) -> Amendment {
        let email = email.map(|email| EmailAddress::parse(email).expect("an address"));
        let phone = phone.then(|| Phone::parse("+12025550123").expect("a number"));
        Amendment { email, phone, ..Amendment::default() }
    }

    /// Ada with a verified address, followed by commands.
    fn verified(commands: impl IntoIterator<Item = UserCommand>) -> History {
        let Contact::Email(own) = contact() else { unreachable!("an e-mail address") };
        user(ADA, [UserCommand::ConfirmEmail(own)].into_iter().chain(commands))
    }

    /// Ada with a verified address; another one and a number wait.
    fn waiting() -> History {
        verified([UserCommand::Amend(Box::new(amendment(Some("king@example.com"), true)))])
    }

    fn enter(digest: &'static str) -> impl Fn(&mut Streams) -> Step<bool> {
        move |streams| {
            let digests = [Purpose::Email, Purpose::Phone].map(|purpose| (purpose, digest.to_owned()));
            let entered = EnteredCode { user: ADA, session: Some(SESSION), epoch: 1, digests: &digests, now: at(1) };
            confirm_by_code(streams, &entered)
        }
    }

    #[test]
    fn an_amendment_is_made_at_the_version_that_its_messages_are_for() {
        let change = amendment(Some("king@example.com"), false);
        let Contact::Email(king) = email("king@example.com") else { unreachable!("an e-mail address") };
        let amended = UserEvent::EmailAmended {
            former: Some(EmailAddress::parse("ada@example.com").expect("an address")),
            email: king,
            kept: None,
        };
        given([user(ADA, [])]).when(|streams| amend(streams, ADA, &change, 1)).then([events::<User>(ADA, [amended])]);
        given([user(ADA, [])]).when(|streams| amend(streams, ADA, &change, 2)).then_other_version();
    }

    #[test]
    fn a_code_confirms_the_contact_to_which_it_was_sent() {
        let Contact::Email(king) = email("king@example.com") else { unreachable!("an e-mail address") };
        let former = EmailAddress::parse("ada@example.com").ok();
        let confirmed = UserEvent::EmailConfirmed { former, email: king, ends_sessions: true };
        given([waiting(), session(SESSION, ADA), out(Purpose::Email, email("king@example.com"))])
            .when(enter("right"))
            .then([events::<User>(ADA, [confirmed]), used(Purpose::Email), renewed(2)]);
        let confirmed = UserEvent::PhoneConfirmed { former: None, ends_sessions: true };
        given([waiting(), session(SESSION, ADA), out(Purpose::Phone, phone())]).when(enter("right")).then([
            events::<User>(ADA, [confirmed]),
            used(Purpose::Phone),
            renewed(2),
        ]);
    }

    #[test]
    fn a_wrong_code_is_counted_for_each_contact_that_waits() {
        let both = || [missed(Purpose::Email), missed(Purpose::Phone)];
        let email_out = || out(Purpose::Email, email("king@example.com"));
        given([waiting(), session(SESSION, ADA), email_out()]).when(enter("wrong")).then(both());
        // Tries for one contact that are used up leave those for the other, and are no way around the count.
        given([waiting(), session(SESSION, ADA), locked(Purpose::Email, email("king@example.com"))])
            .when(enter("right"))
            .then([missed(Purpose::Phone)]);
        let all = [locked(Purpose::Email, email("king@example.com")), locked(Purpose::Phone, phone())];
        let until = at(0) + VALIDITY;
        given([waiting(), session(SESSION, ADA)].into_iter().chain(all))
            .when(enter("right"))
            .then_refused(OneTimeCodeError::TooManyTries { until });
    }

    #[test]
    fn a_code_for_a_contact_that_was_replaced_confirms_nothing() {
        given([waiting(), session(SESSION, ADA), out(Purpose::Email, email("countess@example.com"))])
            .when(enter("right"))
            .then([used(Purpose::Email)]);
        // Without a contact that waits there is nothing to try.
        given([verified([]), session(SESSION, ADA), out(Purpose::Email, contact())])
            .when(enter("right"))
            .then_nothing();
    }

    #[test]
    fn a_session_that_ended_meanwhile_confirms_nothing() {
        let history = verified([
            UserCommand::Amend(Box::new(amendment(Some("king@example.com"), true))),
            UserCommand::EndSessions,
        ]);
        given([history, session(SESSION, ADA), out(Purpose::Email, email("king@example.com"))])
            .when(enter("right"))
            .then_refused(SessionError::Over);
    }

    fn reset(purpose: Purpose, digest: &'static str) -> impl Fn(&mut Streams) -> Step<bool> {
        move |streams| {
            let (individual, invitation, now) = (INDIVIDUAL, None, at(1));
            let reset = PasswordReset { user: ADA, purpose, digest, hash: "new", individual, invitation, now };
            reset_password(streams, &reset)
        }
    }

    #[test]
    fn a_code_sets_a_password_and_voids_the_one_of_the_other_channel() {
        let voided = codes(Purpose::PasswordSms, [OneTimeCodeEvent::Voided { at: at(1) }]);
        given([verified([]), out(Purpose::Password, contact()), out(Purpose::PasswordSms, phone())])
            .when(reset(Purpose::Password, "right"))
            .then([used(Purpose::Password), changed(true), voided]);
    }

    #[test]
    fn a_wrong_code_sets_no_password_and_is_counted() {
        given([verified([]), out(Purpose::Password, contact())])
            .when(reset(Purpose::Password, "wrong"))
            .then([missed(Purpose::Password)]);
        given([verified([]), locked(Purpose::Password, contact())])
            .when(reset(Purpose::Password, "right"))
            .then_refused(OneTimeCodeError::TooManyTries { until: at(0) + VALIDITY });
    }

    #[test]
    fn a_code_for_a_contact_that_is_no_longer_verified_sets_no_password() {
        for account in [
            verified([
                UserCommand::Amend(Box::new(amendment(Some("king@example.com"), false))),
                UserCommand::ConfirmEmail(EmailAddress::parse("king@example.com").expect("an address")),
            ]),
            verified([UserCommand::Disable { by: BOB }]),
            verified([UserCommand::Archive]),
            user(ADA, []),
        ] {
            given([account, out(Purpose::Password, contact())])
                .when(reset(Purpose::Password, "right"))
                .then([used(Purpose::Password)]);
        }
    }
}
