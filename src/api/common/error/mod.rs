//! The one error type of the HTTP layer, and its rendering per dialect.
//!
//! A handler returns an [`ApiError`]; it travels as an extension of an empty response until [`render`] writes it in the
//! shape of the request's dialect. So handlers do not know the shape, and the chain of causes is logged in one place.

mod bodies;
mod violation;

pub use bodies::ErrorDto;
pub use violation::{RequestViolation, Source};

use crate::auth::{AuthError, HasherBusy};
use crate::journal::JournalError;
use crate::security::{self, Event};
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::error::Error;
use std::sync::Arc;

/// Refusal by a node older than the database's release.
pub const OLD_RELEASE: &str = "this node's release is too old for the database; a later release has to take its place";
/// Refusal for a state archived in the shape of another release.
const OTHER_SHAPE: &str =
    "this needs a state that an earlier release archived; the operator has to run `registrar journal resnapshot`";
/// Retry hint to clients, in seconds.
const RETRY_AFTER_SECONDS: u64 = 1;
/// The cloud dialect's equivalent of `Retry-After`.
const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Reason why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The caller is not authenticated.
    #[error("unauthenticated")]
    Unauthenticated {
        /// Whether the request carried credentials.
        credentials_sent: bool,
    },
    /// The caller lacks the permission.
    #[error("forbidden")]
    Forbidden,
    /// The path does not exist.
    #[error("no such path")]
    NoSuchPath,
    /// The path does not support the method.
    #[error("no such method")]
    NoSuchMethod,
    /// Resource not found; the text names its kind.
    #[error("{0}")]
    NotFound(&'static str),
    /// The request violates its schema; each finding begins with a field.
    #[error("{} finding(s)", .0.len())]
    Invalid(Vec<String>),
    /// As `Invalid`, with field and problem separate.
    #[error("{} finding(s)", .0.len())]
    InvalidFields(Vec<(String, String)>),
    /// As `Invalid`, with each place in the request.
    #[error("{} finding(s)", .0.len())]
    Wrong(Vec<RequestViolation>),
    /// A refusal with an error code of its own.
    #[error("{detail}")]
    Refused {
        /// HTTP status of the response.
        status: StatusCode,
        /// Error code for programs.
        code: &'static str,
        /// Text for the client.
        detail: &'static str,
        /// Further data for programs, if any.
        meta: Option<serde_json::Value>,
    },
    /// The change conflicts with stored data.
    #[error("{0}")]
    Conflict(String),
    /// As `Conflict`, with the conflicting fields of the request.
    #[error("{detail}")]
    ConflictAt {
        /// Paths of the conflicting fields.
        fields: Vec<String>,
        /// Text for the client.
        detail: &'static str,
    },
    /// Lost races: other writers changed the resource at every attempt.
    #[error("the resource was changed by another request at the same time")]
    VersionConflict,
    /// The resource is not at the version named in the precondition.
    #[error("the resource is at another version than If-Match names")]
    PreconditionFailed,
    /// The request body is too large.
    #[error("the body must not be longer than {max_bytes} bytes")]
    PayloadTooLarge {
        /// Limit in bytes.
        max_bytes: usize,
    },
    /// The operation does not accept the body's content type.
    #[error("the content type must be {expected}")]
    UnsupportedMediaType {
        /// Accepted content type.
        expected: &'static str,
    },
    /// The idempotency key was used with another request body.
    #[error("the Idempotency-Key was used before with another body")]
    IdempotencyKeyReused,
    /// Another node has just committed a response for the same idempotency key; replayed before the client sees this
    /// error.
    #[error("a request with this Idempotency-Key was just carried out")]
    AlreadyAnswered,
    /// The caller has exceeded its rate.
    #[error("too many requests")]
    TooManyRequests {
        /// Whole seconds until the next request is accepted.
        reset_seconds: u64,
    },
    /// The requested part was archived; it is in a file, no longer in the database.
    #[error("this needs events that were archived, up to position {until}; lists of events can begin after it")]
    Archived {
        /// Last archived position.
        until: u64,
    },
    /// A dependency is unavailable or busy; a retry may succeed shortly.
    #[error("not available")]
    Unavailable(#[source] Option<Box<dyn Error + Send + Sync>>),
    /// As `Unavailable`, but permanent until an operator acts as the text says.
    #[error("{detail}")]
    OutOfService {
        /// Text for the client.
        detail: &'static str,
        /// Underlying error, for the log.
        source: JournalError,
    },
    /// Internal fault.
    #[error("internal error")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

impl ApiError {
    /// Internal fault from any error or text.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        ApiError::Internal(source.into())
    }

    /// `Invalid` with one finding.
    pub fn invalid(finding: impl Into<String>) -> Self {
        ApiError::Invalid(vec![finding.into()])
    }

    /// HTTP status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            ApiError::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            ApiError::Forbidden => StatusCode::FORBIDDEN,
            ApiError::NoSuchPath | ApiError::NotFound(_) => StatusCode::NOT_FOUND,
            ApiError::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::Invalid(_) | ApiError::InvalidFields(_) => StatusCode::BAD_REQUEST,
            // Conflicts with stored data give 409 only if nothing else is wrong.
            ApiError::Wrong(wrong) if wrong.iter().all(|one| one.contradicts) => StatusCode::CONFLICT,
            ApiError::Wrong(_) => StatusCode::BAD_REQUEST,
            ApiError::Refused { status, .. } => *status,
            ApiError::Conflict(_)
            | ApiError::ConflictAt { .. }
            | ApiError::VersionConflict
            | ApiError::AlreadyAnswered => StatusCode::CONFLICT,
            ApiError::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            ApiError::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ApiError::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            ApiError::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            ApiError::Archived { .. } => StatusCode::GONE,
            ApiError::Unavailable(_) | ApiError::OutOfService { .. } => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Stable error code, never changed once published.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ApiError::Unauthenticated { .. } => "unauthenticated",
            ApiError::Forbidden => "forbidden",
            ApiError::NoSuchPath | ApiError::NotFound(_) => "not-found",
            ApiError::NoSuchMethod => "method-not-allowed",
            ApiError::Invalid(_) | ApiError::InvalidFields(_) | ApiError::Wrong(_) => "invalid",
            ApiError::Refused { code, .. } => code,
            ApiError::Conflict(_) | ApiError::ConflictAt { .. } => "conflict",
            ApiError::VersionConflict | ApiError::AlreadyAnswered => "concurrent-change",
            ApiError::PreconditionFailed => "precondition-failed",
            ApiError::PayloadTooLarge { .. } => "payload-too-large",
            ApiError::UnsupportedMediaType { .. } => "unsupported-media-type",
            ApiError::IdempotencyKeyReused => "idempotency-key-reused",
            ApiError::TooManyRequests { .. } => "too-many-requests",
            ApiError::Archived { .. } => "archived",
            ApiError::Unavailable(_) | ApiError::OutOfService { .. } => "unavailable",
            ApiError::Internal(_) => "internal",
        }
    }

    /// The errors as the identity dialect tells them, also of an act within another one.
    #[must_use]
    pub fn identity_errors(&self) -> Vec<serde_json::Value> {
        bodies::identity_errors(self)
    }

    /// All findings, each beginning with its field.
    fn findings(&self) -> Vec<String> {
        match self {
            ApiError::Invalid(findings) => findings.clone(),
            ApiError::InvalidFields(fields) => fields.iter().map(|(field, wrong)| format!("{field} {wrong}")).collect(),
            ApiError::Wrong(wrong) => wrong.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    /// Text for the client, without internals.
    fn detail(&self) -> String {
        match self {
            ApiError::Unauthenticated { .. } => "Unauthorized".to_owned(),
            ApiError::Forbidden => "Forbidden resource".to_owned(),
            ApiError::NoSuchPath => "There is nothing at this path".to_owned(),
            ApiError::NoSuchMethod => "This path has no such method".to_owned(),
            ApiError::Invalid(_) | ApiError::InvalidFields(_) | ApiError::Wrong(_) => self.findings().join("; "),
            ApiError::Unavailable(_) => "Service temporarily unavailable, try again".to_owned(),
            ApiError::Internal(_) => "Internal server error".to_owned(),
            ApiError::NotFound(_)
            | ApiError::Refused { .. }
            | ApiError::Conflict(_)
            | ApiError::ConflictAt { .. }
            | ApiError::VersionConflict
            | ApiError::PreconditionFailed
            | ApiError::PayloadTooLarge { .. }
            | ApiError::UnsupportedMediaType { .. }
            | ApiError::IdempotencyKeyReused
            | ApiError::TooManyRequests { .. }
            | ApiError::AlreadyAnswered
            | ApiError::Archived { .. }
            | ApiError::OutOfService { .. } => self.to_string(),
        }
    }

    fn headers(&self, shape: Shape) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            ApiError::Unauthenticated { .. } if shape == Shape::Cloud => {
                vec![(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="registrar", charset="UTF-8""#))]
            }
            // RFC 6750 3: no error code if the request carried no credentials.
            ApiError::Unauthenticated { credentials_sent: false } => {
                vec![(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))]
            }
            ApiError::Unauthenticated { credentials_sent: true } => {
                vec![(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer error="invalid_token""#))]
            }
            ApiError::TooManyRequests { reset_seconds } => {
                let seconds = HeaderValue::from(*reset_seconds);
                vec![(RETRY_AFTER, seconds.clone()), (RATE_LIMIT_RESET, seconds)]
            }
            ApiError::Unavailable(_) | ApiError::OutOfService { .. } => {
                vec![(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))]
            }
            _ => vec![],
        }
    }

    fn log(&self) {
        match self {
            ApiError::Internal(source) => tracing::error!(error = chain(source.as_ref()), "request failed"),
            ApiError::Unavailable(Some(source)) => tracing::warn!(error = chain(source.as_ref()), "request not served"),
            ApiError::Unavailable(None) => tracing::warn!("request not served"),
            ApiError::OutOfService { source, .. } => tracing::error!(error = chain(source), "request not served"),
            _ => {}
        }
    }
}

/// An error and its causes, on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        chain = format!("{chain}: {error}");
        cause = error.source();
    }
    chain
}

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::VersionConflict => ApiError::VersionConflict,
            JournalError::ClaimTaken { .. } => ApiError::Conflict(error.to_string()),
            JournalError::AlreadyAnswered => ApiError::AlreadyAnswered,
            JournalError::ActingForAnother => {
                security::refused(Event::Access, &error.to_string());
                ApiError::Forbidden
            }
            JournalError::Archived { until } => ApiError::Archived { until },
            JournalError::EventTooLarge { .. } => ApiError::Refused {
                // Not 413: the body is within its limit, the resulting resource is not.
                status: StatusCode::BAD_REQUEST,
                code: "too-large",
                detail: "the change is too large: what is stored of it must not be longer than 262144 bytes",
                meta: None,
            },
            JournalError::Unavailable(_) | JournalError::OtherGeneration | JournalError::Overtaken => {
                ApiError::Unavailable(Some(Box::new(error)))
            }
            JournalError::OldRelease => ApiError::OutOfService { detail: OLD_RELEASE, source: error },
            JournalError::OtherShape { .. } => ApiError::OutOfService { detail: OTHER_SHAPE, source: error },
            JournalError::NotFoldable(_) | JournalError::Corrupt(_) => ApiError::Internal(Box::new(error)),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthenticated(_) => ApiError::Unauthenticated { credentials_sent: true },
            AuthError::Unavailable(error) => error.into(),
        }
    }
}

