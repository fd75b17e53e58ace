//! Sign-up codes of organizations: people who know a code sign up to its organization, by its form. A code is closed by
//! its expiry alone, and its name is never free again.

mod spelling;

pub use spelling::{CODE_LENGTH_MAX, CodeSpelling, OrganizationCodeId};

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::values::{GroupId, JsonBounds, OrganizationId, Problem, check_texts};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bounds of an enrollment form.
pub const FORM_BOUNDS: JsonBounds = JsonBounds { bytes_max: 16 * 1024, members_max: 1_000, depth_max: 16 };
/// Bounds of the data that people enter in a form.
pub const ENROLLMENT_BOUNDS: JsonBounds = JsonBounds { bytes_max: 64 * 1024, members_max: 1_000, depth_max: 16 };

/// Terms of a sign-up by a code: the organization, perhaps a group, the end and the form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "OrganizationCodeTerms"))]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// The organization that people sign up to; never changes.
    pub organization_id: OrganizationId,
    /// Group that they are placed in. One that takes no individuals any more is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub individual_group_id: Option<GroupId>,
    /// Time from which the code is closed; absent for a code without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Form that they fill in, a JSON Schema of their enrollment data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<serde_json::Map<String, Value>>"))]
    pub enrollment_schema: Option<Value>,
}

impl Terms {
    /// Whether the code has not expired.
    #[must_use]
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// Life cycle of a code.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrganizationCode {
    /// Never created.
    #[default]
    Absent,
    /// Created; closed once expired.
    Present(Terms),
}

/// Changes of a code, for later sign-ups only. Absent members stay as they are; `Some(None)` clears a member.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// The new group.
    pub individual_group_id: Option<Option<GroupId>>,
    /// The new end; one in the past closes the code.
    pub expires_at: Option<Option<DateTime<Utc>>>,
    /// The new form.
    pub enrollment_schema: Option<Option<Value>>,
}

/// Commands of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrganizationCodeCommand {
    /// Creates the code.
    Create {
        /// The code as its organization writes it.
        spelling: CodeSpelling,
        /// Terms of a sign-up by the code.
        terms: Terms,
    },
    /// Changes the given members, all of them or none.
    Amend(Amendment),
}

/// Events of a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum OrganizationCodeEvent {
    /// An organization got a sign-up code.
    #[serde(rename = "organization-code.created")]
    Created {
        /// The code in lower case: letter case does not matter.
        id: OrganizationCodeId,
        /// The code as its organization writes it.
        spelling: CodeSpelling,
        /// Terms of a sign-up by the code.
        terms: Terms,
    },
    /// The group, the end or the form of a sign-up code changed, for later sign-ups only.
    #[serde(rename = "organization-code.amended")]
    Amended {
        /// Terms of later sign-ups by the code.
        terms: Terms,
    },
}

event_names!(OrganizationCodeEvent {
    Created => "organization-code.created" @ "1.0" Insert, clear [
        "/id", "/spelling", "/terms/organizationId", "/terms/individualGroupId", "/terms/expiresAt",
        "/terms/enrollmentSchema/**",
    ];
    Amended => "organization-code.amended" @ "1.0" Update, clear [
        "/terms/organizationId", "/terms/individualGroupId", "/terms/expiresAt", "/terms/enrollmentSchema/**",
    ];
});

impl EventFacts for OrganizationCodeEvent {}

/// Refusals of a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrganizationCodeError {
    /// Code not found.
    #[error("code not found")]
    NotFound,
    /// The code is taken, perhaps by another organization.
    #[error("code already exists")]
    AlreadyExists,
    /// The organization has no such group; another organization may have it.
    #[error("names no group")]
    UnknownGroup,
    /// Divisions, provider-only groups and groups of the system are not joined by a code.
    #[error("names a group that takes no individuals")]
    UnfitGroup,
    /// The form is out of bounds, or no schema that data can be checked by.
    #[error("enrollment schema {0}")]
    UnfitForm(String),
}

impl Refuse for OrganizationCodeError {
    fn kind(&self) -> RefusalKind {
        match self {
            OrganizationCodeError::NotFound => RefusalKind::NotFound,
            OrganizationCodeError::AlreadyExists => RefusalKind::Taken { field: "id" },
            OrganizationCodeError::UnknownGroup | OrganizationCodeError::UnfitGroup => {
                RefusalKind::invalid("individualGroupId", self)
            }
            OrganizationCodeError::UnfitForm(rule) => RefusalKind::invalid("enrollmentSchema", rule),
        }
    }
}

impl Decide for OrganizationCode {
    fn creates(command: &OrganizationCodeCommand) -> bool {
        matches!(command, OrganizationCodeCommand::Create { .. })
    }

