//! A long queue of invitations, delivered to a mail server that accepts them at once, and its effect on other callers.

use super::bodies;
use crate::client::clients;
use crate::comparisons::Bench;
use crate::comparisons::steady::{READS, measure_beside};
use crate::directories::{Contents, seeded_id};
use crate::mail_sink::MailSink;
use crate::report::{Goal, Line, Side};
use crate::rounds::Rounds;
use crate::server::{Database, RunningServer};
use anyhow::{Context, ensure};
use registrar::store::{Leadership, Store};
use sqlx::AssertSqlSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Concurrent callers who invite people.
const INVITERS: usize = 64;
const SENDER: &str = "Registrar <no-reply@registrar.example>";
/// Most rounds, since filling the queue takes long; no further round starts after the time limit.
const ROUNDS_MAX: usize = 3;
const TIME_MAX: Duration = Duration::from_secs(180);
/// Longest wait for the queue to be delivered.
const DELIVERED_WITHIN: Duration = Duration::from_secs(300);
/// Longest wait for the first delivery, the last entry in the read model, and the end of a killed server's connections.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) async fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let (invitations, admins) = (bench.options.invitations.max(2), bench.options.few_admins);
    // One user, since the seed makes organizations for users alone; no other one works in this directory.
    let directory = bench.directories.with(&bench.servers, Contents { admins, users: 1, groups: 0 }).await?;
    let (token, store) = (directory.token().await?, Store::open(&directory.settings())?);
    let sink = MailSink::start().await?;
    let time = Duration::from_millis(bench.options.round_ms * 2);
    let (mut rates, mut quiet, mut busy) = (Vec::new(), Vec::new(), Vec::new());
    let started = Instant::now();
    for _ in 0..bench.options.rounds.min(ROUNDS_MAX) {
        if started.elapsed() > TIME_MAX {
            break;
        }
        // The bench leads in place of the server, so that the queue is full before the first delivery.
        let leadership = lead(&store).await?;
        let served = serve(&directory, &sink).await?;
        queue(&served, &token, invitations, if bench.options.smoke { 4 } else { INVITERS }).await?;
        ensure!(counted(&directory, "state = 'waiting'").await? >= invitations, "invitations were not queued");
        quiet.push(measure_beside(&served, &token, admins, tokio::time::sleep(time)).await?.0);

        let (delivered, queued) = (sink.count(), usize::try_from(invitations)?);
        drop(leadership);
        // A server looks for a free lead every two seconds.
        sink.reach(delivered + 1, PATIENCE).await?;
        let all = sink.reach(delivered + queued, DELIVERED_WITHIN);
        let (others, reached) = measure_beside(&served, &token, admins, all).await?;
        reached?;
        busy.push(others);
        let mails = sink.since(delivered);
        let (first, last) = mails.first().zip(mails.get(queued - 1)).context("no deliveries")?;
        rates.push((queued - 1) as f64 / (last.at - first.at).as_secs_f64());
        settled(&directory, &sink).await?;
    }
    sink.check()?;
    let side = |name: &str, rounds| Side::of(&Rounds { name: name.into(), rounds }, |round| round.quantile_ms(0.99));
    let (busy, quiet) = (side("Registrar, delivering", busy)?, side("the same without", quiet)?);
    let work = format!("delivery of {invitations} queued invitations");
    Ok(vec![
        Line::new(work, "1/s", Side::figures("Registrar", rates), None)
            .goal(Some(Goal::AtLeast(500.0)))
            .note("To a mail server in the bench that accepts at once; from its first message to its last one."),
        Line::new("GET by id during deliveries, p99", "ms", busy, Some(quiet))
            .goal(Some(Goal::AtMost(1.5)))
            .note(format!("{READS} reads a second.")),
    ])
}

/// Leads the deliveries. A server of the round before may still be about to end.
async fn lead(store: &Store) -> anyhow::Result<Leadership> {
    let begun = Instant::now();
    loop {
        if let Some(leadership) = Leadership::try_take(store, bodies::DELIVERY).await? {
            return Ok(leadership);
        }
        ensure!(begun.elapsed() < PATIENCE, "another process delivers messages");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn serve(directory: &Database, sink: &MailSink) -> anyhow::Result<RunningServer> {
    let mut command = directory.registrar(&["serve"])?;
    command.env("REGISTRAR_SMTP_URL", sink.url()).env("REGISTRAR_MAIL_FROM", SENDER);
    RunningServer::start(command, "Registrar answers at ").await
}

/// Invites `count` people, who have not been invited before.
async fn queue(served: &RunningServer, token: &str, count: u64, inviters: usize) -> anyhow::Result<()> {
    crate::progress(format_args!("queueing {count} invitations"));
    let (step, run, organization) =
        (Arc::new(AtomicU64::new(0)), Uuid::now_v7().simple(), seeded_id("organization", 0));
    let connected = clients(&served.address, token, inviters).await?;
    let inviting = connected.into_iter().map(|mut client| {
        let step = Arc::clone(&step);
        tokio::spawn(async move {
            loop {
                let number = step.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<_, anyhow::Error>(());
                }
                let body = bodies::provider(organization, &format!("invited{number}.{run}@example.com"));
                client.post(bodies::ONBOARDING_REQUESTS, body).await?;
            }
        })
    });
    for inviter in futures::future::join_all(inviting).await {
        inviter??;
    }
    Ok(())
}

/// Waits until the read model says of every message that it was sent, so that no attempt is cut off by the end of the
/// server, and verifies that there are as many as have arrived.
async fn settled(directory: &Database, sink: &MailSink) -> anyhow::Result<()> {
    let begun = Instant::now();
    while counted(directory, "state <> 'sent'").await? > 0 {
        ensure!(begun.elapsed() < PATIENCE, "messages have arrived that are not sent");
        tokio::time::sleep(PAUSE).await;
    }
    let (sent, arrived) = (counted(directory, "state = 'sent'").await?, sink.count() as u64);
    ensure!(sent == arrived, "{sent} messages were sent, {arrived} have arrived");
    Ok(())
}

/// Number of messages in the read model that meet a condition.
async fn counted(directory: &Database, condition: &str) -> anyhow::Result<u64> {
    let text = format!("SELECT count(*) FROM {} WHERE {condition}", directory.table(bodies::MESSAGES).await?);
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(&mut directory.connect().await?).await?;
    Ok(u64::try_from(count)?)
}
