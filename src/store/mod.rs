//! The databases below the journal and the read models: all SQL, and nothing else.
//!
//! Traits by use define what a database must do: read the journal ([`JournalStore`], and [`EventSearch`] for filters),
//! commit ([`JournalWriter`]), store documents ([`DocumentStore`]), scan, archive and restore ([`RawJournal`],
//! [`Restore`]), store hashes of the tree ([`TreeStore`]) and values wrapped by a master key ([`WrappedKeys`]), be
//! opened and shared ([`Backend`]). They are several since a trait is implemented in one block, which would be a file
//! of a thousand lines, and since tests inject faults into one of them.
//!
//! Rules are above, once: refusal of archived ranges, density, pages and their assembly in [`crate::journal`], caches
//! and generations in [`crate::read_store`]. A further database is a folder beside `postgres` and `sqlite` and a
//! line in [`Store::open`]. No other code distinguishes databases.
//!
//! Of the server's modules the store imports `merkle` only; the test `tests/e2e/rooms.rs` enforces it.

mod backend;
mod batch;
mod documents;
mod error;
mod event;
pub(crate) mod hosts;
mod journal;
mod leadership;
mod migrations;
mod open;
mod open_error;
mod postgres;
mod raw;
mod rows;
pub mod schema;
mod search;
pub mod sql;
mod sqlite;
mod statements;
mod tree;
mod wrapped;

pub use backend::{Announcements, Backend, LeadershipGuard, LeadershipLock};
pub use batch::{
    AnswerStep, Batch, CLOCK_AHEAD_MAX_SECS, ClaimStep, ClockAhead, Committed, DocumentRows, DocumentStep,
    FailedConditions, ReadStep, StreamStep, SubjectKeyStep,
};
pub use documents::{Body, DocumentStore, Generation, LookupSnapshot, Moment, Rows};
pub use error::{JournalError, JournalResult};
pub use event::{
    Head, PAYLOAD_BYTES_MAX, Portion, PublishProgress, StoredAnswer, StoredEvent, StoredSnapshot, StreamId, timestamp,
};
pub use journal::{ArchiveProbe, JournalStore, JournalWriter, PortionRows, StreamRows};
pub use leadership::Leadership;
pub use open::{Store, StoreSettings};
pub use open_error::OpenError;
pub use raw::{Archive, ClaimRow, PAGE, RawJournal, Restore, StoredKey, StreamVersion};
pub use search::{Condition, EventSearch, Field, FirstEvent, IndexCondition, MatchedPositions};
pub use tree::{HashRows, TreeStore};
pub use wrapped::{DIGEST_KEY_ID, FORMER_KEY_ID, Replacement, WrappedKeys};

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use std::borrow::Cow;

/// Wraps SQL assembled at run time for sqlx, which otherwise accepts constants only. It is safe since all parts are
/// this program's own: constants, names of declared collections and keys, names of tables and the text of a trigger
/// that its migrations made, and numbers. Values are always bound.
pub(crate) fn assembled(text: impl Into<Cow<'static, str>>) -> SqlStr {
    AssertSqlSafe(text.into()).into_sql_str()
}

/// Schema number that a release knows: that of its last migration.
fn schema_of(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Checks that a release that knows `schema` may serve a database that requires at least `least`.
fn check_schema(least: i64, schema: i64) -> JournalResult<()> {
    if least > schema { Err(JournalError::OldRelease) } else { Ok(()) }
}

/// Converts positions, versions and counts for the database.
fn signed(number: u64) -> JournalResult<i64> {
    i64::try_from(number).map_err(JournalError::corrupt)
}

/// Converts them back. They are never negative; a negative one is corrupt.
fn unsigned(number: i64) -> JournalResult<u64> {
    u64::try_from(number).map_err(JournalError::corrupt)
}

/// Converts a row limit for the database.
fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
