//! Checks of texts, and the problems that values have.

use crate::text;

/// Reasons for refusing a value. They read well after the name of the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Only white space in a required text.
    #[error("should not be empty")]
    Blank,
    /// A character that no store keeps.
    #[error("must not contain the character U+0000")]
    Nul,
    /// An invisible character in a name or address, which could make two of them look alike.
    #[error("must not contain invisible or bidirectional control characters")]
    Invisible,
    /// A character in a text that changes the reading order.
    #[error("must not contain characters that override the direction of the text")]
    Override,
    /// A control character where a text has none.
    #[error("must not contain control characters")]
    Control,
    /// Not a domain name of at least two labels.
    #[error("must be a domain name")]
    NotADomain,
    /// Not an e-mail address (RFC 5321 dot-string at a domain).
    #[error("must be an email")]
    NotAnEmail,
    /// Not an ISO 3166-1 alpha-2 code.
    #[error("must be an ISO 3166-1 alpha-2 country code")]
    UnknownCountry,
    /// Not a state or territory of the United States.
    #[error("must be a state or territory code of the United States")]
    UnknownState,
    /// A code below 1.
    #[error("must be a whole number from 1 up")]
    NotACode,
    /// Neither US nor EU.
    #[error("must be one of the following values: US, EU")]
    UnknownRegion,
    /// The list is too short for the position.
    #[error("names no existing element (the list has {length})")]
    NoSuchElement {
        /// Number of elements.
        length: usize,
    },
    /// The element is required and cannot be removed.
    #[error("cannot be removed")]
    Required,
    /// Longer than the limit.
    #[error("must not be longer than {max} characters")]
    TooLong {
        /// Longest allowed, in characters.
        max: usize,
    },
    /// A longer text than the limit.
    #[error("must not be larger than {max} bytes")]
    TooManyBytes {
        /// Most allowed, in bytes.
        max: usize,
    },
    /// A text that is not in the language of templates, or that cannot be rendered.
    #[error("breaks a rule in line {line}: {rule}")]
    BrokenTemplate {
        /// Number of the line, from 1.
        line: usize,
        /// The rule, without any value of the text.
        rule: &'static str,
    },
    /// More bytes than the limit.
    #[error("must not be larger than {max} bytes as JSON")]
    TooLarge {
        /// Most allowed, in bytes.
        max: usize,
    },
    /// More members than the limit.
    #[error("must not have more than {max} members in all")]
    TooManyMembers {
        /// Most allowed.
        max: usize,
    },
    /// Deeper nesting than the limit.
    #[error("must not be nested deeper than {max} levels")]
    TooDeep {
        /// Most levels allowed.
        max: usize,
    },
    /// A number that some JSON readers cannot represent.
    #[error("must not have numbers beyond 2^53")]
    InexactNumber,
    /// Not in the code list.
    #[error("is not in the code list")]
    UnknownCode,
    /// The text differs from that of the identifier, or the region lies outside the country.
    #[error("contradicts the identifier or code it belongs to")]
    CodeMismatch,
    /// Not in the IANA time zone database.
    #[error("must be a name of the IANA time zone database")]
    UnknownTimeZone,
    /// Not an E.164 telephone number.
    #[error("must be a telephone number with a plus sign and its country's code (E.164)")]
    NotAPhone,
    /// A character that is not allowed in identifiers.
    #[error("must consist of letters, digits, '.', '_' and '-'")]
    NotAnIdentifier,
    /// A character that is not allowed in sign-up codes.
    #[error("must consist of letters from A to Z, digits, '_' and '-'")]
    NotASignUpCode,
    /// Not a calendar date.
    #[error("must be a date (YYYY-MM-DD)")]
    NotADate,
    /// No match of the published pattern.
    #[error("must be a web address")]
    NotAWebAddress,
    /// The end lies before the start.
    #[error("must not be before {start}")]
    BeforeStart {
        /// Field of the start.
        start: &'static str,
    },
    /// A host that short links must not lead to.
    #[error("is none of the hosts that links may lead to")]
    UnlistedHost,
    /// Not the path of a web address, or one that readers take in different ways.
    #[error("must be a path that begins with one slash, other characters than those of a path encoded (RFC 3986)")]
    NotAPath,
    /// A time that is over.
    #[error("must be in the future")]
    Past,
    /// A duplicate in a list of unique entries.
    #[error("must not be the same as another one")]
    Repeated,
    /// An identifier that no part of this organization has.
    #[error("names nothing that the organization has")]
    UnknownPart,
    /// A code that never was, has expired, was used, or is void.
    #[error("is unknown or no longer good")]
    ClosedCode,
    /// A change without a reason where one is mandatory.
    #[error("is needed for a change")]
    ReasonNeeded,
}

