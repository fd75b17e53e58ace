//! Publishing to NATS: latency of an event, and throughput of a backlog.

use super::Bench;
use crate::contenders::Acknowledged;
use crate::report::{Goal, Line, Side};
use crate::rounds::{Round, Rounds, histogram};
use crate::server::{Nats, master_key};
use crate::workload::{Command, Work};
use anyhow::{Context, ensure};
use async_nats::jetstream::{self, consumer::push, stream::Stream};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use registrar::executor::RequestContext;
use registrar::node::Node;
use registrar::publisher::{self, NatsSettings, PublisherStatus, STREAM};
use registrar_aggregates::admin::{Admin, AdminCommand, Granter};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events per second while latencies are measured.
const RATE: u64 = 5_000;
/// Concurrent commands while a backlog is created, and concurrent publications while the floor is measured.
const CONCURRENCY: usize = 512;
const PATIENCE: Duration = Duration::from_secs(60);

/// A node with its publisher, in this process.
struct PublishingNode {
    node: Arc<Node>,
    status: PublisherStatus,
    shutdown: CancellationToken,
}

impl PublishingNode {
    async fn start(database: &crate::server::Database, nats: &Nats) -> anyhow::Result<Self> {
        let node = Arc::new(Node::open(&database.settings(), &master_key()?).await?);
        let (status, shutdown) = (PublisherStatus::default(), CancellationToken::new());
        let settings = NatsSettings::parse(&nats.url, false)?;
        tokio::spawn(publisher::run(Arc::clone(&node), settings, status.clone(), shutdown.clone()));
        let publishing = PublishingNode { node, status, shutdown };
        let (first, _) = publishing.register().await?;
        publishing.reached(first).await?;
        Ok(publishing)
    }

    /// Registers an admin; see [`register`].
    async fn register(&self) -> anyhow::Result<(u64, Acknowledged)> {
        register(&self.node).await
    }

    async fn reached(&self, position: u64) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.status.report().position < position {
            ensure!(begun.elapsed() < PATIENCE, "not published: {:?}", self.status.report());
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

impl Drop for PublishingNode {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Registers an admin; answers the position of the event, and the acknowledged command.
async fn register(node: &Node) -> anyhow::Result<(u64, Acknowledged)> {
    let id = Uuid::now_v7();
    let command = Work::Registrations.commands(id)?.pop().context("no command")?;
    let Command::Register(registration) = command else { anyhow::bail!("no registration") };
    let command = AdminCommand::Register(registration, Granter::System);
    let outcome = node.executor.execute::<Admin>(&RequestContext::system(), &id.to_string(), command, None).await?;
    Ok((outcome.events.first().context("no event")?.position, Acknowledged { id, commands: 1 }))
}

pub(super) async fn latency(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let rate = if bench.options.smoke { 100 } else { RATE };
    let nats = Nats::start(&bench.servers)?;
    bench.settings.insert("NATS".into(), nats.configuration());
    let database = bench.servers.database().await?;
    let publishing = PublishingNode::start(&database, &nats).await?;
    let arrivals = subscribe(&nats).await?;
    let (mut rounds, mut acknowledged) = (Vec::new(), Vec::new());
    // The first round is the warm-up.
    for _ in 0..=bench.options.rounds {
        let (round, all) = paced(&publishing.node, rate, bench.options.round_ms, &arrivals).await?;
        rounds.push(round);
        acknowledged.extend(all);
    }
    rounds.remove(0);
    database.check(Work::Registrations, &acknowledged).await?;
    let ours = Rounds { name: "Registrar".into(), rounds };
    let achieved = Side::of(&ours, Round::per_second)?.figure;
    let line =
        Line::new("commit to a subscriber on NATS, p99", "ms", Side::of(&ours, |round| round.quantile_ms(0.99))?, None);
    let note = format!(
        "From the answer to the command to the arrival at an ordered JetStream consumer; {rate} events a second were \
         asked for, {:.0} were made.",
        achieved.median
    );
    drop(publishing);
    bench.servers.drop(database).await?;
    Ok(vec![line.goal(Some(Goal::AtMost(20.0))).note(note)])
}

type Arrivals = Arc<Mutex<HashMap<u64, Instant>>>;

/// Records the arrival time of each position.
async fn subscribe(nats: &Nats) -> anyhow::Result<Arrivals> {
    let client = async_nats::connect(&nats.url).await?;
    let stream = jetstream::new(client.clone()).get_stream(STREAM).await?;
    let consumer = push::OrderedConfig { deliver_subject: client.new_inbox(), ..push::OrderedConfig::default() };
    let mut messages = stream.create_consumer(consumer).await?.messages().await?;
    let arrivals = Arrivals::default();
    let noted = Arc::clone(&arrivals);
    tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            let now = Instant::now();
            let id = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
            if let Some(position) = id.and_then(|id| id.as_str().parse().ok()) {
                noted.lock().unwrap_or_else(PoisonError::into_inner).insert(position, now);
            }
        }
    });
    Ok(arrivals)
}

