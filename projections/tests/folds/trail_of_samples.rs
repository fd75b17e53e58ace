//! The audit entry of every type of event, to the letter as it is stored.

use crate::given::*;
use registrar_aggregates::DomainEvent;
use serde_json::{Value, json};
use std::fmt::Write;

const SAMPLES: &str = include_str!("../../../aggregates/samples.json");
const ENTRIES: &str = "tests/folds/trail_of_samples.txt";

/// What the event itself makes of its entry; the rest follows from the metadata alone.
fn line(event: &DomainEvent, entry: &registrar_projections::AuditEntry) -> String {
    let mut entry = serde_json::to_value(entry).expect("JSON");
    let members = entry.as_object_mut().expect("an object");
    members.retain(|name, _| {
        ["action", "entity", "entityId", "personId", "subjectId", "changes", "reason", "comment"]
            .contains(&name.as_str())
    });
    format!("{} {}", event.event_type(), json!(members))
}

#[test]
fn the_entry_of_every_event_stays_as_it_is() {
    let samples: Vec<Value> = serde_json::from_str(SAMPLES).expect("JSON");
    let name = |sample: &Value| sample["type"].as_str().expect("a type").to_owned();
    let aggregate = |sample: &Value| name(sample).split('.').next().expect("an aggregate").to_owned();
    let event = |sample: &Value| DomainEvent::from_payload(&aggregate(sample), sample.clone()).expect("a sample");
    let mut found = String::new();
    for sample in &samples {
        let first = samples.iter().find(|first| aggregate(first) == aggregate(sample)).expect("at least this one");
        let first = if name(first) == name(sample) { sample } else { first };
        let id = first["id"].as_str().unwrap_or("stream");
        let mut recorder = Recorder::default();
        let mut history_of_it = vec![recorder.record(id, event(first))];
        if first != sample {
            history_of_it.push(recorder.record(id, event(sample)));
        }
        let _ = writeln!(found, "{}", line(&event(sample), &history(history_of_it).last_entry()));
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(format!("{file}{ENTRIES}"), &found).expect("the file is written");
    }
    let known = std::fs::read_to_string(format!("{file}{ENTRIES}")).unwrap_or_default();
    for (found, known) in found.lines().zip(known.lines()) {
        assert_eq!(found, known);
    }
    assert_eq!(found.lines().count(), known.lines().count());
}
