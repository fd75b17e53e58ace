//! The `organizations` read model, and its audit entries.

use crate::given::*;
use registrar_aggregates::organization::{
    Address, AddressDetails, Code, CodeList, Details, Edition, Mode, OrganizationEvent, Profile, Property, Status,
    Tenancy,
};
use registrar_aggregates::values::{OrganizationAddressId, OrganizationId, OrganizationModeId};
use registrar_projections::audit_trail::Action::{Delete, Insert, Update};
use registrar_projections::{
    AuditEntry, Document, DocumentKey, FoldError, KeyValue, OrganizationDocument, RecordedEvent, WorkingSet,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

pub const ID: Uuid = Uuid::from_u128(0xAB);

fn code(list: CodeList, text: &str) -> Code {
    list.find(None, Some(text)).expect("known").expect("not blank")
}

fn edition(at: u64, reason: Option<&str>) -> Edition {
    Edition { start: time(at), reason: reason.map(str::to_owned), comment: None }
}

fn mode() -> Mode {
    let id = OrganizationModeId(Uuid::from_u128(1));
    Mode { id, code: code(CodeList::Mode, "Testing"), entity_type: None, edition: edition(1, None) }
}

fn address(postal_code: &str) -> Address {
    let country = Some(code(CodeList::Country, "AUT"));
    Address {
        id: OrganizationAddressId(Uuid::from_u128(2)),
        details: AddressDetails { postal_code: postal_code.into(), country, ..AddressDetails::default() },
        properties: BTreeMap::new(),
        edition: edition(1, None),
    }
}

pub fn registered() -> OrganizationEvent {
    registered_as(OrganizationId(ID))
}

pub fn registered_as(id: OrganizationId) -> OrganizationEvent {
    OrganizationEvent::Registered(Box::new(Profile {
        id,
        name: "Straße CRO".into(),
        status: Status::Active,
        archived: false,
        details: Details {
            number: Some("ORG-1".into()),
            kind: Some(code(CodeList::Kind, "SITE")),
            sub_type: Some(code(CodeList::SubType, "LAB")),
            ..Details::default()
        },
        edition: edition(1, None),
        modes: vec![mode()],
        addresses: vec![address("1010")],
        properties: BTreeMap::new(),
        study_id: None,
        features: vec![],
        themes: vec![],
        tenancy: Tenancy::default(),
    }))
}

fn events(events: impl IntoIterator<Item = OrganizationEvent>) -> Vec<RecordedEvent> {
    let mut recorder = Recorder::default();
    events.into_iter().map(|event| recorder.record(&ID.to_string(), event)).collect()
}

fn folded(changes: impl IntoIterator<Item = OrganizationEvent>) -> Folded {
    history(events([registered()].into_iter().chain(changes)))
}

fn document(folded: &Folded) -> Option<OrganizationDocument> {
    folded.get(&ID.to_string())
}

fn shown(entry: &AuditEntry) -> Vec<String> {
    let changes = entry.changes.iter();
    changes.map(|change| format!("{}: {} -> {}", change.path, change.old_value, change.new_value)).collect()
}

fn renamed(name: &str, reason: Option<&str>) -> OrganizationEvent {
    OrganizationEvent::Renamed { name: name.into(), edition: edition(2, reason) }
}

#[test]
fn a_document_is_the_state_and_when_it_changed() {
    let folded = folded([renamed("Acme", None)]);
    let document = document(&folded).expect("there");
    assert_eq!((document.name.as_str(), document.version), ("Acme", 2));
    assert_eq!((document.created_at, document.updated_at), (time(1), time(2)));
    assert_eq!(document.edition, edition(2, None));
    let body = serde_json::to_value(&document).expect("JSON");
    assert_eq!(serde_json::from_value::<OrganizationDocument>(body).expect("its own shape"), document);
}

#[test]
fn a_deleted_organization_has_no_document_and_its_entry_lists_the_former_values() {
    let folded = folded([OrganizationEvent::Deleted { handle: None, edition: edition(2, Some("closed")) }]);
    assert_eq!(document(&folded), None);
    let entry = folded.last_entry();
    assert_eq!((entry.action, entry.entity.as_str()), (Delete, "Organization"));
    assert_eq!(entry.entity_id, ID.to_string());
    assert_eq!(entry.reason.as_deref(), Some("closed"));
    assert!(entry.changes.iter().all(|change| change.new_value.is_null()));
    assert!(shown(&entry).contains(&r#"/name: "Straße CRO" -> null"#.to_owned()));
}

#[test]
fn a_registration_inserts_everything_that_it_brings() {
    let entry = folded([]).last_entry();
    assert_eq!((entry.action, entry.trail.as_str(), entry.sequence), (Insert, "organization", 1));
    assert!(entry.changes.is_sorted_by(|a, b| a.path < b.path));
    let shown = shown(&entry);
    let address = format!("/addresses/{}", address("").id);
    for expected in [
        r#"/details/number: null -> "ORG-1""#.to_owned(),
        r#"/details/subType/text: null -> "LABORATORY""#.to_owned(),
        r#"/name: null -> "Straße CRO""#.to_owned(),
        "/archived: null -> false".to_owned(),
        format!(r#"{address}/details/postalCode: null -> "1010""#),
        format!(r#"/modes/{}/code/text: null -> "Testing""#, mode().id),
    ] {
        assert!(shown.contains(&expected), "{expected} is not in {shown:#?}");
    }
    assert!(!shown.iter().any(|change| change.contains("edition")), "{shown:#?}");
}

#[test]
fn a_change_shows_the_elements_that_differ() {
    let entry = folded([renamed("Acme", None)]).last_entry();
    assert_eq!(entry.action, Update);
    assert_eq!(shown(&entry), [r#"/name: "Straße CRO" -> "Acme""#]);
}

#[test]
fn elements_of_lists_are_told_by_their_identifiers() {
    let amended = OrganizationEvent::AddressAmended { address: address("1020") };
    let path = format!("/addresses/{}", address("").id);
    assert_eq!(shown(&folded([amended]).last_entry()), [format!(r#"{path}/details/postalCode: "1010" -> "1020""#)]);
    let ended = OrganizationEvent::ModeEnded { mode_id: mode().id, edition: edition(2, None) };
    let entry = folded([ended]).last_entry();
    let path = format!("/modes/{}", mode().id);
    assert!(entry.changes.iter().all(|change| change.path.starts_with(&path) && change.new_value.is_null()));
    let property = Property { value: "V".into(), entity_type: None, edition: edition(2, None) };
    let added = OrganizationEvent::PropertyAdded { name: "a/b".into(), property };
    assert_eq!(shown(&folded([added]).last_entry()), [r#"/properties/a~1b/value: null -> "V""#]);
}

#[test]
fn the_reason_of_a_part_counts_before_that_of_the_whole() {
    let entries = folded([renamed("Acme", Some("own")), renamed("Other", None)]).entries();
    let reasons: Vec<_> = entries.iter().map(|entry| entry.reason.as_deref()).collect();
    assert_eq!(reasons, [Some("reason 1"), Some("own"), Some("reason 3")]);
}

#[test]
fn an_event_of_an_organization_without_a_document_cannot_be_folded() {
    let refusal = fold(&events([renamed("Acme", None)]), &mut WorkingSet::default());
    let key = DocumentKey::of::<OrganizationDocument>(ID.to_string());
    assert_eq!(refusal, Err(FoldError::Missing(key)));
}

#[test]
fn a_registration_asks_for_no_document_of_its_own() {
    let key = DocumentKey::of::<OrganizationDocument>(ID.to_string());
    let events = events([registered(), renamed("Acme", None)]);
    let wanted: Vec<_> = events.iter().map(|event| registrar_projections::wants(event).contains(&key)).collect();
    assert_eq!(wanted, [false, true]);
}

#[test]
fn keys_stand_in_the_order_in_which_they_are_declared() {
    let folded = folded([OrganizationEvent::StudyAssigned {
        study_id: Uuid::from_u128(0xCD).to_string(),
        edition: edition(2, None),
    }]);
    let document = document(&folded).expect("there");
    let simple = |id: Uuid| id.simple().to_string();
    let (text, texts) = (|text: &str| KeyValue::Text(text.into()), |texts: &[String]| KeyValue::Texts(texts.to_vec()));
    let declared = OrganizationDocument::COLLECTION.keys.iter().map(|key| key.name);
    for (name, value) in declared.zip(document.keys()) {
        let expected = match name {
            "organization_id" => text(&ID.to_string()),
            "name" | "search" => text("strasse cro"),
            "numbers" => texts(&["org-1".into(), simple(ID)]),
            "sub_types" => texts(&["laboratory".into(), simple(code(CodeList::SubType, "LAB").id)]),
            "modes" => texts(&[simple(code(CodeList::Mode, "Testing").id)]),
            "countries" => texts(&[simple(code(CodeList::Country, "AUT").id)]),
            "created_at" => text("1970-01-01T00:00:01.000Z"),
            "updated_at" => text("1970-01-01T00:00:02.000Z"),
            // An organization without a handle has its identifier.
            "handle" | "handle_search" => text(&ID.to_string()),
            "active" => text("true"),
            "entities" => texts(&[simple(Uuid::from_u128(0xCD))]),
            other => panic!("a key that no test knows: {other}"),
        };
        assert_eq!(value, expected, "{name}");
    }
}

#[test]
fn folding_again_gives_the_same_bytes() {
    let body = || {
        let folded = folded([renamed("Acme", Some("own")), OrganizationEvent::Archived { edition: edition(3, None) }]);
        serde_json::to_string(&(document(&folded), folded.entries())).expect("JSON")
    };
    assert_eq!(body(), body());
}

#[test]
fn entries_of_organizations_seal_only_the_actor() {
    let mut events = events([registered()]);
    let metadata = Arc::new(metadata(1));
    events[0].metadata = metadata;
    let sealed = history(events).last_entry().sealed_fields();
    assert_eq!(sealed.iter().map(|(subject, _)| subject.as_str()).collect::<Vec<_>>(), ["actor-1"]);
}
