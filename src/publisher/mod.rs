//! Publication of events: to a JetStream stream, and as the feed that SSE clients follow.
//!
//! The journal is the truth and the stream its copy: every position once, in order. The publisher keeps no record of
//! its own. It reads the end of the stream and goes on from there, so the reason of a stop makes no difference: a
//! crash, a broker that was away or lost its tail, a lost race with another publisher. Commands never wait for it.

mod asyncapi;
mod backoff;
pub mod cloud_event;
mod connection;
mod failure;
mod feed;
mod message_ids;
mod session;
mod status;
mod stream;

pub use asyncapi::ASYNCAPI;
pub use connection::{NatsFiles, NatsFilesError, NatsSettings, NotANatsUrl};
pub use failure::PublishedPositionError;
pub use feed::Feed;
pub use status::{PublisherReport, PublisherStatus};
pub use stream::STREAM;

use crate::node::{Node, Store};
use crate::store::Leadership;
use async_nats::jetstream::{Context, context::ContextBuilder};
use backoff::Backoff;
use connection::Connection;
use failure::Failure;
use message_ids::MessageIds;
use session::Session;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest wait for a NATS response.
const API_TIMEOUT: Duration = Duration::from_secs(5);

/// Name of the lock that makes one of several nodes the publisher.
const LEADERSHIP: &str = "publisher";

/// Publishes the events of the node until `shutdown`. Failures are shown in `status` and retried.
///
/// Of several nodes on one database one publishes and the others watch. That only spares them useless attempts: the
/// stream would be right without it.
pub async fn run(node: Arc<Node>, settings: NatsSettings, status: PublisherStatus, shutdown: CancellationToken) {
    let feed = Feed::of(&node, settings.publish_personal());
    publish(feed, Some(node.store.clone()), settings, status, shutdown).await;
}

/// Publishes `feed` until `shutdown`, as [`run`] does; without `store` it does not check for other publishers.
///
/// Messages in flight at the end may or may not arrive; the next publisher learns it from the stream.
pub async fn publish(
    feed: Feed,
    store: Option<Store>,
    settings: NatsSettings,
    status: PublisherStatus,
    shutdown: CancellationToken,
) {
    status.configured(feed.heads());
    tokio::select! {
        () = shutdown.cancelled() => {}
        never = keep_publishing(&feed, store.as_ref(), &settings, &status) => match never {},
        never = status.measure() => match never {},
    }
    status.connected(false);
}

/// Position up to which the events of the node are published, read from the stream; 0 if the stream does not exist. It
/// is not created.
///
/// # Errors
/// [`PublishedPositionError`]; also if the stream is not of this journal.
pub async fn published(node: &Node, settings: &NatsSettings) -> Result<u64, PublishedPositionError> {
    let asked = async {
        let client = connection::connect(settings, API_TIMEOUT).await?;
        let api = ContextBuilder::new().timeout(API_TIMEOUT).build(client);
        let Some(stream) = stream::find(&api).await? else { return Ok(0) };
        let end = stream::end(&stream, node.journal.published().await?).await?;
        session::check_of_this_journal(&end, &Feed::of(node, false)).await?;
        Ok(end.position)
    };
    asked.await.map_err(|failure: Failure| PublishedPositionError(failure.chain()))
}

async fn keep_publishing(
    feed: &Feed,
    store: Option<&Store>,
    settings: &NatsSettings,
    status: &PublisherStatus,
) -> Infallible {
    let mut connection = Connection::open(settings, status).await;
    let api = ContextBuilder::new().timeout(API_TIMEOUT).build(connection.client.clone());
    let (mut backoff, mut ids) = (Backoff::default(), MessageIds::default());
    loop {
        let losses = connection.established().await;
        let before = status.report().position;
        let failure = tokio::select! {
            failure = publish_once(&api, feed, store, status, &mut ids) => failure,
            () = connection.lost(losses) => Failure::Disconnected,
        };
        report(status, &failure);
        // A node that only watches need not retry soon, even while the publisher makes progress.
        if status.report().position > before && !matches!(failure, Failure::NotLeading) {
            backoff.reset();
        }
        backoff.wait().await;
        if matches!(failure, Failure::TooLarge { .. }) {
            connection.renew(losses).await;
        }
    }
}

async fn publish_once(
    api: &Context,
    feed: &Feed,
    store: Option<&Store>,
    status: &PublisherStatus,
    ids: &mut MessageIds,
) -> Failure {
    let attempt = async {
        // Held until the end of this attempt, so a node that cannot reach NATS lets another one try.
        let leadership = match store {
            Some(store) => Leadership::try_take(store, LEADERSHIP).await?,
            None => None,
        };
        let mut session = Session::open(api, feed, status, ids).await?;
        if store.is_some() && leadership.is_none() {
            status.works();
            return Err(Failure::NotLeading);
        }
        Ok(session.publish().await)
    };
    attempt.await.unwrap_or_else(|failure| failure)
}

/// Shows an obstacle in the status, and logs it once for as long as it lasts.
fn report(status: &PublisherStatus, failure: &Failure) {
    if matches!(failure, Failure::Overtaken | Failure::NotLeading) {
        // Not an obstacle: another node publishes.
        tracing::debug!("{failure}");
        return;
    }
    let text = failure.chain();
    match (status.failed(text.clone()), failure.needs_operator()) {
        (true, true) => tracing::error!("nothing is published: {text}"),
        (true, false) => tracing::warn!("publishing is interrupted: {text}"),
        (false, _) => tracing::debug!("publishing is still interrupted: {text}"),
    }
}
