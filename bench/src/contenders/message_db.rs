//! message-db: its functions in the database, installed from its npm package in the order of its own script, and called
//! as its clients call them. A write locks its category, so writers of one category take turns.

use super::{Acknowledged, Contender, pool_with, total};
use crate::workload::{Command, Fact};
use anyhow::{Context, ensure};
use async_trait::async_trait;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool};
use std::path::Path;
use std::str::FromStr;
use uuid::Uuid;

/// The npm packages, which `scripts/test` installs too.
pub(crate) const PACKAGES: &str = include_str!("../../npm.txt");

/// The files that `install.sh` runs, in its order, except for the views and privileges that writes do not use.
const FILES: &[&str] = &[
    "schema/message-store.sql",
    "extensions/pgcrypto.sql",
    "tables/messages.sql",
    "types/message.sql",
    "functions/message-store-version.sql",
    "functions/hash-64.sql",
    "functions/acquire-lock.sql",
    "functions/category.sql",
    "functions/is-category.sql",
    "functions/id.sql",
    "functions/cardinal-id.sql",
    "functions/stream-version.sql",
    "functions/write-message.sql",
    "functions/get-stream-messages.sql",
    "functions/get-category-messages.sql",
    "functions/get-last-stream-message.sql",
    "indexes/messages-id.sql",
    "indexes/messages-stream.sql",
    "indexes/messages-category.sql",
];
/// The expected version of a new stream, as message-db counts.
const NONE_YET: i64 = -1;

pub(crate) struct MessageDb {
    pool: PgPool,
}

impl MessageDb {
    pub(crate) async fn open(url: &str, connections: u32, node_modules: &Path) -> anyhow::Result<Self> {
        let options = PgConnectOptions::from_str(url)?
            .options([("search_path", "message_store,public"), ("client_min_messages", "warning")]);
        let pool = pool_with(options, connections).await?;
        for file in FILES {
            let path = node_modules.join("@eventide/message-db/database").join(file);
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            sqlx::raw_sql(AssertSqlSafe(text)).execute(&pool).await.with_context(|| (*file).to_owned())?;
        }
        Ok(MessageDb { pool })
    }
}

#[async_trait]
impl Contender for MessageDb {
    fn name(&self) -> &'static str {
        "message-db"
    }

    async fn execute(&self, command: Command) -> anyhow::Result<()> {
        let Fact { aggregate_type, aggregate_id, event_type, payload } = command.fact()?;
        // The category ends at the first hyphen.
        let category = aggregate_type.replace('-', "_");
        sqlx::query("SELECT write_message($1, $2, $3, $4, NULL, $5)")
            .bind(Uuid::now_v7().to_string())
            .bind(format!("{category}-{aggregate_id}"))
            .bind(event_type)
            .bind(payload)
            .bind(NONE_YET)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn check(&self, acknowledged: &[Acknowledged]) -> anyhow::Result<()> {
        let events: i64 = sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&self.pool).await?;
        let total = i64::try_from(total(acknowledged))?;
        ensure!(events == total, "{total} commands, {events} messages");
        Ok(())
    }
}
