//! The auditor's API, in process: pages with each filter, and past states, in a journal of a given size.

use crate::workload::person;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use chrono::{DateTime, SecondsFormat, Utc};
use hdrhistogram::Histogram;
use http_body_util::BodyExt;
use registrar::api::{ApiSettings, AppState, router};
use registrar::auth::permissions::AUDITOR;
use registrar::auth::{Authenticator, PasswordHasher, TokenRequest};
use registrar::committer::ExpectedVersion;
use registrar::executor::RequestContext;
use registrar::journal::StreamId;
use registrar::node::{Node, StoreSettings};
use registrar::publisher::PublisherStatus;
use registrar::vault::MasterKey;
use registrar_aggregates::admin::{Admin, AdminCommand, AdminEvent, Granter, Registration};
use registrar_aggregates::values::AdminId;
use registrar_aggregates::{Actor, ActorType, DomainEvent};
use sqlx::{Connection, PgConnection};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tower::ServiceExt;
use uuid::Uuid;

/// Events of the aggregate with a long history.
const LONG_HISTORY: u64 = 10_000;
/// Concurrent commands while the journal is filled.
const WRITERS: u64 = 64;
/// Actors and organizations that share the events: few, so that half of a small journal fills a page of each.
const ACTORS: u64 = 20;
const ORGANIZATIONS: u64 = 20;

/// The measured journal.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    /// A private PostgreSQL; without it SQLite in a folder of its own.
    pub(crate) database_url: Option<String>,
    /// Events in the filled journal.
    pub(crate) events: u64,
    /// Requests of each kind.
    pub(crate) requests: u64,
}

struct Auditor {
    app: Router,
    token: String,
}

pub(crate) async fn run(journal: Journal) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let settings =
        StoreSettings { database_url: journal.database_url.clone(), data: folder.path().to_owned(), archives: None };
    let master = MasterKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "bench")?;
    let node = Arc::new(Node::open(&settings, &master).await?);
    let (long, times) = fill(&node, journal.events).await?;
    if let Some(url) = &journal.database_url {
        // Otherwise the maintenance after the fill would run during the measurement.
        let mut connection = PgConnection::connect(url).await?;
        for text in ["VACUUM ANALYZE", "CHECKPOINT"] {
            sqlx::raw_sql(text).execute(&mut connection).await?;
        }
    }
    let auditor = Auditor::over(Arc::clone(&node)).await?;
    let head = node.journal.head().await?.position;
    tell(format!("{} {head} events", node.store.name()));
    let kinds: [(&str, String); 12] = [
        ("no filter", "x=".into()),
        ("aggregate type", "aggregateType=admin".into()),
        ("one aggregate", format!("aggregateType=admin&aggregateId={long}")),
        ("event type", "eventType=admin.party-amended".into()),
        ("rare event type", "eventType=key-ring.key-added".into()),
        ("event type of none", "eventType=admin.nothing".into()),
        ("actor", "actorId=actor-7".into()),
        ("rare actor", "actorId=actor-rare".into()),
        ("actor of none", "actorId=nobody".into()),
        ("organization", "organizationId=organization-7".into()),
        ("organization of none", "organizationId=nothing".into()),
        ("time", format!("from={}", times.0)),
    ];
    for (what, filter) in kinds {
        let filter = if filter == "x=" { String::new() } else { format!("&{filter}") };
        let pages = (0..journal.requests).map(|n| format!("/audit/events?after={}{filter}", n * 7919 % (head / 2)));
        auditor.measure(&format!("page by {what}"), pages).await?;
    }
    let both = (0..journal.requests)
        .map(|n| format!("/audit/events?after={}&actorId=actor-7&eventType=admin.registered", n * 7919 % (head / 2)));
    auditor.measure("page by actor and event type", both).await?;
    let proofs = (1..=journal.requests)
        .map(|n| format!("/audit/proofs/inclusion?position={}&treeSize={head}", n * 7919 % head + 1));
    auditor.measure("inclusion proof", proofs).await?;
    let proofs =
        (1..=journal.requests).map(|n| format!("/audit/proofs/consistency?from={}&to={head}", n * 7919 % head + 1));
    auditor.measure("consistency proof", proofs).await?;
    let states = |n: u64| format!("/audit/admin/{long}?asOf={}", times.1 + n * 7919 % LONG_HISTORY);
    let mut cold = Histogram::<u64>::new(3)?;
    for n in 0..journal.requests.min(50) {
        // A new server has no past states in its cache.
        let fresh = Auditor::over(Arc::clone(&node)).await?;
        let begun = Instant::now();
        fresh.get(&states(n), "application/json").await?;
        cold.record(u64::try_from(begun.elapsed().as_micros())?)?;
    }
    report("state of the past, cold", &cold);
    auditor.get(&states(LONG_HISTORY - 1), "application/json").await?;
    auditor.measure("state of the past, warm", (0..journal.requests).map(states)).await?;
    for sealed in [true, false] {
        let begun = Instant::now();
        let bytes = auditor.get(&format!("/audit/events?sealed={sealed}"), "application/x-ndjson").await?;
        let rate = head as f64 / begun.elapsed().as_secs_f64();
        tell(format!("lines, sealed={sealed}: {rate:.0} events/s, {} MiB", bytes / (1024 * 1024)));
    }
    Ok(())
}

