//! Leadership: tasks that only one of several nodes runs at a time.

use super::JournalResult;
use super::{LeadershipGuard, Store};

/// Guard of this node's leadership; dropping it lets another node take over.
pub struct Leadership {
    _held: LeadershipGuard,
}

impl Leadership {
    /// Tries to lead the task `name`; `None` while another node does.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn try_take(store: &Store, name: &str) -> JournalResult<Option<Self>> {
        Ok(store.try_lead(name).await?.map(|held| Leadership { _held: held }))
    }
}
