//! Entries of admins. They name the records within an admin one by one, in the terms of the published trail, so they
//! are hand-written; see [`super::compared`] for the generic way.

use super::sources::HandwrittenEntry;
use super::touched::{ChangedRecord, change};
use super::{AuditChange, time_key};
use crate::admins::{self, AdminDocument};
use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::admin::{AddressDetails, AdminEvent, Person, PhoneNumberDetails, Registration};
use registrar_aggregates::personal::SECRET;
use serde_json::{Value, json};

impl HandwrittenEntry for AdminEvent {
    fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
        admins::wants(event)
    }

    fn touched(&self, event: &RecordedEvent, documents: &WorkingSet) -> Result<ChangedRecord, FoldError> {
        Ok(match self {
            AdminEvent::Registered(registration) => registered(event, registration),
            changed_later => changed(event, changed_later, documents.need::<AdminDocument>(&event.aggregate_id)?),
        })
    }
}

fn registered(event: &RecordedEvent, registration: &Registration) -> ChangedRecord {
    let mut changes = vec![
        change("/id", Value::Null, json!(registration.id)),
        change("/person/id", Value::Null, json!(registration.person_id)),
        change("/person/party/id", Value::Null, json!(registration.party_id)),
        personal("/person/party/legacyIdentifier", Value::Null, json!(registration.legacy_identifier)),
    ];
    if !registration.policies.is_empty() {
        changes.push(change("/policies", Value::Null, json!(registration.policies)));
    }
    if !registration.custom_permissions.is_empty() {
        changes.push(change("/customPermissions", Value::Null, json!(registration.custom_permissions)));
    }
    changes.extend(active_changes(None, (true, event.recorded_at)));
    changes.extend(person_changes(None, Some(&registration.person)));
    for address in &registration.addresses {
        changes.extend(address_changes(&address.id.to_string(), None, Some(&address.details)));
    }
    for number in &registration.phone_numbers {
        changes.extend(phone_number_changes(&number.id.to_string(), None, Some(&number.details)));
    }
    if let Some(account) = &registration.account {
        changes.push(personal("/account/email", Value::Null, json!(account.email)));
        changes.push(change("/account/id", Value::Null, json!(account.id)));
        changes.push(change("/account/password", Value::Null, json!(SECRET)));
    }
    let mut touched = ChangedRecord::new(&event.aggregate_id, changes);
    touched.person_id = Some(registration.person_id.to_string());
    touched
}

fn changed(event: &RecordedEvent, changed: &AdminEvent, before: &AdminDocument) -> ChangedRecord {
    let admin = |changes| ChangedRecord::new(&event.aggregate_id, changes);
    let address = |id: &str, after: Option<&AddressDetails>| {
        let former =
            before.addresses.iter().find(|address| address.id.to_string() == id).map(|address| &address.details);
        ChangedRecord::new(id, address_changes(id, former, after))
    };
    let number = |id: &str, after: Option<&PhoneNumberDetails>| {
        let former =
            before.phone_numbers.iter().find(|number| number.id.to_string() == id).map(|number| &number.details);
        ChangedRecord::new(id, phone_number_changes(id, former, after))
    };
    let mut touched = match changed {
        // A second registration of a stream cannot be decided; if one is ever stored, its entry shows its values.
        AdminEvent::Registered(registration) => registered(event, registration),
        AdminEvent::GrantsAmended { policies, custom_permissions } => admin(vec![
            change("/policies", json!(before.policies), json!(policies)),
            change("/customPermissions", json!(before.custom_permissions), json!(custom_permissions)),
        ]),
        AdminEvent::PersonAmended { person } => {
            ChangedRecord::new(&before.person_id.to_string(), person_changes(Some(&before.person), Some(person)))
        }
        AdminEvent::PartyAmended { legacy_identifier } => ChangedRecord::new(
            &before.party_id.to_string(),
            vec![personal("/person/party/legacyIdentifier", json!(before.legacy_identifier), json!(legacy_identifier))],
        ),
        AdminEvent::AddressAdded { address: added, .. } => address(&added.id.to_string(), Some(&added.details)),
        AdminEvent::AddressAmended { address: amended } => address(&amended.id.to_string(), Some(&amended.details)),
        AdminEvent::AddressRemoved { address_id } => address(&address_id.to_string(), None),
        AdminEvent::PhoneNumberAdded { phone_number, .. } => {
            number(&phone_number.id.to_string(), Some(&phone_number.details))
        }
        AdminEvent::PhoneNumberAmended { phone_number } => {
            number(&phone_number.id.to_string(), Some(&phone_number.details))
        }
        AdminEvent::PhoneNumberRemoved { phone_number_id } => number(&phone_number_id.to_string(), None),
        // The entry shows that the hash changed, but neither the former nor the new one.
        AdminEvent::PasswordChanged { .. } => admin(vec![change("/account/password", Value::Null, json!(SECRET))]),
        AdminEvent::SessionsEnded {} => admin(vec![]),
        AdminEvent::Activated {} => {
            admin(active_changes(Some((before.active, before.active_changed_at)), (true, event.recorded_at)))
        }
        AdminEvent::Deactivated {} => {
            admin(active_changes(Some((before.active, before.active_changed_at)), (false, event.recorded_at)))
        }
    };
    touched.person_id = Some(before.person_id.to_string());
    touched
}

