//! Reading the documented objects member by member. Unknown members are ignored, since older clients send more.

use super::parameters::{NOT_AN_ID, parse_id};
use crate::api::common::findings::Findings;
use crate::api::common::members::{MemberReader, boolean, member, text};
use chrono::{DateTime, Utc};
use registrar_aggregates::organization::codes::find_region;
use registrar_aggregates::organization::{
    AddressContent, AddressDetails, Code, CodeList, Content, Details, Identity, ModeContent, PropertyContent, Remark,
    Status,
};
use registrar_aggregates::values::Problem;
use serde_json::Value;
use std::collections::HashSet;
use uuid::Uuid;

const CODE_LENGTH_MAX: usize = 50;
const PLACE_LENGTH_MAX: usize = 150;

/// Facts about a body beside its content: record identifiers in it, and the notation of its lists.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Places that name the record they belong to, with its identifier; `None` if malformed.
    pub(super) owners: Vec<Owner>,
    /// Lists written as a single object.
    pub(super) single: Vec<String>,
}

/// A place that names its record.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) path: String,
    pub(super) named: Option<Uuid>,
    /// The known address that a property belongs to, if any.
    pub(super) address: Option<Uuid>,
}

pub(super) fn identifier(json: Value, path: &str, findings: &mut Findings) -> Option<Uuid> {
    let text = text(json, path, findings)?;
    let id = parse_id(&text);
    if id.is_none() {
        findings.add(path, NOT_AN_ID);
    }
    id
}

fn time(json: Value, path: &str, findings: &mut Findings) -> Option<DateTime<Utc>> {
    let text = text(json, path, findings)?;
    // RFC 3339 has a T between date and time; the parser accepts a space.
    let time = DateTime::parse_from_rfc3339(&text).ok().filter(|_| !text.contains(' '));
    if time.is_none() {
        findings.add(path, "must be an RFC 3339 date-time with an offset");
    }
    time.map(|time| time.to_utc())
}

fn yes_or_no(json: Value, path: &str, findings: &mut Findings) -> Option<bool> {
    match text(json, path, findings)?.as_str() {
        "Y" => Some(true),
        "N" => Some(false),
        "" | " " => None,
        _ => {
            findings.add(path, "must be one of the following values: Y, N");
            None
        }
    }
}

fn remark(members: &mut MemberReader<'_>) -> Remark {
    Remark { reason: members.optional("reason", text), comment: members.optional("comment", text) }
}

/// A code and its display text, two members for one entry.
fn code(members: &mut MemberReader<'_>, id: &str, of: CodeList, max: usize) -> Option<Code> {
    let (id_path, text_path, given) = code_members(members, id, max)?;
    let (code, text) = given;
    let found = of.find(code, text.as_deref());
    noted(members, found, (code.is_some(), text.is_some()), &id_path, &text_path)
}

/// A pair as sent: identifier and text.
type CodePair = (Option<Uuid>, Option<String>);

fn code_members(members: &mut MemberReader<'_>, id: &str, max: usize) -> Option<(String, String, CodePair)> {
    let text_name = format!("{id}CodeValue");
    let (id_path, text_path) = (members.path_of(id), members.path_of(&text_name));
    let code = members.optional(id, identifier);
    let text = members.optional(&text_name, text);
    // A wrong type already has a finding, and the other half alone would be ambiguous.
    if members.findings.cover(&id_path) || members.findings.cover(&text_path) {
        return None;
    }
    if text.as_ref().is_some_and(|text| text.chars().count() > max) {
        members.findings.add(&text_path, Problem::TooLong { max }.to_string());
        return None;
    }
    Some((id_path, text_path, (code, text)))
}

fn noted(
    members: &mut MemberReader<'_>,
    found: Result<Option<Code>, Problem>,
    (has_id, has_text): (bool, bool),
    id_path: &str,
    text_path: &str,
) -> Option<Code> {
    found.unwrap_or_else(|problem| {
        let at_text = has_text && (!has_id || problem == Problem::CodeMismatch);
        members.findings.add(if at_text { text_path } else { id_path }, problem.to_string());
        None
    })
}

/// Reads the master data into `content`; returns its identifier, reason and comment.
pub(super) fn organization(
    json: Value,
    path: &str,
    content: &mut Content,
    findings: &mut Findings,
) -> Option<(Option<Uuid>, Remark)> {
    let mut members = MemberReader::of(json, path, findings)?;
    let id = members.optional("id", identifier);
    content.name = members.required("name", text).unwrap_or_default();
    content.status = code(&mut members, "status", CodeList::Status, CODE_LENGTH_MAX).as_ref().and_then(Status::of);
    content.seen = members.optional("versionStart", time);
    content.details = Details {
        number: members.optional("orgId", text),
        kind: code(&mut members, "orgType", CodeList::Kind, CODE_LENGTH_MAX),
        category: code(&mut members, "categoryType", CodeList::Category, CODE_LENGTH_MAX),
        sub_type: code(&mut members, "subType", CodeList::SubType, CODE_LENGTH_MAX),
        time_zone: members.optional("timezone", text),
        tax_id: members.optional("taxId", text),
        vat_id: members.optional("vatId", text),
        web_url: members.optional("webUrl", text),
        msa: members.optional("msa", yes_or_no),
        msa_start: members.optional("msaStart", time),
        msa_end: members.optional("msaEnd", time),
    };
    Some((id, remark(&mut members)))
}

