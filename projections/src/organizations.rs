//! The `organizations` read model: one document an organization, as it is now. All dialects translate from it.

use crate::collection::{Collection, Counted, Document, KeyColumn, KeyKind, KeyValue, exact};
use crate::query::{SearchKey, Sort, TextKey, TextsKey};
use crate::recorded::RecordedEvent;
use crate::stamped::time_key;
use crate::state_document::StateDocument;
use chrono::{DateTime, Utc};
use registrar_aggregates::organization::tenancy::TIME_ZONE_DEFAULT;
use registrar_aggregates::organization::{Code, OrganizationEvent, Profile, Status};
use registrar_aggregates::text::fold as fold_text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::ops::Deref;
use uuid::Uuid;

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 3;

/// The organization itself, for those who may see no other.
pub const ORGANIZATION_ID: TextKey<OrganizationDocument> = TextKey("organization_id", PhantomData);
/// The name.
pub const SEARCH: SearchKey<OrganizationDocument> = SearchKey("search", PhantomData);
/// The own number, and the identifier as [`id_key`] writes it.
pub const NUMBERS: TextsKey<OrganizationDocument> = TextsKey("numbers", PhantomData);
/// The sub-type: its text as [`text_key`] writes it, and its identifier as [`id_key`] does.
pub const SUB_TYPES: TextsKey<OrganizationDocument> = TextsKey("sub_types", PhantomData);
/// Identifiers of the study modes, as [`id_key`] writes them.
pub const MODES: TextsKey<OrganizationDocument> = TextsKey("modes", PhantomData);
/// Identifiers of the countries of the addresses, as [`id_key`] writes them.
pub const COUNTRIES: TextsKey<OrganizationDocument> = TextsKey("countries", PhantomData);
/// Entities that it is associated with, as [`text_key`] writes them; an identifier as [`id_key`] does.
pub const ENTITIES: TextsKey<OrganizationDocument> = TextsKey("entities", PhantomData);
/// By identifier.
pub const BY_ID: Sort<OrganizationDocument> = Sort(&[], PhantomData);
/// Oldest first.
pub const BY_CREATION: Sort<OrganizationDocument> = Sort(&["created_at"], PhantomData);
/// Time of the last change.
pub const UPDATED_AT: TextKey<OrganizationDocument> = TextKey("updated_at", PhantomData);
/// The handle, folded; that of one from before there were handles is its identifier.
pub const HANDLE: TextKey<OrganizationDocument> = TextKey("handle", PhantomData);
/// The handle.
pub const HANDLE_SEARCH: SearchKey<OrganizationDocument> = SearchKey("handle_search", PhantomData);
/// `true` for one that is neither put away nor retired.
pub const ACTIVE: TextKey<OrganizationDocument> = TextKey("active", PhantomData);
/// Name, letter case aside, then id.
pub const BY_NAME: Sort<OrganizationDocument> = Sort(&["name"], PhantomData);

/// An identifier as keys hold it.
#[must_use]
pub fn id_key(id: Uuid) -> String {
    id.simple().to_string()
}

/// A text as keys hold it.
#[must_use]
pub fn text_key(text: &str) -> String {
    exact(fold_text(text))
}

/// An organization as it is now. Members of the profile are its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationDocument {
    /// The organization in its current version.
    #[serde(flatten)]
    pub profile: Profile,
    /// Version of its stream that the document reflects.
    pub version: u64,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Deref for OrganizationDocument {
    type Target = Profile;

    fn deref(&self) -> &Profile {
        &self.profile
    }
}

impl OrganizationDocument {
    /// Its handle; that of one from before there were handles is its identifier.
    #[must_use]
    pub fn handle(&self) -> String {
        self.tenancy.handle.clone().unwrap_or_else(|| self.profile.id.to_string())
    }

    /// Whether it is neither put away nor retired.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.archived && self.status != Status::Retired
    }

    /// Its time zone, an IANA name.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        self.details.time_zone.as_deref().unwrap_or(TIME_ZONE_DEFAULT)
    }
}

