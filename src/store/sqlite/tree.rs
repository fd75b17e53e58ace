//! [`TreeStore`] on SQLite.

use super::SqliteStore;
use crate::merkle::{Hash, LEVELS_APART, proofs::Subtree};
use crate::store::statements::{ARCHIVED_LEAVES, COUNT_NODES, LEAVES, NODES};
use crate::store::{HashRows, JournalResult, TreeStore, signed, unsigned};
use async_trait::async_trait;
use sqlx::Connection;
use std::ops::{Range, RangeInclusive};

#[async_trait]
impl TreeStore for SqliteStore {
    async fn leaves(&self, range: Range<u64>) -> JournalResult<HashRows> {
        let query = sqlx::query_as(LEAVES).bind(signed(range.start)?).bind(signed(range.end)?);
        Ok(query.fetch_all(&self.pool).await?)
    }

    async fn archived_leaves(&self, tiles: RangeInclusive<u64>) -> JournalResult<HashRows> {
        let query = sqlx::query_as(ARCHIVED_LEAVES).bind(signed(*tiles.start())?).bind(signed(*tiles.end())?);
        Ok(query.fetch_all(&self.pool).await?)
    }

    async fn nodes(&self, level: u8, range: Range<u64>) -> JournalResult<HashRows> {
        let query = sqlx::query_as(NODES).bind(i64::from(level)).bind(signed(range.start)?).bind(signed(range.end)?);
        Ok(query.fetch_all(&self.pool).await?)
    }

    async fn tiles(&self) -> JournalResult<u64> {
        unsigned(sqlx::query_scalar(COUNT_NODES).bind(i64::from(LEVELS_APART)).fetch_one(&self.pool).await?)
    }

    async fn keep(&self, nodes: &[(Subtree, Hash)]) -> JournalResult<()> {
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for (node, hash) in nodes {
            // Two processes may do this at once; they compute the same hashes.
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
