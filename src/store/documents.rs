//! Documents as stored by the databases. Their validity and caching are decided above, in [`crate::read_store`].

use super::sql::{Dialect, Statement};
use super::{JournalError, JournalResult, unsigned};
use async_trait::async_trait;
use registrar_projections::CollectionId;
use std::collections::HashMap;
use std::sync::Arc;

/// A state of the documents, named by position and generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// Position of the journal's end.
    pub position: u64,
    /// Generation that was served.
    pub generation: u64,
}

impl Moment {
    /// The later of this moment and `other`.
    pub(crate) fn or_later(self, other: Moment) -> Moment {
        if self.position > other.position { Moment { position: self.position, ..other } } else { other }
    }

    /// A moment from the columns of a row.
    pub(super) fn of(position: i64, generation: i64) -> JournalResult<Self> {
        let [position, generation] =
            [position, generation].map(|number| u64::try_from(number).map_err(JournalError::corrupt));
        Ok(Moment { position: position?, generation: generation? })
    }
}

/// Result of a statement of [`super::sql`].
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Position of the journal in the statement's snapshot.
    pub position: u64,
    /// Generation served in the statement's snapshot.
    pub generation: u64,
    /// Total count, if the statement requested one; otherwise 0.
    pub total: u64,
    /// Bodies of the documents, in order.
    pub bodies: Vec<String>,
}

impl Rows {
    pub(crate) fn moment(&self) -> Moment {
        Moment { position: self.position, generation: self.generation }
    }
}

/// Result of a look-up, from one snapshot.
#[derive(Debug, Clone, Default)]
pub struct LookupSnapshot {
    /// Moment of the snapshot.
    pub moment: Moment,
    /// Documents found, by the looked-up value of the key; of several the one with the smallest id.
    pub found: HashMap<String, Body>,
}

/// A document as it is stored.
#[derive(Debug, Clone)]
pub struct Body {
    /// Identifier of the document.
    pub id: String,
    /// JSON text, personal values sealed.
    pub text: Arc<str>,
    /// Keyed digest, see [`crate::read_store`]; `None` if the column was cleared.
    pub digest: Option<Arc<str>>,
}

impl Body {
    /// A document from its stored columns.
    pub(crate) fn new(id: String, text: String, digest: Option<String>) -> Self {
        Body { id, text: text.into(), digest: digest.map(Into::into) }
    }

    /// A row of identifier, body and digest, by its identifier.
    pub(crate) fn of_row((id, text, digest): (String, String, Option<String>)) -> (String, Self) {
        (id.clone(), Body::new(id, text, digest))
    }

    /// Whether both have the same stored form. Shared texts are compared by pointer, which avoids reading them.
    pub(crate) fn is_stored_as(&self, other: &Body) -> bool {
        self.digest == other.digest && (Arc::ptr_eq(&self.text, &other.text) || self.text == other.text)
    }
}

/// A generation of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Number of the generation.
    pub id: u64,
    /// Names and versions of its projections.
    pub signature: String,
    /// `building`, `live`, `retired` or `failed`.
    pub state: String,
    /// Position up to which it is folded, while it is built.
    pub checkpoint: u64,
    /// Position of the event that stopped the build.
    pub error_position: Option<u64>,
    /// Error that stopped the build.
    pub error: Option<String>,
}

impl LookupSnapshot {
    /// Collects a snapshot's documents, each with the value of the key it was found by.
    pub(super) fn of(
        position: i64,
        generation: i64,
        documents: impl Iterator<Item = (String, Body)>,
    ) -> JournalResult<Self> {
        let mut found: HashMap<String, Body> = HashMap::with_capacity(documents.size_hint().0);
        for (value, body) in documents {
            if found.get(&value).is_none_or(|other| body.id < other.id) {
                found.insert(value, body);
            }
        }
        Ok(LookupSnapshot { moment: Moment::of(position, generation)?, found })
    }
}

/// A generation to make, or one that exists already.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NewGeneration {
    /// Another node has made the first one.
    Made(u64),
    /// Number of the one to make, and whether it is the first of an empty journal, which is live at once.
    Make(u64, bool),
}

