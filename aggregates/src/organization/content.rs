//! The content of an organization as a caller wants it, with all checks that do not need the organization. Fields are
//! named as in the documented body, since no other dialect has these parts.

use super::codes::{Code, lies_in};
use super::profile::{AddressDetails, Details, Status};
use crate::values::{Finding, Problem, check_free_text, check_name};
use chrono::{DateTime, Utc};
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use uuid::Uuid;

/// Longest name of an organization, in characters.
pub const NAME_LENGTH_MAX: usize = 500;
/// Longest reason.
pub const REASON_LENGTH_MAX: usize = 255;
/// Longest comment.
pub const COMMENT_LENGTH_MAX: usize = 2048;
/// Longest length of most short texts: numbers of the organization, kinds of records.
pub const SHORT_LENGTH_MAX: usize = 50;
/// Longest web address.
pub const WEB_URL_LENGTH_MAX: usize = 255;
/// Longest postal code.
pub const POSTAL_CODE_LENGTH_MAX: usize = 20;
/// Longest name of a property.
pub const PROPERTY_NAME_LENGTH_MAX: usize = 100;
/// Longest value of a property.
pub const PROPERTY_VALUE_LENGTH_MAX: usize = 500;
/// Pattern that a web address must contain: the published one, brackets and all.
pub const WEB_URL_PATTERN: &str =
    r"[(http(s)?):\/\/(www\.)?a-zA-Z0-9@:%._\+~#=]{2,256}\.[a-z]{2,6}\b([-a-zA-Z0-9@:%_\+.~#?&//=]*)";

/// Time and reason of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The current time.
    pub at: DateTime<Utc>,
    /// Reason and comment of the whole command; parts without their own inherit them.
    pub remark: Remark,
    /// Whether this deployment requires a reason for every change.
    pub reason_needed: bool,
}

impl Stamp {
    /// A stamp without a reason, for deployments that require none.
    #[must_use]
    pub fn at(at: DateTime<Utc>) -> Self {
        Stamp { at, remark: Remark::default(), reason_needed: false }
    }

    /// Problems of reason and comment, which are members of the object at `path`.
    pub(super) fn problems(&self, path: &str) -> Vec<Finding> {
        let mut check = Check::default();
        check.remark(path, &self.remark);
        check.findings
    }
}

/// Reason and comment of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remark {
    /// Reason.
    pub reason: Option<String>,
    /// Further remark.
    pub comment: Option<String>,
}

/// The target state of an organization, master data and parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Name of the organization.
    pub name: String,
    /// Status; absent keeps the present one, and a new organization is active.
    pub status: Option<Status>,
    /// Other master data. An absent number or kind keeps its present value.
    pub details: Details,
    /// Start of the version of the master data that the caller read, to detect a stale read.
    pub seen: Option<DateTime<Utc>>,
    /// Study modes.
    pub modes: Vec<ModeContent>,
    /// Addresses.
    pub addresses: Vec<AddressContent>,
    /// Extra values; absent keeps them.
    pub properties: Option<Vec<PropertyContent>>,
    /// Tenancy of a new organization. An existing one keeps its own.
    pub tenancy: Option<super::Tenancy>,
}

/// Identity of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// A part that the organization has.
    Known(Uuid),
    /// A new part, with this identifier.
    New(Uuid),
}

/// The target state of a study mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeContent {
    /// Identity of the assignment.
    pub identity: Identity,
    /// The mode; absent keeps that of a known assignment.
    pub code: Option<Code>,
    /// Kind of record; absent keeps that of a known assignment.
    pub entity_type: Option<String>,
    /// Start of the version that the caller read.
    pub seen: Option<DateTime<Utc>>,
    /// Reason and comment.
    pub remark: Remark,
}

/// The target state of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressContent {
    /// Identity of the address.
    pub identity: Identity,
    /// Content of the address. Without a kind of record, a known address keeps its own.
    pub details: AddressDetails,
    /// Extra values; absent keeps them.
    pub properties: Option<Vec<PropertyContent>>,
    /// Start of the version that the caller read.
    pub seen: Option<DateTime<Utc>>,
    /// Reason and comment.
    pub remark: Remark,
}

/// The target state of an extra value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyContent {
    /// Name, unique within its record.
    pub name: String,
    /// The value.
    pub value: String,
    /// Kind of record; absent keeps that of a known property.
    pub entity_type: Option<String>,
    /// Reason and comment.
    pub remark: Remark,
}

impl Content {
    /// An organization with only a name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Content { name: name.into(), ..Content::default() }
    }

    /// Problems of the content, independent of the organization.
    #[must_use]
    pub fn problems(&self) -> Vec<Finding> {
        let mut check = Check::default();
        check.name(&self.name);
        check.details(&self.details);
        let mut codes = BTreeSet::new();
        for (index, mode) in self.modes.iter().enumerate() {
            let path = format!("modes[{index}]");
            match (&mode.code, mode.identity) {
                (Some(code), _) if !codes.insert(code.id) => check.find(&path, "mode", Problem::Repeated),
                (None, Identity::New(_)) => check.find(&path, "mode", Problem::Blank),
                _ => {}
            }
            check.text(&path, "entityType", mode.entity_type.as_deref(), SHORT_LENGTH_MAX);
            check.remark(&path, &mode.remark);
        }
        check.identities("modes", self.modes.iter().map(|mode| mode.identity));
        self.addresses.iter().enumerate().for_each(|(index, address)| check.address(index, address));
        check.identities("orgAddressesDetails", self.addresses.iter().map(|address| address.identity));
        let mains = self.addresses.iter().enumerate().filter(|(_, address)| address.details.main_primary);
        for (index, _) in mains.skip(1) {
            check.find(&format!("orgAddressesDetails[{index}]"), "mainPrimary", Problem::Repeated);
        }
        check.properties("properties", self.properties.as_deref().unwrap_or_default());
        check.findings.extend(self.tenancy.iter().flat_map(super::Tenancy::problems));
        check.findings
    }
}

