//! What can have happened to an organization. One event for each part that a command really changed, with the version
//! of the part that it opened and the reason that the part was given.

use super::profile::{Address, Details, Edition, Mode, Profile, Property, Status};
use super::tenancy::Tenancy;
use crate::event::{EventFacts, event_names};
use crate::values::{OrganizationAddressId, OrganizationModeId};
use crate::{Claim, ClaimKey};
use serde::{Deserialize, Serialize};

/// Facts of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "members are those of the profile; each edition is the version that the event opened")]
pub enum OrganizationEvent {
    /// It was registered, with all its parts.
    #[serde(rename = "organization.registered")]
    Registered(Box<Profile>),
    /// It has another name.
    #[serde(rename = "organization.renamed")]
    Renamed { name: String, edition: Edition },
    /// It has another status.
    #[serde(rename = "organization.status-changed")]
    StatusChanged {
        status: Status,
        edition: Edition,
        /// Grounds of a retirement, where they were given apart from the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grounds: Option<String>,
    },
    /// Other master data changed.
    #[serde(rename = "organization.details-amended")]
    DetailsAmended { details: Box<Details>, edition: Edition },
    /// It is in one more mode.
    #[serde(rename = "organization.mode-added")]
    ModeAdded { mode: Mode },
    /// An assignment of a mode changed.
    #[serde(rename = "organization.mode-amended")]
    ModeAmended { mode: Mode },
    /// It is in a mode no longer; the edition says since when and why.
    #[serde(rename = "organization.mode-ended")]
    ModeEnded { mode_id: OrganizationModeId, edition: Edition },
    /// It has one more address.
    #[serde(rename = "organization.address-added")]
    AddressAdded { address: Address },
    /// An address changed.
    #[serde(rename = "organization.address-amended")]
    AddressAmended { address: Address },
    /// An address is its own no longer; the edition says since when and why.
    #[serde(rename = "organization.address-ended")]
    AddressEnded { address_id: OrganizationAddressId, edition: Edition },
    /// It has one more extra value.
    #[serde(rename = "organization.property-added")]
    PropertyAdded { name: String, property: Property },
    /// An extra value changed.
    #[serde(rename = "organization.property-amended")]
    PropertyAmended { name: String, property: Property },
    /// An extra value is there no longer; the edition says since when and why.
    #[serde(rename = "organization.property-ended")]
    PropertyEnded { name: String, edition: Edition },
    /// It was put away.
    #[serde(rename = "organization.archived")]
    Archived { edition: Edition },
    /// It was taken out again.
    #[serde(rename = "organization.restored")]
    Restored { edition: Edition },
    /// It takes part in an active study.
    #[serde(rename = "organization.study-assigned")]
    StudyAssigned { study_id: String, edition: Edition },
    /// It takes part in no active study any more.
    #[serde(rename = "organization.study-released")]
    StudyReleased { edition: Edition },
    /// It refers to other features and themes.
    #[serde(rename = "organization.references-amended")]
    ReferencesAmended { features: Vec<String>, themes: Vec<String>, edition: Edition },
    /// It is something else to those who sign in.
    #[serde(rename = "organization.tenancy-amended")]
    TenancyAmended {
        /// The handle before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former_handle: Option<String>,
        tenancy: Box<Tenancy>,
        edition: Edition,
    },
    /// It is gone. Its identifier is never given again.
    #[serde(rename = "organization.deleted")]
    Deleted {
        /// The handle that is free again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handle: Option<String>,
        edition: Edition,
    },
}

event_names!(OrganizationEvent {
    Registered => "organization.registered" @ "1.0", clear ["/**"];
    Renamed => "organization.renamed" @ "1.0", clear ["/**"];
    StatusChanged => "organization.status-changed" @ "1.0", clear ["/**"];
    DetailsAmended => "organization.details-amended" @ "1.0", clear ["/**"];
    ModeAdded => "organization.mode-added" @ "1.0", clear ["/**"];
    ModeAmended => "organization.mode-amended" @ "1.0", clear ["/**"];
    ModeEnded => "organization.mode-ended" @ "1.0", clear ["/**"];
    AddressAdded => "organization.address-added" @ "1.0", clear ["/**"];
    AddressAmended => "organization.address-amended" @ "1.0", clear ["/**"];
    AddressEnded => "organization.address-ended" @ "1.0", clear ["/**"];
    PropertyAdded => "organization.property-added" @ "1.0", clear ["/**"];
    PropertyAmended => "organization.property-amended" @ "1.0", clear ["/**"];
    PropertyEnded => "organization.property-ended" @ "1.0", clear ["/**"];
    Archived => "organization.archived" @ "1.0", clear ["/**"];
    Restored => "organization.restored" @ "1.0", clear ["/**"];
    StudyAssigned => "organization.study-assigned" @ "1.0", clear ["/**"];
    StudyReleased => "organization.study-released" @ "1.0", clear ["/**"];
    ReferencesAmended => "organization.references-amended" @ "1.0", clear ["/**"];
    TenancyAmended => "organization.tenancy-amended" @ "1.0", clear ["/**"];
    Deleted => "organization.deleted" @ "1.0", clear ["/**"];
});

