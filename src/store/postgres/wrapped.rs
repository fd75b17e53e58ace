//! [`WrappedKeys`] on PostgreSQL.

use super::PostgresStore;
use crate::store::wrapped::{self, ADD_KEY, ANY_KEY, REMOVE_KEY, SET_KEY};
use crate::store::{FORMER_KEY_ID, JournalResult, Replacement, StoredKey, WrappedKeys, assembled, unsigned};
use async_trait::async_trait;

/// Condition on boxes without the prefix `$1`, compared as bytes.
fn other(column: &str) -> String {
    format!("substring({column} FROM 1 FOR octet_length($1::bytea)) <> $1::bytea")
}

impl PostgresStore {
    async fn replace(&self, text: &'static str, replacements: &[Replacement]) -> JournalResult<u64> {
        let column = |of: fn(&Replacement) -> &[u8]| replacements.iter().map(of).collect::<Vec<_>>();
        let query = sqlx::query(text)
            .bind(column(|replacement| &replacement.name))
            .bind(column(|replacement| &replacement.former))
            .bind(column(|replacement| &replacement.boxed));
        Ok(query.execute(&self.pool).await?.rows_affected())
    }

    async fn others(
        &self,
        text: String,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>> {
        let query = sqlx::query_as(assembled(text)).bind(prefix).bind(after).bind(i64::from(limit));
        Ok(query.fetch_all(&self.pool).await?)
    }
}

#[async_trait]
impl WrappedKeys for PostgresStore {
    async fn any_key(&self) -> JournalResult<Option<StoredKey>> {
        Ok(sqlx::query_as(ANY_KEY).fetch_optional(&self.pool).await?)
    }

    async fn add_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()> {
        sqlx::query(ADD_KEY).bind(subject_id).bind(boxed).execute(&self.pool).await?;
        Ok(())
    }

    async fn set_key(&self, subject_id: &str, boxed: &[u8]) -> JournalResult<()> {
        sqlx::query(SET_KEY).bind(subject_id).bind(boxed).execute(&self.pool).await?;
        Ok(())
    }

    async fn remove_key(&self, subject_id: &str) -> JournalResult<()> {
        sqlx::query(REMOVE_KEY).bind(subject_id).execute(&self.pool).await?;
        Ok(())
    }

    async fn count_others(&self, prefix: &[u8]) -> JournalResult<u64> {
        let query = sqlx::query_scalar(assembled(wrapped::count_others(other))).bind(prefix).bind(FORMER_KEY_ID);
        unsigned(query.fetch_one(&self.pool).await?)
    }

    async fn other_keys(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>> {
        let text = format!(
            "SELECT convert_to(subject_id, 'UTF8'), wrapped_key FROM subject_keys \
             WHERE subject_id > convert_from($2, 'UTF8') COLLATE \"C\" AND {} AND subject_id <> '{FORMER_KEY_ID}' \
             ORDER BY subject_id LIMIT $3",
            other("wrapped_key")
        );
        self.others(text, prefix, after, limit).await
    }

    async fn other_answers(&self, prefix: &[u8], after: &[u8], limit: u32) -> JournalResult<Vec<(Vec<u8>, Vec<u8>)>> {
        self.others(wrapped::other_answers(other), prefix, after, limit).await
    }

    async fn replace_keys(&self, replacements: &[Replacement]) -> JournalResult<u64> {
        let text = "UPDATE subject_keys k SET wrapped_key = u.boxed \
             FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) u (name, former, boxed) \
             WHERE k.subject_id = convert_from(u.name, 'UTF8') AND k.wrapped_key = u.former";
        self.replace(text, replacements).await
    }

    async fn replace_answers(&self, replacements: &[Replacement]) -> JournalResult<u64> {
        let text = "UPDATE idempotency_keys k SET answer = u.boxed \
             FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) u (name, former, boxed) \
             WHERE k.key = u.name AND k.answer = u.former";
        self.replace(text, replacements).await
    }
}
