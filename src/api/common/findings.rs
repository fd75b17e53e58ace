//! Findings about a request: all at once, each naming its field by path.

use crate::api::common::ApiError;
use registrar_aggregates::values::Problem;
use std::fmt::{self, Display, Write};

/// Most findings reported; a client gains nothing from more.
const FINDINGS_MAX: usize = 50;
/// Longest path repeated to the client, in characters.
const PATH_LENGTH_MAX: usize = 200;

#[derive(Debug, PartialEq, Eq)]
enum FindingDetail {
    Problem(String),
    Unexpected,
}

/// Findings in the order in which they were made.
#[derive(Debug, Default)]
pub struct Findings(Vec<(String, FindingDetail)>);

impl Findings {
    /// Adds a finding for the field at `path`, in words that read well after its name.
    pub fn add(&mut self, path: impl Display, problem: impl Into<String>) {
        self.push(path, FindingDetail::Problem(problem.into()));
    }

    /// Adds a finding for an unknown member.
    pub fn unexpected(&mut self, path: impl Display) {
        self.push(path, FindingDetail::Unexpected);
    }

    fn push(&mut self, path: impl Display, wrong: FindingDetail) {
        // The client determines the number of findings and the length of each path.
        if self.0.len() >= FINDINGS_MAX {
            return;
        }
        let finding = (beginning(path), wrong);
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }

    /// The parsed domain value, or `None` and a finding.
    pub fn check<T>(&mut self, path: impl Display, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.add(path, problem.to_string())).ok()
    }

    /// Whether a finding concerns `path` or a part that contains it.
    #[must_use]
    pub fn cover(&self, path: &str) -> bool {
        let within =
            |whole: &str| path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.0.iter().any(|(found, _)| within(found))
    }

    /// Each field with its problem, in the order found.
    #[must_use]
    pub fn fields(self) -> Vec<(String, String)> {
        let field = |(path, wrong)| match wrong {
            FindingDetail::Problem(problem) => (path, problem),
            FindingDetail::Unexpected => (path, "should not exist".to_owned()),
        };
        self.0.into_iter().map(field).collect()
    }

    /// Whether no findings were made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value, unless there are findings; `between` separates field and problem.
    ///
    /// # Errors
    /// `Invalid` with all findings.
    pub fn or<T>(self, value: Option<T>, between: &str) -> Result<T, ApiError> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(ApiError::Invalid(self.messages(between))),
        }
    }

    fn messages(self, between: &str) -> Vec<String> {
        let message = |(path, wrong): (String, FindingDetail)| match wrong {
            FindingDetail::Problem(problem) => format!("{path}{between}{problem}"),
            FindingDetail::Unexpected => format!("property {path} should not exist"),
        };
        self.0.into_iter().map(message).collect()
    }
}

/// Beginning of a path; formatting stops at the limit.
fn beginning(path: impl Display) -> String {
    struct PathPrefix(String, usize);

    impl Write for PathPrefix {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let fitting = text.char_indices().nth(self.1).map_or(text.len(), |(end, _)| end);
            self.0.push_str(&text[..fitting]);
            self.1 -= text[..fitting].chars().count();
            if fitting < text.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut beginning = PathPrefix(String::new(), PATH_LENGTH_MAX);
    // Formatting returns an error where the path is cut off.
    let _ = write!(beginning, "{path}");
    beginning.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_after_its_first_characters() {
        let mut findings = Findings::default();
        findings.add("ä".repeat(300), "is wrong");
        findings.add(format_args!("{}.{}", "a".repeat(199), "b".repeat(1_000_000)), "is wrong");
        let paths: Vec<_> = findings.fields().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["ä".repeat(200), format!("{}.", "a".repeat(199))]);
    }

    #[test]
    fn findings_end_at_a_bound() {
        let mut findings = Findings::default();
        (0..1_000).for_each(|number| findings.unexpected(number));
        assert_eq!(findings.fields().len(), FINDINGS_MAX);
    }
}
