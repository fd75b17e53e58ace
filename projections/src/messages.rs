//! The read models of messages: the progress of each ([`MessageDocument`]), by which the queue of deliveries goes, and
//! the address and texts of those that are not sent yet or were captured ([`MessageTexts`]).
//!
//! The texts are apart, so that an attempt rewrites no sealed value, and so that codes and links are gone from the
//! documents once a message is sent or has failed. The journal keeps them, sealed.

use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use crate::state_document;
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::message::delivery::{About, Content, MessageEvent, Obstacle};
use registrar_aggregates::message::report::{Outcome, Report, ReportSource};
use registrar_aggregates::message::{Channel, Kind};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{MessageId, OrganizationId, RecipientId};
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 2;

/// The present state of a message, without anything personal.
pub type MessageDocument = Stamped<MessageProgress>;

crate::collection! {
    "messages" of MessageDocument, hot: false, id: |message| message.id.to_string();
    keys {
        /// Name of the state, see [`State::name`].
        pub STATE: Text = |message| message.progress.name().to_owned();
        /// Channel of the message.
        pub CHANNEL: Text = |message| message.channel.name().to_owned();
        /// Place among the messages of the same state, see [`MessageProgress::place`], as [`time_key`] writes it.
        pub PLACE: Text = |message| time_key(message.place());
        /// Identifier of what the message belongs to.
        pub ABOUT_ID: Text = |message| message.about.id.to_string();
        CREATED_AT: Text = |message| time_key(message.created_at);
    }
    indexes {
        [STATE, CHANNEL, PLACE],
        [STATE, CREATED_AT],
        [STATE, PLACE],
        [ABOUT_ID, CREATED_AT],
    }
    sorts {
        /// Of waiting messages, new ones first, then those whose next attempt is longest due.
        pub BY_PLACE = [PLACE];
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// State of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waiting for its next attempt.
    Waiting,
    /// In an attempt, or in one that was cut off.
    Attempting,
    /// Accepted by a server.
    Sent,
    /// Given up.
    Failed,
    /// Kept to be read here.
    Captured,
}

impl State {
    /// The name as written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Attempting => "attempting",
            State::Sent => "sent",
            State::Failed => "failed",
            State::Captured => "captured",
        }
    }
}

/// Progress of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageProgress {
    /// The message.
    pub id: MessageId,
    /// Channel of the message.
    pub channel: Channel,
    /// Kind of the message.
    pub kind: Kind,
    /// Language and country of the texts.
    pub locale: Locale,
    /// The organization in whose name the message is sent; absent for the service itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// Holder of the key that seals the message.
    pub recipient: RecipientId,
    /// What the message belongs to.
    pub about: About,
    /// Time of the composition.
    pub composed_at: DateTime<Utc>,
    /// State of the message.
    #[serde(rename = "state")]
    pub progress: State,
    /// Number of attempts that were started.
    pub attempts: u32,
    /// Time of the next attempt, or of the start of the last one.
    pub due_at: DateTime<Utc>,
    /// Class of the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// Code of the server's last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<u16>,
    /// Time of the capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<DateTime<Utc>>,
    /// The report that came last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<LastReport>,
}

impl MessageProgress {
    /// Place among the messages of the same state. That of a captured message is the time of its capture, in the order of
    /// the journal; reports do not change it. A waiting one has the time of its next attempt. A new one comes before all
    /// of them, so that no code waits behind messages that a server refuses, or for a clock that was set back.
    #[must_use]
    pub fn place(&self) -> DateTime<Utc> {
        match self.progress {
            State::Waiting if self.attempts == 0 => DateTime::UNIX_EPOCH,
            State::Captured => self.captured_at.unwrap_or(self.due_at),
            State::Waiting | State::Attempting | State::Sent | State::Failed => self.due_at,
        }
    }
}

/// A report about a message, without what is personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastReport {
    /// Source of the report.
    pub source: ReportSource,
    /// Fate of the message.
    pub outcome: Outcome,
    /// The source's own class of the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Time of the outcome.
    pub at: DateTime<Utc>,
}

