//! Contenders that generate their load in processes of their own, by the protocol of
//! [`registrar_bench_common::protocol`].

use crate::rounds::{Effort, Round, Subject};
use anyhow::{Context, ensure};
use async_trait::async_trait;
use registrar_bench_common::protocol::Report;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

/// One or several such processes, measured as one.
pub(crate) struct SpawnedContender {
    name: String,
    processes: Vec<Mutex<Process>>,
}

struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl SpawnedContender {
    pub(crate) fn start(name: &str, commands: Vec<Command>) -> anyhow::Result<Self> {
        let processes = commands.into_iter().map(|mut command| {
            let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            let mut child = command.spawn()?;
            let output = BufReader::new(child.stdout.take().context("no output")?).lines();
            Ok(Mutex::new(Process { input: child.stdin.take(), child, output }))
        });
        Ok(SpawnedContender { name: name.to_owned(), processes: processes.collect::<anyhow::Result<_>>()? })
    }
}

impl Process {
    async fn round(&mut self, effort: Effort) -> anyhow::Result<Round> {
        let input = self.input.as_mut().context("has ended")?;
        input.write_all(format!("{}\n", serde_json::to_string(&effort)?).as_bytes()).await?;
        let line = self.output.next_line().await?.context("ended without an answer")?;
        serde_json::from_str::<Report>(&line).with_context(|| line)?.round()
    }

    async fn check(&mut self) -> anyhow::Result<()> {
        drop(self.input.take());
        let last = self.output.next_line().await?.context("ended without having checked")?;
        ensure!(last.is_empty(), "{last}");
        ensure!(self.child.wait().await?.success(), "ended with an error");
        Ok(())
    }
}

#[async_trait]
impl Subject for SpawnedContender {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn round(&self, effort: Effort) -> anyhow::Result<Round> {
        let share = Effort { clients: effort.clients.div_ceil(self.processes.len()), ..effort };
        let rounds = self.processes.iter().map(async |process| process.lock().await.round(share).await);
        let mut rounds = futures::future::try_join_all(rounds).await?.into_iter();
        let first = rounds.next().context("no process")?;
        rounds.try_fold(first, |sum, round| sum.with(&round))
    }

    async fn check(&self) -> anyhow::Result<()> {
        for process in &self.processes {
            process.lock().await.check().await?;
        }
        Ok(())
    }
}
