//! The `organizations` read model: one document per organization with its present state. All dialects translate from
//! it.

use crate::collection::exact;
use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use registrar_aggregates::organization::tenancy::TIME_ZONE_DEFAULT;
use registrar_aggregates::organization::{Code, OrganizationEvent, Profile, Status};
use registrar_aggregates::text::fold as fold_text;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 4;

/// The present state of an organization.
pub type OrganizationDocument = Stamped<Profile>;

crate::collection! {
    "organizations" of OrganizationDocument, hot: true, id: |organization| organization.id.to_string();
    keys {
        /// The organization itself, for callers restricted to one organization.
        pub ORGANIZATION_ID: Text = |organization| organization.id.to_string();
        NAME: Text = |organization| exact(fold_text(&organization.name));
        /// The name.
        pub SEARCH: Search = |organization| fold_text(&organization.name);
        /// The organization's own number, and the identifier as [`id_key`] writes it.
        pub NUMBERS: Texts = |organization| {
            let number = organization.details.number.iter().map(|number| text_key(number));
            number.chain([id_key(organization.id.0)]).collect()
        };
        /// The sub-type: its text as [`text_key`] writes it, and its identifier as [`id_key`] does.
        pub SUB_TYPES: Texts = |organization| {
            let sub_type = organization.details.sub_type.iter();
            sub_type.flat_map(|code| [text_key(&code.text), id_key(code.id)]).collect()
        };
        /// Identifiers of the study modes, as [`id_key`] writes them.
        pub MODES: Texts = |organization| code_keys(organization.modes.iter().map(|mode| &mode.code));
        /// Identifiers of the countries of the addresses, as [`id_key`] writes them.
        pub COUNTRIES: Texts = |organization| {
            let addresses = organization.addresses.iter();
            code_keys(addresses.filter_map(|address| address.details.country.as_ref()))
        };
        /// Associated entities, as [`text_key`] writes them; an identifier as [`id_key`] does.
        pub ENTITIES: Texts = |organization| {
            let studies = organization.study_id.iter();
            studies.map(|study| Uuid::try_parse(study).map_or_else(|_| text_key(study), id_key)).collect()
        };
        CREATED_AT: Text = |organization| time_key(organization.created_at);
        /// Time of the last change.
        pub UPDATED_AT: Text = |organization| time_key(organization.updated_at);
        /// The handle, folded; for an organization without one, its identifier.
        pub HANDLE: Text = |organization| exact(fold_text(&organization.handle()));
        /// The handle.
        pub HANDLE_SEARCH: Search = |organization| fold_text(&organization.handle());
        /// `true` for an organization that is neither archived nor retired.
        pub ACTIVE: Text = |organization| organization.is_active().to_string();
    }
    indexes {
        [ORGANIZATION_ID],
        [NAME],
        [NUMBERS],
        [MODES],
        [COUNTRIES],
        [ENTITIES],
        [CREATED_AT],
        [HANDLE],
    }
    counts { [] }
    sorts {
        /// By identifier.
        pub BY_ID = [];
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
        /// Name, case-insensitive, then id.
        pub BY_NAME = [NAME];
    }
}

/// An identifier, as keys hold it.
#[must_use]
pub fn id_key(id: Uuid) -> String {
    id.simple().to_string()
}

/// A text, as keys hold it.
#[must_use]
pub fn text_key(text: &str) -> String {
    exact(fold_text(text))
}

/// Identifiers of codes, as keys hold them, each once.
fn code_keys<'a>(codes: impl Iterator<Item = &'a Code>) -> Vec<String> {
    let ids: BTreeSet<_> = codes.map(|code| id_key(code.id)).collect();
    ids.into_iter().collect()
}

impl OrganizationDocument {
    /// The handle; for an organization registered before handles were introduced, its identifier.
    #[must_use]
    pub fn handle(&self) -> String {
        self.tenancy.handle.clone().unwrap_or_else(|| self.id.to_string())
    }

    /// Whether the organization is neither archived nor retired.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.archived && self.status != Status::Retired
    }

    /// Time zone of the organization, an IANA name.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        self.details.time_zone.as_deref().unwrap_or(TIME_ZONE_DEFAULT)
    }
}

impl AggregateState for Profile {
    type Event = OrganizationEvent;
    /// The entry itself has the time and reason of a version.
    const UNLISTED: &'static [&'static str] = &["edition"];

    fn create(_: &RecordedEvent, change: &OrganizationEvent) -> Option<Self> {
        let OrganizationEvent::Registered(profile) = change else { return None };
        Some((**profile).clone())
    }

    fn change(mut self, _: &RecordedEvent, change: &OrganizationEvent) -> Option<Self> {
        if matches!(change, OrganizationEvent::Deleted { .. }) {
            return None;
        }
        self.evolve(change);
        Some(self)
    }

    fn concerned(&self, change: &OrganizationEvent) -> Self {
        Profile::concerned(self, change).unwrap_or_else(|| self.clone())
    }
}
