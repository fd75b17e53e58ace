//! Error bodies, one shape per dialect.

use super::{ApiError, Source};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, Object, ObjectBuilder, Schema, SchemaType, Type};

/// Body of every failed request of the ECG dialect.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorDto {
    /// Repeats the HTTP status.
    #[schema(schema_with = status_schema)]
    status_code: u16,
    /// What is wrong; a list when there are several findings.
    #[schema(schema_with = message_schema)]
    message: Message,
    /// Name of the HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    error: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Message {
    One(String),
    Several(Vec<String>),
}

fn status_schema() -> Object {
    let number = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer));
    number.description(Some("Repeats the HTTP status.")).minimum(Some(400)).maximum(Some(599)).build()
}

fn message_schema() -> Schema {
    let text = || ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    AnyOfBuilder::new()
        .description(Some("What is wrong; a list when there are several findings."))
        .item(text())
        .item(ArrayBuilder::new().items(text()))
        .build()
        .into()
}

pub(super) fn ecg_body(error: &ApiError) -> String {
    let message = match error {
        ApiError::Invalid(_) | ApiError::InvalidFields(_) => Message::Several(error.findings()),
        other => Message::One(other.detail()),
    };
    let body = ErrorDto { status_code: error.status().as_u16(), message, error: error.status().canonical_reason() };
    serde_json::to_string(&body).unwrap_or_default()
}

pub(super) fn site_body(error: &ApiError) -> String {
    let (message, details) = match error {
        ApiError::Invalid(findings) => {
            // Every finding begins with its field's name.
            let field = |finding: &String| {
                let (field, wrong) = finding.split_once(' ').unwrap_or(("body", finding));
                (field.to_owned(), wrong.to_owned())
            };
            ("Validation failed".to_owned(), findings.iter().map(field).collect())
        }
        ApiError::InvalidFields(fields) => ("Validation failed".to_owned(), fields.clone()),
        ApiError::ConflictAt { fields, detail } => {
            let at = |field: &String| (field.clone(), (*detail).to_owned());
            ((*detail).to_owned(), fields.iter().map(at).collect())
        }
        ApiError::Forbidden => ("Forbidden".to_owned(), Vec::new()),
        other => (other.detail(), Vec::new()),
    };
    let mut by_field = serde_json::Map::new();
    for (field, wrong) in details {
        match by_field.get_mut(&field) {
            Some(serde_json::Value::String(said)) => said.extend(["; ", &wrong]),
            _ => drop(by_field.insert(field, wrong.into())),
        }
    }
    let code = format!("C1-{}", error.status().as_u16());
    let data = json!({"errorCode": code, "errorMessage": message, "details": by_field});
    json!({"status": "error", "errorData": data}).to_string()
}

/// An error code and, where it helps the client, the details.
pub(super) fn cloud_body(error: &ApiError, request_id: &str) -> String {
    let word = match error.status() {
        StatusCode::INTERNAL_SERVER_ERROR => "INTERNAL_ERROR".to_owned(),
        status => status.canonical_reason().unwrap_or_default().to_uppercase().replace([' ', '-'], "_"),
    };
    let text = match error {
        ApiError::Unauthenticated { .. } => format!("{word}: Key is not active"),
        ApiError::Forbidden
        | ApiError::NoSuchPath
        | ApiError::NotFound(_)
        | ApiError::TooManyRequests { .. }
        | ApiError::Internal(_) => word,
        other => format!("{word}: {}", other.detail()),
    };
    json!({"status": error.status().as_u16(), "error": text, "requestId": request_id}).to_string()
}

pub(super) fn native_body(error: &ApiError, request_id: &str) -> String {
    let mut body = json!({
        "type": "about:blank",
        "title": error.status().canonical_reason(),
        "status": error.status().as_u16(),
        "detail": error.detail(),
        "code": error.code(),
        "requestId": request_id,
    });
    if let ApiError::Invalid(_) | ApiError::InvalidFields(_) = error {
        body["findings"] = json!(error.findings());
    }
    body.to_string()
}

pub(super) fn identity_body(error: &ApiError) -> String {
    json!({ "errors": identity_errors(error) }).to_string()
}

/// One JSON:API error per place.
pub(super) fn identity_errors(error: &ApiError) -> Vec<Value> {
    let status = error.status().as_u16();
    let one = |detail: String| json!({ "code": identity_code(error), "detail": detail, "status": status });
    match error {
        ApiError::Wrong(wrong) => wrong
            .iter()
            .map(|wrong| {
                let mut told = one(wrong.to_string());
                told["source"] = match &wrong.source {
                    Source::Pointer(pointer) => json!({ "pointer": pointer }),
                    Source::Parameter(parameter) => json!({ "parameter": parameter }),
                };
                told
            })
            .collect(),
        ApiError::Invalid(_) | ApiError::InvalidFields(_) => error.findings().into_iter().map(one).collect(),
        ApiError::Refused { meta: Some(meta), .. } => {
            let mut told = one(error.detail());
            told["meta"] = meta.clone();
            vec![told]
        }
        other => vec![one(other.detail())],
    }
}

/// The dialect's own codes for errors that all dialects share.
fn identity_code(error: &ApiError) -> &'static str {
    match error {
        ApiError::Invalid(_) | ApiError::InvalidFields(_) => "validation-error",
        ApiError::Wrong(_) if error.status() == StatusCode::CONFLICT => "conflict",
        ApiError::Wrong(_) => "validation-error",
        ApiError::VersionConflict | ApiError::AlreadyAnswered => "conflict",
        ApiError::PayloadTooLarge { .. } => "too-large",
        ApiError::IdempotencyKeyReused => "idempotency-mismatch",
        ApiError::TooManyRequests { .. } => "rate-limited",
        other => other.code(),
    }
}
