//! Violations in a request, each with its place.

use std::fmt;

/// Place of a violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// JSON Pointer into the body (RFC 6901).
    Pointer(String),
    /// Name of a query parameter.
    Parameter(String),
}

impl Source {
    /// An attribute of a JSON:API document.
    #[must_use]
    pub fn attribute(name: &str) -> Self {
        Source::Pointer(format!("/data/attributes/{name}"))
    }
}

/// A violation in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestViolation {
    /// Place in the request.
    pub source: Source,
    /// Message that reads well after the name of the place.
    pub detail: String,
    /// Whether the value conflicts with stored data, rather than violating the schema.
    pub contradicts: bool,
}

impl RequestViolation {
    /// A violation of the schema.
    #[must_use]
    pub fn at(source: Source, detail: impl Into<String>) -> Self {
        RequestViolation { source, detail: detail.into(), contradicts: false }
    }

    /// A violation in an attribute of a JSON:API document.
    #[must_use]
    pub fn attribute(name: &str, detail: impl Into<String>) -> Self {
        RequestViolation::at(Source::attribute(name), detail)
    }

    /// A violation in a query parameter.
    #[must_use]
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        RequestViolation::at(Source::Parameter(name.to_owned()), detail)
    }
}

impl fmt::Display for RequestViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Source::Pointer(place) | Source::Parameter(place)) = &self.source;
        let place = if place.is_empty() { "body" } else { place };
        write!(f, "{place} {}", self.detail)
    }
}
