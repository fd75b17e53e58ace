//! Response bodies, made from documents.

use chrono::{DateTime, SecondsFormat, Utc};
use registrar_aggregates::organization::{Address, Code, Edition, Mode, Property};
use registrar_projections::OrganizationDocument;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A time in responses: UTC, milliseconds.
fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An identifier in responses: 32 upper-case hexadecimal digits.
#[must_use]
pub fn id(id: Uuid) -> String {
    format!("{:X}", id.simple())
}

fn code_id(code: Option<&Code>) -> Option<String> {
    code.map(|code| id(code.id))
}

fn code_text(code: Option<&Code>) -> Option<String> {
    code.map(|code| code.text.clone())
}

/// A stored organization in its current version; unknown values are left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "members are those of the published schema, which says what they are")]
pub struct Organizations {
    pub id: String,
    pub name: String,
    pub org_id: String,
    pub org_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_type_code_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category_type_code_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_type_code_value: Option<String>,
    pub status: String,
    pub status_code_value: &'static str,
    pub study_agnostic: &'static str,
    pub study_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msa: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msa_start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msa_end: Option<String>,
    #[serde(flatten)]
    pub edition: EditionDto,
}

/// Start and reason of a version of a part.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "members are those of the published schema, which says what they are")]
pub struct EditionDto {
    pub version_start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl From<&Edition> for EditionDto {
    fn from(edition: &Edition) -> Self {
        EditionDto {
            version_start: time(edition.start),
            reason: edition.reason.clone(),
            comment: edition.comment.clone(),
        }
    }
}

impl From<&OrganizationDocument> for Organizations {
    fn from(document: &OrganizationDocument) -> Self {
        let details = &document.details;
        let status = document.status.code();
        Organizations {
            id: id(document.id.0),
            name: document.name.clone(),
            org_id: details.number.clone().unwrap_or_default(),
            org_type: code_id(details.kind.as_ref()).unwrap_or_default(),
            org_type_code_value: code_text(details.kind.as_ref()),
            category_type: code_id(details.category.as_ref()),
            category_type_code_value: code_text(details.category.as_ref()),
            sub_type: code_id(details.sub_type.as_ref()),
            sub_type_code_value: code_text(details.sub_type.as_ref()),
            status: id(status.id),
            status_code_value: document.status.text(),
            study_agnostic: if document.study_id.is_some() { "N" } else { "Y" },
            study_id: document.study_id.as_deref().map(study).unwrap_or_default(),
            tax_id: details.tax_id.clone(),
            vat_id: details.vat_id.clone(),
            timezone: details.time_zone.clone(),
            web_url: details.web_url.clone(),
            msa: details.msa.map(|msa| if msa { "Y" } else { "N" }),
            msa_start: details.msa_start.map(time),
            msa_end: details.msa_end.map(time),
            edition: (&document.edition).into(),
        }
    }
}

fn study(study: &str) -> String {
    Uuid::try_parse(study).map_or_else(|_| study.to_owned(), id)
}

/// As [`Organizations`] with modes, addresses and extra values in the shape of requests, so that a client can change
/// the response and send it back.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationWithParts {
    #[serde(flatten)]
    #[allow(missing_docs, reason = "flattened")]
    pub organization: Organizations,
    /// `ModeDto`s.
    pub modes: Vec<Value>,
    /// `EntityAddressAssociationDto`s.
    pub org_addresses_details: Vec<Value>,
    /// `PROPERTY_DTO_TITLE`s.
    pub properties: Vec<Value>,
}

impl From<&OrganizationDocument> for OrganizationWithParts {
    fn from(document: &OrganizationDocument) -> Self {
        let owner = id(document.id.0);
        OrganizationWithParts {
            organization: document.into(),
            modes: document.modes.iter().map(|part| mode(part, &owner)).collect(),
            org_addresses_details: document.addresses.iter().map(|part| address(part, &owner)).collect(),
            properties: properties(&document.properties, &owner),
        }
    }
}

fn mode(mode: &Mode, owner: &str) -> Value {
    part(
        &mode.edition,
        json!({
            "id": id(mode.id.0),
            "entityId": owner,
            "entityType": mode.entity_type,
            "mode": id(mode.code.id),
            "modeCodeValue": mode.code.text,
        }),
    )
}

fn address(address: &Address, owner: &str) -> Value {
    let details = &address.details;
    part(
        &address.edition,
        json!({
            "id": id(address.id.0),
            "entityId": owner,
            "entityType": details.entity_type,
            "addressType": code_id(details.kind.as_ref()),
            "addressTypeCodeValue": code_text(details.kind.as_ref()),
            "addressStreet1": details.street1,
            "addressStreet2": details.street2,
            "addressCity": details.city,
            "addressPostalcode": details.postal_code,
            "addressStateOrProvOrCounty": code_id(details.region.as_ref()),
            "addressStateOrProvOrCountyCodeValue": code_text(details.region.as_ref()),
            "country": code_id(details.country.as_ref()),
            "countryCodeValue": code_text(details.country.as_ref()),
            "mainPrimary": details.main_primary,
            "addressProperties": properties(&address.properties, &id(address.id.0)),
        }),
    )
}

fn properties(properties: &BTreeMap<String, Property>, owner: &str) -> Vec<Value> {
    let written = properties.iter().map(|(name, property)| {
        let mut written = part(
            &property.edition,
            json!({
                "entityId": owner,
                "entityType": property.entity_type,
                "propertyName": name,
                "propertyValue": property.value,
            }),
        );
        // The published shape of a property has no version.
        if let Some(members) = written.as_object_mut() {
            members.remove("versionStart");
        }
        written
    });
    written.collect()
}

/// A part with its version, without unknown values.
fn part(edition: &Edition, mut part: Value) -> Value {
    if let Some(members) = part.as_object_mut() {
        members.insert("versionStart".to_owned(), json!(time(edition.start)));
        members.insert("reason".to_owned(), json!(edition.reason));
        members.insert("comment".to_owned(), json!(edition.comment));
        members.retain(|_, value| !value.is_null());
    }
    part
}

/// A page of the list in the service's envelope.
#[must_use]
pub fn page(documents: &[OrganizationDocument], total: u64, offset: u64) -> Value {
    let data: Vec<_> = documents.iter().map(Organizations::from).collect();
    let count = data.len() as u64;
    let has_more = if offset.saturating_add(count) < total { "true" } else { "false" };
    json!({
        "status": "success",
        "result": {"hasMore": has_more, "totalResults": total, "count": count, "data": data},
    })
}
