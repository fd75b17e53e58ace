//! [`WrappedKeys`] on SQLite.

use super::SqliteStore;
use crate::store::wrapped::{self, ADD_KEY, ANY_KEY, REMOVE_KEY, SET_KEY};
use crate::store::{FORMER_KEY_ID, JournalResult, Replacement, StoredKey, WrappedKeys, assembled, hex, unsigned};
use async_trait::async_trait;
use serde_json::json;

/// Condition on boxes without the prefix `$1`, compared as bytes.
fn other(column: &str) -> String {
    format!("substr({column}, 1, length($1)) <> $1")
}

impl SqliteStore {
    /// A single statement is a transaction already.
    async fn replace(&self, text: &'static str, replacements: &[Replacement]) -> JournalResult<u64> {
        let row = |row: &Replacement| json!([hex(&row.name), hex(&row.former), hex(&row.boxed)]);
        let rows = serde_json::Value::Array(replacements.iter().map(row).collect()).to_string();
        let _turn = self.turn().await?;
        Ok(sqlx::query(text).bind(rows).execute(&self.pool).await?.rows_affected())
    }

    async fn others(
        &self,
        text: String,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>> {
        let query = sqlx::query_as(assembled(text)).bind(prefix).bind(after).bind(limit);
        Ok(query.fetch_all(&self.pool).await?)
    }
}

#[async_trait]
impl WrappedKeys for SqliteStore {
    async fn any_key(&self) -> JournalResult<Option<StoredKey>> {
        Ok(sqlx::query_as(ANY_KEY).fetch_optional(&self.pool).await?)
    }

    async fn add_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()> {
        let _turn = self.turn().await?;
        sqlx::query(ADD_KEY).bind(subject_id).bind(boxed).execute(&self.pool).await?;
        Ok(())
    }

    async fn set_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()> {
        let _turn = self.turn().await?;
        sqlx::query(SET_KEY).bind(subject_id).bind(boxed).execute(&self.pool).await?;
        Ok(())
    }

    async fn remove_key(&self, subject_id: &str) -> JournalResult<()> {
        let _turn = self.turn().await?;
        sqlx::query(REMOVE_KEY).bind(subject_id).execute(&self.pool).await?;
        Ok(())
    }

    async fn count_others(&self, prefix: &[u8]) -> JournalResult<u64> {
        let query = sqlx::query_scalar(assembled(wrapped::count_others(other))).bind(prefix).bind(FORMER_KEY_ID);
        unsigned(query.fetch_one(&self.pool).await?)
    }

    async fn other_keys(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>> {
        let text = format!(
            "SELECT CAST(subject_id AS BLOB), wrapped_key FROM subject_keys \
             WHERE subject_id > CAST($2 AS TEXT) AND {} AND subject_id <> '{FORMER_KEY_ID}' ORDER BY subject_id LIMIT $3",
            other("wrapped_key")
        );
        self.others(text, prefix, after, limit).await
    }

    async fn other_answers(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>> {
        self.others(wrapped::other_answers(other), prefix, after, limit).await
    }

    async fn replace_keys(&self, replacements: &[Replacement]) -> JournalResult<u64> {
        let text = "UPDATE subject_keys SET wrapped_key = unhex(value ->> 2) FROM json_each($1) \
             WHERE subject_id = CAST(unhex(value ->> 0) AS TEXT) AND wrapped_key = unhex(value ->> 1)";
        self.replace(text, replacements).await
    }

    async fn replace_answers(&self, replacements: &[Replacement]) -> JournalResult<u64> {
        let text = "UPDATE idempotency_keys SET answer = unhex(value ->> 2) FROM json_each($1) \
             WHERE idempotency_keys.key = unhex(value ->> 0) AND answer = unhex(value ->> 1)";
        self.replace(text, replacements).await
    }
}
