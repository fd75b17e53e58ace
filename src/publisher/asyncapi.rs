//! What subscribers may rely on: subjects, headers and envelopes.

/// The AsyncAPI 3.0 document, JSON.
pub const ASYNCAPI: &str = include_str!("../../docs/asyncapi.json");

#[cfg(test)]
mod tests {
    use super::ASYNCAPI;
    use registrar_aggregates::DomainEvent;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    fn document() -> Value {
        serde_json::from_str(ASYNCAPI).expect("JSON")
    }

    fn names(members: &Value) -> BTreeSet<&str> {
        members.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn every_event_and_no_other_is_described() {
        assert_eq!(names(&document()["components"]["messages"]), DomainEvent::event_types().collect());
    }

    #[test]
    fn every_channel_carries_every_event() {
        let document = document();
        for channel in ["events", "eventStream"] {
            assert_eq!(names(&document["channels"][channel]["messages"]), DomainEvent::event_types().collect());
        }
    }

    #[test]
    fn the_description_of_an_event_is_told_from_others_by_its_type() {
        for (name, message) in document()["components"]["messages"].as_object().expect("messages") {
            let kind = json!({"const": format!("registrar.{name}")});
            assert_eq!(message["payload"]["allOf"][1]["properties"]["type"], kind, "{name}");
            assert_eq!(message["name"], format!("registrar.{name}"));
        }
    }
}
