//! Messages to people: what they say, and how they reach them.
//!
//! - [`templates`] render texts; pure.
//! - [`compose`] chooses the templates and makes the message, which a process commits with the act that causes it;
//!   [`preview`] shows texts with sample values.
//! - [`delivery`] sends what is due: one node of a database, in attempts that are recorded before they begin. Servers are
//!   in [`channels`].
//! - [`inbox`] reads messages of channels without a server, which are captured.
//! - [`reports`] reads what comes back: bounces, complaints, deliveries.
//!
//! Decisions about a message are in [`registrar_aggregates::message::delivery`].

pub mod channels;
mod cleaning;
pub mod compose;
pub mod delivery;
pub mod inbox;
pub mod preview;
pub mod reports;
mod sms;
mod smtp;
mod status;
pub mod templates;

pub use compose::Composer;
pub use status::{DeliveryReport, DeliveryStatus};

use crate::journal::JournalResult;
use crate::node::Node;
use registrar_projections::messages::MessageDocument;

/// Whether the key that seals a message was destroyed.
async fn is_erased(node: &Node, message: &MessageDocument) -> JournalResult<bool> {
    Ok(matches!(node.vault.subject_key(&message.recipient.to_string()).await?, Some(None)))
}
