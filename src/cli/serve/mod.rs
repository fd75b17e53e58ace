//! `registrar serve`.

mod connections;
mod descriptors;
mod places;
mod tls;

use super::{output, start};
use crate::api::ecg_admins::periods::Calendar;
use crate::api::{self, ApiSettings, AppState, FirstPasswordLife};
use crate::auth::{Authenticator, PasswordHasher};
use crate::config::{ConnectionLimits, Secrets, ServeArgs, ServeSettings};
use crate::followers;
use crate::messages::reports::ReportSources;
use crate::messages::{Composer, delivery};
use crate::node::{Node, priority};
use crate::processes::{accounts, moves, service_documents, visits};
use crate::publisher::{self, PublisherStatus};
use crate::telemetry;
use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longest time for the publisher and for attempts to deliver messages to stop.
const LAST_PUBLISHED: Duration = Duration::from_secs(5);
/// Longest time for the last visits of short links to be recorded.
const LAST_VISITS: Duration = Duration::from_secs(5);
/// Descriptors for databases, files, brokers and logs.
const OTHER_DESCRIPTORS: usize = 128;
/// Interval of metrics upkeep.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

pub(super) async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let secrets = Secrets::from_env();
    let settings = args.resolve(&secrets)?;
    let (metrics, shutdown) = (telemetry::metrics(), CancellationToken::new());
    stop_on_signals(&shutdown)?;
    let node = Arc::new(start::open(&settings.store, &secrets).await?);
    // Before registrations and announcements: another server may have the port.
    let listener = listen(settings.listen).await?;
    let address = listener.local_addr()?;
    let passwords = PasswordHasher::for_this_machine();
    start::first_administrator(&node, &passwords, settings.pwned.as_ref(), &settings.first_administrator).await?;

    let (publisher, background) = (PublisherStatus::default(), TaskTracker::new());
    if let Some(file) = settings.service_documents.clone() {
        if node.needs_rebuild() {
            let import = service_documents::import_once_rebuilt(Arc::clone(&node), file);
            background.spawn(shutdown.clone().run_until_cancelled_owned(import));
        } else {
            Box::pin(service_documents::import(&node, &file)).await?;
        }
    }
    background.spawn(shutdown.clone().run_until_cancelled_owned(keep_up(metrics.clone())));
    background.spawn(shutdown.clone().run_until_cancelled_owned(moves::keep_up(Arc::clone(&node))));
    background.spawn(shutdown.clone().run_until_cancelled_owned(accounts::keep_up(Arc::clone(&node))));
    background.spawn(shutdown.clone().run_until_cancelled_owned(followers::keep_documents(Arc::clone(&node))));
    background.spawn(end_with_failure(Arc::clone(&node), shutdown.clone()));
    followers::following::start(&node, &shutdown);
    if let Some(nats) = settings.nats.clone() {
        background.spawn(publisher::run(Arc::clone(&node), nats, publisher.clone(), shutdown.clone()));
    }
    let certificate = settings.tls.clone().map(tls::ServerCertificate::open).transpose()?;
    let tls = certificate.as_ref().map(tls::ServerCertificate::acceptor).transpose()?;
    let scheme = if certificate.is_some() { "https" } else { "http" };
    if let Some(certificate) = certificate {
        background.spawn(shutdown.clone().run_until_cancelled_owned(certificate.keep_up()));
    }
    warn_of_the_open(&settings, address);
    let authenticator = authenticator(&node, &settings, (scheme, address)).await?.bounding_sessions(settings.sessions);
    let calendar = Calendar { zone: settings.time_zone, week_start: settings.week_start };
    let public_url = settings.public_url.clone().unwrap_or_else(|| reachable((scheme, address)));
    let channels = settings.messages.channels.reporting_to(&public_url);
    let composer = Composer::new(settings.messages.app_url.unwrap_or(public_url), &channels);
    let reports = ReportSources { topics: settings.messages.topics, texts: channels.texts.clone() };
    let (limits, trusted_proxies) = (room_for(settings.connections), settings.trusted_proxies.clone());
    let api = ApiSettings {
        trusted_proxies: settings.trusted_proxies,
        calendar,
        publish_personal: settings.publish_personal,
        reason_mandatory: settings.reason_mandatory,
        api_key_rate: settings.api_key_rate,
        caller_rate: settings.caller_rate,
        stranger_rate: settings.stranger_rate,
        workloads: settings.workloads,
        link_hosts: settings.link_hosts,
        composer,
        reports,
        pwned: settings.pwned,
        first_password_life: FirstPasswordLife(settings.first_administrator.password_life),
        second_factor: settings.second_factor,
        confirm_changes: settings.confirm_changes,
        rotate_refresh: settings.rotate_refresh,
        hide_docs: !settings.docs,
        strict_transport: tls.is_some()
            || settings.public_url.as_deref().is_some_and(|url| url.starts_with("https://")),
        metrics: settings.metrics.then_some(metrics),
    };
    let state = AppState::new(Arc::clone(&node), Arc::new(authenticator), Arc::new(passwords), publisher, api);
    let visits = Arc::clone(&state.visits);
    background.spawn(visits::keep_up(Arc::clone(&node), Arc::clone(&visits), shutdown.clone()));
    let measured = state.deliveries.clone().measure(Arc::clone(&node));
    background.spawn(shutdown.clone().run_until_cancelled_owned(measured));
    background.spawn(delivery::run(Arc::clone(&node), channels, shutdown.clone()));
    announce((scheme, address), settings.public_url.as_deref(), settings.docs);
    let service = connections::Service { router: api::router(state), limits, trusted_proxies, tls };
    background.spawn(send_away(shutdown.clone()));
    connections::answer(listener, service, &shutdown).await;

    shutdown.cancel();
    background.close();
    if tokio::time::timeout(LAST_PUBLISHED, background.wait()).await.is_err() {
        tracing::warn!("work in the background did not stop and is left behind; the next node goes on where it was");
    }
    // After the last request. A database that is away delays no stop for long.
    if tokio::time::timeout(LAST_VISITS, visits.record(&node)).await.is_err() {
        tracing::warn!("visits of short links were not recorded and are lost");
    }
    node.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Limits connections to the descriptors that the system has, minus those needed otherwise.
