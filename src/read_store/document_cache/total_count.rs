//! Cached total counts of long lists; an entry is valid until a commit may have changed it.
//!
//! A client that pages through a list needs its total count with each page, and a count without an index reads the
//! whole list. A total count holds for another moment if no document of its collection has changed in between.

use super::{DocumentCache, State};
use crate::store::Moment;
use quick_cache::unsync::Cache;
use registrar_projections::query::AnyQuery;
use registrar_projections::{CollectionId, is_followed};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Shorter lists are counted again.
pub const LONG: u64 = 1_000;
/// Most total counts cached.
const TOTALS_MAX: usize = 1_000;

/// Key of a total count: the collection and conditions of a query, for any of its pages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::read_store) struct TotalOf {
    collection: CollectionId,
    conditions: [u8; 32],
}

impl TotalOf {
    /// Key of a query's total count, if it changes only with commits to the query's own collection.
    pub(in crate::read_store) fn by(query: &AnyQuery) -> Option<Self> {
        if !query.related.is_empty() || is_followed(query.collection) {
            return None;
        }
        // Hashed, since there may be thousands of values; separators within them are escaped.
        let conditions = Sha256::digest(format!("{:?}", (&query.filters, &query.search))).into();
        Some(TotalOf { collection: query.collection, conditions })
    }
}

pub(super) struct Totals {
    entries: Cache<TotalOf, (Moment, u64)>,
    /// Last noted commit that changed a document of each collection.
    changed: HashMap<CollectionId, u64>,
}

impl Default for Totals {
    fn default() -> Self {
        Totals { entries: Cache::new(TOTALS_MAX), changed: HashMap::new() }
    }
}

impl Totals {
    pub(super) fn note(&mut self, to: u64, changed: impl Iterator<Item = CollectionId>) {
        self.changed.extend(changed.map(|collection| (collection, to)));
    }
}

impl State {
    fn total(&self, counted: &TotalOf, now: Moment) -> Option<u64> {
        let (at, total) = *self.totals.entries.get(counted)?;
        let (first, last) = (at.position.min(now.position), at.position.max(now.position));
        let unchanged = || {
            let changed = self.totals.changed.get(&counted.collection);
            first >= self.since && last <= self.noted && changed.is_none_or(|changed| *changed <= first)
        };
        (at.generation == now.generation && (first == last || unchanged())).then_some(total)
    }
}

impl DocumentCache {
    /// The total count at a moment, where it is certain.
    pub(in crate::read_store) fn total(&self, counted: &TotalOf, now: Moment) -> Option<u64> {
        self.state().total(counted, now)
    }

    /// Whether the total count is likely to be valid at the next moment that the store returns.
    pub(in crate::read_store) fn may_have_total(&self, counted: &TotalOf) -> bool {
        let state = self.state();
        let known = state.totals.entries.peek(counted).map(|(at, _)| *at);
        known.is_some_and(|at| {
            let position = at.position.max(state.noted);
            state.total(counted, Moment { position, ..at }).is_some()
        })
    }

    /// Caches the total count of a long list.
    pub(in crate::read_store) fn keep_total(&self, counted: TotalOf, at: Moment, total: u64) {
        let mut state = self.state();
        let later = state.totals.entries.peek(&counted).is_some_and(|(known, _)| known.position > at.position);
        if total >= LONG && !later {
            state.totals.entries.insert(counted, (at, total));
        }
    }
}