/// Registers admins at a steady rate and waits for the arrival of all events.
async fn paced(
    node: &Arc<Node>,
    rate: u64,
    time_ms: u64,
    arrivals: &Arrivals,
) -> anyhow::Result<(Round, Vec<Acknowledged>)> {
    let mut ticks = interval(Duration::from_micros(1_000_000 / rate.min(1_000)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begun = Instant::now();
    let mut under_way = Vec::new();
    while begun.elapsed() < Duration::from_millis(time_ms) {
        ticks.tick().await;
        for _ in 0..(rate / 1_000).max(1) {
            let node = Arc::clone(node);
            under_way
                .push(tokio::spawn(async move { Ok::<_, anyhow::Error>((register(&node).await?, Instant::now())) }));
        }
    }
    let mut answered = Vec::with_capacity(under_way.len());
    for command in under_way {
        answered.push(command.await??);
    }
    let elapsed = begun.elapsed();
    let (mut latencies, mut acknowledged) = (histogram()?, Vec::new());
    for ((position, aggregate), answered) in answered {
        acknowledged.push(aggregate);
        let waited = Instant::now();
        let arrived = loop {
            let arrived = arrivals.lock().unwrap_or_else(PoisonError::into_inner).remove(&position);
            if let Some(arrived) = arrived {
                break arrived;
            }
            ensure!(waited.elapsed() < PATIENCE, "position {position} does not arrive");
            sleep(Duration::from_millis(5)).await;
        };
        // An event may arrive before its command is answered.
        let latency = arrived.saturating_duration_since(answered);
        latencies.record(u64::try_from(latency.as_micros())?)?;
    }
    Ok((Round::new(elapsed, latencies), acknowledged))
}

pub(super) async fn catch_up(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let events = bench.options.outage_events;
    let nats = Nats::start(&bench.servers)?;
    bench.settings.insert("NATS".into(), nats.configuration());
    let database = bench.servers.database().await?;
    let publishing = PublishingNode::start(&database, &nats).await?;
    let (mut ours, mut floor, mut reconnecting) = (Vec::new(), Vec::new(), Vec::new());
    // The first round is the warm-up.
    for _ in 0..=bench.options.rounds {
        let before = publishing.status.report().position;
        nats.stop()?;
        let committed = futures::stream::iter(0..events).map(|_| publishing.register());
        let head = committed.buffer_unordered(CONCURRENCY).try_fold(0, async |head, (at, _)| Ok(at.max(head))).await?;
        nats.start_again()?;
        let returned = Instant::now();
        let (mut from, mut begun) = (before, returned);
        while from == before {
            ensure!(returned.elapsed() < PATIENCE, "it does not go on: {:?}", publishing.status.report());
            sleep(Duration::from_millis(1)).await;
            (from, begun) = (publishing.status.report().position, Instant::now());
        }
        publishing.reached(head).await?;
        // Events up to the first observed progress are not counted, unless it was the whole backlog.
        let (from, since) = if from < head { (from, begun) } else { (before, returned) };
        ours.push((head - from) as f64 / since.elapsed().as_secs_f64());
        reconnecting.push(begun.duration_since(returned).as_secs_f64());
        floor.push(publish(&nats, events).await?);
    }
    for figures in [&mut ours, &mut floor, &mut reconnecting] {
        figures.remove(0);
    }
    let messages = stream(&nats).await?.info().await?.state.messages;
    let position = publishing.node.journal.head().await?.position;
    ensure!(messages == position, "the stream holds {messages} messages, the journal {position} events");
    drop(publishing);
    bench.servers.drop(database).await?;
    let side = Side::figures("Registrar", ours);
    let waited = Side::figures("", reconnecting).figure.median;
    let note = format!("From the first event after the return of NATS, {waited:.2} s later, to the last one.");
    Ok(vec![
        Line::new(format!("catching up on {events} events with NATS"), "events/s", side.clone(), None)
            .goal(Some(Goal::AtLeast(50_000.0)))
            .note(note),
        Line::new(
            "the same against publishing alone",
            "events/s",
            side,
            Some(Side::figures("async-nats, acknowledged publications", floor)),
        ),
    ])
}

async fn stream(nats: &Nats) -> anyhow::Result<Stream> {
    Ok(jetstream::new(async_nats::connect(&nats.url).await?).get_stream(STREAM).await?)
}

/// The floor: one client that publishes messages of the same size to a stream of its own and counts acknowledgements.
async fn publish(nats: &Nats, messages: u64) -> anyhow::Result<f64> {
    let api = jetstream::new(async_nats::connect(&nats.url).await?);
    let last = api.get_stream(STREAM).await?;
    let last = last.get_raw_message(last.cached_info().state.last_sequence).await?;
    let payload = Bytes::from(vec![b'x'; last.payload.len()]);
    let config =
        jetstream::stream::Config { name: "FLOOR".into(), subjects: vec!["floor.>".into()], ..Default::default() };
    api.create_stream(config).await?;
    let begun = Instant::now();
    let published = futures::stream::iter(0..messages).map(|_| {
        let (api, payload) = (api.clone(), payload.clone());
        async move {
            api.publish("floor.one", payload).await?.await?;
            Ok::<_, anyhow::Error>(())
        }
    });
    published.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    let elapsed = begun.elapsed();
    api.delete_stream("FLOOR").await?;
    Ok(messages as f64 / elapsed.as_secs_f64())
}
