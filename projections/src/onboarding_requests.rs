//! The `onboarding_requests` read model: one document per request, with the last invitation of each channel.
//!
//! A request is listed by organization and kind in any case, so these two are the beginning of every key: a list by a
//! hundred individuals is a hundred look-ups in one index, for any number of requests, and no store is tempted to
//! walk through the whole list of the organization for its order.

use crate::collection::exact;
use crate::recorded::RecordedEvent;
use crate::stamped::{AggregateState, Stamped, time_key};
use registrar_aggregates::onboarding::{OnboardKind, OnboardingEvent, Progress};
use registrar_aggregates::values::{EmailAddress, IndividualId, OrganizationId, UserId};

/// Raise it when the documents, their keys or the fold change: the next start then rebuilds.
pub const VERSION: u32 = 1;

/// The present state of an onboarding request, without the digests of codes.
pub type OnboardingDocument = Stamped<Progress>;

crate::collection! {
    "onboarding_requests" of OnboardingDocument, hot: true, id: |request| request.id.to_string();
    keys {
        /// Finds the requests of an organization and a kind, as [`list_key`] writes them.
        pub LIST: Text = |request| list_key(request.organization_id, request.kind);
        CREATED_AT: Text = |request| time_key(request.created_at);
        /// Finds requests by e-mail address, as [`email_key`] writes it; empty if absent.
        pub EMAIL: Text = |request| {
            let key = |email| email_key(request.organization_id, request.kind, email);
            request.email.as_ref().map(key).unwrap_or_default()
        };
        /// Finds requests by individual, as [`individual_key`] writes it; empty if absent.
        pub INDIVIDUAL: Text = |request| {
            let key = |individual| individual_key(request.organization_id, request.kind, individual);
            request.individual_id.map(key).unwrap_or_default()
        };
        /// Finds the requests that a user or admin created, as [`creator_key`] writes it.
        pub CREATOR: Text = |request| creator_key(request.organization_id, request.kind, request.created_by);
        /// Finds the requests of an account; empty while there is none.
        pub USER_ID: Text = |request| request.user_id.map(|user| user.to_string()).unwrap_or_default();
    }
    indexes {
        [LIST, CREATED_AT],
        [EMAIL],
        [INDIVIDUAL],
        [CREATOR, CREATED_AT],
        [USER_ID],
    }
    counts { [LIST] }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
    }
}

/// An organization and a kind, as keys hold them.
#[must_use]
pub fn list_key(organization: OrganizationId, kind: OnboardKind) -> String {
    format!("{organization}/{}", kind.name())
}

/// An e-mail address in a list, as keys hold it.
#[must_use]
pub fn email_key(organization: OrganizationId, kind: OnboardKind, email: &EmailAddress) -> String {
    exact(format!("{}/{}", list_key(organization, kind), email.comparable()))
}

/// An individual in a list, as keys hold it.
#[must_use]
pub fn individual_key(organization: OrganizationId, kind: OnboardKind, individual: IndividualId) -> String {
    format!("{}/{individual}", list_key(organization, kind))
}

/// A creator in a list, as keys hold it.
#[must_use]
pub fn creator_key(organization: OrganizationId, kind: OnboardKind, creator: UserId) -> String {
    format!("{}/{creator}", list_key(organization, kind))
}

impl AggregateState for Progress {
    type Event = OnboardingEvent;
    const PERSONAL: &'static [&'static str] = &[
        "/email",
        "/phone",
        "/emailInvitation/error",
        "/emailInvitation/bounce/subtype",
        "/smsInvitation/error",
        "/smsInvitation/bounce/subtype",
    ];

    fn create(_: &RecordedEvent, change: &OnboardingEvent) -> Option<Self> {
        let OnboardingEvent::Created(request) = change else { return None };
        Some(Progress::of((**request).clone()))
    }

    fn change(mut self, _: &RecordedEvent, change: &OnboardingEvent) -> Option<Self> {
        self.evolve(change.clone());
        Some(self.without_digests())
    }
}
