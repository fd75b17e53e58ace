//! Stock readers of a database.

use crate::program::Installation;
use cqrs_es::Aggregate;
use cqrs_es::persist::{PersistedEventRepository, PersistenceError, SerializedEvent, SerializedSnapshot};
use postgres_es::PostgresEventRepository;
use registrar_aggregates::access_token::AccessToken;
use registrar_aggregates::admin::Admin;
use registrar_aggregates::api_key::ApiKey;
use registrar_aggregates::audit_access::AuditAccess;
use registrar_aggregates::checkpoint_key::CheckpointKey;
use registrar_aggregates::key_ring::KeyRing;
use registrar_aggregates::organization::Organization;
use sqlite_es::SqliteEventRepository;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{PgPool, SqlitePool};

/// The repositories of `postgres-es` or `sqlite-es`, without changes.
pub struct Stock {
    repository: Repository,
}

enum Repository {
    Postgres(PostgresEventRepository, PgPool),
    Sqlite(SqliteEventRepository, SqlitePool),
}

/// A result of a repository.
pub type Answer<T> = Result<T, PersistenceError>;

impl Stock {
    /// Opens the readers of a database.
    ///
    /// # Errors
    /// The database cannot be opened.
    pub async fn of(installation: &Installation) -> anyhow::Result<Self> {
        let repository = match &installation.database_url {
            Some(url) => {
                let pool = PgPool::connect(url).await?;
                Repository::Postgres(PostgresEventRepository::new(pool.clone()), pool)
            }
            None => {
                let options = SqliteConnectOptions::new().filename(installation.file()).read_only(true);
                let pool = SqlitePool::connect_with(options).await?;
                Repository::Sqlite(SqliteEventRepository::new(pool.clone()), pool)
            }
        };
        Ok(Stock { repository })
    }

    /// The events of a stream.
    ///
    /// # Errors
    /// The repository fails.
    pub async fn events<A: Aggregate>(&self, id: &str) -> Answer<Vec<SerializedEvent>> {
        match &self.repository {
            Repository::Postgres(repository, _) => repository.get_events::<A>(id).await,
            Repository::Sqlite(repository, _) => repository.get_events::<A>(id).await,
        }
    }

    /// [`Stock::events`] for an aggregate type given by its name.
    ///
    /// # Errors
    /// The type is unknown here, or the repository fails.
    pub async fn events_of(&self, aggregate_type: &str, id: &str) -> anyhow::Result<Vec<SerializedEvent>> {
        macro_rules! by_type {
            ($($aggregate:ty),*) => {
                match aggregate_type {
                    $(<$aggregate as Aggregate>::TYPE => self.events::<$aggregate>(id).await?,)*
                    other => anyhow::bail!("no reader for {other}"),
                }
            };
        }
        Ok(by_type!(AccessToken, Admin, ApiKey, AuditAccess, CheckpointKey, KeyRing, Organization))
    }

    /// The events of a stream after a sequence number.
    ///
    /// # Errors
    /// The repository fails.
    pub async fn last_events<A: Aggregate>(&self, id: &str, after: usize) -> Answer<Vec<SerializedEvent>> {
        match &self.repository {
            Repository::Postgres(repository, _) => repository.get_last_events::<A>(id, after).await,
            Repository::Sqlite(repository, _) => repository.get_last_events::<A>(id, after).await,
        }
    }

    /// The snapshot of a stream.
    ///
    /// # Errors
    /// The repository fails.
    pub async fn snapshot<A: Aggregate>(&self, id: &str) -> Answer<Option<SerializedSnapshot>> {
        match &self.repository {
            Repository::Postgres(repository, _) => repository.get_snapshot::<A>(id).await,
            Repository::Sqlite(repository, _) => repository.get_snapshot::<A>(id).await,
        }
    }

    /// The number of rows of a table, read past the repository.
    ///
    /// # Errors
    /// The table does not exist.
    pub async fn count(&self, table: &'static str) -> sqlx::Result<i64> {
        let query = format!("SELECT count(*) FROM {table}");
        match &self.repository {
            Repository::Postgres(_, pool) => sqlx::query_scalar(&query).fetch_one(pool).await,
            Repository::Sqlite(_, pool) => sqlx::query_scalar(&query).fetch_one(pool).await,
        }
    }
}
