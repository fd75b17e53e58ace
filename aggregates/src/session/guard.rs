//! The guard in front of sign-in. It counts failures by the name in a network, by the network, by the name in all
//! networks, and by the session in which a password is asked for again; each counter has a separate stream under a
//! digest.
//!
//! Attackers cannot lock out other users. A name is locked in one network only; beyond that its attempts are slowed
//! down. For a network from which the name signed in recently, only the failures of this name in it count.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::{Decide, Snapshots, decide::aggregate};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Time for which a failure counts.
pub const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// Time for which a network counts as known after a sign-in.
pub const KNOWN: TimeDelta = TimeDelta::days(30);
/// Minimum interval between recorded sign-ins from a known network.
const NOTED: TimeDelta = TimeDelta::days(1);
/// Most known networks of a name; beyond that the least recent ones are dropped.
const NETWORKS_MAX: usize = 50;
/// Failures of a name in all networks from which attempts are slowed down.
const SLOW_FROM: usize = 50;
/// Longest pause after a failure, in seconds.
const PAUSE_MAX: i64 = 30;

/// Subject of a failure counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The entered name, in all networks.
    Name,
    /// The client address of the request. Used by former releases.
    Address,
    /// The entered name, in the client's network.
    NameInNetwork,
    /// The client's network.
    Network,
    /// The session in which a password was asked for again.
    Session,
}

impl Subject {
    /// Failures within [`WINDOW`] that lock the subject; `None` for one that is slowed down instead.
    #[must_use]
    pub const fn failures_max(self) -> Option<usize> {
        match self {
            Subject::Name => None,
            Subject::NameInNetwork | Subject::Session => Some(10),
            Subject::Address | Subject::Network => Some(60),
        }
    }
}

/// The counted failures, oldest first, and the known networks.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    failures: VecDeque<DateTime<Utc>>,
    /// Time of the name's last sign-in from each network.
    networks: BTreeMap<String, DateTime<Utc>>,
}

/// Commands of a guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardCommand {
    /// Records a failure, unless there are too many already.
    Fail {
        /// Subject of the counter.
        subject: Subject,
        /// The current time.
        now: DateTime<Utc>,
    },
    /// Records failures that a node has counted outside the events.
    Count {
        /// Subject of the counter.
        subject: Subject,
        /// Number of failures.
        failures: u32,
        /// The current time.
        now: DateTime<Utc>,
    },
    /// Admits a sign-in, unless concurrent failures are too many.
    Admit {
        /// Subject of the counter.
        subject: Subject,
        /// The current time.
        now: DateTime<Utc>,
    },
    /// Records the network of a sign-in, at most once a day.
    Pass {
        /// Digest of the network.
        network: String,
        /// The current time.
        now: DateTime<Utc>,
    },
}

/// Events of a guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum GuardEvent {
    /// A sign-in failed. The identifier is a digest of the subject of the count.
    #[serde(rename = "sign-in-guard.failed")]
    Failed {
        /// Subject of the failures.
        subject: Subject,
        /// Time of the event.
        at: DateTime<Utc>,
        /// Whether attempts are locked until the oldest failure expires.
        locked: bool,
    },
    /// Several sign-ins failed. The identifier is a digest of the subject of the count.
    #[serde(rename = "sign-in-guard.failures-counted")]
    FailuresCounted {
        /// Subject of the failures.
        subject: Subject,
        /// Number of failures.
        #[cfg_attr(test, schemars(range(min = 1)))]
        failures: u32,
        /// Time at which they were recorded.
        at: DateTime<Utc>,
    },
    /// A user signed in with the name whose digest is the identifier; recorded at most once a day for each network.
    #[serde(rename = "sign-in-guard.passed")]
    Passed {
        /// Keyed digest of the network.
        network: String,
        /// Time of the event.
        at: DateTime<Utc>,
    },
}

event_names!(GuardEvent {
    Failed => "sign-in-guard.failed" @ "1.0" Insert, clear ["/subject", "/at"];
    FailuresCounted => "sign-in-guard.failures-counted" @ "1.0" Insert, clear ["/subject", "/at"];
    Passed => "sign-in-guard.passed" @ "1.0" Insert of "KnownNetwork", clear ["/network", "/at"];
});

impl EventFacts for GuardEvent {}

/// Refusals of a guard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Too many failures.
    #[error("too many sign-ins failed")]
    Locked {
        /// Time of the next allowed attempt.
        until: DateTime<Utc>,
    },
}

impl Refuse for GuardError {
    fn kind(&self) -> RefusalKind {
        match self {
            GuardError::Locked { until } => RefusalKind::Locked { until: *until },
        }
    }
}

