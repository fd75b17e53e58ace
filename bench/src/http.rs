//! Commands and reads over HTTP against a running server on this machine.

use anyhow::Context;
use hdrhistogram::Histogram;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

/// The load and its target server.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// Root URL of the server, on loopback.
    pub(crate) url: String,
    /// Bearer token of an administrator.
    pub(crate) token: String,
    /// Concurrent requests.
    pub(crate) clients: usize,
    /// Number of admins to register, rename and read.
    pub(crate) admins: usize,
}

pub(crate) async fn run(load: Load) -> anyhow::Result<()> {
    anyhow::ensure!(
        load.url.starts_with("http://127.0.0.1:") || load.url.starts_with("http://localhost:"),
        "load goes to this machine only"
    );
    let client = Client::builder().pool_max_idle_per_host(load.clients).tcp_nodelay(true).build()?;
    let load = Arc::new(load);
    let start = Instant::now();
    let workers = (0..load.clients).map(|_| tokio::spawn(write(client.clone(), Arc::clone(&load))));
    let (mut latencies, mut ids) = (Histogram::<u64>::new(3)?, Vec::new());
    for worker in futures::future::join_all(workers).await {
        let (measured, registered) = worker??;
        latencies.add(measured)?;
        ids.extend(registered);
    }
    report("commands", &load, start, &latencies);

    let ids = Arc::new(ids);
    let start = Instant::now();
    let workers = (0..load.clients).map(|n| tokio::spawn(read(client.clone(), Arc::clone(&load), Arc::clone(&ids), n)));
    let mut latencies = Histogram::<u64>::new(3)?;
    for worker in futures::future::join_all(workers).await {
        latencies.add(worker??)?;
    }
    report("reads by id", &load, start, &latencies);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result")]
fn report(what: &str, load: &Load, start: Instant, latencies: &Histogram<u64>) {
    println!(
        "http {what} clients={} {:.0}/s p50={}us p99={}us p99.9={}us",
        load.clients,
        latencies.len() as f64 / start.elapsed().as_secs_f64(),
        latencies.value_at_quantile(0.5),
        latencies.value_at_quantile(0.99),
        latencies.value_at_quantile(0.999)
    );
}

async fn write(client: Client, load: Arc<Load>) -> anyhow::Result<(Histogram<u64>, Vec<String>)> {
    let (mut latencies, mut ids) = (Histogram::new(3)?, Vec::new());
    let root = format!("{}/api/ecg-admins", load.url);
    let registration = json!({
        "person": {"firstName": "Ada", "lastName": "Lovelace", "contactEmailAddress": "ada@example.com"},
        "addresses": [],
        "phoneNumbers": []
    });
    let rename = json!([{"op": "replace", "path": "/person/firstName", "value": "Augusta"}]);
    for _ in 0..load.admins / load.clients {
        let begun = Instant::now();
        let answer = client.post(&root).bearer_auth(&load.token).json(&registration).send().await?;
        anyhow::ensure!(answer.status() == StatusCode::CREATED, "{}", answer.status());
        let body: Value = answer.json().await?;
        latencies.record(u64::try_from(begun.elapsed().as_micros())?)?;
        let id = body["id"].as_str().context("no id")?.to_owned();
        let begun = Instant::now();
        let answer = client.patch(format!("{root}/{id}")).bearer_auth(&load.token).json(&rename).send().await?;
        anyhow::ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        answer.bytes().await?;
        latencies.record(u64::try_from(begun.elapsed().as_micros())?)?;
        ids.push(id);
    }
    Ok((latencies, ids))
}

async fn read(client: Client, load: Arc<Load>, ids: Arc<Vec<String>>, first: usize) -> anyhow::Result<Histogram<u64>> {
    let mut latencies = Histogram::new(3)?;
    for id in ids.iter().skip(first).step_by(load.clients) {
        let begun = Instant::now();
        let url = format!("{}/api/ecg-admins/{id}", load.url);
        let answer = client.get(url).bearer_auth(&load.token).send().await?;
        anyhow::ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        answer.bytes().await?;
        latencies.record(u64::try_from(begun.elapsed().as_micros())?)?;
    }
    Ok(latencies)
}
