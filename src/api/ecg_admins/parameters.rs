//! Path and query parameters, their descriptions, and the look-up of the admin in the path.

use super::trails::{TrailParameters, words_of_trails};
use crate::api::common::ApiError;
use crate::api::common::query::{FromQuery, PageParameters, Query, TAKE_DEFAULT, TAKE_MAX};
use crate::read_store::Documents;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use registrar_projections::AdminDocument;
use registrar_projections::admins::PERSON_ID;
use registrar_projections::query::Direction;
use serde_json::json;
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use uuid::Uuid;

/// Admin not found.
pub(super) const NOT_FOUND: ApiError = ApiError::NotFound(NO_ADMIN);
/// Text of [`NOT_FOUND`].
pub(super) const NO_ADMIN: &str = "ECG Admin not found";
/// Length of a UUID with its dashes.
const UUID_LENGTH: usize = 36;

/// The `{personId}` of a path: any text; only identifiers of admins and their persons match.
pub struct AdminPath(Option<Uuid>);

impl<S: Send + Sync> FromRequestParts<S> for AdminPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // A path that cannot be decoded matches no admin.
        let text = Path::<String>::from_request_parts(parts, state).await.map(|Path(text)| text).unwrap_or_default();
        Ok(AdminPath(Uuid::try_parse(&text).ok().filter(|_| text.len() == UUID_LENGTH)))
    }
}

impl AdminPath {
    /// The admin with this identifier, its own or its person's, and the position that it reflects.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn find(&self, documents: &Documents) -> Result<(u64, Arc<AdminDocument>), ApiError> {
        let id = self.0.ok_or(NOT_FOUND)?.to_string();
        let by_person = documents.find_by(&PERSON_ID, &id).await?;
        let found = match by_person.value {
            Some(_) => by_person,
            None => documents.find::<AdminDocument>(&id).await?,
        };
        Ok((found.position, found.value.ok_or(NOT_FOUND)?))
    }
}

/// Parameters of the list of admins.
pub struct ListParameters {
    /// Requested page.
    pub page: PageParameters,
    /// Search text.
    pub search_term: Option<String>,
}

impl FromQuery for ListParameters {
    fn from_query(query: &mut Query) -> Option<Self> {
        let page = query.page(Direction::Ascending);
        let search_term = query.text("searchTerm");
        Some(ListParameters { page: page?, search_term })
    }
}

impl IntoParams for AdminPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description =
            "Identifier of the person behind the admin (person.id); the id of the admin record is understood as well.";
        let parameter = ParameterBuilder::new()
            .name("personId")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(text()));
        vec![parameter.build()]
    }
}

impl IntoParams for ListParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters = page("ASC").to_vec();
        let description = "Text looked for in the first name, the last name, the contact e-mail address and the full name \
                           (first name, a space, last name).";
        parameters.push(query("searchTerm", description, text()));
        parameters
    }
}

impl IntoParams for TrailParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let [sorts, actions, ranges] = words_of_trails();
        let time = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let sort_by = format!("Member to sort audit entries by: {}.", sorts.join(", "));
        let mut parameters = page("DESC").to_vec();
        parameters.extend([
            query("sort_by", &sort_by, text().default(Some(json!("modifiedAt")))),
            query("searchTerm", "Keeps the entries with this action.", text().enum_values(Some(actions))),
            query("dateRangeType", "Named period that modifiedAt has to fall into.", text().enum_values(Some(ranges))),
            query("from", "Earliest modifiedAt to return.", time()),
            query("to", "Latest modifiedAt to return.", time()),
        ]);
        parameters
    }
}

fn page(direction: &str) -> [Parameter; 3] {
    let whole = |default: u64, minimum: u64| {
        let number = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Number));
        number.default(Some(json!(default))).minimum(Some(minimum)).multiple_of(Some(1u64))
    };
    let order_by = format!("Sort direction; {direction} unless given.");
    [
        query("order_by", &order_by, text().enum_values(Some(["ASC", "DESC"]))),
        query("skip", "How many whole pages to pass over (pages, not records).", whole(0, 0)),
        query("take", "Records per page.", whole(TAKE_DEFAULT, 1).maximum(Some(TAKE_MAX))),
    ]
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))
}

fn query(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False);
    parameter.description(Some(description)).schema(Some(schema)).build()
}
