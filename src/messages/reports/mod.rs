//! Reports about messages: what mail services, mail servers and gateways say became of them.
//!
//! - [`sns`] checks who sends what Amazon's notification service brings; [`ses`] reads the notifications about mails.
//! - [`dsn`] reads what mail servers send back (RFC 3464).
//! - [`status`] reads the statuses of the gateway, whose signature [`Gateway`] checks.
//!
//! A report names the message by the identifier that its sender got with it: the `Message-ID` of a mail, the address for
//! reports of a text message. Readers are pure. They read what strangers wrote; each text becomes a line, a word or
//! nothing (see [`registrar_aggregates::message::report`]).

pub mod dsn;
pub mod ses;
pub mod sns;
pub mod status;

use super::channels::Gateway;
use super::is_erased;
use crate::executor::{ExecuteError, Outcome as Executed, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::vault::Vault;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chrono::{DateTime, SubsecRound, Utc};
use registrar_aggregates::message::report::{ADDRESS_LENGTH_MAX, Outcome, Report, ReportSource, is_word, line};
use registrar_aggregates::processes::{Streams, messages as rules};
use registrar_aggregates::values::{EmailAddress, MessageId};
use registrar_projections::messages::MessageDocument;
use sns::Topics;
use std::sync::Arc;
use uuid::Uuid;

/// Length of a UUID in text form.
const UUID_LENGTH: usize = 36;

/// Senders of reports that show with each report who they are.
#[derive(Clone, Default)]
pub struct ReportSources {
    /// Topics of Amazon SNS that may report.
    pub topics: Option<Arc<Topics>>,
    /// Gateway of text messages.
    pub texts: Option<Arc<Gateway>>,
}

/// Readings about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageReadings {
    /// The message, if it is named and may be one of ours.
    pub message: Option<MessageId>,
    /// Readings of its fate; none if it is still on its way.
    pub readings: Vec<Reading>,
}

/// A report as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Source of the report.
    pub source: ReportSource,
    /// Fate of the message.
    pub outcome: Outcome,
    /// The source's own class of the outcome.
    pub class: Option<String>,
    /// Time of the outcome, if the report tells one.
    pub at: Option<DateTime<Utc>>,
    /// The source's own identifier of the report, if it has one.
    pub mark: String,
    /// The address that the report names.
    pub destination: Option<String>,
    /// Subject of the mail, masked.
    pub subject: Option<String>,
    /// Address of the sender.
    pub sender: Option<String>,
    /// Identifier that the source gave the message.
    pub provider_id: Option<String>,
    /// The report in its own words.
    pub raw: Option<String>,
}

impl Reading {
    /// The report about a message. Its time is neither in the future nor before 1970, and its identifier is the same for
    /// every repetition.
    #[must_use]
    pub fn report(self, vault: &Vault, message: MessageId, now: DateTime<Utc>) -> Report {
        let Reading { source, outcome, class, at, mark, destination, subject, sender, provider_id, raw } = self;
        let (message, said_at) = (message.to_string(), at.map(|at| at.to_rfc3339()).unwrap_or_default());
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        let parts = [
            source.name().to_owned(),
            message,
            outcome.name().to_owned(),
            optional(&class),
            optional(&destination),
            said_at,
            mark,
        ];
        Report {
            id: digest(vault, "message-report", &parts),
            source,
            outcome,
            class,
            // Years before 0 have a sign, by which texts of times would not be in order.
            at: at.unwrap_or(now).min(now).max(DateTime::UNIX_EPOCH).trunc_subsecs(3),
            destination_key: destination.as_deref().and_then(|address| destination_key(vault, address)),
            destination,
            subject,
            sender,
            provider_id,
            raw,
        }
    }
}

/// The message that was read about. Nothing is recorded about one of an erased person, since the key that would seal it is
/// gone: it is not found.
///
/// # Errors
/// `Unavailable`, `Corrupt`.
pub async fn find(node: &Node, id: Option<MessageId>) -> JournalResult<Option<Arc<MessageDocument>>> {
    let Some(id) = id else { return Ok(None) };
    let Some(found) = node.documents.find::<MessageDocument>(&id.to_string()).await?.value else { return Ok(None) };
    Ok(if is_erased(node, &found).await? { None } else { Some(found) })
}

/// Records reports about a message, and tells the invitation that it belongs to. Known reports change nothing.
///
/// # Errors
/// As [`crate::executor::Executor::execute_process`]; `Corrupt` for a report that was not read into the form of one.
pub async fn record(
    node: &Node,
    context: &RequestContext,
    message: &MessageDocument,
    readings: Vec<Reading>,
) -> JournalResult<Executed> {
    let (context, now) = (context.belonging_to(message.organization_id), Utc::now());
    let reports: Vec<_> = readings.into_iter().map(|reading| reading.report(&node.vault, message.id, now)).collect();
    let decide = |streams: &mut Streams| rules::report(streams, message.id, &reports);
    match node.executor.execute_process(&context, decide).await {
        Ok(((), executed)) => Ok(executed),
        Err(ExecuteError::Refused(refused)) => Err(JournalError::corrupt(refused)),
        Err(ExecuteError::Journal(error)) => Err(error),
    }
}

/// Key of an e-mail address by which reports about it are found; `None` for a text that is no address.
#[must_use]
pub fn destination_key(vault: &Vault, address: &str) -> Option<String> {
    let address = EmailAddress::parse(address).ok()?;
    Some(digest(vault, "report-destination", &[address.comparable()]))
}

fn digest(vault: &Vault, scope: &str, parts: &[String]) -> String {
    let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
    BASE64URL.encode(vault.digest(scope, &parts))
}

/// The address in a text, which may have a name beside it.
fn address(text: &str) -> Option<String> {
    let bracketed = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
    line(bracketed.map_or(text, |(address, _)| address), ADDRESS_LENGTH_MAX)
}

/// A text as an identifier or a class; `None` if it has another form.
fn word(text: &str) -> Option<String> {
    let text = text.trim();
    is_word(text).then(|| text.to_owned())
}

/// Our identifier in a `Message-ID`, whose domain is that of the sender.
fn message_id(text: &str) -> Option<MessageId> {
    let id = text.trim().trim_start_matches('<').split('@').next()?;
    let id = if id.len() == UUID_LENGTH { Uuid::try_parse(id).ok() } else { None };
    id.map(MessageId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_the_identifier_before_the_sign() {
        let id = MessageId(Uuid::from_u128(7));
        for text in [format!("<{id}@example.org>"), format!(" {id}@example.org "), id.to_string()] {
            assert_eq!(message_id(&text), Some(id), "{text}");
        }
        for text in
            ["", "<>", "<@example.org>", "<0102017@email.amazonses.com>", "<00000000000000000000000000000007@a>"]
        {
            assert_eq!(message_id(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_may_stand_beside_a_name() {
        assert_eq!(address("Ada <ada@example.com>").as_deref(), Some("ada@example.com"));
        assert_eq!(address(" ada@example.com\r\n").as_deref(), Some("ada@example.com"));
        assert_eq!(address("<>"), None);
    }
}
