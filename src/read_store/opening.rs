//! Opening of stored documents: parsing, and decryption of sealed values.

use crate::store::{JournalError, JournalResult};
use crate::vault::{self, SubjectKeys, Vault};
use registrar_projections::Document;
use serde_json::Value;

/// Opens the documents of a page.
///
/// # Errors
/// `Corrupt` if one is not a `D` or cannot be opened; `Unavailable` if keys cannot be fetched.
pub(super) async fn read<D: Document>(vault: &Vault, texts: impl Iterator<Item = &str>) -> JournalResult<Vec<D>> {
    let stored = texts.map(Stored::<D>::parse).collect::<JournalResult<Vec<_>>>()?;
    let keys = vault.keys_of(stored.iter().filter_map(Stored::sealed)).await?;
    stored.into_iter().map(|stored| stored.open(&keys)).collect()
}

/// A parsed document.
pub(super) enum Stored<D> {
    /// Without sealed values, typed directly from its text.
    Plain(D),
    /// Possibly with sealed values.
    Sealed(Value),
}

impl<D: Document> Stored<D> {
    pub(super) fn parse(text: &str) -> JournalResult<Self> {
        let parsed = match vault::may_be_sealed(text) {
            true => serde_json::from_str(text).map(Stored::Sealed),
            false => serde_json::from_str(text).map(Stored::Plain),
        };
        parsed.map_err(|_| shapeless::<D>())
    }

    /// The value to open, if any.
    pub(super) fn sealed(&self) -> Option<&Value> {
        match self {
            Stored::Plain(_) => None,
            Stored::Sealed(value) => Some(value),
        }
    }

    pub(super) fn open(self, keys: &SubjectKeys) -> JournalResult<D> {
        match self {
            Stored::Plain(document) => Ok(document),
            Stored::Sealed(mut value) => {
                keys.open(&mut value).map_err(JournalError::corrupt)?;
                serde_json::from_value(value).map_err(|_| shapeless::<D>())
            }
        }
    }
}

fn shapeless<D: Document>() -> JournalError {
    JournalError::corrupt(format!("a document of {} does not have its shape", D::COLLECTION.name))
}
