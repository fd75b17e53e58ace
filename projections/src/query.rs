//! Typed queries: naming an undeclared key does not compile.

pub use crate::collection::ID;
pub use crate::key::{SearchKey, Sort, TextKey, TextsKey};

use crate::collection::{Collection, Document, KeyValue};
use crate::document::CollectionId;
use crate::key::{Key, Number};
use std::cmp::Ordering;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// Direction of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// Comparison of a key with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Equal or larger.
    AtLeast,
    /// Equal or smaller.
    AtMost,
    /// Smaller.
    Below,
    /// One of the values of a multi-valued key.
    Contains,
    /// No value of a multi-valued key.
    Lacks,
    /// Larger.
    Above,
    /// One of several texts.
    OneOf,
    /// Unlike all of several texts.
    NoneOf,
    /// At least one of several values of a multi-valued key.
    ContainsAny,
}

/// One condition of a query.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Name of the key.
    pub key: &'static str,
    /// Comparison of the key.
    pub comparison: Comparison,
    /// Value to compare with.
    pub value: KeyValue,
}

/// Documents of another collection that restrict a query: its own documents are kept (or dropped) if their identifier
/// is the value of a key of the others.
#[derive(Debug, Clone)]
pub struct RelatedFilter {
    /// The other collection.
    pub collection: &'static Collection,
    /// Scalar key of the others that names documents of the query's own collection.
    pub key: &'static str,
    /// Conditions on the others, all of which must hold.
    pub filters: Vec<Filter>,
    /// Searchable key of the others and the folded text that must be part of it.
    pub search: Option<(&'static str, String)>,
    /// Whether the named documents are kept; else they are dropped.
    pub kept: bool,
}

/// A page of documents of one collection: filters combined with and, an optional search, an order, an offset.
#[derive(Debug)]
pub struct AnyQuery {
    /// The collection.
    pub collection: CollectionId,
    /// Conditions, all of which must hold.
    pub filters: Vec<Filter>,
    /// Searchable key and the folded text that must be part of it.
    pub search: Option<(&'static str, String)>,
    /// Documents of other collections that restrict the query.
    pub related: Vec<RelatedFilter>,
    /// Keys compared by the order; ties are resolved by id.
    pub sort: &'static [&'static str],
    /// Direction of the order, ties included.
    pub direction: Direction,
    /// Number of skipped documents.
    pub skip: u64,
    /// Page size.
    pub take: u64,
    /// Whether the total count is computed; a caller that does not read it should not pay for it.
    pub counts: bool,
}

/// A query whose keys are those of one type of documents. What carries it out is not generic: it would be compiled for
/// every type.
#[derive(Debug)]
pub struct Query<D> {
    any: AnyQuery,
    document: PhantomData<fn() -> D>,
}

impl<D> Deref for Query<D> {
    type Target = AnyQuery;

    fn deref(&self) -> &AnyQuery {
        &self.any
    }
}

impl<D> DerefMut for Query<D> {
    fn deref_mut(&mut self) -> &mut AnyQuery {
        &mut self.any
    }
}

impl Filter {
    /// Whether a document with this value of the key matches the filter.
    fn holds(&self, value: &KeyValue) -> bool {
        use Comparison::{Contains, ContainsAny, Lacks, NoneOf, OneOf};
        match (value, self.comparison, &self.value) {
            (KeyValue::Texts(has), Contains, KeyValue::Text(text)) => has.contains(text),
            (KeyValue::Texts(has), Lacks, KeyValue::Text(text)) => !has.contains(text),
            (KeyValue::Texts(has), ContainsAny, KeyValue::Texts(texts)) => has.iter().any(|text| texts.contains(text)),
            (KeyValue::Text(text), OneOf, KeyValue::Texts(texts)) => texts.contains(text),
            (KeyValue::Text(text), NoneOf, KeyValue::Texts(texts)) => !texts.contains(text),
            (KeyValue::Text(has), comparison, KeyValue::Text(text)) => comparison.holds_of(has.cmp(text)),
            (KeyValue::Integer(has), comparison, KeyValue::Integer(number)) => comparison.holds_of(has.cmp(number)),
            (KeyValue::Text(_) | KeyValue::Integer(_) | KeyValue::Texts(_), _, _) => false,
        }
    }
}

impl Comparison {
    /// Whether a scalar with this ordering to the filter's value matches.
    fn holds_of(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering.is_eq(),
            Comparison::AtLeast => ordering.is_ge(),
            Comparison::AtMost => ordering.is_le(),
            Comparison::Below => ordering.is_lt(),
            Comparison::Above => ordering.is_gt(),
            Comparison::Contains
            | Comparison::Lacks
            | Comparison::OneOf
            | Comparison::NoneOf
            | Comparison::ContainsAny => false,
        }
    }
}

impl<D: Document> Query<D> {
    /// Whether a document matches every filter by its own keys. Search and related documents are not checked.
    #[must_use]
    pub fn fits(&self, document: &D) -> bool {
        self.filters.iter().all(|filter| document.key(filter.key).is_some_and(|value| filter.holds(&value)))
    }

