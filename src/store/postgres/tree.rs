//! [`TreeStore`] on PostgreSQL.

use super::PostgresStore;
use crate::merkle::{Hash, LEVELS_APART, proofs::Subtree};
use crate::store::statements::{ARCHIVED_LEAVES, COUNT_NODES, LEAVES, NODES};
use crate::store::{HashRows, JournalResult, TreeStore, signed, unsigned};
use async_trait::async_trait;
use std::ops::{Range, RangeInclusive};

#[async_trait]
impl TreeStore for PostgresStore {
    async fn leaves(&self, range: Range<u64>) -> JournalResult<HashRows> {
        let (start, end) = (signed(range.start)?, signed(range.end)?);
        Ok(self.reading(|| sqlx::query_as(LEAVES).bind(start).bind(end).fetch_all(&self.walks)).await?)
    }

    async fn archived_leaves(&self, tiles: RangeInclusive<u64>) -> JournalResult<HashRows> {
        let (first, last) = (signed(*tiles.start())?, signed(*tiles.end())?);
        Ok(self.reading(|| sqlx::query_as(ARCHIVED_LEAVES).bind(first).bind(last).fetch_all(&self.walks)).await?)
    }

    async fn nodes(&self, level: u8, range: Range<u64>) -> JournalResult<HashRows> {
        let (start, end) = (signed(range.start)?, signed(range.end)?);
        let query = || sqlx::query_as(NODES).bind(i16::from(level)).bind(start).bind(end);
        Ok(self.reading(|| query().fetch_all(&self.walks)).await?)
    }

    async fn tiles(&self) -> JournalResult<u64> {
        let query = || sqlx::query_scalar(COUNT_NODES).bind(i16::from(LEVELS_APART));
        unsigned(self.reading(|| query().fetch_one(&self.walks)).await?)
    }

    async fn keep(&self, nodes: &[(Subtree, Hash)]) -> JournalResult<()> {
        // Two nodes may do this at once; they compute the same hashes.
        let text = "INSERT INTO merkle_nodes (level, number, hash) \
             SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[]) ON CONFLICT DO NOTHING";
        let numbers = nodes.iter().map(|(node, _)| signed(node.index)).collect::<JournalResult<Vec<_>>>()?;
        sqlx::query(text)
            .bind(nodes.iter().map(|(node, _)| i16::from(node.level)).collect::<Vec<_>>())
            .bind(numbers)
            .bind(nodes.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<_>>())
            .execute(&self.walks)
            .await?;
        Ok(())
    }
}
