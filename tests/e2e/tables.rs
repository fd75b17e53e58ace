//! The empty tables of this build. Creating them takes longer than most tests, so it is done once for a test binary,
//! and tests start with a copy.

use registrar::node::{Store, StoreSettings};
use registrar::read_store::signature;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::fs::{self, File};
use std::path::Path;
use std::time::UNIX_EPOCH;

const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");
const BINARY: &str = env!("CARGO_CRATE_NAME");
/// The only SQLSTATE that reports a missing template database.
const NO_SUCH_DATABASE: &str = "3D000";

/// Name of the template, which depends on the build: another build has other tables.
fn name() -> String {
    let built = fs::metadata(std::env::current_exe().unwrap()).unwrap().modified().unwrap();
    format!("tables_{BINARY}_{}", built.duration_since(UNIX_EPOCH).unwrap().as_nanos())
}

/// Creates a database with the tables on the PostgreSQL server at `url`.
pub async fn create_postgres(url: &str, database: &str) {
    let (mut connection, tables) = (PgConnection::connect(url).await.unwrap(), name());
    let copy = format!("CREATE DATABASE {database} TEMPLATE {tables}");
    if let Err(error) = connection.execute(AssertSqlSafe(copy.clone())).await {
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), NO_SUCH_DATABASE, "{error}");
        make_postgres(&mut connection, url, &tables).await;
        connection.execute(AssertSqlSafe(copy)).await.unwrap();
    }
}

async fn make_postgres(connection: &mut PgConnection, url: &str, tables: &str) {
    // Concurrent tests wait for the first one to create the template.
    connection.execute("SELECT pg_advisory_lock(1)").await.unwrap();
    let exists =
        sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)").bind(tables);
    if !exists.fetch_one(&mut *connection).await.unwrap() {
        let (base, _) = url.rsplit_once('/').unwrap();
        let unfinished = format!("{tables}_unfinished");
        connection.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)"))).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {unfinished}"))).await.unwrap();
        make(Some(format!("{base}/{unfinished}")), Path::new(FOLDER)).await;
        // A database with open connections cannot be renamed or copied.
        let statements = format!(
            "ALTER DATABASE {unfinished} WITH ALLOW_CONNECTIONS false; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{unfinished}'; \
             ALTER DATABASE {unfinished} RENAME TO {tables}"
        );
        for statement in statements.split(';') {
            connection.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
        }
    }
    connection.execute("SELECT pg_advisory_unlock(1)").await.unwrap();
}

/// Writes an SQLite database with the tables to `file`.
pub fn create_sqlite(file: &Path) {
    let tables = Path::new(FOLDER).join(format!("{}.sqlite3", name()));
    if fs::copy(&tables, file).is_err() {
        make_sqlite(&tables);
        fs::copy(&tables, file).unwrap();
    }
}

fn make_sqlite(tables: &Path) {
    let lock = File::create(Path::new(FOLDER).join(format!("tables_{BINARY}.lock"))).unwrap();
    lock.lock().unwrap();
    if tables.exists() {
        return;
    }
    for entry in fs::read_dir(FOLDER).unwrap() {
        let former = entry.unwrap().path();
        let name = former.file_name().unwrap().to_str().unwrap();
        if name.starts_with(&format!("tables_{BINARY}_")) {
            fs::remove_file(former).unwrap();
        }
    }
    let folder = tempfile::tempdir_in(FOLDER).unwrap();
    let file = folder.path().join("registrar.sqlite3");
    let made = async {
        make(None, folder.path()).await;
        // Closes the WAL, so that the database is one file.
        let options = SqliteConnectOptions::new().filename(&file);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
        connection.close().await.unwrap();
    };
    // The caller is within a runtime already, so this one needs its own thread.
    std::thread::scope(|scope| {
        scope.spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(made)).join().unwrap();
    });
    fs::rename(&file, tables).unwrap();
}

/// Migrates as a node does on an empty database.
async fn make(database_url: Option<String>, data: &Path) {
    let settings = StoreSettings { database_url, data: data.to_owned(), archives: None };
    let store = Store::open(&settings).unwrap();
    store.migrate().await.unwrap();
    store.document_store().create_generation(&signature()).await.unwrap();
}
