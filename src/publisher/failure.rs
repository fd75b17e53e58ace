//! Reasons why publishing had to stop and start over.

use crate::journal::JournalError;
use std::fmt::Display;

/// Result of an attempt to publish.
pub(super) type PublishResult<T> = Result<T, Failure>;

/// An obstacle to publishing. No events are lost, since the stream says where to go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection, no response, or a refusal that is not about the order.
    #[error("{doing}: {reason}")]
    Nats {
        /// The attempted step.
        doing: &'static str,
        /// Message of the client library, without credentials.
        reason: String,
    },
    /// The connection was lost.
    #[error("the connection to NATS was lost")]
    Disconnected,
    /// The stream ended at another position than expected: another publisher, a late retry, a lost or deleted tail.
    #[error("the stream ends elsewhere than expected; another publisher may be at work")]
    Overtaken,
    /// Another node of this database publishes.
    #[error("another node publishes")]
    NotLeading,
    /// The server still remembers the id of a message that the stream no longer holds.
    #[error("the server takes position {position}, which the stream does not hold, for a duplicate")]
    Remembered {
        /// Position that was refused.
        position: u64,
    },
    /// The existing stream cannot be published to.
    #[error("the stream REGISTRAR cannot be used: {0}; change its settings or remove it")]
    Unusable(&'static str),
    /// The stream is ahead of the journal.
    #[error(
        "the stream ends at position {stream} and the journal at {journal}: was the journal restored from an older \
         backup? Nothing is published until the stream REGISTRAR is removed or the journal has its events back"
    )]
    Ahead {
        /// Position of the stream's last event.
        stream: u64,
        /// Position of the journal's last event.
        journal: u64,
    },
    /// The stream holds other events than the journal.
    #[error(
        "the stream holds another event at position {position} than the journal: it belongs to another journal. \
         Nothing is published until the stream REGISTRAR is removed"
    )]
    Foreign {
        /// Position at which they were compared.
        position: u64,
    },
    /// The event is too large for the server.
    #[error(
        "the event at position {position} is larger than the max_payload of the NATS server. Raise it there, and publishing \
         goes on by itself"
    )]
    TooLarge {
        /// Position of the event.
        position: u64,
    },
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] JournalError),
}

/// The published position could not be read.
#[derive(Debug, thiserror::Error)]
#[error("NATS does not say how far the events are published: {0}")]
pub struct PublishedPositionError(pub(super) String);

impl Failure {
    /// The failure and its causes, in one line.
    pub(super) fn chain(&self) -> String {
        let sources = std::iter::successors(std::error::Error::source(self), |error| error.source());
        sources.fold(self.to_string(), |text, source| format!("{text}: {source}"))
    }

    /// A failure of NATS while `doing` something.
    pub(super) fn nats<E: Display>(doing: &'static str) -> impl FnOnce(E) -> Failure {
        move |error| Failure::Nats { doing, reason: error.to_string() }
    }

    /// Whether an operator has to act before publishing can go on.
    pub(super) fn needs_operator(&self) -> bool {
        match self {
            Failure::Unusable(_)
            | Failure::Ahead { .. }
            | Failure::Foreign { .. }
            | Failure::TooLarge { .. }
            | Failure::Journal(JournalError::Archived { .. }) => true,
            Failure::Nats { .. }
            | Failure::Disconnected
            | Failure::Overtaken
            | Failure::NotLeading
            | Failure::Remembered { .. }
            | Failure::Journal(_) => false,
        }
    }
}
