//! The Organization aggregate, one for all dialects: master data, addresses and study modes.
//!
//! Every part (master data, a mode, an address, an extra value) has versions: a change ends the present one and opens
//! another, with the reason given for the part or else for the whole.

pub mod codes;
mod content;
mod event;
mod profile;
mod replace;
pub mod tenancy;
#[cfg(test)]
mod tests;

pub use codes::{Code, CodeList};
pub use content::{
    AddressContent, COMMENT_LENGTH_MAX, Content, Identity, ModeContent, NAME_LENGTH_MAX, POSTAL_CODE_LENGTH_MAX,
    PROPERTY_NAME_LENGTH_MAX, PROPERTY_VALUE_LENGTH_MAX, PropertyContent, REASON_LENGTH_MAX, Remark, SHORT_LENGTH_MAX,
    Stamp, WEB_URL_LENGTH_MAX, WEB_URL_PATTERN,
};
pub use event::OrganizationEvent;
pub use profile::{Address, AddressDetails, Details, Edition, Mode, Profile, Property, Status};
pub use tenancy::{Authorization, Tenancy, TenancyAmendment};

use crate::refusal::{RefusalKind, Refuse};
use crate::values::{Finding, OrganizationId, Problem};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Life cycle of an organization: absent, present, deleted.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Organization {
    /// Never registered.
    #[default]
    Absent,
    /// Present, in any status.
    Present(Box<Record>),
    /// Deleted for good.
    Deleted,
}

/// State for decisions about an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The organization in its current version.
    pub profile: Profile,
    /// Starts of the former versions of the present parts, by identifier; that of the organization stands for its
    /// master data. Each ended when the next one started.
    pub superseded: BTreeMap<Uuid, Vec<DateTime<Utc>>>,
    /// Start of the latest version of any part.
    pub latest: DateTime<Utc>,
}

/// Commands of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrganizationCommand {
    /// Registers a new organization.
    Register {
        /// Identifier of the organization.
        id: OrganizationId,
        /// Target state; no part may be known already.
        content: Box<Content>,
        /// Time and reason.
        stamp: Stamp,
    },
    /// Renames the organization.
    Rename {
        /// The new name.
        name: String,
        /// Time and reason.
        stamp: Stamp,
    },
    /// Replaces the content: known parts are changed, new ones added, absent ones ended.
    Replace {
        /// Target state.
        content: Box<Content>,
        /// Time and reason.
        stamp: Stamp,
        /// Whether the caller may retire the organization and reverse a retirement.
        may_end: bool,
    },
    /// Retires the organization: its memberships grant nothing any more.
    Retire {
        /// Grounds, if given apart from the reason.
        grounds: Option<String>,
        /// Time and reason.
        stamp: Stamp,
    },
    /// Archives the organization.
    Archive(Stamp),
    /// Restores the organization from the archive.
    Restore(Stamp),
    /// Assigns an active study, which from then on forbids some changes.
    AssignStudy {
        /// The study.
        study_id: String,
        /// Time and reason.
        stamp: Stamp,
    },
    /// Ends the assignment to the active study.
    ReleaseStudy(Stamp),
    /// Sets the referenced features and themes.
    Refer {
        /// All features after the change.
        features: Vec<String>,
        /// All themes after the change.
        themes: Vec<String>,
        /// Time and reason.
        stamp: Stamp,
    },
    /// Changes the tenancy.
    AmendTenancy {
        /// The changes.
        amendment: Box<TenancyAmendment>,
        /// Time and reason.
        stamp: Stamp,
    },
    /// Deletes the organization for good.
    Delete(Stamp),
}

/// Refusals of an organization.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrganizationError {
    /// Organization not found.
    #[error("organization not found")]
    NotFound,
    /// The identifier is taken, perhaps by a deleted organization.
    #[error("organization is already registered")]
    AlreadyRegistered,
    /// Some fields are invalid; all of them are named.
    #[error("{} field(s) refused", .0.len())]
    Invalid(Vec<Finding>),
    /// Stale read: these fields name superseded versions.
    #[error("the organization was changed in the meantime")]
    Superseded(Vec<String>),
    /// An active study needs the part to be removed.
    #[error("the organization takes part in an active study")]
    ActiveStudy,
    /// A retired organization accepts no additions.
    #[error("the organization is retired")]
    Retired,
    /// The caller may neither retire the organization nor reverse a retirement.
    #[error("the caller may neither retire the organization nor take it out of retirement")]
    EndNotAllowed,
}

impl Refuse for OrganizationError {
    fn kind(&self) -> RefusalKind {
        match self {
            OrganizationError::NotFound => RefusalKind::NotFound,
            OrganizationError::Invalid(findings) => RefusalKind::found(findings),
            OrganizationError::EndNotAllowed => RefusalKind::Forbidden,
            OrganizationError::AlreadyRegistered
            | OrganizationError::Superseded(_)
            | OrganizationError::ActiveStudy
            | OrganizationError::Retired => RefusalKind::Conflict,
        }
    }
}

