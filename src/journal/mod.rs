//! The journal, source of truth: appends with expected version and claims, one dense order of all events, and reads.
//!
//! Databases only check and write batches, all or nothing, and return stored rows ([`crate::store`]). The journal's
//! rules are here, once for all databases: no reader skips a missing event or takes an archived one for nonexistent.
//! Folding, batching and retrying belong to the committer.

pub mod archive_gaps;
pub mod codec;
pub mod selection;
pub mod tree;

pub use crate::store::{
    AnswerStep, Batch, CLOCK_AHEAD_MAX_SECS, ClaimStep, ClockAhead, Committed, DocumentStep, FailedConditions, Head,
    JournalError, JournalResult, JournalWriter, PAYLOAD_BYTES_MAX, Portion, PublishProgress, ReadStep, StoredAnswer,
    StoredEvent, StoredSnapshot, StreamId, StreamStep, SubjectKeyStep,
};

use crate::store::{JournalStore, Store};
use archive_gaps::StreamPage;
use chrono::{DateTime, Utc};
use selection::{AggregatePage, EventFilter, EventPage};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Reading the journal. Safe to call from anywhere; every call sees everything committed before it.
#[derive(Clone)]
pub struct Journal {
    store: Arc<dyn JournalStore>,
}

impl Store {
    /// Journal of this store.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal::over(self.journal_store())
    }
}

impl Journal {
    /// The journal in a database.
    #[must_use]
    pub fn over(store: Arc<dyn JournalStore>) -> Self {
        Journal { store }
    }

    /// The end of the journal.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt`; `OldRelease`.
    pub async fn head(&self) -> JournalResult<Head> {
        self.store.head().await
    }

    /// All events of one stream after `after_sequence`, in order.
    ///
    /// # Errors
    /// `Archived` if some were archived; `Corrupt` if some are missing; `Unavailable`.
    pub async fn stream(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> JournalResult<Vec<StoredEvent>> {
        let rows = self.store.stream((aggregate_type, aggregate_id), after_sequence, usize::MAX).await?;
        let page = archive_gaps::page(rows, after_sequence, u64::MAX, usize::MAX)?;
        page.archived.map_or(Ok(page.events), |until| Err(JournalError::Archived { until }))
    }

    /// Up to `limit` events of one stream, named by type and id, after `after_sequence` and at or before position
    /// `until`.
    ///
    /// # Errors
    /// `Corrupt` if events are missing that were not archived; `Unavailable`.
    pub async fn stream_page(
        &self,
        stream: (&str, &str),
        after_sequence: u64,
        until: u64,
        limit: usize,
    ) -> JournalResult<StreamPage> {
        archive_gaps::page(self.store.stream(stream, after_sequence, limit).await?, after_sequence, until, limit)
    }

    /// Up to `limit` events after position `after`, in order, without gaps.
    ///
    /// # Errors
    /// As [`Journal::read_portion`].
    pub async fn read(&self, after: u64, limit: usize) -> JournalResult<Vec<StoredEvent>> {
        self.read_portion(after, Portion { events: limit, bytes: usize::MAX }).await
    }

    /// A portion of the events after position `after`, in order, without gaps.
    ///
    /// # Errors
    /// `Archived` if the range begins before the first event in the database; `Corrupt` if one is missing;
    /// `Unavailable`.
    pub async fn read_portion(&self, after: u64, portion: Portion) -> JournalResult<Vec<StoredEvent>> {
        let rows = self.store.portion(after, portion).await?;
        archive_gaps::refuse(after, rows.archived_until)?;
        dense(after, portion, rows.head, rows.events)
    }

    /// A portion of the events after position `after` up to `until` that match `filter`, in order. It may be short;
    /// [`EventPage::looked_until`] is the position that the search reached.
    ///
    /// # Errors
    /// `Archived` if events that may match were archived; `Corrupt` if one is missing; `Unavailable`.
    pub async fn select(
        &self,
        filter: &EventFilter,
        after: u64,
        until: u64,
        portion: Portion,
    ) -> JournalResult<EventPage> {
        if !filter.is_empty() {
            archive_gaps::refuse(after, self.archived_for(filter, until).await?)?;
            return selection::select(&*self.store, filter, after, until, portion).await;
        }
        let mut events = self.read_portion(after, portion).await?;
        let full = portion.is_full(&events);
        events.retain(|event| event.position <= until);
        let looked_until = events.last().filter(|_| full).map_or(until, |event| event.position);
        Ok(EventPage { events, looked_until })
    }

    /// Aggregates whose first event that carries `organization` lies after position `after` up to `until`, found by
    /// reading at most `limit` events of the organization.
    ///
    /// # Errors
    /// `Archived` if some of its events were archived; `Unavailable`.
    pub async fn members(
        &self,
        organization: &str,
        after: u64,
        until: u64,
        limit: usize,
    ) -> JournalResult<AggregatePage> {
        let of = EventFilter { organization_id: Some(organization.to_owned()), ..EventFilter::default() };
        match self.archived_for(&of, until).await? {
            0 => Ok(selection::members(self.store.events_of(organization, after..until, limit).await?, until, limit)),
            until => Err(JournalError::Archived { until }),
        }
    }

    /// Range of positions that holds the last event recorded at `time` or before, 0 if no event is that old. It is one
    /// position unless that event was archived. No event in the database lies within the range.
    ///
    /// # Errors
    /// `Corrupt` if the search finds an event missing; `Unavailable`.
    pub async fn position_at(&self, time: DateTime<Utc>) -> JournalResult<RangeInclusive<u64>> {
        let missing = || JournalError::corrupt("an event is missing on the way to a time");
        let position = self.store.position_at(time).await?.ok_or_else(missing)?;
        let archived_until = self.store.archived_until().await?;
        if archived_until == 0 || position > archived_until {
            return Ok(position..=position);
        }
        // If all events were archived, the head still has the time of the last one.
        let head = self.store.head().await?;
        if head.recorded_at <= time {
            return Ok(head.position..=head.position);
        }
        self.store.carried_around(time, archived_until).await
    }

    /// The archived event at `position` if the database kept a copy to load its stream from.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt`.
    pub async fn carried(&self, position: u64) -> JournalResult<Option<StoredEvent>> {
        self.store.carried(position).await
    }

    /// Position up to which events were archived.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn archived_until(&self) -> JournalResult<u64> {
        self.store.archived_until().await
    }

