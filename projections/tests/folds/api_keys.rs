//! The `api_keys` read model, and its audit entries.

use crate::given::*;
use registrar_aggregates::api_key::{ApiKeyEvent, Creation, Role};
use registrar_aggregates::values::{ApiKeyId, OrganizationId};
use registrar_projections::api_keys::ApiKey;
use registrar_projections::audit_trail::Action::{Delete, Insert, Update};
use registrar_projections::stamped::Stamped;
use registrar_projections::{
    ApiKeyDocument, AuditEntry, Document, DocumentKey, FoldError, KeyValue, RecordedEvent, WorkingSet,
};
use serde_json::{Value, json};
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(0xAB);
const ORGANIZATION: Uuid = Uuid::from_u128(0xCD);

pub fn created() -> ApiKeyEvent {
    ApiKeyEvent::Created(Creation {
        id: ApiKeyId(ID),
        organization_id: OrganizationId(ORGANIZATION),
        name: "Nightly".into(),
        roles: [Role::Developer, Role::Admin].into(),
        enabled: true,
        expires_at: None,
        place: 7,
        secret_digest: "marked-digest".into(),
    })
}

fn deleted() -> ApiKeyEvent {
    ApiKeyEvent::Deleted { organization_id: OrganizationId(ORGANIZATION), place: 7 }
}

fn events(events: impl IntoIterator<Item = ApiKeyEvent>) -> Vec<RecordedEvent> {
    let mut recorder = Recorder::default();
    events.into_iter().map(|event| recorder.record(&ID.to_string(), event)).collect()
}

fn folded(changes: impl IntoIterator<Item = ApiKeyEvent>) -> Folded {
    history(events([created()].into_iter().chain(changes)))
}

fn document(changes: impl IntoIterator<Item = ApiKeyEvent>) -> ApiKeyDocument {
    folded(changes).get(&ID.to_string()).expect("a document")
}

/// Path, old and new value of each change.
fn changes(entry: &AuditEntry) -> Vec<(&str, &Value, &Value)> {
    entry.changes.iter().map(|change| (change.path.as_str(), &change.old_value, &change.new_value)).collect()
}

#[test]
fn a_created_key_has_a_document_of_everything_but_the_secret() {
    let state = ApiKey {
        id: ApiKeyId(ID),
        organization_id: OrganizationId(ORGANIZATION),
        name: "Nightly".into(),
        roles: [Role::Admin, Role::Developer].into(),
        enabled: true,
        expires_at: None,
        place: 7,
        secret_since: time(1),
    };
    assert_eq!(document([]), Stamped { state, version: 1, created_at: time(1), updated_at: time(1) });
    assert_eq!(
        document([]).keys(),
        [KeyValue::Text(ORGANIZATION.to_string()), KeyValue::Text("1970-01-01T00:00:01.000Z".into())]
    );
}

#[test]
fn each_event_changes_its_own_field_the_version_and_the_time() {
    type Edit = fn(&mut ApiKey);
    let all: [(ApiKeyEvent, Edit); 5] = [
        (ApiKeyEvent::SecretRolled { secret_digest: "other".into() }, |key| key.secret_since = time(2)),
        (ApiKeyEvent::Renamed { name: "Weekly".into() }, |key| key.name = "Weekly".into()),
        (ApiKeyEvent::RolesChanged { roles: [Role::Developer].into() }, |key| key.roles = [Role::Developer].into()),
        (ApiKeyEvent::ExpiryChanged { expires_at: Some(time(9)) }, |key| key.expires_at = Some(time(9))),
        (ApiKeyEvent::Disabled {}, |key| key.enabled = false),
    ];
    for (event, edit) in all {
        let mut expected = ApiKeyDocument { version: 2, updated_at: time(2), ..document([]) };
        edit(&mut expected.state);
        assert_eq!(document([event]), expected);
    }
    let back = document([ApiKeyEvent::Disabled {}, ApiKeyEvent::Enabled {}]);
    assert_eq!(back, ApiKeyDocument { version: 3, updated_at: time(3), ..document([]) });
}

#[test]
fn a_deleted_key_has_no_document() {
    assert_eq!(folded([deleted()]).get::<ApiKeyDocument>(&ID.to_string()), None);
}

#[test]
fn the_audit_trail_lists_changed_fields_and_no_digest() {
    let rolled = ApiKeyEvent::SecretRolled { secret_digest: "other-digest".into() };
    let renamed = ApiKeyEvent::Renamed { name: "Weekly".into() };
    let folded = folded([renamed, rolled, ApiKeyEvent::Disabled {}, deleted()]);
    let entries = folded.entries();
    let told: Vec<_> = entries.iter().map(|entry| (entry.action, entry.entity.as_str(), changes(entry))).collect();
    let (id, organization, roles) = (json!(ID), json!(ORGANIZATION), json!(["admin", "developer"]));
    let (nightly, weekly, none) = (json!("Nightly"), json!("Weekly"), json!(null));
    let (first, third) = (json!("1970-01-01T00:00:01Z"), json!("1970-01-01T00:00:03Z"));
    let (yes, no) = (json!(true), json!(false));
    let all = |name, since, enabled| {
        [
            ("/enabled", enabled),
            ("/id", &id),
            ("/name", name),
            ("/organizationId", &organization),
            ("/roles", &roles),
            ("/secretSince", since),
        ]
    };
    let inserted = all(&nightly, &first, &yes).map(|(path, value)| (path, &none, value)).to_vec();
    let removed = all(&weekly, &third, &no).map(|(path, value)| (path, value, &none)).to_vec();
    assert_eq!(
        told,
        [
            (Insert, "ApiKey", inserted),
            (Update, "ApiKey", vec![("/name", &nightly, &weekly)]),
            (Update, "ApiKey", vec![("/secretSince", &first, &third)]),
            (Update, "ApiKey", vec![("/enabled", &yes, &no)]),
            (Delete, "ApiKey", removed),
        ]
    );
    assert!(!serde_json::to_string(&entries).expect("JSON").contains("digest"));
}

#[test]
fn an_event_of_a_key_without_a_document_cannot_be_folded() {
    let missing = || FoldError::Missing(DocumentKey::of::<ApiKeyDocument>(ID.to_string()));
    for event in [ApiKeyEvent::Enabled {}, deleted()] {
        let mut documents = WorkingSet::default();
        assert_eq!(fold(&events([event]), &mut documents), Err(missing()));
    }
}
