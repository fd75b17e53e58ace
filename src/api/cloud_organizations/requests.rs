//! Request body that changes the organization.

use super::responses::{CLOUD_PROVIDERS, OrganizationPrivateEndpoint};
use crate::api::common::findings::Findings;
use crate::api::common::json::FromJson;
use crate::api::common::members::{MemberReader, list, text};
use registrar_aggregates::values::Problem;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Deprecated, Ref};

/// Longest name, in characters.
const NAME_LENGTH_MAX: usize = 255;

/// Changes of the organization, as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchOrganization {
    /// New name.
    pub name: Option<String>,
}

impl FromJson for PatchOrganization {
    fn from_json(json: Value, findings: &mut Findings) -> Option<Self> {
        let mut members = MemberReader::of(json, "", findings)?;
        let name = members.optional("name", name);
        // Organizations have no private endpoints here, so none can be removed, and none can be added.
        members.optional("privateEndpoints", private_endpoints);
        members.finish();
        Some(PatchOrganization { name })
    }
}

/// Trims the name; its maximum is shorter than that of other dialects.
fn name(json: Value, path: &str, findings: &mut Findings) -> Option<String> {
    let name = text(json, path, findings)?.trim().to_owned();
    if name.chars().count() > NAME_LENGTH_MAX {
        return findings.check(path, Err(Problem::TooLong { max: NAME_LENGTH_MAX }));
    }
    Some(name)
}

fn private_endpoints(json: Value, path: &str, findings: &mut Findings) -> Option<()> {
    let mut members = MemberReader::of(json, path, findings)?;
    members.optional("remove", list(private_endpoint));
    let add = members.path_of("add");
    if members.optional("add", list(private_endpoint)).is_some_and(|added| !added.is_empty()) {
        members.findings.add(&add, "cannot be used: organizations have no private endpoints here");
    }
    Some(())
}

fn private_endpoint(json: Value, path: &str, findings: &mut Findings) -> Option<()> {
    let mut members = MemberReader::of(json, path, findings)?;
    for name in ["id", "description", "region"] {
        members.optional(name, text);
    }
    members.optional("cloudProvider", |json: Value, path: &str, findings: &mut Findings| {
        let known = json.as_str().is_some_and(|provider| CLOUD_PROVIDERS.contains(&provider));
        if !known {
            findings.add(path, format!("must be one of the following values: {}", CLOUD_PROVIDERS.join(", ")));
        }
        known.then_some(())
    });
    Some(())
}

/// Members to change; those left out keep their value.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganizationPatchRequest {
    /// New name.
    #[schema(required = false, min_length = 1, max_length = 255, pattern = r"\S", examples("string"))]
    pub name: String,
    /// Endpoints to take away and then to add.
    #[schema(required = false, schema_with = private_endpoints_schema)]
    pub private_endpoints: serde::de::IgnoredAny,
}

fn private_endpoints_schema() -> Object {
    let object = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object));
    let endpoints = |description: &str| {
        let item = Ref::from_schema_name(OrganizationPrivateEndpoint::name());
        ArrayBuilder::new().items(item).description(Some(description))
    };
    object
        .description(Some(
            "Endpoints to take away and then to add. Organizations have none here, and none can be added.",
        ))
        .property("remove", endpoints("Taken away first."))
        .property("add", endpoints("Added afterwards.").deprecated(Some(Deprecated::True)))
        .build()
}
