//! A rebuild of all read models beside a server that goes on answering.

use super::Bench;
use super::steady::{READS, reads};
use crate::report::{Goal, Line, Side};
use crate::rounds::Rounds;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Most rounds, since a rebuild takes long; no further round starts after the time limit.
const ROUNDS_MAX: usize = 3;
const TIME_MAX: Duration = Duration::from_secs(180);

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let admins = bench.options.admins;
    let directory = bench.directories.of(&bench.servers, admins).await?;
    let token = directory.token().await?;
    let served = directory.serve().await?;
    let (mut rates, mut quiet, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    let started = Instant::now();
    for _ in 0..bench.options.rounds.min(ROUNDS_MAX) {
        if started.elapsed() > TIME_MAX {
            break;
        }
        let over = CancellationToken::new();
        let before = tokio::spawn(reads(served.address.clone(), token.clone(), admins, over.clone()));
        tokio::time::sleep(Duration::from_millis(bench.options.round_ms * 2)).await;
        over.cancel();
        quiet.push(before.await??);

        let position = "SELECT position FROM journal_head";
        let events: i64 = sqlx::query_scalar(position).fetch_one(&mut directory.connect().await?).await?;
        let over = CancellationToken::new();
        let meanwhile = tokio::spawn(reads(served.address.clone(), token.clone(), admins, over.clone()));
        let begun = Instant::now();
        directory.run_registrar(&["projections", "rebuild"]).await?;
        rates.push(events as f64 / begun.elapsed().as_secs_f64());
        over.cancel();
        busy.push(meanwhile.await??);
    }
    let side = |name: &str, rounds| Side::of(&Rounds { name: name.into(), rounds }, |round| round.quantile_ms(0.99));
    let (busy, quiet) = (side("Registrar, rebuilding", busy)?, side("the same before the rebuild", quiet)?);
    Ok(vec![
        Line::new("rebuild of all read models", "events/s", Side::figures("Registrar", rates), None)
            .goal(Some(Goal::AtLeast(100_000.0)))
            .note("The whole of `registrar projections rebuild`, start of the process and swap included."),
        Line::new("GET by id during the rebuild, p99", "ms", busy, Some(quiet))
            .goal(Some(Goal::AtMost(2.0)))
            .note(format!("{READS} reads a second.")),
    ])
}
