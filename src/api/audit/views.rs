//! JSON shapes of events, changes and states.

use crate::api::audit::replay::Step;
use crate::journal::{JournalError, JournalResult, StoredEvent, codec};
use crate::vault::Vault;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, Utc};
use registrar_aggregates::{Actor, DomainEvent, Metadata};
use registrar_projections::audit_trail::diff::{self, differences};
use serde::{Serialize, Serializer};
use serde_json::{Value, value::RawValue};
use std::sync::Arc;
use utoipa::ToSchema;

/// A time as the journal writes it: UTC, milliseconds.
fn time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&codec::timestamp(*time))
}

/// An event, opened or as it is stored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    /// Place in the order of all events, dense from 1.
    #[schema(minimum = 1)]
    pub(super) position: u64,
    /// Commit time; never goes back as the position rises.
    #[serde(serialize_with = "time")]
    recorded_at: DateTime<Utc>,
    /// Kebab-case name of the aggregate type.
    #[schema(example = "admin")]
    aggregate_type: String,
    /// Identifier within the aggregate type.
    aggregate_id: String,
    /// Number within the aggregate, dense from 1.
    #[schema(minimum = 1)]
    sequence: u64,
    /// Stable name of the event.
    #[schema(example = "admin.registered")]
    event_type: String,
    /// Version of the shape in which the payload is stored.
    #[schema(example = "1.0")]
    event_version: String,
    /// Content of the event. Secrets read `***`, values of an erased person `[erased]`.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
    /// Actor, origin, request and reason.
    #[schema(value_type = Circumstances)]
    metadata: Box<RawValue>,
    /// Merkle leaf hash (RFC 9162) of the sealed event, base64.
    leaf_hash: String,
}

/// The circumstances of an event.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described; what is written is what was recorded")]
pub(super) struct Circumstances {
    /// The user, program or server that acted.
    actor: ActorView,
    /// The principal that the actor represents, where it acts for another one.
    #[schema(nullable = false)]
    on_behalf_of: Option<OnBehalfOfView>,
    /// Session in which it acts; absent for tokens without one, API keys and the server itself.
    #[schema(nullable = false)]
    session: Option<uuid::Uuid>,
    /// Tenant that the event carried when it was written.
    #[schema(nullable = false)]
    organization_id: Option<String>,
    /// Address the request came from.
    #[schema(nullable = false)]
    ip_address: Option<String>,
    /// `User-Agent` of the request.
    #[schema(nullable = false)]
    user_agent: Option<String>,
    /// Identifier shared by everything that one request caused.
    request_id: String,
    /// Position of the event that caused this one.
    #[schema(nullable = false)]
    causation: Option<u64>,
    /// Reason in the words of the caller.
    #[schema(nullable = false)]
    reason: Option<String>,
    /// Anything else the caller wanted on record.
    #[schema(nullable = false)]
    comment: Option<String>,
}

/// The actor of an event.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", as = Actor)]
#[expect(dead_code, reason = "only described; what is written is the domain's own")]
pub(super) struct ActorView {
    /// `user`, `api`, `system` or `support`.
    #[schema(rename = "type")]
    kind: String,
    /// Stable identifier.
    id: String,
    /// Name, as it was then.
    #[schema(nullable = false)]
    name: Option<String>,
}

/// The principal that an actor represents.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", as = OnBehalfOf)]
#[expect(dead_code, reason = "only described; what is written is the domain's own")]
pub(super) struct OnBehalfOfView {
    /// `user`, `api` or `support`.
    #[schema(rename = "type")]
    kind: String,
    /// Stable identifier.
    id: String,
}

impl Event {
    fn new(stored: StoredEvent, payload: String, metadata: String) -> JournalResult<Self> {
        Ok(Event {
            position: stored.position,
            recorded_at: stored.recorded_at,
            aggregate_type: stored.aggregate_type,
            aggregate_id: stored.aggregate_id,
            sequence: stored.sequence,
            event_type: stored.event_type,
            event_version: stored.event_version,
            payload: RawValue::from_string(payload).map_err(JournalError::corrupt)?,
            metadata: RawValue::from_string(metadata).map_err(JournalError::corrupt)?,
            leaf_hash: BASE64.encode(stored.leaf_hash),
        })
    }

    /// The event as stored and hashed.
    fn sealed(mut stored: StoredEvent) -> JournalResult<Self> {
        let (payload, metadata) = (std::mem::take(&mut stored.payload), std::mem::take(&mut stored.metadata));
        Event::new(stored, payload, metadata)
    }

    fn opened(stored: StoredEvent, masked: &DomainEvent, metadata: &Metadata) -> JournalResult<Self> {
        let payload = masked.to_payload().map_err(JournalError::corrupt)?;
        let metadata = serde_json::to_string(metadata).map_err(JournalError::corrupt)?;
        Event::new(stored, payload.to_string(), metadata)
    }

