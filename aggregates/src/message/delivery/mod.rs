//! A message to a person: composed, and then delivered, each a step of its own with its events.
//!
//! A message is composed in the commit of the act that causes it ([`crate::processes::messages`]), so that it exists
//! exactly if the act does. Then it is attempted until a server has accepted it or refuses it for good, or until 24 hours
//! have passed. The start of an attempt is recorded before anything is handed to a server. So a crash leaves an attempt
//! without an end, which is known: it counts as a failure, and the message is tried again under the same identifier. Only
//! there may a message arrive twice.
//!
//! What became of a message that was handed over comes back in reports ([`super::report`]), before or after the end of its
//! attempts. They change nothing about the attempts.
//!
//! Address, texts, code and link are personal to the recipient, and all but the address are secrets as well: whoever
//! reads them may act for the recipient. No event but the composition has them.

mod backoff;
#[cfg(test)]
pub(crate) mod tests;

pub use backoff::{delay, next_attempt};

use super::report::{REPORTS_MAX, Report};
use super::template::LINE_LENGTH_MAX;
use super::{Channel, Kind};
use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::user::{Locale, Phone};
use crate::values::{EmailAddress, Finding, MessageId, OrganizationId, Problem, RecipientId, check_length};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Largest content of a message, in bytes as JSON: sealed, which makes it a third longer, it fits into an event.
pub const CONTENT_BYTES_MAX: usize = 176 * 1024;

/// Members of a composition that are never shown: whoever reads them may act for the recipient.
const SECRETS: &[&str] = &["/content/subject", "/content/text", "/content/html", "/content/code", "/content/link"];

/// Kind of a thing that a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageSubjectKind"))]
#[serde(rename_all = "kebab-case")]
pub enum AboutKind {
    /// A user.
    User,
    /// An onboarding request of an organization.
    OnboardingRequest,
    /// The invitation of a friend.
    RegistrationInvitation,
}

/// What a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageSubject"))]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Kind of the thing.
    pub kind: AboutKind,
    /// Identifier of the thing.
    pub id: Uuid,
}

/// Texts of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageContent"))]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Subject of an e-mail, one line; absent for a text message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The plain text.
    pub text: String,
    /// The HTML of an e-mail; absent for a text message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Code in the texts, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Link in the texts, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// A message as it was composed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageComposition"))]
#[serde(rename_all = "camelCase")]
pub struct Composition {
    /// The message.
    pub id: MessageId,
    /// Channel by which the message is sent.
    pub channel: Channel,
    /// Kind of the message.
    pub kind: Kind,
    /// Language and country of the texts.
    pub locale: Locale,
    /// The organization in whose name the message is sent; absent for the service itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// Holder of the key that seals the address and the texts.
    pub recipient: RecipientId,
    /// What the message belongs to.
    pub about: About,
    /// E-mail address or telephone number (E.164).
    pub to: String,
    /// The texts.
    pub content: Content,
    /// Time of the composition, from which the 24 hours count.
    pub composed_at: DateTime<Utc>,
}

impl Composition {
    fn check(&self) -> Result<(), Finding> {
        let is_email = self.channel == Channel::Email;
        let address =
            if is_email { EmailAddress::parse(&self.to).map(drop) } else { Phone::parse_stored(&self.to).map(drop) };
        address.map_err(|problem| problem.of("to"))?;
        if !self.kind.channels().contains(&self.channel) {
            return Err(Problem::UnknownCode.of("kind"));
        }
        let Content { subject, text, html, .. } = &self.content;
        if text.trim().is_empty() {
            return Err(Problem::Blank.of("text"));
        }
        for (field, given) in [("subject", subject.is_some()), ("html", html.is_some())] {
            if given != is_email {
                let problem = if is_email { Problem::Blank } else { Problem::UnknownCode };
                return Err(problem.of(field));
            }
        }
        check_subject(subject.as_deref().unwrap_or_default()).map_err(|problem| problem.of("subject"))?;
        let length = serde_json::to_string(&self.content).map_or(usize::MAX, |json| json.len());
        if length > CONTENT_BYTES_MAX {
            return Err(Problem::TooLarge { max: CONTENT_BYTES_MAX }.of("content"));
        }
        Ok(())
    }
}

/// Refuses a subject that would be more than one header of a mail. Names of people and organizations are part of it as
/// they are.
fn check_subject(subject: &str) -> Result<(), Problem> {
    let ends_a_line = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    if subject.chars().any(ends_a_line) {
        return Err(Problem::Control);
    }
    check_length(subject, LINE_LENGTH_MAX)
}

/// Class of a failure. It has no words of the server, which may repeat the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageObstacle"))]
#[serde(rename_all = "kebab-case")]
pub enum Obstacle {
    /// The server cannot be reached, or no encrypted connection to it can be made.
    Unreachable,
    /// The server does not accept the credentials, or wants some.
    Unauthorized,
    /// The server did not answer in time.
    TimedOut,
    /// The connection ended before the server answered.
    Interrupted,
    /// The server refuses for now.
    Postponed,
    /// The process ended, or lost its leadership, during the attempt.
    CutOff,
    /// The server refuses for good.
    Rejected,
    /// The address cannot be written in the form that the server needs.
    Undeliverable,
    /// The recipient was erased.
    Erased,
    /// The stored texts are not those that were written.
    Unreadable,
}