impl NewGeneration {
    /// Decides by position and generation of the locked head and the number of the latest generation.
    pub(super) fn after((position, served): (i64, i64), latest: Option<i64>) -> JournalResult<Self> {
        if served != 0 && position == 0 {
            return Ok(NewGeneration::Made(unsigned(served)?));
        }
        let first = latest.is_none() && position == 0;
        Ok(NewGeneration::Make(unsigned(latest.unwrap_or_default() + 1)?, first))
    }
}

/// Documents in generations of tables.
#[async_trait]
pub trait DocumentStore: Send + Sync {
    /// Runs a statement of [`super::sql`]; `None` if its generation was dropped.
    async fn query(&self, statement: &Statement) -> JournalResult<Option<Rows>>;

    /// The documents of a generation whose scalar `key`, or whose [`super::sql::ID`], is one of `values`, each value
    /// once; `None` if the generation was dropped.
    async fn look_up(
        &self,
        generation: u64,
        collection: CollectionId,
        key: &'static str,
        values: &[&str],
    ) -> JournalResult<Option<LookupSnapshot>>;

    /// The current moment.
    async fn moment(&self) -> JournalResult<Moment>;

    /// SQL dialect of the store.
    fn dialect(&self) -> Dialect;

    /// All generations, oldest first.
    async fn generations(&self) -> JournalResult<Vec<Generation>>;

    /// Names and versions of the projections that made a generation.
    async fn signature(&self, generation: u64) -> JournalResult<Option<String>>;

    /// Makes the tables of a new generation, `building`, without those of [`DocumentStore::index_generation`]. The
    /// first generation of an empty journal is complete, and live at once.
    async fn create_generation(&self, signature: &str) -> JournalResult<u64>;

    /// Makes the indexes that only queries need for a generation being built; resumes where it was interrupted.
    /// Documents may be written to it before the start and after the end, not between: see
    /// [`DocumentStore::is_half_indexed`].
    async fn index_generation(&self, generation: u64) -> JournalResult<()>;

    /// Whether an interrupted indexing must be completed before more documents are written.
    async fn is_half_indexed(&self, generation: u64) -> JournalResult<bool>;

    /// Stores the reason why a generation cannot be built.
    async fn fail_generation(&self, generation: u64, position: u64, error: &str) -> JournalResult<()>;

    /// Drops the tables of a generation that is not live.
    async fn drop_generation(&self, generation: u64) -> JournalResult<()>;

    /// Identifiers of up to `limit` documents of a collection whose bodies or keys differ between two generations, in
    /// order.
    async fn differing(&self, collection: CollectionId, one: u64, other: u64, limit: i64)
    -> JournalResult<Vec<String>>;

    /// Documents of a generation by identifier: body and keys in one text, for comparison.
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

    /// All documents of a collection as `(id, body)`, by id.
    async fn dump(&self, generation: u64, collection: CollectionId) -> JournalResult<Vec<(String, String)>>;
}

#[cfg(test)]
mod tests {
    use super::NewGeneration::{self, Made, Make};

    #[test]
    fn the_first_generation_of_an_empty_journal_is_live_at_once() {
        assert_eq!(NewGeneration::after((0, 0), None).unwrap(), Make(1, true));
    }

    #[test]
    fn the_second_node_on_an_empty_journal_takes_the_generation_that_the_first_made() {
        assert_eq!(NewGeneration::after((0, 1), Some(1)).unwrap(), Made(1));
    }

    #[test]
    fn a_generation_of_a_journal_with_events_is_built_under_the_next_number() {
        assert_eq!(NewGeneration::after((7, 2), Some(3)).unwrap(), Make(4, false));
        // An imported journal has events and no documents yet.
        assert_eq!(NewGeneration::after((7, 0), None).unwrap(), Make(1, false));
    }

    #[test]
    fn numbers_that_no_release_writes_are_corrupt() {
        assert!(NewGeneration::after((0, -1), Some(1)).is_err());
        assert!(NewGeneration::after((1, 1), Some(-7)).is_err());
    }
}
