//! Keys and answers to idempotent requests, which a master key wraps directly. Walked through and replaced while the
//! master key is, beside commits that add to it.

use super::JournalResult;
use super::raw::StoredKey;
use async_trait::async_trait;

/// Under this id the key of all digests stands among the keys of persons: it travels and is backed up with them. No
/// person has an id like it.
pub const DIGEST_KEY_ID: &str = "vault-digest-key";
/// Under this id something wrapped by the former master key stands among the keys of persons for as long as others of its
/// boxes may be left.
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

/// The statement of [`WrappedKeys::other_answers`], likewise; `$2` is the key before, `$3` the limit.
pub(super) fn other_answers(other: fn(&str) -> String) -> String {
    format!("SELECT key, answer FROM idempotency_keys WHERE key > $2 AND {} ORDER BY key LIMIT $3", other("answer"))
}

/// A box to put in the place of another one.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// Id of the person whose key it is, or digest of the request that is answered.
    pub name: Vec<u8>,
    /// The box that stands there now. Where another one does, or none, it stays as it is.
    pub former: Vec<u8>,
    /// The box that takes its place.
    pub boxed: Vec<u8>,
}

/// Boxes that a master key wraps. Where a `prefix` is asked for, it is that of one master key.
#[async_trait]
pub trait WrappedKeys: Send + Sync {
    /// The key of somebody, whoever it is, rather one that was not destroyed.
    async fn any_key(&self) -> JournalResult<Option<StoredKey>>;

    /// Stores a key, unless there is one.
    async fn add_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()>;

    /// Stores a key in the place of any other.
    async fn set_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()>;

    /// Removes a key that belongs to no person.
    async fn remove_key(&self, subject_id: &str) -> JournalResult<()>;

    /// How many boxes do not begin with `prefix`, but for the one under [`FORMER_KEY_ID`].
    async fn count_others(&self, prefix: &[u8]) -> JournalResult<u64>;

    /// Up to `limit` keys whose boxes do not begin with `prefix`, with their names, by name after `after`; without the one
    /// under [`FORMER_KEY_ID`].
    async fn other_keys(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>>;

    /// Up to `limit` answers whose boxes do not begin with `prefix`, likewise.
    async fn other_answers(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>>;

    /// Replaces keys, all in one transaction, and tells how many.
    async fn replace_keys(&self, replacements: &[Replacement]) -> JournalResult<u64>;

    /// Replaces answers likewise.
    async fn replace_answers(&self, replacements: &[Replacement]) -> JournalResult<u64>;
}
