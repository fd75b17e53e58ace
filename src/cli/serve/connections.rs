//! Connections: accepted, served, and closed when the server stops.
//!
//! `axum::serve` would do, but for two things: it waits for the head of a request for ever, and it takes as many
//! connections as are opened, so a client that sends nothing could keep all others out.

use super::places::{ConnectionPlace, ConnectionPlaces};
use crate::config::ConnectionLimits;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures::StreamExt;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use ipnet::IpNet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Longest wait for the whole head of the first request of a connection.
const FIRST_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for the whole head of a further request. Load balancers keep idle connections for a minute; the party
/// that keeps them longest must not be the one that uses them.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Longest head of a request, and longest part of a request body that is read ahead.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Pause when no more connections can be accepted, until some have ended.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest time for requests under way once the server is told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(30);
/// Longest further time for a response that has begun: its client may read slowly, or not at all.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// Settings for serving connections.
pub(super) struct Service {
    /// Routes of the requests.
    pub(super) router: Router,
    /// Most connections.
    pub(super) limits: ConnectionLimits,
    /// Proxies, whose connections carry many clients.
    pub(super) trusted_proxies: Vec<IpNet>,
    /// TLS acceptor; `None` serves in the clear.
    pub(super) tls: Option<TlsAcceptor>,
}

/// Accepts connections and answers requests until `shutdown`, then finishes those under way.
pub(super) async fn answer(listener: TcpListener, service: Service, shutdown: &CancellationToken) {
    let Service { router, limits, trusted_proxies, tls } = service;
    let (connections, places) = (GracefulShutdown::new(), ConnectionPlaces::new(limits, trusted_proxies));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => match places.take(peer.ip()) {
                Some(place) => {
                    let stopping = shutdown.clone();
                    let visitor = Visitor { peer, router: router.clone(), place: Arc::new(place), stopping };
                    accept(stream, tls.clone(), visitor, &connections);
                }
                None => metrics::counter!("registrar_connections_refused_total").increment(1),
            },
            Err(error) => {
                // The cause may be this connection, or too many open ones.
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

/// The peer of a connection.
struct Visitor {
    peer: SocketAddr,
    router: Router,
    place: Arc<ConnectionPlace>,
    /// Cancelled when the server is told to stop.
    stopping: CancellationToken,
}

fn accept(stream: TcpStream, tls: Option<TlsAcceptor>, visitor: Visitor, connections: &GracefulShutdown) {
    // Responses are small and clients wait for them.
    let _ = stream.set_nodelay(true);
    let watcher = connections.watcher();
    tokio::spawn(async move {
        let Some(tls) = tls else { return serve(TokioIo::new(stream), visitor, watcher).await };
        let given_up = visitor.place.given_up.clone();
        let handshake = tokio::time::timeout(FIRST_HEAD_TIMEOUT, tls.accept(stream));
        tokio::select! {
            shaken = handshake => match shaken {
                Ok(Ok(stream)) => serve(TokioIo::new(stream), visitor, watcher).await,
                Ok(Err(error)) => tracing::debug!(%error, "a connection did not come to TLS"),
                Err(_) => tracing::debug!("a connection did not come to TLS in time"),
            },
            () = given_up.cancelled() => tracing::debug!("a connection without a request made room for another"),
        }
    });
}

async fn serve<I>(io: TokioIo<I>, visitor: Visitor, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Visitor { peer, router, place, stopping } = visitor;
    let sending = watch::Sender::new(false);
    let sent = sending.subscribe();
    let (began, given_up) = (Arc::new(Notify::new()), place.given_up.clone());
    let (first, stop_feeds) = (Arc::clone(&began), stopping.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        began.notify_one();
        let answering = RequestGuard::on(Arc::clone(&place));
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request.map(Body::new));
        let (sending, stopping) = (ResponseGuard(sending.clone()), stop_feeds.clone());
        async move {
            let response = ending_with(&stopping, answer.await?);
            sending.0.send_replace(true);
            Ok::<_, Infallible>(response.map(|body| GuardedBody { body, _answering: answering, _sending: sending }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(io, service);
    let silent = async {
        if tokio::time::timeout(FIRST_HEAD_TIMEOUT, first.notified()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // A client that goes away, or sends anything but HTTP, causes no error here.
        ended = watcher.watch(connection) => if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        },
        () = given_up.cancelled() => tracing::debug!("a connection without a request made room for another"),
        () = silent => tracing::debug!("a connection brought no request in time"),
        () = overdue(stopping, sent) => tracing::debug!("an answer was cut off, since the server stops"),
    }
}

/// A feed has no end of its own: without this a single reader would keep the server from stopping.
pub(super) fn ending_with(stopping: &CancellationToken, response: Response) -> Response {
    let kind = response.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes());
    if !kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")) {
        return response;
    }
    let stopping = stopping.clone().cancelled_owned();
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(stopping)))
}

/// Waits until a response takes too long for a server that stops.
async fn overdue(stopping: CancellationToken, mut sending: watch::Receiver<bool>) {
    stopping.cancelled().await;
    loop {
        if sending.wait_for(|sending| *sending).await.is_err() {
            return std::future::pending().await;
        }
        let sent = tokio::time::timeout(LAST_ANSWERS, sending.wait_for(|sending| !*sending));
        if sent.await.is_err() {
            return;
        }
    }
}

/// A request being answered; the connection is busy until the response is sent or given up.
struct RequestGuard(Arc<ConnectionPlace>);

impl RequestGuard {
    fn on(place: Arc<ConnectionPlace>) -> Self {
        place.got_busy();
        RequestGuard(place)
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.fell_idle();
    }
}

/// A response being sent, until it is sent or given up.
struct ResponseGuard(watch::Sender<bool>);

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

/// The body of a response, with guards that live as long.
struct GuardedBody {
    body: Body,
    _answering: RequestGuard,
    _sending: ResponseGuard,
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
