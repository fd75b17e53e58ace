//! The head as a node looks at it now and then, to notice that the database tells another history.
//!
//! The head alone does not tell: the journal may have passed the old end by the time that a node looks. So the leaf hash of
//! the last known event is compared, which differs for any other event at that position.

use crate::committer::Progress;
use crate::journal::{Head, Journal, JournalError, JournalResult};
use crate::read_store::NOT_SERVED;
use std::sync::atomic::Ordering;

/// The head that was seen last, with the hash of its last event; none for an empty journal or an archived event.
struct Seen {
    head: Head,
    leaf: Option<[u8; 32]>,
    /// Whether the database wants a later release.
    outdated: bool,
}

/// Looks at the head now and then.
pub(crate) struct WatchedHead {
    progress: Progress,
    seen: tokio::sync::Mutex<Seen>,
}

impl WatchedHead {
    pub(crate) fn new(progress: Progress, head: Head) -> Self {
        WatchedHead { progress, seen: tokio::sync::Mutex::new(Seen { head, leaf: None, outdated: false }) }
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
            Some(leaf) => journal.leaf_at(seen.head.position).await?.is_none_or(|found| found == leaf),
            None => true,
        };
        if goes_on {
            self.progress.advance(head.position);
        } else {
            self.progress.begin_another_history(&head);
        }
        if seen.leaf.is_none() || seen.head.position != head.position || !goes_on {
            seen.leaf = journal.leaf_at(head.position).await?;
        }
        seen.head = head;
        Ok(())
    }
}
