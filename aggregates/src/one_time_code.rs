//! One-time codes: six digits that are sent to a contact of a user and prove that their reader has it.
//!
//! A user has one code for each purpose; the stream is `<user>/<purpose>`. A code is good for ten minutes and is used
//! once. Issuing another one voids it. After five tries that miss since the last issue (by a wrong code, or because the
//! code has expired, was used or was never issued), further ones are refused until ten minutes after the last miss. So a
//! guesser has five tries in a million for each code that is sent, and a [`quota`](crate::quota) bounds those.
//!
//! The code itself is nowhere but in the message; here is its digest under the key of the journal.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::user::{Contact, Username};
use crate::values::UserId;
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Time for which a code is good, and for which too many misses refuse further tries.
pub const VALIDITY: TimeDelta = TimeDelta::minutes(10);
/// Misses since the last issue, within [`VALIDITY`] of each other, after which tries are refused.
pub const TRIES_MAX: usize = 5;

/// Purpose of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "CodePurpose"))]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Confirms the contact of a new account.
    SignUp,
    /// Lets a new password be set; sent to the e-mail address.
    Password,
    /// Lets a new password be set; sent to the telephone number. It is apart from the other, so that an answer does not
    /// depend on which contacts an account has.
    PasswordSms,
    /// Confirms a changed e-mail address.
    Email,
    /// Confirms a changed telephone number.
    Phone,
}

impl Purpose {
    /// The purpose as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Purpose::SignUp => "sign-up",
            Purpose::Password => "password",
            Purpose::PasswordSms => "password-sms",
            Purpose::Email => "email",
            Purpose::Phone => "phone",
        }
    }

    /// Purpose of the code that confirms a changed contact.
    #[must_use]
    pub const fn confirming(contact: &Contact) -> Self {
        match contact {
            Contact::Email(_) => Purpose::Email,
            Contact::Phone(_) => Purpose::Phone,
        }
    }

    /// Purpose of the code that lets a new password be set by way of a kind of contact.
    #[must_use]
    pub const fn resetting(contact: Username) -> Self {
        match contact {
            Username::Email => Purpose::Password,
            Username::Phone => Purpose::PasswordSms,
        }
    }
}

/// The stream of a user's codes for a purpose.
#[must_use]
pub fn stream(user: UserId, purpose: Purpose) -> String {
    format!("{user}/{}", purpose.name())
}

/// The codes of a user for one purpose.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OneTimeCode {
    /// The last code, unless it was used or voided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    out: Option<CodeOut>,
    /// Times of the misses since the last issue; only those that still count when another one is added.
    misses: VecDeque<DateTime<Utc>>,
}

/// A code that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CodeOut {
    to: Contact,
    digest: String,
    at: DateTime<Utc>,
}

/// Commands of a one-time code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneTimeCodeCommand {
    /// Issues a code in place of the last one; the tries begin anew.
    Issue {
        /// The user.
        user: UserId,
        /// Purpose of the code.
        purpose: Purpose,
        /// Contact to which the code is sent.
        to: Contact,
        /// Keyed digest of the code.
        digest: String,
        /// The current time.
        now: DateTime<Utc>,
    },
    /// Uses the code, if this is its digest, and counts a miss otherwise.
    Try {
        /// Keyed digest of the code that was entered.
        digest: String,
        /// The current time.
        now: DateTime<Utc>,
    },
    /// Voids the code, if there is one.
    Void {
        /// The current time.
        now: DateTime<Utc>,
    },
}

/// Events of a one-time code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum OneTimeCodeEvent {
    /// A code was issued for a contact of a user. The one before it is void.
    #[serde(rename = "one-time-code.issued")]
    Issued {
        /// The user.
        user_id: UserId,
        /// Purpose of the code.
        purpose: Purpose,
        /// Contact to which the code is sent.
        to: Contact,
        /// Keyed digest of the code. A secret: six digits are found by trying.
        digest: String,
        /// Time of the event.
        at: DateTime<Utc>,
    },
    /// A code was tried that was wrong, expired, void, or used before.
    #[serde(rename = "one-time-code.missed")]
    Missed {
        /// Time of the event.
        at: DateTime<Utc>,
    },
    /// A code was used.
    #[serde(rename = "one-time-code.used")]
    Used {
        /// Time of the event.
        at: DateTime<Utc>,
    },
    /// A code was voided, since another act made it pointless.
    #[serde(rename = "one-time-code.voided")]
    Voided {
        /// Time of the event.
        at: DateTime<Utc>,
    },
}

event_names!(OneTimeCodeEvent {
    Issued => "one-time-code.issued" @ "1.0" Insert, clear ["/userId", "/purpose", "/at"];
    Missed => "one-time-code.missed" @ "1.0" Update, clear ["/at"];
    Used => "one-time-code.used" @ "1.0" Update, clear ["/at"];
    Voided => "one-time-code.voided" @ "1.0" Update, clear ["/at"];
});

