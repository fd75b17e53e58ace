//! General messages: free texts of an organization, each under a name in one locale. No command removes one.

use crate::facts::{EventFacts, event_names};
use crate::refusal::{RefusalKind, Refuse};
use crate::user::Locale;
use crate::values::{Finding, GeneralMessageId, OrganizationId, check_required_text, trimmed_name};
use crate::{Claim, ClaimKey, Decide, decide::aggregate};
use serde::{Deserialize, Serialize};

/// Longest name, in characters.
pub const NAME_LENGTH_MAX: usize = 255;
/// Longest text, in characters: six bytes each at most, as JSON, so that every event stays below 256 KiB.
pub const MESSAGE_LENGTH_MAX: usize = 16_384;

/// A general message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The general message.
    pub id: GeneralMessageId,
    /// The organization; never changes.
    pub organization_id: OrganizationId,
    /// Name by which applications find the text. Within an organization and a locale it is unique, ignoring letter
    /// case; it never changes.
    pub name: String,
    /// Locale of the text; never changes.
    pub locale: Locale,
    /// The text, of one or more lines.
    pub message: String,
}

/// Life cycle of a general message.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GeneralMessage {
    /// Never created.
    #[default]
    Absent,
    /// Created.
    Present(Message),
}

/// Commands of a general message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GeneralMessageCommand {
    /// Creates the message.
    Create(Message),
    /// Replaces the text.
    Amend(String),
}

/// Events of a general message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum GeneralMessageEvent {
    /// An organization got a text under a name in one locale.
    #[serde(rename = "general-message.created")]
    Created(Message),
    /// The text of a general message was replaced.
    #[serde(rename = "general-message.amended")]
    Amended {
        /// The new text.
        message: String,
    },
}

event_names!(GeneralMessageEvent {
    Created => "general-message.created" @ "1.0" Insert, clear [
        "/id", "/organizationId", "/name", "/locale", "/message",
    ];
    Amended => "general-message.amended" @ "1.0" Update, clear ["/message"];
});

impl EventFacts for GeneralMessageEvent {
    fn claims(&self) -> Vec<Claim> {
        match self {
            GeneralMessageEvent::Created(Message { organization_id, name, locale, .. }) => {
                vec![Claim::Take(ClaimKey::general_message(*organization_id, *locale, name))]
            }
            GeneralMessageEvent::Amended { .. } => vec![],
        }
    }
}

/// Refusals of a general message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GeneralMessageError {
    /// Message not found.
    #[error("message not found")]
    NotFound,
    /// The identifier is taken.
    #[error("message already exists")]
    AlreadyExists,
    /// The name or the text is invalid.
    #[error(transparent)]
    Unfit(#[from] Finding),
}

impl Refuse for GeneralMessageError {
    fn kind(&self) -> RefusalKind {
        match self {
            GeneralMessageError::NotFound => RefusalKind::NotFound,
            GeneralMessageError::AlreadyExists => RefusalKind::Conflict,
            GeneralMessageError::Unfit(finding) => finding.kind(),
        }
    }
}

impl Decide for GeneralMessage {
    fn creates(command: &GeneralMessageCommand) -> bool {
        matches!(command, GeneralMessageCommand::Create(_))
    }

    fn decide(&self, command: GeneralMessageCommand) -> Result<Vec<GeneralMessageEvent>, GeneralMessageError> {
        match (self, command) {
            (GeneralMessage::Absent, GeneralMessageCommand::Create(new)) => {
                let name = trimmed_name(&new.name, NAME_LENGTH_MAX).map_err(|problem| problem.of("name"))?;
                check(&new.message)?;
                Ok(vec![GeneralMessageEvent::Created(Message { name, ..new })])
            }
            (GeneralMessage::Present(_), GeneralMessageCommand::Create(_)) => Err(GeneralMessageError::AlreadyExists),
            (GeneralMessage::Absent, GeneralMessageCommand::Amend(_)) => Err(GeneralMessageError::NotFound),
            (GeneralMessage::Present(present), GeneralMessageCommand::Amend(message)) => {
                check(&message)?;
                let same = message == present.message;
                Ok(if same { vec![] } else { vec![GeneralMessageEvent::Amended { message }] })
            }
        }
    }
}

fn check(message: &str) -> Result<(), Finding> {
    check_required_text(message, MESSAGE_LENGTH_MAX).map_err(|problem| problem.of("message"))
}

