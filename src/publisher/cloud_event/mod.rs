//! Events as the outside world gets them: CloudEvents 1.0 in JSON, alike on NATS and over SSE.
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
/// Stands before the name of the event in `type`, e.g. `registrar.admin.registered`.
pub const TYPE_PREFIX: &str = "registrar.";
/// Stands before aggregate, id and word of the event in the NATS subject.
pub const SUBJECT_PREFIX: &str = "registrar.events";
/// Stands where a personal or secret value is withheld.
pub const REDACTED: &str = "[redacted]";

/// What becomes of the personal values of an event that leaves the house.
#[derive(Clone)]
pub enum PersonalValues {
    /// Each reads [`REDACTED`], and so do secrets. No key is needed, so that nothing can be told by mistake, and the
    /// payload keeps the shape that it was stored in.
    Redacted,
    /// Opened with the keys of this vault, in today's shape. Secrets read `***` and those of erased persons
    /// `[erased]`.
    Clear(Arc<Vault>),
}

/// An event on its way out.
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

/// What tells an event from every other one, told by an envelope that was published once. It does not depend on what
/// becomes of personal values.
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
    /// Reads an envelope; `None` for what Registrar did not write.
    #[must_use]
    pub fn of_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().filter(|identity: &Identity| identity.source == SOURCE)
    }

    /// That of an event of the journal.
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
    /// The events as they leave the house, in order, up to the first that cannot: it must not hold back those before
    /// it, and nothing may pass it.
    ///
    /// # Errors
    /// `Corrupt` if the first event is not what the journal writes or, in the clear, one that this release does not
    /// know; `Unavailable` if keys cannot be fetched.
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

/// Names the position and never a value: what does not fit may be personal.
fn unreadable(event: &StoredEvent) -> JournalError {
    JournalError::corrupt(format!(
        "event at position {} cannot be published: it does not have its shape",
        event.position
    ))
}

/// The payload without what is personal: what is sealed, and what an earlier release did not seal yet.
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
    // A type that this release does not know has marks alone.
    redact_marks(&mut payload);
    serde_json::to_string(&payload).map(Cow::Owned).map_err(JournalError::corrupt)
}

/// The payload with everything in it that may ever be shown.
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

/// The part of the metadata that is published. Names, addresses and what the caller wrote are not.
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

/// `text` as one token of a NATS subject. Whatever could part or widen a subject is percent-encoded, so that different
/// texts stay different; today's ids and names pass unchanged.
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
