//! [`Restore`] on PostgreSQL.

use crate::merkle::{Frontier, Hash, proofs::Subtree};
use crate::store::statements::{DERIVE_STREAMS, RETIRE_DOCUMENTS, SET_HEAD};
use crate::store::{ClaimRow, JournalResult, Restore, StoredEvent, StoredKey, signed, unsigned};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use std::collections::HashMap;

pub(super) struct PostgresRestore {
    pub(super) connection: PgConnection,
    /// Last position that has a partition.
    pub(super) partitioned_until: u64,
}

impl PostgresRestore {
    /// Makes partitions for events up to `position`.
    async fn partition(&mut self, position: u64) -> JournalResult<()> {
        if position <= self.partitioned_until {
            return Ok(());
        }
        sqlx::query("SELECT partition_events($1)").bind(signed(position)?).execute(&mut self.connection).await?;
        let text = "SELECT partitioned_until FROM journal_head";
        self.partitioned_until = unsigned(sqlx::query_scalar(text).fetch_one(&mut self.connection).await?)?;
        Ok(())
    }
}

#[async_trait]
impl Restore for PostgresRestore {
    async fn events(&mut self, events: &[StoredEvent]) -> JournalResult<()> {
        self.partition(events.last().map_or(0, |event| event.position)).await?;
        let text = "INSERT INTO events (position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, \
             event_version, payload, metadata, leaf_hash) \
             SELECT p, r, t, i, s, et, ev, pl::json, m::json, l FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], \
             $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[]) \
             u (p, r, t, i, s, et, ev, pl, m, l)";
        let numbers = |numbers: Vec<u64>| numbers.into_iter().map(signed).collect::<JournalResult<Vec<i64>>>();
        sqlx::query(text)
            .bind(numbers(events.iter().map(|event| event.position).collect())?)
            .bind(events.iter().map(|event| event.recorded_at).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.aggregate_type.as_str()).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.aggregate_id.as_str()).collect::<Vec<_>>())
            .bind(numbers(events.iter().map(|event| event.sequence).collect())?)
            .bind(events.iter().map(|event| event.event_type.as_str()).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.event_version.as_str()).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.payload.as_str()).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.metadata.as_str()).collect::<Vec<_>>())
            .bind(events.iter().map(|event| event.leaf_hash.as_slice()).collect::<Vec<_>>())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn keys(&mut self, keys: &[StoredKey]) -> JournalResult<()> {
        sqlx::query("INSERT INTO subject_keys (subject_id, wrapped_key) SELECT * FROM unnest($1::text[], $2::bytea[])")
            .bind(keys.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>())
            .bind(keys.iter().map(|(_, key)| key.as_deref()).collect::<Vec<_>>())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn added_keys(&mut self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>> {
        let text = "SELECT subject_id, wrapped_key FROM subject_keys WHERE subject_id = ANY ($1)";
        let rows = sqlx::query_as(text).bind(subject_ids).fetch_all(&mut self.connection).await?;
        Ok(rows.into_iter().collect())
    }

    async fn claims(&mut self, released: &[ClaimRow], taken: &[ClaimRow]) -> JournalResult<()> {
        for (text, rows) in [
            (
                "DELETE FROM claims c USING unnest($1::text[], $2::text[], $3::text[]) u (k, t, i) \
                 WHERE c.key = u.k AND c.aggregate_type = u.t AND c.aggregate_id = u.i",
                released,
            ),
            (
                "INSERT INTO claims (key, aggregate_type, aggregate_id) \
                 SELECT * FROM unnest($1::text[], $2::text[], $3::text[])",
                taken,
            ),
        ] {
            sqlx::query(text)
                .bind(rows.iter().map(|row| row.0.as_str()).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.1.as_str()).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.2.as_str()).collect::<Vec<_>>())
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    async fn nodes(&mut self, nodes: &[(Subtree, Hash)]) -> JournalResult<()> {
        let text = "INSERT INTO merkle_nodes (level, number, hash) \
             SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])";
        let numbers = nodes.iter().map(|(node, _)| signed(node.index)).collect::<JournalResult<Vec<_>>>()?;
        sqlx::query(text)
            .bind(nodes.iter().map(|(node, _)| i16::from(node.level)).collect::<Vec<_>>())
            .bind(numbers)
            .bind(nodes.iter().map(|(_, hash)| hash.as_slice()).collect::<Vec<_>>())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn finish(mut self: Box<Self>, head: &Frontier, recorded_at: DateTime<Utc>) -> JournalResult<()> {
        for text in [DERIVE_STREAMS].iter().chain(&RETIRE_DOCUMENTS) {
            sqlx::query(*text).execute(&mut self.connection).await?;
        }
        let set = sqlx::query(SET_HEAD).bind(signed(head.size())?).bind(recorded_at).bind(head.to_bytes());
        set.execute(&mut self.connection).await?;
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        Ok(())
    }
}
