//! How a program of its own is told to work. It reads an [`Effort`](crate::rounds::Effort) a line and answers a [`Report`] a line; at the end of its
//! input it checks what it stored and answers an empty line.

use crate::rounds::{Round, Subject, histogram};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// A round as it is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Until the last answer, in microseconds.
    pub elapsed_us: u64,
    /// Latencies in microseconds and how many there were of each.
    pub latencies: Vec<(u64, u64)>,
}

impl Report {
    /// Puts a round into words.
    ///
    /// # Errors
    /// No error can happen.
    pub fn of(round: &Round) -> anyhow::Result<Self> {
        let latencies = round.latencies.iter_recorded();
        Ok(Report {
            elapsed_us: u64::try_from(round.elapsed.as_micros())?,
            latencies: latencies.map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect(),
        })
    }

    /// The round again.
    ///
    /// # Errors
    /// Latencies beyond what is recorded.
    pub fn round(self) -> anyhow::Result<Round> {
        let mut latencies = histogram()?;
        for (value, count) in self.latencies {
            latencies.record_n(value, count)?;
        }
        Ok(Round::new(Duration::from_micros(self.elapsed_us), latencies))
    }
}

/// The side of the program: answers efforts with the rounds of `subject`.
///
/// # Errors
/// Errors of the subject.
pub async fn answer(subject: &dyn Subject) -> anyhow::Result<()> {
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
