//! The audit trail: for every event the changes with old and new values, actor, origin and reason. Derived only from
//! the event, its metadata, and the document before the event; no aggregate is read.
//!
//! The audited record and the effect on it are declared with the events ([`registrar_aggregates::event`]). An aggregate
//! with a state document needs a line in [`sources`]; the events of all others carry their own values.

mod admin;
mod compared;
pub mod diff;
mod keys;
mod sources;
mod touched;

use crate::collection::sortable;
use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::{ActorType, AuditSource, Effect};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use touched::{ChangedRecord, describe_event};
use uuid::Uuid;

pub use crate::stamped::time_key;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 3;

/// Prefix of the identifiers of entries; the position follows.
const ENTRY_PREFIX: u128 = 0x7c0f_5f1e_2d6b_8f0a_8000_0000_0000_0000;

/// Identifier of the entry of the event at `position`: a UUID of version 8 (RFC 9562, section 5.8), the same after
/// every rebuild. Ordered by position, so that new entries append to an index.
#[must_use]
pub fn entry_id(position: u64) -> Uuid {
    // The two bits of the variant remain free; positions stay below 2^62.
    Uuid::from_u128(ENTRY_PREFIX | u128::from(position & (u64::MAX >> 2)))
}

crate::collection! {
    "audit_entries" of AuditEntry, hot: false, id: |entry| entry.id.to_string(), sealed: sealed_fields;
    keys {
        /// Aggregate type of the entry's trail.
        pub TRAIL: Text = |entry| sortable(entry.trail.clone());
        SEQUENCE: Ordinal = |entry| entry.sequence;
        /// Commit time as [`time_key`] writes it.
        pub RECORDED_AT: Text = |entry| time_key(entry.recorded_at);
        /// Aggregate of the event.
        pub AGGREGATE_ID: Text = |entry| sortable(entry.aggregate_id.clone());
        /// `INSERT`, `UPDATE` or `DELETE`.
        pub ACTION: Text = |entry| entry.action.name().to_owned();
        ENTITY: Text = |entry| sortable(entry.entity.clone());
        ENTITY_ID: Text = |entry| sortable(entry.entity_id.clone());
        PERSON_ID: Text = |entry| sortable(entry.person_id.clone().unwrap_or_default());
        ACTOR_ID: Text = |entry| sortable(entry.actor_id.clone());
        /// Tenant of the event.
        pub ORGANIZATION_ID: Text = |entry| sortable(entry.organization_id.clone().unwrap_or_default());
        /// Position of the event.
        pub POSITION: Ordinal = |entry| entry.position;
    }
    indexes {
        [TRAIL, RECORDED_AT, SEQUENCE],
        [TRAIL, ACTION, SEQUENCE],
        [AGGREGATE_ID, RECORDED_AT, SEQUENCE],
        [ORGANIZATION_ID, RECORDED_AT, POSITION],
    }
    counts { [TRAIL], [TRAIL, ACTION] }
    sorts {
        /// By position, over all trails; begins with the time, which never decreases with the position, so that periods
        /// can be looked up.
        pub BY_POSITION = [RECORDED_AT, POSITION];
        /// By time; within a trail also by sequence, since neither ever decreases with the other.
        pub BY_TIME = [RECORDED_AT, SEQUENCE];
        /// By action, then sequence.
        pub BY_ACTION = [ACTION, SEQUENCE];
        /// By kind of record, then sequence.
        pub BY_ENTITY = [ENTITY, SEQUENCE];
        /// By record, then sequence.
        pub BY_ENTITY_ID = [ENTITY_ID, SEQUENCE];
        /// By person, then sequence.
        pub BY_PERSON = [PERSON_ID, SEQUENCE];
        /// By actor, then sequence.
        pub BY_ACTOR = [ACTOR_ID, SEQUENCE];
    }
}

/// Action on a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Action {
    /// The record was created.
    Insert,
    /// The record changed.
    Update,
    /// The record was removed.
    Delete,
}

impl Action {
    /// The action as written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Action::Insert => "INSERT",
            Action::Update => "UPDATE",
            Action::Delete => "DELETE",
        }
    }
}

impl From<Effect> for Action {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Insert => Action::Insert,
            Effect::Update | Effect::Withdraw => Action::Update,
            Effect::Delete => Action::Delete,
        }
    }
}

/// One changed element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditChange {
    /// JSON Pointer of the element in the record's aggregate; entries of lists by their id.
    pub path: String,
    /// Value before; null for an added element.
    pub old_value: Value,
    /// Value after; null for a removed element.
    pub new_value: Value,
    /// Whether the values are personal and so stored sealed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub personal: bool,
}

