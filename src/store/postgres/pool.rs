//! Connections for frequent statements. The pool of sqlx pings the server whenever a connection is returned, to learn
//! whether it is still good, and so makes two round trips of one. Here a connection is returned only after an answer,
//! which proves as much; one whose answer failed, or was not awaited, is closed.

use super::{ACQUIRE_TIMEOUT, CONNECT_TIMEOUT, RELIED_ON, TRUSTED_FOR};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection, Either, Execute, Executor, Postgres, SqlStr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{fmt, io};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Connections with the same settings, made on demand. Each statement uses one of them.
#[derive(Clone)]
pub(super) struct ConnectionPool(Arc<Connections>);

struct Connections {
    options: PgConnectOptions,
    settings: &'static str,
    /// Unused connections, and since when.
    idle: Mutex<Vec<(PgConnection, Instant)>>,
    room: Arc<Semaphore>,
}

/// A connection in use.
struct PooledConnection {
    connection: PgConnection,
    _room: OwnedSemaphorePermit,
}

impl ConnectionPool {
    /// At most `max` connections; none is made yet.
    pub(super) fn new(options: PgConnectOptions, settings: &'static str, max: usize) -> Self {
        let room = Arc::new(Semaphore::new(max));
        ConnectionPool(Arc::new(Connections { options, settings, idle: Mutex::default(), room }))
    }

    /// Takes the most recently used connection.
    ///
    /// # Errors
    /// `PoolTimedOut` if all are in use for too long; `Io` if no connection can be made.
    async fn take(&self) -> sqlx::Result<PooledConnection> {
        let room = timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.0.room).acquire_owned()).await;
        let room = room.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some((connection, since)) if since.elapsed() <= TRUSTED_FOR => connection,
            idle => {
                let again = timeout(CONNECT_TIMEOUT, self.again(idle.map(|(connection, _)| connection))).await;
                again.map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))??
            }
        };
        Ok(PooledConnection { connection, _room: room })
    }

    /// Returns a connection after an answer.
    fn keep(&self, taken: PooledConnection) {
        self.idle().push((taken.connection, Instant::now()));
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(PgConnection, Instant)>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks a connection that was idle for a while, and replaces it if it is broken.
    async fn again(&self, idle: Option<PgConnection>) -> sqlx::Result<PgConnection> {
        if let Some(mut connection) = idle
            && connection.ping().await.is_ok()
        {
            return Ok(connection);
        }
        let mut connection = PgConnection::connect_with(&self.0.options).await?;
        connection.execute(RELIED_ON).await?;
        connection.execute(self.0.settings).await?;
        Ok(connection)
    }
}

/// Hides the options, since they contain the password.
impl fmt::Debug for ConnectionPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ConnectionPool").finish_non_exhaustive()
    }
}

impl<'c> Executor<'c> for &'c ConnectionPool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let steps = async move {
            let mut taken = self.take().await?;
            let steps: Vec<_> = taken.connection.fetch_many(query).try_collect().await?;
            self.keep(taken);
            Ok::<_, sqlx::Error>(stream::iter(steps.into_iter().map(Ok)))
        };
        stream::once(steps).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let mut taken = self.take().await?;
            let row = taken.connection.fetch_optional(query).await?;
            self.keep(taken);
            Ok(row)
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        Box::pin(async move {
            let mut taken = self.take().await?;
            let statement = taken.connection.prepare_with(sql, parameters).await?;
            self.keep(taken);
            Ok(statement)
        })
    }
}
