//! Visits of short links: counted in memory, and recorded every few seconds with one event for each visited link.
//!
//! Each node records its own counts, at any version of the stream, so that nodes neither wait for one another nor
//! disturb amendments. A stop of the server records the rest; a crash loses the visits of a few seconds. Where an
//! answer of the database is lost, visits that it has stored may be recorded once more.

use crate::executor::RequestContext;
use crate::journal::JournalError;
use crate::node::Node;
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use registrar_aggregates::url_shortener::visits::VisitsEvent;
use registrar_aggregates::values::{OrganizationId, UrlShortenerId};
use registrar_projections::url_shorteners::UrlShortenerDocument;
use std::collections::HashMap;
use std::error::Error;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Interval of the records.
const INTERVAL: Duration = Duration::from_secs(5);
/// Links recorded at once: they share batches of the committer and leave room for the commands of callers.
const LINKS_AT_ONCE: usize = 64;

/// Visits that no event records yet, by link.
#[derive(Default)]
pub struct Visits(Mutex<HashMap<UrlShortenerId, Counter>>);

/// Visits of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counter {
    /// Owner of the link.
    organization: OrganizationId,
    visits: u64,
    /// Time of the first visit.
    since: DateTime<Utc>,
}

impl Visits {
    fn lock(&self) -> MutexGuard<'_, HashMap<UrlShortenerId, Counter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one visit.
    pub fn count(&self, link: &UrlShortenerDocument) {
        let organization = link.link.organization_id;
        self.add(link.id, Counter { organization, visits: 1, since: Utc::now() });
    }

    fn add(&self, link: UrlShortenerId, further: Counter) {
        let mut counters = self.lock();
        let counter = counters.entry(link).or_insert(Counter { visits: 0, ..further });
        counter.visits = counter.visits.saturating_add(further.visits);
        counter.since = counter.since.min(further.since);
    }

    /// Records all visits counted so far. Those that cannot be recorded now are kept for the next time.
    pub async fn record(&self, node: &Node) {
        let counted = mem::take(&mut *self.lock());
        let record = move |(link, counter)| self.record_of(node, link, counter);
        stream::iter(counted).for_each_concurrent(LINKS_AT_ONCE, record).await;
    }

    async fn record_of(&self, node: &Node, link: UrlShortenerId, counter: Counter) {
        let context = RequestContext::system().within(counter.organization);
        let event = VisitsEvent::Counted { visits: counter.visits, since: counter.since };
        let Err(error) = node.executor.record(&context, &link.to_string(), vec![event]).await else { return };
        tracing::warn!(%link, error = &error as &dyn Error, "visits of a short link were not recorded");
        // A link that a restored database does not have, or that was altered there, would refuse its visits for ever.
        if !matches!(error, JournalError::NotFoldable(_) | JournalError::Corrupt(_)) {
            self.add(link, counter);
        }
    }
}

/// Records visits periodically until the server stops. A record under way is finished: what it has taken would be lost.
pub async fn keep_up(node: Arc<Node>, visits: Arc<Visits>, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        if !node.needs_rebuild() {
            visits.record(&node).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use uuid::Uuid;

    #[test]
    fn visits_that_are_put_back_are_added_to_those_since() {
        let (visits, link) = (Visits::default(), UrlShortenerId(Uuid::from_u128(1)));
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let organization = OrganizationId(Uuid::from_u128(2));
        let counter = |visits, seconds| Counter { organization, visits, since: at(seconds) };
        visits.add(link, counter(1, 9));
        visits.add(link, counter(5, 3));
        visits.add(UrlShortenerId(Uuid::from_u128(3)), counter(u64::MAX, 1));
        visits.add(UrlShortenerId(Uuid::from_u128(3)), counter(1, 1));
        let counted = visits.lock();
        assert_eq!(counted[&link], counter(6, 3));
        assert_eq!(counted[&UrlShortenerId(Uuid::from_u128(3))], counter(u64::MAX, 1));
    }
}
