//! The events of all aggregates as one type, generated from the list of all aggregates (`every_aggregate!`, in the root
//! of the crate), and the declarations of each.
//!
//! Nothing is derived from names. `event_names!`, beside the events of an aggregate, declares name, version, effect on
//! the audited record, and the texts that are not personal. `aggregates/events.txt` lists names, versions and these
//! texts; lines are only ever added. `docs/asyncapi.json` is generated from types, their comments, these declarations and
//! `docs/asyncapi.frame.json`. Tests compare the files; `UPDATE=1` writes them.

use crate::facts::{AuditSource, EventFacts, EventType, EventTypes};
use crate::personal::{self, Disclosure};
use crate::{Claim, every_aggregate};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Selects the events of one aggregate from those of all. Defined here and not in [`crate::facts`], since it names the
/// type of all events.
pub trait FromDomainEvent: Sized {
    /// The event, if it belongs to this aggregate.
    fn of(event: &DomainEvent) -> Option<&Self>;
}

/// A stored event of a type that this release does not know.
#[derive(Debug, thiserror::Error)]
pub enum UnknownEvent {
    /// Unknown aggregate type.
    #[error("unknown aggregate type {0:?}")]
    Aggregate(String),
    /// The payload does not have the shape of its type.
    #[error("payload of an event of aggregate type {aggregate_type:?} does not have its shape")]
    Payload {
        /// Aggregate type of the event.
        aggregate_type: String,
        /// The deserialisation error.
        source: serde_json::Error,
    },
}

macro_rules! domain_events {
    ($(
        $(#[$doc:meta])* $variant:ident: $aggregate:ty, $event:ty, $source:ident $entity:literal
        $(, refuses $error:ty)?;
    )*) => {
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

        $(impl FromDomainEvent for $event {
            fn of(event: &DomainEvent) -> Option<&Self> {
                match event {
                    DomainEvent::$variant(event) => Some(event),
                    _ => None,
                }
            }
        })*

        impl DomainEvent {
            /// Declarations of all event types, in the order of their entry.
            pub fn declarations() -> impl Iterator<Item = &'static EventType> {
                [$(<$event>::TYPES,)*].into_iter().flatten()
            }

            /// Names of all event types.
            pub fn event_types() -> impl Iterator<Item = &'static str> {
                Self::declarations().map(|declared| declared.name)
            }

            /// Kebab-case name of the aggregate, e.g. `admin`.
            #[must_use]
            pub fn aggregate_type(&self) -> &'static str {
                match self { $(DomainEvent::$variant(_) => <$aggregate as cqrs_es::Aggregate>::TYPE,)* }
            }

            /// Stable name of the event, e.g. `admin.registered`.
            #[must_use]
            pub fn event_type(&self) -> String {
                self.declared().name.to_owned()
            }

            /// Version of the payload's shape, e.g. `1.0`.
            #[must_use]
            pub fn event_version(&self) -> String {
                self.declared().version.to_owned()
            }

            /// See [`EventTypes::declared`].
            #[must_use]
            pub fn declared(&self) -> &'static EventType {
                match self { $(DomainEvent::$variant(event) => event.declared(),)* }
            }

            /// Source of the audit entry of this event.
            #[must_use]
            pub fn audit_source(&self) -> AuditSource {
                match self { $(DomainEvent::$variant(_) => AuditSource::$source,)* }
            }

            /// Kind of the audited record, in Pascal case.
            #[must_use]
            pub fn entity(&self) -> &'static str {
                let own = match self { $(DomainEvent::$variant(_) => $entity,)* };
                self.declared().entity.unwrap_or(own)
            }

            /// See [`EventFacts::claims`].
            #[must_use]
            pub fn claims(&self) -> Vec<Claim> {
                match self { $(DomainEvent::$variant(event) => event.claims(),)* }
            }

            /// Members of the payload that are not personal.
            #[must_use]
            pub fn disclosure(&self) -> &'static Disclosure {
                &self.declared().disclosure
            }

            /// Members of the payload of an event type that are not personal; `None` for a type that this release does
            /// not know.
            #[must_use]
            pub fn disclosure_of(event_type: &str) -> Option<&'static Disclosure> {
                static ALL: LazyLock<HashMap<&'static str, &'static Disclosure>> = LazyLock::new(|| {
                    DomainEvent::declarations().map(|declared| (declared.name, &declared.disclosure)).collect()
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

            /// The event with `***` in place of every secret: safe to show, and to replay into states that are shown.
            ///
            /// # Errors
            /// `Payload`; does not happen, since secrets are texts.
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

            /// The payload as JSON, personal values unsealed.
            ///
            /// # Errors
            /// A value that JSON cannot express; no event has one.
            pub fn to_payload(&self) -> serde_json::Result<Value> {
                match self { $(DomainEvent::$variant(event) => serde_json::to_value(event),)* }
            }

            /// Reads a payload of the current shape.
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
    };
}

every_aggregate!(domain_events);

#[cfg(test)]
mod tests;
