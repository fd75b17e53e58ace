//! The names of stored events with their texts in the clear, and a sample of each.

use super::written::{assert_written, is_updating, read};
use super::*;

const EVENTS: &str = "aggregates/events.txt";

/// The line of an event type: name, version, and patterns of the texts that are not personal.
fn line(declared: &EventType) -> String {
    let clear = BTreeSet::from_iter(declared.disclosure.clear.iter().copied());
    let clear = Vec::from_iter(clear).join(" ");
    format!("{} {} clear: {clear}", declared.name, declared.version).trim_end().to_owned()
}

/// A line as name with version, and the rest.
fn split(line: &str) -> (&str, &str) {
    line.split_once(" clear:").unwrap_or((line, ""))
}

/// Stored events keep these names and versions for ever, and the texts of a version stay either clear or sealed: lines
/// may be added to the file, never changed or removed.
#[test]
fn names_versions_and_clear_texts_are_only_ever_added() {
    let released = read(EVENTS);
    let mut lines: Vec<&str> = released.lines().collect();
    let declared: Vec<String> = DomainEvent::declarations().map(line).collect();
    for line in &declared {
        let (event, clear) = split(line);
        let mut listed = lines.iter().map(|line| split(line));
        let other = listed.find(|(listed, texts)| *listed == event && *texts != clear);
        assert!(
            other.is_none(),
            "{event} has the texts {clear:?} in the clear, but {:?} in {EVENTS}. A text that was stored and published in the \
             clear, or sealed, cannot change silently: give the event a new version in `event_names!`, with an upcaster. \
             The line stays.",
            other.unwrap_or_default().1
        );
    }
    let missing: Vec<_> = declared.iter().map(String::as_str).filter(|line| !lines.contains(line)).collect();
    if is_updating() {
        lines.extend(missing);
        assert_written(EVENTS, &(lines.join("\n") + "\n"));
    } else {
        assert!(missing.is_empty(), "add a line to {EVENTS}, or run the test with UPDATE=1: {missing:?}");
    }
    let latest: BTreeMap<_, _> = lines.iter().filter_map(|line| split(line).0.split_once(' ')).collect();
    let known: BTreeMap<_, _> = declared.iter().filter_map(|line| split(line).0.split_once(' ')).collect();
    assert_eq!(
        latest, known,
        "a name of {EVENTS} is gone, or has a lower version than it had: stored events bear it for ever. Bring it back; the \
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
