//! The audit trail: for each event one entry with the changes, old and new values, and the actor.

use crate::given::*;
use registrar_aggregates::access_token::AccessTokenEvent;
use registrar_aggregates::admin::AdminEvent::{self, *};
use registrar_aggregates::admin::Person;
use registrar_aggregates::audit_access::AuditAccessEvent;
use registrar_aggregates::key_ring::{KeyRingEvent, SigningKey};
use registrar_aggregates::values::AdminId;
use registrar_aggregates::{Actor, ActorType, DomainEvent};
use registrar_projections::audit_trail::Action::{self, Delete, Insert, Update};
use registrar_projections::{AuditEntry, Document, KeyKind, KeyValue, RecordedEvent, TrailCounter};
use serde_json::{Value, json};
use std::sync::Arc;

const NULL: Value = Value::Null;

fn first() -> AdminEvent {
    registered(full_registration())
}

/// The entry of an event of the admin with all data.
fn entry_of(event: AdminEvent) -> AuditEntry {
    given([first(), event]).last_entry()
}

fn entry_of_other(id: &str, event: impl Into<DomainEvent>) -> AuditEntry {
    history([Recorder::default().record(id, event)]).last_entry()
}

/// `path: old -> new` of each change, with `personal` after personal ones.
fn shown(entry: &AuditEntry) -> Vec<String> {
    let personal = |personal| if personal { " personal" } else { "" };
    let changes = entry.changes.iter();
    changes
        .map(|change| {
            format!("{}: {} -> {}{}", change.path, change.old_value, change.new_value, personal(change.personal))
        })
        .collect()
}

fn assert_touches(entry: &AuditEntry, action: Action, entity: &str, entity_id: &str) {
    assert_eq!((entry.action, entry.entity.as_str(), entry.entity_id.as_str()), (action, entity, entity_id));
}

#[test]
fn a_registration_inserts_everything_that_it_brings() {
    let entry = given([first()]).last_entry();
    assert_touches(&entry, Insert, "EcgAdmin", &ADMIN.to_string());
    assert_eq!(entry.person_id, Some(PERSON.to_string()));
    assert!(entry.changes.iter().all(|change| change.old_value == NULL && change.new_value != NULL));
    assert!(entry.changes.is_sorted_by(|a, b| a.path < b.path), "paths are in path order, each once");
    let value = |path: &str| entry.changes.iter().find(|change| change.path == path).map(|change| &change.new_value);
    for (path, expected) in [
        ("/id", json!(ADMIN)),
        ("/policies", json!(["p1", "p2"])),
        ("/customPermissions", json!(["c1"])),
        ("/activeInfo/active", json!(true)),
        ("/activeInfo/activeStatusChangedAt", json!("1970-01-01T00:00:01.000Z")),
        ("/person/party/activeInfo/active", json!(true)),
        ("/person/id", json!(PERSON)),
        ("/person/firstName", json!("Ada")),
        ("/person/salutation", json!(3)),
        ("/person/emailAddress", json!("ada@example.org")),
        ("/person/party/id", json!(PARTY)),
        ("/person/party/legacyIdentifier", json!("L1")),
        ("/person/party/addresses/00000000-0000-0000-0000-000000000065/addressLine1", json!("1 Main Street")),
        ("/person/party/phoneNumbers/00000000-0000-0000-0000-0000000000ca/phoneNumber", json!("+44 2")),
        ("/account/email", json!("Ada@Example.org")),
    ] {
        assert_eq!(value(path), Some(&expected), "{path}");
    }
}

#[test]
fn the_entry_of_a_registration_omits_absent_fields() {
    let entry = given([registered(registration())]).last_entry();
    assert_eq!(
        shown(&entry).iter().map(|change| change.split(':').next().unwrap_or_default()).collect::<Vec<_>>(),
        [
            "/activeInfo/active",
            "/activeInfo/activeStatusChangedAt",
            "/id",
            "/person/firstName",
            "/person/id",
            "/person/lastName",
            "/person/party/activeInfo/active",
            "/person/party/activeInfo/activeStatusChangedAt",
            "/person/party/id",
        ]
    );
}

