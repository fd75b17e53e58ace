//! The contenders, each loaded by [`LoadDriver`] or as a subject of its own.

pub(crate) mod crud;
pub(crate) mod disintegrate;
pub(crate) mod emmett;
#[cfg(feature = "esrs")]
pub(crate) mod esrs;
pub(crate) mod message_db;
pub(crate) mod npm;
pub(crate) mod over_http;
pub(crate) mod pgbench;
pub(crate) mod registrar;
pub(crate) mod spawned;
pub(crate) mod stock;

pub(crate) use registrar_bench_common::contender::{Acknowledged, Contender, LoadDriver, driven, gathered, total};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::str::FromStr;

/// A pool with all its connections open, so that no round pays for them. They are not pinged before every use, which
/// would cost each command another round trip.
pub(crate) async fn pool(url: &str, connections: u32) -> anyhow::Result<PgPool> {
    pool_with(PgConnectOptions::from_str(url)?, connections).await
}

/// A [`pool`] with session options.
pub(crate) async fn pool_with(options: PgConnectOptions, connections: u32) -> anyhow::Result<PgPool> {
    let pools = PgPoolOptions::new().max_connections(connections).min_connections(connections);
    Ok(pools.test_before_acquire(false).connect_with(options).await?)
}

/// A [`pool`] for contenders on sqlx 0.8.
pub(crate) async fn former_pool(url: &str, connections: u32) -> anyhow::Result<sqlx_0_8::PgPool> {
    let pools = sqlx_0_8::postgres::PgPoolOptions::new().max_connections(connections).min_connections(connections);
    Ok(pools.test_before_acquire(false).connect(url).await?)
}
