//! Moving a journal to another master key while it is served.
//!
//! A box names its wrapping key, so no other progress is stored, and an interrupted run resumes where it stopped. From
//! the first step to the last a box wrapped by the former key is kept under an id of its own ([`FORMER_KEY_ID`]), so no
//! server starts without the former key while it is needed.

use super::wrapping::{Kind, WrapError, WrappingKey};
use super::{Vault, wrap_digests};
use crate::store::{DIGEST_KEY_ID, FORMER_KEY_ID, JournalError, Replacement, WrappedKeys};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Boxes replaced in one transaction: few, so that no commit waits for long.
const BATCH: u32 = 200;
/// After this long every server has checked which key the journal is under, and its earlier boxes are committed.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// Most passes over all boxes; more are needed only while servers with an outdated key go on writing.
const WALKS_MAX: usize = 5;

/// Counts of a finished run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RewrapCounts {
    /// Rewrapped keys of persons and of the journal.
    pub keys: u64,
    /// Rewrapped answers to idempotent requests.
    pub answers: u64,
}

/// Reasons why a journal is not wholly under the master key. The message tells the operator how to fix it; finished
/// work stays.
#[derive(Debug, thiserror::Error)]
pub enum RewrapError {
    /// A box cannot be opened.
    #[error(
        "{name} is wrapped by another master key, or altered: {source}\nSet REGISTRAR_FORMER_MASTER_KEY to the key that the journal was under, and run this again."
    )]
    NotOpened {
        /// Person whose key it is, or a note that it is an answer.
        name: String,
        /// Cause.
        source: WrapError,
    },
    /// Servers keep wrapping by the former key.
    #[error(
        "{0} keys or answers are still under the former master key: a server goes on to wrap by it\nStop servers that do not have the new key, and run this again."
    )]
    Left(u64),
    /// The database failed.
    #[error("the keys cannot be wrapped anew: {0}\nRun this again: it goes on where it was.")]
    Journal(#[from] JournalError),
}

/// Wraps all boxes by the configured master key. `progress` receives the number of finished boxes and the total.
///
/// # Errors
/// [`RewrapError`].
pub async fn rewrap(
    vault: &Vault,
    stored: &dyn WrappedKeys,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<RewrapCounts, RewrapError> {
    let begun = Instant::now();
    // Expired answers would not be returned, so the former key need not be kept for them.
    vault.journal.forget_answers().await?;
    vault.look().await?;
    let to = Arc::clone(&vault.keys.configured);
    let total = stored.count_others(&to.id.prefix()).await?;
    let mut walk = Walk { vault, stored, to: &to, total, progress, done: RewrapCounts::default() };
    walk.take_over().await?;
    let own = vault.journal.subject_keys(&[FORMER_KEY_ID.to_owned()]).await?;
    let replaces = own.contains_key(FORMER_KEY_ID);
    walk.all().await?;
    if replaces {
        tokio::time::sleep_until(begun + SETTLED_AFTER).await;
    }
    for _ in 0..WALKS_MAX {
        walk.all().await?;
        if stored.count_others(&to.id.prefix()).await? == 0 {
            stored.remove_key(FORMER_KEY_ID).await?;
            return Ok(walk.done);
        }
    }
    Err(RewrapError::Left(stored.count_others(&to.id.prefix()).await?))
}

struct Walk<'a> {
    vault: &'a Vault,
    stored: &'a dyn WrappedKeys,
    to: &'a WrappingKey,
    total: u64,
    progress: &'a (dyn Fn(u64, u64) + Sync),
    done: RewrapCounts,
}

impl Walk<'_> {
    /// Switches all servers that have the new key to it.
    async fn take_over(&mut self) -> Result<(), RewrapError> {
        let digest_state = self.vault.digest_state();
        let Some(from) = digest_state.wrapping.as_ref().filter(|from| from.id != self.to.id) else { return Ok(()) };
        self.stored.set_key(FORMER_KEY_ID, &from.wrap(Kind::Key, FORMER_KEY_ID.as_bytes(), b"")).await?;
        let digests = Replacement {
            name: DIGEST_KEY_ID.into(),
            former: digest_state.stored.clone(),
            boxed: wrap_digests(self.to, &digest_state.digests),
        };
        self.done.keys += self.stored.replace_keys(&[digests]).await?;
        Ok(self.vault.look().await?)
    }

    async fn all(&mut self) -> Result<(), RewrapError> {
        for kind in [Kind::Key, Kind::Answer] {
            let mut after = Vec::new();
            loop {
                let found = match kind {
                    Kind::Key => self.stored.other_keys(&self.to.id.prefix(), &after, BATCH).await?,
                    Kind::Answer => self.stored.other_answers(&self.to.id.prefix(), &after, BATCH).await?,
                };
                let Some((last, _)) = found.last() else { break };
                after.clone_from(last);
                self.replace(kind, found).await?;
                (self.progress)((self.done.keys + self.done.answers).min(self.total), self.total);
            }
        }
        Ok(())
    }

    async fn replace(&mut self, kind: Kind, found: Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), RewrapError> {
        let mut replacements = Vec::with_capacity(found.len());
        for (name, former) in found {
            let opened = self.vault.keys.open(kind, &name, &former).map(|(plain, _)| self.to.wrap(kind, &name, &plain));
            let boxed = opened.map_err(|source| not_opened(kind, &name, source))?;
            replacements.push(Replacement { name, former, boxed });
        }
        match kind {
            Kind::Key => self.done.keys += self.stored.replace_keys(&replacements).await?,
            Kind::Answer => self.done.answers += self.stored.replace_answers(&replacements).await?,
        }
        Ok(())
    }
}

fn not_opened(kind: Kind, name: &[u8], source: WrapError) -> RewrapError {
    let name = match kind {
        Kind::Key => format!("the key of {}", String::from_utf8_lossy(name)),
        Kind::Answer => "an answer to an idempotent request".to_owned(),
    };
    RewrapError::NotOpened { name, source }
}