impl Obstacle {
    /// Whether another attempt is pointless.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Obstacle::Rejected | Obstacle::Undeliverable | Obstacle::Erased | Obstacle::Unreadable => true,
            Obstacle::Unreachable
            | Obstacle::Unauthorized
            | Obstacle::TimedOut
            | Obstacle::Interrupted
            | Obstacle::Postponed
            | Obstacle::CutOff => false,
        }
    }

    /// The class as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Obstacle::Unreachable => "unreachable",
            Obstacle::Unauthorized => "unauthorized",
            Obstacle::TimedOut => "timed-out",
            Obstacle::Interrupted => "interrupted",
            Obstacle::Postponed => "postponed",
            Obstacle::CutOff => "cut-off",
            Obstacle::Rejected => "rejected",
            Obstacle::Undeliverable => "undeliverable",
            Obstacle::Erased => "erased",
            Obstacle::Unreadable => "unreadable",
        }
    }
}

/// Failure of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Class of the failure.
    pub obstacle: Obstacle,
    /// Code of the server's answer, if it answered: of SMTP or HTTP.
    pub answer: Option<u16>,
}

impl From<Obstacle> for Failure {
    fn from(obstacle: Obstacle) -> Self {
        Failure { obstacle, answer: None }
    }
}

/// Events of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum MessageEvent {
    /// A message to a person was composed.
    #[serde(rename = "message.composed")]
    Composed(Box<Composition>),
    /// An attempt to send a message started.
    #[serde(rename = "message.attempt-started")]
    AttemptStarted {
        /// Holder of the key that seals the message.
        recipient: RecipientId,
        /// Number of the attempt, from 1.
        number: u32,
        /// Time of the start.
        at: DateTime<Utc>,
    },
    /// A server accepted a message.
    #[serde(rename = "message.sent")]
    Sent {
        /// Holder of the key that seals the message.
        recipient: RecipientId,
        /// Number of the attempt.
        number: u32,
        /// Code of the server's answer, of SMTP or HTTP.
        answer: u16,
    },
    /// An attempt to send a message failed, and there will be another one.
    #[serde(rename = "message.deferred")]
    Deferred {
        /// Holder of the key that seals the message.
        recipient: RecipientId,
        /// Number of the attempt.
        number: u32,
        /// Class of the failure.
        obstacle: Obstacle,
        /// Code of the server's answer, if it answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<u16>,
        /// Time of the next attempt.
        next_at: DateTime<Utc>,
    },
    /// A message could not be sent: the failure of the last attempt is final, or 24 hours have passed.
    #[serde(rename = "message.failed")]
    Failed {
        /// Holder of the key that seals the message.
        recipient: RecipientId,
        /// Number of the last attempt.
        number: u32,
        /// Class of its failure.
        obstacle: Obstacle,
        /// Code of the server's answer, if it answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<u16>,
    },
    /// A message was kept to be read here, since no server is configured for its channel.
    #[serde(rename = "message.captured")]
    Captured {
        /// Holder of the key that seals the message.
        recipient: RecipientId,
    },
    /// A report about a message came back.
    #[serde(rename = "message.reported")]
    Reported {
        /// Holder of the key that seals the message.
        recipient: RecipientId,
        /// The report.
        report: Box<Report>,
    },
}

event_names!(MessageEvent {
    Composed => "message.composed" @ "1.0" Insert, clear [
        "/id", "/channel", "/kind", "/locale", "/organizationId", "/recipient", "/about/kind", "/about/id", "/composedAt",
    ];
    AttemptStarted => "message.attempt-started" @ "1.0" Update, clear ["/recipient", "/at"];
    Sent => "message.sent" @ "1.0" Update, clear ["/recipient"];
    Deferred => "message.deferred" @ "1.0" Update, clear ["/recipient", "/obstacle", "/nextAt"];
    Failed => "message.failed" @ "1.0" Update, clear ["/recipient", "/obstacle"];
    Captured => "message.captured" @ "1.0" Update, clear ["/recipient"];
    Reported => "message.reported" @ "1.0" Update, clear [
        "/recipient", "/report/id", "/report/source", "/report/outcome", "/report/class", "/report/at",
        "/report/destinationKey", "/report/providerId",
    ];
});

impl MessageEvent {
    /// Holder of the key that seals the message.
    #[must_use]
    pub fn recipient(&self) -> RecipientId {
        match self {
            MessageEvent::Composed(composition) => composition.recipient,
            MessageEvent::AttemptStarted { recipient, .. }
            | MessageEvent::Sent { recipient, .. }
            | MessageEvent::Deferred { recipient, .. }
            | MessageEvent::Failed { recipient, .. }
            | MessageEvent::Captured { recipient }
            | MessageEvent::Reported { recipient, .. } => *recipient,
        }
    }
}

impl EventFacts for MessageEvent {
    fn subject(&self, _aggregate_id: &str) -> Option<String> {
        Some(self.recipient().to_string())
    }

    fn secret_fields(&self) -> &'static [&'static str] {
        if matches!(self, MessageEvent::Composed(_)) { SECRETS } else { &[] }
    }
}

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
                if at < progress.due_at { Err(MessageError::NotDue) } else { Ok(vec![started]) }
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

    /// What the message belongs to; `None` if there is no such message.
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
