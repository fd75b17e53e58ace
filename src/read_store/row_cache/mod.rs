//! Cached rows; an entry is valid until a commit may have changed it.
//!
//! Every look-up asks the store for the end of the journal; a row read at an earlier end is valid if no commit in
//! between has changed it. This node's own commits are known, document by document: [`Recent::note`]. Any other move of
//! the end, by another node or a commit that was never noted, invalidates all older entries. So correctness does not
//! depend on every commit being noted, or noted in time.

pub(super) mod total_cache;

use crate::store::{Body, DocumentStep, LookedUp, Moment, sql};
use quick_cache::{Equivalent, Weighter, unsync::Cache};
use registrar_projections::collection::{KeyKind, KeyValue};
use registrar_projections::{CollectionId, is_followed};
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use total_cache::Totals;

/// Approximate memory of the cache, in bytes.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Capacity for look-ups of minimal length; the actual number depends on their size.
const LOOKUPS_ABOUT: usize = 64_000;
/// Overhead of an entry beside its texts.
const OVERHEAD_BYTES: usize = 128;

/// Kind of a look-up: a collection, and a scalar key of it or its [`sql::ID`].
pub(super) type By = (CollectionId, &'static str);

#[derive(PartialEq, Eq)]
struct Key {
    by: By,
    value: Box<str>,
}

/// Borrowed form of a cache key.
struct Sought<'v> {
    by: By,
    value: &'v str,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Sought { by: self.by, value: &self.value }.hash(state);
    }
}

impl Hash for Sought<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.by.0, self.by.1, self.value).hash(state);
    }
}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.by == key.by && *self.value == *key.value
    }
}

/// A cached look-up.
struct Entry {
    /// Moment of the look-up.
    at: Moment,
    /// The document; `None` if not found.
    body: Option<Body>,
}

/// Weighs an entry in bytes. A text shared by several entries counts for each: any of them may be the last to be
/// evicted.
#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Entry> for Bytes {
    fn weight(&self, key: &Key, entry: &Entry) -> u64 {
        let body = entry.body.as_ref().map_or(0, |body| body.id.len() + body.text.len());
        (OVERHEAD_BYTES + key.value.len() + body) as u64
    }
}

struct State {
    /// The changes of every commit after this position and up to `noted` are known.
    since: u64,
    noted: u64,
    /// Keys other than the identifier that look-ups have used.
    used: Vec<By>,
    entries: Cache<Key, Entry, Bytes>,
    totals: Totals,
}

/// Cache of recent look-ups.
pub struct Recent(Mutex<State>);

impl Default for Recent {
    fn default() -> Self {
        let entries = Cache::with_weighter(LOOKUPS_ABOUT, BYTES_MAX, Bytes);
        Recent(Mutex::new(State { since: 0, noted: 0, used: Vec::new(), entries, totals: Totals::default() }))
    }
}

impl State {
    /// Whether an entry is still valid at `now`, which is no earlier than the entry.
    fn holds(&self, entry: &Entry, now: Moment) -> bool {
        let unchanged = entry.at.position >= self.since && self.noted >= now.position;
        entry.at.generation == now.generation && (entry.at.position >= now.position || unchanged)
    }

    fn remember(&mut self, by: By, value: &str, entry: Entry) {
        let later = self.entries.peek(&Sought { by, value }).is_some_and(|known| known.at.position > entry.at.position);
        if !later {
            self.entries.insert(Key { by, value: value.into() }, entry);
        }
    }

    fn forget(&mut self, by: By, value: &str, before: u64) {
        self.entries.remove_if(&Sought { by, value }, |entry| entry.at.position < before);
    }
}

impl Recent {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result of a look-up at the moment `from` or later, where it is certain: its moment, and the document or
    /// `None`.
    pub(super) fn find(&self, by: By, value: &str, from: Moment) -> Option<(Moment, Option<Body>)> {
        let state = self.state();
        let found = state.entries.get(&Sought { by, value })?;
        let at = found.at.or_later(from);
        let Some(body) = &found.body else { return state.holds(found, at).then_some((at, None)) };
        if by.1 == sql::ID {
            return state.holds(found, at).then(|| (at, Some(body.clone())));
        }
        // A document that took the value since would be known; one that lost it is known by its identifier only.
        let own = state.entries.get(&Sought { by: (by.0, sql::ID), value: &body.id })?;
        let at = own.at.or_later(at);
        own.body.as_ref().filter(|own| own.is_stored_as(body))?;
        (state.holds(found, at) && state.holds(own, at)).then(|| (at, Some(body.clone())))
    }

    /// Whether the cache may answer this look-up once the current moment is known.
    pub(super) fn may_have(&self, by: By, value: &str) -> bool {
        self.state().entries.peek(&Sought { by, value }).is_some()
    }

    /// Caches the results for these values.
    pub(super) fn keep(&self, by: By, values: &[&str], looked_up: &LookedUp) {
        let (collection, key) = by;
        if is_followed(collection) {
            return;
        }
        let at = looked_up.moment;
        let mut state = self.state();
        // A commit noted since may have changed it.
        if at.position < state.noted {
            return;
        }
        if key != sql::ID && !state.used.contains(&by) {
            // Commits noted so far were not searched for values of this key.
            state.used.push(by);
        }
        for value in values {
            let body = looked_up.found.get(*value);
            if key != sql::ID
                && let Some(body) = body
            {
                state.remember((collection, sql::ID), &body.id, Entry { at, body: Some(body.clone()) });
            }
            state.remember(by, value, Entry { at, body: body.cloned() });
        }
    }

    /// Empties the cache.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.entries.clear();
        state.totals = Totals::default();
        (state.since, state.noted) = (0, 0);
    }

    /// Notes a commit of this node and its changes: from one end of the journal to the next.
    pub fn note(&self, from: u64, to: u64, changed: &[DocumentStep]) {
        let mut state = self.state();
        if to <= state.noted {
            return;
        }
        let used = std::mem::take(&mut state.used);
        for step in changed {
            let collection = step.key.collection;
            state.forget((collection, sql::ID), &step.key.id, to);
            for by in used.iter().filter(|(used, _)| *used == collection) {
                let columns = collection.collection().keys.iter().zip(&step.keys);
                for (_, value) in columns.filter(|(column, _)| column.name == by.1 && column.kind == KeyKind::Text) {
                    if let KeyValue::Text(value) = value {
                        state.forget(*by, value, to);
                    }
                }
            }
        }
        state.used = used;
        state.totals.note(to, changed.iter().map(|step| step.key.collection));
        if from > state.noted {
            state.since = from;
        }
        state.noted = to;
    }
}

#[cfg(test)]
mod tests;
