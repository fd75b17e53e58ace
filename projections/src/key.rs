//! Keys: typed names of the columns beside a document's body, each with its value in a document.
//!
//! Only [`collection!`](crate::collection!) makes keys, so each one is a column of its collection.

use crate::collection::{Document, ID, KeyColumn, KeyKind, KeyValue};
use std::marker::PhantomData;

/// A key of `D`'s collection that holds values of the kind `K`.
pub struct Key<D, K> {
    name: &'static str,
    value: fn(&D) -> KeyValue,
    kind: PhantomData<K>,
}

/// A scalar text key of `D` that may be filtered by.
pub type TextKey<D> = Key<D, Text>;
/// A multi-valued text key of `D`.
pub type TextsKey<D> = Key<D, Texts>;
/// A searchable text of `D`.
pub type SearchKey<D> = Key<D, Search>;

/// A kind of key, as a type.
pub trait Kind {
    /// The kind as a value.
    const KIND: KeyKind;
    /// Type of the values.
    type Value;

    /// The stored form of a value.
    fn stored(value: Self::Value) -> KeyValue;
}

/// A kind that can be looked up by an index.
pub trait Indexed: Kind {}
/// A kind with one value per document, by which documents are sorted.
pub trait Scalar: Indexed {}
/// A kind whose value is one whole number.
pub trait Number: Scalar {}

macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident($value:ty) = $stored:expr;)*) => {
        $($(#[$about])*
        #[derive(Debug)]
        pub enum $kind {}

        impl Kind for $kind {
            const KIND: KeyKind = KeyKind::$kind;
            type Value = $value;

            fn stored(value: $value) -> KeyValue {
                $stored(value)
            }
        })*
    };
}

kinds! {
    /// See [`KeyKind::Text`].
    Text(String) = KeyValue::Text;
    /// See [`KeyKind::Integer`]. Numbers beyond the range of `i64` are stored as `i64::MAX`.
    Integer(u64) = KeyValue::number;
    /// See [`KeyKind::Ordinal`].
    Ordinal(u64) = KeyValue::number;
    /// See [`KeyKind::Texts`].
    Texts(Vec<String>) = KeyValue::Texts;
    /// See [`KeyKind::Search`].
    Search(String) = KeyValue::Text;
}

impl Indexed for Text {}
impl Indexed for Integer {}
impl Indexed for Ordinal {}
impl Indexed for Texts {}
impl Scalar for Text {}
impl Scalar for Integer {}
impl Scalar for Ordinal {}
impl Number for Integer {}
impl Number for Ordinal {}

impl<D, K: Kind> Key<D, K> {
    /// For [`collection!`](crate::collection!).
    #[doc(hidden)]
    #[must_use]
    pub const fn declared(name: &'static [u8], value: fn(&D) -> KeyValue) -> Self {
        match str::from_utf8(name) {
            Ok(name) => Key { name, value, kind: PhantomData },
            Err(_) => panic!("the name of a key is not UTF-8"),
        }
    }

    /// Column of the key.
    #[must_use]
    pub const fn column(&self) -> KeyColumn {
        KeyColumn { name: self.name, kind: K::KIND }
    }

    /// Function from a document to the key's value.
    #[must_use]
    pub const fn value(&self) -> fn(&D) -> KeyValue {
        self.value
    }

    /// Name of the key, in snake case.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<D, K: Indexed> Key<D, K> {
    /// The name of a key with an index of its own.
    #[must_use]
    pub const fn indexed(&self) -> &'static str {
        self.name
    }
}

impl<D, K: Scalar> Key<D, K> {
    /// The name of a key that an index or an order compares together with others of its collection.
    #[must_use]
    pub const fn scalar(&self) -> &'static str {
        self.name
    }
}

impl<D: Document> TextKey<D> {
    /// The identifier.
    pub const ID: Self = Key::declared(ID.as_bytes(), |document| KeyValue::Text(document.id()));
}

/// A declared order of `D`'s documents: keys compared one after the other, then the id.
#[derive(Debug)]
pub struct Sort<D> {
    keys: &'static [&'static str],
    document: PhantomData<fn() -> D>,
}

impl<D> Sort<D> {
    /// For [`collection!`](crate::collection!).
    #[doc(hidden)]
    #[must_use]
    pub const fn declared(keys: &'static [&'static str]) -> Self {
        Sort { keys, document: PhantomData }
    }

    /// The compared keys.
    #[must_use]
    pub const fn keys(&self) -> &'static [&'static str] {
        self.keys
    }
}

/// The name of a column: its key's, in lower case.
#[doc(hidden)]
#[must_use]
pub const fn lowercase<const LENGTH: usize>(name: &str) -> [u8; LENGTH] {
    let mut lower = [0; LENGTH];
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    lower
}
