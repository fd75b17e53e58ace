//! The protocol with a contender in a process of its own. The program reads an [`Effort`](crate::rounds::Effort) per
//! line and answers a [`Report`] per line; at the end of its input it checks its store and answers an empty line.

use crate::rounds::{Round, Subject, histogram};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// A [`Round`] as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Time until the last answer, in microseconds.
    pub elapsed_us: u64,
    /// Latencies in microseconds, each with its count.
    pub latencies: Vec<(u64, u64)>,
}

impl Report {
    /// Converts a round into a report.
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

    /// Converts the report back into a round.
    ///
    /// # Errors
    /// A latency is out of the histogram's bounds.
    pub fn round(self) -> anyhow::Result<Round> {
        let mut latencies = histogram()?;
        for (value, count) in self.latencies {
            latencies.record_n(value, count)?;
        }
        Ok(Round::new(Duration::from_micros(self.elapsed_us), latencies))
    }
}

/// Runs the program's side: answers each effort with a round of `subject`.
///
/// # Errors
/// The first error of the subject.
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