fn identity(members: &mut MemberReader<'_>) -> Identity {
    members.optional("id", identifier).map_or_else(|| Identity::New(Uuid::now_v7()), Identity::Known)
}

fn owner(members: &mut MemberReader<'_>, notes: &mut Notes) {
    let path = members.path_of("entityId");
    if let Some(named) = members.optional("entityId", identifier) {
        notes.owners.push(Owner { path, named: Some(named), address: None });
    }
}

/// Elements of a list, each with its path; a single object counts as one element.
pub(super) fn elements(json: Value, path: &str, notes: &mut Notes, findings: &mut Findings) -> Vec<(String, Value)> {
    let items = match json {
        Value::Object(_) => {
            notes.single.push(path.to_owned());
            vec![json]
        }
        Value::Array(items) => items,
        _ => {
            findings.add(path, "must be an object or a list of objects");
            return Vec::new();
        }
    };
    let mut seen = HashSet::new();
    if items.iter().any(|item| !seen.insert(item)) {
        findings.add(path, "must not have the same element twice");
    }
    let place = |(index, item)| (format!("{path}[{index}]"), item);
    items.into_iter().enumerate().map(place).collect()
}

/// The members of an element; if it is not an object, empty with a finding that covers the missing members.
fn of<'f>(json: Value, path: &str, findings: &'f mut Findings) -> MemberReader<'f> {
    let members = match json {
        Value::Object(members) => members,
        _ => {
            findings.add(path, "must be an object");
            serde_json::Map::new()
        }
    };
    MemberReader::at(members, path, findings)
}

/// Reads a mode; a text alone is its display text. An unreadable mode is replaced by a placeholder, so that the indexes
/// of the others stay the same.
pub(super) fn mode(json: Value, path: &str, notes: &mut Notes, findings: &mut Findings) -> ModeContent {
    let json = match json {
        Value::String(text) => serde_json::json!({ "modeCodeValue": text }),
        json => json,
    };
    let mut members = of(json, path, findings);
    owner(&mut members, notes);
    ModeContent {
        identity: identity(&mut members),
        code: code(&mut members, "mode", CodeList::Mode, CODE_LENGTH_MAX),
        entity_type: members.optional("entityType", text),
        seen: members.optional("versionStart", time),
        remark: remark(&mut members),
    }
}

/// Reads an address with its properties.
pub(super) fn address(json: Value, path: &str, notes: &mut Notes, findings: &mut Findings) -> AddressContent {
    let mut members = of(json, path, findings);
    owner(&mut members, notes);
    let identity = identity(&mut members);
    let country = code(&mut members, "country", CodeList::Country, PLACE_LENGTH_MAX);
    let details = AddressDetails {
        kind: code(&mut members, "addressType", CodeList::AddressKind, PLACE_LENGTH_MAX),
        street1: members.optional("addressStreet1", text),
        street2: members.optional("addressStreet2", text),
        city: members.optional("addressCity", text),
        postal_code: members.required("addressPostalcode", text).unwrap_or_default(),
        region: region(&mut members, country.as_ref()),
        country,
        main_primary: members.optional("mainPrimary", boolean).unwrap_or_default(),
        entity_type: members.optional("entityType", text),
    };
    let (seen, remark) = (members.optional("versionStart", time), remark(&mut members));
    let own = match identity {
        Identity::Known(id) => Some(id),
        Identity::New(_) => None,
    };
    let properties = members.optional("addressProperties", |json: Value, path: &str, findings: &mut Findings| {
        Some(properties(json, path, own, notes, findings))
    });
    AddressContent { identity, details, properties, seen, remark }
}

fn region(members: &mut MemberReader<'_>, country: Option<&Code>) -> Option<Code> {
    let (id_path, text_path, (id, text)) = code_members(members, "addressStateOrProvOrCounty", usize::MAX)?;
    let found = find_region(id, text.as_deref(), country);
    noted(members, found, (id.is_some(), text.is_some()), &id_path, &text_path)
}

/// Reads extra values, those of an address if it is given.
pub(super) fn properties(
    json: Value,
    path: &str,
    address: Option<Uuid>,
    notes: &mut Notes,
    findings: &mut Findings,
) -> Vec<PropertyContent> {
    let elements = elements(json, path, notes, findings);
    elements.into_iter().map(|(path, item)| property(item, &path, address, notes, findings)).collect()
}

fn property(
    json: Value,
    path: &str,
    address: Option<Uuid>,
    notes: &mut Notes,
    findings: &mut Findings,
) -> PropertyContent {
    let mut members = of(json, path, findings);
    // A plain text here, with any content.
    if let Some(named) = members.optional("entityId", text) {
        notes.owners.push(Owner { path: member(path, "entityId"), named: parse_id(&named), address });
    }
    PropertyContent {
        name: members.required("propertyName", text).unwrap_or_default(),
        value: members.required("propertyValue", text).unwrap_or_default(),
        entity_type: members.optional("entityType", text),
        remark: remark(&mut members),
    }
}
