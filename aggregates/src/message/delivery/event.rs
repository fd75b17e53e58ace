//! Events of a message.

use super::{Composition, Obstacle};
use crate::facts::{EventFacts, event_names};
use crate::message::report::Report;
use crate::values::RecipientId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Members of a composition that are never shown: their reader may act for the recipient.
const SECRETS: &[&str] = &["/content/subject", "/content/text", "/content/html", "/content/code", "/content/link"];

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