impl EventFacts for OrganizationEvent {
    fn claims(&self) -> Vec<Claim> {
        let key = |handle: &Option<String>| handle.as_deref().map(ClaimKey::organization_handle);
        match self {
            OrganizationEvent::Registered(profile) => {
                key(&profile.tenancy.handle).map(Claim::Take).into_iter().collect()
            }
            OrganizationEvent::TenancyAmended { former_handle, tenancy, .. } => {
                let (former, handle) = (key(former_handle), key(&tenancy.handle));
                // Another letter case is the same handle.
                if former == handle {
                    return vec![];
                }
                former.map(Claim::Release).into_iter().chain(handle.map(Claim::Take)).collect()
            }
            OrganizationEvent::Deleted { handle, .. } => key(handle).map(Claim::Release).into_iter().collect(),
            _ => vec![],
        }
    }

    fn reason(&self) -> Option<&str> {
        self.edition().reason.as_deref()
    }

    fn comment(&self) -> Option<&str> {
        self.edition().comment.as_deref()
    }
}

impl OrganizationEvent {
    /// The version that the event opened or, of a part that ended, what ended its last one.
    #[must_use]
    pub fn edition(&self) -> &Edition {
        match self {
            OrganizationEvent::Registered(profile) => &profile.edition,
            OrganizationEvent::ModeAdded { mode } | OrganizationEvent::ModeAmended { mode } => &mode.edition,
            OrganizationEvent::AddressAdded { address } | OrganizationEvent::AddressAmended { address } => {
                &address.edition
            }
            OrganizationEvent::PropertyAdded { property, .. } | OrganizationEvent::PropertyAmended { property, .. } => {
                &property.edition
            }
            OrganizationEvent::Renamed { edition, .. }
            | OrganizationEvent::StatusChanged { edition, .. }
            | OrganizationEvent::DetailsAmended { edition, .. }
            | OrganizationEvent::ModeEnded { edition, .. }
            | OrganizationEvent::AddressEnded { edition, .. }
            | OrganizationEvent::PropertyEnded { edition, .. }
            | OrganizationEvent::Archived { edition }
            | OrganizationEvent::Restored { edition }
            | OrganizationEvent::StudyAssigned { edition, .. }
            | OrganizationEvent::StudyReleased { edition }
            | OrganizationEvent::ReferencesAmended { edition, .. }
            | OrganizationEvent::TenancyAmended { edition, .. }
            | OrganizationEvent::Deleted { edition, .. } => edition,
        }
    }

    /// Whether it opened a version of the master data, and not of another part.
    pub(super) fn is_of_master_data(&self) -> bool {
        match self {
            OrganizationEvent::ModeAdded { .. }
            | OrganizationEvent::ModeAmended { .. }
            | OrganizationEvent::ModeEnded { .. }
            | OrganizationEvent::AddressAdded { .. }
            | OrganizationEvent::AddressAmended { .. }
            | OrganizationEvent::AddressEnded { .. }
            | OrganizationEvent::PropertyAdded { .. }
            | OrganizationEvent::PropertyAmended { .. }
            | OrganizationEvent::PropertyEnded { .. } => false,
            OrganizationEvent::Registered(_)
            | OrganizationEvent::Renamed { .. }
            | OrganizationEvent::StatusChanged { .. }
            | OrganizationEvent::DetailsAmended { .. }
            | OrganizationEvent::Archived { .. }
            | OrganizationEvent::Restored { .. }
            | OrganizationEvent::StudyAssigned { .. }
            | OrganizationEvent::StudyReleased { .. }
            | OrganizationEvent::ReferencesAmended { .. }
            | OrganizationEvent::TenancyAmended { .. }
            | OrganizationEvent::Deleted { .. } => true,
        }
    }
}
