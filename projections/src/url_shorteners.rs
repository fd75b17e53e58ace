//! The `url_shorteners` read model: short links with the number of their visits.

use crate::document::DocumentKey;
use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use crate::state_document;
use crate::working_set::{FoldError, WorkingSet};
use registrar_aggregates::DomainEvent;
use registrar_aggregates::url_shortener::visits::VisitsEvent;
use registrar_aggregates::url_shortener::{Link, UrlShortenerEvent};
use registrar_aggregates::values::UrlShortenerId;
use serde::{Deserialize, Serialize};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// The present state of a short link. Its stamps are those of the link: visits change neither, so that a client may
/// amend a link that is visited all the time.
pub type UrlShortenerDocument = Stamped<LinkEntry>;

crate::collection! {
    "url_shorteners" of UrlShortenerDocument, hot: true, id: |entry| entry.id.to_string();
    keys {
        CREATED_AT: Text = |entry| time_key(entry.created_at);
        /// Finds the links of an organization.
        pub ORGANIZATION_ID: Text = |entry| entry.link.organization_id.to_string();
        /// Finds a link by its code; letter case matters.
        pub CODE: Text = |entry| entry.link.code.to_string();
    }
    indexes { [CREATED_AT], [ORGANIZATION_ID, CREATED_AT], [CODE] }
    counts { [] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// A link with its identifier and its visits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkEntry {
    /// Identifier of the link.
    pub id: UrlShortenerId,
    /// Content of the link.
    #[serde(flatten)]
    pub link: Link,
    /// Number of recorded visits.
    pub visits: u64,
}

impl AggregateState for LinkEntry {
    type Event = UrlShortenerEvent;
    /// Visits have entries of their own.
    const UNLISTED: &'static [&'static str] = &["visits"];

    fn create(_: &RecordedEvent, change: &UrlShortenerEvent) -> Option<Self> {
        let UrlShortenerEvent::Created { id, link } = change else { return None };
        Some(LinkEntry { id: *id, link: link.clone(), visits: 0 })
    }

    fn change(mut self, _: &RecordedEvent, change: &UrlShortenerEvent) -> Option<Self> {
        if let UrlShortenerEvent::Amended { target, expires_at } = change {
            self.link.target.clone_from(target);
            self.link.expires_at = *expires_at;
        }
        Some(self)
    }
}

/// Documents that the fold reads.
pub(crate) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    match &*event.event {
        DomainEvent::UrlVisits(_) => vec![DocumentKey::of::<UrlShortenerDocument>(&event.aggregate_id)],
        _ => state_document::wants::<UrlShortenerDocument>(event),
    }
}

/// Folds one event.
pub(crate) fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    match &*event.event {
        DomainEvent::UrlVisits(VisitsEvent::Counted { visits, .. }) => {
            documents.update(&event.aggregate_id, |entry: &mut UrlShortenerDocument| {
                entry.state.visits = entry.state.visits.saturating_add(*visits);
            })
        }
        _ => state_document::fold::<UrlShortenerDocument>(event, documents),
    }
}
