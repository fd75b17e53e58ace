//! Rounds: the contenders take turns, so that other load on the machine affects all of them alike.

use anyhow::Context;
use async_trait::async_trait;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Concurrency and length of a round.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Effort {
    /// Concurrent commands or requests.
    pub clients: usize,
    /// Time after which no further command is started, in milliseconds.
    pub time_ms: u64,
}

impl Effort {
    /// [`Self::time_ms`] as a duration.
    #[must_use]
    pub fn time(self) -> Duration {
        Duration::from_millis(self.time_ms)
    }
}

/// The result of one round of a contender.
#[derive(Debug, Clone)]
pub struct Round {
    /// Time until the last answer.
    pub elapsed: Duration,
    /// Latencies of all acknowledged commands, in microseconds.
    pub latencies: Histogram<u64>,
    /// Number of commands, if they were counted without being timed one by one.
    pub counted: Option<u64>,
}

impl Round {
    /// A round whose commands were timed one by one.
    #[must_use]
    pub fn new(elapsed: Duration, latencies: Histogram<u64>) -> Self {
        Round { elapsed, latencies, counted: None }
    }

    /// Throughput in commands per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.counted.unwrap_or(self.latencies.len()) as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency at a quantile, in milliseconds.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// Merges two rounds that ran at the same time.
    ///
    /// # Errors
    /// No error can happen: both histograms have the same bounds.
    pub fn with(mut self, other: &Round) -> anyhow::Result<Self> {
        self.elapsed = self.elapsed.max(other.elapsed);
        self.latencies.add(&other.latencies)?;
        Ok(self)
    }
}

/// A contender, ready to be measured.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Name in the table.
    fn name(&self) -> String;

    /// Runs one round. A failed command ends the run, since failures must not improve a figure.
    async fn round(&self, effort: Effort) -> anyhow::Result<Round>;

    /// Verifies that everything acknowledged is stored.
    async fn check(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// The rounds of one contender.
#[derive(Debug, Clone)]
pub struct Rounds {
    /// Name in the table.
    pub name: String,
    /// All rounds, in order.
    pub rounds: Vec<Round>,
}

impl Rounds {
    /// One figure of every round.
    pub fn figures(&self, figure: impl Fn(&Round) -> f64) -> Vec<f64> {
        self.rounds.iter().map(figure).collect()
    }

    /// The latencies of all rounds, merged.
    ///
    /// # Errors
    /// Those of [`Round::with`].
    pub fn latencies(&self) -> anyhow::Result<Histogram<u64>> {
        let mut all = Histogram::new(3)?;
        for round in &self.rounds {
            all.add(&round.latencies)?;
        }
        Ok(all)
    }
}

/// Measures all `subjects` in turn, `rounds` times after a warm-up, and checks each of them at the end.
///
/// # Errors
/// The first error of a subject.
pub async fn interleave(subjects: &[Box<dyn Subject>], effort: Effort, rounds: usize) -> anyhow::Result<Vec<Rounds>> {
    let warm_up = Effort { time_ms: effort.time_ms.div_ceil(2), ..effort };
    for subject in subjects {
        subject.round(warm_up).await.with_context(|| subject.name())?;
    }
    let mut measured: Vec<_> =
        subjects.iter().map(|subject| Rounds { name: subject.name(), rounds: Vec::new() }).collect();
    for _ in 0..rounds {
        for (subject, measured) in subjects.iter().zip(&mut measured) {
            measured.rounds.push(subject.round(effort).await.with_context(|| subject.name())?);
        }
    }
    for subject in subjects {
        subject.check().await.with_context(|| format!("{}: what was acknowledged is not all there", subject.name()))?;
    }
    Ok(measured)
}

/// An empty histogram of latencies.
///
/// # Errors
/// No error can happen.
pub fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}

/// Records the time since `begun`.
///
/// # Errors
/// The time is out of the histogram's bounds.
pub fn record(latencies: &mut Histogram<u64>, begun: std::time::Instant) -> anyhow::Result<()> {
    Ok(latencies.record(u64::try_from(begun.elapsed().as_micros())?)?)
}
