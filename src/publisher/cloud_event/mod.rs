//! Published form of events: CloudEvents 1.0 in JSON, the same on NATS and over SSE.
//!
//! The envelope is written by serde rather than by the CloudEvents SDK: the SDK wants the payload parsed, keeps
//! extension attributes in a map without order, so that the same event would not give the same bytes twice, and brings
//! packages that nothing else needs.

use crate::journal::{JournalError, JournalResult, StoredEvent, codec};
use crate::vault::Vault;
use registrar_aggregates::{
    DomainEvent,
    personal::{self, Disclosure},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

/// `source` of every event.
pub const SOURCE: &str = "registrar";
/// Prefix of the event name in `type`, e.g. `registrar.admin.registered`.
pub const TYPE_PREFIX: &str = "registrar.";
/// Prefix of aggregate, id and event word in the NATS subject.
pub const SUBJECT_PREFIX: &str = "registrar.events";
/// Placeholder for a withheld personal or secret value.
pub const REDACTED: &str = "[redacted]";

/// Treatment of personal values in published events.
#[derive(Clone)]
pub enum PersonalValues {
    /// Each reads [`REDACTED`], and so do secrets. No key is needed, so no value can be revealed by mistake, and the
    /// payload keeps the shape that it was stored in.
    Redacted,
    /// Decrypted with the keys of this vault, in today's shape. Secrets read `***` and values of erased people
    /// `[erased]`.
    Clear(Arc<Vault>),
}

/// An event in its published form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudEvent {
    /// Place in the order of all events; `id` of the CloudEvent.
    pub position: u64,
    /// `type` of the CloudEvent.
    pub kind: String,
    /// Tenant that the event belongs to, if any.
    pub organization: Option<String>,
    /// Subject that it is published to; each part of it is a safe token.
    pub nats_subject: String,
    /// The CloudEvent in the structured JSON format.
    pub json: String,
}

/// Identity of an event, also readable from its published envelope. Independent of the treatment of personal values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// `id`: the position as text.
    pub id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    time: String,
}

impl Identity {
    /// Parses an envelope; `None` if Registrar did not write it.
    #[must_use]
    pub fn of_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().filter(|identity: &Identity| identity.source == SOURCE)
    }

    /// The identity of a journal event.
    #[must_use]
    pub fn of(event: &StoredEvent) -> Self {
        Identity {
            id: event.position.to_string(),
            source: SOURCE.to_owned(),
            kind: kind(event),
            subject: subject(event),
            time: codec::timestamp(event.recorded_at),
        }
    }
}

impl PersonalValues {
    /// The published form of the events, in order, up to the first that fails: it must not hold back those before it,
    /// and no later event may overtake it.
    ///
    /// # Errors
    /// `Corrupt` if the first event is not in the journal's form or, in the clear, is unknown to this release;
    /// `Unavailable` if keys cannot be fetched.
    pub async fn render(&self, events: &[StoredEvent]) -> JournalResult<Vec<CloudEvent>> {
        match self {
            PersonalValues::Redacted => up_to_error(events.iter().map(|event| envelope(event, &redacted(event)?))),
            PersonalValues::Clear(vault) => match codec::decode(vault, events).await {
                Ok(recorded) => up_to_error(
                    events.iter().zip(&recorded).map(|(event, recorded)| envelope(event, &in_clear(&recorded.event)?)),
                ),
                Err(JournalError::Corrupt(_)) if events.len() > 1 => {
                    Box::pin(self.render(&events[..events.len() / 2])).await
                }
                Err(error) => Err(error),
            },
        }
    }
}

