//! Reads of the audit trail are audited themselves: one stream per reader.

use crate::{
    Decide,
    decide::aggregate,
    facts::{EventFacts, event_names},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, convert::Infallible};

/// Reads of the audit trail by one reader. Stateless: every read is an independent event.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct AuditAccess;

/// The only command: records a read.
#[derive(Debug, Clone)]
pub struct RecordReading {
    /// Part of the trail that was read, in the words of the domain, e.g. `ecg-admins`.
    pub trail: String,
    /// Filters of the read, by name.
    pub filters: BTreeMap<String, String>,
}

/// Events of audit access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum AuditAccessEvent {
    /// A part of the audit trail was read.
    #[serde(rename = "audit-access.trail-read")]
    TrailRead {
        /// Part of the trail that was read, e.g. `ecg-admins`.
        trail: String,
        /// Filters of the read, by name.
        filters: BTreeMap<String, String>,
    },
}

event_names!(AuditAccessEvent {
    TrailRead => "audit-access.trail-read" @ "1.0" Insert, clear ["/trail"];
});

impl EventFacts for AuditAccessEvent {
    // The subject is the reader: search terms may name any person.
    const HAS_SUBJECT: bool = true;
}

impl Decide for AuditAccess {
    const LOADED: bool = false;

    fn decide(&self, RecordReading { trail, filters }: RecordReading) -> Result<Vec<AuditAccessEvent>, Infallible> {
        Ok(vec![AuditAccessEvent::TrailRead { trail, filters }])
    }
}

impl AuditAccess {
    fn evolve(&mut self, event: AuditAccessEvent) {
        match event {
            AuditAccessEvent::TrailRead { .. } => {}
        }
    }
}

aggregate!(AuditAccess, "audit-access", RecordReading, AuditAccessEvent, Infallible);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Samples;
    use cqrs_es::test::TestFramework;

    impl Samples for AuditAccessEvent {
        fn samples() -> Vec<Self> {
            vec![read()]
        }
    }

    fn filters() -> BTreeMap<String, String> {
        BTreeMap::from([("searchTerm".to_owned(), "UPDATE".to_owned())])
    }

    fn read() -> AuditAccessEvent {
        AuditAccessEvent::TrailRead { trail: "ecg-admins".into(), filters: filters() }
    }

    #[test]
    fn every_reading_is_recorded_even_if_it_is_like_the_one_before() {
        let record = || RecordReading { trail: "ecg-admins".into(), filters: filters() };
        TestFramework::<AuditAccess>::with(())
            .given_no_previous_events()
            .when(record())
            .then_expect_events(vec![read()]);
        TestFramework::<AuditAccess>::with(()).given(vec![read()]).when(record()).then_expect_events(vec![read()]);
    }
}
