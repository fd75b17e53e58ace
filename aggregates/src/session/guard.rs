//! The guard in front of sign-in: counts failures by name and by address, each in a stream of its own under a digest, so
//! that names that do not exist are counted like those that do, and nothing tells them.

use crate::event::{EventFacts, event_names};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How long a failure counts.
pub const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// What failures are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The name that was given.
    Name,
    /// The address that the request came from.
    Address,
}

impl Subject {
    /// Failures within [`WINDOW`] after which nothing is let through.
    #[must_use]
    pub const fn failures_max(self) -> usize {
        match self {
            Subject::Name => 10,
            Subject::Address => 60,
        }
    }
}

/// The failures that count, oldest first.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Guard(VecDeque<DateTime<Utc>>);

/// What can be asked of a guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardCommand {
    /// Notes a failure, unless there are too many already.
    Fail {
        /// What is counted by.
        subject: Subject,
        /// The present moment.
        now: DateTime<Utc>,
    },
}

/// Facts of a guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum GuardEvent {
    /// A sign-in failed.
    #[serde(rename = "sign-in-guard.failed")]
    Failed {
        /// What was counted by.
        subject: Subject,
        /// When.
        at: DateTime<Utc>,
        /// Whether nothing is let through from now on, until the oldest failure counts no longer.
        locked: bool,
    },
}

event_names!(GuardEvent {
    Failed => "sign-in-guard.failed" @ "1.0",
});

impl EventFacts for GuardEvent {}

/// Why a guard lets nothing through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// There were too many failures.
    #[error("too many sign-ins failed")]
    Locked {
        /// When the next one may be tried.
        until: DateTime<Utc>,
    },
}

impl Guard {
    /// Whether a sign-in may be tried.
    ///
    /// # Errors
    /// `Locked`.
    pub fn check(&self, subject: Subject, now: DateTime<Utc>) -> Result<(), GuardError> {
        let counting = self.counting(now);
        match counting.len().checked_sub(subject.failures_max()) {
            Some(beyond) => {
                let oldest = counting.get(beyond).copied().unwrap_or(now);
                Err(GuardError::Locked { until: oldest + WINDOW })
            }
            None => Ok(()),
        }
    }

    /// A clock that goes back frees nothing.
    fn counting(&self, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        self.0.iter().copied().filter(|at| *at + WINDOW > now).collect()
    }

    fn evolve(&mut self, event: GuardEvent) {
        let GuardEvent::Failed { at, .. } = event;
        self.0.retain(|former| *former + WINDOW > at);
        self.0.push_back(at);
    }
}

impl Decide for Guard {
    const SNAPSHOT: Option<&'static [&'static str]> = Some(&[]);

    fn decide(&self, command: GuardCommand) -> Result<Vec<GuardEvent>, GuardError> {
        let GuardCommand::Fail { subject, now } = command;
        self.check(subject, now)?;
        let locked = self.counting(now).len() + 1 >= subject.failures_max();
        Ok(vec![GuardEvent::Failed { subject, at: now, locked }])
    }
}

aggregate!(Guard, "sign-in-guard", GuardCommand, GuardEvent, GuardError);
