//! Typed queries: a key that a collection does not declare cannot be named.

pub use crate::key::{ID, SearchKey, Sort, TextKey, TextsKey};

use crate::collection::{Collection, Document, KeyValue};
use crate::key::{Key, Number};
use std::cmp::Ordering;
use std::marker::PhantomData;

/// Upwards or downwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// How a key is compared.
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
    /// None of the values of a multi-valued key.
    Lacks,
    /// Larger.
    Above,
    /// One of several texts.
    OneOf,
    /// None of several texts.
    NoneOf,
    /// At least one of several values of a multi-valued key.
    ContainsAny,
}

/// One condition of a query.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Name of the key.
    pub key: &'static str,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: KeyValue,
}

/// Documents of another collection by which a query is narrowed: those of its own documents are kept (or dropped) whose
/// identifier is the value that the others have of a key.
#[derive(Debug, Clone)]
pub struct Related {
    /// The other collection.
    pub collection: &'static Collection,
    /// Scalar key of the others that names documents of the query's own collection.
    pub key: &'static str,
    /// Conditions on the others, all of which must hold.
    pub filters: Vec<Filter>,
    /// Searchable key of the others and the folded text that must be part of it.
    pub search: Option<(&'static str, String)>,
    /// Whether what is named is kept; else it is dropped.
    pub kept: bool,
}

/// A page of documents of one type: filters combined with and, an optional search, an order, a place.
#[derive(Debug)]
pub struct Query<D> {
    /// Conditions, all of which must hold.
    pub filters: Vec<Filter>,
    /// Searchable key and the folded text that must be part of it.
    pub search: Option<(&'static str, String)>,
    /// Documents of other collections that it is narrowed by.
    pub related: Vec<Related>,
    /// Keys that the order compares; ties go by id.
    pub sort: &'static [&'static str],
    /// Direction of the order, of the ties too.
    pub direction: Direction,
    /// Documents passed over.
    pub skip: u64,
    /// Documents answered, at most.
    pub take: u64,
    /// Whether all that match are counted; where nobody reads the total, it should not be paid for.
    pub counts: bool,
    document: PhantomData<fn() -> D>,
}

impl Filter {
    /// Whether a document with this value of the key is one of those that are looked for.
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
    /// Whether a scalar holds that compares so with the one that is looked for.
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
    /// Whether a document fulfils every filter by what it says itself. What is searched for and what is related are not
    /// looked at.
    #[must_use]
    pub fn fits(&self, document: &D) -> bool {
        self.filters.iter().all(|filter| document.key(filter.key).is_some_and(|value| filter.holds(&value)))
    }

    /// All documents in `sort` order.
    #[must_use]
    pub fn sorted(sort: &Sort<D>, direction: Direction) -> Self {
        Query {
            filters: Vec::new(),
            search: None,
            related: Vec::new(),
            sort: sort.keys(),
            direction,
            skip: 0,
            take: u64::MAX,
            counts: true,
            document: PhantomData,
        }
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

    /// Keeps documents whose key is none of `values`.
    #[must_use]
    pub fn none_of(self, key: &TextKey<D>, values: Vec<String>) -> Self {
        self.filter(key.name(), Comparison::NoneOf, KeyValue::Texts(values))
    }

    /// Keeps documents at least one of whose values is one of `values`.
    #[must_use]
    pub fn contains_any(self, key: &TextsKey<D>, values: Vec<String>) -> Self {
        self.filter(key.name(), Comparison::ContainsAny, KeyValue::Texts(values))
    }

    /// Keeps documents that a document matching `others` names by its key; with `kept` false drops them. Order and place of
    /// `others` do not matter.
    #[must_use]
    pub fn related<O: Document>(mut self, key: &TextKey<O>, others: Query<O>, kept: bool) -> Self {
        let Query { filters, search, .. } = others;
        self.related.push(Related { collection: O::COLLECTION, key: key.name(), filters, search, kept });
        self
    }

    /// Keeps documents one of whose values is `value`.
    #[must_use]
    pub fn contains(self, key: &TextsKey<D>, value: impl Into<String>) -> Self {
        self.filter(key.name(), Comparison::Contains, KeyValue::Text(value.into()))
    }

    /// Keeps documents none of whose values is `value`.
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

    /// Keeps documents in whose searchable text `term` is a part, letter case aside. A blank term keeps all.
    #[must_use]
    pub fn search(mut self, key: &SearchKey<D>, term: &str) -> Self {
        let term = registrar_aggregates::text::fold(term.trim());
        self.search = (!term.is_empty()).then_some((key.name(), term));
        self
    }

    /// Answers documents only, with a total of 0.
    #[must_use]
    pub fn uncounted(mut self) -> Self {
        self.counts = false;
        self
    }

    /// Passes over `skip` documents and answers at most `take`.
    #[must_use]
    pub fn page(mut self, skip: u64, take: u64) -> Self {
        self.skip = skip;
        self.take = take;
        self
    }
}
