//! The read store: documents in generations of tables, and typed queries over them.
//!
//! Tables and statements are made from what a collection declares; a new read model needs no SQL. Documents are
//! written by the committer, with their events, and by rebuilds.

pub(crate) mod digest;
mod lookups;
mod noted;
mod opened;
mod postgres;
mod recent;
pub mod schema;
pub mod sql;
mod sqlite;

use crate::journal::{JournalError, JournalResult};
use crate::vault::Vault;
use async_trait::async_trait;
use futures::future::try_join_all;
use lookups::{Found, Lookups};
use noted::Noted;
pub(crate) use noted::forget_before_commit;
use opened::Opened;
pub use recent::Recent;
pub use recent::totals::LONG;
use recent::totals::TotalOf;
use registrar_projections::query::TextKey;
use registrar_projections::{AnyDocument, Collection, CollectionId, Document, Query};
use sql::Statement;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A value with the position of the journal that it reflects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read<T> {
    /// Position of the last event that the answer reflects.
    pub position: u64,
    /// The answer.
    pub value: T,
}

/// A moment in the life of the documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// Position at which the journal ended.
    pub position: u64,
    /// Generation that was served.
    pub generation: u64,
}

impl Moment {
    /// This moment, or `other` if that is a later one.
    fn or_later(self, other: Moment) -> Moment {
        if self.position > other.position { Moment { position: self.position, ..other } } else { other }
    }

    /// A moment as the stores tell it.
    fn of(position: i64, generation: i64) -> JournalResult<Self> {
        let [position, generation] =
            [position, generation].map(|number| u64::try_from(number).map_err(JournalError::corrupt));
        Ok(Moment { position: position?, generation: generation? })
    }
}

/// A page of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<D> {
    /// The documents of the page, in order.
    pub items: Vec<D>,
    /// Documents that match, on all pages; from the same moment as the items.
    pub total: u64,
}

/// What a store answers to a statement of [`sql`].
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Position of the journal in the statement's snapshot.
    pub position: u64,
    /// Generation served in the statement's snapshot.
    pub generation: u64,
    /// The total that the statement asked for; 0 where it asked for none.
    pub total: u64,
    /// Bodies of the documents, in order.
    pub bodies: Vec<String>,
}

impl Rows {
    fn moment(&self) -> Moment {
        Moment { position: self.position, generation: self.generation }
    }
}

/// What a store has of some documents, from one snapshot.
#[derive(Debug, Clone, Default)]
pub struct LookedUp {
    /// When it was taken.
    pub moment: Moment,
    /// Those that there are, by the value of the key that was looked up; of several the one with the smallest id.
    pub found: HashMap<String, Body>,
}

/// A document as it is stored.
#[derive(Debug, Clone)]
pub struct Body {
    /// Its identifier.
    pub id: String,
    /// Its JSON, personal values sealed.
    pub text: Arc<str>,
    /// Its digest, see [`digest`]; none where somebody took it away.
    pub digest: Option<Arc<str>>,
}

impl Body {
    /// A document as a store tells it.
    pub(crate) fn new(id: String, text: String, digest: Option<String>) -> Self {
        Body { id, text: text.into(), digest: digest.map(Into::into) }
    }

    /// A row of identifier, body and digest, by its identifier.
    pub(crate) fn of_row((id, text, digest): (String, String, Option<String>)) -> (String, Self) {
        (id.clone(), Body::new(id, text, digest))
    }

    /// Whether both are stored alike. A text at the same place need not be looked through, which comparing them would do.
    fn is_stored_as(&self, other: &Body) -> bool {
        self.digest == other.digest && (Arc::ptr_eq(&self.text, &other.text) || self.text == other.text)
    }
}

/// A generation of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub id: u64,
    /// Names and versions of the projections that made it.
    pub signature: String,
    /// `building`, `live`, `retired` or `failed`.
    pub state: String,
    /// Position up to which it is folded, while it is built.
    pub checkpoint: u64,
    /// Position of the event that stopped it.
    pub error_position: Option<u64>,
    /// Why.
    pub error: Option<String>,
}

