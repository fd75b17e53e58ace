//! Keys of persons, and the sealing of values in documents.

use super::sealing_key::{SealingKey, UnsealError};
use crate::store::{JournalError, JournalResult};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use registrar_aggregates::personal::{self, ERASED, SEALED};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Member of a document that holds its sealed values.
const SEALED_MEMBER: &str = "sealed";

/// The key of one person.
pub struct SubjectKey {
    pub(super) subject_id: String,
    pub(super) sealing: SealingKey,
}

impl SubjectKey {
    /// Seals the values that match `patterns`. `context` keeps equal values apart, e.g. a document's name.
    ///
    /// # Errors
    /// `Corrupt` if `document` is not a JSON object.
    pub fn seal<P: AsRef<str>>(&self, document: &mut Value, patterns: &[P], context: &str) -> JournalResult<()> {
        let taken = personal::take(document, patterns);
        if taken.is_empty() {
            return Ok(());
        }
        let plain = Zeroizing::new(serde_json::to_vec(&taken).map_err(JournalError::corrupt)?);
        let boxed = BASE64.encode(self.sealing.seal(self.subject_id.as_bytes(), context.as_bytes(), &plain));
        let members = document.as_object_mut().ok_or_else(|| JournalError::corrupt("only objects are sealed"))?;
        let sealed = members.entry(SEALED_MEMBER).or_insert_with(|| Value::Object(Map::new()));
        if let Some(sealed) = sealed.as_object_mut() {
            sealed.insert(self.subject_id.clone(), Value::String(boxed));
        }
        Ok(())
    }
}

/// Keys by person; `None` for an erased one.
pub type KeysBySubject = HashMap<String, Option<Arc<SubjectKey>>>;

/// Keys fetched for a number of documents.
#[derive(Default)]
pub struct SubjectKeys(pub(super) KeysBySubject);

impl SubjectKeys {
    /// Whether this person's key was destroyed.
    #[must_use]
    pub fn is_erased(&self, subject_id: &str) -> bool {
        matches!(self.0.get(subject_id), Some(None))
    }

    /// Unwraps the map of keys.
    #[must_use]
    pub fn into_inner(self) -> KeysBySubject {
        self.0
    }

    /// Opens a document in place. Values of erased persons read as [`ERASED`].
    ///
    /// # Errors
    /// `UnsealError` for a key that never existed or does not match.
    pub fn open(&self, document: &mut Value) -> Result<(), UnsealError> {
        let Some(sealed) = document.as_object_mut().and_then(|members| members.remove(SEALED_MEMBER)) else {
            return Ok(());
        };
        let mut erased = false;
        for (subject_id, boxed) in sealed.as_object().ok_or(UnsealError)? {
            let Some(key) = self.0.get(subject_id).ok_or(UnsealError)? else {
                erased = true;
                continue;
            };
            let boxed = BASE64.decode(boxed.as_str().ok_or(UnsealError)?).map_err(|_| UnsealError)?;
            let plain = key.sealing.open(subject_id.as_bytes(), &boxed)?;
            personal::restore(document, serde_json::from_slice(&plain).map_err(|_| UnsealError)?);
        }
        if erased {
            mark_erased(document);
        }
        Ok(())
    }
}

/// Whether a document with this text may contain sealed values; otherwise it needs no key.
#[must_use]
pub(crate) fn may_be_sealed(text: &str) -> bool {
    text.contains(SEALED_MEMBER)
}

fn mark_erased(value: &mut Value) {
    match value {
        Value::String(text) if text == SEALED => ERASED.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(mark_erased),
        Value::Object(members) => members.values_mut().for_each(mark_erased),
        _ => {}
    }
}

pub(super) fn subjects(document: &Value) -> impl Iterator<Item = &String> {
    document.get(SEALED_MEMBER).and_then(Value::as_object).into_iter().flat_map(Map::keys)
}
