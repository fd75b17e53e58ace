//! States as shown to auditors, for any aggregate.

use serde::Serialize;
use serde_json::{Map, Value};

/// The state of an aggregate as JSON, `None` for an aggregate that does not exist.
///
/// A state that is an enum is shown as the members of its variant, with the variant's name as `status` unless it has a
/// member of that name or is just `Present`; the default of such an enum, if it holds nothing, is the absent aggregate.
/// Secrets need no care here: they are masked in the events that the state comes from (see
/// [`crate::DomainEvent::masked`]).
#[must_use]
pub fn state<S: Serialize + Default>(state: &S) -> Option<Value> {
    let absent = serde_json::to_value(S::default()).ok()?;
    match serde_json::to_value(state).ok()? {
        Value::String(variant) if absent == variant.as_str() => None,
        Value::String(variant) => Some(Value::Object(with_status(Map::new(), &variant))),
        Value::Object(members) if members.len() == 1 => Some(Value::Object(of_variant(members))),
        Value::Null => Some(Value::Object(Map::new())),
        other => Some(other),
    }
}

/// For a variant with members serde writes an object of one member, named in Pascal case as members never are.
fn of_variant(mut members: Map<String, Value>) -> Map<String, Value> {
    let variant = members.keys().next().filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase())).cloned();
    match variant.and_then(|variant| Some((members.get_mut(&variant)?.as_object_mut().map(std::mem::take)?, variant))) {
        Some((inner, variant)) => with_status(inner, &variant),
        None => members,
    }
}

fn with_status(mut members: Map<String, Value>, variant: &str) -> Map<String, Value> {
    if variant == "Present" {
        return members;
    }
    let mut status = String::new();
    for (index, letter) in variant.char_indices() {
        if index > 0 && letter.is_ascii_uppercase() {
            status.push('-');
        }
        status.push(letter.to_ascii_lowercase());
    }
    members.entry("status").or_insert(Value::String(status));
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[derive(Default, Serialize)]
    enum SampleState {
        #[default]
        Absent,
        InForce {
            name: &'static str,
        },
        Boxed(Box<Inner>),
        Present(BTreeMap<&'static str, u32>),
        Gone,
    }

    #[derive(Serialize)]
    struct Inner {
        status: &'static str,
    }

    #[derive(Default, Serialize)]
    struct SampleStruct {
        only: Vec<u32>,
    }

    #[derive(Default, Serialize)]
    struct SampleUnit;

    #[test]
    fn an_absent_aggregate_shows_no_state() {
        assert_eq!(state(&SampleState::Absent), None);
    }

    #[test]
    fn a_variant_is_shown_by_its_members_and_its_name() {
        assert_eq!(state(&SampleState::InForce { name: "x" }), Some(json!({"name": "x", "status": "in-force"})));
        assert_eq!(state(&SampleState::Gone), Some(json!({"status": "gone"})));
        assert_eq!(state(&SampleState::Present(BTreeMap::from([("a", 1)]))), Some(json!({"a": 1})));
    }

    #[test]
    fn a_status_of_its_own_is_kept() {
        assert_eq!(state(&SampleState::Boxed(Box::new(Inner { status: "x" }))), Some(json!({"status": "x"})));
    }

    #[test]
    fn a_struct_is_shown_as_it_is() {
        assert_eq!(state(&SampleStruct { only: vec![1] }), Some(json!({"only": [1]})));
        assert_eq!(state(&SampleUnit), Some(json!({})));
    }
}