    /// Events for the response: `sealed` as stored, otherwise decrypted, upcast to today's shape and without secrets.
    pub(super) async fn all(vault: &Vault, stored: Vec<StoredEvent>, sealed: bool) -> JournalResult<Vec<Self>> {
        if sealed {
            return stored.into_iter().map(Event::sealed).collect();
        }
        let recorded = codec::decode(vault, &stored).await?;
        let opened = |(stored, recorded): (_, registrar_projections::RecordedEvent)| {
            let masked = Arc::unwrap_or_clone(recorded.event).masked().map_err(JournalError::corrupt)?;
            Event::opened(stored, &masked, &recorded.metadata)
        };
        stored.into_iter().zip(recorded).map(opened).collect()
    }
}

/// One element that an event changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Change {
    /// JSON Pointer (RFC 6901) of the element in the state; entries of lists by their id.
    #[schema(example = "/person/firstName")]
    path: String,
    /// Value before, null where there was none.
    old_value: Value,
    /// Value after, null where it was removed.
    new_value: Value,
}

impl From<diff::Difference> for Change {
    fn from(difference: diff::Difference) -> Self {
        let diff::Difference { path, old_value, new_value } = difference;
        Change { path, old_value, new_value }
    }
}

/// An event of a history, with its changes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryEvent {
    #[serde(flatten)]
    event: Event,
    /// Elements that the event changed, in the order of the paths.
    changes: Vec<Change>,
}

impl HistoryEvent {
    /// Changes made by `step`, between the state before and after it.
    pub(super) fn new(step: Step, before: &Value, after: &Value) -> JournalResult<Self> {
        let changes = differences(before, after).into_iter().map(Change::from).collect();
        Ok(HistoryEvent { event: Event::opened(step.stored, &step.event, &step.metadata)?, changes })
    }
}

/// One page.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// In the order of positions. A page may have fewer than `limit` while `next` says that there are more.
    pub(super) items: Vec<T>,
    /// Value of `after`, with the same filters, for the next page; null at the end.
    #[schema(required)]
    pub(super) next: Option<String>,
}

/// A state of the past.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    /// Position of the last event that made it so.
    pub(super) position: u64,
    /// Commit time of that event.
    #[serde(serialize_with = "time")]
    pub(super) recorded_at: DateTime<Utc>,
    /// The state. Secrets read `***`, values of an erased person `[erased]`.
    #[schema(value_type = Object)]
    pub(super) state: Value,
}

/// One aggregate of an organization, as it was.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberState {
    /// Kebab-case name of the aggregate type.
    pub(super) aggregate_type: String,
    /// Identifier within the aggregate type.
    pub(super) aggregate_id: String,
    #[serde(flatten)]
    pub(super) state: State,
}

/// An organization at some moment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Snapshot {
    /// The organization.
    pub(super) organization_id: String,
    /// Position of the last event of the journal at that moment.
    pub(super) position: u64,
    /// Commit time of that event.
    #[serde(serialize_with = "time")]
    pub(super) recorded_at: DateTime<Utc>,
    /// Aggregates with events that carried the organization, in the order of the first such event.
    pub(super) items: Vec<MemberState>,
}

/// An element that differs between two moments.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Difference {
    #[serde(flatten)]
    pub(super) change: Change,
    /// Position of the last event that changed the element.
    pub(super) position: u64,
    /// Actor of that event.
    #[schema(value_type = ActorView)]
    pub(super) actor: Actor,
    /// Request of that event.
    pub(super) request_id: String,
}

impl Difference {
    /// Adds `change`, made by `step`, to the differences between two moments: it replaces an earlier one of the element
    /// and keeps that one's old value.
    pub(super) fn fold(
        differences: &mut std::collections::BTreeMap<String, Difference>,
        step: &Step,
        change: diff::Difference,
    ) {
        let old_value = match differences.remove(&change.path) {
            Some(former) => former.change.old_value,
            None => change.old_value,
        };
        let difference = Difference {
            change: Change { path: change.path.clone(), old_value, new_value: change.new_value },
            position: step.stored.position,
            actor: step.metadata.actor.clone(),
            request_id: step.metadata.request_id.clone(),
        };
        differences.insert(change.path, difference);
    }

    /// Whether the two values differ in the end.
    pub(super) fn is_one(&self) -> bool {
        !diff::alike(&self.change.old_value, &self.change.new_value)
    }
}

/// The differences between two moments.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Differences {
    /// Each element that differs, once, in the order of the paths.
    pub(super) changes: Vec<Difference>,
}
