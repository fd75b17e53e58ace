//! Publishing over one connection, from the end of the stream until an obstacle.
//!
//! The stream stays exact because each message names its predecessor, and the server refuses it behind any other: by
//! sequence, so that nothing is stored twice, by another publisher or a late retry; and by id, so that nothing is left
//! out. By the sequence alone, a foreign message in the place of a refused one would make the next one fit. All other
//! code here is for speed.
//!
//! Every five seconds, with or without events, the stream is checked. If messages were removed, except by the stream's
//! own limits, those behind the gap are removed as well, and publishing starts over from the first event that is not
//! archived.

use super::cloud_event::CloudEvent;
use super::failure::{Failure, PublishResult};
use super::feed::Feed;
use super::message_ids::MessageIds;
use super::status::PublisherStatus;
use super::stream::{self, StreamEnd};
use crate::journal::{JournalError, JournalResult, PublishProgress};
use async_nats::jetstream::{
    Context,
    context::{ContextBuilder, PublishAckFuture, PublishError, PublishErrorKind},
    message::PublishMessage,
    publish::PublishAck,
    stream::Stream,
};
use futures::StreamExt;
use std::collections::VecDeque;
use std::future::IntoFuture;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Messages sent and not acknowledged yet.
const WINDOW: usize = 512;
/// Longest wait for the server to acknowledge the oldest of them; a slow disk syncs them one by one.
const ACK_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait for the rest once one was refused.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval for checking that the stream is unchanged, with or without events.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Interval for recording the published position while events are published.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);

type Ack = <PublishAckFuture as IntoFuture>::IntoFuture;
type Page = JournalResult<Vec<CloudEvent>>;

/// Pages of the feed; the next is read and rendered on another thread while one is published.
struct Pages {
    arriving: mpsc::Receiver<Page>,
    /// The reader ends when this is dropped.
    _reading: JoinSet<()>,
}

impl Pages {
    fn after(feed: &Feed, position: u64) -> Self {
        let (sender, arriving) = mpsc::channel(1);
        let mut reading = JoinSet::new();
        let pages = feed.after(position);
        reading.spawn(async move {
            let mut pages = std::pin::pin!(pages);
            while let Some(page) = pages.next().await
                && sender.send(page).await.is_ok()
            {}
        });
        Pages { arriving, _reading: reading }
    }

    async fn next(&mut self) -> Page {
        self.arriving.recv().await.unwrap_or_else(|| Err(JournalError::corrupt("the feed has ended")))
    }
}

/// The recorded position of publishing, and the time of the record.
struct ProgressRecord {
    position: u64,
    at: Instant,
}

struct InFlightMessage {
    ack: Ack,
    position: u64,
    sequence: u64,
}

/// A stream that ends where the journal goes on.
pub(super) struct Session<'a> {
    stream: Stream,
    publishing: Context,
    feed: &'a Feed,
    status: &'a PublisherStatus,
    ids: &'a mut MessageIds,
    /// Sequence of the last message, including those in flight.
    sequence: u64,
    /// Id of the last message sent. `None` before the first: its place was just read from the stream, and the server
    /// may still hold the id of a deleted message as the last one.
    last_id: Option<String>,
    /// Position of the last acknowledged event.
    position: u64,
    noted: ProgressRecord,
    /// Time of the last check of the stream, and the sequence of a message that was there then or came next.
    looked: (Instant, u64),
    queue: VecDeque<CloudEvent>,
    in_flight: VecDeque<InFlightMessage>,
}

impl<'a> Session<'a> {
    /// Opens the stream and finds where to go on.
    ///
    /// # Errors
    /// `Unusable`; `Ahead` or `Foreign` if the stream's messages are not of this journal; `Nats`; `Journal`.
    pub(super) async fn open(
        api: &Context,
        feed: &'a Feed,
        status: &'a PublisherStatus,
        ids: &'a mut MessageIds,
    ) -> PublishResult<Self> {
        let stream = stream::open(api).await?;
        let published = feed.published().await?;
        let mut end = stream::end(&stream, published).await?;
        let head = check_of_this_journal(&end, feed).await?;
        if end.last.is_none() {
            // Archived events cannot be published again, and need not be if they were once.
            let archived = feed.archived_until().await?;
            if published.is_some_and(|published| published.position >= archived) {
                end.position = end.position.max(archived);
            }
        }
        tracing::debug!(
            position = end.position,
            sequence = end.sequence,
            head,
            "publishing goes on after this position"
        );
        ids.resume_after(end.position);
        status.reached(end.position);
        Ok(Session {
            stream,
            // A separate context, so that abandoned acknowledgements do not fill the next window.
            publishing: ContextBuilder::new().timeout(ACK_TIMEOUT).max_ack_inflight(WINDOW).build(api.client()),
            feed,
            status,
            ids,
            sequence: end.sequence,
            last_id: None,
            position: end.position,
            noted: ProgressRecord { position: end.position, at: Instant::now() },
            looked: (Instant::now(), end.stays()),
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
        })
    }

    /// Publishes for ever; returns the obstacle that ended it.
    pub(super) async fn publish(&mut self) -> Failure {
        let mut pages = Pages::after(self.feed, self.position);
        loop {
            if let Err(failure) = self.step(&mut pages).await {
                self.drain().await;
                return failure;
            }
        }
    }

