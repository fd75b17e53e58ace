//! Versions as entity tags (RFC 9110 8.8.3), and changes conditional on the version that the caller has seen.

use crate::api::common::ApiError;
use axum::extract::FromRequestParts;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use registrar_projections::groups::GroupDocument;
use registrar_projections::stamped::Stamped;
use registrar_projections::{AdminDocument, UserDocument};

/// A version of a document. A database that lost its last commits reuses version numbers, but not at the same
/// millisecond, so tags given out before match none of the new versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// Version of the stream.
    version: u64,
    /// Commit time of the version, in milliseconds.
    recorded_at: i64,
}

impl Revision {
    fn new(version: u64, recorded_at: DateTime<Utc>) -> Self {
        Revision { version, recorded_at: recorded_at.timestamp_millis() }
    }

    /// The entity tag.
    #[must_use]
    pub fn entity_tag(self) -> String {
        let Revision { version, recorded_at } = self;
        format!("\"{version}-{recorded_at:x}\"")
    }

    /// Reads the text between the quotes; `None` unless [`Revision::entity_tag`] writes it.
    fn parse(opaque: &str) -> Option<Self> {
        let (version, recorded_at) = opaque.split_once('-')?;
        let revision =
            Revision { version: version.parse().ok()?, recorded_at: i64::from_str_radix(recorded_at, 16).ok()? };
        (revision.entity_tag().trim_matches('"') == opaque).then_some(revision)
    }
}

/// The entity tag of a document.
#[must_use]
pub fn entity_tag(document: impl Into<Revision>) -> String {
    document.into().entity_tag()
}

impl From<&AdminDocument> for Revision {
    fn from(document: &AdminDocument) -> Self {
        Revision::new(document.version, document.audit_info.updated_at)
    }
}

impl From<&GroupDocument> for Revision {
    fn from(document: &GroupDocument) -> Self {
        Revision::new(document.version, document.updated_at)
    }
}

impl From<&UserDocument> for Revision {
    fn from(document: &UserDocument) -> Self {
        Revision::new(document.version, document.updated_at)
    }
}

impl<S> From<&Stamped<S>> for Revision {
    fn from(document: &Stamped<S>) -> Self {
        Revision::new(document.version, document.updated_at)
    }
}

/// Precondition in `If-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// No precondition, or `*`.
    Any,
    /// One of these revisions. Well-formed tags that are not ours match nothing.
    Revisions(Vec<Revision>),
}

impl IfMatch {
    /// The version that a command must meet, if the caller set a precondition.
    ///
    /// # Errors
    /// `PreconditionFailed` if `current` is not among the caller's revisions.
    pub fn expected(&self, current: impl Into<Revision>) -> Result<Option<u64>, ApiError> {
        let current = current.into();
        match self {
            IfMatch::Any => Ok(None),
            IfMatch::Revisions(revisions) if revisions.contains(&current) => Ok(Some(current.version)),
            IfMatch::Revisions(_) => Err(ApiError::PreconditionFailed),
        }
    }

    /// Reads the values of the header, which may be repeated.
    ///
    /// # Errors
    /// `Invalid` for a malformed list of entity tags.
    pub fn parse<'v>(values: impl Iterator<Item = &'v [u8]>) -> Result<Self, ApiError> {
        let malformed = || ApiError::invalid("If-Match must be * or a list of entity tags such as \"1-19aab\"");
        let mut any = false;
        let mut revisions = None;
        for value in values {
            let value = std::str::from_utf8(value).map_err(|_| malformed())?;
            for tag in value.split(',').map(str::trim) {
                if tag == "*" {
                    any = true;
                    continue;
                }
                let (weak, quoted) = tag.strip_prefix("W/").map_or((false, tag), |quoted| (true, quoted));
                let opaque = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(malformed)?;
                if opaque.contains('"') {
                    return Err(malformed());
                }
                let revisions = revisions.get_or_insert_with(Vec::new);
                // Strong comparison (RFC 9110 13.1.1): a weak tag matches nothing.
                revisions.extend(Revision::parse(opaque).filter(|_| !weak));
            }
        }
        match (any, revisions) {
            (true, Some(_)) => Err(malformed()),
            (true, None) | (false, None) => Ok(IfMatch::Any),
            (false, Some(revisions)) => Ok(IfMatch::Revisions(revisions)),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        IfMatch::parse(parts.headers.get_all(IF_MATCH).iter().map(|value| value.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(values: &[&str]) -> Option<IfMatch> {
        IfMatch::parse(values.iter().map(|value| value.as_bytes())).ok()
    }

    fn revision(version: u64, recorded_at: i64) -> Revision {
        Revision { version, recorded_at }
    }

    #[test]
    fn tags_name_revisions() {
        assert_eq!(parsed(&[]), Some(IfMatch::Any));
        assert_eq!(parsed(&["*"]), Some(IfMatch::Any));
        let tags = [revision(3, 26), revision(4, 1), revision(5, 0)].map(Revision::entity_tag);
        assert_eq!(tags, ["\"3-1a\"", "\"4-1\"", "\"5-0\""]);
        assert_eq!(parsed(&[&tags[0]]), Some(IfMatch::Revisions(vec![revision(3, 26)])));
        let both = format!("{}, {}", tags[0], tags[1]);
        assert_eq!(parsed(&[&both]), Some(IfMatch::Revisions(vec![revision(3, 26), revision(4, 1)])));
        assert_eq!(parsed(&[&tags[0], &tags[1]]), parsed(&[&both]));
    }

    #[test]
    fn foreign_and_weak_tags_match_nothing() {
        let foreign =
            "\"abc\", W/\"3-1a\", \"03-1a\", \"3-1A\", \"3\", \"3-\", \"3-01a\", \"3-1a-1\", \"+3-1a\", \"3-+1a\"";
        assert_eq!(parsed(&[foreign]), Some(IfMatch::Revisions(vec![])));
        assert!(IfMatch::Revisions(vec![]).expected(revision(3, 26)).is_err());
    }

    #[test]
    fn malformed_tags_are_refused() {
        for value in ["3", "\"3", "*, \"3\"", "", "\"3\",", "\"3\" \"4\""] {
            assert_eq!(parsed(&[value]), None, "{value}");
        }
    }

    #[test]
    fn only_the_named_revision_is_met() {
        let wanted = IfMatch::Revisions(vec![revision(2, 26)]);
        assert_eq!(wanted.expected(revision(2, 26)).unwrap(), Some(2));
        assert!(wanted.expected(revision(3, 26)).is_err());
    }

    #[test]
    fn a_version_of_another_time_is_another_revision() {
        let wanted = IfMatch::Revisions(vec![revision(2, 26)]);
        assert!(wanted.expected(revision(2, 27)).is_err());
    }
}
