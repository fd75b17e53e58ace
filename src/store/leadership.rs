//! Leadership: work that only one of several nodes should do at a time.

use super::JournalResult;
use super::{Held, Store};

/// Held as long as this node leads; dropping it lets another node take over.
pub struct Leadership {
    _held: Held,
}

impl Leadership {
    /// Tries to lead in the matter of `name`; `None` while another node does.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn try_take(store: &Store, name: &str) -> JournalResult<Option<Self>> {
        Ok(store.try_lead(name).await?.map(|held| Leadership { _held: held }))
    }
}
