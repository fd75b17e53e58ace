//! Keys and answers to idempotent requests that a master key wraps directly. They are walked and replaced when the
//! master key changes, while commits add more.

use super::JournalResult;
use super::raw::StoredKey;
use async_trait::async_trait;

/// Id of the digest key among the keys of persons: it is exported and backed up with them. No person has such an id.
pub const DIGEST_KEY_ID: &str = "vault-digest-key";
/// Id of a value wrapped by the former master key, stored among the keys of persons while other boxes of that key may
/// be left.
pub const FORMER_KEY_ID: &str = "vault-former-key";

pub(super) const ANY_KEY: &str =
    "SELECT subject_id, wrapped_key FROM subject_keys ORDER BY wrapped_key IS NULL LIMIT 1";
pub(super) const ADD_KEY: &str =
    "INSERT INTO subject_keys (subject_id, wrapped_key) VALUES ($1, $2) ON CONFLICT DO NOTHING";
pub(super) const SET_KEY: &str = "INSERT INTO subject_keys (subject_id, wrapped_key) VALUES ($1, $2) \
     ON CONFLICT (subject_id) DO UPDATE SET wrapped_key = excluded.wrapped_key";
pub(super) const REMOVE_KEY: &str = "DELETE FROM subject_keys WHERE subject_id = $1";

/// The statement of [`WrappedKeys::count_others`]; `other` compares a column with the prefix `$1`, `$2` is
/// [`FORMER_KEY_ID`].
pub(super) fn count_others(other: fn(&str) -> String) -> String {
    let (key, answer) = (other("wrapped_key"), other("answer"));
    format!(
        "SELECT (SELECT count(*) FROM subject_keys WHERE {key} AND subject_id <> $2) \
         + (SELECT count(*) FROM idempotency_keys WHERE {answer})"
    )
}

/// The statement of [`WrappedKeys::other_answers`]; `$2` is the key before, `$3` the limit.
pub(super) fn other_answers(other: fn(&str) -> String) -> String {
    format!("SELECT key, answer FROM idempotency_keys WHERE key > $2 AND {} ORDER BY key LIMIT $3", other("answer"))
}

/// Replacement of a box by another.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// Id of the key's person, or digest of the answered request.
    pub name: Vec<u8>,
    /// The expected stored box. If another one is stored, or none, nothing changes.
    pub former: Vec<u8>,
    /// The new box.
    pub boxed: Vec<u8>,
}

/// Boxes that a master key wraps. A `prefix` argument is that of one master key.
#[async_trait]
pub trait WrappedKeys: Send + Sync {
    /// The key of any person, preferably one that was not destroyed.
    async fn any_key(&self) -> JournalResult<Option<StoredKey>>;

    /// Stores a key, unless one exists under the id.
    async fn add_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()>;

    /// Stores a key, replacing any other.
    async fn set_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()>;

    /// Removes a key that belongs to no person.
    async fn remove_key(&self, subject_id: &str) -> JournalResult<()>;

    /// Number of boxes that do not begin with `prefix`, except for the one under [`FORMER_KEY_ID`].
    async fn count_others(&self, prefix: &[u8]) -> JournalResult<u64>;

    /// Up to `limit` keys whose boxes do not begin with `prefix`, with their names, by name after `after`; without the
    /// one under [`FORMER_KEY_ID`].
    async fn other_keys(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>>;

    /// Up to `limit` answers whose boxes do not begin with `prefix`, with their keys, by key after `after`.
    async fn other_answers(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>>;

    /// Replaces keys in one transaction, and returns their number.
    async fn replace_keys(&self, replacements: &[Replacement]) -> JournalResult<u64>;

    /// Replaces answers in one transaction, and returns their number.
    async fn replace_answers(&self, replacements: &[Replacement]) -> JournalResult<u64>;
}
