//! Places in a request that are wrong.

use std::fmt;

/// Where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the body, by JSON Pointer (RFC 6901).
    Pointer(String),
    /// In the query, by the name of the parameter.
    Parameter(String),
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Where.
    pub source: Source,
    /// What, in words that read well behind the name.
    pub detail: String,
    /// Whether it contradicts what is there, rather than breaking its description.
    pub contradicts: bool,
}

impl Wrong {
    /// Something that breaks its description.
    #[must_use]
    pub fn at(source: Source, detail: impl Into<String>) -> Self {
        Wrong { source, detail: detail.into(), contradicts: false }
    }

    /// Something that is wrong with an attribute of a JSON:API document.
    #[must_use]
    pub fn attribute(name: &str, detail: impl Into<String>) -> Self {
        Wrong::at(Source::Pointer(format!("/data/attributes/{name}")), detail)
    }

    /// Something that is wrong with a parameter of the query.
    #[must_use]
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Wrong::at(Source::Parameter(name.to_owned()), detail)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Source::Pointer(place) | Source::Parameter(place)) = &self.source;
        let place = if place.is_empty() { "body" } else { place };
        write!(f, "{place} {}", self.detail)
    }
}