    /// All documents in `sort` order.
    #[must_use]
    pub fn sorted(sort: &Sort<D>, direction: Direction) -> Self {
        let any = AnyQuery {
            collection: D::ID,
            filters: Vec::new(),
            search: None,
            related: Vec::new(),
            sort: sort.keys(),
            direction,
            skip: 0,
            take: u64::MAX,
            counts: true,
        };
        Query { any, document: PhantomData }
    }

    fn filter(mut self, key: &'static str, comparison: Comparison, value: KeyValue) -> Self {
        self.filters.push(Filter { key, comparison, value });
        self
    }

    /// Keeps documents whose key is `value`.
    #[must_use]
    pub fn equal(self, key: &TextKey<D>, value: impl Into<String>) -> Self {
        self.filter(key.name(), Comparison::Equal, KeyValue::Text(value.into()))
    }

    /// Keeps documents whose key is `value` or larger, by code point.
    #[must_use]
    pub fn at_least(self, key: &TextKey<D>, value: impl Into<String>) -> Self {
        self.filter(key.name(), Comparison::AtLeast, KeyValue::Text(value.into()))
    }

    /// Keeps documents whose key is `value` or smaller, by code point.
    #[must_use]
    pub fn at_most(self, key: &TextKey<D>, value: impl Into<String>) -> Self {
        self.filter(key.name(), Comparison::AtMost, KeyValue::Text(value.into()))
    }

    /// Keeps documents whose key is smaller than `value`, by code point.
    #[must_use]
    pub fn below(self, key: &TextKey<D>, value: impl Into<String>) -> Self {
        self.filter(key.name(), Comparison::Below, KeyValue::Text(value.into()))
    }

    /// Keeps documents whose key is larger than `value`, by code point.
    #[must_use]
    pub fn above(self, key: &TextKey<D>, value: impl Into<String>) -> Self {
        self.filter(key.name(), Comparison::Above, KeyValue::Text(value.into()))
    }

    /// Keeps documents whose key is one of `values`.
    #[must_use]
    pub fn one_of(self, key: &TextKey<D>, values: Vec<String>) -> Self {
        self.filter(key.name(), Comparison::OneOf, KeyValue::Texts(values))
    }

    /// Keeps documents whose key differs from all `values`.
    #[must_use]
    pub fn none_of(self, key: &TextKey<D>, values: Vec<String>) -> Self {
        self.filter(key.name(), Comparison::NoneOf, KeyValue::Texts(values))
    }

    /// Keeps documents with at least one of `values`.
    #[must_use]
    pub fn contains_any(self, key: &TextsKey<D>, values: Vec<String>) -> Self {
        self.filter(key.name(), Comparison::ContainsAny, KeyValue::Texts(values))
    }

    /// Keeps documents that a document matching `others` names by its key; with `kept` false drops them. Order and page
    /// of `others` do not matter.
    #[must_use]
    pub fn related<O: Document>(mut self, key: &TextKey<O>, others: Query<O>, kept: bool) -> Self {
        let AnyQuery { filters, search, .. } = others.any;
        self.related.push(RelatedFilter { collection: O::COLLECTION, key: key.name(), filters, search, kept });
        self
    }

    /// Keeps documents with `value` among their values.
    #[must_use]
    pub fn contains(self, key: &TextsKey<D>, value: impl Into<String>) -> Self {
        self.filter(key.name(), Comparison::Contains, KeyValue::Text(value.into()))
    }

    /// Keeps documents without `value` among their values.
    #[must_use]
    pub fn lacks(self, key: &TextsKey<D>, value: impl Into<String>) -> Self {
        self.filter(key.name(), Comparison::Lacks, KeyValue::Text(value.into()))
    }

    /// Keeps documents whose number is `value` or larger.
    #[must_use]
    pub fn number_at_least<K: Number>(self, key: &Key<D, K>, value: i64) -> Self {
        self.filter(key.name(), Comparison::AtLeast, KeyValue::Integer(value))
    }

    /// Keeps documents whose number is smaller than `value`.
    #[must_use]
    pub fn number_below<K: Number>(self, key: &Key<D, K>, value: i64) -> Self {
        self.filter(key.name(), Comparison::Below, KeyValue::Integer(value))
    }

    /// Keeps documents whose searchable text contains `term`, case-insensitive. A blank term keeps all.
    #[must_use]
    pub fn search(mut self, key: &SearchKey<D>, term: &str) -> Self {
        let term = registrar_aggregates::text::fold(term.trim());
        self.search = (!term.is_empty()).then_some((key.name(), term));
        self
    }

    /// Skips the total count and returns 0 for it.
    #[must_use]
    pub fn uncounted(mut self) -> Self {
        self.counts = false;
        self
    }

    /// Skips `skip` documents and returns at most `take`.
    #[must_use]
    pub fn page(mut self, skip: u64, take: u64) -> Self {
        self.skip = skip;
        self.take = take;
        self
    }
}
