//! Publishing over one connection, from where the stream ends until something is in the way.
//!
//! What keeps the stream exact is that each message names its predecessor, and that the server refuses it behind any
//! other: the sequence, so that nothing is stored twice, be it of another publisher or a late retry; and the id, so that
//! nothing is left out. By the sequence alone, whatever somebody else put in the place of a refused message would make
//! the one behind it fit. Everything else here is speed.

use super::cloud_event::CloudEvent;
use super::failure::{Failure, PublishResult};
use super::feed::Feed;
use super::message_ids::MessageIds;
use super::status::PublisherStatus;
use super::stream::{self, StreamEnd};
use crate::journal::{JournalError, JournalResult, Published};
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
/// How long the server may take to acknowledge the oldest of them; a slow disk syncs them one by one.
const ACK_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait for the rest once one was refused.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the publisher looks whether the stream still is as it left it, events or not.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How often it is noted how far events were published, at least.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);

type Ack = <PublishAckFuture as IntoFuture>::IntoFuture;
type Page = JournalResult<Vec<CloudEvent>>;

/// Pages of the feed, of which the next is read and rendered on another thread while one is published.
struct Pages {
    arriving: mpsc::Receiver<Page>,
    /// Ends with it.
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

/// How far it was noted that events were published, and when.
struct Noted {
    position: u64,
    at: Instant,
}

struct InFlight {
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
    /// Sequence of the last message, of those in flight as well.
    sequence: u64,
    /// Id of the last message sent. None yet for the first: its place was just read from the stream, and the server may
    /// still have the id of one that is gone for the last.
    last_id: Option<String>,
    /// Position of the last acknowledged event.
    position: u64,
    noted: Noted,
    /// When the stream was looked at, and the sequence of a message that was there then or came next.
    looked: (Instant, u64),
    queue: VecDeque<CloudEvent>,
    in_flight: VecDeque<InFlight>,
}

impl<'a> Session<'a> {
    /// Opens the stream and finds where to go on.
    ///
    /// # Errors
    /// `Unusable`; `Ahead` or `Foreign` if what the stream holds is not of this journal; `Nats`; `Journal`.
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
            // What was archived cannot be published again, and need not be if it was once.
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
            // A context of its own, so that acknowledgements nobody waits for any more do not fill the next window.
            publishing: ContextBuilder::new().timeout(ACK_TIMEOUT).max_ack_inflight(WINDOW).build(api.client()),
            feed,
            status,
            ids,
            sequence: end.sequence,
            last_id: None,
            position: end.position,
            noted: Noted { position: end.position, at: Instant::now() },
            looked: (Instant::now(), end.stays()),
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
        })
    }

    /// Publishes for ever; what it comes back with is what is in the way.
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
        // What is in flight is waited for first, so that the stream is at rest when it is looked at.
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
            // Reading on comes first, so that the next page is there when the window opens.
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
        self.in_flight.push_back(InFlight { ack: ack.into_future(), position, sequence: self.sequence });
        Ok(())
    }

    async fn acknowledged(&mut self, ack: Result<PublishAck, PublishError>) -> PublishResult<()> {
        let Some(InFlight { position, sequence, .. }) = self.in_flight.pop_front() else { return Ok(()) };
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

    /// Notes how far events were published.
    async fn note(&mut self, sequence: u64) -> PublishResult<()> {
        if self.noted.position != self.position {
            self.feed.note_published(Published { position: self.position, sequence }).await?;
        }
        self.noted = Noted { position: self.position, at: Instant::now() };
        Ok(())
    }

    /// Looks whether the stream still ends where it was left, and whether what was in it then has been purged since.
    async fn check(&mut self) -> PublishResult<()> {
        let end = stream::end(&self.stream, self.feed.published().await?).await?;
        let (looked_at, known) = std::mem::replace(&mut self.looked, (Instant::now(), end.stays()));
        if !end.is_limited && (known..=self.sequence).contains(&end.gone_until) && end.last.is_some() {
            // What was published behind the gap goes too: everything comes again, in order.
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

    /// Waits for what is in flight, so that the stream has come to rest when it is asked where it ends.
    async fn drain(&mut self) {
        let all = async {
            for InFlight { ack, .. } in self.in_flight.drain(..) {
                // The stream itself will tell what became of it.
                let _ = ack.await;
            }
        };
        // What takes longer is refused by the server once something else stands in its place.
        let _ = timeout(DRAIN_TIMEOUT, all).await;
    }
}

/// A session ends wherever it is when its node stops: how far it came is noted all the same.
impl Drop for Session<'_> {
    fn drop(&mut self) {
        let at_rest = self.in_flight.is_empty() && self.noted.position != self.position;
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && at_rest
        {
            let (feed, published) = (self.feed.clone(), Published { position: self.position, sequence: self.sequence });
            runtime.spawn(async move { feed.note_published(published).await });
        }
    }
}

/// Whether the stream is one of this journal's, up to where it ends; answers the journal's head.
pub(super) async fn check_of_this_journal(end: &StreamEnd, feed: &Feed) -> PublishResult<u64> {
    let head = feed.head().await?;
    if end.position > head {
        return Err(Failure::Ahead { stream: end.position, journal: head });
    }
    let Some(published) = end.last.as_ref().map(|last| &last.identity) else { return Ok(head) };
    match feed.identity(end.position).await {
        Ok(Some(own)) if own == *published => Ok(head),
        Ok(_) => Err(Failure::Foreign { position: end.position }),
        // It cannot be compared any more; the next one that is published can.
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
