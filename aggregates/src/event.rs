//! All events of the journal as one type, and what must be known of each.

use crate::{
    Claim, access_token::AccessTokenEvent, admin::AdminEvent, api_key::ApiKeyEvent, audit_access::AuditAccessEvent,
    checkin::CheckinEvent, checkpoint_key::CheckpointKeyEvent, feature::FeatureEvent, feature::setting::SettingEvent,
    group::GroupEvent, group::placement::PlacementEvent, group::staffing::StaffingEvent, group::tree::TreeEvent,
    individual::IndividualEvent, key_ring::KeyRingEvent, organization::OrganizationEvent, personal,
    personal::Disclosure, session::SessionEvent, session::guard::GuardEvent, task::TaskEvent, totp::TotpEvent,
    user::UserEvent, user::roster::RosterEvent,
};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What the journal has to know of an event type beside its payload.
pub trait EventFacts: cqrs_es::DomainEvent {
    /// Whether the stream is about one person (or holds secrets), whose key is filed under the aggregate's id.
    const HAS_SUBJECT: bool = false;

    /// Identifier of the person (or holder of secrets) that the event of the stream `aggregate_id` is about. Its key
    /// seals the personal members. Nobody's events have no personal members.
    fn subject(&self, aggregate_id: &str) -> Option<String> {
        Self::HAS_SUBJECT.then(|| aggregate_id.to_owned())
    }

    /// Unique keys that the event takes or releases. A pure function of the event.
    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }

    /// Patterns of payload members that nobody may be shown: hashes and keys. They are personal, and so stored sealed.
    fn secret_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it changes an address, a password, a second factor or a role. Principals that act for another one do none
    /// of that: the executor refuses to append such an event on behalf of somebody.
    fn own_act(&self) -> bool {
        false
    }

    /// Why just this happened, where the caller gave it a reason of its own; else that of the whole command counts.
    fn reason(&self) -> Option<&str> {
        None
    }

    /// Remark on just this, where the caller made one.
    fn comment(&self) -> Option<&str> {
        None
    }
}

/// Tells the events of one aggregate out of all.
pub trait OfDomain: Sized {
    /// The event, if it is of this aggregate.
    fn of(event: &DomainEvent) -> Option<&Self>;
}

/// A stored event that this release has no type for.
#[derive(Debug, thiserror::Error)]
pub enum UnknownEvent {
    /// No aggregate of that name.
    #[error("unknown aggregate type {0:?}")]
    Aggregate(String),
    /// The payload does not have the shape of its type.
    #[error("payload of an event of aggregate type {aggregate_type:?} does not have its shape")]
    Payload {
        /// Aggregate type of the event.
        aggregate_type: String,
        /// What did not fit.
        source: serde_json::Error,
    },
}

