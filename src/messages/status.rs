//! The queue of deliveries as operators see it, in `/readyz` and `/metrics`. A queue that waits, whatever for, makes no
//! node unready: it answers its clients all the same.

use crate::journal::JournalResult;
use crate::node::Node;
use chrono::{DateTime, Utc};
use registrar_aggregates::message::Channel;
use registrar_projections::messages::{BY_CREATION, BY_PLACE, CHANNEL, MessageDocument, STATE, State};
use registrar_projections::{Direction, Query};
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Interval of the measurements.
const MEASURE_INTERVAL: Duration = Duration::from_secs(5);

/// The state of the queue at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryReport {
    /// Seconds for which the next attempt of some message has been due; absent where none is. A few, unless no node leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_seconds: Option<i64>,
    /// Seconds since the oldest message was composed that is neither sent nor given up; absent where there is none. Many
    /// mean that a server cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_seconds: Option<i64>,
}

/// Shared state of the queue. Cloning is cheap; all clones share it.
#[derive(Clone, Default)]
pub struct DeliveryStatus(Arc<Mutex<DeliveryReport>>);

impl DeliveryStatus {
    /// The state of the queue at the last measurement.
    #[must_use]
    pub fn report(&self) -> DeliveryReport {
        *self.lock()
    }

    /// Measures the queue periodically, for as long as the server runs. Every node does, whichever one leads.
    pub async fn measure(self, node: Arc<Node>) {
        metrics::describe_gauge!(
            "registrar_messages_overdue_seconds",
            "Time for which the next attempt of a message is due"
        );
        metrics::describe_gauge!("registrar_messages_oldest_seconds", "Age of the oldest message that is not sent yet");
        loop {
            if !node.needs_rebuild() {
                // A database outage is reported to the callers that it affects.
                if let Ok(report) = measured(&node).await {
                    show(report);
                    *self.lock() = report;
                }
            }
            tokio::time::sleep(MEASURE_INTERVAL).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, DeliveryReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few days of seconds")]
fn show(report: DeliveryReport) {
    metrics::gauge!("registrar_messages_overdue_seconds").set(report.overdue_seconds.unwrap_or_default() as f64);
    metrics::gauge!("registrar_messages_oldest_seconds").set(report.oldest_seconds.unwrap_or_default() as f64);
}

async fn measured(node: &Node) -> JournalResult<DeliveryReport> {
    let (mut due, mut composed) = (None, None);
    for channel in [Channel::Email, Channel::Sms] {
        let query = Query::<MessageDocument>::sorted(&BY_PLACE, Direction::Ascending);
        let query = query.equal(&STATE, State::Waiting.name()).equal(&CHANNEL, channel.name());
        due = earlier(due, first(node, query).await?.map(|message| message.due_at));
    }
    for state in [State::Waiting, State::Attempting] {
        let query = Query::<MessageDocument>::sorted(&BY_CREATION, Direction::Ascending).equal(&STATE, state.name());
        composed = earlier(composed, first(node, query).await?.map(|message| message.composed_at));
    }
    let now = Utc::now();
    let since = |time: DateTime<Utc>| (now - time).num_seconds();
    Ok(DeliveryReport {
        overdue_seconds: due.map(since).filter(|seconds| *seconds >= 0),
        oldest_seconds: composed.map(|time| since(time).max(0)),
    })
}

async fn first(node: &Node, query: Query<MessageDocument>) -> JournalResult<Option<MessageDocument>> {
    Ok(node.documents.page(query.uncounted().page(0, 1)).await?.value.items.pop())
}

fn earlier(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.into_iter().chain(other).min()
}