/// One record changed by one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// See [`entry_id`].
    pub id: Uuid,
    /// Position of the event.
    pub position: u64,
    /// Aggregate type of the event.
    pub trail: String,
    /// Number within the trail, dense from 1.
    pub sequence: u64,
    /// Action on the record.
    pub action: Action,
    /// Kind of record, in Pascal case.
    pub entity: String,
    /// The record.
    pub entity_id: String,
    /// Aggregate that the record belongs to.
    pub aggregate_id: String,
    /// Person whose record it is, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_id: Option<String>,
    /// Subject whose key seals the personal changes, if it differs from the aggregate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_id: Option<String>,
    /// Changed elements, in the order of their paths.
    pub changes: Vec<AuditChange>,
    /// Kind of actor.
    pub actor_type: ActorType,
    /// Identifier of the actor.
    pub actor_id: String,
    /// Name of the actor at the time. Personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_name: Option<String>,
    /// Tenant of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// Commit time.
    pub recorded_at: DateTime<Utc>,
    /// Request of the event.
    pub request_id: String,
    /// Client address of the request. Personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// `User-Agent` of the request. Personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Reason, in the words of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Further remark of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Pointers to the personal values of an entry, by the person whose key seals them.
fn sealed_fields(entry: &AuditEntry) -> Vec<(String, Vec<String>)> {
    let mut sealed = Vec::new();
    let values: Vec<_> = entry
        .changes
        .iter()
        .enumerate()
        .filter(|(_, change)| change.personal)
        .flat_map(|(index, _)| [format!("/changes/{index}/oldValue"), format!("/changes/{index}/newValue")])
        .collect();
    if !values.is_empty() {
        sealed.push((entry.subject_id.as_ref().unwrap_or(&entry.aggregate_id).clone(), values));
    }
    if entry.actor_type != ActorType::System {
        sealed.push((entry.actor_id.clone(), ["/actorName", "/ipAddress", "/userAgent"].map(String::from).into()));
    }
    sealed
}

crate::collection! { "trail_counters" of TrailCounter, hot: true, id: |counter| counter.trail.clone(); }

/// Number of entries of a trail. Assigns their sequence numbers, under the same lock as positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrailCounter {
    /// Aggregate type of the trail.
    pub trail: String,
    /// Number of the last entry.
    pub entries: u64,
}

/// Documents that the fold reads.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    let mut wanted = match event.event.audit_source() {
        AuditSource::Told => vec![],
        AuditSource::Compared | AuditSource::ByHand => sources::wants(event),
    };
    wanted.push(DocumentKey::of::<TrailCounter>(event.event.aggregate_type()));
    wanted
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let trail = event.event.aggregate_type();
    let touched = match event.event.audit_source() {
        AuditSource::Told => None,
        AuditSource::Compared | AuditSource::ByHand => sources::touched(event, documents),
    };
    let touched = touched.unwrap_or_else(|| describe_event(event))?;
    let sequence = documents.get::<TrailCounter>(trail)?.map_or(0, |counter| counter.entries) + 1;
    if sequence == 1 {
        documents.insert(TrailCounter { trail: trail.to_owned(), entries: 1 })?;
    } else {
        documents.update::<TrailCounter>(trail, |counter| counter.entries = sequence)?;
    }
    documents.insert(entry(event, trail, sequence, touched))
}

fn entry(event: &RecordedEvent, trail: &str, sequence: u64, touched: ChangedRecord) -> AuditEntry {
    let metadata = &event.metadata;
    AuditEntry {
        // One entry per event, so far; a second one would need an ordinal here.
        id: entry_id(event.position),
        position: event.position,
        trail: trail.to_owned(),
        sequence,
        action: event.event.declared().effect.into(),
        entity: event.event.entity().to_owned(),
        entity_id: touched.entity_id,
        aggregate_id: event.aggregate_id.clone(),
        person_id: touched.person_id,
        subject_id: event.event.subject(&event.aggregate_id).filter(|subject| *subject != event.aggregate_id),
        changes: touched.changes,
        actor_type: metadata.actor.kind,
        actor_id: metadata.actor.id.clone(),
        actor_name: metadata.actor.name.clone(),
        organization_id: metadata.organization_id.clone(),
        recorded_at: event.recorded_at,
        request_id: metadata.request_id.clone(),
        ip_address: metadata.ip_address.clone(),
        user_agent: metadata.user_agent.clone(),
        reason: event.event.reason().map(str::to_owned).or_else(|| metadata.reason.clone()),
        comment: event.event.comment().map(str::to_owned).or_else(|| metadata.comment.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_entries_are_uuids_in_the_order_of_positions() {
        let positions = [1, 2, 9, 10, 255, 256, u64::MAX >> 2];
        let ids = positions.map(|position| entry_id(position).to_string());
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        let forms = positions.map(|position| (entry_id(position).get_version_num(), entry_id(position).get_variant()));
        assert!(forms.iter().all(|form| *form == (8, uuid::Variant::RFC4122)), "{forms:?}");
    }
}
