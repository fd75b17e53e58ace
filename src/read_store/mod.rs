//! The read store: documents in generations of tables, and typed queries over them.
//!
//! Tables and statements are generated from the declarations of collections ([`crate::store`]); a new read model needs
//! no SQL. Documents are written by the committer, with their events, and by rebuilds. Here they are found, verified,
//! opened and cached.

mod batch_loader;
pub(crate) mod digest;
mod document_cache;
mod noted;
mod opening;

use crate::store::sql::{self, Statement};
use crate::store::{DocumentStore, JournalError, JournalResult, Rows, schema};
use crate::vault::Vault;
use batch_loader::{LookupResult, Lookups};
pub use document_cache::DocumentCache;
use document_cache::LookupKind;
pub(crate) use document_cache::parse_document;
pub use document_cache::total_count::LONG;
use document_cache::total_count::TotalOf;
use futures::future::try_join_all;
use noted::RequestLookups;
pub(crate) use noted::forget_before_commit;
use registrar_projections::query::{AnyQuery, TextKey};
use registrar_projections::{Document, Query};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A result with the journal position that it reflects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read<T> {
    /// Position of the last event that the result reflects.
    pub position: u64,
    /// The result.
    pub value: T,
}

/// One page of a list of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<D> {
    /// The documents of the page, in order.
    pub items: Vec<D>,
    /// Total count of matching documents, from the same snapshot as the items.
    pub total: u64,
}

/// Typed access to the documents.
#[derive(Clone)]
pub struct Documents {
    store: Arc<dyn DocumentStore>,
    vault: Arc<Vault>,
    generation: Arc<AtomicU64>,
    lookups: Arc<Lookups>,
    cache: Arc<DocumentCache>,
    /// Look-ups of the current request; outside a request each look-up reads the current state.
    noted: Option<Arc<RequestLookups>>,
}

/// Generation number while the documents are not of this release; no generation has this number.
pub(crate) const NOT_SERVED: u64 = 0;

/// Builds the statement of a list.
type MakeList = fn(u64, &AnyQuery, sql::Dialect) -> Statement;

/// Retries of a read after a swap of generations.
const SWAPS_MAX: usize = 5;

impl Documents {
    /// Access to the generation in `generation`, which is updated when another one is served. `cache` must be notified
    /// of this node's commits.
    #[must_use]
    pub fn new(
        store: Arc<dyn DocumentStore>,
        vault: Arc<Vault>,
        generation: Arc<AtomicU64>,
        cache: Arc<DocumentCache>,
    ) -> Self {
        let lookups = Arc::new(Lookups::new(Arc::clone(&store), Arc::clone(&generation), Arc::clone(&cache)));
        Documents { store, vault, generation, lookups, cache, noted: None }
    }

    /// The document with this id. A document that this installation did not write is refused.
    ///
    /// # Errors
    /// `Unavailable`, `OtherGeneration`; `Corrupt`, also if the document's digest is wrong.
    pub async fn find<D: Document>(&self, id: &str) -> JournalResult<Read<Option<Arc<D>>>> {
        self.look_up(sql::ID, id).await
    }

    /// A document whose `key` is `value`; of several the one with the smallest id.
    ///
    /// # Errors
    /// As [`Documents::find`]; `Corrupt` also if the document itself has another value.
    pub async fn find_by<D: Document>(&self, key: &TextKey<D>, value: &str) -> JournalResult<Read<Option<Arc<D>>>> {
        self.look_up(key.name(), value).await
    }

    async fn look_up<D: Document>(&self, key: &'static str, sought: &str) -> JournalResult<Read<Option<Arc<D>>>> {
        let LookupResult { moment, row } = self.look_up_row((D::ID, key), sought).await?;
        let value = match row {
            None => None,
            Some(row) => Some(row.document::<D>(&self.vault).await?),
        };
        if key != sql::ID
            && let Some(document) = &value
        {
            digest::verify_key::<D>(document, key, sought)?;
        }
        Ok(Read { position: moment.position, value })
    }

    async fn look_up_row(&self, by: LookupKind, sought: &str) -> JournalResult<LookupResult> {
        let known = self.noted.as_ref().and_then(|noted| noted.enough());
        let found = self.lookups.find(by.0, by.1, sought, known).await?;
        if let Some(noted) = &self.noted {
            noted.note(by, sought, found.moment, found.row.as_ref());
        }
        Ok(found)
    }

