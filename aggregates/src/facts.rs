//! Properties of an event for the journal, the audit trail and subscribers, beside its payload. Each aggregate declares
//! them beside its events; [`crate::event`] lists them all.

use crate::Claim;
use crate::personal::Disclosure;

/// Effect of an event on the audited record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The record was created.
    Insert,
    /// The record changed. The event carries the new values.
    Update,
    /// The record lost a part. The event carries the former values.
    Withdraw,
    /// The record was removed.
    Delete,
}

/// Declaration of one event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventType {
    /// Stable name, e.g. `admin.registered`.
    pub name: &'static str,
    /// Version of the payload's shape, e.g. `1.0`.
    pub version: &'static str,
    /// Effect on the audited record.
    pub effect: Effect,
    /// Kind of that record, where it differs from that of the aggregate.
    pub entity: Option<&'static str>,
    /// Members of the payload that are not personal.
    pub disclosure: Disclosure,
}

/// The declarations of an aggregate's events; [`event_names!`] implements it.
pub trait EventTypes: cqrs_es::DomainEvent {
    /// All event types, in the order of the variants.
    const TYPES: &'static [EventType];

    /// The declaration of this event's type.
    fn declared(&self) -> &'static EventType;
}

/// Properties of an event's value for the journal.
pub trait EventFacts: EventTypes {
    /// Whether the stream belongs to one person (or holds secrets), whose key is filed under the aggregate's id.
    const HAS_SUBJECT: bool = false;

    /// Identifier of the person (or holder of secrets) in the stream `aggregate_id`. That subject's key seals the
    /// personal members. Events without a subject have no personal members.
    fn subject(&self, aggregate_id: &str) -> Option<String> {
        Self::HAS_SUBJECT.then(|| aggregate_id.to_owned())
    }

    /// Unique keys that the event takes or releases. A pure function of the event.
    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }

    /// Patterns of payload members that are never shown: hashes and keys. They are personal, and so stored sealed.
    fn secret_fields(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether the event changes an address, a password, a second factor or a role. Principals that act for another one
    /// do none of that: the executor refuses to append such an event on behalf of another principal.
    fn own_act(&self) -> bool {
        false
    }

    /// Reason of this event, if the caller gave it a separate one; otherwise that of the whole command applies.
    fn reason(&self) -> Option<&str> {
        None
    }

    /// Remark on this event alone, if the caller made one.
    fn comment(&self) -> Option<&str> {
        None
    }
}

/// Source of the audit entries of an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditSource {
    /// The event's members are the changed values.
    Told,
    /// The document with the aggregate's state is compared before and after the event.
    Compared,
    /// The projection writes the entries by hand, in the terms of a published API.
    ByHand,
}

/// Declares each event once: name and version for the journal, effect for the audit trail, and the texts of the payload
/// that are *not* personal: unlisted texts are sealed. `of` names the kind of record where it differs from the
/// aggregate's. A test compares the names with the `type` member that serde writes, and the lists with the members of
/// the events.
macro_rules! event_names {
    ($event:ident { $(
        $variant:ident => $name:literal @ $version:literal $effect:ident $(of $entity:literal)?,
        clear [$($clear:literal),* $(,)?] $(whole [$($whole:literal),*])?;
    )* }) => {
        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                $crate::facts::EventTypes::declared(self).name.to_owned()
            }

            fn event_version(&self) -> String {
                $crate::facts::EventTypes::declared(self).version.to_owned()
            }
        }

        impl $crate::facts::EventTypes for $event {
            const TYPES: &'static [$crate::facts::EventType] = &[$($crate::facts::EventType {
                name: $name,
                version: $version,
                effect: $crate::facts::Effect::$effect,
                entity: $crate::facts::first(&[$($entity)?]),
                disclosure: $crate::personal::Disclosure { clear: &[$($clear),*], whole: &[$($($whole),*)?] },
            },)*];

            fn declared(&self) -> &'static $crate::facts::EventType {
                // Variants in the order of the declarations.
                #[allow(clippy::enum_variant_names)]
                enum Place { $($variant),* }
                let place = match self { $($event::$variant { .. } => Place::$variant,)* };
                &Self::TYPES[place as usize]
            }
        }
    };
}
pub(crate) use event_names;

/// The only element, if given; for [`event_names!`].
pub(crate) const fn first(given: &[&'static str]) -> Option<&'static str> {
    match given {
        [one, ..] => Some(one),
        [] => None,
    }
}
