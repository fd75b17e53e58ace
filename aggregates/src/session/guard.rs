//! The guard in front of sign-in. It counts failures by the name in a network, by the network, by the name in all networks,
//! and by the session in which a password is asked for again; each counter has a stream of its own under a digest.
//!
//! Nobody locks anybody else out. A name is locked in one network only; beyond that its attempts are slowed down. A network
//! from which the name signed in lately is judged by the failures of this name in it and by nothing else.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::{Decide, Snapshots, decide::aggregate};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// How long a failure counts.
pub const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// How long a network counts as known after a sign-in.
pub const KNOWN: TimeDelta = TimeDelta::days(30);
/// How often a sign-in from a known network is noted.
const NOTED: TimeDelta = TimeDelta::days(1);
/// Networks that are known of a name; beyond that the ones seen longest ago are forgotten.
const NETWORKS_MAX: usize = 50;
/// Failures of a name in all networks from which attempts are slowed down.
const SLOW_FROM: usize = 50;
/// Longest pause after a failure, in seconds.
const PAUSE_MAX: i64 = 30;

/// What failures are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The name that was given, in all networks.
    Name,
    /// The address that the request came from. Former releases counted by it.
    Address,
    /// The name that was given, in the network that the request came from.
    NameInNetwork,
    /// The network that the request came from.
    Network,
    /// The session in which a password was asked for again.
    Session,
}

impl Subject {
    /// Failures within [`WINDOW`] after which nothing is let through; `None` for what is slowed down instead.
    #[must_use]
    pub const fn failures_max(self) -> Option<usize> {
        match self {
            Subject::Name => None,
            Subject::NameInNetwork | Subject::Session => Some(10),
            Subject::Address | Subject::Network => Some(60),
        }
    }
}

/// The failures that count, oldest first, and the networks that are known.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    failures: VecDeque<DateTime<Utc>>,
    /// When the name last signed in from each network.
    networks: BTreeMap<String, DateTime<Utc>>,
}

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
    /// Notes failures that were counted elsewhere.
    Count {
        /// What they were counted by.
        subject: Subject,
        /// Number of failures.
        failures: u32,
        /// The present moment.
        now: DateTime<Utc>,
    },
    /// Lets a sign-in pass, unless failures that were noted meanwhile are too many.
    Admit {
        /// What is counted by.
        subject: Subject,
        /// The present moment.
        now: DateTime<Utc>,
    },
    /// Notes from which network a name signed in, at most once a day.
    Pass {
        /// Digest of the network.
        network: String,
        /// The present moment.
        now: DateTime<Utc>,
    },
}

/// Facts of a guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum GuardEvent {
    /// A sign-in failed. By what it is counted stands in the identifier, as a digest.
    #[serde(rename = "sign-in-guard.failed")]
    Failed {
        /// What the failures are counted by.
        subject: Subject,
        /// Time of the event.
        at: DateTime<Utc>,
        /// Whether nothing is let through from now on, until the oldest failure counts no longer.
        locked: bool,
    },
    /// Several sign-ins failed. By what they are counted stands in the identifier, as a digest.
    #[serde(rename = "sign-in-guard.failures-counted")]
    FailuresCounted {
        /// What the failures are counted by.
        subject: Subject,
        /// Number of failures.
        #[cfg_attr(test, schemars(range(min = 1)))]
        failures: u32,
        /// Time at which they were recorded.
        at: DateTime<Utc>,
    },
    /// Somebody signed in with the name that stands in the identifier, as a digest; noted at most once a day for each
    /// network.
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

impl Refuse for GuardError {
    fn kind(&self) -> RefusalKind {
        match self {
            GuardError::Locked { until } => RefusalKind::Locked { until: *until },
        }
    }
}

impl Guard {
    /// Whether a sign-in may be tried.
    ///
    /// # Errors
    /// `Locked`.
    pub fn check(&self, subject: Subject, now: DateTime<Utc>) -> Result<(), GuardError> {
        self.check_with(&Guard::default(), subject, now)
    }

    /// The same, where `more` holds further failures of the same subject.
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

    /// Whether the name signed in from this network lately.
    #[must_use]
    pub fn knows(&self, network: &str, now: DateTime<Utc>) -> bool {
        self.networks.get(network).is_some_and(|at| *at + KNOWN > now)
    }

    /// Failures that count.
    #[must_use]
    pub fn failures(&self, now: DateTime<Utc>) -> usize {
        self.counting(now).count()
    }

    /// Notes a failure without an event: for names that nobody has, of which no event is kept.
    pub fn note(&mut self, at: DateTime<Utc>) {
        self.failures.retain(|former| *former + WINDOW > at);
        self.failures.push_back(at);
    }

    /// A clock that goes back frees nothing.
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

/// The pause after the last of so many failures: it doubles with each.
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