impl From<HasherBusy> for ApiError {
    fn from(_: HasherBusy) -> Self {
        ApiError::Unavailable(None)
    }
}

/// An error on its way to [`render`].
#[derive(Clone)]
struct ErrorExtension(Arc<ApiError>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(ErrorExtension(Arc::new(self)));
        response
    }
}

/// The error of a response not yet rendered.
#[must_use]
pub fn carried(response: &Response) -> Option<&ApiError> {
    response.extensions().get::<ErrorExtension>().map(|carried| &*carried.0)
}

/// Error shape of a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{"statusCode", "message", "error"}`.
    Ecg,
    /// `{"status", "errorData": {"errorCode", "errorMessage", "details"}}`.
    Site,
    /// `{"status", "error", "requestId"}`.
    Cloud,
    /// `{"errors": [{"code", "detail", "source", "status"}]}` (JSON:API).
    Identity,
    /// Problem details (RFC 9457) with the members `code`, `findings` and `requestId`.
    Native,
}

impl Shape {
    /// Shape of the dialect that owns `path`, whether or not the path exists.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let within = |root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if within("/api") {
            Shape::Ecg
        } else if within("/ec-site-svc") {
            Shape::Site
        // The other dialect's paths under /v1 end with a slash.
        } else if within("/v1/organizations") && !path.ends_with('/') {
            Shape::Cloud
        } else if within("/v1") || within("/v2") {
            Shape::Identity
        } else {
            Shape::Native
        }
    }
}

/// Renders the error of a response, if it carries one, in `shape`, and logs its causes. The caller's tracing span ties
/// the log line to the request.
#[must_use]
pub fn render(mut response: Response, shape: Shape, request_id: &str) -> Response {
    let Some(ErrorExtension(error)) = response.extensions_mut().remove::<ErrorExtension>() else { return response };
    error.log();
    let (content_type, body) = match shape {
        Shape::Ecg => ("application/json", bodies::ecg_body(&error)),
        Shape::Site => ("application/json", bodies::site_body(&error)),
        Shape::Cloud => ("application/json", bodies::cloud_body(&error, request_id)),
        Shape::Identity => ("application/vnd.api+json", bodies::identity_body(&error)),
        Shape::Native => ("application/problem+json", bodies::native_body(&error, request_id)),
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().extend(error.headers(shape));
    *response.body_mut() = Body::from(body);
    response
}
