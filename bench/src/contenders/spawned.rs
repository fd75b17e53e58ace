//! Contenders that keep themselves busy in a process of their own. They read an [`Effort`] a line and answer a
//! [`Report`] a line; at the end of their input they check what they stored and answer an empty line.

use crate::rounds::{Effort, Round, Subject, histogram};
use anyhow::{Context, ensure};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

/// A round as it is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) elapsed_us: u64,
    /// Latencies in microseconds and how many there were of each.
    pub(crate) latencies: Vec<(u64, u64)>,
}

impl Report {
    pub(crate) fn of(round: &Round) -> anyhow::Result<Self> {
        let latencies = round.latencies.iter_recorded();
        Ok(Report {
            elapsed_us: u64::try_from(round.elapsed.as_micros())?,
            latencies: latencies.map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect(),
        })
    }

    fn round(self) -> anyhow::Result<Round> {
        let mut latencies = histogram()?;
        for (value, count) in self.latencies {
            latencies.record_n(value, count)?;
        }
        Ok(Round::new(Duration::from_micros(self.elapsed_us), latencies))
    }
}

/// One or several such processes, measured as one.
pub(crate) struct Spawned {
    name: String,
    processes: Vec<Mutex<Process>>,
}

struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Spawned {
    pub(crate) fn start(name: &str, commands: Vec<Command>) -> anyhow::Result<Self> {
        let processes = commands.into_iter().map(|mut command| {
            let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            let mut child = command.spawn()?;
            let output = BufReader::new(child.stdout.take().context("no output")?).lines();
            Ok(Mutex::new(Process { input: child.stdin.take(), child, output }))
        });
        Ok(Spawned { name: name.to_owned(), processes: processes.collect::<anyhow::Result<_>>()? })
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
impl Subject for Spawned {
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

/// The other side of it: answers efforts with the rounds of `subject`.
pub(crate) async fn answer(subject: &dyn Subject) -> anyhow::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut output = tokio::io::stdout();
    while let Some(line) = lines.next_line().await? {
        let round = subject.round(serde_json::from_str(&line)?).await?;
        output.write_all(format!("{}\n", serde_json::to_string(&Report::of(&round)?)?).as_bytes()).await?;
        output.flush().await?;
    }
    subject.check().await?;
    output.write_all(b"\n").await?;
    Ok(output.flush().await?)
}
