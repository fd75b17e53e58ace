//! What differs between two states, member by member, whatever they are states of.

use crate::audit_trail::AuditChange;
use serde_json::Value;
use std::collections::BTreeMap;

/// The elements that differ, in the order of their paths.
///
/// A path is a JSON Pointer (RFC 6901). An entry of a list is named by its `id`, so that it keeps its path when others
/// come and go; a list whose entries have none is one element. Absent, `null` and an empty list are the same, and the
/// order of named entries is none of their values. Differences add up: those from one state to a second and on to a
/// third, first old and last new value of each path, are those from the first to the third.
#[must_use]
pub fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<AuditChange> {
    let (before, mut after) = (elements(before), elements(after));
    let mut changes: Vec<AuditChange> = before
        .into_iter()
        .map(|(path, old_value)| {
            let new_value = after.remove(&path).unwrap_or_default();
            AuditChange { path, old_value, new_value, personal: false }
        })
        .collect();
    let added = after.into_iter().map(|(path, new_value)| AuditChange {
        path,
        old_value: Value::Null,
        new_value,
        personal: false,
    });
    changes.extend(added);
    changes.retain(|change| !same(&change.old_value, &change.new_value));
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

/// Whether two values of an element are no difference.
#[must_use]
pub fn same(a: &Value, b: &Value) -> bool {
    let is_nothing = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    a == b || (is_nothing(a) && is_nothing(b))
}

/// Every element of a state by its path.
fn elements(state: Option<&Value>) -> BTreeMap<String, Value> {
    let mut elements = BTreeMap::new();
    if let Some(state) = state {
        collect(state, &mut String::new(), &mut elements);
    }
    elements
}

fn collect(value: &Value, path: &mut String, elements: &mut BTreeMap<String, Value>) {
    let mut descend = |name: &str, child: &Value| {
        let length = path.len();
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        collect(child, path, elements);
        path.truncate(length);
    };
    match value {
        Value::Null => {}
        Value::Object(members) => members.iter().for_each(|(name, member)| descend(name, member)),
        Value::Array(entries) => match named(entries) {
            Some(named) => named.into_iter().for_each(|(name, entry)| descend(name, entry)),
            None => drop(elements.insert(path.clone(), value.clone())),
        },
        _ => drop(elements.insert(path.clone(), value.clone())),
    }
}

/// The entries by their ids, if there are any and all have one of their own.
fn named(entries: &[Value]) -> Option<BTreeMap<&str, &Value>> {
    let named: BTreeMap<&str, &Value> =
        entries.iter().map(|entry| Some((entry.get("id")?.as_str()?, entry))).collect::<Option<_>>()?;
    (!named.is_empty() && named.len() == entries.len()).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(before: &Value, after: &Value) -> Vec<(String, Value, Value)> {
        let changes = changes(Some(before), Some(after));
        changes.into_iter().map(|change| (change.path, change.old_value, change.new_value)).collect()
    }

    #[test]
    fn members_are_told_by_their_paths_in_order() {
        let before = json!({"b": 1, "a/b": {"~": "x"}, "gone": true, "kept": [1]});
        let after = json!({"b": 2, "a/b": {"~": "y"}, "new": {"deep": 1}, "kept": [1]});
        let expected = [
            ("/a~1b/~0".to_owned(), json!("x"), json!("y")),
            ("/b".to_owned(), json!(1), json!(2)),
            ("/gone".to_owned(), json!(true), json!(null)),
            ("/new/deep".to_owned(), json!(null), json!(1)),
        ];
        assert_eq!(told(&before, &after), expected);
    }

    #[test]
    fn entries_of_lists_are_matched_by_their_ids() {
        let before = json!({"list": [{"id": "a", "v": 1}, {"id": "b", "v": 1}]});
        let after = json!({"list": [{"id": "b", "v": 1}, {"id": "c", "v": 3}, {"id": "a", "v": 2}]});
        let expected = [
            ("/list/a/v".to_owned(), json!(1), json!(2)),
            ("/list/c/id".to_owned(), json!(null), json!("c")),
            ("/list/c/v".to_owned(), json!(null), json!(3)),
        ];
        assert_eq!(told(&before, &after), expected);
    }

    #[test]
    fn a_list_without_ids_is_one_element() {
        let expected = [("/list".to_owned(), json!([]), json!(["p"]))];
        assert_eq!(told(&json!({"list": []}), &json!({"list": ["p"]})), expected);
        let twice = [("/list".to_owned(), json!([{"id": "a"}, {"id": "a"}]), json!([1]))];
        assert_eq!(told(&json!({"list": [{"id": "a"}, {"id": "a"}]}), &json!({"list": [1]})), twice);
    }

    #[test]
    fn nothing_in_any_form_is_no_difference() {
        assert_eq!(told(&json!({"a": null, "b": []}), &json!({"c": [], "d": {}})), []);
        assert_eq!(changes(None, None), []);
    }

    #[test]
    fn what_came_to_be_has_no_old_values() {
        let changes = changes(None, Some(&json!({"id": "x", "list": []})));
        assert_eq!(changes.len(), 1);
        assert_eq!((&changes[0].path[..], &changes[0].old_value), ("/id", &Value::Null));
    }
}