fn personal(path: impl Into<String>, old_value: Value, new_value: Value) -> AuditChange {
    AuditChange { path: path.into(), old_value, new_value, personal: true }
}

fn active_changes(before: Option<(bool, DateTime<Utc>)>, after: (bool, DateTime<Utc>)) -> Vec<AuditChange> {
    let old = before.map_or((Value::Null, Value::Null), |(active, at)| (json!(active), json!(time_key(at))));
    ["", "/person/party"]
        .into_iter()
        .flat_map(|owner| {
            [
                change(format!("{owner}/activeInfo/active"), old.0.clone(), json!(after.0)),
                change(format!("{owner}/activeInfo/activeStatusChangedAt"), old.1.clone(), json!(time_key(after.1))),
            ]
        })
        .collect()
}

fn person_changes(before: Option<&Person>, after: Option<&Person>) -> Vec<AuditChange> {
    let values = |person: Option<&Person>| {
        person.map_or_else(Default::default, |person| {
            [
                json!(person.salutation),
                json!(person.first_name),
                json!(person.last_name),
                json!(person.suffix),
                json!(person.email_address),
            ]
        })
    };
    const MEMBERS: [(&str, bool); 5] =
        [("salutation", false), ("firstName", true), ("lastName", true), ("suffix", true), ("emailAddress", true)];
    member_changes("/person", &MEMBERS, values(before), values(after))
}

fn address_changes(id: &str, before: Option<&AddressDetails>, after: Option<&AddressDetails>) -> Vec<AuditChange> {
    let values = |details: Option<&AddressDetails>| {
        details.map_or_else(Default::default, |address| {
            [
                json!(address.address_type),
                json!(address.address_line1),
                json!(address.address_line2),
                json!(address.city),
                json!(address.postal_code),
                json!(address.state_province_code),
                json!(address.country_code),
                json!(address.region_code),
            ]
        })
    };
    const MEMBERS: [(&str, bool); 8] = [
        ("addressType", false),
        ("addressLine1", true),
        ("addressLine2", true),
        ("city", true),
        ("postalCode", true),
        ("stateProvinceCode", true),
        ("countryCode", false),
        ("regionCode", false),
    ];
    member_changes(&format!("/person/party/addresses/{id}"), &MEMBERS, values(before), values(after))
}

fn phone_number_changes(
    id: &str,
    before: Option<&PhoneNumberDetails>,
    after: Option<&PhoneNumberDetails>,
) -> Vec<AuditChange> {
    let values = |details: Option<&PhoneNumberDetails>| {
        details.map_or_else(Default::default, |number| {
            [json!(number.phone_type), json!(number.phone_number), json!(number.extension)]
        })
    };
    const MEMBERS: [(&str, bool); 3] = [("phoneType", false), ("phoneNumber", true), ("extension", true)];
    member_changes(&format!("/person/party/phoneNumbers/{id}"), &MEMBERS, values(before), values(after))
}

fn member_changes<const N: usize>(
    root: &str,
    members: &[(&str, bool); N],
    before: [Value; N],
    after: [Value; N],
) -> Vec<AuditChange> {
    members
        .iter()
        .zip(before.into_iter().zip(after))
        .map(|((member, personal), (old_value, new_value))| AuditChange {
            path: format!("{root}/{member}"),
            old_value,
            new_value,
            personal: *personal,
        })
        .collect()
}
