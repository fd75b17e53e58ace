use super::*;
use chrono::DateTime;
use serde_json::json;

fn stored(payload: &Value, metadata: &Value) -> StoredEvent {
    StoredEvent {
        position: 4_294_967_297,
        recorded_at: DateTime::UNIX_EPOCH + chrono::Duration::milliseconds(1_700_000_000_120),
        aggregate_type: "admin".into(),
        aggregate_id: "5b7ae66c-1df0-4a8f-b8a4-9a3fd9a52a3c".into(),
        sequence: 3,
        event_type: "admin.person-amended".into(),
        event_version: "1.0".into(),
        payload: payload.to_string(),
        metadata: metadata.to_string(),
        leaf_hash: [0; 32],
    }
}

fn metadata() -> Value {
    json!({
        "actor": {"type": "user", "id": "u1", "name": "[sealed]"}, "organizationId": "o1", "ipAddress": "[sealed]",
        "requestId": "r1", "reason": "asked by Ada", "sealed": {"u1": "AQID"},
    })
}

async fn rendered(event: StoredEvent) -> (CloudEvent, Value) {
    let event = PersonalValues::Redacted.render(&[event]).await.expect("an event").remove(0);
    let json = serde_json::from_str(&event.json).expect("JSON");
    (event, json)
}

#[tokio::test]
async fn the_envelope_is_a_cloud_event_with_text_extensions() {
    let (event, json) = rendered(stored(&json!({"type": "admin.person-amended", "person": {}}), &metadata())).await;
    assert_eq!(
        json,
        json!({
            "specversion": "1.0",
            "id": "4294967297",
            "source": "registrar",
            "type": "registrar.admin.person-amended",
            "subject": "admin/5b7ae66c-1df0-4a8f-b8a4-9a3fd9a52a3c",
            "time": "2023-11-14T22:13:20.120Z",
            "datacontenttype": "application/json",
            "position": "4294967297",
            "sequence": "3",
            "organization": "o1",
            "actor": "u1",
            "data": {"type": "admin.person-amended", "person": {}},
        })
    );
    assert_eq!(event.nats_subject, "registrar.events.admin.5b7ae66c-1df0-4a8f-b8a4-9a3fd9a52a3c.person-amended");
    assert_eq!(event.organization.as_deref(), Some("o1"));
}

#[tokio::test]
async fn the_envelope_names_the_user_on_whose_behalf_the_actor_acts() {
    let mut metadata = metadata();
    metadata["onBehalfOf"] = json!({"type": "user", "id": "u2"});
    metadata["session"] = json!("5b7ae66c-1df0-4a8f-b8a4-9a3fd9a52a3c");
    let (_, json) = rendered(stored(&json!({"type": "admin.person-amended"}), &metadata)).await;
    assert_eq!((&json["actor"], &json["onbehalfof"]), (&json!("u1"), &json!("u2")));
    assert!(json.get("session").is_none());
}

#[tokio::test]
async fn sealed_values_are_published_redacted_and_without_their_ciphertext() {
    let payload = json!({
        "type": "admin.person-amended", "person": {"firstName": "[sealed]", "salutation": 1},
        "addresses": [{"city": "[sealed]"}], "sealed": {"u2": "AQID"},
    });
    let (event, json) = rendered(stored(&payload, &metadata())).await;
    assert_eq!(
        json["data"],
        json!({
            "type": "admin.person-amended", "person": {"firstName": REDACTED, "salutation": 1},
            "addresses": [{"city": REDACTED}],
        })
    );
    assert!(!event.json.contains("sealed") && !event.json.contains("AQID"), "{}", event.json);
}