    fn decide(&self, command: OrganizationCodeCommand) -> Result<Vec<OrganizationCodeEvent>, OrganizationCodeError> {
        match (self, command) {
            (OrganizationCode::Absent, OrganizationCodeCommand::Create { spelling, terms }) => {
                let terms = fit(terms)?;
                Ok(vec![OrganizationCodeEvent::Created { id: spelling.id(), spelling, terms }])
            }
            (OrganizationCode::Present(_), OrganizationCodeCommand::Create { .. }) => {
                Err(OrganizationCodeError::AlreadyExists)
            }
            (OrganizationCode::Absent, OrganizationCodeCommand::Amend(_)) => Err(OrganizationCodeError::NotFound),
            (OrganizationCode::Present(present), OrganizationCodeCommand::Amend(amendment)) => {
                let terms = fit(Terms {
                    organization_id: present.organization_id,
                    individual_group_id: amendment.individual_group_id.unwrap_or(present.individual_group_id),
                    expires_at: amendment.expires_at.unwrap_or(present.expires_at),
                    enrollment_schema: match amendment.enrollment_schema {
                        Some(schema) => schema,
                        None => present.enrollment_schema.clone(),
                    },
                })?;
                Ok(if terms == *present { vec![] } else { vec![OrganizationCodeEvent::Amended { terms }] })
            }
        }
    }
}

fn fit(terms: Terms) -> Result<Terms, OrganizationCodeError> {
    let schema = terms.enrollment_schema.map(|schema| fit_json(FORM_BOUNDS, schema)).transpose();
    let unfit = |problem: Problem| OrganizationCodeError::UnfitForm(problem.to_string());
    Ok(Terms { enrollment_schema: schema.map_err(unfit)?, ..terms })
}

/// Enrollment data with its numbers in their plain form, as it is to be stored. Its form is not checked.
///
/// # Errors
/// `TooDeep`, `TooManyMembers`, `InexactNumber`, `TooLarge`, `Nul`, `Override`.
pub fn fit_enrollment(data: Value) -> Result<Value, Problem> {
    fit_json(ENROLLMENT_BOUNDS, data)
}

fn fit_json(bounds: JsonBounds, mut value: Value) -> Result<Value, Problem> {
    bounds.settle(&mut value)?;
    // Forms are shown to people.
    check_texts(&value)?;
    Ok(value)
}

impl OrganizationCode {
    /// The terms, unless the code was never created.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        match self {
            OrganizationCode::Absent => None,
            OrganizationCode::Present(terms) => Some(terms),
        }
    }

    /// The terms of a code that has not expired. Whether its organization takes additions is not checked.
    #[must_use]
    pub fn open_at(&self, now: DateTime<Utc>) -> Option<&Terms> {
        self.terms().filter(|terms| terms.is_open(now))
    }

    fn evolve(&mut self, event: OrganizationCodeEvent) {
        let (OrganizationCodeEvent::Created { terms, .. } | OrganizationCodeEvent::Amended { terms }) = event;
        *self = OrganizationCode::Present(terms);
    }
}

