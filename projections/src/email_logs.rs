//! The `email_logs` read model: reports about mails, one document each. Addresses and texts are sealed for the recipient
//! of the mail; a keyed digest finds the reports of an address.

use crate::recorded::RecordedEvent;
use crate::stamped::time_key;
use crate::working_set::{FoldError, WorkingSet};
use chrono::{DateTime, Utc};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::message::Channel;
use registrar_aggregates::message::delivery::MessageEvent;
use registrar_aggregates::message::report::Report;
use registrar_aggregates::values::RecipientId;
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

crate::collection! {
    "email_logs" of EmailLogDocument, hot: false, id: |log| log.position.to_string(), sealed: sealed_fields;
    keys {
        /// Finds the reports of an address, by the digest that they name it with; empty without one.
        pub DESTINATION_KEY: Text = |log| log.report.destination_key.clone().unwrap_or_default();
        /// Time of the outcome, as [`time_key`] writes it.
        pub AT: Text = |log| time_key(log.report.at);
        POSITION: Ordinal = |log| log.position;
    }
    indexes { [AT, POSITION], [DESTINATION_KEY, AT, POSITION] }
    counts { [] }
    sorts {
        /// Earliest outcome first.
        pub BY_TIME = [AT, POSITION];
    }
}

/// A report about a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailLogDocument {
    /// Position of the event.
    pub position: u64,
    /// Identifier of the mail.
    pub message_id: String,
    /// Holder of the key that seals the mail.
    pub recipient: RecipientId,
    /// The report.
    pub report: Report,
    /// Time at which the report was recorded.
    pub received_at: DateTime<Utc>,
}

fn sealed_fields(log: &EmailLogDocument) -> Vec<(String, Vec<String>)> {
    let fields = ["destination", "subject", "sender", "raw"].map(|member| format!("/report/{member}"));
    vec![(log.recipient.to_string(), fields.to_vec())]
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    let DomainEvent::Message(MessageEvent::Reported { recipient, report }) = &*event.event else { return Ok(()) };
    match report.source.channel() {
        Channel::Email => documents.insert(EmailLogDocument {
            position: event.position,
            message_id: event.aggregate_id.clone(),
            recipient: *recipient,
            report: Report::clone(report),
            received_at: event.recorded_at,
        }),
        Channel::Sms => Ok(()),
    }
}
