//! Documents by id, many at once: look-ups that arrive while others are under way share the next statement. A look-up
//! joins only a statement that begins after it, so nobody is answered with what was so before they asked.

use super::{LookedUp, ReadStore, SWAPS_MAX, served};
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

/// The body of a document, if there is one, and the position that this reflects.
pub(super) type FoundBody = (u64, Option<Arc<str>>);

/// A row of [`super::sql::look_up`].
pub(super) type Row = (i64, i64, Option<String>, Option<String>);

impl LookedUp {
    pub(super) fn of(rows: Vec<Row>) -> JournalResult<Self> {
        let mut found = LookedUp::default();
        for (position, generation, id, body) in rows {
            found.position = u64::try_from(position).map_err(JournalError::corrupt)?;
            found.generation = u64::try_from(generation).map_err(JournalError::corrupt)?;
            found.bodies.extend(id.zip(body).map(|(id, body)| (id, body.into())));
        }
        Ok(found)
    }
}

struct Lookup {
    collection: CollectionId,
    id: String,
    reply: oneshot::Sender<JournalResult<FoundBody>>,
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

    /// The body of the document with this id.
    ///
    /// # Errors
    /// `Unavailable`, `OtherGeneration`.
    pub(super) async fn find(self: &Arc<Self>, collection: CollectionId, id: &str) -> JournalResult<FoundBody> {
        let (reply, answer) = oneshot::channel();
        let begins = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.lookups.push(Lookup { collection, id: id.to_owned(), reply });
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
        let mut by_collection: HashMap<CollectionId, Vec<Lookup>> = HashMap::new();
        for lookup in lookups {
            by_collection.entry(lookup.collection).or_default().push(lookup);
        }
        for (collection, lookups) in by_collection {
            let found = self.look_up(collection, &lookups).await;
            for lookup in lookups {
                let body = found.as_ref().map(|found| (found.position, found.bodies.get(&lookup.id).cloned()));
                // Whoever stopped waiting needs no answer.
                let _ = lookup.reply.send(body.map_err(Clone::clone));
            }
        }
    }

    async fn look_up(&self, collection: CollectionId, lookups: &[Lookup]) -> JournalResult<LookedUp> {
        // No id has a null character, which PostgreSQL's text cannot hold.
        let mut ids: Vec<&str> =
            lookups.iter().map(|lookup| lookup.id.as_str()).filter(|id| !id.contains('\0')).collect();
        ids.sort_unstable();
        ids.dedup();
        for _ in 0..SWAPS_MAX {
            let generation = self.generation.load(Ordering::Acquire);
            match self.store.look_up(generation, collection, &ids).await? {
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
