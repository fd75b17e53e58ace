//! Connections: accepted, served, and let go of when the server stops.
//!
//! `axum::serve` would do, but for one thing: it waits for the head of a request for ever, so that anybody who sends
//! nothing could keep a connection each.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long a connection may go without the whole head of a request. Load balancers keep idle connections for a
/// minute; whoever keeps them longest must not be the one who uses them.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// How long to wait when no more connections can be accepted, until some have ended.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests that are under way may go on once the server is told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(30);

/// Answers requests until `shutdown`, and then those that are under way.
pub(super) async fn answer(listener: TcpListener, router: Router, shutdown: &CancellationToken) {
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => serve(stream, peer, router.clone(), &connections),
            Err(error) => {
                // Of this connection, or of all while there are too many.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(LAST_REQUESTS, connections.shutdown()).await.is_err() {
        tracing::warn!("requests that are still under way are cut off");
    }
}

fn serve(stream: TcpStream, peer: SocketAddr, router: Router, connections: &GracefulShutdown) {
    // Answers are small and are waited for.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let watched = connections.watch(connection);
    tokio::spawn(async move {
        // A client that goes away, or sends what is no HTTP, is its own affair.
        if let Err(error) = watched.await {
            tracing::debug!(%error, "a connection ended early");
        }
    });
}
