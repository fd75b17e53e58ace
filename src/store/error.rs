//! Errors of the journal and the databases below it.

use super::PAYLOAD_BYTES_MAX;
use std::sync::Arc;

/// Result of a journal or database operation.
pub type JournalResult<T> = Result<T, JournalError>;

/// Reasons why a journal operation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The stream is not at the version that the writer read.
    #[error("the stream has changed since it was read")]
    VersionConflict,
    /// Another aggregate holds a unique value.
    #[error("{field} is already in use")]
    ClaimTaken {
        /// Field of the command that held the value, in words of the domain.
        field: &'static str,
    },
    /// Another request committed the same idempotency key meanwhile.
    #[error("a request with this idempotency key was just carried out")]
    AlreadyAnswered,
    /// The actor represents another principal, and the events change an address, a password, a second factor or a role.
    #[error("this is not done on behalf of another")]
    ActingForAnother,
    /// The event does not fit the read models.
    #[error("the event cannot be folded")]
    NotFoldable(#[source] registrar_projections::FoldError),
    /// The stored form of the event is longer than [`PAYLOAD_BYTES_MAX`].
    #[error("the event {event_type} would take {bytes} bytes, more than {PAYLOAD_BYTES_MAX}")]
    EventTooLarge {
        /// Name of the event.
        event_type: String,
        /// Length of the sealed payload.
        bytes: usize,
    },
    /// The database cannot be reached or does not answer; nothing is known to be stored.
    #[error("the database is not available")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// This node's release is older than the documents that the database serves.
    #[error("the documents belong to another release of Registrar")]
    OtherGeneration,
    /// The request read data that other writes changed meanwhile, in every retry.
    #[error("what was read has changed while it was read")]
    Overtaken,
    /// A later release has changed the tables, so this release must not use them.
    #[error(
        "this release of Registrar is too old for the database; use the one that brought it up to date, or a later one"
    )]
    OldRelease,
    /// The snapshot has the shape of another release, and the events to rebuild the state from are archived.
    #[error(
        "the state of {aggregate_type} {aggregate_id} has to be made anew from archived events: run `registrar journal resnapshot`"
    )]
    OtherShape {
        /// Aggregate type.
        aggregate_type: &'static str,
        /// Aggregate id.
        aggregate_id: String,
    },
    /// Requested events were archived.
    #[error("events up to position {until} were archived and are no longer in the database")]
    Archived {
        /// Position of the last archived event.
        until: u64,
    },
    /// Stored data differs from its written form.
    #[error("stored data is not readable")]
    Corrupt(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl JournalError {
    /// A failure of the database itself.
    pub fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        JournalError::Unavailable(Arc::new(source))
    }

    /// Stored data without the expected shape.
    pub fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        JournalError::Corrupt(Arc::from(source.into()))
    }
}

impl From<sqlx::Error> for JournalError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                JournalError::corrupt(error)
            }
            sqlx::Error::Database(ref database) if !is_passing(database.code().as_deref()) => {
                JournalError::corrupt(error)
            }
            other => JournalError::unavailable(other),
        }
    }
}

/// Whether a database error may be gone at the next try, rather than being a fault of the statement.
///
/// PostgreSQL by error class: connection, transaction state (a standby that is not promoted yet, a session ended for
/// idling), log-in, database, rollback, resources, lock, intervention, system. SQLite by primary result code: busy,
/// locked, out of memory, read-only, interrupted, I/O, full, cannot open.
fn is_passing(code: Option<&str>) -> bool {
    match code {
        Some(code) if code.len() == 5 => {
            ["08", "25", "28", "3D", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
        }
        Some(code) => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5..=10 | 13 | 14)),
        None => true,
    }
}
