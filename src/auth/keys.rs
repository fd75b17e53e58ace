//! The keys that sign tokens: creation, rotation, and a cache for verifying.

use super::tokens::{self, TokenError};
use crate::executor::{ExecuteError, RequestContext};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use chrono::{DateTime, Utc};
use ed25519_dalek::VerifyingKey;
use registrar_aggregates::key_ring::{KEY_RING_ID, KeyRing, KeyRingCommand, KeyRingError};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Shortest time between two reads for an unknown key, which another node may have created a moment ago. Reading more
/// often would let a client with forged tokens keep the database busy.
const LOOKS_APART: Duration = Duration::from_secs(1);
/// Longest time until a node learns that another one has retired a key.
const AGE_MAX: Duration = Duration::from_secs(5);
/// Clocks of nodes differ: a token that one signs just before another rotates must still end before its key does.
const CLOCK_DIFFERENCE_MAX: chrono::Duration = chrono::Duration::minutes(1);

/// Reads the key ring from the journal.
pub(super) async fn ring(node: &Node) -> JournalResult<KeyRing> {
    Ok(node.executor.state::<KeyRing>(KEY_RING_ID).await?.1)
}

/// Makes sure that a signing key exists. Nodes that start at once end up with the same one.
pub(crate) async fn establish(node: &Node, context: &RequestContext) -> JournalResult<()> {
    if ring(node).await?.signing().is_some() {
        return Ok(());
    }
    let key = tokens::generate_key().map_err(JournalError::corrupt)?;
    unrefused(execute(node, context, KeyRingCommand::Establish { key }).await)
}

/// Fate of the tokens that the present key has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormerKey {
    /// The tokens are accepted until they expire.
    LivesOut,
    /// The tokens are rejected at once: the key may have leaked.
    EndsNow,
}

/// Rotates the signing key.
///
/// # Errors
/// As [`crate::executor::Executor::execute`].
pub async fn rotate(node: &Node, context: &RequestContext, former: FormerKey) -> JournalResult<()> {
    let key = tokens::generate_key().map_err(JournalError::corrupt)?;
    let present_verifies_until = match former {
        FormerKey::LivesOut => Utc::now() + super::TTL_MAX + CLOCK_DIFFERENCE_MAX,
        FormerKey::EndsNow => ended(),
    };
    unrefused(execute(node, context, KeyRingCommand::Rotate { key, present_verifies_until }).await)
}

/// Ends a former key: tokens that it signed are rejected from now on.
///
/// # Errors
/// `Refused` for a key that is unknown or still signs; `Journal` as [`crate::executor::Executor::execute`].
pub async fn retire(node: &Node, context: &RequestContext, key_id: String) -> Result<(), ExecuteError<KeyRingError>> {
    execute(node, context, KeyRingCommand::Retire { key_id, verifies_until: ended() }).await
}

/// An end for a key that must be rejected at once, also on nodes whose clocks are behind.
fn ended() -> DateTime<Utc> {
    Utc::now() - CLOCK_DIFFERENCE_MAX
}

async fn execute(
    node: &Node,
    context: &RequestContext,
    command: KeyRingCommand,
) -> Result<(), ExecuteError<KeyRingError>> {
    node.executor.execute::<KeyRing>(context, KEY_RING_ID, command, None).await.map(drop)
}

/// Unwraps the outcome of a command that the key ring never refuses.
fn unrefused(outcome: Result<(), ExecuteError<KeyRingError>>) -> JournalResult<()> {
    outcome.map_err(|error| match error {
        ExecuteError::Journal(error) => error,
        ExecuteError::Refused(refusal) => JournalError::corrupt(refusal),
    })
}

/// Cache of the verifying halves, read from the journal not long ago.
pub(super) struct KeyCache {
    known: RwLock<Arc<KeySnapshot>>,
    /// Time of the last journal read; locked during a read.
    looked: tokio::sync::Mutex<Option<Instant>>,
}

struct KeySnapshot {
    keys: HashMap<String, VerifyingHalf>,
    /// Head of the journal before that read.
    head: u64,
    loaded_at: Instant,
}

struct VerifyingHalf {
    key: VerifyingKey,
    until: Option<DateTime<Utc>>,
}

impl KeySnapshot {
    async fn load(node: &Node) -> JournalResult<Self> {
        let (head, loaded_at) = (node.heads.position(), Instant::now());
        let keys = ring(node)
            .await?
            .verifying(Utc::now())
            .map(|key| {
                Ok((key.key_id.clone(), VerifyingHalf { key: tokens::public_key(key)?, until: key.verifies_until }))
            })
            .collect::<Result<_, tokens::BrokenKey>>()
            .map_err(JournalError::corrupt)?;
        Ok(KeySnapshot { keys, head, loaded_at })
    }

    fn find(&self, key_id: &str, now: DateTime<Utc>) -> Option<VerifyingKey> {
        self.keys.get(key_id).filter(|key| key.until.is_none_or(|until| until > now)).map(|key| key.key)
    }
}

impl KeyCache {
    pub(super) async fn load(node: &Node) -> JournalResult<Self> {
        Ok(KeyCache {
            known: RwLock::new(Arc::new(KeySnapshot::load(node).await?)),
            looked: tokio::sync::Mutex::new(None),
        })
    }

    /// The key with this id that verifies at `now`.
    pub(super) async fn find(
        &self,
        node: &Node,
        key_id: &str,
        now: DateTime<Utc>,
    ) -> JournalResult<Result<VerifyingKey, TokenError>> {
        let known = self.known();
        let is_old = known.loaded_at.elapsed() >= AGE_MAX && node.heads.position() != known.head;
        if !is_old && let Some(key) = known.find(key_id, now) {
            return Ok(Ok(key));
        }
        self.look_again(node).await?;
        Ok(self.known().find(key_id, now).ok_or(TokenError::UnknownKey))
    }

    /// Reads the keys again, or waits for a read in progress. Close look-ups wait for one read together, instead of
    /// being answered from a cache older than their question.
    async fn look_again(&self, node: &Node) -> JournalResult<()> {
        let asked = Instant::now();
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|last| last > asked) {
            return Ok(());
        }
        if let Some(last) = *looked {
            tokio::time::sleep_until((last + LOOKS_APART).into()).await;
        }
        let known = KeySnapshot::load(node).await?;
        *looked = Some(known.loaded_at);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(())
    }

    fn known(&self) -> Arc<KeySnapshot> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}
