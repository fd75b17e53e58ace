//! Bodies that clients send, read into what the domain is asked for. What is wrong with types is noted here, what is
//! wrong with values is the domain's to say; the client is told all of it at once.

use super::objects::{Notes, address, elements, mode, organization, properties};
use crate::api::common::ApiError;
use crate::api::common::findings::Findings;
use crate::api::common::json::FromJson;
use crate::api::common::members::{Members, text};
use registrar_aggregates::organization::{Content, Organization, Remark, Stamp};
use registrar_aggregates::values::{Finding, OrganizationId};
use serde_json::Value;
use uuid::Uuid;

/// `ORGANIZATION_MODEL_TITLE`: an organization as it shall be.
#[derive(Debug)]
pub struct WriteOrganization {
    /// The identifier that the body names.
    pub id: Option<Uuid>,
    /// What it shall be, as far as it could be read.
    pub content: Content,
    /// Reason and comment of the whole.
    pub remark: Remark,
    findings: Findings,
    notes: Notes,
}

impl FromJson for WriteOrganization {
    fn from_json(json: Value, findings: &mut Findings) -> Option<Self> {
        let mut content = Content::default();
        let mut notes = Notes::default();
        let mut named = None;
        if let Some(mut members) = Members::of(json, "", findings) {
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
        // Kept back, so that what the domain finds is told together with it.
        Some(WriteOrganization { id, content, remark, findings: std::mem::take(findings), notes })
    }
}

impl WriteOrganization {
    /// Notes what does not name the organization that it is about, and a path that names none at all.
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

    /// Whether everything could be read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.findings.is_empty()
    }

    /// The refusal that names everything found here and by the organization that it is for.
    #[must_use]
    pub fn refused(mut self, organization: &Organization, stamp: &Stamp) -> ApiError {
        // Of what is no object at all, nothing but that can be said.
        let found = if self.findings.cover("body") { vec![] } else { organization.problems(&self.content, stamp) };
        for finding in found {
            // The domain sees a stand-in, or nothing, where a member or its display text could not be read.
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

/// How the fields of a body are told: a list that was written as one object has no `[0]`.
#[derive(Debug, Clone, Default)]
pub struct Spelling(Vec<String>);

impl Spelling {
    /// That of a body.
    #[must_use]
    pub fn of(request: &WriteOrganization) -> Self {
        let mut single = request.notes.single.clone();
        // Inner lists first, while the outer ones still have their indexes.
        single.sort_by_key(|path| std::cmp::Reverse(path.len()));
        Spelling(single)
    }

    /// The refusal of what the domain found alone.
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

/// Why an organization is retired.
#[derive(Debug, Default)]
pub struct RetireOrganization {
    /// Reason and comment.
    pub remark: Remark,
    /// Grounds apart from the reason.
    pub grounds: Option<String>,
}

impl FromJson for RetireOrganization {
    fn from_json(json: Value, findings: &mut Findings) -> Option<Self> {
        let mut members = Members::of(json, "", findings)?;
        let reason = members.optional("reason", text);
        let comment = members.optional("comment", text);
        let grounds = members.optional("reasonForDelete", text);
        // Who gives the grounds alone has given a reason.
        Some(RetireOrganization { remark: Remark { reason: reason.or_else(|| grounds.clone()), comment }, grounds })
    }
}
