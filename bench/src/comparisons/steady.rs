//! A light, steady load beside another load, which measures the effect of the latter.

use crate::client::Client;
use crate::contenders::over_http::ADMINS;
use crate::directories::{person_id, scattered};
use crate::rounds::{Round, histogram, record};
use crate::server::RunningServer;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Reads per second; they leave room for the other load.
pub(super) const READS: u64 = 200;

/// Reads at a steady rate until cancelled. A late answer delays the next request, and that delay counts as its latency.
pub(super) async fn reads(
    address: String,
    token: String,
    admins: u64,
    over: CancellationToken,
) -> anyhow::Result<Round> {
    let mut client = Client::connect(&address, &token).await?;
    let (mut latencies, started) = (histogram()?, Instant::now());
    let mut ticks = interval(Duration::from_micros(1_000_000 / READS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for step in 0.. {
        let due = tokio::select! {
            () = over.cancelled() => break,
            due = ticks.tick() => due,
        };
        client.get(&format!("{ADMINS}/{}", person_id(scattered(step, admins)))).await?;
        record(&mut latencies, due.into_std())?;
    }
    Ok(Round::new(started.elapsed(), latencies))
}

/// Latencies of a steady load beside another load. The reader has a thread of its own; otherwise it would wait for the
/// clients of the other load.
pub(super) async fn measure_beside<T>(
    served: &RunningServer,
    token: &str,
    admins: u64,
    work: impl Future<Output = T>,
) -> anyhow::Result<(Round, T)> {
    let over = CancellationToken::new();
    let reads = reads(served.address.clone(), token.to_owned(), admins, over.clone());
    let steady = tokio::task::spawn_blocking(|| Builder::new_current_thread().enable_all().build()?.block_on(reads));
    let done = work.await;
    over.cancel();
    Ok((steady.await??, done))
}
