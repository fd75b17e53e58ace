//! Cached documents; an entry is valid until a commit may have changed it.
//!
//! One cache for all of a node: look-ups of requests fill it, commits of this node put what they wrote in its place, and
//! the committer folds new events upon it. Every look-up asks the store for the end of the journal; an entry of an
//! earlier end is valid if no commit in between has changed it. This node's own commits are known, document by document
//! ([`DocumentCache::note`]); of other nodes' commits the documents that they changed, once the committer has read
//! their events ([`DocumentCache::follow`]). Any other move of the end invalidates all older entries. So correctness
//! does not depend on every commit being noted, or noted in time.

mod row;
pub(super) mod total_count;

use crate::store::{Body, DocumentStep, LookupSnapshot, Moment, sql};
use quick_cache::{Equivalent, Weighter, unsync::Cache};
use registrar_projections::collection::{KeyKind, KeyValue};
use registrar_projections::{AnyDocument, ChangeKind, CollectionId, DocumentKey, is_followed};
pub(crate) use row::{Row, parse_document};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use total_count::Totals;

/// Approximate memory of the cache, in bytes.
const BYTES_MAX: u64 = 96 * 1024 * 1024;
/// Capacity for look-ups of minimal length; the actual number depends on their size.
const LOOKUPS_ABOUT: usize = 64_000;
/// Overhead of an entry beside its texts.
const OVERHEAD_BYTES: usize = 128;
/// Size of a decoded document, as a multiple of its text.
const DECODED: usize = 2;

/// Kind of a look-up: a collection, and a scalar key of it or its [`sql::ID`].
pub(super) type LookupKind = (CollectionId, &'static str);

#[derive(PartialEq, Eq)]
struct Key {
    by: LookupKind,
    value: Box<str>,
}

/// Borrowed form of a cache key.
struct KeyRef<'v> {
    by: LookupKind,
    value: &'v str,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        KeyRef { by: self.by, value: &self.value }.hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.by.0, self.by.1, self.value).hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.by == key.by && *self.value == *key.value
    }
}

/// A cached look-up.
struct Entry {
    /// Moment of the look-up.
    at: Moment,
    /// The document; `None` if not found.
    row: Option<Arc<Row>>,
}

/// Weighs an entry in bytes. A row shared by several entries counts for each: any of them may be the last to be
/// evicted.
#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Entry> for Bytes {
    fn weight(&self, key: &Key, entry: &Entry) -> u64 {
        let row = entry.row.as_ref().map_or(0, |row| row.body.id.len() + (1 + DECODED) * row.body.text.len());
        (OVERHEAD_BYTES + key.value.len() + row) as u64
    }
}

struct State {
    /// Number of the history that the entries are of.
    history: u64,
    /// All changes of every commit after this position and up to `noted` are known.
    since: u64,
    /// Changes and deletions of existing documents after this position and up to `noted` are known; new documents and
    /// new values of keys only after `since`.
    existing_since: u64,
    noted: u64,
    /// Keys other than the identifier that look-ups have used.
    used: Vec<LookupKind>,
    entries: Cache<Key, Entry, Bytes>,
    totals: Totals,
}

/// Cache of documents.
pub struct DocumentCache(Mutex<State>);

impl Default for DocumentCache {
    fn default() -> Self {
        DocumentCache(Mutex::new(State {
            history: 0,
            since: 0,
            existing_since: 0,
            noted: 0,
            used: Vec::new(),
            entries: Cache::with_weighter(LOOKUPS_ABOUT, BYTES_MAX, Bytes),
            totals: Totals::default(),
        }))
    }
}

impl State {
    /// Whether an entry is still valid at `now`, which is no earlier than the entry.
    fn holds(&self, by: LookupKind, entry: &Entry, now: Moment) -> bool {
        let since = if by.1 == sql::ID && entry.row.is_some() { self.existing_since } else { self.since };
        let unchanged = entry.at.position >= since && self.noted >= now.position;
        entry.at.generation == now.generation && (entry.at.position >= now.position || unchanged)
    }

    /// See [`DocumentCache::find`].
    fn find(&self, by: LookupKind, value: &str, from: Moment) -> Option<(Moment, Option<Arc<Row>>)> {
        let found = self.entries.get(&KeyRef { by, value })?;
        let at = found.at.or_later(from);
        let Some(row) = &found.row else { return self.holds(by, found, at).then_some((at, None)) };
        if by.1 == sql::ID {
            return self.holds(by, found, at).then(|| (at, Some(Arc::clone(row))));
        }
        // A document that took the value since would be known; one that lost it is known by its identifier only.
        let by_id = (by.0, sql::ID);
        let own = self.entries.get(&KeyRef { by: by_id, value: &row.body.id })?;
        let at = own.at.or_later(at);
        let current = own.row.as_ref().filter(|current| current.body.is_stored_as(&row.body))?;
        (self.holds(by, found, at) && self.holds(by_id, own, at)).then(|| (at, Some(Arc::clone(current))))
    }

    fn remember(&mut self, by: LookupKind, value: &str, entry: Entry) {
        let later = self.entries.peek(&KeyRef { by, value }).is_some_and(|known| known.at.position > entry.at.position);
        if !later {
            self.entries.insert(Key { by, value: value.into() }, entry);
        }
    }

    fn forget(&mut self, by: LookupKind, value: &str, before: u64) {
        self.entries.remove_if(&KeyRef { by, value }, |entry| entry.at.position < before);
    }

