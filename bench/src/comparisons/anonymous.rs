//! Unauthenticated callers who send the most expensive request of each public operation, and their effect on other
//! callers.

use super::Bench;
use super::steady::{READS, measure_beside};
use crate::client::Client;
use crate::directories::{Contents, seeded_id};
use crate::report::{Goal, Line, Side};
use crate::rounds::{Round, Rounds, histogram};
use crate::server::{Database, RunningServer};
use anyhow::{anyhow, ensure};
use bytes::Bytes;
use hyper::Method;
use registrar::auth::RateLimiter;
use registrar::config::CALLER_RATE;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Concurrent strangers.
const STRANGERS: usize = 64;
/// Close to the maximum size of a request body.
const LONG: usize = 15 * 1024;
/// A proxy on this machine states the address of each stranger.
const BEHIND_PROXY: (&str, &str) = ("REGISTRAR_TRUSTED_PROXIES", "127.0.0.1");

/// A public operation: its name, its path, and its most expensive body.
struct Worst {
    name: &'static str,
    path: &'static str,
    body: fn() -> Option<Value>,
}

const WORST: [Worst; 6] = [
    // An unknown name costs a hash as well; otherwise the response time would reveal which names exist.
    Worst {
        name: "login",
        path: "/v1/login/",
        body: || Some(json!({"username": "nobody@example.com", "password": PASSWORD})),
    },
    Worst {
        name: "login, rubbish",
        path: "/v1/login/",
        body: || Some(json!({"username": [rubbish()], "password": {}})),
    },
    Worst { name: "refresh-token", path: "/v1/refresh-token/", body: || Some(json!({"refresh-token": rubbish()})) },
    Worst { name: "internal-auth", path: "/v2/internal-auth/", body: || Some(json!({"token": rubbish()})) },
    Worst {
        name: "password-strength",
        path: "/v1/password-strength/",
        body: || Some(json!({"password": guessable()})),
    },
    Worst { name: "the OpenAPI document", path: "/openapi/identity.json", body: || None },
];

const PASSWORD: &str = "correct horse battery staple 7";

fn rubbish() -> String {
    "\u{1f980}x\\".repeat(LONG / 8)
}

/// The password that takes longest to judge: many overlapping words and dates, at the maximum length.
fn guessable() -> String {
    "p4ssw0rdqwerty19871231".repeat(12).chars().take(256).collect()
}

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let contents = Contents { admins: bench.options.few_admins, ..Contents::default() };
    let directory = bench.directories.with(&bench.servers, contents).await?;
    let token = directory.token().await?;
    let time = Duration::from_millis(bench.options.round_ms);
    let mut found = Vec::new();
    for (networks, apart) in [("from as many networks", true), ("from one network", false)] {
        let served = serve(&directory, apart.then_some(BEHIND_PROXY))?.await?;
        for worst in &WORST {
            let (mut quiet, mut busy, mut answered) = (Vec::new(), Vec::new(), 0);
            for _ in 0..bench.options.rounds {
                quiet.push(measure_beside(&served, &token, contents.admins, tokio::time::sleep(time)).await?.0);
                let (others, sent) =
                    measure_beside(&served, &token, contents.admins, flood(&served, worst, apart, time)).await?;
                busy.push(others);
                answered += sent?;
            }
            let side = |name: &str, rounds| {
                let rounds = Rounds { name: name.into(), rounds };
                Side::of(&rounds, |round: &Round| round.quantile_ms(0.99))
            };
            let (busy, quiet) = (side("Registrar, with strangers", busy)?, side("the same without", quiet)?);
            let rate = answered as f64 / (time.as_secs_f64() * bench.options.rounds as f64);
            found.push(
                Line::new(format!("GET by id beside {}, {networks}, p99", worst.name), "ms", busy, Some(quiet))
                    .at(STRANGERS)
                    .goal(Some(Goal::AtMost(2.0)))
                    .note(format!("{READS} reads a second; {rate:.0} answers a second to strangers.")),
            );
        }
    }
    found.push(counting(bench)?);
    Ok(found)
}

/// Cost of counting a request of a caller at the rate limit.
fn counting(bench: &Bench) -> anyhow::Result<Line> {
    let limiter = RateLimiter::new(CALLER_RATE);
    // Rounded up: without the fraction the window would hold one request too many.
    let pause = CALLER_RATE.window / u32::try_from(CALLER_RATE.requests)? + Duration::from_nanos(1);
    let callers: Vec<String> = (0..1_000).map(|number| seeded_id("user", number).to_string()).collect();
    let (mut now, mut rounds) = (Instant::now(), Vec::new());
    for _ in 0..=bench.options.rounds {
        let (begun, mut counted) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_millis(bench.options.round_ms) {
            for caller in &callers {
                limiter.accept(caller, now).map_err(|_| anyhow!("a caller within the rate is refused"))?;
            }
            counted += callers.len() as u64;
            now += pause;
        }
        rounds.push(Round { elapsed: begun.elapsed(), latencies: histogram()?, counted: Some(counted) });
    }
    let rounds = Rounds { name: "Registrar".into(), rounds: rounds.split_off(1) };
    let cost = Side::of(&rounds, |round| 1_000_000.0 / round.per_second())?;
    Ok(Line::new("counting a request of one of 1,000 callers", "us", cost, None).at(1).goal(Some(Goal::AtMost(1.0))))
}

fn serve(
    directory: &Database,
    variable: Option<(&str, &str)>,
) -> anyhow::Result<impl Future<Output = anyhow::Result<RunningServer>>> {
    let mut command = directory.registrar(&["serve"])?;
    command.envs(variable);
    Ok(RunningServer::start(command, "Registrar answers at "))
}

/// Sends the most expensive request from all strangers for a time; answers the number of answers.
async fn flood(served: &RunningServer, worst: &'static Worst, apart: bool, time: Duration) -> anyhow::Result<u64> {
    let until = Instant::now() + time;
    let body = (worst.body)().map(|body| Bytes::from(body.to_string()));
    let strangers = (0..STRANGERS).map(|number| {
        // Addresses for benchmarks (RFC 2544).
        let from = apart.then(|| format!("198.18.{number}.1"));
        tokio::spawn(send(served.address.clone(), from, worst.path, body.clone(), until))
    });
    let mut answered = 0;
    for stranger in futures::future::join_all(strangers).await {
        answered += stranger??;
    }
    ensure!(answered > 0, "{}: nobody was answered", worst.name);
    Ok(answered)
}

async fn send(
    address: String,
    from: Option<String>,
    path: &str,
    body: Option<Bytes>,
    until: Instant,
) -> anyhow::Result<u64> {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let mut answered = 0;
    'connected: while Instant::now() < until {
        let mut client = Client::connect(&address, "").await?;
        if let Some(from) = &from {
            client = client.behind_proxy(from.clone());
        }
        while Instant::now() < until {
            // The server may close a connection after a refusal.
            let Ok((status, _)) = client.send(method.clone(), path, body.clone()).await else { continue 'connected };
            ensure!(!status.is_server_error() || status == 503, "{path}: {status}");
            answered += 1;
        }
    }
    Ok(answered)
}
