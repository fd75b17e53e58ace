//! Conversion between typed events and their stored form: canonical JSON, leaf hashes, opening and upcasting.
//!
//! Payload and metadata are stored as the text that was hashed (RFC 8785), and the leaf hash covers the sealed event:
//! a proof holds after the person was erased.

use super::{JournalError, JournalResult, StoredEvent};
use crate::merkle;
pub use crate::store::timestamp;
use crate::vault::{SubjectKeys, Vault};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use registrar_aggregates::{DomainEvent, Metadata};
use registrar_projections::RecordedEvent;
use serde_json::Value;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

static UPCASTERS: LazyLock<Vec<Box<dyn EventUpcaster>>> = LazyLock::new(registrar_aggregates::upcast::upcasters);

/// A JSON value in its canonical form (RFC 8785).
///
/// # Errors
/// `Corrupt` for a number that the form cannot express; events have none.
pub fn canonical(value: &Value) -> JournalResult<String> {
    let mut text = String::with_capacity(256);
    if write_plain(value, &mut text) {
        return Ok(text);
    }
    serde_json_canonicalizer::to_string(value).map_err(JournalError::corrupt)
}

/// Doubles, and so the canonical form, represent every whole number up to this one.
const EXACT_MAX: u64 = 1 << 53;

/// Fast path for values that are in canonical order already and have neither fractions nor large numbers, as events
/// are: it takes a fraction of the general canonicalizer's time. False, if the value needs that one.
fn write_plain(value: &Value, text: &mut String) -> bool {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => {
            let exact = |number: i64| number.unsigned_abs() <= EXACT_MAX;
            let Some(number) = number.as_i64().filter(|number| exact(*number)) else { return false };
            // Writing to a String does not fail.
            let _ = write!(text, "{number}");
        }
        Value::String(string) => write_string(string, text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                if !write_plain(item, text) {
                    return false;
                }
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            let mut former: Option<&String> = None;
            for (name, member) in members {
                // RFC 8785, section 3.2.3 orders by code units of UTF-16; for ASCII that is by bytes.
                if !name.is_ascii() || former.is_some_and(|former| former >= name) {
                    return false;
                }
                if former.replace(name).is_some() {
                    text.push(',');
                }
                write_string(name, text);
                text.push(':');
                if !write_plain(member, text) {
                    return false;
                }
            }
            text.push('}');
        }
    }
    true
}

/// Uses short escapes where they exist, `\u00xx` in lower case for other control characters (RFC 8785, section
/// 3.2.2.2).
fn write_string(string: &str, text: &mut String) {
    text.push('"');
    let mut plain = 0;
    for (at, byte) in string.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            b'\t' => "\\t",
            b'\n' => "\\n",
            0x0c => "\\f",
            b'\r' => "\\r",
            0..0x20 => "",
            _ => continue,
        };
        text.push_str(&string[plain..at]);
        plain = at + 1;
        if short.is_empty() {
            let _ = write!(text, "\\u{byte:04x}");
        } else {
            text.push_str(short);
        }
    }
    text.push_str(&string[plain..]);
    text.push('"');
}

/// The Merkle leaf of an event: the canonical JSON of the sealed event without `leafHash`.
///
/// The members stand in canonical order and payload and metadata are canonical already, so their concatenation is the
/// canonical form of the whole; a test compares it with the canonicalizer's.
#[must_use]
pub fn leaf_entry(event: &StoredEvent) -> String {
    let mut entry = String::with_capacity(256 + event.payload.len() + event.metadata.len());
    write_members(&mut entry, event, None);
    entry
}

/// Hashes many leaves in one reused buffer.
#[derive(Debug, Default)]
pub struct LeafHasher {
    entry: String,
}

impl LeafHasher {
    /// Hash of the event's leaf.
    pub fn hash(&mut self, event: &StoredEvent) -> merkle::Hash {
        self.entry.clear();
        write_members(&mut self.entry, event, None);
        merkle::leaf_hash(self.entry.as_bytes())
    }
}

/// The sealed event as one line of canonical JSON, with its leaf hash in base64: a line of a journal file. Without the
/// member `leafHash` it is the entry of the leaf.
pub fn write_line(line: &mut String, event: &StoredEvent) {
    write_members(line, event, Some(&event.leaf_hash));
}

