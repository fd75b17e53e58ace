//! Mapping of domain refusals to errors: one rule by their kind, and messages per dialect.

use crate::api::common::ApiError;
use crate::journal::JournalError;
use crate::security::{self, Event};
use chrono::Utc;
use registrar_aggregates::{RefusalKind, Refuse, Violation};

/// A dialect's messages for refusals of type `R`.
pub trait RefusalMessages<R: Refuse> {
    /// Message for a resource that does not exist; `None` if the dialect has no resource of that kind, so that its
    /// client cannot have named one.
    fn missing(&self, refusal: &R) -> Option<&'static str>;

    /// Error for invalid members.
    fn invalid(&self, refusal: &R, violations: &[Violation]) -> ApiError;

    /// Error for a `field` that conflicts with stored data.
    fn taken(&self, refusal: &R, _field: &'static str) -> ApiError {
        ApiError::Conflict(refusal.to_string())
    }

    /// Error for a wrong one-time code.
    fn wrong_code(&self, refusal: &R) -> ApiError {
        ApiError::Conflict(refusal.to_string())
    }
}

/// Error for a refusal.
pub fn answer_to<R: Refuse>(refusal: &R, words: &impl RefusalMessages<R>) -> ApiError {
    let conflict = || ApiError::Conflict(refusal.to_string());
    match refusal.kind() {
        RefusalKind::NotFound => words.missing(refusal).map_or_else(conflict, ApiError::NotFound),
        RefusalKind::Conflict => conflict(),
        RefusalKind::Taken { field } => words.taken(refusal, field),
        RefusalKind::Invalid(violations) => words.invalid(refusal, &violations),
        RefusalKind::Forbidden => {
            security::refused(Event::Grant, &refusal.to_string());
            ApiError::Forbidden
        }
        RefusalKind::Unauthenticated => ApiError::Unauthenticated { credentials_sent: true },
        RefusalKind::WrongCode => words.wrong_code(refusal),
        RefusalKind::Locked { until } => {
            let seconds = (until - Utc::now()).num_seconds() + 1;
            ApiError::TooManyRequests { reset_seconds: u64::try_from(seconds).unwrap_or(1).max(1) }
        }
    }
}

/// Error for a journal error. A lost race is a failed precondition if the client named a version.
pub fn not_committed(error: JournalError, expected: Option<u64>) -> ApiError {
    match error.into() {
        ApiError::VersionConflict if expected.is_some() => ApiError::PreconditionFailed,
        error => error,
    }
}