    async fn step(&mut self, pages: &mut Pages) -> PublishResult<()> {
        // Messages in flight are awaited first, so that the stream is at rest during the check.
        let due = self.looked.0.elapsed() >= CHECK_INTERVAL;
        if due && self.in_flight.is_empty() {
            return self.check().await;
        }
        while !due
            && self.in_flight.len() < WINDOW
            && let Some(event) = self.queue.pop_front()
        {
            self.send(event).await?;
        }
        let idle = self.in_flight.is_empty() && self.queue.is_empty();
        let wanted = self.queue.len() < WINDOW;
        let oldest = async {
            match self.in_flight.front_mut() {
                Some(oldest) => (&mut oldest.ack).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Reading comes first, so that the next page is ready when the window opens.
            biased;
            page = pages.next(), if wanted && !due => {
                self.queue.extend(page?);
                Ok(())
            }
            ack = oldest => self.acknowledged(ack).await,
            () = tokio::time::sleep(NOTE_INTERVAL), if idle && self.noted.position != self.position => {
                self.note(self.sequence).await
            }
            () = tokio::time::sleep(CHECK_INTERVAL.saturating_sub(self.looked.0.elapsed())), if idle => Ok(()),
        }
    }

    async fn send(&mut self, event: CloudEvent) -> PublishResult<()> {
        let CloudEvent { position, nats_subject, json, .. } = event;
        let id = self.ids.of(position);
        let mut message = PublishMessage::build()
            .payload(json.into())
            .message_id(&id)
            .expected_last_sequence(self.sequence)
            .header("Content-Type", "application/cloudevents+json");
        if let Some(last_id) = self.last_id.replace(id) {
            message = message.expected_last_message_id(last_id);
        }
        let ack =
            self.publishing.send_publish(nats_subject, message).await.map_err(|error| failure(&error, position))?;
        self.sequence += 1;
        self.in_flight.push_back(InFlightMessage { ack: ack.into_future(), position, sequence: self.sequence });
        Ok(())
    }

    async fn acknowledged(&mut self, ack: Result<PublishAck, PublishError>) -> PublishResult<()> {
        let Some(InFlightMessage { position, sequence, .. }) = self.in_flight.pop_front() else { return Ok(()) };
        let ack = ack.map_err(|error| failure(&error, position))?;
        if ack.duplicate {
            self.ids.refused(position);
            return Err(Failure::Remembered { position });
        }
        if ack.sequence != sequence {
            return Err(Failure::Overtaken);
        }
        self.position = position;
        self.status.reached(position);
        self.status.works();
        if self.noted.at.elapsed() >= NOTE_INTERVAL { self.note(sequence).await } else { Ok(()) }
    }

    /// Records the published position.
    async fn note(&mut self, sequence: u64) -> PublishResult<()> {
        if self.noted.position != self.position {
            self.feed.note_published(PublishProgress { position: self.position, sequence }).await?;
        }
        self.noted = ProgressRecord { position: self.position, at: Instant::now() };
        Ok(())
    }

    /// Checks that the stream still ends where it was left, and that its messages have not been purged since.
    async fn check(&mut self) -> PublishResult<()> {
        let end = stream::end(&self.stream, self.feed.published().await?).await?;
        let (looked_at, known) = std::mem::replace(&mut self.looked, (Instant::now(), end.stays()));
        if !end.is_limited && (known..=self.sequence).contains(&end.gone_until) && end.last.is_some() {
            // Messages published behind the gap go too: everything is published again, in order.
            tracing::warn!(
                seconds = looked_at.elapsed().as_secs(),
                "the stream REGISTRAR was purged: all is published again"
            );
            self.stream.purge().await.map_err(Failure::nats("purging the rest of the stream"))?;
            return Err(Failure::Overtaken);
        }
        if end.sequence != self.sequence || end.position != self.position {
            return Err(Failure::Overtaken);
        }
        self.note(self.sequence).await?;
        self.ids.caught_up();
        self.status.works();
        Ok(())
    }

    /// Waits for messages in flight, so that the stream is at rest when its end is read.
    async fn drain(&mut self) {
        let all = async {
            for InFlightMessage { ack, .. } in self.in_flight.drain(..) {
                // The stream itself shows the result.
                let _ = ack.await;
            }
        };
        // Messages that take longer are refused by the server once others are stored in their place.
        let _ = timeout(DRAIN_TIMEOUT, all).await;
    }
}

/// A session is dropped at any point when its node stops; the published position is recorded all the same.
impl Drop for Session<'_> {
    fn drop(&mut self) {
        let at_rest = self.in_flight.is_empty() && self.noted.position != self.position;
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && at_rest
        {
            let (feed, published) =
                (self.feed.clone(), PublishProgress { position: self.position, sequence: self.sequence });
            runtime.spawn(async move { feed.note_published(published).await });
        }
    }
}

/// Checks that the stream is of this journal, up to its end; returns the journal's head.
pub(super) async fn check_of_this_journal(end: &StreamEnd, feed: &Feed) -> PublishResult<u64> {
    let head = feed.head().await?;
    if end.position > head {
        return Err(Failure::Ahead { stream: end.position, journal: head });
    }
    let Some(published) = end.last.as_ref().map(|last| &last.identity) else { return Ok(head) };
    match feed.identity(end.position).await {
        Ok(Some(own)) if own == *published => Ok(head),
        Ok(_) => Err(Failure::Foreign { position: end.position }),
        // An archived event cannot be compared any more; the next published one can.
        Err(JournalError::Archived { until }) if end.position == until => Ok(head),
        Err(error) => Err(error.into()),
    }
}

fn failure(error: &PublishError, position: u64) -> Failure {
    match error.kind() {
        PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId => Failure::Overtaken,
        PublishErrorKind::MaxPayloadExceeded => Failure::TooLarge { position },
        PublishErrorKind::StreamNotFound
        | PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::Other => Failure::Nats { doing: "publishing", reason: error.to_string() },
    }
}