fn write_members(out: &mut String, event: &StoredEvent, leaf_hash: Option<&merkle::Hash>) {
    out.push_str(r#"{"aggregateId":"#);
    write_string(&event.aggregate_id, out);
    out.push_str(r#","aggregateType":"#);
    write_string(&event.aggregate_type, out);
    out.push_str(r#","eventType":"#);
    write_string(&event.event_type, out);
    out.push_str(r#","eventVersion":"#);
    write_string(&event.event_version, out);
    if let Some(leaf_hash) = leaf_hash {
        out.push_str(r#","leafHash":""#);
        BASE64.encode_string(leaf_hash, out);
        out.push('"');
    }
    // Writing to a String does not fail.
    let _ = write!(
        out,
        r#","metadata":{},"payload":{},"position":{},"recordedAt":"{}","sequence":{}}}"#,
        event.metadata,
        event.payload,
        event.position,
        timestamp(event.recorded_at),
        event.sequence
    );
}

/// Hash of the event's leaf.
#[must_use]
pub fn leaf_hash(event: &StoredEvent) -> merkle::Hash {
    merkle::leaf_hash(leaf_entry(event).as_bytes())
}

/// Opens, upcasts and types stored events, in order. Values of erased persons read as erased.
///
/// # Errors
/// `Corrupt` for the first event that this release cannot read, `Unavailable` if keys cannot be fetched.
pub async fn decode(vault: &Vault, stored: &[StoredEvent]) -> JournalResult<Vec<RecordedEvent>> {
    let parsed = parse_all(stored)?;
    let keys = keys_of(vault, &parsed).await?;
    decode_parsed(&keys, stored, parsed)
}

/// Whether this release knows the type of an event.
pub(crate) fn is_known(event: &StoredEvent) -> bool {
    DomainEvent::event_types().any(|known| known == event.event_type)
}

/// Fetches the keys that open parsed events.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn keys_of(vault: &Vault, parsed: &[Parsed]) -> JournalResult<SubjectKeys> {
    vault.keys_of(parsed.iter().flat_map(|(payload, metadata)| [payload, metadata])).await
}

/// Second half of [`decode`].
///
/// # Errors
/// As [`decode_with`].
pub(crate) fn decode_parsed(
    keys: &SubjectKeys,
    stored: &[StoredEvent],
    parsed: Vec<Parsed>,
) -> JournalResult<Vec<RecordedEvent>> {
    stored.iter().zip(parsed).map(|(event, (payload, metadata))| decode_one(keys, event, payload, metadata)).collect()
}

/// Payloads only, opened, upcast and typed, in order: enough to build a state, at half the cost of [`decode`].
///
/// # Errors
/// As [`decode`].
pub async fn decode_events(vault: &Vault, stored: &[StoredEvent]) -> JournalResult<Vec<DomainEvent>> {
    let payloads = stored.iter().map(|event| parse(&event.payload, event)).collect::<JournalResult<Vec<Value>>>()?;
    let keys = vault.keys_of(payloads.iter()).await?;
    let typed = |(event, payload)| decode_event(&keys, event, payload);
    stored.iter().zip(payloads).map(typed).collect()
}

/// Tenant recorded in an event's metadata.
///
/// # Errors
/// `Corrupt` for an event whose metadata does not have the expected shape.
pub fn organization(event: &StoredEvent) -> JournalResult<Option<String>> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Tenant {
        organization_id: Option<String>,
    }
    let tenant: Tenant =
        serde_json::from_str(&event.metadata).map_err(|_| at(event, "its metadata does not have its shape"))?;
    Ok(tenant.organization_id)
}

fn decode_event(keys: &SubjectKeys, event: &StoredEvent, mut payload: Value) -> JournalResult<DomainEvent> {
    keys.open(&mut payload).map_err(|error| at(event, error))?;
    let payload = upcast(event, payload);
    DomainEvent::from_payload(&event.aggregate_type, payload).map_err(|error| at(event, error))
}

/// As [`decode`], with keys that were fetched before.
///
/// # Errors
/// `Corrupt` for the first event that this release cannot read or whose key is missing.
pub fn decode_with(keys: &SubjectKeys, stored: &[StoredEvent]) -> JournalResult<Vec<RecordedEvent>> {
    decode_parsed(keys, stored, parse_all(stored)?)
}

/// Payload and metadata of a stored event.
pub(crate) type Parsed = (Value, Value);

/// First half of [`decode`].
///
/// # Errors
/// `Corrupt` for the first event that is not JSON.
pub(crate) fn parse_all(stored: &[StoredEvent]) -> JournalResult<Vec<Parsed>> {
    stored.iter().map(|event| Ok((parse(&event.payload, event)?, parse(&event.metadata, event)?))).collect()
}

fn parse(text: &str, event: &StoredEvent) -> JournalResult<Value> {
    serde_json::from_str(text).map_err(|_| at(event, "it is not JSON"))
}

/// Names the position and never a value: errors reach logs, and an unexpected value may be personal.
fn at(event: &StoredEvent, error: impl std::fmt::Display) -> JournalError {
    JournalError::corrupt(format!("event at position {}: {error}", event.position))
}

fn decode_one(
    keys: &SubjectKeys,
    event: &StoredEvent,
    payload: Value,
    mut metadata: Value,
) -> JournalResult<RecordedEvent> {
    keys.open(&mut metadata).map_err(|error| at(event, error))?;
    let metadata: Metadata =
        serde_json::from_value(metadata).map_err(|_| at(event, "its metadata does not have its shape"))?;
    let typed = decode_event(keys, event, payload)?;
    Ok(RecordedEvent {
        position: event.position,
        recorded_at: event.recorded_at,
        aggregate_id: event.aggregate_id.clone(),
        sequence: event.sequence,
        metadata: Arc::new(metadata),
        event: Arc::new(typed),
    })
}

fn upcast(event: &StoredEvent, payload: Value) -> Value {
    if UPCASTERS.is_empty() {
        return payload;
    }
    apply_upcasters(&UPCASTERS, event, payload)
}

fn apply_upcasters(upcasters: &[Box<dyn EventUpcaster>], event: &StoredEvent, payload: Value) -> Value {
    let serialized = SerializedEvent::new(
        event.aggregate_id.clone(),
        usize::try_from(event.sequence).unwrap_or(usize::MAX),
        event.aggregate_type.clone(),
        event.event_type.clone(),
        event.event_version.clone(),
        payload,
        Value::Null,
    );
    upcasters
        .iter()
        .fold(serialized, |event, upcaster| {
            if upcaster.can_upcast(&event.event_type, &event.event_version) { upcaster.upcast(event) } else { event }
        })
        .payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use cqrs_es::persist::SemanticVersionEventUpcaster;
    use proptest::prelude::*;
    use serde_json::json;

    fn json(depth: u32) -> BoxedStrategy<Value> {
        let text = "[ -~]{0,8}|[\\x00-\\x20\"\\\\]{0,6}|\\PC{0,8}";
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1_000_000_i64..1_000_000).prop_map(Value::from),
            any::<f64>().prop_filter("JSON has them only so", |number| number.is_finite()).prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        scalar
            .prop_recursive(depth, 32, 5, move |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                    prop::collection::vec((text, inner), 0..5)
                        .prop_map(|members| Value::Object(members.into_iter().collect())),
                ]
            })
            .boxed()
    }

    proptest! {
        #[test]
        fn the_fast_path_writes_the_bytes_of_the_canonicalizer(value in json(4)) {
            let mut plain = String::new();
            if write_plain(&value, &mut plain) {
                prop_assert_eq!(plain, serde_json_canonicalizer::to_string(&value).expect("canonical"));
            }
        }
    }

    #[test]
    fn usual_values_of_events_take_the_fast_path() {
        let value = json!({"a": ["\u{1}\"\\é\u{1f600}", null, true], "b": {"c": -7, "d": 9_007_199_254_740_992_u64}});
        assert!(write_plain(&value, &mut String::new()));
        for odd in [json!(0.5), json!(9_007_199_254_740_993_u64), json!({"é": 1}), json!(i64::MIN)] {
            assert!(!write_plain(&odd, &mut String::new()), "{odd}");
            assert_eq!(
                canonical(&odd).expect("canonical"),
                serde_json_canonicalizer::to_string(&odd).expect("canonical")
            );
        }
    }

    fn stored() -> StoredEvent {
        StoredEvent {
            position: 7,
            recorded_at: DateTime::UNIX_EPOCH,
            aggregate_type: "admin".into(),
            aggregate_id: "a\"\u{1}é".into(),
            sequence: 1,
            event_type: "admin.party-amended".into(),
            event_version: "0.9".into(),
            payload: canonical(&json!({"z": 1, "a": {"ß": "\u{7f}\n", "b": [1, 2.5]}})).expect("canonical"),
            metadata: canonical(&json!({"requestId": "r"})).expect("canonical"),
            leaf_hash: [0; 32],
        }
    }

    #[test]
    fn the_leaf_is_the_canonical_json_of_the_event() {
        let event = stored();
        let whole = json!({
            "position": event.position, "recordedAt": "1970-01-01T00:00:00.000Z", "aggregateType": event.aggregate_type,
            "aggregateId": event.aggregate_id, "sequence": event.sequence, "eventType": event.event_type,
            "eventVersion": event.event_version, "payload": serde_json::from_str::<Value>(&event.payload).expect("json"),
            "metadata": serde_json::from_str::<Value>(&event.metadata).expect("json"),
        });
        assert_eq!(leaf_entry(&event), canonical(&whole).expect("canonical"));
    }

    #[test]
    fn a_line_is_canonical_and_the_leaf_but_for_its_hash() {
        let mut line = String::new();
        write_line(&mut line, &stored());
        let mut event: Value = serde_json::from_str(&line).expect("json");
        assert_eq!(line, canonical(&event).expect("canonical"));
        assert_eq!(
            event.as_object_mut().and_then(|members| members.remove("leafHash")),
            Some(BASE64.encode([0; 32]).into())
        );
        assert_eq!(leaf_entry(&stored()), canonical(&event).expect("canonical"));
    }

    #[test]
    fn an_older_shape_is_read_as_todays() {
        let upcasters: Vec<Box<dyn EventUpcaster>> = vec![Box::new(SemanticVersionEventUpcaster::new(
            "admin.party-amended",
            "1.0",
            Box::new(|mut payload: Value| {
                payload["legacyIdentifier"] = payload["legacyId"].take();
                payload
            }),
        ))];
        let payload = apply_upcasters(&upcasters, &stored(), json!({"type": "admin.party-amended", "legacyId": "L1"}));
        let event = DomainEvent::from_payload("admin", payload).expect("today's shape");
        assert_eq!(event.to_payload().expect("json")["legacyIdentifier"], "L1");
    }
}