macro_rules! domain_events {
    ($($(#[$doc:meta])* $variant:ident($event:ty) of $aggregate:ty,)*) => {
        /// Any event of the directory.
        #[derive(Debug, Clone, PartialEq)]
        pub enum DomainEvent {
            $($(#[$doc])* $variant($event),)*
        }

        $(impl From<$event> for DomainEvent {
            fn from(event: $event) -> Self {
                DomainEvent::$variant(event)
            }
        })*

        $(impl OfDomain for $event {
            fn of(event: &DomainEvent) -> Option<&Self> {
                match event {
                    DomainEvent::$variant(event) => Some(event),
                    _ => None,
                }
            }
        })*

        impl DomainEvent {
            /// Names of all events that there are.
            pub fn event_types() -> impl Iterator<Item = &'static str> {
                [$(<$event>::NAMES,)*].into_iter().flatten().copied()
            }

            /// Kebab-case name of the aggregate, e.g. `admin`.
            #[must_use]
            pub fn aggregate_type(&self) -> &'static str {
                match self { $(DomainEvent::$variant(_) => <$aggregate as cqrs_es::Aggregate>::TYPE,)* }
            }

            /// Stable name of the event, e.g. `admin.registered`.
            #[must_use]
            pub fn event_type(&self) -> String {
                match self { $(DomainEvent::$variant(event) => cqrs_es::DomainEvent::event_type(event),)* }
            }

            /// Version of the payload's shape, e.g. `1.0`.
            #[must_use]
            pub fn event_version(&self) -> String {
                match self { $(DomainEvent::$variant(event) => cqrs_es::DomainEvent::event_version(event),)* }
            }

            /// See [`EventFacts::claims`].
            #[must_use]
            pub fn claims(&self) -> Vec<Claim> {
                match self { $(DomainEvent::$variant(event) => event.claims(),)* }
            }

            /// What of the payload is not personal.
            #[must_use]
            pub fn disclosure(&self) -> &'static Disclosure {
                match self { $(DomainEvent::$variant(event) => event.disclosure(),)* }
            }

            /// What of the payload of an event type is not personal; `None` for a type that this release does not know.
            #[must_use]
            pub fn disclosure_of(event_type: &str) -> Option<&'static Disclosure> {
                static ALL: LazyLock<HashMap<&'static str, &'static Disclosure>> = LazyLock::new(|| {
                    let all = [$((<$event>::NAMES, <$event>::DISCLOSURES),)*];
                    all.into_iter().flat_map(|(names, of)| names.iter().copied().zip(of)).collect()
                });
                ALL.get(event_type).copied()
            }

            /// See [`EventFacts::subject`].
            #[must_use]
            pub fn subject(&self, aggregate_id: &str) -> Option<String> {
                match self { $(DomainEvent::$variant(event) => event.subject(aggregate_id),)* }
            }

            /// See [`EventFacts::secret_fields`].
            #[must_use]
            pub fn secret_fields(&self) -> &'static [&'static str] {
                match self { $(DomainEvent::$variant(event) => event.secret_fields(),)* }
            }

            /// See [`EventFacts::own_act`].
            #[must_use]
            pub fn own_act(&self) -> bool {
                match self { $(DomainEvent::$variant(event) => event.own_act(),)* }
            }

            /// See [`EventFacts::reason`].
            #[must_use]
            pub fn reason(&self) -> Option<&str> {
                match self { $(DomainEvent::$variant(event) => event.reason(),)* }
            }

            /// See [`EventFacts::comment`].
            #[must_use]
            pub fn comment(&self) -> Option<&str> {
                match self { $(DomainEvent::$variant(event) => event.comment(),)* }
            }

            /// The event with `***` in place of every secret: what may be shown, and replayed to states that may be.
            ///
            /// # Errors
            /// `Payload`; secrets are texts, so there is none.
            pub fn masked(self) -> Result<Self, UnknownEvent> {
                let (secrets, aggregate_type) = (self.secret_fields(), self.aggregate_type());
                if secrets.is_empty() {
                    return Ok(self);
                }
                let mut payload = self.to_payload().map_err(|source| UnknownEvent::Payload {
                    aggregate_type: aggregate_type.to_owned(),
                    source,
                })?;
                personal::replace(&mut payload, secrets, personal::SECRET);
                DomainEvent::from_payload(aggregate_type, payload)
            }

            /// The payload as JSON, personal values in the clear.
            ///
            /// # Errors
            /// A value that JSON cannot express; no event has one.
            pub fn to_payload(&self) -> serde_json::Result<Value> {
                match self { $(DomainEvent::$variant(event) => serde_json::to_value(event),)* }
            }

            /// Reads a payload of today's shape.
            ///
            /// # Errors
            /// `Aggregate` or `Payload` where this release does not know it.
            pub fn from_payload(aggregate_type: &str, payload: Value) -> Result<Self, UnknownEvent> {
                match aggregate_type {
                    $(<$aggregate as cqrs_es::Aggregate>::TYPE => serde_json::from_value(payload)
                        .map(DomainEvent::$variant)
                        .map_err(|source| UnknownEvent::Payload { aggregate_type: aggregate_type.to_owned(), source }),)*
                    _ => Err(UnknownEvent::Aggregate(aggregate_type.to_owned())),
                }
            }
        }

        /// The state of any aggregate, for whoever replays history.
        #[derive(Debug, Clone)]
        pub enum AnyAggregate {
            $($(#[$doc])* $variant(Box<$aggregate>),)*
        }

        impl AnyAggregate {
            /// Kebab-case names of all aggregate types.
            pub const TYPES: &'static [&'static str] = &[$(<$aggregate as cqrs_es::Aggregate>::TYPE),*];

            /// An aggregate before its first event; `None` for a type that does not exist.
            #[must_use]
            pub fn absent(aggregate_type: &str) -> Option<Self> {
                match aggregate_type {
                    $(<$aggregate as cqrs_es::Aggregate>::TYPE => Some(AnyAggregate::$variant(Box::default())),)*
                    _ => None,
                }
            }

            /// Names of the aggregate types of which commands never ask for what happened before; see
            /// [`crate::Decide::LOADED`].
            pub fn never_loaded() -> impl Iterator<Item = &'static str> {
                let loaded = [$((<$aggregate as cqrs_es::Aggregate>::TYPE, <$aggregate as crate::Decide>::LOADED)),*];
                loaded.into_iter().filter(|(_, loaded)| !loaded).map(|(name, _)| name)
            }

            /// Names of the aggregate types that have snapshots, with how they are kept.
            pub fn snapshots() -> impl Iterator<Item = (&'static str, crate::Snapshots)> {
                let all = [$((<$aggregate as cqrs_es::Aggregate>::TYPE, <$aggregate as crate::Decide>::SNAPSHOT)),*];
                all.into_iter().filter_map(|(name, snapshots)| Some((name, snapshots?)))
            }

            /// An aggregate as its snapshot holds it; `None` for a type that does not exist or another shape.
            #[must_use]
            pub fn from_snapshot(aggregate_type: &str, state: Value) -> Option<Self> {
                match aggregate_type {
                    $(<$aggregate as cqrs_es::Aggregate>::TYPE => {
                        serde_json::from_value(state).ok().map(|state| AnyAggregate::$variant(Box::new(state)))
                    })*
                    _ => None,
                }
            }

            /// The state for a snapshot, personal values in the clear.
            ///
            /// # Errors
            /// A value that JSON cannot express; no state has one.
            pub fn to_snapshot(&self) -> serde_json::Result<Value> {
                match self { $(AnyAggregate::$variant(state) => serde_json::to_value(state),)* }
            }

            /// What becomes of it by `event`; by one of another type nothing.
            pub fn apply(&mut self, event: DomainEvent) {
                match (self, event) {
                    $((AnyAggregate::$variant(state), DomainEvent::$variant(event)) => {
                        cqrs_es::Aggregate::apply(&mut **state, event);
                    })*
                    _ => {}
                }
            }

            /// See [`crate::Decide::shown`].
            #[must_use]
            pub fn shown(&self) -> Option<Value> {
                match self { $(AnyAggregate::$variant(state) => crate::Decide::shown(&**state),)* }
            }
        }
    };
}

