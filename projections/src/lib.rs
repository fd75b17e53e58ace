//! Registrar's read models, pure: recorded events in, document changes out.
//!
//! A projection is a fold from an event and the documents it asked for to document changes. Folds are total except for
//! the errors they name, read no clock and do no I/O, so that a rebuild gives the same bytes as the live run. A new
//! read model is a document type, its [`collection!`] and a fold, entered in [`document::AnyDocument`] and in
//! [`INLINE`] or [`FOLLOWING`]. A document that is the state of one aggregate is [`stamped::Stamped`] and needs no fold
//! of its own.

pub mod activities;
pub mod admins;
pub mod api_keys;
pub mod audit_trail;
pub mod checkins;
pub mod collection;
mod declaration;
pub mod deleted_organizations;
pub mod document;
pub mod event_statistics;
pub mod features;
pub mod groups;
pub mod individuals;
pub mod key;
pub mod organizations;
pub mod query;
pub mod recorded;
#[cfg(doctest)]
mod refused;
pub mod roles;
pub mod sessions;
pub mod stamped;
pub mod state_document;
pub mod tasks;
pub mod totps;
pub mod users;
pub mod working_set;

pub use admins::AdminDocument;
pub use api_keys::ApiKeyDocument;
pub use audit_trail::{AuditChange, AuditEntry, TrailCounter};
pub use collection::{Collection, Document, KeyColumn, KeyKind, KeyValue};
pub use document::{AnyDocument, CollectionId, DocumentKey};
pub use event_statistics::EventStatistic;
pub use individuals::IndividualDocument;
pub use organizations::OrganizationDocument;
pub use query::{Direction, Filter, Query};
pub use recorded::RecordedEvent;
pub use users::UserDocument;
pub use working_set::{ChangeKind, DocumentChange, FoldError, WorkingSet};

use state_document::StateDocument;

/// One read model: a fold with its collections.
pub struct Projection {
    /// Name, in snake case.
    pub name: &'static str,
    /// Raised when the documents, their keys or the fold change.
    pub version: u32,
    /// Collections that only this projection writes.
    pub collections: &'static [CollectionId],
    /// Documents that folding an event will read. Bounded for every event.
    pub wants: fn(&RecordedEvent) -> Vec<DocumentKey>,
    /// Folds an event. Total except for the errors it names.
    pub fold: fn(&RecordedEvent, &mut WorkingSet) -> Result<(), FoldError>,
}

impl Projection {
    /// A projection of documents with the state of one aggregate.
    const fn of_state<D: StateDocument>(name: &'static str, version: u32) -> Self {
        let (wants, fold) = (state_document::wants::<D>, state_document::fold::<D>);
        Projection { name, version, collections: const { &[D::ID] }, wants, fold }
    }
}

/// Folded by the committer and written with the events. The audit trail comes first, since it compares with the
/// documents before the event.
pub const INLINE: &[Projection] = &[
    Projection {
        name: "audit_trail",
        version: audit_trail::VERSION,
        collections: &[CollectionId::AuditEntries, CollectionId::TrailCounters],
        wants: audit_trail::wants,
        fold: audit_trail::fold,
    },
    Projection {
        name: "admins",
        version: admins::VERSION,
        collections: &[CollectionId::Admins],
        wants: admins::wants,
        fold: admins::fold,
    },
    Projection::of_state::<OrganizationDocument>("organizations", organizations::VERSION),
    Projection::of_state::<ApiKeyDocument>("api_keys", api_keys::VERSION),
    Projection {
        name: "activities",
        version: activities::VERSION,
        collections: &[CollectionId::UserActivities],
        wants: activities::wants,
        fold: activities::fold,
    },
    Projection {
        name: "users",
        version: users::VERSION,
        collections: &[CollectionId::Users],
        wants: users::wants,
        fold: users::fold,
    },
    Projection::of_state::<sessions::SessionDocument>("sessions", sessions::VERSION),
    Projection::of_state::<totps::TotpDocument>("totps", totps::VERSION),
    Projection {
        name: "checkins",
        version: checkins::VERSION,
        collections: &[CollectionId::UserCheckins],
        wants: |_| vec![],
        fold: checkins::fold,
    },
    Projection {
        name: "deleted_organizations",
        version: deleted_organizations::VERSION,
        collections: &[CollectionId::DeletedOrganizations],
        wants: |_| vec![],
        fold: deleted_organizations::fold,
    },
    Projection {
        name: "roles",
        version: roles::VERSION,
        collections: &[CollectionId::Roles],
        wants: roles::wants,
        fold: roles::fold,
    },
    Projection::of_state::<features::FeatureDocument>("features", features::VERSION),
    Projection::of_state::<features::FeatureSettingDocument>("feature_settings", features::VERSION),
    Projection {
        name: "individuals",
        version: individuals::VERSION,
        collections: &[CollectionId::Individuals],
        wants: individuals::wants,
        fold: individuals::fold,
    },
    Projection {
        name: "groups",
        version: groups::VERSION,
        collections: &[
            CollectionId::Groups,
            CollectionId::GroupTrees,
            CollectionId::GroupCounts,
            CollectionId::GroupLogs,
        ],
        wants: groups::wants,
        fold: groups::fold,
    },
    Projection::of_state::<tasks::TaskDocument>("tasks", tasks::VERSION),
];

/// Folded after the commit by a follower, for documents that would fan out or be too hot to be written with every
/// event.
pub const FOLLOWING: &[Projection] = &[Projection {
    name: "event_statistics",
    version: event_statistics::VERSION,
    collections: &[CollectionId::EventStatistics],
    wants: event_statistics::wants,
    fold: event_statistics::fold,
}];

/// Whether documents of a collection are written after their events, rather than with them.
#[must_use]
pub fn is_followed(collection: CollectionId) -> bool {
    FOLLOWING.iter().any(|projection| projection.collections.contains(&collection))
}

/// Documents that the inline projections read when they fold `event`.
#[must_use]
pub fn wants(event: &RecordedEvent) -> Vec<DocumentKey> {
    let mut wanted = Vec::new();
    for key in INLINE.iter().flat_map(|projection| (projection.wants)(event)) {
        if !wanted.contains(&key) {
            wanted.push(key);
        }
    }
    wanted
}

/// Folds `event` into every inline projection.
///
/// # Errors
/// `FoldError` where the event does not fit the documents; the event must then not be stored.
pub fn fold(event: &RecordedEvent, documents: &mut WorkingSet) -> Result<(), FoldError> {
    INLINE.iter().try_for_each(|projection| (projection.fold)(event, documents))
}

/// Name and version of every projection, in one text: generations of documents with equal text are equivalent.
#[must_use]
pub fn signature() -> String {
    let all = INLINE.iter().chain(FOLLOWING);
    all.map(|projection| format!("{}:{}", projection.name, projection.version)).collect::<Vec<_>>().join(",")
}
