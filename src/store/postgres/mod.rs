//! A PostgreSQL database, which several nodes may share.
//!
//! A node reads over two kinds of connections. On up to 8 of them every statement follows an index, in its order:
//! events, streams, documents by id. Up to 16 search documents, for which trigrams need bitmap scans. With one kind
//! for both the planner, which expects few rows of any actor or stream, would read and sort all of them. The committer
//! has two of its own: one commits, the other looks up what the next batch needs.

mod backend;
mod copy;
mod documents;
mod journal;
mod pool;
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
use pool::ConnectionPool;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{Connection, Executor, Row};
use std::time::{Duration, Instant};

/// Most connections for occasional statements.
const CONNECTIONS_MAX: u32 = 4;
/// Most connections for searching documents.
const SEARCHES_MAX: usize = 16;
/// Most connections for reading the journal and documents by id.
const WALKS_MAX: usize = 8;
/// Time a reader waits for a connection before the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for which an idle connection is trusted without a ping.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// Timeout for opening a dedicated connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

const EVENT_COLUMNS: &str = "position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, event_version, \
     payload::text AS payload, metadata::text AS metadata, leaf_hash";

/// Limits the events selected by `selecting`: an event is included while those before it have fewer bytes of payloads
/// and metadata than `bytes`.
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
    /// For occasional statements.
    pool: PgPool,
    /// For searching documents.
    searches: ConnectionPool,
    /// For the journal and documents by id: every statement follows an index, in its order, and no further than needed.
    /// Statistics that expect few rows lead to other plans: reading and sorting all of them, or scanning past rows that
    /// do not match.
    walks: ConnectionPool,
    options: PgConnectOptions,
}

/// Settings that role and database may override, and that the journal relies on: a statement sees commits made before
/// it began, and is cancelled only by its own caller.
const RELIED_ON: &str = "SET default_transaction_isolation = 'read committed'; SET statement_timeout = 0; \
     SET lock_timeout = 0; SET idle_session_timeout = 0";
/// JIT compilation of a statement takes longer than any of ours runs.
const SETTINGS: &str = "SET jit = off";
/// For connections on which all statements follow indexes. Generic plans avoid planning them again.
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
            searches: ConnectionPool::new(options.clone(), SETTINGS, SEARCHES_MAX),
            walks: ConnectionPool::new(options.clone(), WALK_SETTINGS, WALKS_MAX),
            options,
        }
    }

    /// Opens a dedicated connection, outside the pool.
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

    /// Reads, and retries if the connection was broken: after a restart of the database all kept connections are
    /// broken, and recently used ones are not pinged first.
    async fn reading<T, F>(&self, read: impl Fn() -> F) -> sqlx::Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        let begun = Instant::now();
        loop {
            match read().await {
                Err(error) if is_broken(&error) && begun.elapsed() < ACQUIRE_TIMEOUT => {
                    // Each failure uses up a broken connection; a network failure returns as fast.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                done => return done,
            }
        }
    }
}

/// Whether a connection was ended, by an administrator, a crash or the network, or refused by a starting server.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| matches!(&*code, "57P01" | "57P02" | "57P03")),
        _ => false,
    }
}

/// Error codes of missing tables and functions.
const UNDEFINED_TABLE: &str = "42P01";
const UNDEFINED_FUNCTION: &str = "42883";

/// Channel for the head announcements of the nodes of one schema: several installations may share a database.
const CHANNEL: &str = "'registrar_head_' || md5(current_schema())";
