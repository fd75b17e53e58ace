//! The tree's hashes on PostgreSQL.

use super::{LEVELS_APART, TreeStore};
use crate::journal::merkle::{Hash, proofs::Subtree};
use crate::journal::postgres::{PostgresStore, signed};
use crate::journal::{JournalError, JournalResult};
use async_trait::async_trait;
use std::ops::Range;

/// The hashes of rows that are numbered as `range`, up to the first that is missing.
pub(super) fn without_gap(rows: Vec<(i64, Vec<u8>)>, range: &Range<u64>) -> JournalResult<Vec<Hash>> {
    let hash = |bytes: Vec<u8>| bytes.try_into().map_err(|_| JournalError::corrupt("a hash is not 32 bytes"));
    let numbered = rows.into_iter().zip(range.clone());
    numbered
        .take_while(|((number, _), expected)| u64::try_from(*number) == Ok(*expected))
        .map(|((_, bytes), _)| hash(bytes))
        .collect()
}

/// Whether the first row is the first of `range`; if not, it may have been archived.
pub(super) fn is_first(rows: &[(i64, Vec<u8>)], range: &Range<u64>) -> bool {
    range.is_empty() || rows.first().is_some_and(|(number, _)| u64::try_from(*number) == Ok(range.start))
}

#[async_trait]
impl TreeStore for PostgresStore {
    async fn leaves(&self, range: Range<u64>) -> JournalResult<Vec<Hash>> {
        let text =
            "SELECT position - 1, leaf_hash FROM events WHERE position > $1 AND position <= $2 ORDER BY position";
        let (start, end) = (signed(range.start)?, signed(range.end)?);
        let rows = self.reading(|| sqlx::query_as(text).bind(start).bind(end).fetch_all(&self.walks)).await?;
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
        let (start, end) = (signed(range.start)?, signed(range.end)?);
        let query = || sqlx::query_as(text).bind(i16::from(level)).bind(start).bind(end);
        let rows = self.reading(|| query().fetch_all(&self.walks)).await?;
        without_gap(rows, &range)
    }

    async fn tiles(&self) -> JournalResult<u64> {
        let text = "SELECT coalesce(max(number) + 1, 0) FROM merkle_nodes WHERE level = $1";
        let query = || sqlx::query_scalar::<_, i64>(text).bind(i16::from(LEVELS_APART));
        u64::try_from(self.reading(|| query().fetch_one(&self.walks)).await?).map_err(JournalError::corrupt)
    }

    async fn keep(&self, nodes: &[(Subtree, Hash)]) -> JournalResult<()> {
        // Two nodes may be at it; they compute the same.
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
