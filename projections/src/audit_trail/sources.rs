//! The aggregates whose entries need more than their events: a line for each.

use super::ChangedRecord;
use super::compared::compared;
use crate::api_keys::ApiKeyDocument;
use crate::document::DocumentKey;
use crate::features::{FeatureDocument, FeatureSettingDocument};
use crate::general_messages::GeneralMessageDocument;
use crate::groups::GroupDocument;
use crate::message_templates::MessageTemplateDocument;
use crate::messages::MessageDocument;
use crate::onboarding_requests::OnboardingDocument;
use crate::organization_codes::OrganizationCodeDocument;
use crate::organizations::OrganizationDocument;
use crate::recorded::RecordedEvent;
use crate::registration_invitations::RegistrationInvitationDocument;
use crate::service_documents::PublishedDocument;
use crate::sessions::SessionDocument;
use crate::state_document::{self, StateDocument};
use crate::tasks::TaskDocument;
use crate::themes::ThemeDocument;
use crate::totps::TotpDocument;
use crate::url_shorteners::UrlShortenerDocument;
use crate::users::UserDocument;
use crate::working_set::{FoldError, WorkingSet};
use registrar_aggregates::FromDomainEvent;
use registrar_aggregates::access_token::AccessTokenEvent;
use registrar_aggregates::admin::AdminEvent;
use registrar_aggregates::checkpoint_key::CheckpointKeyEvent;
use registrar_aggregates::key_ring::KeyRingEvent;

const SOURCES: &[Source] = &[
    Source::compared::<OrganizationDocument>(),
    Source::compared::<ApiKeyDocument>(),
    Source::compared::<UserDocument>(),
    Source::compared::<SessionDocument>(),
    Source::compared::<TotpDocument>(),
    Source::compared::<FeatureDocument>(),
    Source::compared::<FeatureSettingDocument>(),
    Source::compared::<GeneralMessageDocument>(),
    Source::compared::<ThemeDocument>(),
    Source::compared::<GroupDocument>(),
    Source::compared::<UrlShortenerDocument>(),
    Source::compared::<OrganizationCodeDocument>(),
    Source::compared::<MessageTemplateDocument>(),
    Source::compared::<MessageDocument>(),
    Source::compared::<RegistrationInvitationDocument>(),
    Source::compared::<OnboardingDocument>(),
    Source::compared::<TaskDocument>(),
    Source::compared::<PublishedDocument>(),
    Source::by_hand::<AdminEvent>(),
    Source::by_hand::<KeyRingEvent>(),
    Source::by_hand::<CheckpointKeyEvent>(),
    Source::by_hand::<AccessTokenEvent>(),
];

/// Events with hand-written entries.
pub(super) trait HandwrittenEntry: FromDomainEvent {
    /// Documents needed for the entry.
    fn wants(_event: &RecordedEvent) -> Vec<DocumentKey> {
        vec![]
    }

    /// The record changed by the event.
    fn touched(&self, event: &RecordedEvent, documents: &WorkingSet) -> Result<ChangedRecord, FoldError>;
}

/// Source of the entries of one aggregate. Each function returns nothing for events of other aggregates.
struct Source {
    wants: fn(&RecordedEvent) -> Vec<DocumentKey>,
    touched: fn(&RecordedEvent, &WorkingSet) -> Option<Result<ChangedRecord, FoldError>>,
}

impl Source {
    const fn compared<D: StateDocument>() -> Self {
        Source {
            wants: state_document::wants::<D>,
            touched: |event, documents| Some(compared::<D>(event, D::Event::of(&event.event)?, documents)),
        }
    }

    const fn by_hand<E: HandwrittenEntry>() -> Self {
        Source {
            wants: |event| E::of(&event.event).map(|_| E::wants(event)).unwrap_or_default(),
            touched: |event, documents| Some(E::of(&event.event)?.touched(event, documents)),
        }
    }
}

/// Documents needed for the entry.
pub(super) fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    SOURCES.iter().flat_map(|source| (source.wants)(event)).collect()
}

/// The record changed by the event; `None` for an event that carries its own values.
pub(super) fn touched(event: &RecordedEvent, documents: &WorkingSet) -> Option<Result<ChangedRecord, FoldError>> {
    SOURCES.iter().find_map(|source| (source.touched)(event, documents))
}

#[cfg(test)]
mod tests {
    use super::*;
    use registrar_aggregates::{AuditSource, DomainEvent, Metadata};
    use std::sync::Arc;

    #[test]
    fn every_aggregate_has_the_source_that_it_declares() {
        let samples = include_str!("../../../aggregates/samples.json");
        let samples: Vec<serde_json::Value> = serde_json::from_str(samples).expect("JSON");
        for sample in samples {
            let aggregate = sample["type"].as_str().and_then(|name| name.split('.').next()).expect("a name").to_owned();
            let event = RecordedEvent {
                position: 1,
                recorded_at: chrono::DateTime::UNIX_EPOCH,
                aggregate_id: "stream".into(),
                sequence: 1,
                metadata: Arc::new(Metadata::system("request")),
                event: Arc::new(DomainEvent::from_payload(&aggregate, sample).expect("a sample")),
            };
            let is_told = event.event.audit_source() == AuditSource::Told;
            assert_eq!(touched(&event, &WorkingSet::default()).is_none(), is_told, "{aggregate}");
        }
    }
}
