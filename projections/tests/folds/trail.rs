//! The entry of every event type, compared with a file byte by byte: a change of how entries are made or stored shows
//! there as a difference. `UPDATE=1` writes the file.

use crate::given::{Folded, Recorder, fold};
use crate::written::assert_written;
use registrar_aggregates::checkpoint_key::CHECKPOINT_KEY_ID;
use registrar_aggregates::group::{placement, staffing};
use registrar_aggregates::key_ring::KEY_RING_ID;
use registrar_aggregates::one_time_code::{self, Purpose};
use registrar_aggregates::user::roster;
use registrar_aggregates::values::{IndividualId, OrganizationId, UserId};
use registrar_aggregates::{DomainEvent, Metadata};
use registrar_projections::{AnyDocument, AuditEntry, RecordedEvent, WorkingSet};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::{Arc, LazyLock};
use uuid::Uuid;

/// Payloads of at least one event of every type.
pub static SAMPLES: LazyLock<Vec<Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../aggregates/samples.json")).expect("JSON"));

/// Organization of groups, placements, posts and admins in the samples.
const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(10));

/// Event types whose entries list no change: they change counters and secrets, which no entry shows, or data of other
/// streams.
const UNCHANGED: [&str; 5] = [
    "admin.sessions-ended",
    "user.sessions-ended",
    "session.refreshed",
    "session.renewed",
    "individual-group.leaders-replaced",
];

#[test]
fn every_event_has_the_entry_that_the_file_says() {
    let mut written = String::new();
    for event_type in DomainEvent::event_types() {
        let mut samples = SAMPLES.iter().filter(|sample| type_of(sample) == event_type).peekable();
        assert!(samples.peek().is_some(), "{event_type} has no sample");
        samples.for_each(|sample| written.push_str(&lines(event_type, entry(&recorded(sample)))));
    }
    written.push_str(&lines("admin.deactivated by the system", entry(&recorded_by_system("admin.deactivated"))));
    assert_written("projections/tests/folds/trail.txt", &written);
}

#[test]
fn only_events_that_change_no_audited_member_have_entries_without_changes() {
    let entries = SAMPLES.iter().map(|sample| (type_of(sample), entry(&recorded(sample))));
    let unchanged: Vec<_> =
        entries.filter(|(_, entry)| entry.changes.is_empty()).map(|(event_type, _)| event_type).collect();
    assert_eq!(unchanged, UNCHANGED);
}

fn type_of(payload: &Value) -> &str {
    payload["type"].as_str().expect("a name")
}

/// The body of an entry as it is stored, before sealing; each change on a line of its own.
fn lines(title: &str, entry: AuditEntry) -> String {
    let mut body = AnyDocument::AuditEntries(entry).to_body().expect("JSON");
    let changes = body.as_object_mut().and_then(|members| members.remove("changes")).expect("a list of changes");
    let mut lines = format!("{title} {body}\n");
    for change in changes.as_array().into_iter().flatten() {
        let _ = writeln!(lines, "  {change}");
    }
    lines
}

/// The entry of the last event.
fn entry(events: &[RecordedEvent]) -> AuditEntry {
    let mut documents = WorkingSet::default();
    if let Err(error) = fold(events, &mut documents) {
        panic!("{}: {error}", events.last().map(|event| event.event.event_type()).unwrap_or_default());
    }
    Folded(documents).last_entry()
}

/// A sample after the events that it needs.
pub fn recorded(sample: &Value) -> Vec<RecordedEvent> {
    let mut recorder = Recorder::default();
    let payloads = before(sample).into_iter().chain([sample.clone()]);
    payloads
        .map(|payload| {
            let created = payload.get("id").and_then(Value::as_str).map(str::to_owned);
            let event = event(payload);
            recorder.record(&created.unwrap_or_else(|| stream(&event)), event)
        })
        .collect()
}

/// A sample whose metadata have only the required members.
fn recorded_by_system(event_type: &str) -> Vec<RecordedEvent> {
    let mut events = recorded(&sample(event_type));
    if let Some(last) = events.last_mut() {
        last.metadata = Arc::new(Metadata::system("request"));
    }
    events
}

fn event(payload: Value) -> DomainEvent {
    let aggregate_type = type_of(&payload).split('.').next().unwrap_or_default().to_owned();
    DomainEvent::from_payload(&aggregate_type, payload).expect("a payload of its type")
}

