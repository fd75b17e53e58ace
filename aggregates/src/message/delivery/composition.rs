//! Messages as they are composed: addressee, texts, and what they belong to.

use crate::message::template::LINE_LENGTH_MAX;
use crate::message::{Channel, Kind};
use crate::user::{Locale, Phone};
use crate::values::{EmailAddress, Finding, MessageId, OrganizationId, Problem, RecipientId, check_length};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Largest content of a message, in bytes as JSON: sealed, which makes it a third longer, it fits into an event.
pub const CONTENT_BYTES_MAX: usize = 176 * 1024;

/// Kind of a thing that a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageSubjectKind"))]
#[serde(rename_all = "kebab-case")]
pub enum AboutKind {
    /// A user.
    User,
    /// An onboarding request of an organization.
    OnboardingRequest,
    /// The invitation of a friend.
    RegistrationInvitation,
}

/// The record that a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageSubject"))]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Kind of the thing.
    pub kind: AboutKind,
    /// Identifier of the thing.
    pub id: Uuid,
}

/// Texts of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageContent"))]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Subject of an e-mail, one line; absent for a text message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The plain text.
    pub text: String,
    /// The HTML of an e-mail; absent for a text message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Code in the texts, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Link in the texts, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// A message as it was composed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageComposition"))]
#[serde(rename_all = "camelCase")]
pub struct Composition {
    /// The message.
    pub id: MessageId,
    /// Channel by which the message is sent.
    pub channel: Channel,
    /// Kind of the message.
    pub kind: Kind,
    /// Language and country of the texts.
    pub locale: Locale,
    /// The organization in whose name the message is sent; absent for the service itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// Holder of the key that seals the address and the texts.
    pub recipient: RecipientId,
    /// The record that the message belongs to.
    pub about: About,
    /// E-mail address or telephone number (E.164).
    pub to: String,
    /// The texts.
    pub content: Content,
    /// Time of the composition, from which the 24 hours count.
    pub composed_at: DateTime<Utc>,
}

impl Composition {
    pub(super) fn check(&self) -> Result<(), Finding> {
        let is_email = self.channel == Channel::Email;
        let address =
            if is_email { EmailAddress::parse(&self.to).map(drop) } else { Phone::parse_stored(&self.to).map(drop) };
        address.map_err(|problem| problem.of("to"))?;
        if !self.kind.channels().contains(&self.channel) {
            return Err(Problem::UnknownCode.of("kind"));
        }
        let Content { subject, text, html, .. } = &self.content;
        if text.trim().is_empty() {
            return Err(Problem::Blank.of("text"));
        }
        for (field, given) in [("subject", subject.is_some()), ("html", html.is_some())] {
            if given != is_email {
                let problem = if is_email { Problem::Blank } else { Problem::UnknownCode };
                return Err(problem.of(field));
            }
        }
        check_subject(subject.as_deref().unwrap_or_default()).map_err(|problem| problem.of("subject"))?;
        let length = serde_json::to_string(&self.content).map_or(usize::MAX, |json| json.len());
        if length > CONTENT_BYTES_MAX {
            return Err(Problem::TooLarge { max: CONTENT_BYTES_MAX }.of("content"));
        }
        Ok(())
    }
}

/// Refuses a subject that would be more than one header of a mail. Names of people and organizations are part of it as
/// they are.
fn check_subject(subject: &str) -> Result<(), Problem> {
    let ends_a_line = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    if subject.chars().any(ends_a_line) {
        return Err(Problem::Control);
    }
    check_length(subject, LINE_LENGTH_MAX)
}
