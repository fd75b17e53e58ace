//! Versions as entity tags (RFC 9110 8.8.3), and changing only the version that the caller has seen.

use crate::api::common::ApiError;
use axum::extract::FromRequestParts;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;

/// The entity tag of a version.
#[must_use]
pub fn entity_tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// What `If-Match` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// Nothing, or any version at all.
    Any,
    /// One of these versions. Tags that are well formed and none of ours match nothing.
    Versions(Vec<u64>),
}

impl IfMatch {
    /// The version that a command must meet, if the caller minds.
    ///
    /// # Errors
    /// `PreconditionFailed` if `current` is none of those that the caller named.
    pub fn expected(&self, current: u64) -> Result<Option<u64>, ApiError> {
        match self {
            IfMatch::Any => Ok(None),
            IfMatch::Versions(versions) if versions.contains(&current) => Ok(Some(current)),
            IfMatch::Versions(_) => Err(ApiError::PreconditionFailed),
        }
    }

    /// Reads the values of the header, of which there may be several.
    ///
    /// # Errors
    /// `Invalid` for what is no list of entity tags.
    pub fn parse<'v>(values: impl Iterator<Item = &'v [u8]>) -> Result<Self, ApiError> {
        let malformed = || ApiError::invalid("If-Match must be * or a list of entity tags such as \"1\"");
        let mut any = false;
        let mut versions = None;
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
                let versions = versions.get_or_insert_with(Vec::new);
                // Strong comparison (RFC 9110 13.1.1): a weak tag matches nothing.
                versions.extend(opaque.parse::<u64>().ok().filter(|version| !weak && version.to_string() == opaque));
            }
        }
        match (any, versions) {
            (true, Some(_)) => Err(malformed()),
            (true, None) | (false, None) => Ok(IfMatch::Any),
            (false, Some(versions)) => Ok(IfMatch::Versions(versions)),
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

    #[test]
    fn tags_name_versions() {
        assert_eq!(parsed(&[]), Some(IfMatch::Any));
        assert_eq!(parsed(&["*"]), Some(IfMatch::Any));
        assert_eq!(parsed(&["\"3\""]), Some(IfMatch::Versions(vec![3])));
        assert_eq!(parsed(&["\"3\", \"4\"", "\"5\""]), Some(IfMatch::Versions(vec![3, 4, 5])));
    }

    #[test]
    fn foreign_and_weak_tags_match_nothing() {
        assert_eq!(parsed(&["\"abc\", W/\"3\", \"03\""]), Some(IfMatch::Versions(vec![])));
        assert!(IfMatch::Versions(vec![]).expected(3).is_err());
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for value in ["3", "\"3", "*, \"3\"", "", "\"3\",", "\"3\" \"4\""] {
            assert_eq!(parsed(&[value]), None, "{value}");
        }
    }

    #[test]
    fn only_the_named_version_is_met() {
        let wanted = IfMatch::Versions(vec![2]);
        assert_eq!(wanted.expected(2).unwrap(), Some(2));
        assert!(wanted.expected(3).is_err());
    }
}
