//! The declaration of a collection of documents: name, keys, indexes, counts.
//!
//! A document type declares it by [`collection!`](crate::collection!), once.

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Name of the identifier, by which every collection can be filtered.
pub const ID: &str = "id";

/// A named set of documents of one type.
#[derive(Debug)]
pub struct Collection {
    /// Name, in snake case; also the stem of its table.
    pub name: &'static str,
    /// Columns beside the body by which documents are found and sorted.
    pub keys: &'static [KeyColumn],
    /// Lists of keys that are indexed together, each followed by the document's id unless it ends in an ordinal.
    pub indexes: &'static [&'static [&'static str]],
    /// Groupings for which the number of documents is maintained.
    pub counted: &'static [CountRule],
    /// Whether folds reread a document soon after its write, so that it is worth caching.
    pub hot: bool,
}

impl Collection {
    /// Whether a list of keys distinguishes any two documents without their identifiers.
    #[must_use]
    pub fn ends_in_ordinal(&self, keys: &[&str]) -> bool {
        let last = keys.last();
        self.keys.iter().any(|key| key.kind == KeyKind::Ordinal && Some(&key.name) == last)
    }

    /// Name of the counter for these values of a counted list of keys.
    #[must_use]
    pub fn facet<'a>(&self, values: impl Iterator<Item = (&'a str, &'a str)>) -> String {
        let mut facet = self.name.to_owned();
        for (key, value) in values {
            facet.push('\u{1f}');
            facet.push_str(key);
            facet.push('=');
            facet.push_str(value);
        }
        facet
    }

    /// The facets in which a document with these key values counts.
    #[must_use]
    pub fn facets(&self, values: &[KeyValue]) -> Vec<String> {
        let value_of = |name: &str| {
            let index = self.keys.iter().position(|key| key.name == name)?;
            values.get(index)
        };
        let text_of = |name| match value_of(name) {
            Some(KeyValue::Text(text)) => text.as_str(),
            Some(KeyValue::Integer(_) | KeyValue::Texts(_)) | None => "",
        };
        let mut facets = Vec::new();
        for counted in self.counted {
            let scalars = || counted.keys.iter().map(|key| (*key, text_of(key)));
            match counted.each.map(|each| (each, value_of(each.key))) {
                None => facets.push(self.facet(scalars())),
                Some((each, Some(KeyValue::Texts(texts)))) => {
                    let counted = texts.iter().filter(|text| text.starts_with(each.prefix));
                    facets.extend(counted.map(|text| self.facet(scalars().chain([(each.key, text.as_str())]))));
                }
                Some(_) => {}
            }
        }
        facets
    }
}

/// Documents counted for each combination of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountRule {
    /// Scalar keys.
    pub keys: &'static [&'static str],
    /// One more multi-valued key; a document counts once with each of its values.
    pub each: Option<CountedTexts>,
}

impl CountRule {
    /// Counts by some scalar keys; without keys, the whole collection.
    #[must_use]
    pub const fn by(keys: &'static [&'static str]) -> Self {
        CountRule { keys, each: None }
    }

    /// Counts by each text of `key` that begins with `prefix` as well. A document must not have one of them twice.
    #[must_use]
    pub const fn each(self, key: &'static str, prefix: &'static str) -> Self {
        CountRule { each: Some(CountedTexts { key, prefix }), ..self }
    }
}

/// The counted texts of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedTexts {
    /// The key.
    pub key: &'static str,
    /// Prefix of the counted texts.
    pub prefix: &'static str,
}

/// One declared key.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// Name, in snake case.
    pub name: &'static str,
    /// Kind of the values.
    pub kind: KeyKind,
}

/// Kind of a key's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// One text, compared by code point.
    Text,
    /// One whole number.
    Integer,
    /// One whole number that distinguishes documents with equal other keys of an index; an index or order that ends in
    /// it needs no identifier after it. Within a trail that is the number of the entry.
    Ordinal,
    /// Any number of texts; a document is found by each.
    Texts,
    /// Text for substring search; already folded.
    Search,
}

/// Value of a key in one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValue {
    /// For `Text` and `Search`.
    Text(String),
    /// For `Integer` and `Ordinal`.
    Integer(i64),
    /// For `Texts`.
    Texts(Vec<String>),
}

impl KeyValue {
    /// A whole number; one beyond the range of `i64` is stored as `i64::MAX`.
    #[must_use]
    pub fn number(number: u64) -> Self {
        KeyValue::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Separates the searchable texts of a document, so that no term matches across two of them; a term that contains it
/// finds nothing.
pub const SEPARATOR: char = '\u{1}';

/// Longest text of an indexed key in bytes; entries of PostgreSQL's B-trees are limited to about 2,700.
pub const KEY_LENGTH_MAX: usize = 512;

/// Cuts a sort text at [`KEY_LENGTH_MAX`] bytes, between characters.
#[must_use]
pub fn sortable(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(KEY_LENGTH_MAX));
    text
}

/// A text for equality and sorting: like [`sortable`], but texts that differ only beyond the cut still differ, since
/// the digest of the whole follows. A short text is never equal to a cut one, as each text long enough to contain a
/// digest gets one.
#[must_use]
pub fn exact(text: String) -> String {
    if text.len() <= KEY_LENGTH_MAX {
        return text;
    }
    let digest = Sha256::digest(&text);
    let mut key = sortable(text);
    key.push(SEPARATOR);
    for byte in &digest[..16] {
        key.push_str(&format!("{byte:02x}"));
    }
    key
}

/// A document: a typed value, written by a fold and read by queries. Implemented by
/// [`collection!`](crate::collection!).
pub trait Document:
    crate::document::HasCollection + Serialize + DeserializeOwned + Clone + Send + Sync + 'static
{
    /// The collection of the document type.
    const COLLECTION: &'static Collection;

    /// Functions for the values of the collection's keys, in their order.
    const VALUES: &'static [fn(&Self) -> KeyValue];

    /// Identifier within the collection.
    fn id(&self) -> String;

    /// Pointers to personal values that are stored sealed, by the person whose key seals them. Most documents have
    /// none: they must be searchable, and the event of an erasure rewrites them.
    fn sealed_fields(&self) -> Vec<(String, Vec<String>)> {
        Vec::new()
    }

    /// Values of the collection's keys, in their order.
    fn keys(&self) -> Vec<KeyValue> {
        Self::VALUES.iter().map(|value| value(self)).collect()
    }

    /// The value of a key by its name, the identifier included; `None` for a key that the collection does not have.
    fn key(&self, name: &str) -> Option<KeyValue> {
        if name == ID {
            return Some(KeyValue::Text(self.id()));
        }
        let at = Self::COLLECTION.keys.iter().position(|key| key.name == name)?;
        Self::VALUES.get(at).map(|value| value(self))
    }
}
