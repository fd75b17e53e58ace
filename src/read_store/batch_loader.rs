//! Batched look-ups of documents by id or another key: look-ups that arrive while others are under way share the next
//! statement. A look-up joins only a statement that begins after it, so no caller gets an answer older than its call.
//! If the cache may answer the whole batch, the statement asks for the end of the journal only.

use super::document_cache::{DocumentCache, LookupKind, Row};
use super::{SWAPS_MAX, served};
use crate::store::{DocumentStore, JournalError, JournalResult, Moment};
use registrar_projections::CollectionId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Concurrent statements; with more, each would carry less.
const STATEMENTS_MAX: usize = 2;
/// Most look-ups in one statement.
const TOGETHER_MAX: usize = 256;

/// Result of a look-up.
pub(super) struct LookupResult {
    /// Moment that the result reflects, no earlier than the start of the look-up.
    pub(super) moment: Moment,
    /// The document; `None` if not found.
    pub(super) row: Option<Arc<Row>>,
}

struct Lookup {
    by: LookupKind,
    value: String,
    reply: oneshot::Sender<JournalResult<LookupResult>>,
}

#[derive(Default)]
struct LookupQueue {
    lookups: Vec<Lookup>,
    statements: usize,
}

/// Looks up documents of the served generation.
pub(super) struct Lookups {
    store: Arc<dyn DocumentStore>,
    generation: Arc<AtomicU64>,
    cache: Arc<DocumentCache>,
    waiting: Mutex<LookupQueue>,
}

impl Lookups {
    pub(super) fn new(store: Arc<dyn DocumentStore>, generation: Arc<AtomicU64>, cache: Arc<DocumentCache>) -> Self {
        Lookups { store, generation, cache, waiting: Mutex::default() }
    }

    /// The document whose `key`, or whose [`super::sql::ID`], is `value`. A result as of `enough` is acceptable; with
    /// `None` it must be current.
    ///
    /// # Errors
    /// `Unavailable`, `OtherGeneration`.
    pub(super) async fn find(
        self: &Arc<Self>,
        collection: CollectionId,
        key: &'static str,
        value: &str,
        enough: Option<Moment>,
    ) -> JournalResult<LookupResult> {
        let known = enough.and_then(|moment| self.cache.find((collection, key), value, moment));
        if let Some((moment, row)) = known {
            return Ok(LookupResult { moment, row });
        }
        let (reply, answer) = oneshot::channel();
        let begins = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.lookups.push(Lookup { by: (collection, key), value: value.to_owned(), reply });
            let begins = waiting.statements < STATEMENTS_MAX;
            waiting.statements += usize::from(begins);
            begins
        };
        if begins {
            // Runs as a task of its own: if this caller gives up, others still wait for the same statement.
            let turn = StatementRunner { lookups: Arc::clone(self), ended: false };
            tokio::spawn(async move { turn.work().await });
        }
        answer.await.map_err(JournalError::unavailable)?
    }

    async fn answer(&self, lookups: Vec<Lookup>) {
        let (known, mut unknown): (Vec<_>, Vec<_>) =
            lookups.into_iter().partition(|lookup| self.cache.may_have(lookup.by, &lookup.value));
        let moment = if unknown.is_empty() {
            match self.store.moment().await {
                Ok(moment) => Some(moment),
                Err(error) => return known.into_iter().for_each(|lookup| lookup.answer(Err(error.clone()))),
            }
        } else {
            self.look_up_all(std::mem::take(&mut unknown)).await
        };
        for lookup in known {
            let found = moment.and_then(|moment| self.cache.find(lookup.by, &lookup.value, moment));
            match found {
                Some((moment, row)) => lookup.answer(Ok(LookupResult { moment, row })),
                None => unknown.push(lookup),
            }
        }
        self.look_up_all(unknown).await;
    }

    /// Answers from the store, one statement for each key, and returns the moment of the first.
    async fn look_up_all(&self, lookups: Vec<Lookup>) -> Option<Moment> {
        let mut by_key: HashMap<LookupKind, Vec<Lookup>> = HashMap::new();
        for lookup in lookups {
            by_key.entry(lookup.by).or_default().push(lookup);
        }
        let mut first = None;
        for (by, lookups) in by_key {
            let looked_up = self.look_up(by, &lookups).await;
            first = first.or(looked_up.as_ref().ok().map(|(moment, _)| *moment));
            for lookup in lookups {
                let found = looked_up
                    .as_ref()
                    .map(|(moment, rows)| LookupResult { moment: *moment, row: rows.get(&lookup.value).cloned() });
                lookup.answer(found.map_err(Clone::clone));
            }
        }
        first
    }

    async fn look_up(
        &self,
        (collection, key): LookupKind,
        lookups: &[Lookup],
    ) -> JournalResult<(Moment, HashMap<String, Arc<Row>>)> {
        // Keys have no null character, which PostgreSQL's text cannot hold.
        let mut values: Vec<&str> =
            lookups.iter().map(|lookup| lookup.value.as_str()).filter(|value| !value.contains('\0')).collect();
        values.sort_unstable();
        values.dedup();
        let history = self.cache.history();
        for _ in 0..SWAPS_MAX {
            let generation = self.generation.load(Ordering::Acquire);
            match self.store.look_up(generation, collection, key, &values).await? {
                Some(found) if found.moment.generation == generation => {
                    let rows = self.cache.keep(history, (collection, key), &values, &found);
                    return Ok((found.moment, rows));
                }
                _ => served(&*self.store, &self.generation, generation).await?,
            }
        }
        Err(JournalError::OtherGeneration)
    }
}

impl Lookup {
    fn answer(self, found: JournalResult<LookupResult>) {
        // A caller that stopped waiting needs no answer.
        let _ = self.reply.send(found);
    }
}

/// Runs one statement after the other until no look-up waits. However it ends, it makes room for another.
struct StatementRunner {
    lookups: Arc<Lookups>,
    ended: bool,
}

impl StatementRunner {
    async fn work(mut self) {
        loop {
            let lookups = {
                let mut waiting = self.lookups.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let together = waiting.lookups.len().min(TOGETHER_MAX);
                if together == 0 {
                    // Within the lock: a look-up that arrives now starts another turn.
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

impl Drop for StatementRunner {
    fn drop(&mut self) {
        if !self.ended {
            let mut waiting = self.lookups.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.statements -= 1;
            // The waiting look-ups relied on this turn; no other is certain to answer them.
            waiting.lookups.clear();
        }
    }
}