impl EventFacts for OneTimeCodeEvent {
    fn subject(&self, aggregate_id: &str) -> Option<String> {
        aggregate_id.split('/').next().map(str::to_owned)
    }

    fn secret_fields(&self) -> &'static [&'static str] {
        match self {
            OneTimeCodeEvent::Issued { .. } => &["/digest"],
            OneTimeCodeEvent::Missed { .. } | OneTimeCodeEvent::Used { .. } | OneTimeCodeEvent::Voided { .. } => &[],
        }
    }
}

/// Refusals of a one-time code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OneTimeCodeError {
    /// Too many tries missed, and no code was issued since.
    #[error("too many codes were tried")]
    TooManyTries {
        /// Time of the next allowed try.
        until: DateTime<Utc>,
    },
}

impl Refuse for OneTimeCodeError {
    fn kind(&self) -> RefusalKind {
        match self {
            OneTimeCodeError::TooManyTries { until } => RefusalKind::Locked { until: *until },
        }
    }
}

impl OneTimeCode {
    /// Checks whether a try is allowed.
    ///
    /// # Errors
    /// `TooManyTries`.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), OneTimeCodeError> {
        let until = self.misses.iter().max().filter(|_| self.misses.len() >= TRIES_MAX).map(|last| *last + VALIDITY);
        match until.filter(|until| *until > now) {
            Some(until) => Err(OneTimeCodeError::TooManyTries { until }),
            None => Ok(()),
        }
    }

    /// The contact that a code proves; `None` for a code that is not the right one, or no longer.
    #[must_use]
    pub fn proof(&self, digest: &str, now: DateTime<Utc>) -> Option<&Contact> {
        let out = self.out.as_ref()?;
        (out.digest == digest && out.at + VALIDITY > now).then_some(&out.to)
    }

    fn evolve(&mut self, event: OneTimeCodeEvent) {
        match event {
            OneTimeCodeEvent::Issued { to, digest, at, .. } => {
                self.out = Some(CodeOut { to, digest, at });
                self.misses.clear();
            }
            OneTimeCodeEvent::Missed { at } => {
                // A clock that goes back forgets none.
                self.misses.retain(|former| *former + VALIDITY > at);
                self.misses.push_back(at);
            }
            OneTimeCodeEvent::Used { .. } | OneTimeCodeEvent::Voided { .. } => self.out = None,
        }
    }
}

impl Decide for OneTimeCode {
    fn decide(&self, command: OneTimeCodeCommand) -> Result<Vec<OneTimeCodeEvent>, OneTimeCodeError> {
        match command {
            OneTimeCodeCommand::Issue { user, purpose, to, digest, now } => {
                Ok(vec![OneTimeCodeEvent::Issued { user_id: user, purpose, to, digest, at: now }])
            }
            OneTimeCodeCommand::Try { digest, now } => {
                self.check(now)?;
                let is_right = self.proof(&digest, now).is_some();
                let event =
                    if is_right { OneTimeCodeEvent::Used { at: now } } else { OneTimeCodeEvent::Missed { at: now } };
                Ok(vec![event])
            }
            OneTimeCodeCommand::Void { now } => {
                Ok(self.out.iter().map(|_| OneTimeCodeEvent::Voided { at: now }).collect())
            }
        }
    }
}

