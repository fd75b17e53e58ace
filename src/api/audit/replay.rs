//! States of the past: an aggregate's events folded again, up to any position.
//!
//! Events never change, so a folded state stays valid: for long histories one state every hundred events is cached,
//! within a memory bound, and the next question starts at the nearest. Secrets are masked before folding, so that none
//! can be shown. Values of an erased person read as erased, here too from the moment the vault knows of the erasure.

use crate::committer::history::Histories;
use crate::journal::archive_gaps::StreamPage;
use crate::journal::selection::EventFilter;
use crate::journal::{Journal, JournalError, JournalResult, StoredEvent, codec};
use crate::vault::Vault;
use chrono::{DateTime, Utc};
use quick_cache::{Weighter, sync::Cache};
use registrar_aggregates::{AnyAggregate, DomainEvent, Metadata};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A state is cached when its number passes a multiple of this.
const KEPT_EVERY: u64 = 100;
/// Events in the first read.
const FEW: usize = 8;
/// Most events in one read.
const PAGE_SIZE: usize = 500;
/// Soft bound on the payload bytes of a page.
const PAGE_BYTES: usize = 1024 * 1024;
/// Approximate memory for cached states.
const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Long histories with cached states, as far as memory allows; an estimate that sizes the table.
const KEPT_HISTORIES: usize = 1_000;

/// An aggregate, and the part of its history that the reader may see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Kebab-case name of the aggregate type.
    pub aggregate_type: String,
    /// Identifier within the aggregate type.
    pub aggregate_id: String,
    /// If set, only events that carried this organization when they were written count; otherwise all.
    pub organization: Option<String>,
}

impl Subject {
    fn sees(&self, event: &StoredEvent) -> JournalResult<bool> {
        match &self.organization {
            Some(organization) => Ok(codec::organization(event)?.as_ref() == Some(organization)),
            None => Ok(true),
        }
    }
}

/// An aggregate between two of its events.
#[derive(Debug, Clone)]
pub struct ReplayedState {
    /// Position and commit time of the last applied event; `None` before the first.
    pub last: Option<(u64, DateTime<Utc>)>,
    sequence: u64,
    state: AnyAggregate,
}

impl ReplayedState {
    /// The state as auditors see it, `None` while the aggregate does not exist.
    #[must_use]
    pub fn shown(&self) -> Option<Value> {
        self.last?;
        self.state.shown()
    }

    /// Moves past the next event of the stream, and counts it if there is an event to apply.
    fn pass(&mut self, stored: &StoredEvent, event: Option<DomainEvent>) -> JournalResult<()> {
        self.sequence = stored.sequence;
        if let Some(event) = event {
            self.state.apply(event.masked().map_err(JournalError::corrupt)?);
            self.last = Some((stored.position, stored.recorded_at));
        }
        Ok(())
    }
}

/// An event with everything needed to apply and show it.
#[derive(Debug, Clone)]
pub struct Step {
    /// The stored form.
    pub stored: StoredEvent,
    /// The event itself, personal values decrypted and secrets masked.
    pub event: DomainEvent,
    /// Decrypted metadata: actor and circumstances.
    pub metadata: Arc<Metadata>,
}

type StatesByPosition = BTreeMap<u64, Arc<ReplayedState>>;

#[derive(Clone)]
struct Bytes;

impl Weighter<(Subject, bool), (u64, Arc<StatesByPosition>)> for Bytes {
    fn weight(&self, _: &(Subject, bool), (bytes, _): &(u64, Arc<StatesByPosition>)) -> u64 {
        *bytes
    }
}

type States = Cache<(Subject, bool), (u64, Arc<StatesByPosition>), Bytes>;

/// Events to read after a page of `limit`: more if they were small, fewer if they were large.
fn next_limit(limit: usize, page: &[StoredEvent]) -> usize {
    let bytes: usize = page.iter().map(|event| event.payload.len()).sum();
    let next = if bytes * 2 <= PAGE_BYTES { limit * 2 } else { limit / 2 };
    next.clamp(FEW, PAGE_SIZE)
}

/// Replays aggregates of a journal.
pub struct Replays {
    journal: Journal,
    vault: Arc<Vault>,
    /// Cached states by subject and position, with their sizes, and whether they belong to an erased person.
    kept: Arc<States>,
}

impl Replays {
    /// Replays aggregates from `journal`, decrypted by `vault`.
    #[must_use]
    pub fn new(journal: Journal, vault: Arc<Vault>, histories: &Histories) -> Self {
        let kept = Arc::new(Cache::with_weighter(KEPT_HISTORIES, KEPT_BYTES_MAX, Bytes));
        let forgotten = Arc::clone(&kept);
        histories.forgetting(move || forgotten.clear());
        Replays { journal, vault, kept }
    }

