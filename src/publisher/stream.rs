//! The JetStream stream: creating it, refusing one that cannot keep the contract, and finding its end.

use super::cloud_event::{Identity, SUBJECT_PREFIX};
use super::failure::{Failure, PublishResult};
use crate::journal::PublishProgress;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::{
    Context, ErrorCode,
    context::GetStreamErrorKind,
    message::StreamMessage,
    stream::{Config, DiscardPolicy, RawMessageErrorKind, RetentionPolicy, StorageType, Stream},
};
use std::time::Duration;

/// Name of the stream.
pub const STREAM: &str = "REGISTRAR";

/// Registrar's last message in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastMessage {
    /// Position of its event.
    pub(super) position: u64,
    /// Identity in its envelope.
    pub(super) identity: Identity,
}

/// The end of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamEnd {
    /// The last sequence number that the server assigned, whether or not the message still exists: the next publish
    /// must name it.
    pub(super) sequence: u64,
    /// Position up to which the stream is complete.
    pub(super) position: u64,
    /// The last message, which shows that position; `None` if the stream holds none.
    pub(super) last: Option<LastMessage>,
    /// Sequence before the first existing message.
    pub(super) gone_until: u64,
    /// Whether messages expire: by age, number or size.
    pub(super) is_limited: bool,
}

impl StreamEnd {
    /// Sequence of a message that stays unless deleted: the last one, or the next if the stream is empty.
    pub(super) fn stays(&self) -> u64 {
        if self.gone_until < self.sequence { self.sequence } else { self.sequence + 1 }
    }
}

/// The stream, created if missing. An existing one keeps its operator's settings.
///
/// # Errors
/// `Unusable` if it cannot hold every event once and in order; `Nats` if the server refuses or does not answer.
pub(super) async fn open(context: &Context) -> PublishResult<Stream> {
    let stream = context.get_or_create_stream(default_config()).await.map_err(Failure::nats("opening the stream"))?;
    check(&stream.cached_info().config)?;
    Ok(stream)
}

/// The stream, if it exists.
///
/// # Errors
/// As [`open`].
pub(super) async fn find(context: &Context) -> PublishResult<Option<Stream>> {
    match context.get_stream(STREAM).await {
        Ok(stream) => {
            check(&stream.cached_info().config)?;
            Ok(Some(stream))
        }
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(told) if told.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(Failure::nats("opening the stream")(error)),
        },
    }
}

fn default_config() -> Config {
    Config {
        name: STREAM.to_owned(),
        description: Some("Events of Registrar, every position once and in order".to_owned()),
        subjects: vec![format!("{SUBJECT_PREFIX}.>")],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: -1,
        num_replicas: 1,
        duplicate_window: Duration::from_secs(120),
        ..Config::default()
    }
}

fn check(config: &Config) -> PublishResult<()> {
    let problem = if !config.subjects.iter().any(|subject| covers_ours(subject)) {
        "its subjects do not cover registrar.events.>"
    } else if config.retention != RetentionPolicy::Limits {
        "its retention is not by limits, so that it forgets where it ends"
    } else if config.no_ack {
        "it does not acknowledge what it stores"
    } else if config.sealed {
        "it is sealed"
    } else {
        return Ok(());
    };
    Err(Failure::Unusable(problem))
}

/// Whether a subject of the configuration covers all subjects that we publish to.
fn covers_ours(subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for ours in SUBJECT_PREFIX.split('.') {
        match tokens.next() {
            Some(">") => return true,
            Some(token) if token == "*" || token == ours => {}
            _ => return false,
        }
    }
    tokens.next() == Some(">")
}

/// Reads the end of the stream from the stream itself.
///
/// Deleted and foreign messages are skipped, so a deleted tail is detected as missing.
///
/// # Errors
/// `Nats` if the server refuses or does not answer.
pub(super) async fn end(stream: &Stream, published: Option<PublishProgress>) -> PublishResult<StreamEnd> {
    let info = stream.get_info().await.map_err(Failure::nats("asking for the state of the stream"))?;
    let sequence = info.state.last_sequence;
    let first = if info.state.messages == 0 { sequence + 1 } else { info.state.first_sequence };
    let gone_until = first.saturating_sub(1);
    let is_limited = !info.config.max_age.is_zero()
        || [info.config.max_messages, info.config.max_bytes, info.config.max_messages_per_subject]
            .iter()
            .any(|limit| *limit > 0);
    for at in (first..=sequence).rev() {
        match stream.get_raw_message(at).await {
            Ok(message) => match LastMessage::of(&message) {
                Some(last) => {
                    let position = last.position;
                    return Ok(StreamEnd { sequence, position, last: Some(last), gone_until, is_limited });
                }
                None => tracing::warn!(sequence = at, "a message in the stream REGISTRAR is not from Registrar"),
            },
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {}
            Err(error) => return Err(Failure::nats("reading the last message of the stream")(error)),
        }
    }
    // A stream without our messages needs all events, unless our messages expired by age. Expired events must not be
    // published again, so the published position is recorded with its sequence: one beyond the stream's end belongs to
    // another stream.
    let noted = published.filter(|published| !info.config.max_age.is_zero() && published.sequence <= sequence);
    let position = noted.map_or(0, |published| published.position);
    Ok(StreamEnd { sequence, position, last: None, gone_until, is_limited })
}

impl LastMessage {
    fn of(message: &StreamMessage) -> Option<Self> {
        // Any client may number a message; its identity shows whether it is ours.
        let identity = Identity::of_json(&message.payload)?;
        let position = identity.id.parse().ok()?;
        let numbered = message.headers.get(NATS_MESSAGE_ID).is_none_or(|id| id.as_str().parse() == Ok(position));
        numbered.then_some(LastMessage { position, identity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_subjects_that_take_every_event_cover_ours() {
        for subject in ["registrar.events.>", "registrar.>", ">", "*.events.>", "registrar.*.>"] {
            assert!(covers_ours(subject), "{subject}");
        }
        for subject in
            ["registrar.events", "registrar.events.*", "registrar.events.admin.>", "other.>", "registrar", ""]
        {
            assert!(!covers_ours(subject), "{subject}");
        }
    }

    #[test]
    fn a_stream_that_forgets_or_does_not_answer_is_refused() {
        assert!(check(&default_config()).is_ok());
        for config in [
            Config { retention: RetentionPolicy::WorkQueue, ..default_config() },
            Config { retention: RetentionPolicy::Interest, ..default_config() },
            Config { no_ack: true, ..default_config() },
            Config { sealed: true, ..default_config() },
            Config { subjects: vec!["other.>".into()], ..default_config() },
        ] {
            assert!(matches!(check(&config), Err(Failure::Unusable(_))), "{config:?}");
        }
    }
}
