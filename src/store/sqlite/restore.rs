//! [`Restore`] on SQLite.

use crate::merkle::{Frontier, Hash, proofs::Subtree};
use crate::store::statements::{DERIVE_STREAMS, RETIRE_DOCUMENTS, SET_HEAD};
use crate::store::{ClaimRow, JournalResult, Restore, StoredEvent, StoredKey, hex, signed, timestamp};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use std::collections::HashMap;

pub(super) struct SqliteRestore {
    pub(super) connection: SqliteConnection,
}

#[async_trait]
impl Restore for SqliteRestore {
    async fn events(&mut self, events: &[StoredEvent]) -> JournalResult<()> {
        let row = |event: &StoredEvent| {
            json!([
                event.position,
                timestamp(event.recorded_at),
                event.aggregate_type,
                event.aggregate_id,
                event.sequence,
                event.event_type,
                event.event_version,
                event.payload,
                event.metadata,
                hex(&event.leaf_hash),
            ])
        };
        let text = "INSERT INTO events (position, recorded_at, aggregate_type, aggregate_id, sequence, event_type, \
             event_version, payload, metadata, leaf_hash) SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, \
             value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8, unhex(value ->> 9) FROM json_each($1)";
        self.rows(text, events.iter().map(row).collect()).await
    }

    async fn keys(&mut self, keys: &[StoredKey]) -> JournalResult<()> {
        let row = |(id, key): &StoredKey| json!([id, key.as_ref().map(|key| hex(key))]);
        let text = "INSERT INTO subject_keys (subject_id, wrapped_key) SELECT value ->> 0, unhex(value ->> 1) FROM json_each($1)";
        self.rows(text, keys.iter().map(row).collect()).await
    }

    async fn added_keys(&mut self, subject_ids: &[String]) -> JournalResult<HashMap<String, Option<Vec<u8>>>> {
        let text =
            "SELECT subject_id, wrapped_key FROM subject_keys WHERE subject_id IN (SELECT value FROM json_each($1))";
        let rows = sqlx::query_as(text).bind(json!(subject_ids).to_string()).fetch_all(&mut self.connection).await?;
        Ok(rows.into_iter().collect())
    }

    async fn claims(&mut self, released: &[ClaimRow], taken: &[ClaimRow]) -> JournalResult<()> {
        let text = "DELETE FROM claims WHERE (key, aggregate_type, aggregate_id) IN \
             (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1))";
        self.rows(text, released.iter().map(|row| json!(row)).collect()).await?;
        let text = "INSERT INTO claims (key, aggregate_type, aggregate_id) \
             SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)";
        self.rows(text, taken.iter().map(|row| json!(row)).collect()).await
    }

    async fn nodes(&mut self, nodes: &[(Subtree, Hash)]) -> JournalResult<()> {
        let row = |(node, hash): &(Subtree, Hash)| json!([node.level, node.index, hex(hash)]);
        let text = "INSERT INTO merkle_nodes (level, number, hash) \
             SELECT value ->> 0, value ->> 1, unhex(value ->> 2) FROM json_each($1)";
        self.rows(text, nodes.iter().map(row).collect()).await
    }

    async fn finish(mut self: Box<Self>, head: &Frontier, recorded_at: DateTime<Utc>) -> JournalResult<()> {
        for text in [DERIVE_STREAMS].iter().chain(&RETIRE_DOCUMENTS) {
            sqlx::query(*text).execute(&mut self.connection).await?;
        }
        let set = sqlx::query(SET_HEAD).bind(signed(head.size())?).bind(timestamp(recorded_at)).bind(head.to_bytes());
        set.execute(&mut self.connection).await?;
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        Ok(())
    }
}

impl SqliteRestore {
    /// Runs a statement over rows passed as JSON.
    async fn rows(&mut self, text: &'static str, rows: Vec<Value>) -> JournalResult<()> {
        if !rows.is_empty() {
            sqlx::query(text).bind(Value::Array(rows).to_string()).execute(&mut self.connection).await?;
        }
        Ok(())
    }
}
