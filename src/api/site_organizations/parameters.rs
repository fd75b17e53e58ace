//! Path and query parameters, and the `Prefer` header.

use crate::api::common::ApiError;
use crate::api::common::query::{FromQuery, Query};
use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use registrar_aggregates::organization::{COMMENT_LENGTH_MAX, REASON_LENGTH_MAX, Remark};
use registrar_aggregates::values::OrganizationId;
use registrar_projections::OrganizationDocument;
use registrar_projections::organizations::{
    BY_NAME, COUNTRIES, ENTITIES, MODES, NUMBERS, ORGANIZATION_ID, SEARCH, SUB_TYPES, id_key, text_key,
};
use registrar_projections::query::Direction;
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use uuid::Uuid;

/// Finding for a malformed identifier.
pub(super) const NOT_AN_ID: &str = "must be 32 hexadecimal digits";
/// Identifiers accepted by the operations that change an organization.
const ID_PATTERN: &str = "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$";
/// Identifiers as documented for the list; it accepts the other spellings too.
const LISTED_ID_PATTERN: &str = "^[A-F0-9]{32}$";
const LIMIT_MAX: u64 = 1000;
const LIMIT_DEFAULT: u64 = 100;
const SUB_TYPE_LENGTH_MAX: usize = 50;
const NAME_LENGTH_MAX: usize = 255;

/// Reads an identifier: 32 hexadecimal digits, or the same with the dashes of a UUID.
#[must_use]
pub fn parse_id(text: &str) -> Option<Uuid> {
    matches!(text.len(), 32 | 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

/// The `{id}` of a path; `None` if malformed.
pub struct OrganizationPath(pub Option<OrganizationId>);

impl<S: Send + Sync> FromRequestParts<S> for OrganizationPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text).unwrap_or_default();
        Ok(OrganizationPath(parse_id(&text).map(OrganizationId)))
    }
}

impl OrganizationPath {
    /// The identifier in the path.
    ///
    /// # Errors
    /// `Invalid` if malformed.
    pub fn id(&self) -> Result<OrganizationId, ApiError> {
        self.0.ok_or_else(|| ApiError::InvalidFields(vec![("id".into(), NOT_AN_ID.into())]))
    }
}

/// Whether `Prefer: return=representation` (RFC 7240) was sent.
pub struct WantsRepresentation(pub bool);

impl<S: Sync> FromRequestParts<S> for WantsRepresentation {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(WantsRepresentation(wants_representation(&parts.headers)))
    }
}

fn wants_representation(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(',')).filter_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("return").then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    // If repeated, the first one counts (RFC 7240 2).
    preferences.next().is_some_and(|value| value == "representation")
}

/// Reason and comment of an operation without a body.
pub struct RemarkParameters(pub Remark);

impl FromQuery for RemarkParameters {
    fn from_query(query: &mut Query) -> Option<Self> {
        Some(RemarkParameters(Remark { reason: query.text("reason"), comment: query.text("comment") }))
    }
}

/// Association with an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entities {
    All,
    Associated,
    NotAssociated,
}

/// Parameters of the list.
pub struct ListParameters {
    /// Largest page.
    pub limit: u64,
    /// Organizations skipped.
    pub offset: u64,
    direction: Direction,
    country_id: Option<Uuid>,
    entities: Entities,
    entity_id: Option<Uuid>,
    mode_id: Option<Uuid>,
    name: Option<String>,
    org_id: Option<String>,
    org_sub_type: Option<String>,
}

impl FromQuery for ListParameters {
    fn from_query(query: &mut Query) -> Option<Self> {
        let limit = query.whole("limit", LIMIT_DEFAULT, 0, LIMIT_MAX);
        let offset = query.whole("offset", 0, 0, u64::MAX);
        let order = query.text("order").map(|order| order.to_ascii_lowercase());
        let direction = match order.as_deref() {
            None | Some("asc") => Direction::Ascending,
            Some("desc") => Direction::Descending,
            Some(_) => {
                query.findings.add("order", "must be one of the following values: asc, desc");
                Direction::Ascending
            }
        };
        let words =
            [("all", Entities::All), ("associated", Entities::Associated), ("notAssociated", Entities::NotAssociated)];
        let entities = query.word("entitiesOption", &words).unwrap_or(Entities::All);
        let entity_id = id(query, "entityId");
        if entities != Entities::All && query.first("entityId").is_none() {
            query.findings.add("entityId", "is needed for associated and notAssociated");
        }
        let parameters = ListParameters {
            limit: limit.unwrap_or_default(),
            offset: offset.unwrap_or_default(),
            direction,
            country_id: id(query, "countryId"),
            entities,
            entity_id,
            mode_id: id(query, "modeId"),
            name: text(query, "name", 1, NAME_LENGTH_MAX),
            org_id: query.text("orgId"),
            org_sub_type: text(query, "orgSubType", 1, SUB_TYPE_LENGTH_MAX),
        };
        Some(parameters)
    }
}

