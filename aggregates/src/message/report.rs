//! Reports about a message that was handed over: a mail service, the mail server of the recipient or a gateway says what
//! became of it. They come in any order, late, and more than once.

use super::Channel;
use super::template::LINE_LENGTH_MAX;
use crate::text;
use crate::values::{Finding, Problem, check_line};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Most reports that are recorded of one message. Services send a few; more come from one that repeats itself.
pub const REPORTS_MAX: usize = 32;
/// Longest report that is kept in its own words, in bytes. Sealed, which makes it a third longer, it fits into an event.
pub const RAW_BYTES_MAX: usize = 32 * 1024;
/// Longest address, in characters.
pub const ADDRESS_LENGTH_MAX: usize = 320;
/// Longest identifier or class, in characters.
pub const WORD_LENGTH_MAX: usize = 128;
/// Shortest run of digits that is taken for a code.
const CODE_DIGITS: usize = 6;
/// Shortest word that is taken for a part of a link: the length of the codes of invitations.
const LINK_WORD: usize = 20;
/// Replacement of what could be a code or a part of a link.
const MASK: &str = "***";

/// Source of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageReportSource"))]
#[serde(rename_all = "lowercase")]
pub enum ReportSource {
    /// A notification of Amazon SES.
    Ses,
    /// A delivery status notification of a mail server (RFC 3464).
    Dsn,
    /// A status of the gateway of text messages.
    Sms,
}

impl ReportSource {
    /// The source as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ReportSource::Ses => "ses",
            ReportSource::Dsn => "dsn",
            ReportSource::Sms => "sms",
        }
    }

    /// Channel of the messages that the source reports on.
    #[must_use]
    pub const fn channel(self) -> Channel {
        match self {
            ReportSource::Ses | ReportSource::Dsn => Channel::Email,
            ReportSource::Sms => Channel::Sms,
        }
    }
}

/// Fate of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageOutcome"))]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It has arrived.
    Delivered,
    /// It does not arrive.
    Bounced,
    /// It has not arrived yet, or this time.
    Delayed,
    /// It came back without a clear reason.
    Undetermined,
    /// It has arrived, and the recipient does not want such messages.
    Complained,
}

impl Outcome {
    /// The fate as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Bounced => "bounced",
            Outcome::Delayed => "delayed",
            Outcome::Undetermined => "undetermined",
            Outcome::Complained => "complained",
        }
    }

    /// Whether the report tells the end of the message's way.
    #[must_use]
    pub const fn settles(self) -> bool {
        match self {
            Outcome::Delivered | Outcome::Bounced | Outcome::Complained => true,
            Outcome::Delayed | Outcome::Undetermined => false,
        }
    }
}

/// A report about a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageReport"))]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Keyed digest of the report's content, by which a repetition is recognised.
    pub id: String,
    /// Source of the report.
    pub source: ReportSource,
    /// Fate of the message.
    pub outcome: Outcome,
    /// The source's own class of the outcome, such as a status code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Time of the outcome.
    pub at: DateTime<Utc>,
    /// The address that the report names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Keyed digest of that e-mail address, by which its reports are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_key: Option<String>,
    /// Subject of the mail, with codes and links masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Address of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Identifier that the source gave the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The report in its own words, where it is not too long; it names addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

impl Report {
    /// The outcome with its class, in words that hold no address.
    #[must_use]
    pub fn reason(&self) -> String {
        let outcome = self.outcome.name();
        self.class.as_ref().map_or_else(|| outcome.to_owned(), |class| format!("{outcome}: {class}"))
    }

    /// Refuses a report with a member of another form. Those who read reports bring their texts into it.
    ///
    /// # Errors
    /// `NotAnIdentifier`, `TooLong`, `Control`, `Override`, `Nul`, `TooManyBytes`.
    pub fn check(&self) -> Result<(), Finding> {
        let words = [
            ("id", Some(&self.id)),
            ("class", self.class.as_ref()),
            ("destinationKey", self.destination_key.as_ref()),
            ("providerId", self.provider_id.as_ref()),
        ];
        for (field, word) in words {
            if word.is_some_and(|word| !is_word(word)) {
                return Err(Problem::NotAnIdentifier.of(field));
            }
        }
        for (field, line, max) in [
            ("destination", &self.destination, ADDRESS_LENGTH_MAX),
            ("sender", &self.sender, ADDRESS_LENGTH_MAX),
            ("subject", &self.subject, LINE_LENGTH_MAX),
        ] {
            check_line(line.as_deref().unwrap_or_default(), max).map_err(|problem| problem.of(field))?;
        }
        if self.raw.as_ref().is_some_and(|raw| raw.len() > RAW_BYTES_MAX) {
            return Err(Problem::TooManyBytes { max: RAW_BYTES_MAX }.of("raw"));
        }
        Ok(())
    }
}

/// Whether a text may be an identifier or a class.
#[must_use]
pub fn is_word(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    (1..=WORD_LENGTH_MAX).contains(&text.len()) && text.chars().all(is_letter)
}

/// A text as one line of at most `max` characters, without characters that a line does not have; `None` if nothing is
/// left.
#[must_use]
pub fn line(text: &str, max: usize) -> Option<String> {
    let is_unfit =
        |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') || text::is_override(letter);
    let kept: String = text.trim().chars().filter(|letter| !is_unfit(*letter)).take(max).collect();
    (!kept.trim().is_empty()).then(|| kept.trim().to_owned())
}

