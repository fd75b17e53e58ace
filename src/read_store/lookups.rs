//! Documents by id or by another key, many at once: look-ups that arrive while others are under way share the next
//! statement. A look-up joins only a statement that begins after it, so nobody is answered with what was so before they
//! asked.

use super::{Body, LookedUp, ReadStore, SWAPS_MAX, served};
use crate::journal::{JournalError, JournalResult};
use registrar_projections::CollectionId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Statements under way at once: more would each carry less.
const STATEMENTS_MAX: usize = 2;
/// Look-ups that one statement answers.
const TOGETHER_MAX: usize = 256;

/// What was looked up.
pub(super) struct Found {
    /// Position of the journal that it reflects.
    pub(super) position: u64,
    /// The document, if there is one.
    pub(super) body: Option<Body>,
}

impl LookedUp {
    /// What a snapshot has: its position and generation, and of each document the value of the key, its id and its text.
    pub(super) fn of(
        position: i64,
        generation: i64,
        documents: impl Iterator<Item = (String, String, String)>,
    ) -> JournalResult<Self> {
        let mut found: HashMap<String, Body> = HashMap::with_capacity(documents.size_hint().0);
        for (value, id, text) in documents {
            if found.get(&value).is_none_or(|other| id < other.id) {
                found.insert(value, Body { id, text: text.into() });
            }
        }
        let position = u64::try_from(position).map_err(JournalError::corrupt)?;
        let generation = u64::try_from(generation).map_err(JournalError::corrupt)?;
        Ok(LookedUp { position, generation, found })
    }
}

/// What a look-up goes by: a key of a collection.
type Key = (CollectionId, &'static str);

struct Lookup {
    by: Key,
    value: String,
    reply: oneshot::Sender<JournalResult<Found>>,
}

#[derive(Default)]
struct Waiting {
    lookups: Vec<Lookup>,
    statements: usize,
}

/// Looks up documents of the generation that is served.
pub(super) struct Lookups {
    store: Arc<dyn ReadStore>,
    generation: Arc<AtomicU64>,
    waiting: Mutex<Waiting>,
}

impl Lookups {
    pub(super) fn new(store: Arc<dyn ReadStore>, generation: Arc<AtomicU64>) -> Self {
        Lookups { store, generation, waiting: Mutex::default() }
    }

    /// The document whose `key`, or whose [`super::sql::ID`], is `value`.
    ///
    /// # Errors
    /// `Unavailable`, `OtherGeneration`.
    pub(super) async fn find(
        self: &Arc<Self>,
        collection: CollectionId,
        key: &'static str,
        value: &str,
    ) -> JournalResult<Found> {
        let (reply, answer) = oneshot::channel();
        let begins = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.lookups.push(Lookup { by: (collection, key), value: value.to_owned(), reply });
            let begins = waiting.statements < STATEMENTS_MAX;
            waiting.statements += usize::from(begins);
            begins
        };
        if begins {
            // Not by whoever asked: if they give up waiting, others still wait for the same statement.
            let turn = Turn { lookups: Arc::clone(self), ended: false };
            tokio::spawn(async move { turn.work().await });
        }
        answer.await.map_err(JournalError::unavailable)?
    }

    async fn answer(&self, lookups: Vec<Lookup>) {
        let mut by_key: HashMap<Key, Vec<Lookup>> = HashMap::new();
        for lookup in lookups {
            by_key.entry(lookup.by).or_default().push(lookup);
        }
        for (by, lookups) in by_key {
            let looked_up = self.look_up(by, &lookups).await;
            for lookup in lookups {
                let found = looked_up.as_ref().map(|looked_up| Found {
                    position: looked_up.position,
                    body: looked_up.found.get(&lookup.value).cloned(),
                });
                // Whoever stopped waiting needs no answer.
                let _ = lookup.reply.send(found.map_err(Clone::clone));
            }
        }
    }

    async fn look_up(&self, (collection, key): Key, lookups: &[Lookup]) -> JournalResult<LookedUp> {
        // No key has a null character, which PostgreSQL's text cannot hold.
        let mut values: Vec<&str> =
            lookups.iter().map(|lookup| lookup.value.as_str()).filter(|value| !value.contains('\0')).collect();
        values.sort_unstable();
        values.dedup();
        for _ in 0..SWAPS_MAX {
            let generation = self.generation.load(Ordering::Acquire);
            match self.store.look_up(generation, collection, key, &values).await? {
                Some(found) if found.generation == generation => return Ok(found),
                _ => served(&*self.store, &self.generation, generation).await?,
            }
        }
        Err(JournalError::OtherGeneration)
    }
}

/// One statement after the other, until nobody waits. However it ends, it makes room for another.
struct Turn {
    lookups: Arc<Lookups>,
    ended: bool,
}

impl Turn {
    async fn work(mut self) {
        loop {
            let lookups = {
                let mut waiting = self.lookups.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let together = waiting.lookups.len().min(TOGETHER_MAX);
                if together == 0 {
                    // Within the lock: who comes now begins another.
                    waiting.statements -= 1;
                    self.ended = true;
                    return;
                }
                waiting.lookups.drain(..together).collect()
            };
            self.lookups.answer(lookups).await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.ended {
            let mut waiting = self.lookups.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.statements -= 1;
            // It was to answer them; nobody else is sure to.
            waiting.lookups.clear();
        }
    }
}
