//! Stored keys whose process dies after a number of steps.

use async_trait::async_trait;
use registrar::journal::{JournalError, JournalResult};
use registrar::store::StoredKey;
use registrar::store::{Replacement, WrappedKeys};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Wrapped keys that fail after a number of steps, like a process that is killed.
pub(super) struct FailingKeys {
    pub(super) inner: Arc<dyn WrappedKeys>,
    pub(super) steps: AtomicI64,
}

impl FailingKeys {
    fn step(&self) -> JournalResult<&dyn WrappedKeys> {
        match self.steps.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => Ok(&*self.inner),
            _ => Err(JournalError::unavailable(std::io::Error::other("killed"))),
        }
    }
}

#[async_trait]
impl WrappedKeys for FailingKeys {
    async fn any_key(&self) -> JournalResult<Option<StoredKey>> {
        self.step()?.any_key().await
    }

    async fn add_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()> {
        self.step()?.add_key(subject_id, boxed).await
    }

    async fn set_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()> {
        self.step()?.set_key(subject_id, boxed).await
    }

    async fn remove_key(&self, subject_id: &str) -> JournalResult<()> {
        self.step()?.remove_key(subject_id).await
    }

    async fn count_others(&self, prefix: &[u8]) -> JournalResult<u64> {
        self.step()?.count_others(prefix).await
    }

    async fn other_keys(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>> {
        self.step()?.other_keys(prefix, after, limit).await
    }

    async fn other_answers(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>> {
        self.step()?.other_answers(prefix, after, limit).await
    }

    async fn replace_keys(&self, replacements: &[Replacement]) -> JournalResult<u64> {
        self.step()?.replace_keys(replacements).await
    }

    async fn replace_answers(&self, replacements: &[Replacement]) -> JournalResult<u64> {
        self.step()?.replace_answers(replacements).await
    }
}
