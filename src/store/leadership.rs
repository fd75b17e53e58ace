//! Leadership: tasks that only one of several nodes runs at a time.

use super::JournalResult;
use super::{LeadershipGuard, Store};
use std::time::Duration;

/// Longest wait for the database to say that the lock is held.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Guard of this node's leadership; dropping it lets another node take over.
pub struct Leadership {
    held: LeadershipGuard,
}

impl Leadership {
    /// Tries to lead the task `name`; `None` while another node does.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn try_take(store: &Store, name: &str) -> JournalResult<Option<Self>> {
        Ok(store.try_lead(name).await?.map(|held| Leadership { held }))
    }

    /// Whether this node still leads. With its connection to the database a node loses the leadership and is not told.
    pub async fn is_held(&mut self) -> bool {
        tokio::time::timeout(ANSWER_TIMEOUT, self.held.is_held()).await.unwrap_or(false)
    }
}
