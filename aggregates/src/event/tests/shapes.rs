//! The shapes of the states that are stored as snapshots.

use super::*;
use std::fmt::Write;

const SHAPES: &str = include_str!("shapes.txt");

/// A line for each member, list entry and value of a state: path and type.
fn outline(state: &Value, at: &str, lines: &mut BTreeSet<String>) {
    let kind = match state {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(text) if DateTime::parse_from_rfc3339(text).is_ok() => "time",
        Value::String(text) if uuid::Uuid::try_parse(text).is_ok() => "UUID",
        Value::String(_) => "text",
        Value::Array(entries) => {
            entries.iter().for_each(|entry| outline(entry, &format!("{at}/*"), lines));
            "list"
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| outline(member, &format!("{at}/{name}"), lines));
            "object"
        }
    };
    lines.insert(format!("{at} {kind}"));
}

/// The states after the largest events of an aggregate, one after the other.
fn outlined(aggregate_type: &str) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let mut state = AnyAggregate::absent(aggregate_type).expect("a known type");
    let own = events().into_iter().filter(|event| event.aggregate_type() == aggregate_type);
    for event in own {
        state.apply(event);
        outline(&state.to_snapshot().expect("JSON"), "", &mut lines);
    }
    lines
}

/// Snapshots of former releases are read by the number of their shape: a changed shape under the same number would be
/// misread.
#[test]
fn a_state_of_another_shape_has_another_number() {
    let mut found = String::new();
    for (aggregate_type, snapshots) in AnyAggregate::snapshots() {
        let lines = outlined(aggregate_type);
        assert!(lines.len() > 1, "{aggregate_type}: no event among the largest leads to a state");
        let _ = writeln!(found, "{aggregate_type} shape {}", snapshots.shape);
        lines.iter().for_each(|line| found.push_str(&format!("  {line}\n")));
    }
    assert!(
        found == SHAPES,
        "The state of an aggregate with snapshots has another shape than shapes.txt says. Raise `shape` in its `SNAPSHOT` by \
         one, then write this into the file:\n\n{found}"
    );
}
