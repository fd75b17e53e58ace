//! Differences between two states.

use registrar_projections::audit_trail::diff::{Difference, differences, matches};
use serde_json::{Value, json};

fn shown(before: Value, after: Value) -> Vec<String> {
    let shown = |Difference { path, old_value, new_value }| format!("{path}: {old_value} -> {new_value}");
    differences(&before, &after).into_iter().map(shown).collect()
}

#[test]
fn alike_states_have_no_differences() {
    let state = json!({"a": [1, {"b": null}], "c": {"d": "e"}});
    assert_eq!(differences(&state, &state), []);
    assert_eq!(differences(&Value::Null, &json!({})), []);
}

#[test]
fn absent_null_and_empty_are_alike() {
    assert_eq!(shown(json!({"a": null, "b": [], "c": {}}), json!({})), Vec::<String>::new());
    assert_eq!(shown(json!({"a": null}), json!({"a": []})), Vec::<String>::new());
}

#[test]
fn members_are_compared_one_by_one_in_the_order_of_their_paths() {
    let before = json!({"b": {"y": 1, "x": 1}, "a": true});
    let after = json!({"b": {"y": 2, "z": [1]}, "a": true});
    assert_eq!(shown(before, after), ["/b/x: 1 -> null", "/b/y: 1 -> 2", "/b/z: null -> [1]"]);
}

#[test]
fn names_are_escaped_as_in_a_json_pointer() {
    assert_eq!(shown(json!({}), json!({"a/b": {"~": 1}})), ["/a~1b/~0: null -> 1"]);
}

#[test]
fn list_elements_are_matched_by_their_identifiers() {
    let before = json!({"list": [{"id": "1", "a": 1}, {"id": "2", "a": 2}]});
    let after = json!({"list": [{"id": "3", "a": 3}, {"id": "2", "a": 0}]});
    assert_eq!(
        shown(before, after),
        [
            "/list/1/a: 1 -> null",
            r#"/list/1/id: "1" -> null"#,
            "/list/2/a: 2 -> 0",
            "/list/3/a: null -> 3",
            r#"/list/3/id: null -> "3""#,
        ]
    );
}

#[test]
fn other_lists_are_one_element() {
    assert_eq!(shown(json!({"l": ["a", "b"]}), json!({"l": ["b"]})), [r#"/l: ["a","b"] -> ["b"]"#]);
    assert_eq!(shown(json!({"l": [{"id": 1}]}), json!({"l": []})), [r#"/l: [{"id":1}] -> []"#]);
}

#[test]
fn a_value_may_become_an_object_and_back() {
    assert_eq!(shown(json!({"a": 1}), json!({"a": {"b": 2}})), [r#"/a: 1 -> {"b":2}"#]);
    assert_eq!(shown(json!({"a": {"b": 2}}), json!({})), ["/a/b: 2 -> null"]);
}

#[test]
fn a_star_stands_for_one_step() {
    assert!(matches("/a/*/b", "/a/1/b"));
    assert!(!matches("/a/*/b", "/a/1/c/b"));
    assert!(!matches("/a/*", "/a"));
    assert!(matches("", ""));
}
