//! Kinds of refusals: a dialect maps each kind to one response for all aggregates.

use crate::values::Finding;
use chrono::{DateTime, Utc};

/// The kind of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusalKind {
    /// The aggregate does not exist or was deleted.
    NotFound,
    /// The stored state contradicts the command.
    Conflict,
    /// The stored state contradicts one member of the command.
    Taken {
        /// The member, in the words of the domain.
        field: &'static str,
    },
    /// Members of the command are invalid, independent of the stored state.
    Invalid(Vec<Violation>),
    /// The caller lacks the right.
    Forbidden,
    /// The caller's credentials are invalid or expired.
    Unauthenticated,
    /// A one-time code is wrong or already used.
    WrongCode,
    /// Too many attempts were made.
    Locked {
        /// Time of the next allowed attempt.
        until: DateTime<Utc>,
    },
}

impl RefusalKind {
    /// A refusal of one invalid member.
    pub(crate) fn invalid(field: &str, detail: impl ToString) -> Self {
        RefusalKind::Invalid(vec![Violation { field: field.to_owned(), detail: detail.to_string() }])
    }

    /// A refusal of invalid members, each with its problem.
    pub(crate) fn found(findings: &[Finding]) -> Self {
        let violation =
            |finding: &Finding| Violation { field: finding.field.clone(), detail: finding.problem.to_string() };
        RefusalKind::Invalid(findings.iter().map(violation).collect())
    }
}

/// An invalid member of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the member in the words of the domain; members by dots, elements of lists by `[index]`.
    pub field: String,
    /// The broken rule. Reads well after the name of the member.
    pub detail: String,
}

/// A refusal of one aggregate.
pub trait Refuse: std::error::Error {
    /// The kind of this refusal.
    fn kind(&self) -> RefusalKind;
}

/// The refusal of an aggregate that refuses nothing but unfit fields.
impl Refuse for Finding {
    fn kind(&self) -> RefusalKind {
        RefusalKind::found(std::slice::from_ref(self))
    }
}
