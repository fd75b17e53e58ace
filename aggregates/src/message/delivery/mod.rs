//! A message to a person: composed, and then delivered, each a step of its own with its events.
//!
//! A message is composed in the commit of the act that causes it ([`crate::processes::messages`]), so that it exists
//! exactly if the act does. Then it is attempted until a server has accepted it or refuses it for good, or until 24 hours
//! have passed. The start of an attempt is recorded before anything is handed to a server. So a crash leaves an attempt
//! without an end, which is known: it counts as a failure, and the message is tried again under the same identifier. Only
//! there may a message arrive twice.
//!
//! Reports ([`super::report`]) tell the fate of a message that was handed over, before or after the end of its attempts.
//! They change nothing about the attempts.
//!
//! Address, texts, code and link are personal to the recipient, and all but the address are secrets as well: their reader
//! may act for the recipient. No event but the composition has them.

mod backoff;
mod composition;
mod event;
mod obstacle;
#[cfg(test)]
pub(crate) mod tests;

pub use backoff::{DELAY_MAX, delay, next_attempt};
pub use composition::{About, AboutKind, CONTENT_BYTES_MAX, Composition, Content};
pub use event::MessageEvent;
pub use obstacle::{Failure, Obstacle};

use super::Channel;
use super::report::{REPORTS_MAX, Report};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{Finding, RecipientId};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Progress of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    recipient: RecipientId,
    channel: Channel,
    about: About,
    composed_at: DateTime<Utc>,
    attempts: u32,
    due_at: DateTime<Utc>,
    /// Identifiers of the recorded reports.
    reports: BTreeSet<String>,
    /// Time of the latest outcome that settles the message's fate.
    settled_at: Option<DateTime<Utc>>,
}

/// Life cycle of a message.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Never composed.
    #[default]
    Absent,
    /// Waiting for its next attempt.
    Waiting(Progress),
    /// In an attempt, or in one that was cut off.
    Attempting(Progress),
    /// Sent, failed or captured.
    Ended(Progress),
}

/// Commands of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageCommand {
    /// Composes the message.
    Compose {
        /// The message.
        composition: Box<Composition>,
        /// Whether no server is configured for its channel, so that it is captured at once.
        captured: bool,
    },
    /// Captures a waiting message whose channel has no server any more.
    Capture,
    /// Starts an attempt; nothing is handed to a server before this is stored.
    StartAttempt {
        /// Number of the attempt: one more than those before.
        number: u32,
        /// The current time.
        at: DateTime<Utc>,
    },
    /// Records that a server accepted the message.
    RecordSent {
        /// Number of the attempt.
        number: u32,
        /// Code of the server's answer.
        answer: u16,
    },
    /// Records the failure of an attempt.
    RecordFailure {
        /// Number of the attempt.
        number: u32,
        /// The failure.
        failure: Failure,
        /// The current time.
        at: DateTime<Utc>,
    },
    /// Records a report, once.
    RecordReport(Box<Report>),
}

/// Refusals of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The identifier is taken.
    #[error("message already exists")]
    AlreadyExists,
    /// Message not found.
    #[error("message not found")]
    NotFound,
    /// The message was sent, has failed or was captured.
    #[error("the message has ended")]
    Ended,
    /// Another attempt is under way, or was already made.
    #[error("another attempt was started")]
    OtherAttempt,
    /// The next attempt is due later.
    #[error("the next attempt is not due")]
    NotDue,
    /// A member is invalid.
    #[error(transparent)]
    Unfit(#[from] Finding),
}

impl Refuse for MessageError {
    fn kind(&self) -> RefusalKind {
        match self {
            MessageError::NotFound => RefusalKind::NotFound,
            MessageError::AlreadyExists | MessageError::Ended | MessageError::OtherAttempt | MessageError::NotDue => {
                RefusalKind::Conflict
            }
            MessageError::Unfit(finding) => finding.kind(),
        }
    }
}

impl Progress {
    fn of(composition: &Composition) -> Self {
        let Composition { recipient, channel, about, composed_at, .. } = *composition;
        Progress {
            recipient,
            channel,
            about,
            composed_at,
            attempts: 0,
            due_at: composed_at,
            reports: BTreeSet::new(),
            settled_at: None,
        }
    }

    fn fail(&self, Failure { obstacle, answer }: Failure, at: DateTime<Utc>) -> MessageEvent {
        let Progress { recipient, composed_at, attempts: number, .. } = *self;
        let next = if obstacle.is_final() { None } else { next_attempt(composed_at, number, at) };
        match next {
            Some(next_at) => MessageEvent::Deferred { recipient, number, obstacle, answer, next_at },
            None => MessageEvent::Failed { recipient, number, obstacle, answer },
        }
    }

    /// A report that was recorded before, one about the other channel, and one beyond the bound change nothing.
    fn report(&self, report: Box<Report>) -> Result<Vec<MessageEvent>, MessageError> {
        report.check()?;
        let is_known = self.reports.contains(&report.id) || self.reports.len() >= REPORTS_MAX;
        if is_known || report.source.channel() != self.channel {
            return Ok(vec![]);
        }
        Ok(vec![MessageEvent::Reported { recipient: self.recipient, report }])
    }