/// The stream of an event that names none itself.
fn stream(event: &DomainEvent) -> String {
    let id = |number| Uuid::from_u128(number).to_string();
    match event {
        DomainEvent::Admin(_)
        | DomainEvent::Organization(_)
        | DomainEvent::ApiKey(_)
        | DomainEvent::User(_)
        | DomainEvent::Session(_)
        | DomainEvent::Totp(_)
        | DomainEvent::Theme(_)
        | DomainEvent::Task(_) => id(1),
        DomainEvent::Individual(_) => id(3),
        DomainEvent::Group(_) => id(6),
        DomainEvent::GeneralMessage(_) => id(7),
        DomainEvent::Setting(_) => id(9),
        DomainEvent::UrlShortener(_)
        | DomainEvent::UrlVisits(_)
        | DomainEvent::MessageTemplate(_)
        | DomainEvent::Message(_)
        | DomainEvent::RegistrationInvitation(_) => id(12),
        DomainEvent::Onboarding(_) => id(14),
        DomainEvent::Feature(_) => "dark-mode".to_owned(),
        DomainEvent::OrganizationCode(_) => "spring-2026".to_owned(),
        DomainEvent::Guard(_) => "digest".to_owned(),
        DomainEvent::OneTimeCode(_) => one_time_code::stream(UserId(Uuid::from_u128(1)), Purpose::Email),
        DomainEvent::KeyRing(_) => KEY_RING_ID.to_owned(),
        DomainEvent::CheckpointKey(_) => CHECKPOINT_KEY_ID.to_owned(),
        DomainEvent::Roster(_) => roster::stream(Some(ORGANIZATION)),
        DomainEvent::Tree(_) => ORGANIZATION.to_string(),
        DomainEvent::Placement(_) => placement::stream(ORGANIZATION, IndividualId(Uuid::from_u128(3))),
        DomainEvent::Staffing(_) => staffing::stream(ORGANIZATION, UserId(Uuid::from_u128(1))),
        // Nothing depends on the other streams: no sample names them.
        _ => id(11),
    }
}

/// The first sample of a type.
fn sample(event_type: &str) -> Value {
    SAMPLES.iter().find(|sample| type_of(sample) == event_type).cloned().expect("a sample")
}

/// The first sample of a type with members of `edit` in place of its own, at any depth; null removes a member
/// (RFC 7396).
fn edited(event_type: &str, edit: Value) -> Value {
    let mut payload = sample(event_type);
    merge(&mut payload, edit);
    payload
}

fn merge(value: &mut Value, edit: Value) {
    match (value, edit) {
        (Value::Object(members), Value::Object(edits)) => {
            for (name, edit) in edits {
                if edit.is_null() {
                    members.remove(&name);
                } else {
                    merge(members.entry(name).or_insert(Value::Null), edit);
                }
            }
        }
        (value, edit) => *value = edit,
    }
}

