//! Entries of aggregates with a state document: the state before is compared with the state after.

use super::diff::{differences, matches};
use super::{AuditChange, ChangedRecord};
use crate::recorded::RecordedEvent;
use crate::state_document::{StateDocument, around};
use crate::working_set::{FoldError, WorkingSet};
use serde_json::Value;

/// The effect of an event on the state in a document of type `D`.
pub(super) fn compared<D: StateDocument>(
    event: &RecordedEvent,
    change: &D::Event,
    documents: &WorkingSet,
) -> Result<ChangedRecord, FoldError> {
    let (before, after) = around::<D>(event, change, documents)?;
    let (before, after) = (state(before.as_ref())?, state(after.as_ref())?);
    let personal = |path: &str| D::PERSONAL.iter().any(|pattern| matches(pattern, path));
    let changes = differences(&before, &after).into_iter().map(|difference| AuditChange {
        personal: personal(&difference.path),
        path: difference.path,
        old_value: difference.old_value,
        new_value: difference.new_value,
    });
    Ok(ChangedRecord::new(&event.aggregate_id, changes.collect()))
}

fn state<D: StateDocument>(document: Option<&D>) -> Result<Value, FoldError> {
    let state = document.map(StateDocument::state).transpose();
    let mut state = state.map_err(|error| FoldError::Json(error.to_string()))?.unwrap_or_default();
    strip(&mut state, D::UNLISTED);
    Ok(state)
}

fn strip(value: &mut Value, unlisted: &[&str]) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !unlisted.contains(&name.as_str()));
            members.values_mut().for_each(|member| strip(member, unlisted));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strip(item, unlisted)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
