//! [`Backend`] on PostgreSQL.

use super::{CHANNEL, PostgresStore, UNDEFINED_TABLE, roles};
use crate::store::hosts::is_this_machine;
use crate::store::statements::APPLIED;
use crate::store::{
    Announcements, Backend, JournalResult, LeadershipGuard, LeadershipLock, OpenError, assembled, migrations,
};
use async_trait::async_trait;
use futures::StreamExt;
use sqlx::Connection;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgSslMode};
use std::str::FromStr;
use std::time::Duration;

impl PostgresStore {
    /// The database at a URL; no connection is made yet.
    ///
    /// # Errors
    /// `Url`.
    pub(in crate::store) fn at(url: &str) -> Result<Self, OpenError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(OpenError::Url("only postgres:// URLs are known; leave it out for SQLite".into()));
        }
        let options = PgConnectOptions::from_str(url).map_err(|error| OpenError::Url(error.to_string()))?;
        Ok(PostgresStore::new(verified(url, options).application_name("registrar")))
    }

    async fn partition_by(&self, positions: u32) -> JournalResult<()> {
        let statement = assembled(format!(
            "DO $$ DECLARE v_head bigint; v_table text; BEGIN \
             SELECT position INTO v_head FROM journal_head FOR UPDATE; \
             IF (SELECT partition_size FROM journal_settings) = {positions} THEN RETURN; END IF; \
             UPDATE journal_settings SET partition_size = {positions}; \
             FOR v_table IN SELECT table_name FROM event_partitions WHERE first_position > v_head LOOP \
             EXECUTE format('ALTER TABLE events DETACH PARTITION %I', v_table); \
             EXECUTE format('DROP TABLE %I', v_table); \
             DELETE FROM event_partitions WHERE table_name = v_table; END LOOP; \
             UPDATE journal_head SET partitioned_until = \
             (SELECT coalesce(max(last_position), 0) FROM event_partitions); \
             PERFORM partition_events(v_head); END $$"
        ));
        sqlx::raw_sql(statement).execute(&mut self.connect().await?).await?;
        Ok(())
    }
}

#[async_trait]
impl Backend for PostgresStore {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn migrations(&self) -> &'static Migrator {
        &migrations::POSTGRES
    }

    async fn applied(&self) -> Result<Vec<i64>, OpenError> {
        let mut connection = self.connect().await.map_err(OpenError::unreachable)?;
        match sqlx::query_scalar(APPLIED).fetch_all(&mut connection).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => {
                Err(OpenError::NotMigrated)
            }
            applied => applied.map_err(|error| OpenError::unreachable(error.into())),
        }
    }

    async fn migrate(&self) -> Result<(), OpenError> {
        let mut connection = self.connect().await.map_err(OpenError::unreachable)?;
        let encoding = encoding(&mut connection).await.map_err(OpenError::unreachable)?;
        if encoding != "UTF8" {
            return Err(OpenError::Encoding(encoding));
        }
        // The migrator takes an advisory lock of its own.
        migrations::POSTGRES.run_direct(None, &mut connection, false).await.map_err(OpenError::of_migration)
    }

    /// Whether this connection's role may append to the journal, and the server accepts writes.
    async fn may_be_written(&self) -> JournalResult<bool> {
        let text = "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' \
             AND has_table_privilege('events', 'INSERT')";
        Ok(sqlx::query_scalar(text).fetch_one(&mut self.connect().await?).await?)
    }

    /// Takes an advisory lock on a dedicated connection.
    async fn try_lead(&self, name: &str) -> JournalResult<Option<LeadershipGuard>> {
        let mut connection = self.connect().await?;
        // Several installations may share a database, each in a schema of its own.
        let text = "SELECT pg_try_advisory_lock(hashtextextended('registrar.' || current_schema() || '.' || $1, 0))";
        let taken: bool = sqlx::query_scalar(text).bind(name).fetch_one(&mut connection).await?;
        Ok(taken.then(|| Box::new(connection) as LeadershipGuard))
    }

    /// Writing a page blocks commits only if they need a locked row.
    fn write_time(&self) -> Duration {
        Duration::from_millis(200)
    }

    /// Waits on `LISTEN`.
    async fn announcements(&self) -> JournalResult<Option<Announcements>> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        let channel: String = sqlx::query_scalar(assembled(format!("SELECT {CHANNEL}"))).fetch_one(&self.pool).await?;
        listener.listen(&channel).await?;
        let announced = listener.into_stream().map(|notification| Ok(notification?.payload().parse().ok()));
        Ok(Some(announced.boxed()))
    }

    async fn grant_server(&self, role: &str, password: Option<&str>) -> Result<(), OpenError> {
        roles::grant(self, role, password).await.map_err(OpenError::unreachable)
    }

    async fn set_partition_size(&self, positions: u32) -> Result<(), OpenError> {
        self.partition_by(positions).await.map_err(OpenError::unreachable)
    }
}

