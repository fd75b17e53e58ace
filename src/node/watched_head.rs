//! The head as polled by a node, to notice that the database has another history.
//!
//! The position alone is not enough: the journal may have passed the old head by the next poll. So the leaf hash of the
//! last known event is compared, which differs for any other event at that position.

use crate::committer::Progress;
use crate::journal::{Head, Journal, JournalError, JournalResult};
use crate::read_store::NOT_SERVED;
use std::sync::atomic::Ordering;

/// The last polled head, with the hash of its last event; `None` for an empty journal or an archived event.
struct PolledHead {
    head: Head,
    leaf: Option<[u8; 32]>,
    /// Whether the database requires a later release.
    outdated: bool,
}

/// Polls the head.
pub(crate) struct WatchedHead {
    progress: Progress,
    seen: tokio::sync::Mutex<PolledHead>,
}

impl WatchedHead {
    pub(crate) fn new(progress: Progress, head: Head) -> Self {
        WatchedHead { progress, seen: tokio::sync::Mutex::new(PolledHead { head, leaf: None, outdated: false }) }
    }

    /// Position of the last event that this node knows.
    pub(crate) fn known(&self) -> u64 {
        self.progress.heads.position()
    }

    /// Reads the head, one read at a time, so that none is taken for an earlier one.
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
