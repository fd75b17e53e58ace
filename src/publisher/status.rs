//! State of publishing, for `/readyz` and `/metrics`.

use crate::committer::heads::Heads;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const MEASURE_INTERVAL: Duration = Duration::from_secs(1);

/// Shared state of the publisher. Cloning is cheap; all clones share it.
#[derive(Clone, Default)]
pub struct PublisherStatus(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    report: PublisherReport,
    heads: Option<Heads>,
}

/// The state of publishing at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublisherReport {
    /// Whether a NATS server is configured.
    pub configured: bool,
    /// Whether the server is connected.
    pub connected: bool,
    /// Position of the last event that the stream is known to hold.
    pub position: u64,
    /// Number of journal events that the stream is not known to hold, as far as this node knows.
    pub lag: u64,
    /// The present obstacle, if any. Contains no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl PublisherStatus {
    /// The state of publishing now.
    #[must_use]
    pub fn report(&self) -> PublisherReport {
        let state = self.state();
        let head = state.heads.as_ref().map_or(0, Heads::position);
        PublisherReport { lag: head.saturating_sub(state.report.position), ..state.report.clone() }
    }

    /// Notes that publishing begins, of a journal with these heads.
    pub(super) fn configured(&self, heads: Heads) {
        let mut state = self.state();
        state.report.configured = true;
        state.heads = Some(heads);
        metrics::describe_gauge!("registrar_publisher_connected", "Whether there is a connection to NATS");
        metrics::describe_gauge!(
            "registrar_publisher_position",
            "Position of the last event known to be in the stream"
        );
        metrics::describe_gauge!("registrar_publisher_lag", "Events of the journal not known to be in the stream");
        metrics::describe_counter!("registrar_publisher_failures_total", "Times that publishing had to start over");
    }

    pub(super) fn connected(&self, connected: bool) {
        self.state().report.connected = connected;
    }

    /// Notes that the stream holds everything up to `position`.
    pub(super) fn reached(&self, position: u64) {
        self.state().report.position = position;
    }

    /// Updates the figures for `/metrics` periodically: the lag of the stream also changes while nothing is published.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 events")]
    pub(super) async fn measure(&self) -> Infallible {
        loop {
            let report = self.report();
            metrics::gauge!("registrar_publisher_connected").set(f64::from(u8::from(report.connected)));
            metrics::gauge!("registrar_publisher_position").set(report.position as f64);
            metrics::gauge!("registrar_publisher_lag").set(report.lag as f64);
            tokio::time::sleep(MEASURE_INTERVAL).await;
        }
    }

    /// Notes an obstacle; true if it is another one than before.
    pub(super) fn failed(&self, error: String) -> bool {
        metrics::counter!("registrar_publisher_failures_total").increment(1);
        let report = &mut self.state().report;
        let new = report.error.as_deref() != Some(&error);
        report.error = Some(error);
        new
    }

    pub(super) fn works(&self) {
        self.state().report.error = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
