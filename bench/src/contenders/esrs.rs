//! `esrs`: a table per aggregate type, events persisted with their sequence number, without handlers and buses.

use super::{Acknowledged, Contender, former_pool, total};
use crate::workload::{Command, Fact};
use anyhow::ensure;
use async_trait::async_trait;
use esrs::store::EventStore;
use esrs::store::postgres::{PgStore, PgStoreBuilder};
use esrs::{Aggregate, AggregateState};
use serde_json::Value;
use sqlx_0_8::PgPool;
use std::convert::Infallible;

/// A type for the store to name its table after.
pub(crate) struct Facts;

impl Aggregate for Facts {
    const NAME: &'static str = "facts";
    type State = ();
    type Command = Value;
    type Event = Value;
    type Error = Infallible;

    fn handle_command((): &(), command: Value) -> Result<Vec<Value>, Infallible> {
        Ok(vec![command])
    }

    fn apply_event((): (), _: Value) {}
}

pub(crate) struct Esrs {
    pool: PgPool,
    store: PgStore<Facts>,
}

impl Esrs {
    pub(crate) async fn open(url: &str, connections: u32) -> anyhow::Result<Self> {
        let pool = former_pool(url, connections).await?;
        let store = PgStoreBuilder::new(pool.clone()).try_build().await?;
        Ok(Esrs { pool, store })
    }
}

#[async_trait]
impl Contender for Esrs {
    fn name(&self) -> &'static str {
        "esrs"
    }

    async fn execute(&self, command: Command) -> anyhow::Result<()> {
        let Fact { aggregate_id, payload, .. } = command.fact()?;
        let mut none_yet = AggregateState::with_id(aggregate_id);
        self.store.persist(&mut none_yet, vec![payload]).await?;
        Ok(())
    }

    async fn check(&self, acknowledged: &[Acknowledged]) -> anyhow::Result<()> {
        let events: i64 = sqlx_0_8::query_scalar("SELECT count(*) FROM facts_events").fetch_one(&self.pool).await?;
        let total = i64::try_from(total(acknowledged))?;
        ensure!(events == total, "{total} commands, {events} events");
        Ok(())
    }
}