    /// A page of documents for display, and the total count, from one snapshot. Digests are not verified; for documents
    /// that decide about rights use [`Documents::verified`].
    ///
    /// # Errors
    /// As [`Documents::find`].
    pub async fn page<D: Document>(&self, mut query: Query<D>) -> JournalResult<Read<Page<D>>> {
        let rows = self.list(&mut query, sql::page).await?;
        let (position, total) = (rows.position, rows.total);
        Ok(Read {
            position,
            value: Page { items: opening::read(&self.vault, rows.bodies.iter().map(String::as_str)).await?, total },
        })
    }

    /// The documents of a page, for decisions: each was written by this installation and matches the query by its own
    /// body. Hidden or deleted rows are not detected.
    ///
    /// # Errors
    /// As [`Documents::find`].
    pub async fn verified<D: Document>(&self, query: Query<D>) -> JournalResult<Vec<D>> {
        let query = query.uncounted();
        let rows = self.rows(&query, sql::digested_page).await?;
        let bodies = rows.bodies.iter().map(|row| digest::parse(row)).collect::<JournalResult<Vec<_>>>()?;
        bodies.iter().try_for_each(|body| digest::verify(&self.vault, D::ID, body))?;
        let documents = opening::read::<D>(&self.vault, bodies.iter().map(|body| &*body.text)).await?;
        documents.iter().try_for_each(|document| digest::verify_filters(document, &query))?;
        Ok(documents)
    }

    /// Identifiers of a page of documents and the total count, from one snapshot.
    ///
    /// # Errors
    /// As [`Documents::find`].
    pub async fn ids<D: Document>(&self, mut query: Query<D>) -> JournalResult<Read<Page<String>>> {
        let rows = self.list(&mut query, sql::ids).await?;
        Ok(Read { position: rows.position, value: Page { items: rows.bodies, total: rows.total } })
    }

    async fn list(&self, query: &mut AnyQuery, statement: MakeList) -> JournalResult<Rows> {
        let counted = query.counts.then(|| TotalOf::by(query)).flatten();
        if let Some(counted) = counted.as_ref().filter(|counted| self.cache.may_have_total(counted)) {
            query.counts = false;
            let rows = self.rows(query, statement).await?;
            if let Some(total) = self.cache.total(counted, rows.moment()) {
                return Ok(Rows { total, ..rows });
            }
            query.counts = true;
        }
        let rows = self.rows(query, statement).await?;
        if let Some(counted) = counted {
            self.cache.keep_total(counted, rows.moment(), rows.total);
        }
        Ok(rows)
    }

    /// The documents with these ids, in their order; missing ones are left out.
    ///
    /// # Errors
    /// As [`Documents::find`].
    pub async fn find_all<D: Document>(&self, ids: impl IntoIterator<Item = String>) -> JournalResult<Vec<Arc<D>>> {
        let found = ids.into_iter().map(|id| async move { self.find::<D>(&id).await });
        Ok(try_join_all(found).await?.into_iter().filter_map(|read| read.value).collect())
    }

    async fn rows(&self, query: &AnyQuery, statement: MakeList) -> JournalResult<Rows> {
        for _ in 0..SWAPS_MAX {
            let generation = self.generation.load(Ordering::Acquire);
            let rows = self.store.query(&statement(generation, query, self.store.dialect())).await?;
            match rows {
                Some(rows) if rows.generation == generation => {
                    if let Some(noted) = &self.noted {
                        noted.note_list(rows.moment());
                    }
                    return Ok(rows);
                }
                _ => served(&*self.store, &self.generation, generation).await?,
            }
        }
        Err(JournalError::OtherGeneration)
    }
}

/// Switches from `former` to the served generation; fails if this release is too old for it, or if other projections
/// made it.
async fn served(store: &dyn DocumentStore, generation: &AtomicU64, former: u64) -> JournalResult<()> {
    store.moment().await?;
    let live = store.generations().await?.into_iter().find(|generation| generation.state == "live");
    match live {
        Some(live) if live.signature == signature() => {
            let _ = generation.compare_exchange(former, live.id, Ordering::AcqRel, Ordering::Acquire);
            Ok(())
        }
        _ => Err(JournalError::OtherGeneration),
    }
}

/// Identifies how a generation of documents was made: the layout of its tables and its projections.
#[must_use]
pub fn signature() -> String {
    format!("layout:{},{}", schema::LAYOUT, registrar_projections::signature())
}