impl Document for OrganizationDocument {
    const COLLECTION: &'static Collection = &Collection {
        name: "organizations",
        keys: &[
            KeyColumn { name: "organization_id", kind: KeyKind::Text },
            KeyColumn { name: "name", kind: KeyKind::Text },
            KeyColumn { name: "search", kind: KeyKind::Search },
            KeyColumn { name: "numbers", kind: KeyKind::Texts },
            KeyColumn { name: "sub_types", kind: KeyKind::Texts },
            KeyColumn { name: "modes", kind: KeyKind::Texts },
            KeyColumn { name: "countries", kind: KeyKind::Texts },
            KeyColumn { name: "entities", kind: KeyKind::Texts },
            KeyColumn { name: "created_at", kind: KeyKind::Text },
            KeyColumn { name: "updated_at", kind: KeyKind::Text },
            KeyColumn { name: "handle", kind: KeyKind::Text },
            KeyColumn { name: "handle_search", kind: KeyKind::Search },
            KeyColumn { name: "active", kind: KeyKind::Text },
        ],
        indexes: &[
            &["organization_id"],
            &["name"],
            &["numbers"],
            &["modes"],
            &["countries"],
            &["entities"],
            &["created_at"],
            &["handle"],
        ],
        counted: &[Counted::by(&[])],
        hot: true,
    };

    fn id(&self) -> String {
        self.profile.id.to_string()
    }

    fn keys(&self) -> Vec<KeyValue> {
        let profile = &self.profile;
        let name = fold_text(&profile.name);
        let ids = |codes: &mut dyn Iterator<Item = &Code>| {
            let ids: BTreeSet<_> = codes.map(|code| id_key(code.id)).collect();
            KeyValue::Texts(ids.into_iter().collect())
        };
        let sub_type = profile.details.sub_type.iter();
        let handle = fold_text(&self.handle());
        vec![
            KeyValue::Text(self.id()),
            KeyValue::Text(exact(name.clone())),
            KeyValue::Text(name),
            KeyValue::Texts(
                profile.details.number.iter().map(|number| text_key(number)).chain([id_key(profile.id.0)]).collect(),
            ),
            KeyValue::Texts(sub_type.flat_map(|code| [text_key(&code.text), id_key(code.id)]).collect()),
            ids(&mut profile.modes.iter().map(|mode| &mode.code)),
            ids(&mut profile.addresses.iter().filter_map(|address| address.details.country.as_ref())),
            KeyValue::Texts(
                profile
                    .study_id
                    .iter()
                    .map(|study| Uuid::try_parse(study).map_or_else(|_| text_key(study), id_key))
                    .collect(),
            ),
            KeyValue::Text(time_key(self.created_at)),
            KeyValue::Text(time_key(self.updated_at)),
            KeyValue::Text(exact(handle.clone())),
            KeyValue::Text(handle),
            KeyValue::Text(self.is_active().to_string()),
        ]
    }
}

impl StateDocument for OrganizationDocument {
    type Event = OrganizationEvent;
    /// When and why a version was opened stands in the entry itself.
    const UNLISTED: &'static [&'static str] = &["edition"];

    fn creates(change: &OrganizationEvent) -> bool {
        matches!(change, OrganizationEvent::Registered(_))
    }

    fn create(event: &RecordedEvent, change: &OrganizationEvent) -> Option<Self> {
        let OrganizationEvent::Registered(profile) = change else { return None };
        Some(OrganizationDocument {
            profile: (**profile).clone(),
            version: event.sequence,
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
        })
    }

    fn change(mut self, event: &RecordedEvent, change: &OrganizationEvent) -> Option<Self> {
        if matches!(change, OrganizationEvent::Deleted { .. }) {
            return None;
        }
        self.profile.evolve(change);
        self.version = event.sequence;
        self.updated_at = event.recorded_at;
        Some(self)
    }

    fn concerned(&self, change: &OrganizationEvent) -> Self {
        let Some(profile) = self.profile.concerned(change) else { return self.clone() };
        OrganizationDocument { profile, ..*self }
    }

    fn state(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.profile)
    }
}