    /// The row of a document read from the store: the cached one if it has the same stored form, since that may be
    /// decoded already.
    fn row(&self, collection: CollectionId, body: &Body) -> Arc<Row> {
        let known = self.entries.peek(&KeyRef { by: (collection, sql::ID), value: &body.id });
        let known = known.and_then(|entry| entry.row.as_ref()).filter(|row| row.body.is_stored_as(body));
        known.cloned().unwrap_or_else(|| Arc::new(Row::stored(body.clone())))
    }

    /// Puts a document that a commit has written in place of its former row. One that is created is rarely read again
    /// soon, unless it was looked for already.
    fn replace(&mut self, to: Moment, step: &DocumentStep, document: Option<&Arc<AnyDocument>>) {
        let collection = step.key.collection;
        let (by, value) = ((collection, sql::ID), step.key.id.as_str());
        let known = self.entries.peek(&KeyRef { by, value }).is_some();
        let is_kept = match step.kind {
            ChangeKind::Insert => known || collection.collection().hot,
            ChangeKind::Update => true,
            ChangeKind::Delete => known,
        };
        if is_kept {
            let row = (step.kind != ChangeKind::Delete).then(|| Arc::new(Row::written(step, document)));
            self.remember(by, value, Entry { at: to, row });
        }
    }
}

impl DocumentCache {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result of a look-up at the moment `from` or later, where it is certain: its moment, and the document or
    /// `None`.
    pub(super) fn find(&self, by: LookupKind, value: &str, from: Moment) -> Option<(Moment, Option<Arc<Row>>)> {
        self.state().find(by, value, from)
    }

    /// A document, or its absence, at exactly the moment `at` of `history`. When another history begins, the committer
    /// may know its number before this cache is cleared, and positions of both are alike.
    pub(crate) fn document(&self, history: u64, key: &DocumentKey, at: Moment) -> Option<Option<Arc<Row>>> {
        let state = self.state();
        if history != state.history {
            return None;
        }
        let (moment, row) = state.find((key.collection, sql::ID), &key.id, at)?;
        (moment == at).then_some(row)
    }

    /// Whether the cache may answer this look-up once the current moment is known.
    pub(super) fn may_have(&self, by: LookupKind, value: &str) -> bool {
        self.state().entries.peek(&KeyRef { by, value }).is_some()
    }

    /// Number of the history that entries are of. A look-up begins with it: see [`DocumentCache::keep`].
    pub(super) fn history(&self) -> u64 {
        self.state().history
    }

    /// Caches the results for these values, and returns the rows found by value. Nothing is cached if another history
    /// than `history` has begun since.
    pub(super) fn keep(
        &self,
        history: u64,
        by: LookupKind,
        values: &[&str],
        looked_up: &LookupSnapshot,
    ) -> HashMap<String, Arc<Row>> {
        let (collection, key) = by;
        let at = looked_up.moment;
        let mut state = self.state();
        let rows = looked_up.found.iter().map(|(value, body)| (value.clone(), state.row(collection, body)));
        let rows: HashMap<_, _> = rows.collect();
        // A commit noted since may have changed them.
        if is_followed(collection) || history != state.history || at.position < state.noted {
            return rows;
        }
        if key != sql::ID && !state.used.contains(&by) {
            // Commits noted so far were not searched for values of this key.
            state.used.push(by);
        }
        for value in values {
            let row = rows.get(*value);
            if key != sql::ID
                && let Some(row) = row
            {
                state.remember((collection, sql::ID), &row.body.id, Entry { at, row: Some(Arc::clone(row)) });
            }
            state.remember(by, value, Entry { at, row: row.cloned() });
        }
        rows
    }

    /// Empties the cache: another history has begun.
    pub(crate) fn clear(&self, history: u64) {
        let mut state = self.state();
        state.history = state.history.max(history);
        state.entries.clear();
        state.totals = Totals::default();
        (state.since, state.existing_since, state.noted) = (0, 0, 0);
    }

    /// Notes a commit of this node in `history`, from one end of the journal to the moment `to`: the changed rows, and
    /// their documents.
    pub(crate) fn note(
        &self,
        history: u64,
        from: u64,
        to: Moment,
        changed: &[DocumentStep],
        documents: &HashMap<DocumentKey, Option<Arc<AnyDocument>>>,
    ) {
        let mut state = self.state();
        if history != state.history || to.position <= state.noted {
            return;
        }
        let used = std::mem::take(&mut state.used);
        for step in changed {
            let collection = step.key.collection;
            for by in used.iter().filter(|(used, _)| *used == collection) {
                let columns = collection.collection().keys.iter().zip(&step.keys);
                for (_, value) in columns.filter(|(column, _)| column.name == by.1 && column.kind == KeyKind::Text) {
                    if let KeyValue::Text(value) = value {
                        state.forget(*by, value, to.position);
                    }
                }
            }
            state.replace(to, step, documents.get(&step.key).and_then(Option::as_ref));
        }
        state.used = used;
        state.totals.note(to.position, changed.iter().map(|step| step.key.collection));
        if from > state.noted {
            (state.since, state.existing_since) = (from, from);
        }
        state.noted = to.position;
    }

    /// Notes commits of other nodes in `history`, from one end of the journal to another: the existing documents that
    /// they may have changed. Documents that they created are not known.
    pub(crate) fn follow<'k>(
        &self,
        history: u64,
        from: u64,
        to: u64,
        touched: impl IntoIterator<Item = &'k DocumentKey>,
    ) {
        let mut state = self.state();
        if history != state.history || to <= state.noted {
            return;
        }
        for key in touched {
            state.forget((key.collection, sql::ID), &key.id, to);
        }
        if from > state.noted {
            state.existing_since = from;
        }
        (state.since, state.noted) = (to, to);
    }
}

#[cfg(test)]
mod tests;
