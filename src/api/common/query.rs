//! Query strings: strictly decoded, no parameter twice, no guessing. Unused parameters are ignored.

use crate::api::common::ApiError;
use crate::api::common::findings::Findings;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, SubsecRound, Utc};
use percent_encoding::percent_decode_str;
use registrar_projections::query::Direction;

/// Largest whole number accepted. Pages and positions that far away are empty, not invalid.
pub const WHOLE_MAX: u64 = u64::MAX;
/// Most records on a page.
pub const TAKE_MAX: u64 = 1000;
/// Default page size, in records.
pub const TAKE_DEFAULT: u64 = 10;

/// A set of parameters read from a query string.
pub trait FromQuery: Sized {
    /// Reads the parameters and adds all findings. `None` only if there is a finding.
    fn from_query(query: &mut Query) -> Option<Self>;
}

/// The query of a request, read as `T`.
pub struct Parameters<T>(pub T);

impl<T: FromQuery, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let read = T::from_query(&mut query);
        query.findings.or(read, " ").map(Parameters)
    }
}

/// A decoded query string.
pub struct Query {
    pairs: Vec<(String, String)>,
    /// Collects all problems.
    pub findings: Findings,
}

impl Query {
    /// Decodes a query string.
    ///
    /// # Errors
    /// `Invalid` for a `%` without two hexadecimal digits, for text that is not UTF-8 and for U+0000.
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        let malformed = || ApiError::invalid("query must be percent-encoded UTF-8 without U+0000");
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decode(name)?, decode(value)?))
            })
            .collect::<Option<_>>()
            .ok_or_else(malformed)?;
        Ok(Query { pairs, findings: Findings::default() })
    }

    /// Adds a finding for every parameter not in `names`, for operations where an unknown parameter must not be
    /// ignored.
    pub fn only(&mut self, names: &[&str]) {
        for (name, _) in &self.pairs {
            if !names.contains(&name.as_str()) {
                self.findings.add(name, "is not a parameter of this operation");
            }
        }
    }

    /// The text of a parameter, if given.
    pub fn text(&mut self, name: &str) -> Option<String> {
        if self.pairs.iter().filter(|(given, _)| given == name).count() > 1 {
            self.findings.add(name, "must not be given more than once");
        }
        self.first(name)
    }

    /// The text of a parameter, if given; no finding if it was given twice.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<String> {
        self.pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone())
    }

    /// A whole number between `min` and `max`, in plain digits, optionally with a fraction of zeros, for clients whose
    /// numbers always have a point; `default` if not given.
    pub fn whole(&mut self, name: &str, default: u64, min: u64, max: u64) -> Option<u64> {
        let Some(text) = self.text(name) else { return Some(default) };
        let integer = match text.split_once('.') {
            Some((integer, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => integer,
            _ => &text,
        };
        let digits = integer.strip_prefix('-').unwrap_or(integer);
        let whole = !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        let problem = match integer.parse::<u64>() {
            _ if !whole => "must be an integer number".to_owned(),
            Ok(number) if number > max => format!("must not be greater than {max}"),
            Ok(number) if number >= min => return Some(number),
            // Digits that do not fit are above any limit; other numbers are below.
            Err(_) if !integer.starts_with('-') => format!("must not be greater than {max}"),
            _ => format!("must not be less than {min}"),
        };
        self.findings.add(name, problem);
        None
    }

    /// A time, if given, in milliseconds (RFC 3339, with an offset).
    pub fn time(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let text = self.text(name)?;
        // chrono accepts a space for the T; RFC 3339 leaves that to applications, and we refuse it.
        let time = DateTime::parse_from_rfc3339(&text).ok().filter(|_| !text.contains(' '));
        if time.is_none() {
            self.findings.add(name, "must be an RFC 3339 date-time with an offset");
        }
        time.map(|time| time.to_utc().trunc_subsecs(3))
    }

    /// The value for one of the words in `words`.
    pub fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let known = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if known.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.findings.add(name, format!("must be one of the following values: {}", words.join(", ")));
        }
        known
    }

    /// The three parameters of every list: `order_by`, `skip` (in pages) and `take`.
    pub fn page(&mut self, default: Direction) -> Option<PageParameters> {
        let words = [("ASC", Direction::Ascending), ("DESC", Direction::Descending)];
        let direction = self.word("order_by", &words).unwrap_or(default);
        let skip = self.whole("skip", 0, 0, WHOLE_MAX);
        let take = self.whole("take", TAKE_DEFAULT, 1, TAKE_MAX);
        Some(PageParameters { direction, skip: skip?, take: take? })
    }
}

/// Times are compared as texts of one width, so those outside the years 0 to 9999 become the first and the last instant
/// within: nothing is recorded beyond.
pub fn time_key(time: DateTime<Utc>) -> String {
    let first = DateTime::<Utc>::from_timestamp_millis(-62_167_219_200_000).unwrap_or(time);
    let last = DateTime::<Utc>::from_timestamp_millis(253_402_300_799_999).unwrap_or(time);
    registrar_projections::audit_trail::time_key(time.clamp(first, last))
}

fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let bytes = text.as_bytes();
    let escaped = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let complete = (0..bytes.len()).all(|at| bytes[at] != b'%' || (escaped(at + 1) && escaped(at + 2)));
    let decoded = percent_decode_str(&text).decode_utf8().ok()?;
    (complete && !decoded.contains('\0')).then(|| decoded.into_owned())
}

/// Page number, size and direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageParameters {
    /// Direction of the order.
    pub direction: Direction,
    /// Whole pages skipped.
    pub skip: u64,
    /// Records on a page.
    pub take: u64,
}

impl PageParameters {
    /// Records skipped.
    #[must_use]
    pub fn records_skipped(&self) -> u64 {
        self.skip.saturating_mul(self.take)
    }

    /// Number of pages for `records`; 0 if there are none.
    #[must_use]
    pub fn pages(&self, records: u64) -> u64 {
        records.div_ceil(self.take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<u64, ApiError> {
        let mut query = Query::parse(&format!("n={text}")).expect("a query");
        let read = query.whole("n", 7, 0, 1000);
        query.findings.or(read, " ")
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_point() {
        for (text, number) in [("0", 0), ("0.0", 0), ("10.0", 10), ("10.000", 10), ("1000.0", 1000)] {
            assert_eq!(whole(text).ok(), Some(number), "{text}");
        }
        assert_eq!(Query::parse("").expect("a query").whole("n", 7, 0, 1000), Some(7));
    }

    #[test]
    fn parameters_that_are_no_whole_number_within_bounds_are_refused_by_name() {
        let refused = [
            ("1.5", "n must be an integer number"),
            ("1.", "n must be an integer number"),
            (".0", "n must be an integer number"),
            ("1.0.0", "n must be an integer number"),
            ("01.0", "n must be an integer number"),
            ("1e400", "n must be an integer number"),
            ("NaN", "n must be an integer number"),
            ("%2B1.0", "n must be an integer number"),
            ("-1.0", "n must not be less than 0"),
            ("1001.0", "n must not be greater than 1000"),
            ("18446744073709551616", "n must not be greater than 1000"),
            ("18446744073709551616.0", "n must not be greater than 1000"),
        ];
        for (text, finding) in refused {
            assert!(matches!(whole(text), Err(ApiError::Invalid(found)) if found == [finding]), "{text}");
        }
    }
}
