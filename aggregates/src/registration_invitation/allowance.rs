//! How many invitations a user may send in a day. Each user has a stream of this under the user's identifier, which
//! every invitation appends to: of two at once for the last one of a day, one is refused.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::{Decide, Snapshots, decide::aggregate};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Most invitations of a user within [`WINDOW`].
pub const INVITATIONS_MAX: usize = 20;
/// Time for which an invitation counts.
pub const WINDOW: TimeDelta = TimeDelta::days(1);

/// The counted invitations of a user, oldest first.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationAllowance {
    used: VecDeque<DateTime<Utc>>,
}

/// Commands of an allowance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowanceCommand {
    /// Counts an invitation, unless there are too many already.
    Use {
        /// The current time.
        now: DateTime<Utc>,
    },
}

/// Events of an allowance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum AllowanceEvent {
    /// An invitation of the user whose identifier is the stream's was counted.
    #[serde(rename = "registration-invitation-allowance.used")]
    Used {
        /// Time of the invitation.
        at: DateTime<Utc>,
    },
}

event_names!(AllowanceEvent {
    Used => "registration-invitation-allowance.used" @ "1.0" Insert, clear ["/at"];
});

impl EventFacts for AllowanceEvent {}

/// Refusals of an allowance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowanceError {
    /// Too many invitations within a day.
    #[error("too many invitations within a day")]
    UsedUp {
        /// Time from which another invitation is possible.
        until: DateTime<Utc>,
    },
}

impl Refuse for AllowanceError {
    fn kind(&self) -> RefusalKind {
        match self {
            AllowanceError::UsedUp { until } => RefusalKind::Locked { until: *until },
        }
    }
}

impl Decide for InvitationAllowance {
    const SNAPSHOT: Option<Snapshots> = Some(Snapshots { shape: 1, personal: &[] });

    fn decide(&self, AllowanceCommand::Use { now }: AllowanceCommand) -> Result<Vec<AllowanceEvent>, AllowanceError> {
        let mut counting: Vec<_> = self.used.iter().copied().filter(|at| counts(*at, now)).collect();
        counting.sort_unstable();
        match counting.len().checked_sub(INVITATIONS_MAX).and_then(|beyond| counting.get(beyond)) {
            Some(oldest) => Err(AllowanceError::UsedUp { until: *oldest + WINDOW }),
            None => Ok(vec![AllowanceEvent::Used { at: now }]),
        }
    }
}

/// A clock that goes back gives nothing back.
fn counts(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    at + WINDOW > now
}

impl InvitationAllowance {
    fn evolve(&mut self, event: AllowanceEvent) {
        let AllowanceEvent::Used { at: now } = event;
        self.used.retain(|at| counts(*at, now));
        self.used.push_back(now);
    }
}

aggregate!(InvitationAllowance, "registration-invitation-allowance", AllowanceCommand, AllowanceEvent, AllowanceError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};

    fn hour(number: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(number)
    }

    fn used(hours: impl IntoIterator<Item = i64>) -> Vec<AllowanceEvent> {
        hours.into_iter().map(|number| AllowanceEvent::Used { at: hour(number) }).collect()
    }

    fn given(events: Vec<AllowanceEvent>) -> AggregateTestExecutor<InvitationAllowance> {
        TestFramework::with(()).given(events)
    }

    fn invite(number: i64) -> AllowanceCommand {
        AllowanceCommand::Use { now: hour(number) }
    }

    impl Samples for AllowanceEvent {
        fn samples() -> Vec<Self> {
            used([1])
        }
    }

    #[test]
    fn a_user_sends_twenty_invitations_in_a_day() {
        given(used(1..=19)).when(invite(20)).then_expect_events(used([20]));
        given(used(1..=20)).when(invite(20)).then_expect_error(AllowanceError::UsedUp { until: hour(25) });
    }

    #[test]
    fn an_invitation_counts_for_a_day() {
        given(used(1..=20)).when(invite(24)).then_expect_error(AllowanceError::UsedUp { until: hour(25) });
        given(used(1..=20)).when(invite(25)).then_expect_events(used([25]));
        let before = used((1..=20).chain([25]));
        given(before).when(invite(25)).then_expect_error(AllowanceError::UsedUp { until: hour(26) });
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_invitation_back() {
        given(used(30..50)).when(invite(1)).then_expect_error(AllowanceError::UsedUp { until: hour(54) });
    }
}
