//! The commit of a sign-in: the guards, the second factor, agreements and a new password with the new session.

use super::guards::Counters;
use super::sessions::{self, SessionChange};
use super::{Step, Streams};
use crate::totp::{Totp, TotpCommand};
use crate::user::{User, UserCommand};
use crate::values::{TotpId, UserId};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A sign-in with a correct password.
pub struct SignIn<'s> {
    /// Counters of the attempt.
    pub counters: &'s Counters,
    /// The current time.
    pub now: DateTime<Utc>,
    /// The person.
    pub person: UserId,
    /// Use of the second factor, or its activation.
    pub factor: Option<&'s (TotpId, TotpCommand)>,
    /// Agreed documents.
    pub agreements: &'s BTreeSet<Uuid>,
    /// Replacement of the password, for an account that must set another one.
    pub renewal: Option<UserCommand>,
    /// The new session.
    pub session: &'s SessionChange,
}

/// Carries out a sign-in. Returns whether its network was new to the person, who signed in before from others alone.
///
/// # Errors
/// `Locked` by concurrent failures; `UsedCode`; `OtherPassword`; refusals of the user.
pub fn sign_in(streams: &mut Streams, sign_in: &SignIn<'_>) -> Step<bool> {
    let is_new_network = sign_in.counters.pass(streams, sign_in.now)?;
    if let Some((id, usage)) = sign_in.factor {
        streams.execute::<Totp>(id, usage.clone())?;
    }
    if !sign_in.agreements.is_empty() {
        streams.execute::<User>(sign_in.person, UserCommand::Agree(sign_in.agreements.clone()))?;
    }
    if let Some(renewal) = &sign_in.renewal {
        streams.execute::<User>(sign_in.person, renewal.clone())?;
    }
    sessions::change(streams, sign_in.session)?;
    Ok(is_new_network)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::testing::*;
    use crate::session::SessionCommand;
    use crate::session::guard::{Guard, GuardError, GuardEvent, Subject, WINDOW};
    use crate::totp::{TotpError, TotpEvent};
    use crate::user::{UserError, UserEvent, UserState};
    use crate::values::SessionId;

    const SESSION: SessionId = SessionId(Uuid::from_u128(0x5));
    const FACTOR: TotpId = TotpId(Uuid::from_u128(0x31));
    const DOCUMENT: Uuid = Uuid::from_u128(0x41);

    fn factor() -> History {
        let created = TotpEvent::Created { id: FACTOR, user_id: ADA, secret: "secret".into() };
        let enabled = TotpEvent::Enabled { user_id: ADA, step: 7, recovery_digests: vec![] };
        events::<Totp>(FACTOR, [created, enabled])
    }

    fn passed() -> History {
        events::<Guard>("name", [GuardEvent::Passed { network: "network".into(), at: at(0) }])
    }

    /// Signs Ada in with a code of a step, an agreement and a new password in place of `former`.
    fn signed_in(streams: impl IntoIterator<Item = History>, step: u64, former: &str) -> ProcessOutcome {
        let counters = Counters { name: "name".into(), pair: "pair".into(), network: "network".into() };
        let command = SessionCommand::Open(Box::new(opening(SESSION, ADA)));
        let session = SessionChange { id: SESSION, command, default_of: None, ended: vec![] };
        let (former, hash) = (former.to_owned(), "new".to_owned());
        let act = SignIn {
            counters: &counters,
            now: at(0),
            person: ADA,
            factor: Some(&(FACTOR, TotpCommand::Use { step })),
            agreements: &[DOCUMENT].into(),
            renewal: Some(UserCommand::ChangePassword { former, hash, keep_sessions: false }),
            session: &session,
        };
        given(streams).when(|streams| sign_in(streams, &act))
    }

    #[test]
    fn everything_that_a_sign_in_brings_is_one_commit() {
        let password_hash = "new".to_owned();
        let user_events = [
            UserEvent::DocumentsAgreed { documents: [DOCUMENT].into() },
            UserEvent::PasswordChanged { password_hash, state: UserState::Confirmed, ends_sessions: true },
        ];
        signed_in([user(ADA, []), factor()], 8, "hash").then([
            passed(),
            events::<Totp>(FACTOR, [TotpEvent::CodeUsed { step: 8 }]),
            events::<User>(ADA, user_events),
            session(SESSION, ADA),
        ]);
    }

    #[test]
    fn a_sign_in_with_a_code_used_meanwhile_is_refused() {
        signed_in([user(ADA, []), factor()], 7, "hash").then_refused(TotpError::UsedCode);
    }

    #[test]
    fn a_sign_in_with_a_password_changed_meanwhile_is_refused() {
        signed_in([user(ADA, []), factor()], 8, "former").then_refused(UserError::OtherPassword);
    }

    #[test]
    fn failures_counted_meanwhile_lock_out_a_sign_in() {
        let subject = Subject::NameInNetwork;
        let failures = GuardEvent::FailuresCounted { subject, failures: 10, at: at(0) };
        let locked = GuardError::Locked { until: at(0) + WINDOW };
        signed_in([user(ADA, []), factor(), events::<Guard>("pair", [failures])], 8, "hash").then_refused(locked);
    }
}
