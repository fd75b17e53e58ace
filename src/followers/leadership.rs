//! Who does what only one of several nodes should do. On PostgreSQL an advisory lock of a connection kept for it, on
//! SQLite a lock on a file; both end with the process that held them.

use crate::journal::{JournalError, JournalResult};
use crate::node::Store;
use std::fs::File;

/// Held as long as this node leads; dropping it lets another node take over.
pub struct Leadership {
    _held: Held,
}

#[expect(dead_code, reason = "holding it is all it is for")]
enum Held {
    Connection(sqlx::PgConnection),
    File(File),
}

impl Leadership {
    /// Tries to lead in the matter of `name`; `None` while another node does.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn try_take(store: &Store, name: &str) -> JournalResult<Option<Self>> {
        match store {
            Store::Postgres(postgres) => {
                let mut connection = postgres.connect().await?;
                // Several installations may share a database, each in a schema of its own.
                let text =
                    "SELECT pg_try_advisory_lock(hashtextextended('registrar.' || current_schema() || '.' || $1, 0))";
                let query = sqlx::query_scalar(text);
                let taken: bool = query.bind(name).fetch_one(&mut connection).await?;
                Ok(taken.then_some(Leadership { _held: Held::Connection(connection) }))
            }
            Store::Sqlite(sqlite) => {
                let path = sqlite.options.get_filename().with_extension(format!("{name}.lock"));
                let file = File::create(path).map_err(JournalError::unavailable)?;
                match file.try_lock() {
                    Ok(()) => Ok(Some(Leadership { _held: Held::File(file) })),
                    Err(std::fs::TryLockError::WouldBlock) => Ok(None),
                    Err(std::fs::TryLockError::Error(error)) => Err(JournalError::unavailable(error)),
                }
            }
        }
    }
}