/// Problems of a name.
pub(super) fn name_problems(name: &str) -> Vec<Finding> {
    let mut check = Check::default();
    check.name(name);
    check.findings
}

/// Problems of the grounds of a retirement.
pub(super) fn grounds_problems(grounds: Option<&str>) -> Vec<Finding> {
    let mut check = Check::default();
    check.text("", "reasonForDelete", grounds, REASON_LENGTH_MAX);
    check.findings
}

#[derive(Default)]
struct Check {
    findings: Vec<Finding>,
}

impl Check {
    fn find(&mut self, path: &str, member: &str, problem: Problem) {
        let field = if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") };
        self.findings.push(Finding { field, problem });
    }

    fn text(&mut self, path: &str, member: &str, text: Option<&str>, max: usize) {
        let Some(text) = text else { return };
        if let Err(problem) = check_free_text(text, max) {
            self.find(path, member, problem);
        }
    }

    fn remark(&mut self, path: &str, remark: &Remark) {
        self.text(path, "reason", remark.reason.as_deref(), REASON_LENGTH_MAX);
        self.text(path, "comment", remark.comment.as_deref(), COMMENT_LENGTH_MAX);
    }

    fn name(&mut self, name: &str) {
        match check_name(name) {
            Err(problem) => self.find("organization", "name", problem),
            Ok(()) => self.text("organization", "name", Some(name), NAME_LENGTH_MAX),
        }
    }

    fn details(&mut self, details: &Details) {
        static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(WEB_URL_PATTERN).ok());
        let path = "organization";
        for (member, text) in [("orgId", &details.number), ("taxId", &details.tax_id), ("vatId", &details.vat_id)] {
            self.text(path, member, text.as_deref(), SHORT_LENGTH_MAX);
        }
        self.text(path, "webUrl", details.web_url.as_deref(), WEB_URL_LENGTH_MAX);
        let fits = |url: &str| PATTERN.as_ref().is_some_and(|pattern| pattern.is_match(url));
        if details.web_url.as_deref().is_some_and(|url| !fits(url)) {
            self.find(path, "webUrl", Problem::NotAWebAddress);
        }
        if details.time_zone.as_deref().is_some_and(|zone| zone.parse::<chrono_tz::Tz>().is_err()) {
            self.find(path, "timezone", Problem::UnknownTimeZone);
        }
        if let (Some(start), Some(end)) = (details.msa_start, details.msa_end)
            && end < start
        {
            self.find(path, "msaEnd", Problem::BeforeStart { start: "msaStart" });
        }
    }

    fn address(&mut self, index: usize, address: &AddressContent) {
        let path = format!("orgAddressesDetails[{index}]");
        let details = &address.details;
        self.text(&path, "addressPostalcode", Some(&details.postal_code), POSTAL_CODE_LENGTH_MAX);
        for (member, text) in
            [("addressStreet1", &details.street1), ("addressStreet2", &details.street2), ("addressCity", &details.city)]
        {
            self.text(&path, member, text.as_deref(), usize::MAX);
        }
        if let (Some(region), Some(country)) = (&details.region, &details.country)
            && !lies_in(region, country)
        {
            self.find(&path, "addressStateOrProvOrCounty", Problem::CodeMismatch);
        }
        self.text(&path, "entityType", details.entity_type.as_deref(), SHORT_LENGTH_MAX);
        self.remark(&path, &address.remark);
        self.properties(&format!("{path}.addressProperties"), address.properties.as_deref().unwrap_or_default());
    }

    fn properties(&mut self, list: &str, properties: &[PropertyContent]) {
        let mut names = BTreeSet::new();
        for (index, property) in properties.iter().enumerate() {
            let path = format!("{list}[{index}]");
            self.text(&path, "propertyName", Some(&property.name), PROPERTY_NAME_LENGTH_MAX);
            self.text(&path, "propertyValue", Some(&property.value), PROPERTY_VALUE_LENGTH_MAX);
            self.text(&path, "entityType", property.entity_type.as_deref(), SHORT_LENGTH_MAX);
            self.remark(&path, &property.remark);
            if !names.insert(&property.name) {
                self.find(&path, "propertyName", Problem::Repeated);
            }
        }
    }

    fn identities(&mut self, list: &str, identities: impl Iterator<Item = Identity>) {
        let mut seen = BTreeSet::new();
        for (index, identity) in identities.enumerate() {
            let (Identity::Known(id) | Identity::New(id)) = identity;
            if !seen.insert(id) {
                self.find(&format!("{list}[{index}]"), "id", Problem::Repeated);
            }
        }
    }
}
