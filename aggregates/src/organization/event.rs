//! Events of an organization: one for each part that a command really changed, with the new version of the part and the
//! reason for the part.

use super::profile::{Address, Details, Edition, Mode, Profile, Property, Status};
use super::tenancy::Tenancy;
use crate::facts::{EventFacts, event_names};
use crate::values::{OrganizationAddressId, OrganizationModeId};
use crate::{Claim, ClaimKey};
use serde::{Deserialize, Serialize};

/// Events of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "members are those of the profile; each edition is the version that the event opened")]
pub enum OrganizationEvent {
    /// An organization was registered, with all its parts.
    #[serde(rename = "organization.registered")]
    Registered(Box<Profile>),
    /// An organization was renamed.
    #[serde(rename = "organization.renamed")]
    Renamed {
        /// The new name.
        name: String,
        edition: Edition,
    },
    /// The status of an organization changed.
    #[serde(rename = "organization.status-changed")]
    StatusChanged {
        /// The new status.
        status: Status,
        edition: Edition,
        /// Grounds of a retirement, if given apart from the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grounds: Option<String>,
    },
    /// Other master data of an organization changed.
    #[serde(rename = "organization.details-amended")]
    DetailsAmended { details: Box<Details>, edition: Edition },
    /// A study mode was added to an organization.
    #[serde(rename = "organization.mode-added")]
    ModeAdded { mode: Mode },
    /// An organization's assignment of a study mode changed.
    #[serde(rename = "organization.mode-amended")]
    ModeAmended { mode: Mode },
    /// A study mode of an organization ended; the edition has the time and the reason.
    #[serde(rename = "organization.mode-ended")]
    ModeEnded {
        /// The assignment that ended.
        mode_id: OrganizationModeId,
        edition: Edition,
    },
    /// An address was added to an organization.
    #[serde(rename = "organization.address-added")]
    AddressAdded { address: Address },
    /// An address of an organization changed.
    #[serde(rename = "organization.address-amended")]
    AddressAmended { address: Address },
    /// An address of an organization ended; the edition has the time and the reason.
    #[serde(rename = "organization.address-ended")]
    AddressEnded {
        /// The address that ended.
        address_id: OrganizationAddressId,
        edition: Edition,
    },
    /// An extra value was added to an organization.
    #[serde(rename = "organization.property-added")]
    PropertyAdded {
        /// Name of the extra value.
        name: String,
        property: Property,
    },
    /// An extra value of an organization changed.
    #[serde(rename = "organization.property-amended")]
    PropertyAmended {
        /// Name of the extra value.
        name: String,
        property: Property,
    },
    /// An extra value of an organization ended; the edition has the time and the reason.
    #[serde(rename = "organization.property-ended")]
    PropertyEnded {
        /// Name of the extra value.
        name: String,
        edition: Edition,
    },
    /// An organization was archived.
    #[serde(rename = "organization.archived")]
    Archived { edition: Edition },
    /// An organization was restored from the archive.
    #[serde(rename = "organization.restored")]
    Restored { edition: Edition },
    /// An organization was assigned to an active study.
    #[serde(rename = "organization.study-assigned")]
    StudyAssigned {
        /// The study.
        study_id: String,
        edition: Edition,
    },
    /// An organization was released from its active study.
    #[serde(rename = "organization.study-released")]
    StudyReleased { edition: Edition },
    /// The features and themes of an organization changed.
    #[serde(rename = "organization.references-amended")]
    ReferencesAmended {
        /// All features after the change.
        features: Vec<String>,
        /// All themes after the change.
        themes: Vec<String>,
        edition: Edition,
    },
    /// The tenancy of an organization changed: handle, access mode, classification, theme or sign-in.
    #[serde(rename = "organization.tenancy-amended")]
    TenancyAmended {
        /// The former handle.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former_handle: Option<String>,
        tenancy: Box<Tenancy>,
        edition: Edition,
    },
    /// An organization was deleted. Its identifier is never reused.
    #[serde(rename = "organization.deleted")]
    Deleted {
        /// The handle that is free again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handle: Option<String>,
        edition: Edition,
    },
}

event_names!(OrganizationEvent {
    Registered => "organization.registered" @ "1.0" Insert, clear ["/**"];
    Renamed => "organization.renamed" @ "1.0" Update, clear ["/**"];
    StatusChanged => "organization.status-changed" @ "1.0" Update, clear ["/**"];
    DetailsAmended => "organization.details-amended" @ "1.0" Update, clear ["/**"];
    ModeAdded => "organization.mode-added" @ "1.0" Update, clear ["/**"];
    ModeAmended => "organization.mode-amended" @ "1.0" Update, clear ["/**"];
    ModeEnded => "organization.mode-ended" @ "1.0" Update, clear ["/**"];
    AddressAdded => "organization.address-added" @ "1.0" Update, clear ["/**"];
    AddressAmended => "organization.address-amended" @ "1.0" Update, clear ["/**"];
    AddressEnded => "organization.address-ended" @ "1.0" Update, clear ["/**"];
    PropertyAdded => "organization.property-added" @ "1.0" Update, clear ["/**"];
    PropertyAmended => "organization.property-amended" @ "1.0" Update, clear ["/**"];
    PropertyEnded => "organization.property-ended" @ "1.0" Update, clear ["/**"];
    Archived => "organization.archived" @ "1.0" Update, clear ["/**"];
    Restored => "organization.restored" @ "1.0" Update, clear ["/**"];
    StudyAssigned => "organization.study-assigned" @ "1.0" Update, clear ["/**"];
    StudyReleased => "organization.study-released" @ "1.0" Update, clear ["/**"];
    ReferencesAmended => "organization.references-amended" @ "1.0" Update, clear ["/**"];
    TenancyAmended => "organization.tenancy-amended" @ "1.0" Update, clear ["/**"];
    Deleted => "organization.deleted" @ "1.0" Delete, clear ["/**"];
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
                // A handle that differs only in letter case is the same handle.
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
    /// The version that the event opened; for a removed part, the edition that ended it.
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

    /// Whether the event opened a version of the master data, rather than of another part.
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
