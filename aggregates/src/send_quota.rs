//! Messages with codes and invitations to one address: three in ten minutes over all callers, so that no address is
//! flooded with mail in our name. The stream is the keyed digest of the address.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::{Decide, Snapshots, decide::aggregate};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Time for which a message counts.
pub const WINDOW: TimeDelta = TimeDelta::minutes(10);
/// Messages within [`WINDOW`].
pub const SENDS_MAX: usize = 3;

/// The counted messages to one address, oldest first.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendQuota {
    sends: VecDeque<DateTime<Utc>>,
}

/// Commands of a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendQuotaCommand {
    /// Counts a message to the address.
    Send {
        /// The current time.
        now: DateTime<Utc>,
    },
}

/// Events of a quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum SendQuotaEvent {
    /// A code or an invitation is sent to the address whose digest is the identifier.
    #[serde(rename = "send-quota.used")]
    Used {
        /// Time of the event.
        at: DateTime<Utc>,
    },
}

event_names!(SendQuotaEvent {
    Used => "send-quota.used" @ "1.0" Insert, clear ["/at"];
});

impl EventFacts for SendQuotaEvent {}

/// Refusals of a quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendQuotaError {
    /// The address got too many messages.
    #[error("it is too soon for another message to this address")]
    TooSoon {
        /// Time of the next allowed message.
        until: DateTime<Utc>,
    },
}

impl Refuse for SendQuotaError {
    fn kind(&self) -> RefusalKind {
        match self {
            SendQuotaError::TooSoon { until } => RefusalKind::Locked { until: *until },
        }
    }
}

impl SendQuota {
    fn evolve(&mut self, event: SendQuotaEvent) {
        let SendQuotaEvent::Used { at } = event;
        self.sends.retain(|former| *former + WINDOW > at);
        self.sends.push_back(at);
    }
}

impl Decide for SendQuota {
    const SNAPSHOT: Option<Snapshots> = Some(Snapshots { shape: 1, personal: &[] });

    fn decide(&self, command: SendQuotaCommand) -> Result<Vec<SendQuotaEvent>, SendQuotaError> {
        let SendQuotaCommand::Send { now } = command;
        // A clock that goes back frees none.
        let mut counting: Vec<_> = self.sends.iter().copied().filter(|at| *at + WINDOW > now).collect();
        counting.sort_unstable();
        match counting.len().checked_sub(SENDS_MAX).and_then(|beyond| counting.get(beyond)) {
            Some(oldest) => Err(SendQuotaError::TooSoon { until: *oldest + WINDOW }),
            None => Ok(vec![SendQuotaEvent::Used { at: now }]),
        }
    }
}

aggregate!(SendQuota, "send-quota", SendQuotaCommand, SendQuotaEvent, SendQuotaError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
    }

    fn used(seconds: i64) -> SendQuotaEvent {
        SendQuotaEvent::Used { at: at(seconds) }
    }

    fn send(seconds: i64) -> SendQuotaCommand {
        SendQuotaCommand::Send { now: at(seconds) }
    }

    fn given(events: impl IntoIterator<Item = SendQuotaEvent>) -> AggregateTestExecutor<SendQuota> {
        TestFramework::with(()).given(events.into_iter().collect())
    }

    impl Samples for SendQuotaEvent {
        fn samples() -> Vec<Self> {
            vec![used(0)]
        }
    }

    #[test]
    fn an_address_gets_three_messages_in_ten_minutes() {
        given([]).when(send(0)).then_expect_events(vec![used(0)]);
        given([used(0), used(1)]).when(send(2)).then_expect_events(vec![used(2)]);
        let full = || [used(0), used(100), used(200)];
        given(full()).when(send(599)).then_expect_error(SendQuotaError::TooSoon { until: at(600) });
        given(full()).when(send(600)).then_expect_events(vec![used(600)]);
        let again = full().into_iter().chain([used(600)]);
        given(again).when(send(601)).then_expect_error(SendQuotaError::TooSoon { until: at(700) });
    }

    #[test]
    fn a_clock_that_goes_back_frees_no_message() {
        given([used(0), used(1), used(2)])
            .when(send(-60))
            .then_expect_error(SendQuotaError::TooSoon { until: at(600) });
    }
}