fn up_to_error(events: impl Iterator<Item = JournalResult<CloudEvent>>) -> JournalResult<Vec<CloudEvent>> {
    let mut rendered = Vec::new();
    for event in events {
        match event {
            Ok(event) => rendered.push(event),
            Err(error) if rendered.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(rendered)
}

/// Names the position and never a value, since an unreadable value may be personal.
fn unreadable(event: &StoredEvent) -> JournalError {
    JournalError::corrupt(format!(
        "event at position {} cannot be published: it does not have its shape",
        event.position
    ))
}

/// The payload without personal values: sealed ones, and those that an earlier release did not seal yet.
fn redacted(event: &StoredEvent) -> JournalResult<Cow<'_, str>> {
    let disclosure = DomainEvent::disclosure_of(&event.event_type);
    if disclosure.is_some_and(Disclosure::is_all) {
        return Ok(Cow::Borrowed(&event.payload));
    }
    let mut payload: Value = serde_json::from_str(&event.payload).map_err(|_| unreadable(event))?;
    let sealed = payload.as_object_mut().ok_or_else(|| unreadable(event))?.remove("sealed");
    let personal = disclosure.map(|disclosure| disclosure.personal(&payload)).unwrap_or_default();
    if sealed.is_none() && personal.is_empty() {
        return Ok(Cow::Borrowed(&event.payload));
    }
    personal::replace(&mut payload, &personal, REDACTED);
    // An event type unknown to this release has marks alone.
    redact_marks(&mut payload);
    serde_json::to_string(&payload).map(Cow::Owned).map_err(JournalError::corrupt)
}

/// The payload with all values that may ever be shown.
fn in_clear(event: &DomainEvent) -> JournalResult<String> {
    let mut payload = event.to_payload().map_err(JournalError::corrupt)?;
    personal::replace(&mut payload, event.secret_fields(), personal::SECRET);
    Ok(payload.to_string())
}

fn redact_marks(value: &mut Value) {
    match value {
        Value::String(text) if text == personal::SEALED => REDACTED.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(redact_marks),
        Value::Object(members) => members.values_mut().for_each(redact_marks),
        _ => {}
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'static str,
    #[serde(rename = "type")]
    kind: &'a str,
    subject: &'a str,
    time: &'a str,
    datacontenttype: &'static str,
    // Text, since integers of CloudEvents end at 2^31.
    position: &'a str,
    sequence: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<&'a str>,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    onbehalfof: Option<&'a str>,
    data: &'a RawValue,
}

/// The published part of the metadata. Names, addresses and texts of the caller are withheld.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Circumstances<'a> {
    #[serde(borrow)]
    actor: ActingId<'a>,
    #[serde(borrow, default)]
    on_behalf_of: Option<ActingId<'a>>,
    #[serde(borrow, default)]
    organization_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ActingId<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

fn envelope(event: &StoredEvent, data: &str) -> JournalResult<CloudEvent> {
    let circumstances: Circumstances<'_> = serde_json::from_str(&event.metadata).map_err(|_| unreadable(event))?;
    let identity = Identity::of(event);
    let envelope = Envelope {
        specversion: "1.0",
        id: &identity.id,
        source: SOURCE,
        kind: &identity.kind,
        subject: &identity.subject,
        time: &identity.time,
        datacontenttype: "application/json",
        position: &identity.id,
        sequence: &event.sequence.to_string(),
        organization: circumstances.organization_id.as_deref(),
        actor: &circumstances.actor.id,
        onbehalfof: circumstances.on_behalf_of.as_ref().map(|represented| &*represented.id),
        data: serde_json::from_str(data).map_err(|_| unreadable(event))?,
    };
    Ok(CloudEvent {
        position: event.position,
        json: serde_json::to_string(&envelope).map_err(|_| unreadable(event))?,
        kind: identity.kind,
        organization: circumstances.organization_id.map(Cow::into_owned),
        nats_subject: nats_subject(event),
    })
}

fn kind(event: &StoredEvent) -> String {
    format!("{TYPE_PREFIX}{}", event.event_type)
}

fn subject(event: &StoredEvent) -> String {
    format!("{}/{}", event.aggregate_type, event.aggregate_id)
}

fn nats_subject(event: &StoredEvent) -> String {
    let word = event.event_type.strip_prefix(&event.aggregate_type).and_then(|rest| rest.strip_prefix('.'));
    format!(
        "{SUBJECT_PREFIX}.{}.{}.{}",
        token(&event.aggregate_type),
        token(&event.aggregate_id),
        token(word.unwrap_or(&event.event_type))
    )
}

/// `text` as one token of a NATS subject. Characters that could split or widen a subject are percent-encoded, so
/// different texts stay different; today's ids and names pass unchanged.
fn token(text: &str) -> Cow<'_, str> {
    let safe = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !text.is_empty() && text.as_bytes().iter().all(safe) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::new();
    for byte in text.bytes() {
        if safe(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(if encoded.is_empty() { "%".to_owned() } else { encoded })
}

#[cfg(test)]
mod tests;