impl Decide for Organization {
    fn creates(command: &OrganizationCommand) -> bool {
        matches!(command, OrganizationCommand::Register { .. })
    }

    fn shown(&self) -> Option<serde_json::Value> {
        match self {
            Organization::Absent => None,
            Organization::Present(record) => serde_json::to_value(&record.profile).ok(),
            Organization::Deleted => Some(serde_json::json!({"status": "Deleted"})),
        }
    }

    fn decide(&self, command: OrganizationCommand) -> Result<Vec<OrganizationEvent>, OrganizationError> {
        use OrganizationCommand::Register;
        match (self, command) {
            (Organization::Absent, Register { id, content, stamp }) => {
                let profile = replace::registered(id, *content, &stamp)?;
                Ok(vec![OrganizationEvent::Registered(Box::new(profile))])
            }
            (Organization::Present(_) | Organization::Deleted, Register { .. }) => {
                Err(OrganizationError::AlreadyRegistered)
            }
            // Refusals that do not depend on the organization come first, as for one that exists.
            (Organization::Absent | Organization::Deleted, OrganizationCommand::Replace { content, stamp, .. }) => {
                let mut findings = content.problems();
                findings.extend(stamp.problems("organization"));
                if findings.is_empty() {
                    Err(OrganizationError::NotFound)
                } else {
                    Err(OrganizationError::Invalid(findings))
                }
            }
            (Organization::Absent | Organization::Deleted, _) => Err(OrganizationError::NotFound),
            (Organization::Present(record), command) => record.decide(command),
        }
    }
}

impl Organization {
    /// The organization in its current version, unless absent or deleted.
    #[must_use]
    pub fn profile(&self) -> Option<&Profile> {
        match self {
            Organization::Present(record) => Some(&record.profile),
            Organization::Absent | Organization::Deleted => None,
        }
    }

    /// Refuses additions to an absent or retired organization: members, roles, groups, people in groups, individuals,
    /// general messages.
    ///
    /// # Errors
    /// `NotFound`, `Retired`.
    pub fn check_takes_additions(&self) -> Result<(), OrganizationError> {
        match self.profile() {
            None => Err(OrganizationError::NotFound),
            Some(profile) if profile.status == Status::Retired => Err(OrganizationError::Retired),
            Some(_) => Ok(()),
        }
    }

    /// Problems of a replacement of this organization.
    #[must_use]
    pub fn problems(&self, content: &Content, stamp: &Stamp) -> Vec<Finding> {
        match self {
            Organization::Present(record) => record.problems(content, stamp),
            Organization::Absent | Organization::Deleted => {
                let mut findings = content.problems();
                findings.extend(stamp.problems("organization"));
                findings
            }
        }
    }

    fn evolve(&mut self, event: OrganizationEvent) {
        match (&mut *self, event) {
            (Organization::Absent, OrganizationEvent::Registered(profile)) => {
                let latest = profile.edition.start;
                *self =
                    Organization::Present(Box::new(Record { profile: *profile, superseded: BTreeMap::new(), latest }));
            }
            (Organization::Present(_), OrganizationEvent::Deleted { .. }) => *self = Organization::Deleted,
            (Organization::Present(record), event) => record.evolve(&event),
            // Only a registration can be the first event; recorded events are never refused.
            (Organization::Absent | Organization::Deleted, _) => {}
        }
    }
}

impl Record {
    fn decide(&self, command: OrganizationCommand) -> Result<Vec<OrganizationEvent>, OrganizationError> {
        use OrganizationCommand as Command;
        use OrganizationEvent as Event;
        let profile = &self.profile;
        match command {
            Command::Register { .. } => Err(OrganizationError::AlreadyRegistered),
            Command::Replace { content, stamp, may_end } => replace::replace(self, &content, &stamp, may_end),
            Command::Rename { name, stamp } => {
                let findings = content::name_problems(&name);
                let changed = name != profile.name;
                self.change(&stamp, findings, changed, |edition| Event::Renamed { name, edition })
            }
            Command::Retire { grounds, stamp } => {
                let changed = profile.status != Status::Retired;
                let status = Status::Retired;
                let findings = content::grounds_problems(grounds.as_deref());
                self.change(&stamp, findings, changed, |edition| Event::StatusChanged { status, edition, grounds })
            }
            Command::Archive(stamp) => {
                self.change(&stamp, vec![], !profile.archived, |edition| Event::Archived { edition })
            }
            Command::Restore(stamp) => {
                self.change(&stamp, vec![], profile.archived, |edition| Event::Restored { edition })
            }
            Command::AssignStudy { study_id, stamp } => {
                let changed = profile.study_id.as_deref() != Some(&study_id);
                self.change(&stamp, vec![], changed, |edition| Event::StudyAssigned { study_id, edition })
            }
            Command::ReleaseStudy(stamp) => {
                let changed = profile.study_id.is_some();
                self.change(&stamp, vec![], changed, |edition| Event::StudyReleased { edition })
            }
            Command::Refer { features, themes, stamp } => {
                let changed = (&profile.features, &profile.themes) != (&features, &themes);
                self.change(&stamp, vec![], changed, |edition| Event::ReferencesAmended { features, themes, edition })
            }
            Command::AmendTenancy { amendment, stamp } => self.amend_tenancy(*amendment, &stamp),
            Command::Delete(stamp) => {
                let handle = profile.tenancy.handle.clone();
                self.change(&stamp, vec![], true, |edition| Event::Deleted { handle, edition })
            }
        }
    }