impl From<&Report> for LastReport {
    fn from(report: &Report) -> Self {
        LastReport { source: report.source, outcome: report.outcome, class: report.class.clone(), at: report.at }
    }
}

impl AggregateState for MessageProgress {
    type Event = MessageEvent;

    fn create(_: &RecordedEvent, change: &MessageEvent) -> Option<Self> {
        let MessageEvent::Composed(composition) = change else { return None };
        Some(MessageProgress {
            id: composition.id,
            channel: composition.channel,
            kind: composition.kind,
            locale: composition.locale,
            organization_id: composition.organization_id,
            recipient: composition.recipient,
            about: composition.about,
            composed_at: composition.composed_at,
            progress: State::Waiting,
            attempts: 0,
            due_at: composition.composed_at,
            obstacle: None,
            answer: None,
            captured_at: None,
            report: None,
        })
    }

    fn change(mut self, event: &RecordedEvent, change: &MessageEvent) -> Option<Self> {
        match change {
            MessageEvent::Composed(_) => {}
            MessageEvent::AttemptStarted { number, at, .. } => {
                (self.progress, self.attempts, self.due_at) = (State::Attempting, *number, *at);
            }
            MessageEvent::Sent { answer, .. } => {
                (self.progress, self.obstacle, self.answer) = (State::Sent, None, Some(*answer));
            }
            MessageEvent::Deferred { obstacle, answer, next_at, .. } => {
                (self.progress, self.due_at) = (State::Waiting, *next_at);
                (self.obstacle, self.answer) = (Some(*obstacle), *answer);
            }
            MessageEvent::Failed { obstacle, answer, .. } => {
                (self.progress, self.obstacle, self.answer) = (State::Failed, Some(*obstacle), *answer);
            }
            MessageEvent::Captured { .. } => {
                (self.progress, self.captured_at) = (State::Captured, Some(event.recorded_at));
            }
            MessageEvent::Reported { report, .. } => self.report = Some(LastReport::from(&**report)),
        }
        Some(self)
    }
}

crate::collection! {
    "message_texts" of MessageTexts, hot: false, id: |texts| texts.id.to_string(), sealed: sealed_fields;
}

/// Address and texts of a message that is not sent yet or was captured, all sealed for the recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageTexts {
    /// The message.
    pub id: MessageId,
    /// Holder of the key that seals the message.
    pub recipient: RecipientId,
    /// E-mail address or telephone number (E.164).
    pub to: String,
    /// The texts.
    pub content: Content,
}

fn sealed_fields(texts: &MessageTexts) -> Vec<(String, Vec<String>)> {
    let content = ["subject", "text", "html", "code", "link"].map(|member| format!("/content/{member}"));
    vec![(texts.recipient.to_string(), ["/to".to_owned()].into_iter().chain(content).collect())]
}

fn of_message(event: &RecordedEvent) -> Option<&MessageEvent> {
    match &*event.event {
        DomainEvent::Message(event) => Some(event),
        _ => None,
    }
}

/// Documents that the fold reads.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    let mut wanted = state_document::wants::<MessageDocument>(event);
    if let Some(MessageEvent::Sent { .. } | MessageEvent::Failed { .. }) = of_message(event) {
        wanted.push(DocumentKey::of::<MessageTexts>(&event.aggregate_id));
    }
    wanted
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let Some(change) = of_message(event) else { return Ok(()) };
    state_document::fold::<MessageDocument>(event, documents)?;
    match change {
        MessageEvent::Composed(composition) => documents.insert(MessageTexts {
            id: composition.id,
            recipient: composition.recipient,
            to: composition.to.clone(),
            content: composition.content.clone(),
        }),
        MessageEvent::Sent { .. } | MessageEvent::Failed { .. } => {
            // A message whose texts were taken away fails, and must be able to.
            let has_texts = documents.get::<MessageTexts>(&event.aggregate_id)?.is_some();
            if has_texts { documents.remove::<MessageTexts>(&event.aggregate_id) } else { Ok(()) }
        }
        MessageEvent::AttemptStarted { .. }
        | MessageEvent::Deferred { .. }
        | MessageEvent::Captured { .. }
        | MessageEvent::Reported { .. } => Ok(()),
    }
}
