//! All document types as one, generated from the list of all projections (`every_projection!`, in the root of the
//! crate).

use crate::collection::{Collection, Document, KeyValue};
use crate::every_projection;
use serde_json::Value;

macro_rules! collections {
    ($(
        $(#[$doc:meta])* $list:ident {
            $($name:literal: $kind:ident $module:ident, $($variant:ident($document:ident)),+;)+
        }
    )+) => {
        collections!(@ $($($($variant(crate::$module::$document),)+)+)+);
    };
    (@ $($variant:ident($document:ty),)+) => {
        /// Any document.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "one variant a collection, named like it")]
        pub enum AnyDocument {
            $($variant($document),)*
        }

        /// Identifiers of the collections.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "one variant a collection, named like it")]
        pub enum CollectionId {
            $($variant,)*
        }

        impl CollectionId {
            /// All collections.
            pub const ALL: &'static [CollectionId] = &[$(CollectionId::$variant),*];

            /// Declaration of the collection.
            #[must_use]
            pub fn collection(self) -> &'static Collection {
                match self { $(CollectionId::$variant => <$document as Document>::COLLECTION,)* }
            }
        }

        impl AnyDocument {
            /// The collection of the document.
            #[must_use]
            pub fn collection_id(&self) -> CollectionId {
                match self { $(AnyDocument::$variant(_) => CollectionId::$variant,)* }
            }

            /// See [`Document::id`].
            #[must_use]
            pub fn id(&self) -> String {
                match self { $(AnyDocument::$variant(document) => document.id(),)* }
            }

            /// See [`Document::keys`].
            #[must_use]
            pub fn keys(&self) -> Vec<KeyValue> {
                match self { $(AnyDocument::$variant(document) => document.keys(),)* }
            }

            /// See [`Document::sealed_fields`].
            #[must_use]
            pub fn sealed_fields(&self) -> Vec<(String, Vec<String>)> {
                match self { $(AnyDocument::$variant(document) => document.sealed_fields(),)* }
            }

            /// The body as JSON.
            ///
            /// # Errors
            /// A value that JSON cannot express; no document has one.
            pub fn to_body(&self) -> serde_json::Result<Value> {
                match self { $(AnyDocument::$variant(document) => serde_json::to_value(document),)* }
            }

            /// Reads a body of a collection.
            ///
            /// # Errors
            /// A body that does not have the shape of its type.
            pub fn from_body(collection: CollectionId, body: Value) -> serde_json::Result<Self> {
                match collection { $(CollectionId::$variant => serde_json::from_value(body).map(AnyDocument::$variant),)* }
            }
        }

        $(impl HasCollection for $document {
            const ID: CollectionId = CollectionId::$variant;
            fn wrap(self) -> AnyDocument { AnyDocument::$variant(self) }
            fn unwrap(any: &AnyDocument) -> Option<&Self> {
                match any {
                    AnyDocument::$variant(document) => Some(document),
                    #[allow(unreachable_patterns, reason = "with a single collection there is no other")]
                    _ => None,
                }
            }
            fn take(any: AnyDocument) -> Option<Self> {
                match any {
                    AnyDocument::$variant(document) => Some(document),
                    #[allow(unreachable_patterns, reason = "with a single collection there is no other")]
                    _ => None,
                }
            }
        })*
    };
}

/// Ties a document type to its variant.
pub trait HasCollection: Sized {
    /// Identifier of the collection.
    const ID: CollectionId;
    /// Wraps a document.
    fn wrap(self) -> AnyDocument;
    /// Unwraps a document of this type.
    fn unwrap(any: &AnyDocument) -> Option<&Self>;
    /// Converts into a document of this type.
    fn take(any: AnyDocument) -> Option<Self>;
}

every_projection!(collections);

/// Names one document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentKey {
    /// The collection.
    pub collection: CollectionId,
    /// Identifier within the collection.
    pub id: String,
}

impl DocumentKey {
    /// Names the document `id` of type `D`.
    #[must_use]
    pub fn of<D: HasCollection>(id: impl Into<String>) -> Self {
        DocumentKey { collection: D::ID, id: id.into() }
    }
}
