//! Registrar in this process: the executor and the layers below it, without HTTP.

use super::{Acknowledged, Contender};
use crate::server::master_key;
use crate::workload::{Command, Work, note, rename};
use anyhow::{Context, ensure};
use async_trait::async_trait;
use registrar::committer::ExpectedVersion;
use registrar::executor::RequestContext;
use registrar::journal::StreamId;
use registrar::node::{Node, Store, StoreSettings};
use registrar_aggregates::admin::{Admin, AdminCommand, Granter};
use registrar_projections::AdminDocument;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqlSafeStr};
use std::sync::Arc;

pub(crate) struct Registrar {
    node: Arc<Node>,
    settings: StoreSettings,
    work: Work,
}

impl Registrar {
    pub(crate) async fn open(settings: StoreSettings, work: Work) -> anyhow::Result<Self> {
        let node = Arc::new(Node::open(&settings, &master_key()?).await?);
        Ok(Registrar { node, settings, work })
    }
}

#[async_trait]
impl Contender for Registrar {
    fn name(&self) -> &'static str {
        match self.work {
            Work::Directory => "Registrar",
            Work::Registrations => "Registrar (with document, claim, audit entry, sealing)",
            Work::Notes => "Registrar (with audit entry)",
        }
    }

    async fn execute(&self, command: Command) -> anyhow::Result<()> {
        let (context, id) = (RequestContext::system(), command.id().to_string());
        let command = match command {
            Command::Register(registration) => AdminCommand::Register(registration, Granter::System),
            Command::Rename(_) => rename(),
            Command::Note(_) => {
                let stream = StreamId { aggregate_type: "audit-access", aggregate_id: id };
                let first = vec![(stream, ExpectedVersion::Exact(0), vec![note()])];
                return Ok(self.node.executor.append(&context, first).await.map(drop)?);
            }
        };
        let outcome = self.node.executor.execute::<Admin>(&context, &id, command, None).await?;
        ensure!(outcome.document::<AdminDocument>().is_some(), "there is no document to answer with");
        Ok(())
    }

    async fn check(&self, acknowledged: &[Acknowledged]) -> anyhow::Result<()> {
        check(&self.settings, &self.node.store, self.work, acknowledged).await
    }
}

/// Verifies that positions are dense, that every event has its entry in the audit trail, and that every acknowledged
/// command is in the journal and in the read model.
pub(crate) async fn check(
    settings: &StoreSettings,
    store: &Store,
    work: Work,
    acknowledged: &[Acknowledged],
) -> anyhow::Result<()> {
    let head = store.journal().head().await?;
    let ids: Vec<String> = acknowledged.iter().map(|aggregate| aggregate.id.to_string()).collect();
    let commands: Vec<i64> = acknowledged.iter().map(|aggregate| i64::from(aggregate.commands)).collect();
    let dense = "SELECT count(*), coalesce(min(position), 1), coalesce(max(position), 0) FROM events";
    let table = format!("admins_g{}", head.generation);
    // The text consists of our own table names and numbers.
    let safe = |text: String| AssertSqlSafe(text).into_sql_str();
    let audited = safe(format!("SELECT count(*) FROM audit_entries_g{}", head.generation));
    let (count, first, last, entries, missing, stale): (i64, i64, i64, i64, i64, i64);
    match &settings.database_url {
        Some(url) => {
            let mut connection = PgConnection::connect(url).await?;
            (count, first, last) = sqlx::query_as(dense).fetch_one(&mut connection).await?;
            entries = sqlx::query_scalar(audited).fetch_one(&mut connection).await?;
            let wanted = "unnest($1::text[], $2::bigint[]) w (id, commands)";
            let missing_events = format!(
                "SELECT count(*) FROM {wanted} WHERE commands > (SELECT count(*) FROM events \
                 WHERE aggregate_type = $3 AND aggregate_id = w.id)"
            );
            let query = sqlx::query_scalar(safe(missing_events)).bind(&ids).bind(&commands).bind(work.aggregate_type());
            missing = query.fetch_one(&mut connection).await?;
            let stale_documents = format!(
                "SELECT count(*) FROM {wanted} LEFT JOIN {table} d ON d.id = w.id \
                 WHERE coalesce((d.body::json ->> 'version')::bigint, 0) < commands"
            );
            stale = match work {
                Work::Notes => 0,
                _ => {
                    sqlx::query_scalar(safe(stale_documents))
                        .bind(&ids)
                        .bind(&commands)
                        .fetch_one(&mut connection)
                        .await?
                }
            };
        }
        None => {
            let options = SqliteConnectOptions::new().filename(settings.data.join("registrar.sqlite3"));
            let mut connection = SqliteConnection::connect_with(&options).await?;
            let row = sqlx::query(dense).fetch_one(&mut connection).await?;
            (count, first, last) = (row.get(0), row.get(1), row.get(2));
            entries = sqlx::query_scalar(audited).fetch_one(&mut connection).await?;
            let pairs: Vec<_> = ids.iter().zip(&commands).collect();
            let pairs = serde_json::to_string(&pairs)?;
            let wanted = "(SELECT value ->> 0 AS id, value ->> 1 AS commands FROM json_each(?1)) w";
            let missing_events = format!(
                "SELECT count(*) FROM {wanted} WHERE commands > (SELECT count(*) FROM events \
                 WHERE aggregate_type = ?2 AND aggregate_id = w.id)"
            );
            let query = sqlx::query_scalar(safe(missing_events)).bind(&pairs).bind(work.aggregate_type());
            missing = query.fetch_one(&mut connection).await?;
            let stale_documents = format!(
                "SELECT count(*) FROM {wanted} LEFT JOIN {table} d ON d.id = w.id \
                 WHERE coalesce(d.body ->> 'version', 0) < commands"
            );
            stale = sqlx::query_scalar(safe(stale_documents)).bind(&pairs).fetch_one(&mut connection).await?;
        }
    }
    ensure!(first == 1 && count == last, "positions are not dense: {count} events from {first} to {last}");
    let head = i64::try_from(head.position).context("no position")?;
    ensure!(last >= head, "the head is at {head}, the last event at {last}");
    ensure!(entries == count, "{count} events have {entries} entries in the audit trail");
    ensure!(missing == 0, "{missing} aggregates lack acknowledged events");
    ensure!(stale == 0, "{stale} documents do not show acknowledged events");
    Ok(())
}
