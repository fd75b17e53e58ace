//! Measuring in rounds: the contenders take turns, so that whatever else the machine does meets all of them.

use anyhow::Context;
use async_trait::async_trait;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How hard and how long a round works.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Effort {
    /// Commands or requests under way at once.
    pub clients: usize,
    /// When no further one is begun, in milliseconds.
    pub time_ms: u64,
}

impl Effort {
    /// The same as a duration.
    #[must_use]
    pub fn time(self) -> Duration {
        Duration::from_millis(self.time_ms)
    }
}

/// What one round of a contender came to.
#[derive(Debug, Clone)]
pub struct Round {
    /// Until the last answer.
    pub elapsed: Duration,
    /// Of every command that was acknowledged, in microseconds.
    pub latencies: Histogram<u64>,
    /// Commands, where they were counted without being timed one by one.
    pub counted: Option<u64>,
}

impl Round {
    /// A round whose commands were timed one by one.
    #[must_use]
    pub fn new(elapsed: Duration, latencies: Histogram<u64>) -> Self {
        Round { elapsed, latencies, counted: None }
    }

    /// Commands in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.counted.unwrap_or(self.latencies.len()) as f64 / self.elapsed.as_secs_f64()
    }

    /// A latency in milliseconds.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// Both at once, in one time.
    ///
    /// # Errors
    /// Latencies beyond what is recorded; there are none.
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

    /// Works for a round. A command that fails ends the run: what is not done well is not measured.
    async fn round(&self, effort: Effort) -> anyhow::Result<Round>;

    /// That everything that was acknowledged is stored.
    async fn check(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// The rounds of one contender.
#[derive(Debug, Clone)]
pub struct Rounds {
    /// Its name.
    pub name: String,
    /// All of them, in order.
    pub rounds: Vec<Round>,
}

impl Rounds {
    /// A figure of every round.
    pub fn figures(&self, figure: impl Fn(&Round) -> f64) -> Vec<f64> {
        self.rounds.iter().map(figure).collect()
    }

    /// The latencies of all rounds together.
    ///
    /// # Errors
    /// As of [`Round::with`].
    pub fn latencies(&self) -> anyhow::Result<Histogram<u64>> {
        let mut all = Histogram::new(3)?;
        for round in &self.rounds {
            all.add(&round.latencies)?;
        }
        Ok(all)
    }
}

/// Measures all `subjects` in turn, `rounds` times after a warm-up, and has each checked in the end.
///
/// # Errors
/// Errors of a subject.
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
/// A time beyond what is recorded.
pub fn record(latencies: &mut Histogram<u64>, begun: std::time::Instant) -> anyhow::Result<()> {
    Ok(latencies.record(u64::try_from(begun.elapsed().as_micros())?)?)
}