/// The events before a sample, with other values, so that the sample changes something. None for an event that creates
/// its record, or that carries all values of its entry.
fn before(payload: &Value) -> Vec<Value> {
    match type_of(payload) {
        "admin.registered" => vec![],
        "admin.address-amended" => vec![admin(), former_address()],
        "admin.address-removed" => vec![admin(), sample("admin.address-added")],
        "admin.phone-number-amended" => vec![admin(), former_phone_number()],
        "admin.phone-number-removed" => vec![admin(), sample("admin.phone-number-added")],
        "admin.activated" => vec![admin(), sample("admin.deactivated")],
        name if name.starts_with("admin.") => vec![admin()],

        "organization.registered" => vec![],
        "organization.mode-amended" => vec![organization(), former_mode()],
        "organization.mode-ended" => vec![organization(), sample("organization.mode-added")],
        "organization.address-amended" => vec![organization(), former_organization_address()],
        "organization.address-ended" => vec![organization(), sample("organization.address-added")],
        "organization.property-amended" => {
            vec![organization(), edited("organization.property-added", json!({ "property": { "value": "1F0C" } }))]
        }
        "organization.property-ended" => vec![organization(), sample("organization.property-added")],
        "organization.restored" => vec![organization(), sample("organization.archived")],
        "organization.study-released" => vec![organization(), sample("organization.study-assigned")],
        "organization.deleted" => vec![sample("organization.registered")],
        name if name.starts_with("organization.") => vec![organization()],

        "key-ring.key-retired" => vec![edited("key-ring.key-added", json!({ "key": { "verifiesUntil": null } }))],

        "api-key.created" => vec![],
        "api-key.expiry-changed" => vec![edited("api-key.created", json!({ "expiresAt": "1970-01-01T00:00:59Z" }))],
        "api-key.enabled" => vec![sample("api-key.created"), sample("api-key.disabled")],
        name if name.starts_with("api-key.") => vec![sample("api-key.created")],

        "user.created" => vec![],
        "user.email-amended" => {
            let pending = json!({ "former": null, "email": "byron@example.com" });
            vec![verified_user(), edited("user.email-amended", pending)]
        }
        "user.phone-amended" => {
            let pending = json!({ "former": null, "phone": "+12025550125" });
            vec![verified_user(), edited("user.phone-amended", pending)]
        }
        "user.email-confirmed" | "user.email-restored" => vec![verified_user(), pending_email()],
        "user.phone-confirmed" | "user.phone-restored" => vec![verified_user(), pending_phone()],
        "user.preferences-amended" => {
            let former = json!({ "preferences": { "email": { "news": true }, "sms": { "news": true } } });
            vec![verified_user(), edited("user.preferences-amended", former)]
        }
        "user.sign-up-confirmed" => vec![verified_user(), sample("user.registered")],
        "user.enabled" => vec![verified_user(), sample("user.disabled")],
        "user.archived" => vec![verified_user(), pending_email(), pending_phone()],
        "user.organization-removed" | "user.role-revoked" => vec![
            verified_user(),
            sample("user.organization-joined"),
            sample("user.default-organization-changed"),
            sample("user.role-granted"),
        ],
        "user.default-organization-changed" | "user.role-granted" | "user.home-changed" => {
            vec![verified_user(), sample("user.organization-joined")]
        }
        "user.individual-removed" => vec![verified_user(), sample("user.individual-added")],
        "user.primary-individual-changed" => {
            let first = edited("user.individual-added", json!({ "individualId": Uuid::from_u128(8) }));
            vec![verified_user(), first, sample("user.individual-added")]
        }
        "user.system-role-revoked" => vec![verified_user(), sample("user.system-role-granted")],
        "user.agreements-deleted" => vec![verified_user(), sample("user.documents-agreed")],
        name if name.starts_with("user.") => vec![verified_user()],

        "session.opened" => vec![session_user()],
        "session.switched" => {
            let elsewhere = json!({ "scope": { "organizationId": ORGANIZATION } });
            vec![session_user(), edited("session.opened", elsewhere)]
        }
        name if name.starts_with("session.") => vec![session_user(), sample("session.opened")],

        "totp-configuration.created" => vec![],
        "totp-configuration.enabled" => vec![sample("totp-configuration.created")],
        name if name.starts_with("totp-configuration.") => {
            vec![sample("totp-configuration.created"), sample("totp-configuration.enabled")]
        }

        "feature.amended" => {
            let former = json!({ "stage": "beta", "description": "Night", "globalEnabled": true, "assignable": false });
            vec![edited("feature.created", json!({ "definition": former }))]
        }
        "feature-setting.switched" => vec![sample("feature-setting.created")],
        "feature-setting.removed" => {
            let mut created = sample("feature-setting.created");
            created["setting"] = payload["setting"].clone();
            vec![created]
        }

        "general-message.amended" => vec![sample("general-message.created")],
        "organization-theme.amended" => {
            let former =
                json!({ "domain": "example.com", "supportEmail": "desk@example.com", "supportEmailName": null });
            vec![edited("organization-theme.created", json!({ "brand": former }))]
        }
        "message-template.amended" => {
            let mut created = sample("message-template.created");
            created["template"] = payload["template"].clone();
            created["template"]["text"] = json!("former-text");
            if let Some(former) = payload.get("former") {
                created["template"]["purpose"] = former.clone();
            }
            vec![created]
        }

        "individual-group.created" => vec![],
        "individual-group.moved" => vec![division(4), division(5), group()],
        name if name.starts_with("individual-group.") => vec![group()],

        "individual-placement.enrolled" => vec![sample("individual.recorded")],
        "individual-placement.joined" => vec![sample("individual.recorded"), sample("individual-placement.enrolled")],
        name if name.starts_with("individual-placement.") => vec![
            sample("individual.recorded"),
            sample("individual-placement.enrolled"),
            sample("individual-placement.joined"),
        ],

        "individual.assigned" => vec![individual_of_organization()],
        "individual.unassigned" => vec![individual_of_organization(), sample("individual.assigned")],

        "group-staffing.appointed" => vec![verified_user()],
        "group-staffing.relieved" => vec![verified_user(), sample("group-staffing.appointed")],

        "url-shortener.amended" => {
            let former =
                json!({ "target": { "netloc": "links.example.org", "fullPath": "/former" }, "expiresAt": null });
            vec![edited("url-shortener.created", json!({ "link": former }))]
        }
        "url-shortener-visits.counted" => vec![sample("url-shortener.created")],

        "organization-code.amended" => vec![sample("organization-code.created")],

        "message.composed" => vec![],
        "message.attempt-started" | "message.captured" => vec![sample("message.composed")],
        name if name.starts_with("message.") => vec![sample("message.composed"), sample("message.attempt-started")],

        "registration-invitation.claimed" | "registration-invitation.expired" => {
            vec![sample("registration-invitation.created")]
        }
        "onboarding-request.created" => vec![],
        "onboarding-request.delivery-noted" => {
            vec![sample("onboarding-request.created"), sample("onboarding-request.invited")]
        }
        name if name.starts_with("onboarding-request.") => vec![sample("onboarding-request.created")],

        "task.started" => vec![sample("task.queued")],
        "task.finished" | "task.failed" => vec![sample("task.queued"), sample("task.started")],

        _ => vec![],
    }
}