fn room_for(wanted: ConnectionLimits) -> ConnectionLimits {
    let available = descriptors::raise().saturating_sub(OTHER_DESCRIPTORS).max(1);
    if available < wanted.total {
        tracing::warn!(available, wanted = wanted.total, "the system allows fewer connections (ulimit -n)");
    }
    ConnectionLimits { total: wanted.total.min(available), ..wanted }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}\nChoose another address with --listen or REGISTRAR_LISTEN, such as 127.0.0.1:8081.")
    })
}

/// The first signal stops the server, the second one ends the process.
fn stop_on_signals(shutdown: &CancellationToken) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        for signals in 1.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if signals > 1 {
                std::process::exit(1);
            }
            tracing::info!("stopping; requests that are under way are finished");
            shutdown.cancel();
        }
    });
    Ok(())
}

/// Ends a node that can no longer commit, so that its supervisor starts another one.
async fn end_with_failure(node: Arc<Node>, shutdown: CancellationToken) {
    tokio::select! {
        () = node.failed().cancelled() => std::process::exit(1),
        () = shutdown.cancelled() => {}
    }
}

async fn keep_up(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        metrics.run_upkeep();
    }
}

/// Without a public URL the server goes by the address that it happens to listen on, which makes no good issuer: it may
/// be another one after the next start, and `registrar token create` does not know it.
async fn authenticator(
    node: &Node,
    settings: &ServeSettings,
    address: (&str, SocketAddr),
) -> anyhow::Result<Authenticator> {
    Ok(match &settings.public_url {
        Some(url) => Authenticator::open(node, url.clone()).await?,
        None => Authenticator::open(node, reachable(address)).await?.accepting_any_issuer(),
    })
}

/// Warns of settings that the operator may not have meant: clear text beyond this machine, and proxies that are not
/// named.
fn warn_of_the_open(settings: &ServeSettings, address: SocketAddr) {
    if address.ip().is_loopback() {
        return;
    }
    if settings.tls.is_none() {
        tracing::warn!(%address, "HTTP in the clear beyond this machine: put TLS in front, or set REGISTRAR_TLS_CERT and REGISTRAR_TLS_KEY");
    }
    if settings.trusted_proxies.is_empty() {
        tracing::warn!("no REGISTRAR_TRUSTED_PROXIES: behind a proxy all clients count as one");
    }
}

/// URL under which a client on this machine reaches the server.
fn reachable((scheme, address): (&str, SocketAddr)) -> String {
    format!("{scheme}://{}", on_this_machine(address))
}

/// The address at which a client on this machine reaches a server that listens on `address`.
pub(super) fn on_this_machine(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn announce((scheme, address): (&str, SocketAddr), public_url: Option<&str>, docs: bool) {
    let url = public_url.map_or_else(|| reachable((scheme, address)), str::to_owned);
    tracing::info!(%address, url, "listening");
    // A closed standard output does not end a server.
    let _ = output::line(format_args!("Registrar answers at {url}"));
    if docs {
        let _ = output::line(format_args!("Documentation: {url}/docs"));
    }
}

/// Rejects requests still in the queue when the server stops.
async fn send_away(shutdown: CancellationToken) {
    shutdown.cancelled().await;
    priority::close_seats();
}

#[cfg(test)]
mod tests;
