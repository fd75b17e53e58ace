//! The tree's hashes on SQLite.

use super::postgres::{is_first, without_gap};
use super::{LEVELS_APART, TreeStore};
use crate::journal::merkle::{Hash, proofs::Subtree};
use crate::journal::sqlite::{SqliteStore, signed};
use crate::journal::{JournalError, JournalResult};
use async_trait::async_trait;
use sqlx::Connection;
use std::ops::Range;

#[async_trait]
impl TreeStore for SqliteStore {
    async fn leaves(&self, range: Range<u64>) -> JournalResult<Vec<Hash>> {
        let text =
            "SELECT position - 1, leaf_hash FROM events WHERE position > $1 AND position <= $2 ORDER BY position";
        let query = sqlx::query_as(text).bind(signed(range.start)?).bind(signed(range.end)?);
        let rows = query.fetch_all(&self.pool).await?;
        if is_first(&rows, &range) {
            return without_gap(rows, &range);
        }
        let mut leaves = self.archived_leaves(range.clone()).await?;
        leaves.extend(without_gap(rows, &(range.start + leaves.len() as u64..range.end))?);
        Ok(leaves)
    }

    async fn nodes(&self, level: u8, range: Range<u64>) -> JournalResult<Vec<Hash>> {
        let text =
            "SELECT number, hash FROM merkle_nodes WHERE level = $1 AND number >= $2 AND number < $3 ORDER BY number";
        let query = sqlx::query_as(text).bind(i64::from(level)).bind(signed(range.start)?).bind(signed(range.end)?);
        without_gap(query.fetch_all(&self.pool).await?, &range)
    }

    async fn tiles(&self) -> JournalResult<u64> {
        let text = "SELECT coalesce(max(number) + 1, 0) FROM merkle_nodes WHERE level = $1";
        let query = sqlx::query_scalar::<_, i64>(text).bind(i64::from(LEVELS_APART));
        u64::try_from(query.fetch_one(&self.pool).await?).map_err(JournalError::corrupt)
    }

    async fn keep(&self, nodes: &[(Subtree, Hash)]) -> JournalResult<()> {
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for (node, hash) in nodes {
            // Two processes may be at it; they compute the same.
            sqlx::query("INSERT INTO merkle_nodes (level, number, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
                .bind(i64::from(node.level))
                .bind(signed(node.index)?)
                .bind(hash.as_slice())
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}