impl Guard {
    /// Checks whether a sign-in attempt is allowed.
    ///
    /// # Errors
    /// `Locked`.
    pub fn check(&self, subject: Subject, now: DateTime<Utc>) -> Result<(), GuardError> {
        self.check_with(&Guard::default(), subject, now)
    }

    /// Like `check`, with further failures of the same subject in `more`.
    ///
    /// # Errors
    /// `Locked`.
    pub fn check_with(&self, more: &Guard, subject: Subject, now: DateTime<Utc>) -> Result<(), GuardError> {
        let mut counting: Vec<_> = self.counting(now).chain(more.counting(now)).collect();
        counting.sort_unstable();
        let until = match subject.failures_max() {
            Some(max) => counting.len().checked_sub(max).and_then(|beyond| Some(*counting.get(beyond)? + WINDOW)),
            None => counting.last().zip(pause_after(counting.len())).map(|(last, pause)| *last + pause),
        };
        match until.filter(|until| *until > now) {
            Some(until) => Err(GuardError::Locked { until }),
            None => Ok(()),
        }
    }

    /// Whether the name signed in from this network within [`KNOWN`].
    #[must_use]
    pub fn knows(&self, network: &str, now: DateTime<Utc>) -> bool {
        self.networks.get(network).is_some_and(|at| *at + KNOWN > now)
    }

    /// Whether the network is new to the name: it signed in before, and not from here within [`KNOWN`].
    #[must_use]
    pub fn is_new(&self, network: &str, now: DateTime<Utc>) -> bool {
        !self.networks.is_empty() && !self.knows(network, now)
    }

    /// Number of counted failures.
    #[must_use]
    pub fn failures(&self, now: DateTime<Utc>) -> usize {
        self.counting(now).count()
    }

    /// Counts a failure without an event: for names without an account, for which no event is kept.
    pub fn note(&mut self, at: DateTime<Utc>) {
        self.failures.retain(|former| *former + WINDOW > at);
        self.failures.push_back(at);
    }

    /// A clock that goes back unlocks nothing.
    fn counting(&self, now: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        self.failures.iter().copied().filter(move |at| *at + WINDOW > now)
    }

    fn evolve(&mut self, event: GuardEvent) {
        match event {
            GuardEvent::Failed { at, .. } => self.note(at),
            GuardEvent::FailuresCounted { failures, at, .. } => (0..failures).for_each(|_| self.note(at)),
            GuardEvent::Passed { network, at } => {
                self.networks.retain(|_, last| *last + KNOWN > at);
                self.networks.insert(network, at);
                while self.networks.len() > NETWORKS_MAX {
                    let oldest = self.networks.iter().min_by_key(|(_, at)| **at).map(|(network, _)| network.clone());
                    oldest.map(|network| self.networks.remove(&network));
                }
            }
        }
    }
}

/// The pause after so many failures: it doubles with each.
fn pause_after(failures: usize) -> Option<TimeDelta> {
    let beyond = u32::try_from(failures.checked_sub(SLOW_FROM)?).ok()?;
    Some(TimeDelta::seconds(1_i64.checked_shl(beyond.min(32)).map_or(PAUSE_MAX, |seconds| seconds.min(PAUSE_MAX))))
}

impl Decide for Guard {
    const SNAPSHOT: Option<Snapshots> = Some(Snapshots { shape: 1, personal: &[] });

    fn decide(&self, command: GuardCommand) -> Result<Vec<GuardEvent>, GuardError> {
        match command {
            GuardCommand::Fail { subject, now } => {
                let Some(max) = subject.failures_max() else {
                    return Ok(vec![GuardEvent::Failed { subject, at: now, locked: false }]);
                };
                self.check(subject, now)?;
                Ok(vec![GuardEvent::Failed { subject, at: now, locked: self.failures(now) + 1 >= max }])
            }
            GuardCommand::Count { failures: 0, .. } => Ok(vec![]),
            GuardCommand::Count { subject, failures, now } => {
                Ok(vec![GuardEvent::FailuresCounted { subject, failures, at: now }])
            }
            GuardCommand::Admit { subject, now } => self.check(subject, now).map(|()| vec![]),
            GuardCommand::Pass { network, now } => {
                let noted = self.networks.get(&network).is_some_and(|last| *last + NOTED > now);
                Ok(if noted { vec![] } else { vec![GuardEvent::Passed { network, at: now }] })
            }
        }
    }
}

aggregate!(Guard, "sign-in-guard", GuardCommand, GuardEvent, GuardError);
