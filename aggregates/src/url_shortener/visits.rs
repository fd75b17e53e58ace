//! Visits of a short link. Nodes count them and record what they have counted every few seconds, so that a visit costs
//! no event. The stream is apart from the link's: visits would otherwise change the version that an amendment names.

use crate::facts::{EventFacts, event_names};
use crate::{Decide, decide::aggregate};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

/// Visits of one link, under its identifier. Stateless: the read model adds them up.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct UrlVisits;

/// The only command: records visits.
#[derive(Debug, Clone)]
pub struct RecordVisits {
    /// Number of visits.
    pub visits: u64,
    /// Time of the first of them.
    pub since: DateTime<Utc>,
}

/// Events of visits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum VisitsEvent {
    /// A node has counted visits of the short link whose identifier is that of the stream, up to the time of the event.
    #[serde(rename = "url-shortener-visits.counted")]
    Counted {
        /// Number of visits in that time.
        #[cfg_attr(test, schemars(range(min = 1)))]
        visits: u64,
        /// Time of the first of them.
        since: DateTime<Utc>,
    },
}

event_names!(VisitsEvent {
    Counted => "url-shortener-visits.counted" @ "1.0" Insert, clear ["/since"];
});

impl EventFacts for VisitsEvent {}

impl Decide for UrlVisits {
    const LOADED: bool = false;

    fn decide(&self, RecordVisits { visits, since }: RecordVisits) -> Result<Vec<VisitsEvent>, Infallible> {
        Ok(if visits == 0 { vec![] } else { vec![VisitsEvent::Counted { visits, since }] })
    }
}

impl UrlVisits {
    fn evolve(&mut self, event: VisitsEvent) {
        match event {
            VisitsEvent::Counted { .. } => {}
        }
    }
}

aggregate!(UrlVisits, "url-shortener-visits", RecordVisits, VisitsEvent, Infallible);
