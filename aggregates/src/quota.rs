//! Quotas: how often something may happen within a time. Every use is an event, so that a quota holds on all nodes and
//! after a restart. Each holder of a quota has a stream, which every use appends to: of two at once for the last place,
//! one is refused. Another quota is another [`QuotaKind`].

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::{Decide, Snapshots, decide::aggregate};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Display;

/// Kind of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum QuotaKind {
    /// Messages with codes and invitations to an address, over all callers, so that no address is flooded with mail in our
    /// name. The holder is a keyed digest of the address.
    Messages,
    /// Invitations of friends that a user sends.
    FriendInvitations,
}

impl QuotaKind {
    /// The kind as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            QuotaKind::Messages => "messages",
            QuotaKind::FriendInvitations => "friend-invitations",
        }
    }

    /// Most uses within [`QuotaKind::window`].
    #[must_use]
    pub const fn uses_max(self) -> usize {
        match self {
            QuotaKind::Messages => 3,
            QuotaKind::FriendInvitations => 20,
        }
    }

    /// Time for which a use counts.
    #[must_use]
    pub const fn window(self) -> TimeDelta {
        match self {
            QuotaKind::Messages => TimeDelta::minutes(10),
            QuotaKind::FriendInvitations => TimeDelta::days(1),
        }
    }

    /// The stream of a holder.
    #[must_use]
    pub fn stream(self, holder: impl Display) -> String {
        format!("{}/{holder}", self.name())
    }

    const fn refusal(self) -> &'static str {
        match self {
            QuotaKind::Messages => "it is too soon for another message to this address",
            QuotaKind::FriendInvitations => "too many invitations within a day",
        }
    }
}

/// The counted uses of a holder, oldest first.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    used: VecDeque<DateTime<Utc>>,
}

/// Commands of a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuotaCommand {
    /// Counts a use, unless there are too many already.
    Use {
        /// Kind of the quota.
        kind: QuotaKind,
        /// The current time.
        now: DateTime<Utc>,
    },
}

/// Events of a quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum QuotaEvent {
    /// A use was counted for the holder in the identifier: a user, or an address by its digest.
    #[serde(rename = "quota.used")]
    Used {
        /// Kind of the quota.
        kind: QuotaKind,
        /// Time of the use.
        at: DateTime<Utc>,
    },
}

event_names!(QuotaEvent {
    Used => "quota.used" @ "1.0" Insert, clear ["/kind", "/at"];
});

impl EventFacts for QuotaEvent {}

/// Refusals of a quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// The quota is used up.
    #[error("{}", .kind.refusal())]
    UsedUp {
        /// Kind of the quota.
        kind: QuotaKind,
        /// Time from which another use is possible.
        until: DateTime<Utc>,
    },
}

impl Refuse for QuotaError {
    fn kind(&self) -> RefusalKind {
        match self {
            QuotaError::UsedUp { until, .. } => RefusalKind::Locked { until: *until },
        }
    }
}

impl Decide for Quota {
    const SNAPSHOT: Option<Snapshots> = Some(Snapshots { shape: 1, personal: &[] });

    fn decide(&self, QuotaCommand::Use { kind, now }: QuotaCommand) -> Result<Vec<QuotaEvent>, QuotaError> {
        let window = kind.window();
        // A clock that goes back gives nothing back.
        let mut counting: Vec<_> = self.used.iter().copied().filter(|at| *at + window > now).collect();
        counting.sort_unstable();
        match counting.len().checked_sub(kind.uses_max()).and_then(|beyond| counting.get(beyond)) {
            Some(oldest) => Err(QuotaError::UsedUp { kind, until: *oldest + window }),
            None => Ok(vec![QuotaEvent::Used { kind, at: now }]),
        }
    }
}

impl Quota {
    fn evolve(&mut self, event: QuotaEvent) {
        let QuotaEvent::Used { kind, at: now } = event;
        self.used.retain(|at| *at + kind.window() > now);
        self.used.push_back(now);
    }
}

aggregate!(Quota, "quota", QuotaCommand, QuotaEvent, QuotaError);

#[cfg(test)]
mod tests {
    use super::QuotaKind::{FriendInvitations, Messages};
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn used(kind: QuotaKind, minutes: impl IntoIterator<Item = i64>) -> Vec<QuotaEvent> {
        minutes.into_iter().map(|minute| QuotaEvent::Used { kind, at: at(minute) }).collect()
    }

    fn given(events: Vec<QuotaEvent>) -> AggregateTestExecutor<Quota> {
        TestFramework::with(()).given(events)
    }

    fn once_more(kind: QuotaKind, minute: i64) -> QuotaCommand {
        QuotaCommand::Use { kind, now: at(minute) }
    }

    fn used_up(kind: QuotaKind, until: i64) -> QuotaError {
        QuotaError::UsedUp { kind, until: at(until) }
    }

    impl Samples for QuotaEvent {
        fn samples() -> Vec<Self> {
            used(FriendInvitations, [1])
        }
    }

    #[test]
    fn an_address_gets_three_messages_in_ten_minutes() {
        given(vec![]).when(once_more(Messages, 0)).then_expect_events(used(Messages, [0]));
        given(used(Messages, [0, 1])).when(once_more(Messages, 2)).then_expect_events(used(Messages, [2]));
        given(used(Messages, [0, 1, 2])).when(once_more(Messages, 9)).then_expect_error(used_up(Messages, 10));
    }

    #[test]
    fn a_user_sends_twenty_invitations_in_a_day() {
        let (sent, next) = (1..=20, once_more(FriendInvitations, 20));
        given(used(FriendInvitations, 1..=19)).when(next.clone()).then_expect_events(used(FriendInvitations, [20]));
        given(used(FriendInvitations, sent)).when(next).then_expect_error(used_up(FriendInvitations, 24 * 60 + 1));
    }

    #[test]
    fn a_use_counts_for_the_length_of_the_window() {
        let full = || used(Messages, [0, 1, 2]);
        given(full()).when(once_more(Messages, 10)).then_expect_events(used(Messages, [10]));
        let again = full().into_iter().chain(used(Messages, [10])).collect();
        given(again).when(once_more(Messages, 10)).then_expect_error(used_up(Messages, 11));
        let day = 24 * 60;
        given(used(FriendInvitations, 0..20))
            .when(once_more(FriendInvitations, day - 1))
            .then_expect_error(used_up(FriendInvitations, day));
        given(used(FriendInvitations, 0..20))
            .when(once_more(FriendInvitations, day))
            .then_expect_events(used(FriendInvitations, [day]));
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_use_back() {
        given(used(Messages, [60, 61, 62])).when(once_more(Messages, 1)).then_expect_error(used_up(Messages, 70));
    }

    #[test]
    fn a_kind_is_named_as_it_is_stored() {
        for kind in [Messages, FriendInvitations] {
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.name());
        }
        assert_eq!(Messages.stream("digest"), "messages/digest");
    }
}