/// Documents of both stores.
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// Runs a statement of [`sql`]; `None` if its generation is gone.
    async fn query(&self, statement: &Statement) -> JournalResult<Option<Rows>>;

    /// The documents of a generation whose scalar `key`, or whose [`sql::ID`], is one of `values`, each value once;
    /// `None` if the generation is gone.
    async fn look_up(
        &self,
        generation: u64,
        collection: CollectionId,
        key: &'static str,
        values: &[&str],
    ) -> JournalResult<Option<LookedUp>>;

    /// The present moment.
    async fn moment(&self) -> JournalResult<Moment>;

    /// Which way of SQL the store speaks.
    fn dialect(&self) -> sql::Dialect;

    /// All generations, oldest first.
    async fn generations(&self) -> JournalResult<Vec<Generation>>;

    /// Names and versions of the projections that made a generation.
    async fn signature(&self, generation: u64) -> JournalResult<Option<String>>;

    /// Makes the tables of a new generation, `building`, which lack what [`ReadStore::index_generation`] makes. In an
    /// empty journal without one it is whole, and live at once.
    async fn create_generation(&self, signature: &str) -> JournalResult<u64>;

    /// Makes what only queries need of a generation that is being built; goes on where it was cut off. Documents may be
    /// written to it before it begins and after it ended, not between: see [`ReadStore::is_half_indexed`].
    async fn index_generation(&self, generation: u64) -> JournalResult<()>;

    /// Whether indexing was cut off at a point where it must be ended before more documents are written.
    async fn is_half_indexed(&self, generation: u64) -> JournalResult<bool>;

    /// Notes why a generation cannot be built.
    async fn fail_generation(&self, generation: u64, position: u64, error: &str) -> JournalResult<()>;

    /// Drops the tables of a generation that is not live.
    async fn drop_generation(&self, generation: u64) -> JournalResult<()>;

    /// Identifiers of up to `limit` documents of a collection that are different in two generations, their keys included,
    /// in order.
    async fn differing(&self, collection: CollectionId, one: u64, other: u64, limit: i64)
    -> JournalResult<Vec<String>>;

    /// Documents of a generation by their identifiers: body and keys in one text, to be compared.
    async fn rows(
        &self,
        collection: CollectionId,
        generation: u64,
        ids: &[String],
    ) -> JournalResult<HashMap<String, String>>;

    /// The first `limit` documents of a collection after the identifier `after`, as `(id, body)`, by id.
    async fn page_of(
        &self,
        generation: u64,
        collection: CollectionId,
        after: &str,
        limit: usize,
    ) -> JournalResult<Vec<(String, String)>>;

    /// The body of a document.
    async fn body_of(&self, generation: u64, collection: CollectionId, id: &str) -> JournalResult<Option<String>>;

    /// Every document of a collection as `(id, body)`, by id.
    async fn dump(&self, generation: u64, collection: CollectionId) -> JournalResult<Vec<(String, String)>>;
}

/// Typed access to the documents.
#[derive(Clone)]
pub struct Documents {
    store: Arc<dyn ReadStore>,
    vault: Arc<Vault>,
    generation: Arc<AtomicU64>,
    lookups: Arc<Lookups>,
    recent: Arc<Recent>,
    opened: Arc<Opened>,
    /// What a request has looked up by them; without a request each look-up is of the moment at which it is made.
    noted: Option<Arc<Noted>>,
}

/// Stands for the generation while the documents are not this release's; no generation has this number.
pub(crate) const NOT_SERVED: u64 = 0;

/// Makes the statement of a list.
type MakeList<D> = fn(&Collection, u64, &Query<D>, sql::Dialect) -> Statement;

/// Times a read is tried again because the generation was swapped under it.
const SWAPS_MAX: usize = 5;

impl Documents {
    /// Documents of the generation that `generation` holds; it is moved on when another one is served. `recent` is told of
    /// the commits of the same node.
    #[must_use]
    pub fn new(store: Arc<dyn ReadStore>, vault: Arc<Vault>, generation: Arc<AtomicU64>, recent: Arc<Recent>) -> Self {
        let lookups = Arc::new(Lookups::new(Arc::clone(&store), Arc::clone(&generation), Arc::clone(&recent)));
        Documents { store, vault, generation, lookups, recent, opened: Arc::default(), noted: None }
    }

    /// The document with this id. One that this installation did not write decides nothing.
    ///
    /// # Errors
    /// `Unavailable`, `OtherGeneration`; `Corrupt`, among others of a document whose digest is not right.
    pub async fn find<D: Document>(&self, id: &str) -> JournalResult<Read<Option<Arc<D>>>> {
        self.look_up(sql::ID, id).await
    }

    /// A document whose key is `value`; of several the one with the smallest id.
    ///
    /// # Errors
    /// As [`Documents::find`]; `Corrupt` also if the document itself has another value.
    pub async fn find_by<D: Document>(&self, key: &TextKey<D>, value: &str) -> JournalResult<Read<Option<Arc<D>>>> {
        self.look_up(key.name(), value).await
    }

    async fn look_up<D: Document>(&self, key: &'static str, sought: &str) -> JournalResult<Read<Option<Arc<D>>>> {
        let known = self.noted.as_ref().and_then(|noted| noted.enough());
        let Found { moment, body } = self.lookups.find(D::ID, key, sought, known).await?;
        if let Some(noted) = &self.noted {
            noted.note((D::ID, key), sought, moment, body.as_ref());
        }
        let value = match body {
            None => None,
            Some(body) => Some(self.opened.document::<D>(&self.vault, body).await?),
        };
        if key != sql::ID
            && let Some(document) = &value
        {
            digest::verify_key::<D>(document, key, sought)?;
        }
        Ok(Read { position: moment.position, value })
    }

