//! Sign-in with a password set by support: it is good once, for setting another one.

use super::{Credentials, SignInContext, SignInError, check_state};
use crate::processes::passwords::{self, Rules};
use crate::processes::sessions::Person;
use chrono::{DateTime, TimeDelta, Utc};
use registrar_aggregates::text;
use registrar_aggregates::user::{UserCommand, UserEvent, UserState};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Life of a password that support has set, in hours.
pub const SET_PASSWORD_HOURS: i64 = 24;

/// The replacement of a password.
pub(super) struct Renewal {
    former: String,
    hash: String,
}

impl Renewal {
    pub(super) fn command(&self) -> UserCommand {
        UserCommand::ChangePassword { former: self.former.clone(), hash: self.hash.clone(), keep_sessions: false }
    }
}

/// The new password of an account that must set one; `None` for other accounts. Called only after the present password
/// was shown.
///
/// # Errors
/// Errors of [`check_state`]; `ResetOverdue`, `SamePassword`, `ResetNotNeeded`.
pub(super) fn asked_for(
    person: &Person,
    credentials: &Credentials,
    now: DateTime<Utc>,
) -> Result<Option<Zeroizing<String>>, SignInError> {
    let checked = check_state(person);
    if matches!(checked, Err(SignInError::ResetNeeded)) && is_overdue(person, now) {
        return Err(SignInError::ResetOverdue);
    }
    match (checked, &credentials.new_password) {
        (Ok(()), None) => Ok(None),
        (Ok(()), Some(_)) => Err(SignInError::ResetNotNeeded),
        (Err(SignInError::ResetNeeded), Some(new))
            if text::compatible(new) == text::compatible(&credentials.password) =>
        {
            Err(SignInError::SamePassword)
        }
        (Err(SignInError::ResetNeeded), Some(new)) => Ok(Some(new.clone())),
        (Err(error), _) => Err(error),
    }
}

fn is_overdue(person: &Person, now: DateTime<Utc>) -> bool {
    let Person::User(user) = person else { return false };
    counts_no_longer(user.reset_at, now)
}

fn counts_no_longer(set_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    set_at.is_some_and(|at| now - at > TimeDelta::hours(SET_PASSWORD_HOURS))
}

impl SignInContext<'_> {
    /// The person after the change of the password to `new`, with that change.
    ///
    /// # Errors
    /// `Weak`, `Busy`, `NotLookedUp`.
    pub(super) async fn renewed(
        &self,
        person: Person,
        former: String,
        new: Zeroizing<String>,
    ) -> Result<(Person, Option<Renewal>), SignInError> {
        // Only passwords of users are renewed here.
        let Person::User(mut user) = person else { return Ok((person, None)) };
        let hash = passwords::accept(self.passwords, self.pwned, new, Rules::from(&user.profile)).await?;
        let profile = &mut Arc::make_mut(&mut user).profile;
        let state = UserState::Confirmed;
        profile.evolve(UserEvent::PasswordChanged { password_hash: String::new(), state, ends_sessions: true });
        Ok((Person::User(user), Some(Renewal { former, hash })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_of_support_counts_for_a_day() {
        let now = Utc::now();
        let set = |hours| Some(now - TimeDelta::hours(hours));
        assert!(!counts_no_longer(set(24), now) && counts_no_longer(set(25), now));
        // Passwords set by former releases have no recorded time.
        assert!(!counts_no_longer(None, now));
        // A clock that is behind takes nothing away.
        assert!(!counts_no_longer(set(-1), now));
    }
}