/// Registers admins and amends each three times, by many actors of many organizations, then one with a long history.
/// Answers the identifier of the latter, a time in the middle, and its first position.
async fn fill(node: &Arc<Node>, events: u64) -> anyhow::Result<(Uuid, (String, u64))> {
    let admins = events.saturating_sub(LONG_HISTORY) / 4;
    let middle = Arc::new(std::sync::OnceLock::<DateTime<Utc>>::new());
    let writers = (0..WRITERS).map(|writer| {
        let (node, middle) = (Arc::clone(node), Arc::clone(&middle));
        tokio::spawn(async move {
            for n in (writer..admins).step_by(usize::try_from(WRITERS)?) {
                if n > admins / 2 {
                    middle.get_or_init(Utc::now);
                }
                let id = Uuid::now_v7();
                append(&node, n, id, ExpectedVersion::Exact(0), vec![registered(id)]).await?;
                for step in 0..3 {
                    append(&node, n + step, id, ExpectedVersion::Exact(step + 1), vec![amended(step)]).await?;
                }
            }
            Ok::<_, anyhow::Error>(())
        })
    });
    for writer in futures::future::join_all(writers).await {
        writer??;
    }
    let (long, first) = (Uuid::now_v7(), node.journal.head().await?.position + 1);
    append(node, 0, long, ExpectedVersion::Exact(0), vec![registered(long)]).await?;
    for step in (1..LONG_HISTORY).step_by(100) {
        let until = (step + 100).min(LONG_HISTORY);
        append(node, step, long, ExpectedVersion::Any, (step..until).map(amended).collect()).await?;
    }
    let middle = middle.get().copied().unwrap_or_else(Utc::now);
    Ok((long, (middle.to_rfc3339_opts(SecondsFormat::Millis, true), first)))
}

async fn append(
    node: &Node,
    n: u64,
    id: Uuid,
    expected: ExpectedVersion,
    events: Vec<DomainEvent>,
) -> anyhow::Result<()> {
    let actor = if n % 50_000 == 17 { "actor-rare".to_owned() } else { format!("actor-{}", n % ACTORS) };
    let mut context = RequestContext::system();
    context.metadata.actor = Actor { kind: ActorType::User, id: actor, name: None };
    context.metadata.organization_id = Some(format!("organization-{}", n % ORGANIZATIONS));
    let stream = StreamId { aggregate_type: "admin", aggregate_id: id.to_string() };
    node.executor.append(&context, vec![(stream, expected, events)]).await?;
    Ok(())
}

fn registered(id: Uuid) -> DomainEvent {
    AdminEvent::Registered(Box::new(person(id))).into()
}

fn amended(step: u64) -> DomainEvent {
    AdminEvent::PartyAmended { legacy_identifier: Some(format!("L{step}")) }.into()
}

impl Auditor {
    async fn over(node: Arc<Node>) -> anyhow::Result<Self> {
        let authenticator = Arc::new(Authenticator::open(&node, "http://registrar.bench".into()).await?);
        let id = Uuid::now_v7();
        let register = AdminCommand::Register(
            Box::new(Registration { policies: vec![AUDITOR.id.into()], ..person(id) }),
            Granter::System,
        );
        node.executor.execute::<Admin>(&RequestContext::system(), &id.to_string(), register, None).await?;
        let request = TokenRequest {
            admin_id: AdminId(id),
            ttl: Duration::from_secs(3600),
            organization: None,
            permissions: None,
        };
        let token = authenticator.issue(&node, &RequestContext::system(), request).await?;
        let (passwords, publisher) = (Arc::new(PasswordHasher::new(1, 8)), PublisherStatus::default());
        let state = AppState::new(node, authenticator, passwords, publisher, ApiSettings::default());
        Ok(Auditor { app: router(state), token })
    }

    /// Reads an answer to its end; answers its length in bytes.
    async fn get(&self, path: &str, accept: &str) -> anyhow::Result<u64> {
        let request = Request::get(path).header("authorization", format!("Bearer {}", self.token));
        let request = request.header("accept", accept).body(Body::empty())?;
        let response = self.app.clone().oneshot(request).await?;
        anyhow::ensure!(response.status().is_success(), "{path}: {}", response.status());
        let (mut body, mut bytes) = (response.into_body(), 0);
        while let Some(frame) = body.frame().await {
            bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(bytes)
    }

    async fn measure(&self, what: &str, paths: impl Iterator<Item = String>) -> anyhow::Result<()> {
        let mut latencies = Histogram::<u64>::new(3)?;
        for path in paths {
            let begun = Instant::now();
            self.get(&path, "application/json").await?;
            latencies.record(u64::try_from(begun.elapsed().as_micros())?)?;
        }
        report(what, &latencies);
        Ok(())
    }
}

fn report(what: &str, latencies: &Histogram<u64>) {
    tell(format!(
        "{what}: p50={}us p99={}us max={}us",
        latencies.value_at_quantile(0.5),
        latencies.value_at_quantile(0.99),
        latencies.max()
    ));
}

#[expect(clippy::print_stdout, reason = "the result")]
fn tell(line: String) {
    println!("{line}");
}