    /// A page of documents that are shown, and the number of all that match, from one snapshot. Their digests are not looked
    /// at; for documents that decide about rights there is [`Documents::verified`].
    ///
    /// # Errors
    /// As [`Documents::find`].
    pub async fn page<D: Document>(&self, query: Query<D>) -> JournalResult<Read<Page<D>>> {
        let rows = self.list(query, sql::page).await?;
        let (position, total) = (rows.position, rows.total);
        Ok(Read {
            position,
            value: Page { items: opened::read(&self.vault, rows.bodies.iter().map(String::as_str)).await?, total },
        })
    }

    /// The documents of a page, for decisions: each is one that this installation wrote, and says itself what it was found
    /// by. Of what was hidden or taken away nothing is known.
    ///
    /// # Errors
    /// As [`Documents::find`].
    pub async fn verified<D: Document>(&self, query: Query<D>) -> JournalResult<Vec<D>> {
        let query = query.uncounted();
        let rows = self.rows(&query, sql::digested_page).await?;
        let bodies = rows.bodies.iter().map(|row| digest::parse(row)).collect::<JournalResult<Vec<_>>>()?;
        bodies.iter().try_for_each(|body| digest::verify(&self.vault, D::ID, body))?;
        let documents = opened::read::<D>(&self.vault, bodies.iter().map(|body| &*body.text)).await?;
        documents.iter().try_for_each(|document| digest::verify_filters(document, &query))?;
        Ok(documents)
    }

    /// Identifiers of a page of documents and the number of all that match, from one snapshot.
    ///
    /// # Errors
    /// As [`Documents::find`].
    pub async fn ids<D: Document>(&self, query: Query<D>) -> JournalResult<Read<Page<String>>> {
        let rows = self.list(query, sql::ids).await?;
        Ok(Read { position: rows.position, value: Page { items: rows.bodies, total: rows.total } })
    }

    async fn list<D: Document>(&self, mut query: Query<D>, statement: MakeList<D>) -> JournalResult<Rows> {
        let counted = query.counts.then(|| TotalOf::by(&query)).flatten();
        if let Some(counted) = counted.as_ref().filter(|counted| self.recent.may_have_total(counted)) {
            query.counts = false;
            let rows = self.rows(&query, statement).await?;
            if let Some(total) = self.recent.total(counted, rows.moment()) {
                return Ok(Rows { total, ..rows });
            }
            query.counts = true;
        }
        let rows = self.rows(&query, statement).await?;
        if let Some(counted) = counted {
            self.recent.keep_total(counted, rows.moment(), rows.total);
        }
        Ok(rows)
    }

    async fn rows<D: Document>(&self, query: &Query<D>, statement: MakeList<D>) -> JournalResult<Rows> {
        self.run(|generation, dialect| statement(D::COLLECTION, generation, query, dialect)).await
    }

    /// The documents with these ids, in their order; what is not there is left out.
    ///
    /// # Errors
    /// As [`Documents::find`].
    pub async fn find_all<D: Document>(&self, ids: impl IntoIterator<Item = String>) -> JournalResult<Vec<Arc<D>>> {
        let found = ids.into_iter().map(|id| async move { self.find::<D>(&id).await });
        Ok(try_join_all(found).await?.into_iter().filter_map(|read| read.value).collect())
    }

    async fn run(&self, statement: impl Fn(u64, sql::Dialect) -> Statement) -> JournalResult<Rows> {
        for _ in 0..SWAPS_MAX {
            let generation = self.generation.load(Ordering::Acquire);
            let rows = self.store.query(&statement(generation, self.store.dialect())).await?;
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

/// Another generation than `former` is served: this release reads it if it is not too old, and if its own projections made
/// it.
async fn served(store: &dyn ReadStore, generation: &AtomicU64, former: u64) -> JournalResult<()> {
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

/// What generations of documents are told apart by: how their tables are made, and by which projections.
#[must_use]
pub fn signature() -> String {
    format!("layout:{},{}", schema::LAYOUT, registrar_projections::signature())
}

/// Reads a document as folds see it. A fold builds upon what it reads, so it must not be given what somebody else wrote.
///
/// # Errors
/// `Corrupt` if its digest is not right, or if it does not have its shape.
pub(crate) fn parse_document(vault: &Vault, collection: CollectionId, body: &Body) -> JournalResult<AnyDocument> {
    digest::verify(vault, collection, body)?;
    let body = serde_json::from_str(&body.text).map_err(|_| JournalError::corrupt("a document is not JSON"))?;
    AnyDocument::from_body(collection, body).map_err(|_| JournalError::corrupt("a document does not have its shape"))
}
