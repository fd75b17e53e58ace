//! `disintegrate-postgres`: events with domain identifiers, appended against the query of the decision, in serializable
//! transactions. A serialization failure is retried, which its `DecisionMaker` leaves to the caller.

use super::{Acknowledged, Contender, former_pool, total};
use crate::workload::{Command, Fact};
use anyhow::ensure;
use async_trait::async_trait;
use disintegrate::serde::json::Json;
use disintegrate::{Event, EventStore, StreamQuery, query};
use disintegrate_postgres::{Error, PgEventStore};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx_0_8::PgPool;
use sqlx_0_8::postgres::{PgConnectOptions, PgPoolOptions};
use std::str::FromStr;

/// More retries than any command needed in trials.
const TRIES_MAX: usize = 100;
const IN_DECIMAL: &str = "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('event_store_begin_epoch'::regproc), \
    '0xFFFFFFFF', '4294967295'); END $$";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
pub(crate) enum FirstEvent {
    AdminRegistered {
        #[id]
        aggregate_id: String,
        payload: Value,
    },
    TrailRead {
        #[id]
        aggregate_id: String,
        payload: Value,
    },
}

pub(crate) struct Disintegrate {
    pool: PgPool,
    store: PgEventStore<FirstEvent, Json<FirstEvent>>,
}

impl Disintegrate {
    pub(crate) async fn open(url: &str, connections: u32) -> anyhow::Result<Self> {
        let pool = former_pool(url, connections).await?;
        // Before release 16, PostgreSQL does not parse the hexadecimal number in one of its functions: the function is
        // created unchecked, and then replaced with the same number in decimal.
        let options = PgConnectOptions::from_str(url)?.options([("check_function_bodies", "off")]);
        let unread = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
        PgEventStore::<FirstEvent, _>::try_new(unread.clone(), Json::<FirstEvent>::default()).await?;
        sqlx_0_8::raw_sql(IN_DECIMAL).execute(&unread).await?;
        unread.close().await;
        let store = PgEventStore::new_uninitialized(pool.clone(), Json::default());
        Ok(Disintegrate { pool, store })
    }
}

#[async_trait]
impl Contender for Disintegrate {
    fn name(&self) -> &'static str {
        "disintegrate-postgres"
    }

    async fn execute(&self, command: Command) -> anyhow::Result<()> {
        let Fact { aggregate_type, aggregate_id, payload, .. } = command.fact()?;
        let id = aggregate_id.to_string();
        let event = match aggregate_type {
            "admin" => FirstEvent::AdminRegistered { aggregate_id: id.clone(), payload },
            _ => FirstEvent::TrailRead { aggregate_id: id.clone(), payload },
        };
        for _ in 0..TRIES_MAX {
            let none_yet: StreamQuery<i64, FirstEvent> = query!(FirstEvent; aggregate_id == id.clone());
            match self.store.append(vec![event.clone()], none_yet, 0).await {
                Ok(_) => return Ok(()),
                Err(error) if lost(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        anyhow::bail!("lost {TRIES_MAX} times")
    }

    async fn check(&self, acknowledged: &[Acknowledged]) -> anyhow::Result<()> {
        let events: i64 = sqlx_0_8::query_scalar("SELECT count(*) FROM event").fetch_one(&self.pool).await?;
        let total = i64::try_from(total(acknowledged))?;
        ensure!(events == total, "{total} commands, {events} events");
        Ok(())
    }
}

/// Whether a transaction failed to serialize; PostgreSQL reports that in any of its statements.
fn lost(error: &Error) -> bool {
    match error {
        Error::Concurrency => true,
        Error::Database(sqlx_0_8::Error::Database(error)) => error.code().as_deref() == Some("40001"),
        _ => false,
    }
}