    /// One change of the master data as a whole. Asking for the present state is no error.
    fn change(
        &self,
        stamp: &Stamp,
        mut findings: Vec<Finding>,
        changed: bool,
        event: impl FnOnce(Edition) -> OrganizationEvent,
    ) -> Result<Vec<OrganizationEvent>, OrganizationError> {
        let start = replace::start_after(Some(self.latest), stamp.at);
        let edition = replace::edition(start, &stamp.remark, &Remark::default());
        findings.extend(stamp.problems(""));
        if changed && stamp.reason_needed && edition.reason.is_none() {
            findings.push(Finding { field: "reason".into(), problem: Problem::ReasonNeeded });
        }
        if !findings.is_empty() {
            return Err(OrganizationError::Invalid(findings));
        }
        if !changed {
            return Ok(vec![]);
        }
        let event = event(edition);
        if self.profile.study_id.is_some() && replace::needed_by_study(&self.profile, &event) {
            return Err(OrganizationError::ActiveStudy);
        }
        Ok(vec![event])
    }

    fn problems(&self, content: &Content, stamp: &Stamp) -> Vec<Finding> {
        let mut findings = content.problems();
        findings.extend(stamp.problems("organization"));
        findings.extend(replace::unknown_parts(content, Some(&self.profile)));
        findings.extend(replace::repeated_modes(content, &self.profile));
        findings
    }

    /// Fields of the content that name a superseded version.
    fn superseded_of(&self, content: &Content) -> Vec<String> {
        let former = |id: Uuid, seen: Option<DateTime<Utc>>| {
            let starts = self.superseded.get(&id);
            // Versions start at whole milliseconds; any finer part comes from the caller and is ignored.
            seen.is_some_and(|seen| starts.is_some_and(|starts| starts.contains(&seen)))
        };
        let id = |identity: Identity| match identity {
            Identity::Known(id) | Identity::New(id) => id,
        };
        let organization = former(self.profile.id.0, content.seen).then(|| "organization.versionStart".to_owned());
        let modes = content.modes.iter().enumerate().filter(|(_, mode)| former(id(mode.identity), mode.seen));
        let addresses =
            content.addresses.iter().enumerate().filter(|(_, address)| former(id(address.identity), address.seen));
        organization
            .into_iter()
            .chain(modes.map(|(index, _)| format!("modes[{index}].versionStart")))
            .chain(addresses.map(|(index, _)| format!("orgAddressesDetails[{index}].versionStart")))
            .collect()
    }

    fn evolve(&mut self, event: &OrganizationEvent) {
        let start = event.edition().start;
        let former = match event {
            OrganizationEvent::ModeAmended { mode } => {
                let former = self.profile.modes.iter().find(|former| former.id == mode.id);
                former.map(|former| (former.id.0, former.edition.start))
            }
            OrganizationEvent::AddressAmended { address } => {
                let former = self.profile.addresses.iter().find(|former| former.id == address.id);
                former.map(|former| (former.id.0, former.edition.start))
            }
            // Several events of one command open one version of the master data together.
            event if event.is_of_master_data() && self.profile.edition.start != start => {
                Some((self.profile.id.0, self.profile.edition.start))
            }
            _ => None,
        };
        if let Some((id, former)) = former {
            self.superseded.entry(id).or_default().push(former);
        }
        match event {
            OrganizationEvent::ModeEnded { mode_id, .. } => drop(self.superseded.remove(&mode_id.0)),
            OrganizationEvent::AddressEnded { address_id, .. } => drop(self.superseded.remove(&address_id.0)),
            _ => {}
        }
        self.latest = self.latest.max(start);
        self.profile.evolve(event);
    }
}

aggregate!(Organization, "organization", OrganizationCommand, OrganizationEvent, OrganizationError);
