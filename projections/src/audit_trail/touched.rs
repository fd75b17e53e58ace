//! The record that an event changed, with its changes.

use super::AuditChange;
use crate::recorded::RecordedEvent;
use crate::working_set::FoldError;
use registrar_aggregates::Effect;
use registrar_aggregates::personal::{SECRET, replace};
use serde_json::Value;

/// The record that an event changed.
pub(super) struct ChangedRecord {
    pub(super) entity_id: String,
    pub(super) person_id: Option<String>,
    pub(super) changes: Vec<AuditChange>,
}

impl ChangedRecord {
    /// A record with the effective ones of `changes`, in the order of their paths.
    pub(super) fn new(entity_id: &str, mut changes: Vec<AuditChange>) -> Self {
        changes.retain(|change| change.old_value != change.new_value);
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        ChangedRecord { entity_id: entity_id.to_owned(), person_id: None, changes }
    }
}

/// A change whose values are not personal.
pub(super) fn change(path: impl Into<String>, old_value: Value, new_value: Value) -> AuditChange {
    AuditChange { path: path.into(), old_value, new_value, personal: false }
}

/// The record with the values that the event carries.
pub(super) fn describe_event(event: &RecordedEvent) -> Result<ChangedRecord, FoldError> {
    let mut payload = event.event.to_payload().map_err(|error| FoldError::Json(error.to_string()))?;
    let hidden = event.event.disclosure().personal(&payload);
    replace(&mut payload, event.event.secret_fields(), SECRET);
    let told = payload.as_object().into_iter().flatten().filter(|(name, _)| *name != "type");
    let changes = told.map(|(name, value)| {
        let (old_value, new_value) = match event.event.declared().effect {
            Effect::Withdraw => (value.clone(), Value::Null),
            // Entries of deletions list the parts removed with the record among the new values, for compatibility.
            Effect::Insert | Effect::Update | Effect::Delete => (Value::Null, value.clone()),
        };
        let personal = hidden.iter().any(|pointer| top(pointer) == *name);
        AuditChange { path: format!("/{name}"), old_value, new_value, personal }
    });
    Ok(ChangedRecord::new(&event.aggregate_id, changes.collect()))
}

/// The first step of a pointer.
fn top(pointer: &str) -> &str {
    pointer.split('/').nth(1).unwrap_or_default()
}