    /// Position up to which events that may match `filter`, at or before position `until`, were archived; 0 if there
    /// are none.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn archived_for(&self, filter: &EventFilter, until: u64) -> JournalResult<u64> {
        archive_gaps::archived_for(&*self.store, filter, until).await
    }

    /// Holder of a claim: aggregate type and id.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn claim_holder(&self, key: &str) -> JournalResult<Option<(String, String)>> {
        self.store.claim_holder(key).await
    }

    /// The latest snapshot of an aggregate.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt`.
    pub async fn snapshot(&self, aggregate_type: &str, aggregate_id: &str) -> JournalResult<Option<StoredSnapshot>> {
        self.store.snapshot(aggregate_type, aggregate_id).await
    }

    /// The leaf hash of the event at a position; `None` if it is not in the database.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn leaf_at(&self, position: u64) -> JournalResult<Option<[u8; 32]>> {
        let Some(before) = position.checked_sub(1) else { return Ok(None) };
        match self.read(before, 1).await {
            Ok(events) => Ok(events.first().map(|event| event.leaf_hash)),
            Err(JournalError::Archived { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the snapshot of an aggregate, unless the stored one is later or has a later shape.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn save_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        snapshot: StoredSnapshot,
    ) -> JournalResult<()> {
        self.store.save_snapshot(aggregate_type, aggregate_id, snapshot).await
    }

    /// Wrapped keys of persons: absent if the person never had one, `None` if it was destroyed.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn subject_keys(&self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>> {
        self.store.subject_keys(subject_ids).await
    }

    /// The answer remembered for an idempotency key, unless it has expired.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn answer(&self, key: &[u8]) -> JournalResult<Option<StoredAnswer>> {
        self.store.answer(key).await
    }

    /// Deletes expired answers and returns their number.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn forget_answers(&self) -> JournalResult<u64> {
        self.store.forget_answers().await
    }

    /// Position up to which events were published; `None` if never noted.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn published(&self) -> JournalResult<Option<PublishProgress>> {
        self.store.published().await
    }

    /// Stores how far events were published.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn note_published(&self, published: PublishProgress) -> JournalResult<()> {
        self.store.note_published(published).await
    }

    /// The clock shared by all nodes; `None` if the database has no clock of its own.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn clock(&self) -> JournalResult<Option<DateTime<Utc>>> {
        self.store.clock().await
    }

    /// A connection for writing, outside any pool.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn writer(&self) -> JournalResult<Box<dyn JournalWriter>> {
        self.store.writer().await
    }
}

/// Checks that events follow `after` without a gap, up to `limit` of them or to `head`: a reader must never skip an
/// event, nor mistake a journal that lost its end for a shorter one.
fn dense(after: u64, portion: Portion, head: u64, events: Vec<StoredEvent>) -> JournalResult<Vec<StoredEvent>> {
    let gap = (after + 1..).zip(&events).find(|(expected, event)| *expected != event.position);
    let end = after + events.len() as u64;
    let missing = match gap {
        Some((expected, _)) => Some(expected),
        None if !portion.is_full(&events) && end < head => Some(end + 1),
        None => None,
    };
    match missing {
        Some(position) => Err(JournalError::corrupt(format!("the event at position {position} is missing"))),
        None => Ok(events),
    }
}
