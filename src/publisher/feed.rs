//! The feed of all events, in order and without end, followed by the publisher and every SSE client.

use super::cloud_event::{CloudEvent, Identity, PersonalValues};
use crate::committer::heads::Heads;
use crate::journal::{Journal, JournalError, JournalResult, Portion, PublishProgress, StoredEvent};
use crate::node::Node;
use crate::node::priority::seat;
use futures::stream::{Stream, try_unfold};
use std::sync::Arc;
use std::time::Duration;

/// Largest page: a slow reader keeps as much waiting in memory.
const PAGE: Portion = Portion { events: 512, bytes: 1024 * 1024 };
/// Longest delay of an event when the wake-up is lost, e.g. that of another node.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The journal as read by followers. Cloning is cheap; every clone reads on its own.
#[derive(Clone)]
pub struct Feed {
    journal: Journal,
    heads: Heads,
    personal: PersonalValues,
    /// Whether this reader takes turns with many others.
    takes_turns: bool,
}

struct Reader {
    feed: Feed,
    after: u64,
    /// Number of events on the last page.
    read: usize,
    /// Whether the last page reached the end of the journal.
    caught_up: bool,
}

impl Feed {
    /// The recorded position of publishing.
    pub(super) async fn published(&self) -> JournalResult<Option<PublishProgress>> {
        self.journal.published().await
    }

    /// Records the position of publishing.
    pub(super) async fn note_published(&self, published: PublishProgress) -> JournalResult<()> {
        self.journal.note_published(published).await
    }

    /// The events of `journal`; `heads` wakes waiting readers.
    #[must_use]
    pub fn new(journal: Journal, heads: Heads, personal: PersonalValues) -> Self {
        Feed { journal, heads, personal, takes_turns: false }
    }

    /// The events of a node, with personal values in the clear if `publish_personal`.
    #[must_use]
    pub fn of(node: &Node, publish_personal: bool) -> Self {
        let personal =
            if publish_personal { PersonalValues::Clear(Arc::clone(&node.vault)) } else { PersonalValues::Redacted };
        Feed::new(node.journal.clone(), node.heads.clone(), personal)
    }

    /// Makes this one of many readers, who take turns in reading a page.
    #[must_use]
    pub fn by_turns(self) -> Self {
        Feed { takes_turns: true, ..self }
    }

    /// Position of the journal's last event, 0 if it is empty.
    ///
    /// # Errors
    /// As [`Journal::head`].
    pub async fn head(&self) -> JournalResult<u64> {
        Ok(self.journal.head().await?.position)
    }

    /// Position up to which events were archived.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub(super) async fn archived_until(&self) -> JournalResult<u64> {
        match self.journal.read(0, 1).await {
            Err(JournalError::Archived { until }) => Ok(until),
            events => events.map(|_| 0),
        }
    }

    /// The known head of the journal and its changes, without a database read.
    pub(super) fn heads(&self) -> Heads {
        self.heads.clone()
    }

    /// Identity of the event at `position`, if it exists.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub async fn identity(&self, position: u64) -> JournalResult<Option<Identity>> {
        let Some(before) = position.checked_sub(1) else { return Ok(None) };
        Ok(self.journal.read(before, 1).await?.first().filter(|event| event.position == position).map(Identity::of))
    }

    /// The events after `position` in pages, dense and in order, waiting for more at the end. Pages are not read ahead
    /// of the caller.
    ///
    /// Ends after an error: the journal's, or `Corrupt` for a gap and for an event that cannot be published.
    pub fn after(&self, position: u64) -> impl Stream<Item = JournalResult<Vec<CloudEvent>>> + Send + use<> {
        let reader = Reader { feed: self.clone(), after: position, read: 0, caught_up: false };
        try_unfold(reader, |mut reader| async move {
            let page = reader.next_page().await?;
            Ok(Some((page, reader)))
        })
    }
}

impl Reader {
    async fn next_page(&mut self) -> JournalResult<Vec<CloudEvent>> {
        loop {
            if self.caught_up {
                self.wait().await;
            }
            let _seat = if self.feed.takes_turns { Some(seat().await?) } else { None };
            let known_head = self.feed.heads.position();
            let portion = PAGE.after(self.read);
            let events = self.feed.journal.read_portion(self.after, portion).await?;
            self.read = events.len();
            if !events.is_empty() {
                self.check_dense(&events)?;
                let page = self.feed.personal.render(&events).await?;
                self.caught_up = page.len() == events.len() && !portion.is_full(&events);
                self.after = page.last().map_or(self.after, |event| event.position);
                return Ok(page);
            }
            if known_head > self.after {
                return Err(missing(self.after + 1));
            }
            self.caught_up = true;
        }
    }

    /// Waits until the node knows of unread events, or until the next poll.
    async fn wait(&mut self) {
        let after = self.after;
        let more = async {
            // All senders are gone, so no wake-up will come: polling remains.
            if self.feed.heads.reach(after + 1).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        // The timeout is the poll interval; its result only says which of the two ended the wait.
        let _ = tokio::time::timeout(POLL_INTERVAL, more).await;
    }

    fn check_dense(&self, events: &[StoredEvent]) -> JournalResult<()> {
        match events.iter().zip(self.after + 1..).find(|(event, position)| event.position != *position) {
            Some((_, position)) => Err(missing(position)),
            None => Ok(()),
        }
    }
}

fn missing(position: u64) -> JournalError {
    JournalError::corrupt(format!("the journal has no event at position {position}"))
}
