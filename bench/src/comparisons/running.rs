//! The cost of an idle server: start-up time and memory.

use super::Bench;
use crate::client::Client;
use crate::contenders::over_http::{ADMINS, HttpContender, MakePath, Requests, StoredCheck};
use crate::report::{Goal, Line, Side};
use crate::rounds::{Effort, Subject};
use anyhow::ensure;
use hyper::{Method, StatusCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for a server to be ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time after which an idle server has settled.
const SETTLED: Duration = Duration::from_secs(2);

pub(super) async fn start_up(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let admins = bench.options.admins;
    let directory = bench.directories.of(&bench.servers, admins).await?;
    let mut seconds = Vec::new();
    // The first round is the warm-up.
    for _ in 0..=bench.options.rounds {
        let begun = Instant::now();
        let served = directory.serve().await?;
        let mut client = Client::connect(&served.address, "nobody").await?;
        while client.send(Method::GET, "/readyz", None).await?.0 != StatusCode::OK {
            ensure!(begun.elapsed() < PATIENCE, "it does not get ready");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        seconds.push(begun.elapsed().as_secs_f64());
    }
    seconds.remove(0);
    let work = format!("start to /readyz with {admins} admins, an event or more each");
    Ok(vec![Line::new(work, "s", Side::figures("Registrar", seconds), None).goal(Some(Goal::AtMost(0.5)))])
}

pub(super) async fn memory(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let settled = if bench.options.smoke { Duration::ZERO } else { SETTLED };
    let (mut idle, mut full) = (Vec::new(), Vec::new());
    let admins = bench.options.admins;
    let directory = bench.directories.of(&bench.servers, admins).await?;
    let token = directory.token().await?;
    for _ in 0..bench.options.rounds {
        let empty = bench.servers.database().await?;
        let served = empty.serve().await?;
        tokio::time::sleep(settled).await;
        idle.push(served.resident_mib()?);
        drop(served);
        bench.servers.drop(empty).await?;

        let served = Arc::new(directory.serve().await?);
        let effort = Effort { clients: if bench.options.smoke { 2 } else { 64 }, time_ms: bench.options.round_ms };
        let pages: MakePath = |step, _| format!("{ADMINS}?skip={}&take=100", step % 100);
        for requests in [Requests::Reads(admins), Requests::Renames(admins), Requests::Pages(pages, admins)] {
            let stored = StoredCheck::Registrar(directory.clone());
            let subject = HttpContender::new("Registrar", &served, &token, requests, stored);
            subject.round(effort).await?;
            subject.check().await?;
        }
        tokio::time::sleep(settled).await;
        full.push(served.resident_mib()?);
    }
    let line = |work: String, figures, most| {
        Line::new(work, "MiB", Side::figures("Registrar", figures), None).goal(Some(Goal::AtMost(most)))
    };
    let note = "Reads, renames and list pages by 64 clients, for a round each, before it is looked at.";
    Ok(vec![
        line("resident memory, idle".into(), idle, 64.0),
        line(format!("resident memory with {admins} admins, after work"), full, 200.0).note(note),
    ])
}
