//! Registrar's read models, pure: recorded events in, document changes out.
//!
//! A projection is a fold from an event and the documents it asked for to document changes. Folds are total except for
//! the errors they name, read no clock and do no I/O, so that a rebuild gives the same bytes as the live run. A new
//! read model is a document type, its [`collection!`] and a fold, entered below, with its module and in
//! `every_projection!`; [`AnyDocument`], [`INLINE`] and [`FOLLOWING`] are generated from that list. A document that is
//! the state of one aggregate is [`stamped::Stamped`] and needs no fold of its own.

pub mod activities;
pub mod admins;
pub mod api_keys;
pub mod audit_trail;
pub mod checkins;
pub mod collection;
mod declaration;
pub mod deleted_organizations;
pub mod document;
pub mod email_logs;
pub mod event_statistics;
pub mod features;
pub mod feedback_comments;
pub mod general_messages;
pub mod groups;
pub mod individuals;
pub mod key;
pub mod message_templates;
pub mod messages;
pub mod onboarding_requests;
pub mod organization_codes;
pub mod organizations;
pub mod query;
mod record_document;
pub mod recorded;
#[cfg(doctest)]
mod refused;
pub mod registration_invitations;
pub mod roles;
pub mod service_documents;
pub mod sessions;
pub mod stamped;
pub mod state_document;
pub mod tasks;
pub mod themes;
pub mod totps;
pub mod url_shorteners;
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

/// Passes the list of all projections to a macro, in the order of their folds. For each: name, kind, module, and its
/// collections with their document types. [`signature`] follows from the order, so that another order leads to a
/// rebuild.
///
/// - `fold`: `wants` and `fold` of the module.
/// - `insert`: `fold` of the module, which reads no document.
/// - `state`: a [`StateDocument`], which needs neither.
macro_rules! every_projection {
    ($then:ident) => {
        $then! {
            /// Folded by the committer and written with the events. The audit trail comes first, since it compares with
            /// the documents before the event.
            INLINE {
                "audit_trail": fold audit_trail, AuditEntries(AuditEntry), TrailCounters(TrailCounter);
                "admins": fold admins, Admins(AdminDocument);
                "organizations": state organizations, Organizations(OrganizationDocument);
                "api_keys": state api_keys, ApiKeys(ApiKeyDocument);
                "activities": fold activities, UserActivities(ActivityDocument);
                "users": fold users, Users(UserDocument);
                "sessions": state sessions, Sessions(SessionDocument);
                "totps": state totps, TotpConfigurations(TotpDocument);
                "checkins": insert checkins, UserCheckins(CheckinDocument);
                "feedback_comments": insert feedback_comments, FeedbackComments(FeedbackDocument);
                "service_documents": fold service_documents,
                    ServiceDocuments(PublishedDocument), ServiceDocumentTexts(DocumentTexts),
                    CurrentServiceDocuments(CurrentDocuments);
                "message_templates": state message_templates, MessageTemplates(MessageTemplateDocument);
                "messages": fold messages, Messages(MessageDocument), MessageTexts(MessageTexts);
                "registration_invitations": state registration_invitations,
                    RegistrationInvitations(RegistrationInvitationDocument);
                "email_logs": insert email_logs, EmailLogs(EmailLogDocument);
                "deleted_organizations": insert deleted_organizations,
                    DeletedOrganizations(DeletedOrganizationDocument);
                "roles": fold roles, Roles(RoleDocument);
                "features": state features, Features(FeatureDocument);
                "feature_settings": state features, FeatureSettings(FeatureSettingDocument);
                "general_messages": state general_messages, GeneralMessages(GeneralMessageDocument);
                "themes": state themes, Themes(ThemeDocument);
                "individuals": fold individuals, Individuals(IndividualDocument);
                "groups": fold groups,
                    Groups(GroupDocument), GroupTrees(TreeDocument), GroupCounts(CountDocument), GroupLogs(LogDocument);
                "url_shorteners": fold url_shorteners, UrlShorteners(UrlShortenerDocument);
                "organization_codes": fold organization_codes,
                    OrganizationCodes(OrganizationCodeDocument), SignUpCounts(SignUpCountDocument);
                "onboarding_requests": state onboarding_requests, OnboardingRequests(OnboardingDocument);
                "tasks": state tasks, Tasks(TaskDocument);
            }
            /// Folded after the commit by a follower, for documents that would fan out or be too hot to be written with
            /// every event.
            FOLLOWING {
                "event_statistics": fold event_statistics, EventStatistics(EventStatistic);
            }
        }
    };
}
pub(crate) use every_projection;

macro_rules! projections {
    ($(
        $(#[$doc:meta])* $list:ident {
            $($name:literal: $kind:ident $module:ident, $($variant:ident($document:ident)),+;)+
        }
    )+) => {
        $(
            $(#[$doc])*
            pub const $list: &[Projection] = &[$(projections!(@$kind $name, $module, $($variant $document),+)),+];
        )+
    };
    (@fold $name:literal, $module:ident, $($variant:ident $document:ident),+) => {
        Projection {
            name: $name,
            version: $module::VERSION,
            collections: &[$(CollectionId::$variant),+],
            wants: $module::wants,
            fold: $module::fold,
        }
    };
    (@insert $name:literal, $module:ident, $($variant:ident $document:ident),+) => {
        Projection {
            name: $name,
            version: $module::VERSION,
            collections: &[$(CollectionId::$variant),+],
            wants: |_| vec![],
            fold: $module::fold,
        }
    };
    (@state $name:literal, $module:ident, $variant:ident $document:ident) => {
        Projection::of_state::<$module::$document>($name, $module::VERSION)
    };
}

every_projection!(projections);

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
