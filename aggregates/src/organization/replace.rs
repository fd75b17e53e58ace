//! Comparison of the target state of an organization with its present one, part by part.

use super::content::{AddressContent, Content, Identity, ModeContent, PropertyContent, Remark, Stamp};
use super::event::OrganizationEvent;
use super::profile::{Address, Details, Edition, Mode, Profile, Property, Status};
use super::{OrganizationError, Record, codes};
use crate::values::{Finding, OrganizationAddressId, OrganizationModeId, Problem};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Start of the version that a change at `at` opens: later than every earlier version, even where node clocks differ.
pub(super) fn start_after(latest: Option<DateTime<Utc>>, at: DateTime<Utc>) -> DateTime<Utc> {
    let at = DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap_or(at);
    latest.map_or(at, |latest| at.max(latest + TimeDelta::milliseconds(1)))
}

/// The edition that a change of a part opens; a part without its own reason or comment inherits those of the whole.
/// Blank text counts as absent.
pub(super) fn edition(start: DateTime<Utc>, own: &Remark, whole: &Remark) -> Edition {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let text = |own: &Option<String>, whole: &Option<String>| said(own).or_else(|| said(whole));
    Edition { start, reason: text(&own.reason, &whole.reason), comment: text(&own.comment, &whole.comment) }
}

/// The profile of a new organization.
pub(super) fn registered(
    id: crate::values::OrganizationId,
    content: Content,
    stamp: &Stamp,
) -> Result<Profile, OrganizationError> {
    let mut findings = content.problems();
    findings.extend(stamp.problems("organization"));
    findings.extend(unknown_parts(&content, None));
    let start = start_after(None, stamp.at);
    let mut details = content.details.clone();
    if details.kind.is_none() {
        details.kind = codes::CodeList::Kind.find(None, Some(codes::KIND_DEFAULT)).ok().flatten();
    }
    let blank = Profile {
        id,
        name: content.name.clone(),
        status: content.status.unwrap_or_default(),
        archived: false,
        details,
        edition: edition(start, &stamp.remark, &Remark::default()),
        modes: Vec::new(),
        addresses: Vec::new(),
        properties: BTreeMap::new(),
        study_id: None,
        features: Vec::new(),
        themes: Vec::new(),
        tenancy: content.tenancy.clone().unwrap_or_default(),
    };
    let mut changes = Changes { start, stamp, events: Vec::new(), findings };
    changes.parts(&blank, &content);
    if stamp.reason_needed && blank.edition.reason.is_none() {
        changes.find("organization.reason", Problem::ReasonNeeded);
    }
    if !changes.findings.is_empty() {
        return Err(OrganizationError::Invalid(changes.findings));
    }
    let mut profile = blank;
    changes.events.iter().for_each(|event| profile.evolve(event));
    Ok(profile)
}

/// The events that bring the organization to `content`.
pub(super) fn replace(
    record: &Record,
    content: &Content,
    stamp: &Stamp,
    may_end: bool,
) -> Result<Vec<OrganizationEvent>, OrganizationError> {
    let profile = &record.profile;
    let start = start_after(Some(record.latest), stamp.at);
    let mut changes = Changes { start, stamp, events: Vec::new(), findings: record.problems(content, stamp) };
    changes.master_data(profile, content);
    changes.parts(profile, content);
    if !changes.findings.is_empty() {
        return Err(OrganizationError::Invalid(changes.findings));
    }
    let retired = |status: Status| status == Status::Retired;
    if !may_end && content.status.is_some_and(|status| retired(status) != retired(profile.status)) {
        return Err(OrganizationError::EndNotAllowed);
    }
    let superseded = record.superseded_of(content);
    if !superseded.is_empty() {
        return Err(OrganizationError::Superseded(superseded));
    }
    if profile.study_id.is_some() && changes.events.iter().any(|event| needed_by_study(profile, event)) {
        return Err(OrganizationError::ActiveStudy);
    }
    Ok(changes.events)
}

