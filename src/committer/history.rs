//! Histories as counted by a node: after a failover that lost the last commits, or a restore in place, the database has
//! another history, and the node's caches are invalid.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

type ResetHook = Box<dyn Fn() + Send + Sync>;

/// Counts the histories that a node has seen, and clears the caches of the former one.
#[derive(Default)]
pub struct Histories {
    seen: AtomicU64,
    forget: Mutex<Vec<ResetHook>>,
}

impl Histories {
    /// Number of the current history.
    #[must_use]
    pub fn current(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    /// Registers `forget`, which is called whenever another history begins.
    pub fn forgetting(&self, forget: impl Fn() + Send + Sync + 'static) {
        self.forget.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(forget));
    }

    /// Begins another history.
    pub(crate) fn begin(&self) {
        self.seen.fetch_add(1, Ordering::AcqRel);
        self.forget.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|forget| forget());
    }
}