fn admin() -> Value {
    let person = json!({
        "emailAddress": "former-contact-address",
        "firstName": "former-first-name",
        "lastName": "former-last-name",
        "salutation": 2,
        "suffix": null,
    });
    let former = json!({
        "addresses": [],
        "customPermissions": ["permission-0"],
        "legacyIdentifier": "former-legacy-identifier",
        "person": person,
        "phoneNumbers": [],
        "policies": ["policy-0"],
    });
    edited("admin.registered", former)
}

fn former_address() -> Value {
    let former = json!({
        "addressLine1": "former-address-line-1",
        "addressLine2": null,
        "addressType": 2,
        "city": "former-city",
        "countryCode": "FR",
        "regionCode": "US",
    });
    edited("admin.address-added", json!({ "address": former }))
}

fn former_phone_number() -> Value {
    let former = json!({ "extension": null, "phoneNumber": "former-telephone", "phoneType": 2 });
    edited("admin.phone-number-added", json!({ "phoneNumber": former }))
}

fn organization() -> Value {
    let details = json!({
        "category": null,
        "msa": false,
        "msaEnd": null,
        "number": "ORG-1",
        "subType": { "text": "CLINIC" },
        "taxId": null,
        "timeZone": "Europe/Berlin",
    });
    let tenancy = json!({
        "authorization": "open",
        "classification": "customer_test",
        "handle": "acme-before",
        "signInUrl": null,
        "themeId": null,
    });
    let former = json!({
        "addresses": [],
        "details": details,
        "features": ["F0"],
        "modes": [],
        "properties": { "labId": null },
        "studyId": null,
        "tenancy": tenancy,
        "themes": [],
    });
    edited("organization.registered", former)
}

fn former_mode() -> Value {
    let code = json!({ "id": Uuid::from_u128(12), "text": "Production" });
    edited("organization.mode-added", json!({ "mode": { "code": code, "entityType": null } }))
}

fn former_organization_address() -> Value {
    let details = json!({ "city": "Boulder", "kind": { "text": "Billing" }, "mainPrimary": false, "street2": null });
    let former = json!({ "details": details, "properties": { "labId": { "value": "1F0C" } } });
    edited("organization.address-added", json!({ "address": former }))
}

/// The user of most samples, with a verified address and a verified number.
fn verified_user() -> Value {
    edited("user.created", json!({ "contacts": { "phoneVerified": true } }))
}

/// The user of the session.
fn session_user() -> Value {
    edited("user.created", json!({ "id": Uuid::from_u128(2) }))
}

fn individual_of_organization() -> Value {
    edited("individual.recorded", json!({ "owner": { "user": null, "organization": ORGANIZATION } }))
}

fn pending_email() -> Value {
    edited("user.email-amended", json!({ "former": null }))
}

fn pending_phone() -> Value {
    edited("user.phone-amended", json!({ "former": null }))
}

fn division(number: u128) -> Value {
    let id = Uuid::from_u128(number);
    let division = json!({ "id": id, "name": format!("Division {number}"), "nodeType": "division", "parent": null });
    edited("individual-group.created", division)
}

/// A group under division 5. Its stream is that of [`stream`].
fn group() -> Value {
    edited("individual-group.created", json!({ "id": Uuid::from_u128(6), "tags": ["pilot"] }))
}
