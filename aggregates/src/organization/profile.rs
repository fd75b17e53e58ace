//! The state of an organization, and its changes by events. Read models hold the same.

use super::codes::{Code, CodeList};
use super::event::OrganizationEvent;
use super::tenancy::Tenancy;
use crate::values::{OrganizationAddressId, OrganizationId, OrganizationModeId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An organization in its current version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The organization.
    pub id: OrganizationId,
    /// Name; need not be unique.
    pub name: String,
    /// Status from now on.
    pub status: Status,
    /// Whether the organization is archived.
    pub archived: bool,
    /// All other master data.
    pub details: Details,
    /// Version of name, status, archive state, details, study and references together.
    pub edition: Edition,
    /// Study modes in the order of their addition.
    pub modes: Vec<Mode>,
    /// Addresses in the order of their addition.
    pub addresses: Vec<Address>,
    /// Extra values by their names.
    pub properties: BTreeMap<String, Property>,
    /// Active study of the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study_id: Option<String>,
    /// Referenced features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Referenced themes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub themes: Vec<String>,
    /// The tenancy of the organization.
    #[serde(default, skip_serializing_if = "Tenancy::is_unsaid")]
    pub tenancy: Tenancy,
}

/// Status of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Status {
    /// Takes part in everything.
    #[default]
    Active,
    /// Takes part in nothing new.
    Restricted,
    /// Takes part in nothing.
    Retired,
}

impl Status {
    /// All statuses.
    pub const ALL: [Status; 3] = [Status::Active, Status::Restricted, Status::Retired];

    /// Display text.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Status::Active => "Active",
            Status::Restricted => "Restricted",
            Status::Retired => "Retired",
        }
    }

    /// The status of a code of [`CodeList::Status`].
    #[must_use]
    pub fn of(code: &Code) -> Option<Self> {
        Status::ALL.into_iter().find(|status| status.text() == code.text)
    }

    /// Code of the status.
    #[must_use]
    pub fn code(self) -> Code {
        let found = CodeList::Status.find(None, Some(self.text()));
        found.ok().flatten().unwrap_or_else(|| Code { id: uuid::Uuid::nil(), text: self.text().to_owned() })
    }
}

/// Optional master data. Lengths are in characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OrganizationDetails"))]
#[serde(rename_all = "camelCase", default)]
pub struct Details {
    /// The organization's own number, up to 50 characters; need not be unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Classification: its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Code>,
    /// Classification: its category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Code>,
    /// Classification: its sub-type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_type: Option<Code>,
    /// Name of the IANA time zone database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Tax number, up to 50 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_id: Option<String>,
    /// Value added tax number, up to 50 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
    /// Web address, up to 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_url: Option<String>,
    /// Whether a master service agreement is in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msa: Option<bool>,
    /// Start of the agreement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msa_start: Option<DateTime<Utc>>,
    /// End of the agreement, not before its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msa_end: Option<DateTime<Utc>>,
}

/// A version of a part: its start and its reason. It ends when the next one starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OrganizationEdition"))]
#[serde(rename_all = "camelCase")]
pub struct Edition {
    /// Start of the version, in whole milliseconds; later than every earlier version of the organization.
    pub start: DateTime<Utc>,
    /// Reason, up to 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Free remark of up to 2048 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A study mode of the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OrganizationMode"))]
#[serde(rename_all = "camelCase")]
pub struct Mode {
    /// Identity of the assignment.
    pub id: OrganizationModeId,
    /// The mode; no two assignments have the same.
    pub code: Code,
    /// Kind of record it was filed under, up to 50 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_type: Option<String>,
    /// Version of this part.
    pub edition: Edition,
}

/// An address of the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OrganizationAddress"))]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// Identity of the address.
    pub id: OrganizationAddressId,
    /// The address itself.
    pub details: AddressDetails,
    /// Extra values by their names.
    pub properties: BTreeMap<String, Property>,
    /// Version of the address, properties included.
    pub edition: Edition,
}

/// Content of an address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OrganizationAddressDetails", extend("required" = ["postalCode", "mainPrimary"])))]
#[serde(rename_all = "camelCase", default)]
pub struct AddressDetails {
    /// Kind of address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Code>,
    /// Street, first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street1: Option<String>,
    /// Street, second line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street2: Option<String>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Postal code, up to 20 characters.
    pub postal_code: String,
    /// State, province or county.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Code>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Code>,
    /// Whether it is the main address; at most one is.
    pub main_primary: bool,
    /// Kind of record it was filed under, up to 50 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_type: Option<String>,
}

