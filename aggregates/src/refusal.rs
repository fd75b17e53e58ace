//! Kinds of refusals: what a dialect answers many aggregates alike by.

use crate::values::Finding;
use chrono::{DateTime, Utc};

/// The kind of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusalKind {
    /// The aggregate does not exist, or no longer.
    NotFound,
    /// What is stored contradicts the command.
    Conflict,
    /// What is stored contradicts one member of the command.
    Taken {
        /// The member, in the words of the domain.
        field: &'static str,
    },
    /// Members of the command are wrong, whatever is stored.
    Invalid(Vec<Violation>),
    /// The caller has not the right.
    Forbidden,
    /// The caller's credentials are not good, or no longer.
    Unauthenticated,
    /// A one-time code is wrong, or was used before.
    WrongCode,
    /// There were too many attempts.
    Locked {
        /// When the next one may be made.
        until: DateTime<Utc>,
    },
}

impl RefusalKind {
    /// One wrong member.
    pub(crate) fn invalid(field: &str, detail: impl ToString) -> Self {
        RefusalKind::Invalid(vec![Violation { field: field.to_owned(), detail: detail.to_string() }])
    }

    /// Wrong members, each with its problem.
    pub(crate) fn found(findings: &[Finding]) -> Self {
        let violation =
            |finding: &Finding| Violation { field: finding.field.clone(), detail: finding.problem.to_string() };
        RefusalKind::Invalid(findings.iter().map(violation).collect())
    }
}

/// One wrong member of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the member in the words of the domain; members by dots, elements of lists by `[index]`.
    pub field: String,
    /// The rule that it breaks. Reads well behind the name of the member.
    pub detail: String,
}

/// A refusal of one aggregate.
pub trait Refuse: std::error::Error {
    /// The kind of this refusal.
    fn kind(&self) -> RefusalKind;
}
