//! The envelope around every response body.

use crate::api::common::precondition::Revision;
use crate::api::common::{ApiError, Caller};
use crate::committer::idempotency::Answer;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG};
use serde::Serialize;
use serde_json::json;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T> {
    status: u16,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a T>,
}

/// Response with a result, and its entity tag if it has a revision.
///
/// # Errors
/// `Internal` for a result that cannot be written as JSON; every type here can.
pub fn answer<T: Serialize>(request_id: &str, result: &T, revision: Option<Revision>) -> Result<Answer, ApiError> {
    let mut answer = write(&Envelope { status: StatusCode::OK.as_u16(), request_id, result: Some(result) })?;
    answer.headers.extend(revision.map(|revision| (ETAG.to_string(), revision.entity_tag())));
    Ok(answer)
}

/// Response that reports success only.
///
/// # Errors
/// As [`answer`].
pub fn done(request_id: &str) -> Result<Answer, ApiError> {
    write(&Envelope::<()> { status: StatusCode::OK.as_u16(), request_id, result: None })
}

fn write<T: Serialize>(envelope: &Envelope<'_, T>) -> Result<Answer, ApiError> {
    let body = serde_json::to_string(envelope).map_err(ApiError::internal)?;
    let headers = vec![(CONTENT_TYPE.to_string(), "application/json".to_owned())];
    Ok(Answer { status: envelope.status, headers, body })
}

/// Request id of the caller.
#[must_use]
pub fn request_id(caller: &Caller) -> &str {
    &caller.context.metadata.request_id
}

/// Beginning of a list of activities; `]}` ends it.
#[must_use]
pub fn list_opening(request_id: &str) -> String {
    let request_id = serde_json::Value::from(request_id);
    format!(r#"{{"status":200,"requestId":{request_id},"result":["#)
}

/// The schema of an envelope around `result`.
pub(super) fn schema(description: &str, result: Option<RefOr<Schema>>) -> RefOr<Schema> {
    let envelope = of_type(Type::Object).description(Some(description));
    let envelope = envelope.property("status", status()).required("status");
    let envelope = envelope.property("requestId", request_id_schema()).required("requestId");
    let envelope = match result {
        Some(result) => envelope.property("result", result).required("result"),
        None => envelope,
    };
    RefOr::T(envelope.build().into())
}

/// The schema of an error.
pub(super) fn error_schema() -> RefOr<Schema> {
    let error = of_type(Type::String)
        .description(Some("A word for the kind of error, and after a colon what is wrong."))
        .examples([json!("BAD_REQUEST: Invalid organization id")]);
    let envelope = of_type(Type::Object).description(Some("Body of every failed request."));
    let envelope = envelope.property("status", status()).required("status").property("error", error).required("error");
    RefOr::T(envelope.property("requestId", request_id_schema()).build().into())
}

fn status() -> ObjectBuilder {
    of_type(Type::Number).description(Some("Repeats the HTTP status.")).examples([json!(200)])
}

fn request_id_schema() -> ObjectBuilder {
    of_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
        .description(Some("Identifier of the request, unless the client chose one with X-Request-Id made up for it."))
        .examples([json!("d385ab22-0f51-4b97-9ecd-b8ff3fd4fcb6")])
}

fn of_type(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(kind))
}
