//! Registrar's domain, pure: commands, refusals and events.
//!
//! An aggregate decides synchronously from its state and a command; every input from outside (time, ids, hashes, data
//! of other aggregates) comes in with the command. There is deliberately no database, network, clock, randomness or
//! async code here; the test `domain_is_pure` enforces it.
//!
//! A decision over one aggregate is in the aggregate's module; one over several is in [`processes`]. A further aggregate
//! is entered below, with its module and in `every_aggregate!`; [`DomainEvent`], [`AnyAggregate`] and [`Refusal`] are
//! generated from that list.

pub mod access_token;
pub mod admin;
pub mod any_aggregate;
pub mod any_refusal;
pub mod api_key;
pub mod audit_access;
pub mod checkin;
pub mod checkpoint_key;
pub mod claim;
pub mod decide;
pub mod event;
pub mod facts;
pub mod feature;
pub mod feedback;
pub mod general_message;
pub mod granting;
pub mod group;
pub mod individual;
pub mod key_ring;
pub mod message;
pub mod metadata;
pub mod onboarding;
pub mod one_time_code;
pub mod organization;
pub mod organization_code;
pub mod personal;
pub mod processes;
pub mod quota;
pub mod refusal;
pub mod registration_invitation;
#[cfg(test)]
pub(crate) mod samples;
pub mod service_document;
pub mod session;
pub mod shown;
pub mod task;
pub mod text;
pub mod theme;
pub mod totp;
pub mod upcast;
pub mod url_shortener;
pub mod user;
pub mod values;

pub use any_aggregate::AnyAggregate;
pub use any_refusal::Refusal;
pub use claim::{Claim, ClaimKey};
pub use decide::{Decide, Snapshots};
pub use event::{DomainEvent, FromDomainEvent, UnknownEvent};
pub use facts::{AuditSource, Effect, EventFacts, EventType, EventTypes};
pub use metadata::{Actor, ActorType, Metadata, OnBehalfOf};
pub use refusal::{RefusalKind, Refuse, Violation};