/// Earlier releases sealed less, and their events are published from the journal like all others.
#[tokio::test]
async fn values_left_in_the_clear_by_earlier_releases_are_published_redacted() {
    let of = |event_type: &str, payload: &Value| StoredEvent {
        event_type: event_type.into(),
        ..stored(payload, &metadata())
    };
    let payload =
        json!({"type": "user.preferences-amended", "preferences": {"sms": {"call-me-at": "+43 660", "n": 7}}});
    let (_, json) = rendered(of("user.preferences-amended", &payload)).await;
    assert_eq!(json["data"], json!({"type": "user.preferences-amended", "preferences": REDACTED}));
    let payload = json!({"type": "user-checkin.recorded", "userId": "u", "source": "ios", "model": "iPhone of Ada"});
    let (_, json) = rendered(of("user-checkin.recorded", &payload)).await;
    assert_eq!(json["data"]["model"], REDACTED);
    assert_eq!((&json["data"]["userId"], &json["data"]["source"]), (&json!("u"), &json!("ios")));
    // Organizations have no personal values, and their events stay as they are, byte for byte.
    let payload = json!({"type": "organization.renamed", "name": "Ada's"});
    let (event, _) = rendered(of("organization.renamed", &payload)).await;
    assert!(event.json.contains(&payload.to_string()), "{}", event.json);
}

#[tokio::test]
async fn the_reason_the_request_id_and_the_callers_address_are_not_published() {
    let (event, _) = rendered(stored(&json!({"type": "admin.activated"}), &metadata())).await;
    for told in ["Ada", "r1", "ipAddress", "reason"] {
        assert!(!event.json.contains(told), "{told}");
    }
}

#[tokio::test]
async fn an_event_of_no_organization_has_no_such_attribute() {
    let (event, json) = rendered(stored(&json!({}), &json!({"actor": {"type": "system", "id": "system"}}))).await;
    assert_eq!(json.get("organization"), None);
    assert_eq!(event.organization, None);
}

#[tokio::test]
async fn the_same_event_gives_the_same_bytes() {
    let event = || stored(&json!({"sealed": {"u2": "AQID"}, "b": "[sealed]", "a": 1}), &metadata());
    assert_eq!(rendered(event()).await.0.json, rendered(event()).await.0.json);
}

#[tokio::test]
async fn an_event_that_is_no_json_is_named_by_position_only() {
    for broken in [
        StoredEvent { payload: r#"{"name": "Ada""#.into(), ..stored(&json!({}), &metadata()) },
        StoredEvent { payload: r#"{"sealed":{}, "name": "Ada""#.into(), ..stored(&json!({}), &metadata()) },
        StoredEvent { metadata: r#"{"name": "Ada"}"#.into(), ..stored(&json!({}), &metadata()) },
    ] {
        let refused = PersonalValues::Redacted.render(&[broken]).await.expect_err("it is broken");
        let JournalError::Corrupt(source) = refused else { panic!("{refused}") };
        assert!(source.to_string().contains("4294967297") && !source.to_string().contains("Ada"), "{source}");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_published_holds_back_none_before_it_and_lets_none_pass() {
    let at =
        |position, payload: &str| StoredEvent { position, payload: payload.into(), ..stored(&json!({}), &metadata()) };
    let events = [at(1, "{}"), at(2, "{}"), at(3, "{"), at(4, "{}")];
    let rendered = PersonalValues::Redacted.render(&events).await.expect("two of them");
    assert_eq!(rendered.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2]);
    assert!(PersonalValues::Redacted.render(&events[2..]).await.is_err());
}

#[test]
fn separators_and_wildcards_in_identifiers_are_escaped_in_nats_subjects() {
    let subject = |id: &str| nats_subject(&StoredEvent { aggregate_id: id.into(), ..stored(&json!({}), &metadata()) });
    assert_eq!(subject("a.b c*>"), "registrar.events.admin.a%2Eb%20c%2A%3E.person-amended");
    assert_eq!(subject("é"), "registrar.events.admin.%C3%A9.person-amended");
    assert_eq!(subject(""), "registrar.events.admin.%.person-amended");
    assert_ne!(subject("a.b"), subject("a%2Eb"));
}

#[test]
fn an_envelope_tells_which_event_it_is_of() {
    let event = stored(&json!({}), &metadata());
    let published = envelope(&event, "{}").expect("an event");
    assert_eq!(Identity::of_json(published.json.as_bytes()), Some(Identity::of(&event)));
    assert_eq!(Identity::of_json(br#"{"id":"1","source":"else","type":"t","subject":"s","time":"t"}"#), None);
    assert_eq!(Identity::of_json(b"hello"), None);
}