aggregate!(
    OrganizationCode,
    "organization-code",
    OrganizationCodeCommand,
    OrganizationCodeEvent,
    OrganizationCodeError
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use chrono::TimeDelta;
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};
    use serde_json::json;
    use uuid::Uuid;

    fn given(events: impl IntoIterator<Item = OrganizationCodeEvent>) -> AggregateTestExecutor<OrganizationCode> {
        TestFramework::with(()).given(events.into_iter().collect())
    }

    fn spelling(text: &str) -> CodeSpelling {
        CodeSpelling::parse(text).unwrap_or_else(|problem| panic!("{text:?} {problem}"))
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn form() -> Value {
        json!({ "type": "object", "properties": { "mrn": { "type": "string", "maxLength": 12 } }, "required": ["mrn"] })
    }

    fn terms() -> Terms {
        Terms {
            organization_id: OrganizationId(Uuid::from_u128(10)),
            individual_group_id: Some(GroupId(Uuid::from_u128(6))),
            expires_at: Some(at(60)),
            enrollment_schema: Some(form()),
        }
    }

    fn with(schema: Value) -> Terms {
        Terms { enrollment_schema: Some(schema), ..terms() }
    }

    fn create(terms: Terms) -> OrganizationCodeCommand {
        OrganizationCodeCommand::Create { spelling: spelling("Spring-2026"), terms }
    }

    fn created(terms: Terms) -> OrganizationCodeEvent {
        let spelling = spelling("Spring-2026");
        OrganizationCodeEvent::Created { id: spelling.id(), spelling, terms }
    }

    fn amended(terms: Terms) -> OrganizationCodeEvent {
        OrganizationCodeEvent::Amended { terms }
    }

    impl Samples for OrganizationCodeEvent {
        fn samples() -> Vec<Self> {
            vec![created(terms()), amended(Terms { expires_at: Some(at(30)), ..terms() })]
        }
    }

    #[test]
    fn a_code_is_created_once() {
        given([]).when(create(terms())).then_expect_events(vec![created(terms())]);
        given([created(terms())]).when(create(terms())).then_expect_error(OrganizationCodeError::AlreadyExists);
        let plain = || Terms { individual_group_id: None, expires_at: None, enrollment_schema: None, ..terms() };
        given([]).when(create(plain())).then_expect_events(vec![created(plain())]);
    }

    #[test]
    fn a_code_is_open_until_it_expires() {
        let state = OrganizationCode::Present(terms());
        assert_eq!(state.open_at(at(59)), Some(&terms()));
        assert_eq!((state.open_at(at(60)), state.open_at(at(61))), (None, None));
        let endless = OrganizationCode::Present(Terms { expires_at: None, ..terms() });
        assert!(endless.open_at(at(1_000_000)).is_some());
        assert_eq!(OrganizationCode::Absent.open_at(at(0)), None);
    }

    #[test]
    fn only_changed_values_are_recorded() {
        let amend = OrganizationCodeCommand::Amend;
        let before = || [created(terms())];
        given(before()).when(amend(Amendment::default())).then_expect_events(vec![]);
        let same = Amendment { enrollment_schema: Some(Some(form())), ..Amendment::default() };
        given(before()).when(amend(same)).then_expect_events(vec![]);
        let closed = Amendment { expires_at: Some(Some(at(-1))), ..Amendment::default() };
        let terms_closed = Terms { expires_at: Some(at(-1)), ..terms() };
        given(before()).when(amend(closed.clone())).then_expect_events(vec![amended(terms_closed)]);
        given([]).when(amend(closed)).then_expect_error(OrganizationCodeError::NotFound);
        let cleared =
            Amendment { individual_group_id: Some(None), expires_at: Some(None), enrollment_schema: Some(None) };
        let plain = Terms { individual_group_id: None, expires_at: None, enrollment_schema: None, ..terms() };
        given(before()).when(amend(cleared)).then_expect_events(vec![amended(plain)]);
    }

    #[test]
    fn numbers_of_a_form_are_kept_in_their_plain_form() {
        let kept = created(with(json!({ "maxProperties": 7 })));
        given([]).when(create(with(json!({ "maxProperties": 7.0 })))).then_expect_events(vec![kept]);
    }

    #[test]
    fn enrollment_data_are_bounded_and_kept_in_their_plain_form() {
        assert_eq!(fit_enrollment(json!({ "age": 7.0 })), Ok(json!({ "age": 7 })));
        let large = json!({ "a": "x".repeat(ENROLLMENT_BOUNDS.bytes_max) });
        assert_eq!(fit_enrollment(large), Err(Problem::TooLarge { max: ENROLLMENT_BOUNDS.bytes_max }));
        assert_eq!(fit_enrollment(json!(["a\0"])), Err(Problem::Nul));
    }

    #[test]
    fn a_form_out_of_bounds_or_with_texts_that_are_misread_is_refused() {
        let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "not": inner }));
        let many: serde_json::Map<_, _> = (0..=1_000).map(|number| (format!("m{number}"), json!(1))).collect();
        let frame = json!({ "title": "" }).to_string().len();
        let titled = |length: usize| json!({ "title": "x".repeat(length) });
        given([])
            .when(create(with(titled(FORM_BOUNDS.bytes_max - frame))))
            .then_expect_events(vec![created(with(titled(FORM_BOUNDS.bytes_max - frame)))]);
        given([]).when(create(with(nested(16)))).then_expect_events(vec![created(with(nested(16)))]);
        for (schema, problem) in [
            (titled(FORM_BOUNDS.bytes_max - frame + 1), Problem::TooLarge { max: FORM_BOUNDS.bytes_max }),
            (nested(17), Problem::TooDeep { max: 16 }),
            (many.into(), Problem::TooManyMembers { max: 1_000 }),
            (json!({ "maximum": 1e300 }), Problem::InexactNumber),
            (json!({ "enum": ["a\u{202e}b"] }), Problem::Override),
            (json!({ "properties": { "a\0b": {} } }), Problem::Nul),
        ] {
            let refusal = || OrganizationCodeError::UnfitForm(problem.to_string());
            given([]).when(create(with(schema.clone()))).then_expect_error(refusal());
            let change = Amendment { enrollment_schema: Some(Some(schema)), ..Amendment::default() };
            given([created(terms())]).when(OrganizationCodeCommand::Amend(change)).then_expect_error(refusal());
        }
    }
}
