//! Request and response schemas of the OpenAPI document. [`super::requests`] reads the former and [`super::responses`]
//! writes the latter.

use registrar_aggregates::organization::{
    COMMENT_LENGTH_MAX, NAME_LENGTH_MAX, POSTAL_CODE_LENGTH_MAX, PROPERTY_NAME_LENGTH_MAX, PROPERTY_VALUE_LENGTH_MAX,
    REASON_LENGTH_MAX, SHORT_LENGTH_MAX, WEB_URL_LENGTH_MAX,
};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use utoipa::openapi::{ComponentsBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Longest display text of a place or a kind of address.
const PLACE_LENGTH_MAX: usize = 150;
/// Pattern of web addresses with escaped slashes, as published.
const WEB_URL: &str = r"[(http(s)?):\/\/(www\.)?a-zA-Z0-9@:%._\+~#=]{2,256}\.[a-z]{2,6}\b([-a-zA-Z0-9@:%_\+.~#?&//=]*)";

/// Constructor of a schema.
type Make = fn() -> Value;

macro_rules! schema {
    ($(#[$doc:meta])* $type:ident, $name:literal, $schema:ident) => {
        $(#[$doc])*
        pub struct $type;

        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                typed($schema())
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    };
}

schema!(
    /// The body of a registration and of a replacement.
    OrganizationModel, "ORGANIZATION_MODEL_TITLE", organization_model
);
schema!(
    /// A stored organization.
    OrganizationsSchema, "Organizations", organizations
);
schema!(
    /// A stored organization with its parts.
    OrganizationWithPartsSchema, "OrganizationWithParts", organization_with_parts
);
schema!(
    /// The body of a retirement.
    RetireOrganizationDto, "RetireOrganizationDto", retire_organization
);
schema!(
    /// The envelope of lists and errors.
    SdfResponse, "SDFResponse", sdf_response
);

/// Schemas referenced by others.
#[must_use]
pub fn components() -> ComponentsBuilder {
    let all: [(&str, Make); 9] = [
        ("AuditComment", audit_comment),
        ("AuditReason", audit_reason),
        ("ModeDto", mode),
        ("PROPERTY_DTO_TITLE", property),
        ("EntityAddressAssociationDto", address),
        ("ORGANIZATION_DTO_TITLE", organization),
        ("ErrorResponseData", error_response_data),
        ("result", result),
        ("SDFResponse", sdf_response),
    ];
    all.into_iter()
        .fold(ComponentsBuilder::new(), |components, (name, schema)| components.schema(name, typed(schema())))
}

/// Parses a schema. The schemas of this module are constants; a test builds every one of them.
fn typed(schema: Value) -> RefOr<Schema> {
    serde_json::from_value(schema).unwrap_or_else(|_| RefOr::T(Schema::default()))
}

fn object<const N: usize>(title: &str, description: &str, required: &[&str], members: [(&str, Value); N]) -> Value {
    let members: Map<_, _> = members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let mut object = json!({"type": "object", "title": title, "description": description, "properties": members});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn plain(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn text(description: &str, max: usize) -> Value {
    json!({"type": "string", "description": description, "minLength": 0, "maxLength": max})
}

fn id(description: &str) -> Value {
    json!({"type": "string", "format": "uuid", "description": description})
}

fn time(description: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": description})
}

fn web_url() -> Value {
    let mut schema = text("Web address.", WEB_URL_LENGTH_MAX);
    schema["pattern"] = json!(WEB_URL);
    schema["examples"] = json!(["https://acme.example.com"]);
    schema
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Schema of one object or a list of them.
fn one_or_list(description: &str, name: &str) -> Value {
    let list = json!({"type": "array", "uniqueItems": true, "items": reference(name)});
    json!({"description": description, "oneOf": [reference(name), list]})
}

fn audit_comment() -> Value {
    text("Free remark kept with the audit record of this change.", COMMENT_LENGTH_MAX)
}

fn audit_reason() -> Value {
    text("Why the change is made, kept with the audit record.", REASON_LENGTH_MAX)
}

fn mode() -> Value {
    object(
        "ModeDto",
        "Puts the organization into one study mode.",
        &[],
        [
            ("comment", reference("AuditComment")),
            ("entityId", id("Record the mode belongs to; when sent it has to be the organization of the path.")),
            ("entityType", text("Kind of that record.", SHORT_LENGTH_MAX)),
            ("id", id("Identifier of the assignment; present for one that exists already.")),
            ("mode", id("Identifier of the mode; it or its display text is needed for a new assignment.")),
            ("modeCodeValue", text("Display text of the mode.", SHORT_LENGTH_MAX)),
            ("reason", reference("AuditReason")),
            ("versionStart", time("Start of the version the caller has seen.")),
        ],
    )
}

fn property() -> Value {
    object(
        "PROPERTY_DTO_TITLE",
        "A named extra value attached to a record.",
        &["propertyName", "propertyValue"],
        [
            ("comment", reference("AuditComment")),
            ("entityId", plain("Record the property belongs to.")),
            ("entityType", text("Kind of that record.", SHORT_LENGTH_MAX)),
            ("propertyName", text("Name, unique within its record.", PROPERTY_NAME_LENGTH_MAX)),
            ("propertyValue", text("Value.", PROPERTY_VALUE_LENGTH_MAX)),
            ("reason", reference("AuditReason")),
        ],
    )
}

fn address() -> Value {
    object(
        "EntityAddressAssociationDto",
        "An address of the organization.",
        &["addressPostalcode"],
        [
            ("addressCity", plain("City.")),
            ("addressPostalcode", text("Postal code.", POSTAL_CODE_LENGTH_MAX)),
            ("addressProperties", one_or_list("Extra values of the address.", "PROPERTY_DTO_TITLE")),
            ("addressStateOrProvOrCounty", id("Identifier of the state, province or county.")),
            ("addressStateOrProvOrCountyCodeValue", plain("Display text of the state, province or county.")),
            ("addressStreet1", plain("Street, first line.")),
            ("addressStreet2", plain("Street, second line.")),
            ("addressType", id("Identifier of the kind of address.")),
            ("addressTypeCodeValue", text("Display text of the kind of address.", PLACE_LENGTH_MAX)),
            ("comment", reference("AuditComment")),
            ("country", id("Identifier of the country.")),
            ("countryCodeValue", text("Display text of the country.", PLACE_LENGTH_MAX)),
            ("entityId", id("Record that owns the address; when sent it has to be the organization of the path.")),
            ("entityType", text("Kind of that record.", SHORT_LENGTH_MAX)),
            ("id", id("Identifier of the association; present for one that exists already.")),
            (
                "mainPrimary",
                json!({"type": "boolean", "description": "True for the main primary address, of which there is one at most."}),
            ),
            ("reason", reference("AuditReason")),
            ("versionStart", time("Start of the version the caller has seen.")),
        ],
    )
}

fn organization() -> Value {
    object(
        "ORGANIZATION_DTO_TITLE",
        "Master data of the organization.",
        &["name"],
        [
            ("categoryType", id("Identifier of the category.")),
            ("categoryTypeCodeValue", text("Display text of the category.", SHORT_LENGTH_MAX)),
            ("comment", reference("AuditComment")),
            ("id", id("Identifier of the organization; when sent it has to equal the id of the path.")),
            ("msa", text("Whether a master service agreement is in place: Y or N.", 1)),
            ("msaEnd", time("End of the agreement, not before its start.")),
            ("msaStart", time("Start of the agreement.")),
            ("name", text("Name of the organization, not blank.", NAME_LENGTH_MAX)),
            ("orgId", text("The organization's own number (institution or vendor number).", SHORT_LENGTH_MAX)),
            ("orgType", id("Identifier of the type of organization.")),
            ("orgTypeCodeValue", text("Display text of the type.", SHORT_LENGTH_MAX)),
            ("reason", reference("AuditReason")),
            ("status", id("Identifier of the status.")),
            ("statusCodeValue", text("Display text of the status: Active, Restricted or Retired.", SHORT_LENGTH_MAX)),
            ("subType", id("Identifier of the sub-type.")),
            ("subTypeCodeValue", text("Display text of the sub-type.", SHORT_LENGTH_MAX)),
            ("taxId", text("Tax number.", SHORT_LENGTH_MAX)),
            ("timezone", plain("A name of the IANA time zone database.")),
            ("vatId", text("Value added tax number.", SHORT_LENGTH_MAX)),
            ("versionStart", time("Start of the version the caller has seen; a superseded one is refused.")),
            ("webUrl", web_url()),
        ],
    )
}

fn organization_model() -> Value {
    let plain_mode = json!({"type": "string", "maxLength": SHORT_LENGTH_MAX});
    let modes = json!({"type": "array", "uniqueItems": true, "items": {"anyOf": [reference("ModeDto"), plain_mode]}});
    let description = "Study modes the organization is to be in afterwards; a text stands for modeCodeValue.";
    object(
        "ORGANIZATION_MODEL_TITLE",
        "The organization as it is to be after the call: master data, addresses, modes and extra values.",
        &["modes", "orgAddressesDetails", "organization"],
        [
            ("modes", json!({"description": description, "oneOf": [reference("ModeDto"), modes]})),
            (
                "orgAddressesDetails",
                one_or_list("Addresses the organization is to have afterwards.", "EntityAddressAssociationDto"),
            ),
            ("organization", reference("ORGANIZATION_DTO_TITLE")),
            (
                "properties",
                one_or_list(
                    "Extra values the organization is to have afterwards; left out means unchanged.",
                    "PROPERTY_DTO_TITLE",
                ),
            ),
        ],
    )
}

fn organizations() -> Value {
    object(
        "Organizations",
        "A stored organization in its current version.",
        &["name", "orgId", "orgType", "status", "studyAgnostic", "studyId"],
        [
            ("categoryType", id("Identifier of the category.")),
            ("categoryTypeCodeValue", plain("Display text of the category.")),
            ("comment", reference("AuditComment")),
            ("id", id("Identifier of the organization.")),
            ("msa", text("Whether a master service agreement is in place: Y or N.", 5)),
            ("msaEnd", time("End of the agreement.")),
            ("msaStart", time("Start of the agreement.")),
            ("name", text("Name of the organization.", NAME_LENGTH_MAX)),
            ("orgId", text("The organization's own number; empty text when none was given.", SHORT_LENGTH_MAX)),
            ("orgType", id("Identifier of the type of organization.")),
            ("orgTypeCodeValue", plain("Display text of the type.")),
            ("reason", reference("AuditReason")),
            ("status", id("Identifier of the status.")),
            ("statusCodeValue", plain("Display text of the status: Active, Restricted or Retired.")),
            ("studyAgnostic", plain("Whether the record stands outside any one study: Y or N.")),
            ("studyId", plain("Study the record belongs to; empty text when there is none.")),
            ("subType", id("Identifier of the sub-type.")),
            ("subTypeCodeValue", plain("Display text of the sub-type.")),
            ("taxId", text("Tax number.", SHORT_LENGTH_MAX)),
            ("timezone", plain("Time zone name.")),
            ("vatId", text("Value added tax number.", SHORT_LENGTH_MAX)),
            ("versionStart", time("When this version took effect.")),
            ("webUrl", web_url()),
        ],
    )
}

fn organization_with_parts() -> Value {
    let list =
        |description: &str, name: &str| json!({"type": "array", "description": description, "items": reference(name)});
    let parts = object(
        "OrganizationParts",
        "The parts of an organization, as they would be written.",
        &["modes", "orgAddressesDetails", "properties"],
        [
            ("modes", list("Study modes the organization is in.", "ModeDto")),
            ("orgAddressesDetails", list("Addresses.", "EntityAddressAssociationDto")),
            ("properties", list("Extra values.", "PROPERTY_DTO_TITLE")),
        ],
    );
    json!({
        "description": "A stored organization with its modes, addresses and extra values.",
        "allOf": [reference("Organizations"), parts],
    })
}

fn retire_organization() -> Value {
    object(
        "RetireOrganizationDto",
        "Why an organization is retired.",
        &[],
        [
            ("comment", reference("AuditComment")),
            ("reason", reference("AuditReason")),
            (
                "reasonForDelete",
                text("Grounds apart from the reason; counts as the reason without one.", REASON_LENGTH_MAX),
            ),
        ],
    )
}

fn error_response_data() -> Value {
    object(
        "ErrorResponseData",
        "What went wrong.",
        &[],
        [
            (
                "details",
                json!({"type": "object", "description": "What is wrong with each field at fault, by its path."}),
            ),
            ("errorCode", plain("Code of the error: C1- and the HTTP status.")),
            ("errorMessage", plain("Readable account of the error.")),
        ],
    )
}

fn result() -> Value {
    let number = |description: &str| json!({"type": "integer", "minimum": 0, "description": description});
    object(
        "result",
        "Payload of a successful call.",
        &[],
        [
            (
                "hasMore",
                json!({"type": "string", "enum": ["true", "false"], "description": "Whether more rows follow, written as text."}),
            ),
            ("totalResults", number("Rows that match.")),
            ("count", number("Rows in data.")),
            ("data", json!({"type": "array", "items": {"type": "object"}, "description": "The rows."})),
        ],
    )
}

fn sdf_response() -> Value {
    object(
        "SDFResponse",
        "Envelope of the service: a result or an error.",
        &[],
        [
            ("errorData", reference("ErrorResponseData")),
            ("result", reference("result")),
            ("status", plain("success, or error where the call failed.")),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The JSON written here must equal the published document.
    #[test]
    fn every_schema_is_served_as_it_is_written() {
        let all: [Make; 13] = [
            audit_comment,
            audit_reason,
            mode,
            property,
            address,
            organization,
            organization_model,
            organizations,
            organization_with_parts,
            retire_organization,
            error_response_data,
            result,
            sdf_response,
        ];
        for schema in all {
            assert_eq!(serde_json::to_value(typed(schema())).unwrap(), schema());
        }
    }
}
