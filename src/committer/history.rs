//! Histories as a node counts them: after a failover that lost the last commits, or a restore in place, the database tells
//! another one, and a node must not go on with what it remembers.

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
