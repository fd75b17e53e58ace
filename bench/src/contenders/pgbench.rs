//! The floor: `pgbench` inserting single rows of the same size into a table with one key, each in a transaction.

use crate::rounds::{Effort, Round, Subject, histogram};
use crate::server::postgres_program;
use crate::workload::{Fact, Work};
use anyhow::{Context, ensure};
use async_trait::async_trait;
use sqlx::{Connection, PgConnection};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;
use uuid::Uuid;

pub(crate) struct PgBench {
    url: String,
    script: PathBuf,
}

impl PgBench {
    pub(crate) async fn open(url: &str, work: Work, folder: &Path) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        let table = "CREATE TABLE floor (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload json NOT NULL)";
        sqlx::raw_sql(table).execute(&mut connection).await?;
        let command = work.commands(Uuid::now_v7())?.into_iter().next().context("no command")?;
        let Fact { payload, .. } = command.fact()?;
        // SQL needs doubled quotes, and pgbench reads a colon before a letter as a variable.
        let payload = payload.to_string().replace('\'', "''");
        let script = folder.join("pgbench.sql");
        std::fs::write(&script, format!("INSERT INTO floor (payload) VALUES ('{payload}');\n"))?;
        Ok(PgBench { url: url.to_owned(), script })
    }
}

#[async_trait]
impl Subject for PgBench {
    fn name(&self) -> String {
        "pgbench (one row, no checks)".into()
    }

    async fn round(&self, effort: Effort) -> anyhow::Result<Round> {
        let seconds = effort.time_ms.div_ceil(1000).max(1);
        // The transaction log has every latency; it is removed with the folder.
        let folder = tempfile::tempdir()?;
        let output = Command::new(postgres_program("pgbench")?)
            .current_dir(&folder)
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--log", "--log-prefix=log"])
            .args([format!("--client={}", effort.clients), format!("--time={seconds}")])
            .arg(format!("--file={}", self.script.display()))
            .arg(&self.url)
            .output()
            .await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
        let rate: f64 = rate.context("pgbench tells no rate")?;
        let mut latencies = histogram()?;
        for entry in std::fs::read_dir(&folder)? {
            for line in std::fs::read_to_string(entry?.path())?.lines() {
                let latency = line.split(' ').nth(2).and_then(|field| field.parse().ok());
                latencies.record(latency.context("pgbench logs no latency")?)?;
            }
        }
        let elapsed = Duration::from_secs_f64(latencies.len() as f64 / rate);
        Ok(Round::new(elapsed, latencies))
    }
}
