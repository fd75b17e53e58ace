//! The stock implementation, see [`registrar_bench_common::stock`], with `sqlite-es`: a contender that the bench starts
//! and controls.

use anyhow::Context;
use async_trait::async_trait;
use registrar_aggregates::admin::Admin;
use registrar_bench_common::contender::LoadDriver;
use registrar_bench_common::protocol;
use registrar_bench_common::stock::{AdminView, COUNTS, Stock, StoreCounts, query};
use registrar_bench_common::workload::Work;
use sqlite_es::{SqliteEventRepository, SqliteViewRepository, sqlite_cqrs};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The same allocator for all contenders.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SQLITE: &str = "
CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence integer CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL, event_version text NOT NULL, payload text NOT NULL, metadata text NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)) STRICT;
CREATE TABLE admin_view (
    view_id text NOT NULL, version integer CHECK (version >= 0) NOT NULL, payload text NOT NULL,
    PRIMARY KEY (view_id)) STRICT;";
/// Wait for SQLite's single writer, which `sqlite-es` leaves to the driver.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

type StockSqlite = Stock<SqliteEventRepository, SqliteViewRepository<AdminView, Admin>, Tables>;

struct Tables(SqlitePool);

#[async_trait]
impl StoreCounts for Tables {
    async fn counts(&self) -> anyhow::Result<(i64, i64)> {
        Ok(sqlx::query_as(COUNTS).fetch_one(&self.0).await?)
    }
}

async fn open(file: &Path, connections: u32) -> anyhow::Result<StockSqlite> {
    // Its `default_sqlite_pool`, with the durability of Registrar, and with waits where it would fail.
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT);
    // SQLite has one writer whatever the pool; a few connections allow concurrent reads.
    let pools = SqlitePoolOptions::new().max_connections(connections.min(4)).acquire_timeout(Duration::from_secs(120));
    let pool = pools.connect_with(options).await?;
    sqlx::raw_sql(SQLITE).execute(&pool).await?;
    let views = Arc::new(SqliteViewRepository::new("admin_view", pool.clone()));
    let cqrs = sqlite_cqrs(pool.clone(), vec![Box::new(query(&views))], ());
    Ok(Stock::new("cqrs-es + sqlite-es", cqrs, views, Tables(pool)))
}

/// Arguments: the database file, and the number of connections.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let file = arguments.next().context("which file?")?;
    let connections =
        arguments.next().and_then(|number| number.to_str()?.parse().ok()).context("how many connections?")?;
    let stock = open(Path::new(&file), connections).await?;
    protocol::answer(&LoadDriver::new(stock, Work::Directory)).await
}
