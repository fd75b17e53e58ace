//! The history as a node knows it, and what happens when the database tells another one: after a failover that lost the last
//! commits, or a restore in place, a node must not go on with what it remembers.
//!
//! The head alone does not tell: the journal may have passed the old end by the time that a node looks. So the leaf hash of
//! the last known event is compared, which differs for any other event at that position.

use crate::committer::Progress;
use crate::journal::{Head, Journal, JournalError, JournalResult};
use crate::read_store::NOT_SERVED;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

type Forget = Box<dyn Fn() + Send + Sync>;

/// Counts the histories that a node has seen, and knows what is to be forgotten with one.
#[derive(Default)]
pub struct Histories {
    seen: AtomicU64,
    forget: Mutex<Vec<Forget>>,
}

impl Histories {
    /// Number of the history that counts.
    #[must_use]
    pub fn current(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    /// Has `forget` called whenever another history begins.
    pub fn forgetting(&self, forget: impl Fn() + Send + Sync + 'static) {
        self.forget.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(forget));
    }

    /// Begins another history.
    pub(crate) fn begin(&self) {
        self.seen.fetch_add(1, Ordering::AcqRel);
        self.forget.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|forget| forget());
    }
}

/// The head that was seen last, with the hash of its last event; none for an empty journal or an archived event.
struct Seen {
    head: Head,
    leaf: Option<[u8; 32]>,
    /// Whether the database wants a later release.
    outdated: bool,
}

/// Looks at the head now and then.
pub(crate) struct Watched {
    progress: Progress,
    seen: tokio::sync::Mutex<Seen>,
}

impl Watched {
    pub(crate) fn new(progress: Progress, head: Head) -> Self {
        Watched { progress, seen: tokio::sync::Mutex::new(Seen { head, leaf: None, outdated: false }) }
    }

    /// Position of the last event that this node knows.
    pub(crate) fn known(&self) -> u64 {
        self.progress.heads.position()
    }

    /// Looks at the head, one after the other, so that none is taken for an earlier one.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(crate) async fn look(&self, journal: &Journal) -> JournalResult<()> {
        let mut seen = self.seen.lock().await;
        let head = match journal.head().await {
            Ok(head) => head,
            Err(error) => {
                if matches!(error, JournalError::OldRelease) {
                    self.progress.generation.store(NOT_SERVED, Ordering::Release);
                    if !std::mem::replace(&mut seen.outdated, true) {
                        tracing::error!(error = &error as &dyn std::error::Error, "this node serves no longer");
                    }
                }
                return Err(error);
            }
        };
        seen.outdated = false;
        let goes_on = match seen.leaf {
            _ if head.position < seen.head.position => false,
            _ if head.position == seen.head.position => head.frontier == seen.head.frontier,
            Some(leaf) => leaf_at(journal, seen.head.position).await?.is_none_or(|found| found == leaf),
            None => true,
        };
        if goes_on {
            self.progress.advance(head.position);
        } else {
            self.progress.begin_another_history(&head);
        }
        if seen.leaf.is_none() || seen.head.position != head.position || !goes_on {
            seen.leaf = leaf_at(journal, head.position).await?;
        }
        seen.head = head;
        Ok(())
    }
}

/// The leaf hash of the event at a position; none if it is not in the database.
pub(crate) async fn leaf_at(journal: &Journal, position: u64) -> JournalResult<Option<[u8; 32]>> {
    let Some(before) = position.checked_sub(1) else { return Ok(None) };
    match journal.read(before, 1).await {
        Ok(events) => Ok(events.first().map(|event| event.leaf_hash)),
        Err(JournalError::Archived { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
