//! A PostgreSQL server with TLS, as in `docker compose`: the certificates that the program accepts.

use crate::nats_security::network_keys;
use crate::process::{fail, registrar};
use registrar::node::StoreSettings;
use sqlx::{Connection, Executor, PgConnection};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A PostgreSQL server of one test.
struct Postgres {
    folder: tempfile::TempDir,
    url: String,
}

impl Postgres {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let owner = std::process::id().to_string();
        let url = script(&["start", folder.path().to_str().unwrap(), &owner]);
        Postgres { folder, url: url.trim().to_owned() }
    }

    /// Gives the server a certificate for `names`; answers the authority that signed it.
    async fn show(&self, keys: &Path, names: &str) -> PathBuf {
        network_keys(keys, names);
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await.unwrap();
        let server = std::fs::metadata(&data).unwrap();
        for name in ["server.pem", "server.key"] {
            let copy = Path::new(&data).join(name);
            std::fs::copy(keys.join("nats").join(name), &copy).unwrap();
            chown(&copy, Some(server.uid()), Some(server.gid())).unwrap();
        }
        for setting in ["ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'", "ssl = on"] {
            connection.execute(sqlx::AssertSqlSafe(format!("ALTER SYSTEM SET {setting}"))).await.unwrap();
        }
        connection.execute("SELECT pg_reload_conf()").await.unwrap();
        let started = Instant::now();
        loop {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            let on: String = sqlx::query_scalar("SHOW ssl").fetch_one(&mut connection).await.unwrap();
            if on == "on" {
                return keys.join("authority/ca.pem");
            }
            assert!(started.elapsed() < Duration::from_secs(30), "it speaks no TLS");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn migrate(&self, authority: &Path) -> Command {
        let url = format!("{}?sslmode=verify-full&sslrootcert={}", self.url, authority.display());
        let data = self.folder.path().join("data");
        registrar(&StoreSettings { database_url: Some(url), data, archives: None }, &["migrate"])
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = Command::new(path()).args(["remove", self.folder.path().to_str().unwrap_or_default()]).output();
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres")
}

fn script(arguments: &[&str]) -> String {
    let output = Command::new(path()).args(arguments).output().unwrap();
    assert!(output.status.success(), "scripts/postgres {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_another_authority_is_not_spoken_to() {
    let postgres = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    // An authority that did not sign the server's certificate.
    let strange = folder.path().join("strange");
    network_keys(&strange, "localhost,127.0.0.1");
    let authority = postgres.show(&folder.path().join("right"), "localhost,127.0.0.1").await;
    tokio::task::block_in_place(|| fail(postgres.migrate(&strange.join("authority/ca.pem"))));
    let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
    let events: Option<String> =
        sqlx::query_scalar("SELECT to_regclass('events')::text").fetch_one(&mut connection).await.unwrap();
    assert_eq!(events, None, "nothing was begun");
    let migrated = tokio::task::block_in_place(|| postgres.migrate(&authority).output()).unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_another_name_is_not_spoken_to() {
    let postgres = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let authority = postgres.show(folder.path(), "database.example.org").await;
    tokio::task::block_in_place(|| fail(postgres.migrate(&authority)));
}
