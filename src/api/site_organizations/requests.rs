//! Request bodies, read into domain values. Type errors are found here, invalid values by the domain; the client gets
//! all findings at once.

use super::objects::{Notes, address, elements, mode, organization, properties};
use crate::api::common::ApiError;
use crate::api::common::findings::Findings;
use crate::api::common::json::FromJson;
use crate::api::common::members::{MemberReader, text};
use registrar_aggregates::organization::{Content, Organization, Remark, Stamp};
use registrar_aggregates::values::{Finding, OrganizationId};
use serde_json::Value;
use uuid::Uuid;

/// `ORGANIZATION_MODEL_TITLE`: the requested state of an organization.
#[derive(Debug)]
pub struct WriteOrganization {
    /// Identifier in the body.
    pub id: Option<Uuid>,
    /// Requested content, as far as it could be read.
    pub content: Content,
    /// Reason and comment of the whole change.
    pub remark: Remark,
    findings: Findings,
    notes: Notes,
}

impl FromJson for WriteOrganization {
    fn from_json(json: Value, findings: &mut Findings) -> Option<Self> {
        let mut content = Content::default();
        let mut notes = Notes::default();
        let mut named = None;
        if let Some(mut members) = MemberReader::of(json, "", findings) {
            named = members.required("organization", |json: Value, path: &str, findings: &mut Findings| {
                organization(json, path, &mut content, findings)
            });
            members.required("modes", |json: Value, path: &str, findings: &mut Findings| {
                let elements = elements(json, path, &mut notes, findings);
                let read = |(path, item): (String, Value)| mode(item, &path, &mut notes, findings);
                content.modes = elements.into_iter().map(read).collect();
                Some(())
            });
            members.required("orgAddressesDetails", |json: Value, path: &str, findings: &mut Findings| {
                let elements = elements(json, path, &mut notes, findings);
                let read = |(path, item): (String, Value)| address(item, &path, &mut notes, findings);
                content.addresses = elements.into_iter().map(read).collect();
                Some(())
            });
            content.properties = members.optional("properties", |json: Value, path: &str, findings: &mut Findings| {
                Some(properties(json, path, None, &mut notes, findings))
            });
        }
        let (id, remark) = named.unwrap_or_default();
        // Deferred, so that the domain's findings are reported together with these.
        Some(WriteOrganization { id, content, remark, findings: std::mem::take(findings), notes })
    }
}

impl WriteOrganization {
    /// Adds findings for places that name another organization, and for a path without an identifier.
    #[must_use]
    pub fn about(mut self, id: Option<OrganizationId>) -> Self {
        let Some(id) = id else {
            self.findings.add("id", super::parameters::NOT_AN_ID);
            return self;
        };
        if self.id.is_some_and(|named| named != id.0) {
            self.findings.add("organization.id", "must be the id of the path");
        }
        for owner in std::mem::take(&mut self.notes.owners) {
            if owner.named != Some(id.0) && (owner.named.is_none() || owner.named != owner.address) {
                self.findings.add(&owner.path, "must be the id of the organization");
            }
        }
        self
    }

    /// Whether the body has no findings.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.findings.is_empty()
    }

    /// The error with all findings, made here and by the organization.
    #[must_use]
    pub fn refused(mut self, organization: &Organization, stamp: &Stamp) -> ApiError {
        // For a body that is not an object, that is the only finding.
        let found = if self.findings.cover("body") { vec![] } else { organization.problems(&self.content, stamp) };
        for finding in found {
            // The domain gets a placeholder, or no value, if a member or its display text was unreadable.
            let text = format!("{}CodeValue", finding.field);
            if !self.findings.cover(&finding.field) && !self.findings.cover(&text) {
                self.findings.add(&finding.field, finding.problem.to_string());
            }
        }
        let spelling = Spelling::of(&self);
        ApiError::InvalidFields(
            self.findings.fields().into_iter().map(|(field, wrong)| (spelling.field(&field), wrong)).collect(),
        )
    }
}

/// Field paths as the client wrote them: a list written as one object has no `[0]`.
#[derive(Debug, Clone, Default)]
pub struct Spelling(Vec<String>);

impl Spelling {
    /// Spelling of a body.
    #[must_use]
    pub fn of(request: &WriteOrganization) -> Self {
        let mut single = request.notes.single.clone();
        // Inner lists first, while the outer ones still have their indexes.
        single.sort_by_key(|path| std::cmp::Reverse(path.len()));
        Spelling(single)
    }

    /// The error for findings of the domain alone.
    #[must_use]
    pub fn refused(&self, found: &[Finding]) -> ApiError {
        ApiError::InvalidFields(
            found.iter().map(|finding| (self.field(&finding.field), finding.problem.to_string())).collect(),
        )
    }

    fn field(&self, field: &str) -> String {
        let mut field = field.to_owned();
        for list in &self.0 {
            if let Some(rest) = field.strip_prefix(list.as_str()).and_then(|rest| rest.strip_prefix("[0]")) {
                field = format!("{list}{rest}");
            }
        }
        field
    }
}

/// Request to retire an organization.
#[derive(Debug, Default)]
pub struct RetireOrganization {
    /// Reason and comment.
    pub remark: Remark,
    /// Grounds, separate from the reason.
    pub grounds: Option<String>,
}

impl FromJson for RetireOrganization {
    fn from_json(json: Value, findings: &mut Findings) -> Option<Self> {
        let mut members = MemberReader::of(json, "", findings)?;
        let reason = members.optional("reason", text);
        let comment = members.optional("comment", text);
        let grounds = members.optional("reasonForDelete", text);
        // Grounds alone also count as the reason.
        Some(RetireOrganization { remark: Remark { reason: reason.or_else(|| grounds.clone()), comment }, grounds })
    }
}
