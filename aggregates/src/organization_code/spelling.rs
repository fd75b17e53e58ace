//! Spellings of sign-up codes.

use crate::text::fold;
use crate::values::{Problem, check_length};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest code, in characters.
pub const CODE_LENGTH_MAX: usize = 20;

/// A code as its organization writes it: letters of ASCII, since letters of other scripts look like them, digits, `_`
/// and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct CodeSpelling(String);

impl CodeSpelling {
    /// Checks the form.
    ///
    /// # Errors
    /// `Blank`, `TooLong`, `NotASignUpCode`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Err(Problem::Blank);
        }
        check_length(text, CODE_LENGTH_MAX)?;
        let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if fits { Ok(CodeSpelling(text.to_owned())) } else { Err(Problem::NotASignUpCode) }
    }

    /// The code that is spelled.
    #[must_use]
    pub fn id(&self) -> OrganizationCodeId {
        OrganizationCodeId(fold(&self.0))
    }
}

impl fmt::Display for CodeSpelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Identifier of a code, and name of its stream: its folded spelling, since letter case does not matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct OrganizationCodeId(String);

impl OrganizationCodeId {
    /// The code with a spelling.
    ///
    /// # Errors
    /// As [`CodeSpelling::parse`].
    pub fn parse(text: &str) -> Result<Self, Problem> {
        CodeSpelling::parse(text).map(|spelling| spelling.id())
    }

    /// The folded spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrganizationCodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling(text: &str) -> CodeSpelling {
        CodeSpelling::parse(text).unwrap_or_else(|problem| panic!("{text:?} {problem}"))
    }

    #[test]
    fn letter_case_does_not_matter_in_a_code() {
        for text in ["a", "Spring-2026", "2026_SPRING", &"x".repeat(CODE_LENGTH_MAX)] {
            let code = spelling(text);
            assert_eq!((code.to_string(), code.id()), (text.to_owned(), spelling(&text.to_uppercase()).id()));
            assert_eq!(OrganizationCodeId::parse(text).map(|id| id.to_string()), Ok(text.to_lowercase()));
        }
    }

    #[test]
    fn a_code_has_plain_characters_only() {
        for text in [" a", "a b", "a.b", ".", "..", "a/b", "a%b", "caf\u{e9}", "\u{430}cme", "a\u{200b}", "a\0", "a\n"]
        {
            assert_eq!(CodeSpelling::parse(text), Err(Problem::NotASignUpCode), "{text:?}");
        }
        assert_eq!(CodeSpelling::parse(""), Err(Problem::Blank));
        let long = "x".repeat(CODE_LENGTH_MAX + 1);
        assert_eq!(OrganizationCodeId::parse(&long), Err(Problem::TooLong { max: CODE_LENGTH_MAX }));
    }
}
