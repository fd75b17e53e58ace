//! A PostgreSQL database, which several nodes may share.

mod backend;
mod copy;
mod documents;
mod journal;
mod kept;
mod raw;
mod restore;
mod roles;
mod scan;
mod search;
mod statement;
mod tree;
mod wrapped;
mod writer;

use super::rows::columns;
use super::{JournalError, JournalResult, migrations, schema_of};
use chrono::{DateTime, Utc};
use kept::Kept;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{Connection, Executor, Row};
use std::time::{Duration, Instant};

/// Connections for what is done now and then, at most.
const CONNECTIONS_MAX: u32 = 4;
/// Connections for searching documents, at most.
const SEARCHES_MAX: usize = 16;
/// Connections for reading the journal and documents by id, at most.
const WALKS_MAX: usize = 8;
/// How long a reader waits for a connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an idle connection is taken to live without being asked.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long a connection of its own may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

const EVENT_COLUMNS: &str = "position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, event_version, \
     payload::text AS payload, metadata::text AS metadata, leaf_hash";

/// The events that the end of a statement selects, as long as those before them have fewer bytes of payloads and metadata
/// than `bytes` says.
fn within_bytes(selecting: &str, bytes: &str) -> String {
    format!(
        "SELECT * FROM (SELECT *, coalesce(sum(octet_length(payload) + octet_length(metadata)) \
         OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before \
         FROM (SELECT {EVENT_COLUMNS} FROM events {selecting}) e) e WHERE bytes_before < {bytes}"
    )
}

/// Number of the last migration that this release knows.
fn schema() -> i64 {
    schema_of(&migrations::POSTGRES)
}

columns!(PgRow, time);

fn time(row: &PgRow, column: &str) -> JournalResult<DateTime<Utc>> {
    Ok(row.try_get(column)?)
}

/// A PostgreSQL database with the tables of `migrations/postgres`.
#[derive(Clone)]
pub(super) struct PostgresStore {
    /// For what is done now and then.
    pool: PgPool,
    /// For searching documents.
    searches: Kept,
    /// Of the journal, and of documents by id, every statement follows an index, in its order, as far as it must.
    /// Statistics that expect few rows lead elsewhere: to reading all of them and sorting them, or past everything that
    /// does not fit.
    walks: Kept,
    options: PgConnectOptions,
}

/// Settings that role and database may have otherwise, and that the journal relies on: a statement sees what was committed
/// when it began, and is cut off by nobody but who waits for it.
const RELIED_ON: &str = "SET default_transaction_isolation = 'read committed'; SET statement_timeout = 0; \
     SET lock_timeout = 0; SET idle_session_timeout = 0";
/// Compiling a statement takes longer than any of ours runs.
const SETTINGS: &str = "SET jit = off";
/// For connections on which all statements follow indexes. Planned once, they need not be planned again.
const WALK_SETTINGS: &str = "SET jit = off; SET enable_bitmapscan = off; SET enable_sort = off; \
     SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";

fn pool(options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(RELIED_ON).await?;
                connection.execute(SETTINGS).await.map(drop)
            })
        })
        .connect_lazy_with(options.clone())
}

impl PostgresStore {
    /// Prepares connections; none is made yet.
    #[must_use]
    fn new(options: PgConnectOptions) -> Self {
        PostgresStore {
            pool: pool(&options),
            searches: Kept::new(options.clone(), SETTINGS, SEARCHES_MAX),
            walks: Kept::new(options.clone(), WALK_SETTINGS, WALKS_MAX),
            options,
        }
    }

    /// A connection of its own, outside the pool.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn connect(&self) -> JournalResult<PgConnection> {
        let connecting = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            connection.execute(RELIED_ON).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => Ok(connected?),
            Err(elapsed) => Err(JournalError::unavailable(elapsed)),
        }
    }

    /// Reads, and again if the connection was broken: after the database was started anew all that were kept are, and
    /// those that were used a moment ago are not asked first.
    async fn reading<T, F>(&self, read: impl Fn() -> F) -> sqlx::Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        let begun = Instant::now();
        loop {
            match read().await {
                Err(error) if is_broken(&error) && begun.elapsed() < ACQUIRE_TIMEOUT => {
                    // Each failure costs a broken one; a network that is gone fails as fast.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                done => return done,
            }
        }
    }
}

/// Whether a connection was ended, by an administrator, a crash or the line, or not made yet by a server that starts.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| matches!(&*code, "57P01" | "57P02" | "57P03")),
        _ => false,
    }
}

/// Codes of tables and functions that are not there.
const UNDEFINED_TABLE: &str = "42P01";
const UNDEFINED_FUNCTION: &str = "42883";

/// The channel on which the nodes of one schema announce heads: several installations may share a database.
const CHANNEL: &str = "'registrar_head_' || md5(current_schema())";
