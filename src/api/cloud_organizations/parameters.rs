//! Identifiers in paths, and the period of activities.

use crate::api::common::ApiError;
use crate::api::common::query::{FromQuery, Query};
use axum::extract::{FromRequestParts, Path, RawPathParams};
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use registrar_aggregates::values::{ApiKeyId, OrganizationId};
use std::collections::HashMap;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use uuid::Uuid;

const ORGANIZATION_ID: &str = "organizationId";
const KEY_ID: &str = "keyId";
const ACTIVITY_ID: &str = "activityId";
/// Length of a UUID as it is written.
const UUID_LENGTH: usize = 36;
/// Shortest identifier of an activity.
const ACTIVITY_ID_LENGTH_MIN: usize = 20;

/// Checks every identifier of a path and returns the organization that it names, if any.
///
/// # Errors
/// `Invalid` for a malformed identifier.
pub fn check_ids(parameters: &RawPathParams) -> Result<Option<OrganizationId>, ApiError> {
    let mut organization = None;
    for (name, text) in parameters {
        match name {
            ORGANIZATION_ID => organization = Some(OrganizationId(uuid(text, "organization")?)),
            KEY_ID => drop(uuid(text, "key")?),
            ACTIVITY_ID => {
                let length = text.chars().count();
                if length < ACTIVITY_ID_LENGTH_MIN {
                    let told = format!("length is too small: {length} < {ACTIVITY_ID_LENGTH_MIN}");
                    return Err(ApiError::invalid(told));
                }
            }
            _ => {}
        }
    }
    Ok(organization)
}

fn uuid(text: &str, of: &str) -> Result<Uuid, ApiError> {
    let id = Uuid::try_parse(text).ok().filter(|id| text.len() == UUID_LENGTH && !id.is_nil());
    id.ok_or_else(|| ApiError::invalid(format!("Invalid {of} id")))
}

/// The organization in the path, already compared with the caller's by the guard; here only for the OpenAPI document.
pub struct OrganizationPath;

/// The `{keyId}` of a path.
pub struct KeyPath(pub ApiKeyId);

/// The `{activityId}` of a path.
pub struct ActivityPath(pub String);

async fn parameter<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Result<String, ApiError> {
    let all = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
    let Path(mut all) = all.map_err(|_| ApiError::NoSuchPath)?;
    all.remove(name).ok_or_else(|| ApiError::internal("the path lacks a parameter that its operation needs"))
}

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(KeyPath(ApiKeyId(uuid(&parameter(parts, state, KEY_ID).await?, "key")?)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ActivityPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        parameter(parts, state, ACTIVITY_ID).await.map(ActivityPath)
    }
}

/// Time range; both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Earliest moment.
    pub from: Option<DateTime<Utc>>,
    /// Latest moment.
    pub to: Option<DateTime<Utc>>,
}

impl FromQuery for Period {
    fn from_query(query: &mut Query) -> Option<Self> {
        let (from, to) = (query.time("from_date"), query.time("to_date"));
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            query.findings.add("from_date", "must not be later than to_date");
        }
        Some(Period { from, to })
    }
}

impl IntoParams for OrganizationPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![in_path(ORGANIZATION_ID, "Identifier of the organization.", uuid_text())]
    }
}

impl IntoParams for KeyPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![in_path(KEY_ID, "Identifier of the key.", uuid_text())]
    }
}

impl IntoParams for ActivityPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![in_path(ACTIVITY_ID, "Identifier of the activity.", text())]
    }
}

impl IntoParams for Period {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let time = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let query = |name: &str, description: &str| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            parameter.required(Required::False).description(Some(description)).schema(Some(time())).build()
        };
        vec![query("from_date", "Earliest createdAt to return."), query("to_date", "Latest createdAt to return.")]
    }
}

fn in_path(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    parameter.description(Some(description)).schema(Some(schema)).build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))
}

fn uuid_text() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}
