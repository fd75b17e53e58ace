//! The contract for subscribers: subjects, headers and envelopes.

/// The AsyncAPI 3.0 document, JSON. Generated from the event types by a test of `registrar-aggregates`.
pub const ASYNCAPI: &str = include_str!("../../docs/asyncapi.json");

#[cfg(test)]
mod tests {
    use super::ASYNCAPI;
    use crate::journal::StoredEvent;
    use crate::publisher::cloud_event::PersonalValues;
    use registrar_aggregates::DomainEvent;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    fn document() -> Value {
        serde_json::from_str(ASYNCAPI).expect("JSON")
    }

    fn names(members: &Value) -> BTreeSet<&str> {
        members.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    /// Every event type with members of every kind.
    fn samples() -> Vec<DomainEvent> {
        let samples: Vec<Value> =
            serde_json::from_str(include_str!("../../aggregates/samples.json")).expect("payloads");
        let event = |sample: Value| {
            let aggregate = sample["type"].as_str().and_then(|name| name.split('.').next()).expect("a name").to_owned();
            DomainEvent::from_payload(&aggregate, sample).expect("a sample")
        };
        samples.into_iter().map(event).collect()
    }

    fn stored(event: &DomainEvent) -> StoredEvent {
        StoredEvent {
            position: 1,
            recorded_at: chrono::DateTime::UNIX_EPOCH,
            aggregate_type: event.aggregate_type().to_owned(),
            aggregate_id: "stream".into(),
            sequence: 1,
            event_type: event.event_type(),
            event_version: event.event_version(),
            payload: event.to_payload().expect("JSON").to_string(),
            metadata: json!({ "actor": { "type": "system", "id": "system" }, "requestId": "r" }).to_string(),
            leaf_hash: [0; 32],
        }
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

    /// With personal values redacted, as published by default, and in the clear.
    #[tokio::test]
    async fn every_event_is_published_as_it_is_described() {
        let components = &document()["components"];
        for event in samples() {
            let name = event.event_type();
            let schema = json!({ "$ref": format!("#/components/messages/{name}/payload"), "components": components });
            let described = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
            let published = PersonalValues::Redacted.render(&[stored(&event)]).await.expect("an envelope").remove(0);
            let redacted: Value = serde_json::from_str(&published.json).expect("JSON");
            let mut clear = redacted.clone();
            clear["data"] = event.masked().expect("secrets are texts").to_payload().expect("JSON");
            for published in [redacted, clear] {
                let broken: Vec<_> = described.iter_errors(&published).map(|error| error.to_string()).collect();
                assert!(broken.is_empty(), "{name}: {broken:?} in {published}");
                let known = &components["messages"][&name]["payload"]["allOf"][1]["properties"]["data"]["properties"];
                let known: BTreeSet<_> = known.as_object().into_iter().flat_map(|known| known.keys()).collect();
                let undescribed: Vec<_> = names(&published["data"])
                    .into_iter()
                    .filter(|member| *member != "type" && !known.contains(&(*member).to_owned()))
                    .collect();
                assert!(undescribed.is_empty(), "{name}: {undescribed:?}");
            }
        }
    }
}
