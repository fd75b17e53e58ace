//! The `admins` read model: one document per admin with its present state.

use crate::collection::{SEPARATOR, sortable};
use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::admin::{AddressDetails, AdminEvent, Person, PhoneNumber, Registration};
use registrar_aggregates::values::{AccountId, AddressId, AdminId, EmailAddress, PartyId, PersonId};
use registrar_aggregates::{DomainEvent, text::fold as fold_text};
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 3;

crate::collection! {
    "admins" of AdminDocument, hot: true, id: |admin| admin.id.to_string();
    keys {
        /// Finds an admin by the natural person.
        pub PERSON_ID: Text = |admin| admin.person_id.to_string();
        // The separator sorts below every printable character, so that a shorter first name comes first.
        NAME: Text = |admin| sortable(admin.folded_names(SEPARATOR));
        /// First name, last name, full name and contact e-mail.
        pub SEARCH: Search = |admin| {
            let email = admin.person.email_address.as_deref().unwrap_or_default();
            format!("{}{SEPARATOR}{}", admin.folded_names(' '), fold_text(email))
        };
        /// Finds the admins that hold a policy.
        pub POLICIES: Texts = |admin| admin.policies.iter().map(|policy| sortable(policy.clone())).collect();
    }
    indexes { [PERSON_ID], [NAME], [POLICIES] }
    counts { [] }
    sorts {
        /// First name, last name, id; case-insensitive.
        pub BY_NAME = [NAME];
    }
}

/// Time and actor of a record's creation and last change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditInfo {
    /// Creation time.
    pub created_at: DateTime<Utc>,
    /// Actor of the creation.
    pub created_by: String,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
    /// Actor of the last change.
    pub updated_by: String,
}

impl AuditInfo {
    fn created(event: &RecordedEvent) -> Self {
        let by = event.metadata.actor.id.clone();
        AuditInfo {
            created_at: event.recorded_at,
            created_by: by.clone(),
            updated_at: event.recorded_at,
            updated_by: by,
        }
    }

    fn touch(&mut self, event: &RecordedEvent) {
        self.updated_at = event.recorded_at;
        self.updated_by.clone_from(&event.metadata.actor.id);
    }
}

/// An address with its stamps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminAddress {
    /// Identifier of the address.
    pub id: AddressId,
    /// Content of the address.
    #[serde(flatten)]
    pub details: AddressDetails,
    /// Creation and last change.
    pub audit_info: AuditInfo,
}

/// The sign-in account, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminAccount {
    /// The account.
    pub id: AccountId,
    /// Sign-in name.
    pub email: EmailAddress,
}

/// The present state of an admin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminDocument {
    /// The admin.
    pub id: AdminId,
    /// Stream version that the document reflects.
    pub version: u64,
    /// Granted policies.
    pub policies: Vec<String>,
    /// Custom permissions.
    pub custom_permissions: Vec<String>,
    /// Whether the admin is active.
    pub active: bool,
    /// Time of the last activation or deactivation.
    pub active_changed_at: DateTime<Utc>,
    /// The natural person.
    pub person_id: PersonId,
    /// Name and contact e-mail.
    pub person: Person,
    /// The contact side of the person.
    pub party_id: PartyId,
    /// Identifier in the system of origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy_identifier: Option<String>,
    /// Addresses in order.
    pub addresses: Vec<AdminAddress>,
    /// Telephone numbers in order.
    pub phone_numbers: Vec<PhoneNumber>,
    /// The sign-in account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AdminAccount>,
    /// Counts the events that end all sessions, such as deactivation: sessions of another epoch are over.
    #[serde(default)]
    pub epoch: u64,
    /// Counts the events that end all tokens without a session: a token of another epoch is over.
    #[serde(default)]
    pub token_epoch: u64,
    /// Creation and last change of the admin as a whole.
    pub audit_info: AuditInfo,
}

impl AdminDocument {
    /// First name, a space, last name.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{} {}", self.person.first_name, self.person.last_name)
    }

    fn folded_names(&self, between: char) -> String {
        format!("{}{between}{}", fold_text(&self.person.first_name), fold_text(&self.person.last_name))
    }
}