/// Passes the list of all aggregates to a macro. For each: variant name, state, events, source of its audit entries,
/// kind of the audited record, and refusals, if it has others than `Finding`.
macro_rules! every_aggregate {
    ($then:ident) => {
        $then! {
            /// An admin.
            Admin: crate::admin::Admin, crate::admin::AdminEvent,
                ByHand "EcgAdmin", refuses crate::admin::AdminError;
            /// An organization.
            Organization: crate::organization::Organization, crate::organization::OrganizationEvent,
                Compared "Organization", refuses crate::organization::OrganizationError;
            /// The keys that sign tokens.
            KeyRing: crate::key_ring::KeyRing, crate::key_ring::KeyRingEvent,
                ByHand "SigningKey";
            /// An issued access token.
            AccessToken: crate::access_token::AccessToken, crate::access_token::AccessTokenEvent,
                ByHand "AccessToken", refuses crate::access_token::AccessTokenError;
            /// Reads of the audit trail.
            AuditAccess: crate::audit_access::AuditAccess, crate::audit_access::AuditAccessEvent,
                Told "AuditAccess";
            /// An API key.
            ApiKey: crate::api_key::ApiKey, crate::api_key::ApiKeyEvent,
                Compared "ApiKey", refuses crate::api_key::ApiKeyError;
            /// The key that signs checkpoints.
            CheckpointKey: crate::checkpoint_key::CheckpointKey, crate::checkpoint_key::CheckpointKeyEvent,
                ByHand "CheckpointKey";
            /// A user.
            User: crate::user::User, crate::user::UserEvent,
                Compared "User", refuses crate::user::UserError;
            /// The enabled admins of an organization, or of the system.
            Roster: crate::user::roster::Roster, crate::user::roster::RosterEvent,
                Told "AdminRoster", refuses crate::user::roster::RosterError;
            /// A session.
            Session: crate::session::Session, crate::session::SessionEvent,
                Compared "Session", refuses crate::session::SessionError;
            /// The guard in front of sign-in.
            Guard: crate::session::guard::Guard, crate::session::guard::GuardEvent,
                Told "SignInFailure", refuses crate::session::guard::GuardError;
            /// A second factor.
            Totp: crate::totp::Totp, crate::totp::TotpEvent,
                Compared "TotpConfiguration", refuses crate::totp::TotpError;
            /// One-time codes of a user for a purpose.
            OneTimeCode: crate::one_time_code::OneTimeCode, crate::one_time_code::OneTimeCodeEvent,
                Told "OneTimeCode", refuses crate::one_time_code::OneTimeCodeError;
            /// Uses that count within a time.
            Quota: crate::quota::Quota, crate::quota::QuotaEvent,
                Told "Quota", refuses crate::quota::QuotaError;
            /// A feature.
            Feature: crate::feature::Feature, crate::feature::FeatureEvent,
                Compared "Feature", refuses crate::feature::FeatureError;
            /// The setting of a feature.
            Setting: crate::feature::setting::FeatureSetting, crate::feature::setting::SettingEvent,
                Compared "FeatureSetting", refuses crate::feature::setting::SettingError;
            /// A general message of an organization.
            GeneralMessage: crate::general_message::GeneralMessage, crate::general_message::GeneralMessageEvent,
                Compared "GeneralMessage", refuses crate::general_message::GeneralMessageError;
            /// A theme of organizations.
            Theme: crate::theme::Theme, crate::theme::ThemeEvent,
                Compared "OrganizationTheme", refuses crate::theme::ThemeError;
            /// An individual, the subject of records.
            Individual: crate::individual::Individual, crate::individual::IndividualEvent,
                Told "Individual", refuses crate::individual::IndividualError;
            /// A group.
            Group: crate::group::Group, crate::group::GroupEvent,
                Compared "IndividualGroup", refuses crate::group::GroupError;
            /// The tree of an organization's groups.
            Tree: crate::group::tree::Tree, crate::group::tree::TreeEvent,
                Told "GroupTree", refuses crate::group::tree::TreeError;
            /// The group placements of an individual.
            Placement: crate::group::placement::Placement, crate::group::placement::PlacementEvent,
                Told "IndividualPlacement", refuses crate::group::placement::PlacementError;
            /// The group posts of a user.
            Staffing: crate::group::staffing::Staffing, crate::group::staffing::StaffingEvent,
                Told "GroupStaffing", refuses crate::group::staffing::StaffingError;
            /// A check-in of a device.
            Checkin: crate::checkin::Checkin, crate::checkin::CheckinEvent,
                Told "UserCheckin";
            /// A comment of a user.
            FeedbackComment: crate::feedback::FeedbackComment, crate::feedback::FeedbackEvent,
                Told "FeedbackComment";
            /// A short link.
            UrlShortener: crate::url_shortener::UrlShortener, crate::url_shortener::UrlShortenerEvent,
                Compared "UrlShortener", refuses crate::url_shortener::UrlShortenerError;
            /// Visits of a short link.
            UrlVisits: crate::url_shortener::visits::UrlVisits, crate::url_shortener::visits::VisitsEvent,
                Told "UrlShortenerVisits";
            /// A sign-up code of an organization.
            OrganizationCode:
                crate::organization_code::OrganizationCode, crate::organization_code::OrganizationCodeEvent,
                Compared "OrganizationCode", refuses crate::organization_code::OrganizationCodeError;
            /// A version of a document that people agree to.
            ServiceDocument: crate::service_document::ServiceDocument, crate::service_document::ServiceDocumentEvent,
                Compared "ServiceDocument", refuses crate::service_document::ServiceDocumentError;
            /// A template of messages.
            MessageTemplate: crate::message::template::MessageTemplate, crate::message::template::TemplateEvent,
                Compared "MessageTemplate", refuses crate::message::template::TemplateError;
            /// A message to a person.
            Message: crate::message::delivery::Message, crate::message::delivery::MessageEvent,
                Compared "Message", refuses crate::message::delivery::MessageError;
            /// The invitation of an address by a friend.
            RegistrationInvitation: crate::registration_invitation::RegistrationInvitation,
                crate::registration_invitation::RegistrationInvitationEvent,
                Compared "RegistrationInvitation",
                refuses crate::registration_invitation::RegistrationInvitationError;
            /// An onboarding request of an organization.
            Onboarding: crate::onboarding::Onboarding, crate::onboarding::OnboardingEvent,
                Compared "OnboardingRequest", refuses crate::onboarding::OnboardingError;
            /// Background work.
            Task: crate::task::Task, crate::task::TaskEvent,
                Compared "Task", refuses crate::task::TaskError;
        }
    };
}
pub(crate) use every_aggregate;
