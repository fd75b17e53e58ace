//! The state of any aggregate, generated from the list of all aggregates.

use crate::{DomainEvent, every_aggregate};
use serde_json::Value;

macro_rules! any_aggregate {
    ($(
        $(#[$doc:meta])* $variant:ident: $aggregate:ty, $event:ty, $source:ident $entity:literal
        $(, refuses $error:ty)?;
    )*) => {
        /// The state of any aggregate, for the replay of events.
        #[derive(Debug, Clone)]
        pub enum AnyAggregate {
            $($(#[$doc])* $variant(Box<$aggregate>),)*
        }

        impl AnyAggregate {
            /// Kebab-case names of all aggregate types.
            pub const TYPES: &'static [&'static str] = &[$(<$aggregate as cqrs_es::Aggregate>::TYPE),*];

            /// An aggregate before its first event; `None` for an unknown type.
            #[must_use]
            pub fn absent(aggregate_type: &str) -> Option<Self> {
                match aggregate_type {
                    $(<$aggregate as cqrs_es::Aggregate>::TYPE => Some(AnyAggregate::$variant(Box::default())),)*
                    _ => None,
                }
            }

            /// Names of the aggregate types whose commands need no earlier events; see [`crate::Decide::LOADED`].
            pub fn never_loaded() -> impl Iterator<Item = &'static str> {
                let loaded = [$((<$aggregate as cqrs_es::Aggregate>::TYPE, <$aggregate as crate::Decide>::LOADED)),*];
                loaded.into_iter().filter(|(_, loaded)| !loaded).map(|(name, _)| name)
            }

            /// Names of the aggregate types with snapshots, and how they are kept.
            pub fn snapshots() -> impl Iterator<Item = (&'static str, crate::Snapshots)> {
                let all = [$((<$aggregate as cqrs_es::Aggregate>::TYPE, <$aggregate as crate::Decide>::SNAPSHOT)),*];
                all.into_iter().filter_map(|(name, snapshots)| Some((name, snapshots?)))
            }

            /// An aggregate from its snapshot; `None` for an unknown type or another shape.
            #[must_use]
            pub fn from_snapshot(aggregate_type: &str, state: Value) -> Option<Self> {
                match aggregate_type {
                    $(<$aggregate as cqrs_es::Aggregate>::TYPE => {
                        serde_json::from_value(state).ok().map(|state| AnyAggregate::$variant(Box::new(state)))
                    })*
                    _ => None,
                }
            }

            /// The state for a snapshot, personal values unsealed.
            ///
            /// # Errors
            /// A value that JSON cannot express; no state has one.
            pub fn to_snapshot(&self) -> serde_json::Result<Value> {
                match self { $(AnyAggregate::$variant(state) => serde_json::to_value(state),)* }
            }

            /// Applies `event`; ignores an event of another type.
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

every_aggregate!(any_aggregate);
