//! The stock implementation, see [`registrar_bench_common::stock`]: with `postgres-es` in this program, with
//! `sqlite-es` in one of its own, since its SQLite cannot be linked into one program with ours.

use super::former_pool;
use super::spawned::SpawnedContender;
use crate::rounds::Subject;
use anyhow::Context;
use async_trait::async_trait;
use postgres_es::{PostgresEventRepository, PostgresViewRepository, postgres_cqrs};
use registrar_aggregates::admin::Admin;
pub(crate) use registrar_bench_common::stock::AdminView;
use registrar_bench_common::stock::{COUNTS, Stock, StoreCounts, query};
use sqlx_0_8::PgPool;
use std::path::Path;
use std::sync::Arc;
use tokio::process::Command;

const POSTGRES: &str = "
CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence));
CREATE TABLE admin_view (
    view_id text NOT NULL, version bigint CHECK (version >= 0) NOT NULL, payload json NOT NULL, PRIMARY KEY (view_id));";

pub(crate) type StockPostgres = Stock<PostgresEventRepository, PostgresViewRepository<AdminView, Admin>, Tables>;

pub(crate) struct Tables(PgPool);

#[async_trait]
impl StoreCounts for Tables {
    async fn counts(&self) -> anyhow::Result<(i64, i64)> {
        Ok(sqlx_0_8::query_as(COUNTS).fetch_one(&self.0).await?)
    }
}

pub(crate) async fn postgres(url: &str, connections: u32) -> anyhow::Result<StockPostgres> {
    let pool = former_pool(url, connections).await?;
    sqlx_0_8::raw_sql(POSTGRES).execute(&pool).await?;
    let views = Arc::new(PostgresViewRepository::new("admin_view", pool.clone()));
    let cqrs = postgres_cqrs(pool.clone(), vec![Box::new(query(&views))], ());
    Ok(Stock::new("cqrs-es + postgres-es", cqrs, views, Tables(pool)))
}

/// Starts the program of `bench/stock-sqlite`; Cargo builds it beside this one.
pub(crate) async fn sqlite(file: &Path, connections: u32) -> anyhow::Result<Box<dyn Subject>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stock-sqlite");
    let target = crate::program_folder()?.parent().context("no target folder")?.to_owned();
    let cargo = |command: &str| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args([command, "--quiet", "--locked", "--manifest-path"]).arg(folder.join("Cargo.toml"));
        cargo.arg("--target-dir").arg(&target);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        cargo
    };
    let built = cargo("build").status().await.context("cargo does not start")?;
    anyhow::ensure!(built.success(), "cargo does not build {}", folder.display());
    // `cargo run` replaces itself with the program.
    let mut program = cargo("run");
    program.arg("--").arg(file).arg(connections.to_string());
    Ok(Box::new(SpawnedContender::start("cqrs-es + sqlite-es", vec![program])?))
}
