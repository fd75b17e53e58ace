//! Rights of the servers' database role: it reads and appends, and owns nothing of the journal. So an attacker who
//! takes over a server can neither drop the triggers that keep the journal unchanged nor alter what they guard.

use super::PostgresStore;
use crate::store::{JournalError, JournalResult, assembled};
use sqlx::{Connection, PgConnection};

/// Use of a table by a server.
enum TableUse {
    /// Inserts rows, without changing existing ones.
    Append,
    /// Inserts, updates and deletes rows.
    Change,
    /// Selects rows only.
    Read,
    /// Owns the table: documents, which the server recreates.
    Own,
}

impl TableUse {
    fn of(table: &str) -> Option<Self> {
        Some(match table {
            "events" | "merkle_nodes" => TableUse::Append,
            _ if table.starts_with("events_from_") => TableUse::Append,
            "streams" | "snapshots" | "claims" | "journal_head" | "subject_keys" | "idempotency_keys"
            | "generations" | "followers" | "published" => TableUse::Change,
            "journal_settings"
            | "event_partitions"
            | "archives"
            | "archived_leaves"
            | "archived_organizations"
            | "carried_events"
            | "_sqlx_migrations" => TableUse::Read,
            _ => {
                let (_, generation) = table.rsplit_once("_g")?;
                generation.parse::<u64>().ok().map(|_| TableUse::Own)?
            }
        })
    }

    /// The GRANT or ALTER statement, to be formatted with the table and the role.
    fn statement(&self) -> &'static str {
        match self {
            TableUse::Append => "GRANT SELECT, INSERT ON TABLE %I TO %I",
            TableUse::Change => "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %I TO %I",
            TableUse::Read => "GRANT SELECT ON TABLE %I TO %I",
            TableUse::Own => "ALTER TABLE %I OWNER TO %I",
        }
    }
}

/// Grants `role` all rights of a server, in one transaction; a missing role is created. `password` is set if given.
///
/// # Errors
/// `Unavailable` if the database refuses: the connection must own the tables, and create roles or be a member of this
/// one.
pub(super) async fn grant(store: &PostgresStore, role: &str, password: Option<&str>) -> JournalResult<()> {
    let mut connection = store.connect().await?;
    let mut transaction = connection.begin().await?;
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(role)
        .fetch_one(&mut *transaction)
        .await?;
    let login = if known { "ALTER ROLE %I LOGIN" } else { "CREATE ROLE %I LOGIN" };
    match password {
        Some(password) => run(&mut transaction, &format!("{login} PASSWORD %L"), &[role, password]).await?,
        None if known => {}
        None => run(&mut transaction, login, &[role]).await?,
    }
    let schema: String = sqlx::query_scalar("SELECT current_schema()::text").fetch_one(&mut *transaction).await?;
    run(&mut transaction, "GRANT USAGE, CREATE ON SCHEMA %I TO %I", &[&schema, role]).await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')",
    )
    .fetch_all(&mut *transaction)
    .await?;
    for table in &tables {
        let needed = TableUse::of(table)
            .ok_or_else(|| JournalError::corrupt(format!("table {table} is none of Registrar's")))?;
        run(&mut transaction, needed.statement(), &[table, role]).await?;
    }
    run(&mut transaction, "GRANT EXECUTE ON FUNCTION partition_events(bigint) TO %I", &[role]).await?;
    Ok(transaction.commit().await?)
}

/// Runs a statement with names and texts, quoted by the database.
async fn run(connection: &mut PgConnection, statement: &str, parts: &[&str]) -> JournalResult<()> {
    let text: String = sqlx::query_scalar("SELECT format($1, VARIADIC $2::text[])")
        .bind(statement)
        .bind(parts)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query(assembled(text)).persistent(false).execute(connection).await?;
    Ok(())
}