/// An advisory lock ends with its session.
#[async_trait]
impl LeadershipLock for PgConnection {
    async fn is_held(&mut self) -> bool {
        self.ping().await.is_ok()
    }
}

/// Encoding of the database.
async fn encoding(connection: &mut PgConnection) -> JournalResult<String> {
    Ok(sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(connection).await?)
}

/// Remote databases are accessed over TLS with certificate verification, unless the URL or `PGSSLMODE` says otherwise.
fn verified(url: &str, options: PgConnectOptions) -> PgConnectOptions {
    let environment = std::env::var_os("PGSSLMODE").is_some_and(|mode| !mode.is_empty());
    verified_unless(environment, url, options)
}

fn verified_unless(environment_says: bool, url: &str, options: PgConnectOptions) -> PgConnectOptions {
    let host = options.get_host();
    let here = host.starts_with('/') || is_this_machine(host) || options.get_socket().is_some();
    let said = environment_says || ["sslmode=", "ssl-mode="].iter().any(|name| url.contains(name));
    if here || said { options } else { options.ssl_mode(PgSslMode::VerifyFull) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_of_a_remote_database_is_verified_unless_configured_otherwise() {
        let mode = |url: &str, environment_says: bool| {
            let options = PgConnectOptions::from_str(url).expect("a URL").ssl_mode(PgSslMode::Prefer);
            // An explicit mode in the URL stays as the driver read it.
            let options = match url.contains("sslmode=disable") || url.contains("ssl-mode=disable") {
                true => options.ssl_mode(PgSslMode::Disable),
                false => options,
            };
            format!("{:?}", verified_unless(environment_says, url, options).get_ssl_mode())
        };
        for (url, expected) in [
            ("postgres://u:p@db.example.org/d", "VerifyFull"),
            ("postgresql://u:p@db.example.org:5433/d?application_name=x", "VerifyFull"),
            ("postgres://u:p@192.0.2.7/d", "VerifyFull"),
            ("postgres://u:p@[2001:db8::1]/d", "VerifyFull"),
            ("postgres://u:p@localhost.example.org/d", "VerifyFull"),
            ("postgres://u:p@localhost/d", "Prefer"),
            ("postgres://u:p@127.0.0.1:5432/d", "Prefer"),
            ("postgres://u:p@127.8.0.1/d", "Prefer"),
            ("postgres://u:p@[::1]/d", "Prefer"),
            ("postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d", "Prefer"),
            ("postgres:///d?host=/var/run/postgresql", "Prefer"),
            ("postgres://u:p@db.example.org/d?sslmode=disable", "Disable"),
            ("postgres://u:p@db.example.org/d?ssl-mode=disable", "Disable"),
        ] {
            assert_eq!(mode(url, false), expected, "{url}");
        }
        assert_eq!(mode("postgres://u:p@db.example.org/d", true), "Prefer", "PGSSLMODE says so");
    }
}