impl GeneralMessage {
    /// The message, unless absent.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        match self {
            GeneralMessage::Present(message) => Some(message),
            GeneralMessage::Absent => None,
        }
    }

    fn evolve(&mut self, event: GeneralMessageEvent) {
        match (self, event) {
            (state, GeneralMessageEvent::Created(message)) => *state = GeneralMessage::Present(message),
            (GeneralMessage::Present(present), GeneralMessageEvent::Amended { message }) => present.message = message,
            // Recorded events are never refused.
            (GeneralMessage::Absent, GeneralMessageEvent::Amended { .. }) => {}
        }
    }
}

aggregate!(GeneralMessage, "general-message", GeneralMessageCommand, GeneralMessageEvent, GeneralMessageError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use crate::values::Problem;
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};
    use std::collections::HashSet;
    use uuid::Uuid;

    const ACME: OrganizationId = OrganizationId(Uuid::from_u128(10));

    fn message(name: &str, text: &str) -> Message {
        Message {
            id: GeneralMessageId(Uuid::from_u128(7)),
            organization_id: ACME,
            name: name.into(),
            locale: Locale::EsUs,
            message: text.into(),
        }
    }

    fn created() -> GeneralMessageEvent {
        GeneralMessageEvent::Created(message("contact", "Call us."))
    }

    fn amended(text: &str) -> GeneralMessageEvent {
        GeneralMessageEvent::Amended { message: text.into() }
    }

    fn create(name: &str, text: &str) -> GeneralMessageCommand {
        GeneralMessageCommand::Create(message(name, text))
    }

    fn amend(text: &str) -> GeneralMessageCommand {
        GeneralMessageCommand::Amend(text.into())
    }

    fn given(events: impl IntoIterator<Item = GeneralMessageEvent>) -> AggregateTestExecutor<GeneralMessage> {
        TestFramework::with(()).given(events.into_iter().collect())
    }

    impl Samples for GeneralMessageEvent {
        fn samples() -> Vec<Self> {
            vec![created(), amended("Write to us.")]
        }
    }

    #[test]
    fn a_message_is_created_once_under_its_trimmed_name() {
        given([]).when(create(" contact ", "Call us.")).then_expect_events(vec![created()]);
        given([created()]).when(create("contact", "Call us.")).then_expect_error(GeneralMessageError::AlreadyExists);
    }

    #[test]
    fn a_text_is_replaced_as_written_and_only_by_another_one() {
        for text in [" Call\r\n\tus 🙁", "👩\u{200d}🔬", &"ä".repeat(MESSAGE_LENGTH_MAX)] {
            given([created()]).when(amend(text)).then_expect_events(vec![amended(text)]);
            given([created(), amended(text)]).when(amend(text)).then_expect_events(vec![]);
        }
        given([]).when(amend("Call us.")).then_expect_error(GeneralMessageError::NotFound);
    }

    #[test]
    fn a_text_that_is_blank_too_long_or_misread_is_refused() {
        let long = "x".repeat(MESSAGE_LENGTH_MAX + 1);
        for (text, problem) in [
            ("", Problem::Blank),
            (" \n\u{200b}", Problem::Blank),
            ("a\0b", Problem::Nul),
            ("\u{202e}a", Problem::Override),
            (long.as_str(), Problem::TooLong { max: MESSAGE_LENGTH_MAX }),
        ] {
            let refusal = || GeneralMessageError::from(problem.clone().of("message"));
            given([]).when(create("contact", text)).then_expect_error(refusal());
            given([created()]).when(amend(text)).then_expect_error(refusal());
        }
    }

    #[test]
    fn a_name_that_is_blank_too_long_or_looks_like_another_is_refused() {
        let long = "x".repeat(NAME_LENGTH_MAX + 1);
        for (name, problem) in [
            (" ", Problem::Blank),
            ("a\0b", Problem::Nul),
            ("con\u{200b}tact", Problem::Invisible),
            (long.as_str(), Problem::TooLong { max: NAME_LENGTH_MAX }),
        ] {
            let refusal = GeneralMessageError::from(problem.of("name"));
            given([]).when(create(name, "Call us.")).then_expect_error(refusal);
        }
    }

    #[test]
    fn an_organization_has_one_text_under_a_name_in_a_locale() {
        let key = ClaimKey::general_message;
        assert_eq!(created().claims(), [Claim::Take(key(ACME, Locale::EsUs, "contact"))]);
        assert!(amended("Write to us.").claims().is_empty());
        assert_eq!(key(ACME, Locale::EsUs, "CONTACT"), key(ACME, Locale::EsUs, "contact"));
        let other = OrganizationId(Uuid::from_u128(11));
        let keys = HashSet::from([
            key(ACME, Locale::EsUs, "contact"),
            key(ACME, Locale::EnUs, "contact"),
            key(ACME, Locale::EsUs, "welcome"),
            key(other, Locale::EsUs, "contact"),
        ]);
        assert_eq!(keys.len(), 4);
    }
}