domain_events! {
    /// Of an admin.
    Admin(AdminEvent) of crate::admin::Admin,
    /// Of an organization.
    Organization(OrganizationEvent) of crate::organization::Organization,
    /// Of the keys that sign tokens.
    KeyRing(KeyRingEvent) of crate::key_ring::KeyRing,
    /// Of an issued access token.
    AccessToken(AccessTokenEvent) of crate::access_token::AccessToken,
    /// Of somebody reading the audit trail.
    AuditAccess(AuditAccessEvent) of crate::audit_access::AuditAccess,
    /// Of an API key.
    ApiKey(ApiKeyEvent) of crate::api_key::ApiKey,
    /// Of the key that signs checkpoints.
    CheckpointKey(CheckpointKeyEvent) of crate::checkpoint_key::CheckpointKey,
    /// Of a user.
    User(UserEvent) of crate::user::User,
    /// Of the enabled admins of an organization, or of the system.
    Roster(RosterEvent) of crate::user::roster::Roster,
    /// Of a session.
    Session(SessionEvent) of crate::session::Session,
    /// Of the guard in front of sign-in.
    Guard(GuardEvent) of crate::session::guard::Guard,
    /// Of a second factor.
    Totp(TotpEvent) of crate::totp::Totp,
    /// Of a feature.
    Feature(FeatureEvent) of crate::feature::Feature,
    /// Of the setting of a feature.
    Setting(SettingEvent) of crate::feature::setting::FeatureSetting,
    /// Of an individual.
    Individual(IndividualEvent) of crate::individual::Individual,
    /// Of a group.
    Group(GroupEvent) of crate::group::Group,
    /// Of the tree of an organization's groups.
    Tree(TreeEvent) of crate::group::tree::Tree,
    /// Of the places of an individual.
    Placement(PlacementEvent) of crate::group::placement::Placement,
    /// Of the posts of a user.
    Staffing(StaffingEvent) of crate::group::staffing::Staffing,
    /// Of a device telling of itself.
    Checkin(CheckinEvent) of crate::checkin::Checkin,
    /// Of work that goes on by itself.
    Task(TaskEvent) of crate::task::Task,
}

/// Gives each event its name and version for the journal, and lists the texts of its payload that are *not* personal: a text
/// that nobody thought of is sealed. A test holds the names to the `type` member that serde writes, and the lists to what
/// the events have.
macro_rules! event_names {
    ($event:ident { $(
        $variant:ident => $name:literal @ $version:literal,
        clear [$($clear:literal),* $(,)?] $(whole [$($whole:literal),*])?;
    )* }) => {
        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                match self { $($event::$variant { .. } => $name,)* }.to_owned()
            }

            fn event_version(&self) -> String {
                match self { $($event::$variant { .. } => $version,)* }.to_owned()
            }
        }

        impl $event {
            /// All names. A test compares them with what serde writes.
            pub(crate) const NAMES: &'static [&'static str] = &[$($name),*];

            /// What of each is not personal, in the order of the names.
            pub(crate) const DISCLOSURES: &'static [crate::personal::Disclosure] = &[$(
                crate::personal::Disclosure { clear: &[$($clear),*], whole: &[$($($whole),*)?] },
            )*];

            pub(crate) fn disclosure(&self) -> &'static crate::personal::Disclosure {
                match self { $($event::$variant { .. } => {
                    &crate::personal::Disclosure { clear: &[$($clear),*], whole: &[$($($whole),*)?] }
                })* }
            }
        }
    };
}
pub(crate) use event_names;

#[cfg(test)]
mod tests;
