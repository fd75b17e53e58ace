//! Builders: events recorded one second apart, and the documents that the folds make of them.

use chrono::{DateTime, Duration, Utc};
use registrar_aggregates::admin::{
    Account, Address, AddressDetails, AdminEvent, Person, PhoneNumber, PhoneNumberDetails, Registration,
};
use registrar_aggregates::values::{AccountId, AddressId, AdminId, EmailAddress, PartyId, PersonId, PhoneNumberId};
use registrar_aggregates::{Actor, ActorType, DomainEvent, Metadata};
use registrar_projections::{
    AdminDocument, AnyDocument, AuditEntry, Document, DocumentKey, FoldError, RecordedEvent, WorkingSet,
};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

pub const ADMIN: Uuid = Uuid::from_u128(1);
pub const PERSON: Uuid = Uuid::from_u128(2);
pub const PARTY: Uuid = Uuid::from_u128(3);
const ACCOUNT: Uuid = Uuid::from_u128(4);

/// Time of the event at a position.
pub fn time(position: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::seconds(position as i64)
}

/// Records events at the end of a journal.
#[derive(Default)]
pub struct Recorder {
    position: u64,
    versions: HashMap<String, u64>,
}

impl Recorder {
    pub fn record(&mut self, aggregate_id: &str, event: impl Into<DomainEvent>) -> RecordedEvent {
        self.position += 1;
        let event = event.into();
        let version = self.versions.entry(format!("{}/{aggregate_id}", event.aggregate_type())).or_default();
        *version += 1;
        RecordedEvent {
            position: self.position,
            recorded_at: time(self.position),
            aggregate_id: aggregate_id.to_owned(),
            sequence: *version,
            metadata: Arc::new(metadata(self.position)),
            event: Arc::new(event),
        }
    }
}

/// Metadata with every member, distinguished by number.
pub fn metadata(number: u64) -> Metadata {
    Metadata {
        actor: Actor { kind: ActorType::User, id: format!("actor-{number}"), name: Some(format!("Actor {number}")) },
        on_behalf_of: None,
        session: None,
        organization_id: Some(format!("organization-{number}")),
        ip_address: Some(format!("203.0.113.{number}")),
        user_agent: Some(format!("agent/{number}")),
        request_id: format!("request-{number}"),
        causation: None,
        reason: Some(format!("reason {number}")),
        comment: Some(format!("comment {number}")),
    }
}

/// Folds events into a working set that loads documents like a store.
pub fn fold(events: &[RecordedEvent], documents: &mut WorkingSet) -> Result<(), FoldError> {
    for event in events {
        for key in registrar_projections::wants(event) {
            if !documents.knows(&key) {
                documents.provide(key, None);
            }
        }
        registrar_projections::fold(event, documents)?;
    }
    Ok(())
}

/// The documents of a history.
pub struct Folded(pub WorkingSet);

/// Events of one admin, one after the other.
pub fn given(events: impl IntoIterator<Item = AdminEvent>) -> Folded {
    let mut recorder = Recorder::default();
    history(events.into_iter().map(|event| recorder.record(&ADMIN.to_string(), event)))
}

pub fn history(events: impl IntoIterator<Item = RecordedEvent>) -> Folded {
    let mut documents = WorkingSet::default();
    fold(&events.into_iter().collect::<Vec<_>>(), &mut documents).expect("the events fit");
    Folded(documents)
}

impl Folded {
    pub fn admin(&self) -> AdminDocument {
        self.get(&ADMIN.to_string()).expect("the admin has a document")
    }

    pub fn get<D: Document>(&self, id: &str) -> Option<D> {
        let document = self.0.current(&DocumentKey::of::<D>(id))?;
        D::unwrap(&document).cloned()
    }

    /// All entries in the order of their positions.
    pub fn entries(&self) -> Vec<AuditEntry> {
        let mut entries: Vec<AuditEntry> = self
            .0
            .changes()
            .filter_map(|change| match change.after.as_deref() {
                Some(AnyDocument::AuditEntries(entry)) => Some(entry.clone()),
                _ => None,
            })
            .collect();
        entries.sort_by_key(|entry| entry.position);
        entries
    }

    pub fn last_entry(&self) -> AuditEntry {
        self.entries().pop().expect("there is an entry")
    }
}

/// An admin with only the required data.
pub fn registration() -> Registration {
    Registration {
        id: AdminId(ADMIN),
        person_id: PersonId(PERSON),
        party_id: PartyId(PARTY),
        policies: vec![],
        custom_permissions: vec![],
        person: ada(),
        legacy_identifier: None,
        addresses: vec![],
        phone_numbers: vec![],
        account: None,
    }
}

/// An admin with all data.
pub fn full_registration() -> Registration {
    Registration {
        policies: texts(&["p1", "p2"]),
        custom_permissions: texts(&["c1"]),
        person: Person {
            salutation: Some(3),
            suffix: Some("PhD".into()),
            email_address: Some("ada@example.org".into()),
            ..ada()
        },
        legacy_identifier: Some("L1".into()),
        addresses: vec![address(1), address(2)],
        phone_numbers: vec![phone_number(1), phone_number(2)],
        account: Some(Account {
            id: AccountId(ACCOUNT),
            email: EmailAddress::parse("Ada@Example.org").expect("well formed"),
            password_hash: "$argon2id$secret".into(),
            password_expires_at: None,
        }),
        ..registration()
    }
}

pub fn registered(registration: Registration) -> AdminEvent {
    AdminEvent::Registered(Box::new(registration))
}

pub fn ada() -> Person {
    Person {
        salutation: None,
        first_name: "Ada".into(),
        last_name: "Lovelace".into(),
        suffix: None,
        email_address: None,
    }
}

/// An address distinguished by number.
pub fn address(number: u128) -> Address {
    Address {
        id: AddressId(Uuid::from_u128(100 + number)),
        details: AddressDetails {
            address_type: 1,
            address_line1: Some(format!("{number} Main Street")),
            address_line2: None,
            city: Some("London".into()),
            postal_code: None,
            state_province_code: None,
            country_code: None,
            region_code: None,
        },
    }
}

/// A telephone number distinguished by number.
pub fn phone_number(number: u128) -> PhoneNumber {
    PhoneNumber {
        id: PhoneNumberId(Uuid::from_u128(200 + number)),
        details: PhoneNumberDetails { phone_type: 1, phone_number: Some(format!("+44 {number}")), extension: None },
    }
}

pub fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}
