//! The names of stored events, with a sample of each.

use super::written::{assert_written, is_updating, read};
use super::*;

const NAMES: &str = "aggregates/events.txt";

/// Stored events keep these names and versions for ever: lines may be added to the file, never changed or removed.
#[test]
fn names_and_versions_are_only_ever_added() {
    let released = read(NAMES);
    let mut lines: Vec<&str> = released.lines().collect();
    let declared: Vec<_> =
        DomainEvent::declarations().map(|declared| format!("{} {}", declared.name, declared.version)).collect();
    let missing: Vec<_> = declared.iter().map(String::as_str).filter(|line| !lines.contains(line)).collect();
    if is_updating() {
        lines.extend(missing);
        assert_written(NAMES, &(lines.join("\n") + "\n"));
    } else {
        assert!(missing.is_empty(), "add a line to {NAMES}, or run the test with UPDATE=1: {missing:?}");
    }
    let latest: BTreeMap<_, _> = lines.iter().filter_map(|line| line.split_once(' ')).collect();
    let known: BTreeMap<_, _> = declared.iter().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(
        latest, known,
        "a name of {NAMES} is gone, or has a lower version than it had: stored events bear it for ever. Bring it back; the \
         line must stay."
    );
}

/// The payloads of all samples, for the tests of other crates.
#[test]
fn the_payloads_of_all_samples_are_written_down() {
    let all: Vec<_> = events().iter().chain(&alternatives()).map(payload).collect();
    let text = serde_json::to_string_pretty(&all).expect("JSON");
    assert_written("aggregates/samples.json", &(text + "\n"));
}