#[test]
fn a_secret_is_never_shown() {
    let entry = given([first()]).last_entry();
    assert!(shown(&entry).contains(&r#"/account/password: null -> "***""#.to_owned()));
    let key = SigningKey {
        key_id: "k1".into(),
        public_key: "public".into(),
        private_key: "secret".into(),
        verifies_until: None,
    };
    let added = entry_of_other("ring", KeyRingEvent::KeyAdded { key });
    assert_touches(&added, Insert, "SigningKey", "k1");
    assert_eq!(
        shown(&added),
        [r#"/keyId: null -> "k1""#, r#"/privateKey: null -> "***""#, r#"/publicKey: null -> "public""#]
    );
    for entry in [entry, added] {
        let text = serde_json::to_string(&entry).expect("JSON");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn amended_grants_show_the_whole_lists_that_differ() {
    let entry = entry_of(GrantsAmended { policies: texts(&["p2", "p3"]), custom_permissions: texts(&["c1"]) });
    assert_touches(&entry, Update, "EcgAdmin", &ADMIN.to_string());
    assert_eq!(shown(&entry), [r#"/policies: ["p1","p2"] -> ["p2","p3"]"#]);
    let both = entry_of(GrantsAmended { policies: vec![], custom_permissions: vec![] });
    assert_eq!(shown(&both), [r#"/customPermissions: ["c1"] -> []"#, r#"/policies: ["p1","p2"] -> []"#]);
}

#[test]
fn an_amended_person_shows_the_members_that_differ() {
    let person =
        Person { salutation: Some(4), first_name: "Augusta".into(), suffix: None, ..full_registration().person };
    let entry = entry_of(PersonAmended { person });
    assert_touches(&entry, Update, "Person", &PERSON.to_string());
    assert_eq!(
        shown(&entry),
        [
            r#"/person/firstName: "Ada" -> "Augusta" personal"#,
            "/person/salutation: 3 -> 4",
            r#"/person/suffix: "PhD" -> null personal"#,
        ]
    );
}

#[test]
fn an_amended_party_shows_the_legacy_identifier() {
    let entry = entry_of(PartyAmended { legacy_identifier: None });
    assert_touches(&entry, Update, "Party", &PARTY.to_string());
    assert_eq!(shown(&entry), [r#"/person/party/legacyIdentifier: "L1" -> null personal"#]);
}

#[test]
fn addresses_are_inserted_updated_and_deleted_as_records_of_their_own() {
    let root = |number: u128| format!("/person/party/addresses/{}", address(number).id);
    let added = entry_of(AddressAdded { address: address(3), index: 0 });
    assert_touches(&added, Insert, "PartyAddress", &address(3).id.to_string());
    assert_eq!(
        shown(&added),
        [
            format!(r#"{}/addressLine1: null -> "3 Main Street" personal"#, root(3)),
            format!("{}/addressType: null -> 1", root(3)),
            format!(r#"{}/city: null -> "London" personal"#, root(3)),
        ]
    );
    let mut moved = address(1);
    moved.details.city = Some("Paris".into());
    let amended = entry_of(AddressAmended { address: moved });
    assert_touches(&amended, Update, "PartyAddress", &address(1).id.to_string());
    assert_eq!(shown(&amended), [format!(r#"{}/city: "London" -> "Paris" personal"#, root(1))]);
    let removed = entry_of(AddressRemoved { address_id: address(2).id });
    assert_touches(&removed, Delete, "PartyAddress", &address(2).id.to_string());
    assert_eq!(
        shown(&removed),
        [
            format!(r#"{}/addressLine1: "2 Main Street" -> null personal"#, root(2)),
            format!("{}/addressType: 1 -> null", root(2)),
            format!(r#"{}/city: "London" -> null personal"#, root(2)),
        ]
    );
}

#[test]
fn phone_numbers_are_inserted_updated_and_deleted_as_records_of_their_own() {
    let root = |number: u128| format!("/person/party/phoneNumbers/{}", phone_number(number).id);
    let added = entry_of(PhoneNumberAdded { phone_number: phone_number(3), index: 0 });
    assert_touches(&added, Insert, "PhoneNumber", &phone_number(3).id.to_string());
    assert_eq!(
        shown(&added),
        [format!(r#"{}/phoneNumber: null -> "+44 3" personal"#, root(3)), format!("{}/phoneType: null -> 1", root(3)),]
    );
    let mut changed = phone_number(1);
    changed.details.extension = Some("7".into());
    let amended = entry_of(PhoneNumberAmended { phone_number: changed });
    assert_touches(&amended, Update, "PhoneNumber", &phone_number(1).id.to_string());
    assert_eq!(shown(&amended), [format!(r#"{}/extension: null -> "7" personal"#, root(1))]);
    let removed = entry_of(PhoneNumberRemoved { phone_number_id: phone_number(2).id });
    assert_touches(&removed, Delete, "PhoneNumber", &phone_number(2).id.to_string());
    assert_eq!(removed.changes.len(), 2);
    assert!(removed.changes.iter().all(|change| change.new_value == NULL));
}

#[test]
fn deactivation_and_activation_update_the_admin_and_its_party() {
    let folded = given([first(), Deactivated {}, Activated {}]);
    let entries = folded.entries();
    assert_eq!(
        shown(&entries[1]),
        [
            "/activeInfo/active: true -> false",
            r#"/activeInfo/activeStatusChangedAt: "1970-01-01T00:00:01.000Z" -> "1970-01-01T00:00:02.000Z""#,
            "/person/party/activeInfo/active: true -> false",
            r#"/person/party/activeInfo/activeStatusChangedAt: "1970-01-01T00:00:01.000Z" -> "1970-01-01T00:00:02.000Z""#,
        ]
    );
    for entry in &entries[1..] {
        assert_touches(entry, Update, "EcgAdmin", &ADMIN.to_string());
    }
    assert_eq!(shown(&entries[2])[0], "/activeInfo/active: false -> true");
}

#[test]
fn keys_tokens_and_trail_reads_have_trails_of_their_own() {
    let retired = entry_of_other("ring", KeyRingEvent::KeyRetired { key_id: "k1".into(), verifies_until: time(5) });
    assert_touches(&retired, Update, "SigningKey", "k1");
    assert_eq!(shown(&retired), [r#"/verifiesUntil: null -> "1970-01-01T00:00:05.000Z""#]);

    let organization_id = Some("o1".to_owned());
    let issued =
        AccessTokenEvent::Issued { admin_id: AdminId(ADMIN), expires_at: time(5), organization_id, permissions: None };
    let issued = entry_of_other("jti", issued);
    assert_touches(&issued, Insert, "AccessToken", "jti");
    let expected = [
        format!(r#"/adminId: null -> "{ADMIN}""#),
        r#"/expiresAt: null -> "1970-01-01T00:00:05.000Z""#.to_owned(),
        r#"/organizationId: null -> "o1""#.to_owned(),
    ];
    assert_eq!(shown(&issued), expected);

    let filters = [("searchTerm".to_owned(), "UPDATE".to_owned())].into();
    let read = entry_of_other("reader", AuditAccessEvent::TrailRead { trail: "ecg-admins".into(), filters });
    assert_touches(&read, Insert, "AuditAccess", "reader");
    // Search terms may name a person.
    let expected = [r#"/filters: null -> {"searchTerm":"UPDATE"} personal"#, r#"/trail: null -> "ecg-admins""#];
    assert_eq!(shown(&read), expected);
    for (entry, trail) in [(retired, "key-ring"), (issued, "access-token"), (read, "audit-access")] {
        assert_eq!((entry.trail.as_str(), entry.sequence, entry.person_id), (trail, 1, None));
    }
}

#[test]
fn an_entry_has_the_actor_the_address_the_time_and_the_reason() {
    let entry = entry_of(Deactivated {});
    assert_eq!((entry.position, entry.recorded_at, entry.request_id.as_str()), (2, time(2), "request-2"));
    assert_eq!((entry.actor_type, entry.actor_id.as_str()), (ActorType::User, "actor-2"));
    assert_eq!((entry.actor_name.as_deref(), entry.ip_address.as_deref()), (Some("Actor 2"), Some("203.0.113.2")));
    assert_eq!(
        (entry.user_agent.as_deref(), entry.organization_id.as_deref()),
        (Some("agent/2"), Some("organization-2"))
    );
    assert_eq!((entry.reason.as_deref(), entry.comment.as_deref()), (Some("reason 2"), Some("comment 2")));
    assert_eq!((entry.trail.as_str(), entry.aggregate_id), ("admin", ADMIN.to_string()));
}

#[test]
fn interleaved_trails_are_each_numbered_densely() {
    let mut recorder = Recorder::default();
    let read = || AuditAccessEvent::TrailRead { trail: "t".into(), filters: Default::default() };
    let other = registrar_aggregates::admin::Registration { id: AdminId(PERSON), ..full_registration() };
    let folded = history([
        recorder.record(&ADMIN.to_string(), first()),
        recorder.record("a", read()),
        recorder.record(&PERSON.to_string(), registered(other)),
        recorder.record("b", read()),
        recorder.record(&ADMIN.to_string(), Deactivated {}),
    ]);
    let numbers: Vec<_> = folded.entries().iter().map(|entry| (entry.trail.clone(), entry.sequence)).collect();
    let expected = [("admin", 1), ("audit-access", 1), ("admin", 2), ("audit-access", 2), ("admin", 3)];
    assert_eq!(numbers, expected.map(|(trail, sequence)| (trail.to_owned(), sequence)));
    assert_eq!(folded.get::<TrailCounter>("admin").map(|counter| counter.entries), Some(3));
    assert_eq!(folded.get::<TrailCounter>("audit-access").map(|counter| counter.entries), Some(2));
}

#[test]
fn an_entry_has_the_same_name_whenever_it_is_folded() {
    let ids = || given([first(), Deactivated {}]).entries().iter().map(|entry| entry.id).collect::<Vec<_>>();
    assert_eq!(ids(), ids());
    assert_ne!(ids()[0], ids()[1]);
}

#[test]
fn personal_values_are_sealed_for_the_person_and_the_circumstances_for_the_actor() {
    let entry =
        entry_of(PersonAmended { person: Person { salutation: Some(4), suffix: None, ..full_registration().person } });
    let sealed = entry.sealed_fields();
    assert_eq!(sealed[0], (ADMIN.to_string(), texts(&["/changes/1/oldValue", "/changes/1/newValue"])));
    assert_eq!(sealed[1], ("actor-2".to_owned(), texts(&["/actorName", "/ipAddress", "/userAgent"])));
    assert_eq!(sealed.len(), 2);
    let body = serde_json::to_value(&entry).expect("JSON");
    for pointer in sealed.iter().flat_map(|(_, pointers)| pointers) {
        assert!(body.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn entries_of_the_server_itself_have_no_sealed_fields() {
    let event =
        Recorder::default().record("ring", KeyRingEvent::KeyRetired { key_id: "k".into(), verifies_until: time(5) });
    let metadata = registrar_aggregates::Metadata { actor: Actor::system(), ..metadata(1) };
    let event = RecordedEvent { metadata: Arc::new(metadata), ..event };
    assert_eq!(history([event]).last_entry().sealed_fields(), []);
}

#[test]
fn keys_stand_in_the_order_in_which_they_are_declared() {
    let entry = entry_of(Deactivated {});
    let declared = AuditEntry::COLLECTION.keys;
    let keys = entry.keys();
    assert_eq!(keys.len(), declared.len());
    let text = |text: &str| KeyValue::Text(text.to_owned());
    for (declared, key) in declared.iter().zip(keys) {
        let expected = match declared.name {
            "trail" => text("admin"),
            "sequence" => KeyValue::Integer(2),
            "recorded_at" => text("1970-01-01T00:00:02.000Z"),
            "aggregate_id" | "entity_id" => text(&ADMIN.to_string()),
            "action" => text("UPDATE"),
            "entity" => text("EcgAdmin"),
            "person_id" => text(&PERSON.to_string()),
            "actor_id" => text("actor-2"),
            "organization_id" => text("organization-2"),
            "position" => KeyValue::Integer(2),
            other => panic!("a key that no test knows: {other}"),
        };
        assert_eq!(key, expected, "{}", declared.name);
        assert_eq!(matches!(declared.kind, KeyKind::Integer | KeyKind::Ordinal), matches!(key, KeyValue::Integer(_)));
    }
}