/// Whether an active study needs the part that the event would remove.
pub(super) fn needed_by_study(profile: &Profile, event: &OrganizationEvent) -> bool {
    match event {
        OrganizationEvent::StatusChanged { status, .. } => *status != Status::Active,
        // An assignment of another mode removes the former one.
        OrganizationEvent::ModeAmended { mode } => {
            profile.modes.iter().any(|former| former.id == mode.id && former.code != mode.code)
        }
        OrganizationEvent::ModeEnded { .. }
        | OrganizationEvent::AddressEnded { .. }
        | OrganizationEvent::Deleted { .. } => true,
        OrganizationEvent::Registered(_)
        | OrganizationEvent::Renamed { .. }
        | OrganizationEvent::DetailsAmended { .. }
        | OrganizationEvent::ModeAdded { .. }
        | OrganizationEvent::AddressAdded { .. }
        | OrganizationEvent::AddressAmended { .. }
        | OrganizationEvent::PropertyAdded { .. }
        | OrganizationEvent::PropertyAmended { .. }
        | OrganizationEvent::PropertyEnded { .. }
        | OrganizationEvent::Archived { .. }
        | OrganizationEvent::Restored { .. }
        | OrganizationEvent::StudyAssigned { .. }
        | OrganizationEvent::StudyReleased { .. }
        | OrganizationEvent::ReferencesAmended { .. }
        | OrganizationEvent::TenancyAmended { .. } => false,
    }
}

/// Modes that occur twice after assignments without a mode have kept their own.
pub(super) fn repeated_modes(content: &Content, profile: &Profile) -> Vec<Finding> {
    let own = |id: Uuid| profile.modes.iter().find(|mode| mode.id.0 == id).map(|mode| &mode.code);
    let codes: Vec<_> = content
        .modes
        .iter()
        .map(|mode| match (&mode.code, mode.identity) {
            (None, Identity::Known(id)) => own(id),
            (code, _) => code.as_ref(),
        })
        .collect();
    let repeated = |index: usize| {
        // Two that name the same mode are found without the organization.
        let earlier = (0..index).find(|&earlier| codes[index].is_some() && codes[earlier] == codes[index]);
        earlier.is_some_and(|earlier| content.modes[index].code.is_none() || content.modes[earlier].code.is_none())
    };
    let finding = |index| Finding { field: format!("modes[{index}].mode"), problem: Problem::Repeated };
    (0..codes.len()).filter(|&index| repeated(index)).map(finding).collect()
}

/// Parts of the content with an identifier that `profile` does not have.
pub(super) fn unknown_parts(content: &Content, profile: Option<&Profile>) -> Vec<Finding> {
    let mode = |id: Uuid| profile.is_some_and(|profile| profile.modes.iter().any(|mode| mode.id.0 == id));
    let address = |id: Uuid| profile.is_some_and(|profile| profile.addresses.iter().any(|address| address.id.0 == id));
    let modes = content.modes.iter().map(|mode| mode.identity).enumerate();
    let addresses = content.addresses.iter().map(|address| address.identity).enumerate();
    let unknown = |list: &'static str, index: usize| Finding {
        field: format!("{list}[{index}].id"),
        problem: Problem::UnknownPart,
    };
    let modes = modes.filter_map(|(index, identity)| match identity {
        Identity::Known(id) if !mode(id) => Some(unknown("modes", index)),
        _ => None,
    });
    let addresses = addresses.filter_map(|(index, identity)| match identity {
        Identity::Known(id) if !address(id) => Some(unknown("orgAddressesDetails", index)),
        _ => None,
    });
    modes.chain(addresses).collect()
}

struct Changes<'c> {
    start: DateTime<Utc>,
    stamp: &'c Stamp,
    events: Vec<OrganizationEvent>,
    findings: Vec<Finding>,
}