/// A subject with masks in place of codes and links, which customers may write into it: a reader could act for the
/// recipient by them.
#[must_use]
pub fn masked(subject: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let pieces = subject.split_inclusive(|letter: char| !is_part(letter));
    let masked = pieces.flat_map(|piece| {
        let word = piece.trim_end_matches(|letter: char| !is_part(letter));
        let has_code = word.split(|letter: char| !letter.is_ascii_digit()).any(|digits| digits.len() >= CODE_DIGITS);
        let shown = if has_code || word.len() >= LINK_WORD { MASK } else { word };
        [shown, &piece[word.len()..]]
    });
    masked.collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use chrono::TimeDelta;

    /// So many seconds after the composition in the tests of deliveries.
    pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
    }

    /// A bounce with every member.
    pub(crate) fn bounce() -> Report {
        Report {
            id: "cmVwb3J0".into(),
            source: ReportSource::Ses,
            outcome: Outcome::Bounced,
            class: Some("General".into()),
            at: at(9),
            destination: Some("ada@example.com".into()),
            destination_key: Some("ZGVzdGluYXRpb24".into()),
            subject: Some("Welcome, Ada".into()),
            sender: Some("no-reply@example.org".into()),
            provider_id: Some("0102-aa-000000".into()),
            raw: Some(r#"{"notificationType":"Bounce"}"#.into()),
        }
    }

    /// A report with only the required members.
    pub(crate) fn bare(id: &str, source: ReportSource, outcome: Outcome, seconds: i64) -> Report {
        Report {
            id: id.into(),
            source,
            outcome,
            class: None,
            at: at(seconds),
            destination: None,
            destination_key: None,
            subject: None,
            sender: None,
            provider_id: None,
            raw: None,
        }
    }

    #[test]
    fn a_report_of_another_form_is_refused_by_the_name_of_its_member() {
        let long = "x".repeat(ADDRESS_LENGTH_MAX + 1);
        let edited = |edit: &dyn Fn(&mut Report)| {
            let mut report = bounce();
            edit(&mut report);
            report.check()
        };
        assert_eq!(bounce().check(), Ok(()));
        for (checked, problem, field) in [
            (edited(&|it| it.id = String::new()), Problem::NotAnIdentifier, "id"),
            (edited(&|it| it.class = Some("no such user".into())), Problem::NotAnIdentifier, "class"),
            (edited(&|it| it.class = Some("x".repeat(WORD_LENGTH_MAX + 1))), Problem::NotAnIdentifier, "class"),
            (edited(&|it| it.destination_key = Some("a+b".into())), Problem::NotAnIdentifier, "destinationKey"),
            (edited(&|it| it.provider_id = Some("a\n".into())), Problem::NotAnIdentifier, "providerId"),
            (edited(&|it| it.destination = Some("a\nb".into())), Problem::Control, "destination"),
            (
                edited(&|it| it.destination = Some(long.clone())),
                Problem::TooLong { max: ADDRESS_LENGTH_MAX },
                "destination",
            ),
            (edited(&|it| it.sender = Some("\u{202e}a".into())), Problem::Override, "sender"),
            (edited(&|it| it.subject = Some("a\0".into())), Problem::Nul, "subject"),
            (
                edited(&|it| it.raw = Some("x".repeat(RAW_BYTES_MAX + 1))),
                Problem::TooManyBytes { max: RAW_BYTES_MAX },
                "raw",
            ),
        ] {
            assert_eq!(checked, Err(problem.of(field)));
        }
    }

    #[test]
    fn a_text_becomes_a_line_that_a_report_may_have() {
        assert_eq!(line(" a\r\n\tb\u{202e}c\0 ", 9).as_deref(), Some("abc"));
        assert_eq!(line(&"ä".repeat(9), 3).as_deref(), Some("äää"));
        assert_eq!(line("\r\n \u{2028}", 9), None);
        let hostile = "\u{202e}\0\n".repeat(500) + &"x".repeat(ADDRESS_LENGTH_MAX * 2);
        let report = Report { destination: line(&hostile, ADDRESS_LENGTH_MAX), ..bounce() };
        assert_eq!(report.check(), Ok(()));
    }

    #[test]
    fn a_subject_shows_neither_codes_nor_links() {
        for (subject, shown) in [
            ("Welcome, Ada", "Welcome, Ada"),
            ("Code 123456", "Code ***"),
            ("(123456) is yours", "(***) is yours"),
            ("K-123456", "***"),
            ("Room 12345, Ünïcode", "Room 12345, Ünïcode"),
            (
                "https://a.example/sign-up?referral-code=Zm9vYmFyYmF6cXV4MTIz",
                "https://a.example/sign-up?referral-code=***",
            ),
            ("", ""),
        ] {
            assert_eq!(masked(subject), shown);
        }
    }

    #[test]
    fn a_reason_names_outcome_and_class_alone() {
        assert_eq!(bounce().reason(), "bounced: General");
        assert_eq!(bare("a", ReportSource::Sms, Outcome::Delayed, 0).reason(), "delayed");
    }
}