aggregate!(OneTimeCode, "one-time-code", OneTimeCodeCommand, OneTimeCodeEvent, OneTimeCodeError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use crate::user::Phone;
    use crate::values::EmailAddress;
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};
    use uuid::Uuid;

    const ADA: UserId = UserId(Uuid::from_u128(1));

    /// So many seconds after the issue of the code in [`issued`].
    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
    }

    fn email() -> Contact {
        Contact::Email(EmailAddress::parse("ada@example.com").expect("an address"))
    }

    fn phone() -> Contact {
        Contact::Phone(Phone::parse("+12025550123").expect("a number"))
    }

    fn issued_at(digest: &str, seconds: i64) -> OneTimeCodeEvent {
        let digest = digest.to_owned();
        OneTimeCodeEvent::Issued { user_id: ADA, purpose: Purpose::Email, to: email(), digest, at: at(seconds) }
    }

    fn issued() -> OneTimeCodeEvent {
        issued_at("right", 0)
    }

    fn missed(seconds: i64) -> OneTimeCodeEvent {
        OneTimeCodeEvent::Missed { at: at(seconds) }
    }

    fn used(seconds: i64) -> OneTimeCodeEvent {
        OneTimeCodeEvent::Used { at: at(seconds) }
    }

    fn attempt(digest: &str, seconds: i64) -> OneTimeCodeCommand {
        OneTimeCodeCommand::Try { digest: digest.to_owned(), now: at(seconds) }
    }

    fn given(events: impl IntoIterator<Item = OneTimeCodeEvent>) -> AggregateTestExecutor<OneTimeCode> {
        TestFramework::with(()).given(events.into_iter().collect())
    }

    fn too_many(until: i64) -> OneTimeCodeError {
        OneTimeCodeError::TooManyTries { until: at(until) }
    }

    impl Samples for OneTimeCodeEvent {
        fn samples() -> Vec<Self> {
            vec![issued_at("keyed", 0), missed(1), used(2), OneTimeCodeEvent::Voided { at: at(3) }]
        }

        fn alternatives() -> Vec<Self> {
            let (purpose, digest) = (Purpose::Phone, "keyed".to_owned());
            vec![OneTimeCodeEvent::Issued { user_id: ADA, purpose, to: phone(), digest, at: at(0) }]
        }
    }

    #[test]
    fn a_code_is_used_once() {
        given([issued()]).when(attempt("right", 1)).then_expect_events(vec![used(1)]);
        given([issued(), used(1)]).when(attempt("right", 2)).then_expect_events(vec![missed(2)]);
    }

    #[test]
    fn a_code_is_good_for_ten_minutes() {
        given([issued()]).when(attempt("right", 599)).then_expect_events(vec![used(599)]);
        given([issued()]).when(attempt("right", 600)).then_expect_events(vec![missed(600)]);
    }

    #[test]
    fn another_code_voids_the_one_before() {
        let history = || [issued(), issued_at("other", 1)];
        given(history()).when(attempt("right", 2)).then_expect_events(vec![missed(2)]);
        given(history()).when(attempt("other", 2)).then_expect_events(vec![used(2)]);
    }

    #[test]
    fn a_code_proves_the_contact_to_which_it_was_sent() {
        let mut code = OneTimeCode::default();
        assert_eq!(code.proof("right", at(1)), None);
        code.evolve(issued());
        assert_eq!((code.proof("right", at(1)), code.proof("wrong", at(1))), (Some(&email()), None));
    }

    #[test]
    fn a_voided_code_is_a_miss_and_there_is_nothing_to_void_twice() {
        let void = |seconds| OneTimeCodeCommand::Void { now: at(seconds) };
        let voided = || OneTimeCodeEvent::Voided { at: at(1) };
        given([issued()]).when(void(1)).then_expect_events(vec![voided()]);
        given([issued(), voided()]).when(void(2)).then_expect_events(vec![]);
        given([issued(), voided()]).when(attempt("right", 2)).then_expect_events(vec![missed(2)]);
        given([]).when(void(1)).then_expect_events(vec![]);
    }

    #[test]
    fn after_five_misses_the_right_code_is_refused_as_well() {
        let four = || [issued()].into_iter().chain((1..=4).map(missed));
        given(four()).when(attempt("right", 5)).then_expect_events(vec![used(5)]);
        given(four()).when(attempt("wrong", 5)).then_expect_events(vec![missed(5)]);
        let five = || four().chain([missed(5)]);
        for digest in ["right", "wrong"] {
            given(five()).when(attempt(digest, 6)).then_expect_error(too_many(605));
        }
    }

    #[test]
    fn another_code_begins_with_five_tries() {
        let history = [issued()].into_iter().chain((1..=5).map(missed)).chain([issued_at("other", 6)]);
        given(history).when(attempt("other", 7)).then_expect_events(vec![used(7)]);
    }

    #[test]
    fn misses_without_a_code_count_for_ten_minutes() {
        let five = || (0..5).map(missed);
        given(five()).when(attempt("any", 603)).then_expect_error(too_many(604));
        given(five()).when(attempt("any", 604)).then_expect_events(vec![missed(604)]);
        given([missed(0), missed(1), missed(2), missed(3), missed(601)])
            .when(attempt("any", 602))
            .then_expect_events(vec![missed(602)]);
    }

    #[test]
    fn a_used_code_gives_no_further_tries() {
        let history = [issued(), missed(1), missed(2), missed(3), missed(4), used(5), missed(6)];
        given(history).when(attempt("right", 7)).then_expect_error(too_many(606));
    }

    #[test]
    fn a_clock_that_goes_back_unlocks_nothing() {
        given((0..5).map(missed)).when(attempt("any", -60)).then_expect_error(too_many(604));
    }

    #[test]
    fn a_purpose_is_named_as_it_is_stored() {
        for purpose in [Purpose::SignUp, Purpose::Password, Purpose::PasswordSms, Purpose::Email, Purpose::Phone] {
            assert_eq!(serde_json::to_value(purpose).expect("JSON"), purpose.name());
        }
        assert_eq!(stream(ADA, Purpose::SignUp), format!("{ADA}/sign-up"));
        assert_eq!(issued().subject(&stream(ADA, Purpose::SignUp)), Some(ADA.to_string()));
    }
}