impl Changes<'_> {
    fn find(&mut self, field: impl Into<String>, problem: Problem) {
        let field = field.into();
        if !self.findings.iter().any(|finding| finding.field == field) {
            self.findings.push(Finding { field, problem });
        }
    }

    /// The edition that a change of the part at `path` opens. A removed part has the reason of the whole.
    fn edition(&mut self, path: &str, own: &Remark) -> Edition {
        let edition = edition(self.start, own, &self.stamp.remark);
        if self.stamp.reason_needed && edition.reason.is_none() {
            self.find(format!("{path}.reason"), Problem::ReasonNeeded);
        }
        edition
    }

    fn whole(&mut self) -> Edition {
        self.edition("organization", &Remark::default())
    }

    fn master_data(&mut self, profile: &Profile, content: &Content) {
        if content.name != profile.name {
            let edition = self.whole();
            self.events.push(OrganizationEvent::Renamed { name: content.name.clone(), edition });
        }
        if let Some(status) = content.status.filter(|status| *status != profile.status) {
            let edition = self.whole();
            self.events.push(OrganizationEvent::StatusChanged { status, edition, grounds: None });
        }
        let details = Details {
            number: content.details.number.clone().or_else(|| profile.details.number.clone()),
            kind: content.details.kind.clone().or_else(|| profile.details.kind.clone()),
            ..content.details.clone()
        };
        if details != profile.details {
            let edition = self.whole();
            self.events.push(OrganizationEvent::DetailsAmended { details: Box::new(details), edition });
        }
    }

    fn parts(&mut self, profile: &Profile, content: &Content) {
        self.end_parts(profile, content);
        for (index, mode) in content.modes.iter().enumerate() {
            self.mode(&format!("modes[{index}]"), profile, mode);
        }
        for (index, address) in content.addresses.iter().enumerate() {
            self.address(&format!("orgAddressesDetails[{index}]"), profile, address);
        }
        let Some(properties) = &content.properties else { return };
        let after = self.properties("properties", &profile.properties, properties);
        for name in profile.properties.keys().filter(|name| !after.contains_key(*name)) {
            let edition = self.whole();
            self.events.push(OrganizationEvent::PropertyEnded { name: name.clone(), edition });
        }
        for (name, property) in after {
            match profile.properties.get(&name) {
                None => self.events.push(OrganizationEvent::PropertyAdded { name, property }),
                Some(former) if *former != property => {
                    self.events.push(OrganizationEvent::PropertyAmended { name, property });
                }
                Some(_) => {}
            }
        }
    }

    /// Absent parts are ended first, so that a mode may move to a new assignment.
    fn end_parts(&mut self, profile: &Profile, content: &Content) {
        for mode in &profile.modes {
            if !content.modes.iter().any(|kept| kept.identity == Identity::Known(mode.id.0)) {
                let edition = self.whole();
                self.events.push(OrganizationEvent::ModeEnded { mode_id: mode.id, edition });
            }
        }
        for address in &profile.addresses {
            if !content.addresses.iter().any(|kept| kept.identity == Identity::Known(address.id.0)) {
                let edition = self.whole();
                self.events.push(OrganizationEvent::AddressEnded { address_id: address.id, edition });
            }
        }
    }

    fn mode(&mut self, path: &str, profile: &Profile, content: &ModeContent) {
        match content.identity {
            Identity::New(id) => {
                let Some(code) = content.code.clone() else { return };
                let edition = self.edition(path, &content.remark);
                let entity_type = content.entity_type.clone();
                let mode = Mode { id: OrganizationModeId(id), code, entity_type, edition };
                self.events.push(OrganizationEvent::ModeAdded { mode });
            }
            Identity::Known(id) => {
                let Some(former) = profile.modes.iter().find(|mode| mode.id.0 == id) else { return };
                let mut mode = former.clone();
                mode.code = content.code.clone().unwrap_or(mode.code);
                mode.entity_type = content.entity_type.clone().or(mode.entity_type);
                if mode != *former {
                    mode.edition = self.edition(path, &content.remark);
                    self.events.push(OrganizationEvent::ModeAmended { mode });
                }
            }
        }
    }

    fn address(&mut self, path: &str, profile: &Profile, content: &AddressContent) {
        let former = match content.identity {
            Identity::New(_) => None,
            Identity::Known(id) => match profile.addresses.iter().find(|address| address.id.0 == id) {
                None => return,
                former => former,
            },
        };
        let mut details = content.details.clone();
        details.entity_type = details.entity_type.or_else(|| former?.details.entity_type.clone());
        let none = BTreeMap::new();
        let former_properties = former.map_or(&none, |former| &former.properties);
        let properties = match &content.properties {
            None => former_properties.clone(),
            Some(properties) => self.properties(&format!("{path}.addressProperties"), former_properties, properties),
        };
        if former.is_some_and(|former| former.details == details && former.properties == properties) {
            return;
        }
        let edition = self.edition(path, &content.remark);
        let (Identity::New(id) | Identity::Known(id)) = content.identity;
        let address = Address { id: OrganizationAddressId(id), details, properties, edition };
        self.events.push(match former {
            None => OrganizationEvent::AddressAdded { address },
            Some(_) => OrganizationEvent::AddressAmended { address },
        });
    }

    /// The target extra values; unchanged ones keep their versions.
    fn properties(
        &mut self,
        path: &str,
        former: &BTreeMap<String, Property>,
        content: &[PropertyContent],
    ) -> BTreeMap<String, Property> {
        let mut after = BTreeMap::new();
        for (index, property) in content.iter().enumerate() {
            let known = former.get(&property.name);
            let entity_type = property.entity_type.clone().or_else(|| known?.entity_type.clone());
            let same = known.filter(|known| known.value == property.value && known.entity_type == entity_type);
            let property_after = match same {
                Some(known) => known.clone(),
                None => Property {
                    value: property.value.clone(),
                    entity_type,
                    edition: self.edition(&format!("{path}[{index}]"), &property.remark),
                },
            };
            after.insert(property.name.clone(), property_after);
        }
        after
    }
}
