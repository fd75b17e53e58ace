//! Comparison of two states, element by element.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One changed element.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// JSON Pointer of the element; elements of lists by their `id` where they have one.
    pub path: String,
    /// Value before; null for an added element.
    pub old_value: Value,
    /// Value after; null for a removed element.
    pub new_value: Value,
}

/// The changed elements, in the order of their paths.
///
/// Objects are compared member by member. Lists whose elements all have an `id` are compared element by element,
/// matched by `id`; other lists are one element. An absent or null member, an empty object and an empty list are equal.
#[must_use]
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&mut String::new(), before, after, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Whether two values of an element count as equal.
#[must_use]
pub fn alike(a: &Value, b: &Value) -> bool {
    a == b || (is_nothing(a) && is_nothing(b))
}

/// Whether `path` matches `pattern`; `*` matches one whole step, `**` this one and all that follow.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) | (Some("**"), Some(_)) => return true,
            (Some(step), Some(name)) if step == "*" || step == name => {}
            _ => return false,
        }
    }
}

fn compare(path: &mut String, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    if let (Some(before), Some(after)) = (members(before), members(after)) {
        return compare_members(path, &before, &after, found);
    }
    if let (Some(before), Some(after)) = (elements(before), elements(after)) {
        return compare_members(path, &before, &after, found);
    }
    if !alike(before, after) {
        found.push(Difference { path: path.clone(), old_value: before.clone(), new_value: after.clone() });
    }
}

fn compare_members(
    path: &mut String,
    before: &BTreeMap<&str, &Value>,
    after: &BTreeMap<&str, &Value>,
    found: &mut Vec<Difference>,
) {
    let new = after.keys().filter(|name| !before.contains_key(*name));
    for name in before.keys().chain(new) {
        let length = path.len();
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        let value = |side: &BTreeMap<&str, &Value>| side.get(name).copied().cloned().unwrap_or_default();
        compare(path, &value(before), &value(after), found);
        path.truncate(length);
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn members(value: &Value) -> Option<BTreeMap<&str, &Value>> {
    match value {
        Value::Object(members) => Some(members.iter().map(|(name, value)| (name.as_str(), value)).collect()),
        value if is_nothing(value) => Some(BTreeMap::new()),
        _ => None,
    }
}

/// Elements by their `id`.
fn elements(value: &Value) -> Option<BTreeMap<&str, &Value>> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        Value::Null => &[],
        _ => return None,
    };
    items.iter().map(|item| Some((item.as_object().and_then(id)?, item))).collect()
}

fn id(members: &Map<String, Value>) -> Option<&str> {
    members.get("id")?.as_str()
}