    fn reported(mut self, report: Report) -> Self {
        if report.outcome.settles() {
            self.settled_at = self.settled_at.max(Some(report.at));
        }
        self.reports.insert(report.id);
        self
    }
}

impl Decide for Message {
    fn creates(command: &MessageCommand) -> bool {
        matches!(command, MessageCommand::Compose { .. })
    }

    fn decide(&self, command: MessageCommand) -> Result<Vec<MessageEvent>, MessageError> {
        use MessageCommand::{Capture, Compose, RecordFailure, RecordReport, RecordSent, StartAttempt};
        match (self, command) {
            (Message::Absent, Compose { composition, captured }) => {
                composition.check()?;
                let capture = captured.then_some(MessageEvent::Captured { recipient: composition.recipient });
                Ok([MessageEvent::Composed(composition)].into_iter().chain(capture).collect())
            }
            (_, Compose { .. }) => Err(MessageError::AlreadyExists),
            (Message::Absent, _) => Err(MessageError::NotFound),
            (
                Message::Waiting(progress) | Message::Attempting(progress) | Message::Ended(progress),
                RecordReport(report),
            ) => progress.report(report),
            (Message::Ended(_), StartAttempt { .. }) => Err(MessageError::Ended),
            // Late news of a message that has ended change nothing.
            (Message::Ended(_), _) => Ok(vec![]),
            (Message::Waiting(progress), StartAttempt { number, at }) if number == progress.attempts + 1 => {
                let recipient = progress.recipient;
                let started = MessageEvent::AttemptStarted { recipient, number, at };
                // The first attempt waits for no clock: that of the node that composed the message may have been ahead.
                let is_due = number == 1 || backoff::is_due(progress.due_at, at);
                if is_due { Ok(vec![started]) } else { Err(MessageError::NotDue) }
            }
            (_, StartAttempt { .. }) => Err(MessageError::OtherAttempt),
            // Also of an attempt that was taken for cut off: what a server has accepted is not sent again.
            (Message::Waiting(progress) | Message::Attempting(progress), RecordSent { number, answer }) => {
                let recipient = progress.recipient;
                let known = (1..=progress.attempts).contains(&number);
                if known {
                    Ok(vec![MessageEvent::Sent { recipient, number, answer }])
                } else {
                    Err(MessageError::OtherAttempt)
                }
            }
            (Message::Attempting(progress), RecordFailure { number, failure, at }) if number == progress.attempts => {
                Ok(vec![progress.fail(failure, at)])
            }
            // The attempt was taken for cut off already; its successor counts.
            (_, RecordFailure { .. }) => Ok(vec![]),
            (Message::Waiting(progress), Capture) => Ok(vec![MessageEvent::Captured { recipient: progress.recipient }]),
            (Message::Attempting(_), Capture) => Err(MessageError::OtherAttempt),
        }
    }
}

impl Message {
    fn progress(&self) -> Option<&Progress> {
        match self {
            Message::Absent => None,
            Message::Waiting(progress) | Message::Attempting(progress) | Message::Ended(progress) => Some(progress),
        }
    }

    /// The record that the message belongs to; `None` if there is no such message.
    #[must_use]
    pub fn about(&self) -> Option<About> {
        self.progress().map(|progress| progress.about)
    }

    /// Whether the message was sent, has failed or was captured.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self, Message::Ended(_))
    }

    /// Time of the latest outcome that a report has told of the message for good.
    #[must_use]
    pub fn settled_at(&self) -> Option<DateTime<Utc>> {
        self.progress().and_then(|progress| progress.settled_at)
    }

    fn evolve(&mut self, event: MessageEvent) {
        *self = match (std::mem::take(self), event) {
            (_, MessageEvent::Composed(composition)) => Message::Waiting(Progress::of(&composition)),
            (Message::Waiting(progress), MessageEvent::AttemptStarted { number, at, .. }) => {
                Message::Attempting(Progress { attempts: number, due_at: at, ..progress })
            }
            (Message::Attempting(progress), MessageEvent::Deferred { next_at, .. }) => {
                Message::Waiting(Progress { due_at: next_at, ..progress })
            }
            (
                Message::Waiting(progress) | Message::Attempting(progress),
                MessageEvent::Sent { .. } | MessageEvent::Failed { .. } | MessageEvent::Captured { .. },
            ) => Message::Ended(progress),
            (Message::Waiting(progress), MessageEvent::Reported { report, .. }) => {
                Message::Waiting(progress.reported(*report))
            }
            (Message::Attempting(progress), MessageEvent::Reported { report, .. }) => {
                Message::Attempting(progress.reported(*report))
            }
            (Message::Ended(progress), MessageEvent::Reported { report, .. }) => {
                Message::Ended(progress.reported(*report))
            }
            (
                state,
                MessageEvent::AttemptStarted { .. }
                | MessageEvent::Sent { .. }
                | MessageEvent::Deferred { .. }
                | MessageEvent::Failed { .. }
                | MessageEvent::Captured { .. }
                | MessageEvent::Reported { .. },
            ) => state,
        };
    }
}

aggregate!(Message, "message", MessageCommand, MessageEvent, MessageError);