/// Documents that the fold reads.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    let DomainEvent::Admin(change) = &*event.event else { return vec![] };
    match change {
        // A registration creates its document; its identifier is new.
        AdminEvent::Registered(_) => vec![],
        _ => vec![DocumentKey::of::<AdminDocument>(&event.aggregate_id)],
    }
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let DomainEvent::Admin(admin) = &*event.event else { return Ok(()) };
    match admin {
        AdminEvent::Registered(registration) => documents.insert(registered(event, registration)),
        changed => documents.update(&event.aggregate_id, |document| change(document, event, changed)),
    }
}

fn registered(event: &RecordedEvent, registration: &Registration) -> AdminDocument {
    let audit_info = AuditInfo::created(event);
    AdminDocument {
        id: registration.id,
        version: event.sequence,
        policies: registration.policies.clone(),
        custom_permissions: registration.custom_permissions.clone(),
        active: true,
        active_changed_at: event.recorded_at,
        person_id: registration.person_id,
        person: registration.person.clone(),
        party_id: registration.party_id,
        legacy_identifier: registration.legacy_identifier.clone(),
        addresses: registration
            .addresses
            .iter()
            .map(|address| AdminAddress {
                id: address.id,
                details: address.details.clone(),
                audit_info: audit_info.clone(),
            })
            .collect(),
        phone_numbers: registration.phone_numbers.clone(),
        account: registration
            .account
            .as_ref()
            .map(|account| AdminAccount { id: account.id, email: account.email.clone() }),
        epoch: 0,
        token_epoch: 0,
        audit_info,
    }
}

fn change(document: &mut AdminDocument, event: &RecordedEvent, change: &AdminEvent) {
    document.version = event.sequence;
    document.audit_info.touch(event);
    match change {
        AdminEvent::Registered(_) => {}
        AdminEvent::GrantsAmended { policies, custom_permissions } => {
            document.policies.clone_from(policies);
            document.custom_permissions.clone_from(custom_permissions);
        }
        AdminEvent::PersonAmended { person } => document.person = person.clone(),
        AdminEvent::PartyAmended { legacy_identifier } => document.legacy_identifier.clone_from(legacy_identifier),
        AdminEvent::AddressAdded { address, index } => {
            let added = AdminAddress {
                id: address.id,
                details: address.details.clone(),
                audit_info: AuditInfo::created(event),
            };
            document.addresses.insert((*index).min(document.addresses.len()), added);
        }
        AdminEvent::AddressAmended { address } => {
            if let Some(place) = document.addresses.iter_mut().find(|entry| entry.id == address.id) {
                place.details = address.details.clone();
                place.audit_info.touch(event);
            }
        }
        AdminEvent::AddressRemoved { address_id } => document.addresses.retain(|entry| entry.id != *address_id),
        AdminEvent::PhoneNumberAdded { phone_number, index } => {
            document.phone_numbers.insert((*index).min(document.phone_numbers.len()), phone_number.clone());
        }
        AdminEvent::PhoneNumberAmended { phone_number } => {
            if let Some(place) = document.phone_numbers.iter_mut().find(|entry| entry.id == phone_number.id) {
                *place = phone_number.clone();
            }
        }
        AdminEvent::PhoneNumberRemoved { phone_number_id } => {
            document.phone_numbers.retain(|entry| entry.id != *phone_number_id)
        }
        AdminEvent::PasswordChanged { ends_sessions, .. } => {
            document.epoch += u64::from(*ends_sessions);
            document.token_epoch += u64::from(*ends_sessions);
        }
        AdminEvent::SessionsEnded {} => {
            document.epoch += 1;
            document.token_epoch += 1;
        }
        AdminEvent::Activated {} => set_active(document, event, true),
        AdminEvent::Deactivated {} => {
            set_active(document, event, false);
            document.epoch += 1;
        }
    }
}

fn set_active(document: &mut AdminDocument, event: &RecordedEvent, active: bool) {
    document.active = active;
    document.active_changed_at = event.recorded_at;
}
