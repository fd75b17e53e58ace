//! One-time codes within other acts: a code is issued in the commit that composes its message, and tried in the commit of
//! the act that it allows.

use super::{Step, Streams};
use crate::one_time_code::{OneTimeCode, OneTimeCodeCommand, Purpose, stream};
use crate::quota::{Quota, QuotaCommand, QuotaKind};
use crate::user::Contact;
use crate::values::UserId;
use chrono::{DateTime, Utc};

/// A code to be issued. There is no `Debug`, since the digest is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeIssue {
    /// The user.
    pub user: UserId,
    /// Purpose of the code.
    pub purpose: Purpose,
    /// Contact to which the code is sent.
    pub to: Contact,
    /// Keyed digest of the code.
    pub digest: String,
    /// Stream of the contact's quota of messages.
    pub quota: String,
    /// The current time.
    pub now: DateTime<Utc>,
}

/// Result of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The code was right, and is used now. It proves this contact.
    Right(Contact),
    /// The code was wrong, expired, void, or used before.
    Wrong,
}

/// Counts a message with a code or an invitation to an address.
///
/// # Errors
/// `UsedUp`.
pub fn use_quota(streams: &mut Streams, quota: &str, now: DateTime<Utc>) -> Step<()> {
    streams.execute::<Quota>(quota, QuotaCommand::Use { kind: QuotaKind::Messages, now }).map(drop)
}

/// Issues a code, and counts its message.
///
/// # Errors
/// `UsedUp`.
pub fn issue(streams: &mut Streams, issue: &CodeIssue) -> Step<()> {
    use_quota(streams, &issue.quota, issue.now)?;
    let CodeIssue { user, purpose, to, digest, now, .. } = issue.clone();
    let command = OneTimeCodeCommand::Issue { user, purpose, to, digest, now };
    streams.execute::<OneTimeCode>(stream(user, purpose), command).map(drop)
}

/// Tries a code. A wrong one is counted in the commit of the process, so the process must not be refused for it: it
/// changes nothing else and says so in its result.
///
/// # Errors
/// `TooManyTries`.
pub fn try_code(
    streams: &mut Streams,
    user: UserId,
    purpose: Purpose,
    digest: &str,
    now: DateTime<Utc>,
) -> Step<Verdict> {
    let id = stream(user, purpose);
    let proven = streams.state::<OneTimeCode>(&id)?.proof(digest, now).cloned();
    streams.execute::<OneTimeCode>(&id, OneTimeCodeCommand::Try { digest: digest.to_owned(), now })?;
    Ok(proven.map_or(Verdict::Wrong, Verdict::Right))
}

/// Voids a user's code for a purpose, if there is one.
///
/// # Errors
/// Only those of loading.
pub fn void(streams: &mut Streams, user: UserId, purpose: Purpose, now: DateTime<Utc>) -> Step<()> {
    streams.execute::<OneTimeCode>(stream(user, purpose), OneTimeCodeCommand::Void { now }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_time_code::{OneTimeCodeError, OneTimeCodeEvent, VALIDITY};
    use crate::processes::testing::*;
    use crate::quota::{QuotaError, QuotaEvent};
    use crate::values::EmailAddress;

    fn contact() -> Contact {
        Contact::Email(EmailAddress::parse("ada@example.com").expect("an address"))
    }

    fn order() -> CodeIssue {
        let (digest, quota) = ("right".to_owned(), "address".to_owned());
        CodeIssue { user: ADA, purpose: Purpose::Password, to: contact(), digest, quota, now: at(0) }
    }

    fn codes(happened: impl IntoIterator<Item = OneTimeCodeEvent>) -> History {
        events::<OneTimeCode>(stream(ADA, Purpose::Password), happened)
    }

    fn issued() -> OneTimeCodeEvent {
        let (purpose, digest) = (Purpose::Password, "right".to_owned());
        OneTimeCodeEvent::Issued { user_id: ADA, purpose, to: contact(), digest, at: at(0) }
    }

    fn sent(number: i64) -> History {
        let kind = QuotaKind::Messages;
        events::<Quota>("address", (0..number).map(|_| QuotaEvent::Used { kind, at: at(0) }))
    }

    fn attempt(digest: &'static str, expected: Verdict) -> impl Fn(&mut Streams) -> Step<()> {
        move |streams| {
            let verdict = try_code(streams, ADA, Purpose::Password, digest, at(1))?;
            assert_eq!(verdict, expected);
            Ok(())
        }
    }

    #[test]
    fn a_code_is_issued_with_the_count_of_its_message() {
        given([]).when(|streams| issue(streams, &order())).then([sent(1), codes([issued()])]);
    }

    #[test]
    fn no_code_is_issued_beyond_the_quota_of_its_address() {
        let (kind, until) = (QuotaKind::Messages, at(0) + QuotaKind::Messages.window());
        given([sent(3)]).when(|streams| issue(streams, &order())).then_refused(QuotaError::UsedUp { kind, until });
    }

    #[test]
    fn a_right_code_proves_its_contact() {
        given([codes([issued()])])
            .when(attempt("right", Verdict::Right(contact())))
            .then([codes([OneTimeCodeEvent::Used { at: at(1) }])]);
    }

    #[test]
    fn a_wrong_code_is_counted() {
        let missed = || codes([OneTimeCodeEvent::Missed { at: at(1) }]);
        given([codes([issued()])]).when(attempt("wrong", Verdict::Wrong)).then([missed()]);
        given([]).when(attempt("right", Verdict::Wrong)).then([missed()]);
    }

    #[test]
    fn a_right_code_is_refused_after_too_many_wrong_ones() {
        let history = [issued()].into_iter().chain((0..5).map(|_| OneTimeCodeEvent::Missed { at: at(0) }));
        let until = at(0) + VALIDITY;
        given([codes(history)])
            .when(attempt("right", Verdict::Right(contact())))
            .then_refused(OneTimeCodeError::TooManyTries { until });
    }

    #[test]
    fn a_voided_code_is_wrong() {
        let voided = || OneTimeCodeEvent::Voided { at: at(0) };
        given([codes([issued()])])
            .when(|streams| void(streams, ADA, Purpose::Password, at(0)))
            .then([codes([voided()])]);
        given([codes([issued(), voided()])])
            .when(attempt("right", Verdict::Wrong))
            .then([codes([OneTimeCodeEvent::Missed { at: at(1) }])]);
    }
}