fn id(query: &mut Query, name: &str) -> Option<Uuid> {
    let text = query.text(name)?;
    let id = parse_id(&text);
    if id.is_none() {
        query.findings.add(name, NOT_AN_ID);
    }
    id
}

fn text(query: &mut Query, name: &str, min: usize, max: usize) -> Option<String> {
    let text = query.text(name)?;
    let length = text.chars().count();
    if length < min {
        query.findings.add(name, "should not be empty");
    } else if length > max {
        query.findings.add(name, format!("must not be longer than {max} characters"));
    }
    Some(text)
}

/// An identifier or a text as index key.
fn key(text: &str) -> String {
    parse_id(text).map_or_else(|| text_key(text), id_key)
}

impl ListParameters {
    /// Query for a caller narrowed to the organization `only`, or not narrowed.
    #[must_use]
    pub fn query(&self, only: Option<&str>) -> registrar_projections::Query<OrganizationDocument> {
        let mut query = registrar_projections::Query::sorted(&BY_NAME, self.direction)
            .search(&SEARCH, self.name.as_deref().unwrap_or_default())
            .page(self.offset, self.limit);
        if let Some(only) = only {
            let only = Uuid::try_parse(only).map_or_else(|_| only.to_owned(), |id| id.to_string());
            query = query.equal(&ORGANIZATION_ID, only);
        }
        if let Some(country) = self.country_id {
            query = query.contains(&COUNTRIES, id_key(country));
        }
        if let Some(mode) = self.mode_id {
            query = query.contains(&MODES, id_key(mode));
        }
        if let Some(org_id) = &self.org_id {
            query = query.contains(&NUMBERS, key(org_id));
        }
        if let Some(sub_type) = &self.org_sub_type {
            query = query.contains(&SUB_TYPES, key(sub_type));
        }
        match (self.entities, self.entity_id) {
            (Entities::Associated, Some(entity)) => query.contains(&ENTITIES, id_key(entity)),
            (Entities::NotAssociated, Some(entity)) => query.lacks(&ENTITIES, id_key(entity)),
            _ => query,
        }
    }
}

impl IntoParams for OrganizationPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = ParameterBuilder::new()
            .name("id")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some("Identifier of the organization."));
        vec![parameter.schema(Some(of_type(Type::String).pattern(Some(ID_PATTERN)))).build()]
    }
}

impl IntoParams for RemarkParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = |max: usize| of_type(Type::String).max_length(Some(max));
        vec![
            parameter("reason", "Why, kept with the audit record.", text(REASON_LENGTH_MAX)),
            parameter("comment", "Free remark kept with the audit record.", text(COMMENT_LENGTH_MAX)),
        ]
    }
}

impl IntoParams for ListParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let id = || of_type(Type::String).pattern(Some(LISTED_ID_PATTERN));
        let text = |min: usize, max: usize| of_type(Type::String).min_length(Some(min)).max_length(Some(max));
        let whole = |default: u64| of_type(Type::Integer).minimum(Some(0)).default(Some(json!(default)));
        let words = |words: &[&str]| of_type(Type::String).enum_values(Some(words.iter().copied()));
        vec![
            parameter("countryId", "Keeps those with an address in this country.", id()),
            parameter(
                "entitiesOption",
                "Keeps those that are, or are not, associated with the entity.",
                words(&["all", "associated", "notAssociated"]),
            ),
            parameter("entityId", "The entity, needed for associated and notAssociated.", id()),
            parameter("limit", "Most organizations to answer.", whole(LIMIT_DEFAULT).maximum(Some(LIMIT_MAX))),
            parameter("modeId", "Keeps those in this mode.", id()),
            parameter("name", "Part of the name, letter case aside.", text(1, NAME_LENGTH_MAX)),
            parameter("offset", "Organizations to pass over.", whole(0)),
            parameter("order", "Direction of the order by name, in either case.", words(&["asc", "desc"])),
            parameter("orgId", "The organization's own number, or its identifier.", of_type(Type::String)),
            parameter("orgSubType", "Text or identifier of the sub-type.", text(1, SUB_TYPE_LENGTH_MAX)),
        ]
    }
}

fn of_type(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(kind))
}

fn parameter(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False);
    parameter.description(Some(description)).schema(Some(schema)).build()
}
