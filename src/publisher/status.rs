//! How publishing goes, for `/readyz` and `/metrics`.

use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};

/// What the publisher is doing. Cloning is cheap; all clones tell the same.
#[derive(Clone, Default)]
pub struct PublisherStatus(Arc<Mutex<PublisherReport>>);

/// The state of publishing at some moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublisherReport {
    /// Whether there is a NATS server to publish to at all.
    pub configured: bool,
    /// Whether there is a connection to it.
    pub connected: bool,
    /// Position of the last event that the stream is known to hold.
    pub position: u64,
    /// Events of the journal that it is not known to hold, as far as this node knows.
    pub lag: u64,
    /// What is in the way, if anything. Holds no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl PublisherStatus {
    /// The state of publishing now.
    #[must_use]
    pub fn report(&self) -> PublisherReport {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn configured(&self) {
        self.change(|report| report.configured = true);
        metrics::describe_gauge!("registrar_publisher_connected", "Whether there is a connection to NATS");
        metrics::describe_gauge!(
            "registrar_publisher_position",
            "Position of the last event known to be in the stream"
        );
        metrics::describe_gauge!("registrar_publisher_lag", "Events of the journal not known to be in the stream");
        metrics::describe_counter!("registrar_publisher_failures_total", "Times that publishing had to start over");
    }

    pub(super) fn connected(&self, connected: bool) {
        self.change(|report| report.connected = connected);
        metrics::gauge!("registrar_publisher_connected").set(f64::from(u8::from(connected)));
    }

    /// The stream holds everything up to `position` of a journal that ends at `head`.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 events")]
    pub(super) fn reached(&self, position: u64, head: u64) {
        let lag = head.saturating_sub(position);
        self.change(|report| {
            report.position = position;
            report.lag = lag;
        });
        metrics::gauge!("registrar_publisher_position").set(position as f64);
        metrics::gauge!("registrar_publisher_lag").set(lag as f64);
    }

    /// Whether this is another obstacle than before.
    pub(super) fn failed(&self, error: String) -> bool {
        metrics::counter!("registrar_publisher_failures_total").increment(1);
        let mut report = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = report.error.as_deref() != Some(&error);
        report.error = Some(error);
        new
    }

    pub(super) fn works(&self) {
        self.change(|report| report.error = None);
    }

    fn change(&self, change: impl FnOnce(&mut PublisherReport)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