/// An extra value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OrganizationProperty"))]
#[serde(rename_all = "camelCase")]
pub struct Property {
    /// The value, up to 500 characters.
    pub value: String,
    /// Kind of record it was filed under, up to 50 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_type: Option<String>,
    /// Version of this part.
    pub edition: Edition,
}

impl Profile {
    /// Applies an event. A registration replaces everything; a deletion is applied by the state, not the profile.
    pub fn evolve(&mut self, event: &OrganizationEvent) {
        use OrganizationEvent as Event;
        match event {
            Event::Registered(profile) => *self = (**profile).clone(),
            Event::Renamed { name, .. } => self.name.clone_from(name),
            Event::StatusChanged { status, .. } => self.status = *status,
            Event::DetailsAmended { details, .. } => self.details = (**details).clone(),
            Event::ModeAdded { mode } => self.modes.push(mode.clone()),
            Event::ModeAmended { mode } => replace(&mut self.modes, mode, |mode| mode.id),
            Event::ModeEnded { mode_id, .. } => self.modes.retain(|mode| mode.id != *mode_id),
            Event::AddressAdded { address } => self.addresses.push(address.clone()),
            Event::AddressAmended { address } => replace(&mut self.addresses, address, |address| address.id),
            Event::AddressEnded { address_id, .. } => self.addresses.retain(|address| address.id != *address_id),
            Event::PropertyAdded { name, property } | Event::PropertyAmended { name, property } => {
                self.properties.insert(name.clone(), property.clone());
            }
            Event::PropertyEnded { name, .. } => drop(self.properties.remove(name)),
            Event::Archived { .. } => self.archived = true,
            Event::Restored { .. } => self.archived = false,
            Event::StudyAssigned { study_id, .. } => self.study_id = Some(study_id.clone()),
            Event::StudyReleased { .. } => self.study_id = None,
            Event::ReferencesAmended { features, themes, .. } => {
                self.features.clone_from(features);
                self.themes.clone_from(themes);
            }
            Event::TenancyAmended { tenancy, .. } => self.tenancy = (**tenancy).clone(),
            Event::Deleted { .. } => {}
        }
        if event.is_of_master_data() {
            self.edition = event.edition().clone();
        }
    }
}

impl Profile {
    /// A copy with only the addresses and modes of the event; `None` if the event concerns all of them.
    #[must_use]
    pub fn concerned(&self, event: &OrganizationEvent) -> Option<Self> {
        use OrganizationEvent as Event;
        let (mode, address) = match event {
            Event::Registered(_) | Event::Deleted { .. } => return None,
            Event::ModeAdded { mode } | Event::ModeAmended { mode } => (Some(mode.id), None),
            Event::ModeEnded { mode_id, .. } => (Some(*mode_id), None),
            Event::AddressAdded { address } | Event::AddressAmended { address } => (None, Some(address.id)),
            Event::AddressEnded { address_id, .. } => (None, Some(*address_id)),
            Event::Renamed { .. }
            | Event::StatusChanged { .. }
            | Event::DetailsAmended { .. }
            | Event::PropertyAdded { .. }
            | Event::PropertyAmended { .. }
            | Event::PropertyEnded { .. }
            | Event::Archived { .. }
            | Event::Restored { .. }
            | Event::StudyAssigned { .. }
            | Event::StudyReleased { .. }
            | Event::ReferencesAmended { .. }
            | Event::TenancyAmended { .. } => (None, None),
        };
        Some(Profile {
            id: self.id,
            name: self.name.clone(),
            status: self.status,
            archived: self.archived,
            details: self.details.clone(),
            edition: self.edition.clone(),
            modes: self.modes.iter().filter(|part| Some(part.id) == mode).cloned().collect(),
            addresses: self.addresses.iter().filter(|part| Some(part.id) == address).cloned().collect(),
            properties: self.properties.clone(),
            study_id: self.study_id.clone(),
            features: self.features.clone(),
            themes: self.themes.clone(),
            tenancy: self.tenancy.clone(),
        })
    }
}

fn replace<T: Clone, K: PartialEq>(parts: &mut [T], part: &T, key: impl Fn(&T) -> K) {
    if let Some(place) = parts.iter_mut().find(|place| key(place) == key(part)) {
        *place = part.clone();
    }
}