impl Problem {
    /// The finding that `field` has this problem.
    #[must_use]
    pub fn of(self, field: &str) -> Finding {
        Finding { field: field.to_owned(), problem: self }
    }
}

/// A refused field, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Finding {
    /// Path of the field from the root of the command: members by dots, list elements by `[index]`.
    pub field: String,
    /// Problem of the field.
    pub problem: Problem,
}

/// Refuses text that a store could not keep, or that would be read in another order than written.
///
/// # Errors
/// `Nul` for text with U+0000, which PostgreSQL cannot store; `Override` for bidirectional embeddings, overrides and
/// isolates. Joiners and marks are part of many scripts and are allowed.
pub fn check_text(text: &str) -> Result<(), Problem> {
    match text.chars().find(|c| *c == '\0' || text::is_override(*c)) {
        Some('\0') => Err(Problem::Nul),
        Some(_) => Err(Problem::Override),
        None => Ok(()),
    }
}

/// Refuses text longer than `max` characters.
///
/// # Errors
/// `TooLong`.
pub fn check_length(text: &str, max: usize) -> Result<(), Problem> {
    if text.chars().count() > max { Err(Problem::TooLong { max }) } else { Ok(()) }
}

/// Refuses free text, such as descriptions and comments, that could not be stored, would be misread, or is longer than
/// `max` characters. It may be empty.
///
/// # Errors
/// `Nul`, `Override`, `TooLong`.
pub fn check_free_text(text: &str, max: usize) -> Result<(), Problem> {
    check_text(text)?;
    check_length(text, max)
}

/// Refuses free text as [`check_free_text`] does, and text without anything to read: only white space, control and
/// invisible characters.
///
/// # Errors
/// `Nul`, `Override`, `TooLong`, `Blank`.
pub fn check_required_text(text: &str, max: usize) -> Result<(), Problem> {
    check_free_text(text, max)?;
    let is_blank = text.chars().all(|c| c.is_whitespace() || c.is_control() || text::is_invisible(c));
    if is_blank { Err(Problem::Blank) } else { Ok(()) }
}

/// Refuses free text as [`check_free_text`] does, and text of several lines or with control characters: it becomes a
/// header of a mail.
///
/// # Errors
/// `Nul`, `Override`, `TooLong`, `Control`.
pub fn check_line(text: &str, max: usize) -> Result<(), Problem> {
    check_free_text(text, max)?;
    let ends_a_line = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    if text.chars().any(ends_a_line) { Err(Problem::Control) } else { Ok(()) }
}

/// Refuses distinguishing text, such as names, with invisible characters.
///
/// # Errors
/// `Nul`, `Invisible`.
pub fn check_visible(text: &str) -> Result<(), Problem> {
    match text.chars().find(|c| *c == '\0' || text::is_invisible(*c)) {
        Some('\0') => Err(Problem::Nul),
        Some(_) => Err(Problem::Invisible),
        None => Ok(()),
    }
}

/// Refuses a name that is blank, could not be stored, or looks like another one.
///
/// # Errors
/// `Blank`, `Nul`, `Invisible`.
pub fn check_name(name: &str) -> Result<(), Problem> {
    if name.trim().is_empty() { Err(Problem::Blank) } else { check_visible(name) }
}

/// A name without surrounding space.
///
/// # Errors
/// Those of [`check_name`]; `TooLong` beyond `max` characters.
pub fn trimmed_name(name: &str, max: usize) -> Result<String, Problem> {
    let name = name.trim();
    check_name(name)?;
    check_length(name, max)?;
    Ok(name.to_owned())
}