    /// The aggregate right after the last of its events at or before position `until`. `None` for an unknown type.
    ///
    /// # Errors
    /// `Unavailable`; `Archived` if the answer needs archived events; `Corrupt` for events that are missing or cannot
    /// be read.
    pub async fn at(&self, subject: &Subject, until: u64) -> JournalResult<Option<ReplayedState>> {
        let Some(absent) = AnyAggregate::absent(&subject.aggregate_type) else { return Ok(None) };
        let erased = matches!(self.vault.subject_key(&subject.aggregate_id).await?, Some(None));
        let key = (subject.clone(), erased);
        let nearest = self.kept.get(&key).and_then(|(_, kept)| Some(Arc::clone(kept.range(..=until).next_back()?.1)));
        let mut moment = match nearest {
            Some(moment) => (*moment).clone(),
            None => ReplayedState { last: None, sequence: 0, state: absent },
        };
        let mut made = StatesByPosition::new();
        let mut limit = FEW;
        loop {
            let StreamPage { events: stored, more, .. } = self.stored(subject, moment.sequence, until, limit).await?;
            let events = codec::decode_events(&self.vault, &stored).await?;
            for (stored, event) in stored.iter().zip(events) {
                let visible = subject.sees(stored)?;
                moment.pass(stored, visible.then_some(event))?;
                if moment.sequence.is_multiple_of(KEPT_EVERY) {
                    made.insert(stored.position, Arc::new(moment.clone()));
                }
            }
            if !more {
                break;
            }
            limit = next_limit(limit, &stored);
        }
        self.keep(key, made);
        Ok(Some(moment))
    }

    /// Whether any event of the subject stands at or before `until`.
    ///
    /// # Errors
    /// As [`Replays::at`].
    pub async fn has_begun(&self, subject: &Subject, until: u64) -> JournalResult<bool> {
        let (mut after, mut limit) = (0, 1);
        loop {
            let page = self.stored(subject, after, until, limit).await?;
            for event in &page.events {
                if subject.sees(event)? {
                    return Ok(true);
                }
                after = event.sequence;
            }
            if !page.more {
                return Ok(false);
            }
            limit = next_limit(limit, &page.events);
        }
    }

    /// The next events of the subject's stream after `sequence` up to `until`, regardless of visibility. Archived
    /// events are skipped only if none of them can belong to the organization that the subject is narrowed to.
    async fn stored(&self, subject: &Subject, sequence: u64, until: u64, limit: usize) -> JournalResult<StreamPage> {
        let stream = (subject.aggregate_type.as_str(), subject.aggregate_id.as_str());
        let page = self.journal.stream_page(stream, sequence, until, limit).await?;
        if let Some(archived) = page.archived {
            let of_organization =
                EventFilter { organization_id: subject.organization.clone(), ..EventFilter::default() };
            if self.journal.archived_for(&of_organization, until).await? > 0 {
                return Err(JournalError::Archived { until: archived });
            }
        }
        Ok(page)
    }

    fn keep(&self, key: (Subject, bool), made: StatesByPosition) {
        let Some((_, sample)) = made.last_key_value() else { return };
        // All states of a history are assumed to be as large as the latest, twice its size as text.
        let each = 2 * sample.shown().map_or(0, |shown| shown.to_string().len() as u64) + 200;
        let mut all = self.kept.get(&key).map(|(_, kept)| (*kept).clone()).unwrap_or_default();
        all.extend(made);
        self.kept.insert(key, (each * all.len() as u64, Arc::new(all)));
    }
}

/// A replay through a history, page by page.
pub struct Walk<'a> {
    replays: &'a Replays,
    subject: &'a Subject,
    moment: ReplayedState,
    until: u64,
    ended: bool,
}

impl Replays {
    /// Walk through the events after position `after` up to `until`. `None` for an unknown type.
    ///
    /// # Errors
    /// As [`Replays::at`].
    pub async fn walk<'a>(&'a self, subject: &'a Subject, after: u64, until: u64) -> JournalResult<Option<Walk<'a>>> {
        let moment = self.at(subject, after).await?;
        Ok(moment.map(|moment| self.walk_on(subject, moment, until)))
    }

    /// Continues a walk from `moment`.
    #[must_use]
    pub fn walk_on<'a>(&'a self, subject: &'a Subject, moment: ReplayedState, until: u64) -> Walk<'a> {
        Walk { replays: self, subject, moment, until, ended: false }
    }
}

impl Walk<'_> {
    /// The state before the next event.
    #[must_use]
    pub fn moment(&self) -> &ReplayedState {
        &self.moment
    }

    /// Whether all events were read.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next events, each with the state after it, null while the aggregate does not exist; empty at the end. Reads
    /// at most `limit` events, of which the reader may see fewer.
    ///
    /// # Errors
    /// As [`Replays::at`].
    pub async fn next(&mut self, limit: usize) -> JournalResult<Vec<(Step, Value)>> {
        while !self.ended {
            let limit = limit.min(PAGE_SIZE);
            let page = self.replays.stored(self.subject, self.moment.sequence, self.until, limit).await?;
            let StreamPage { events: stored, more, .. } = page;
            self.ended = !more;
            let recorded = codec::decode(&self.replays.vault, &stored).await?;
            let mut steps = Vec::with_capacity(stored.len());
            for (stored, recorded) in stored.into_iter().zip(recorded) {
                let event = Arc::unwrap_or_clone(recorded.event);
                if !self.subject.sees(&stored)? {
                    self.moment.pass(&stored, None)?;
                    continue;
                }
                let event = event.masked().map_err(JournalError::corrupt)?;
                self.moment.pass(&stored, Some(event.clone()))?;
                steps.push((
                    Step { stored, event, metadata: recorded.metadata },
                    self.moment.shown().unwrap_or_default(),
                ));
            }
            if !steps.is_empty() {
                return Ok(steps);
            }
        }
        Ok(Vec::new())
    }
}
