//! The trait that all aggregates share.

use crate::{DomainEvent, EventFacts, FromDomainEvent};

/// Storage of an aggregate's states as snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshots {
    /// Number of the serialised shape of states, from 1 up. A snapshot of another shape is not read, and one of a later
    /// shape not replaced: a change of the shape raises the number, and a test compares the two.
    pub shape: u32,
    /// Members of the state with personal values, as the patterns of [`crate::personal`].
    pub personal: &'static [&'static str],
}

/// An aggregate whose decisions are plain functions of state and command.
pub trait Decide:
    cqrs_es::Aggregate<
        Command: Clone + Send + Sync,
        Event: EventFacts + FromDomainEvent + Into<DomainEvent>,
        Error: Send + Sync + 'static,
    > + Clone
    + 'static
{
    /// Snapshots of an aggregate whose streams grow long enough to need them; `None` for one that is always replayed.
    const SNAPSHOT: Option<Snapshots> = None;

    /// Whether any command needs the earlier events. If not, archiving the events of the aggregate leaves nothing to
    /// keep.
    const LOADED: bool = true;

    /// Whether `command` only makes sense for an aggregate that does not exist yet. It is then decided without a load;
    /// if the aggregate exists after all, the commit fails and the command is decided again.
    fn creates(_command: &Self::Command) -> bool {
        false
    }

    /// Decides the events of `command` in this state. Changes nothing, reads no clock.
    ///
    /// An empty list means that the state is already as asked.
    ///
    /// # Errors
    /// The aggregate's own refusals.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// The state as shown to auditors, `None` for an aggregate that does not exist; see [`crate::shown`].
    fn shown(&self) -> Option<serde_json::Value> {
        crate::shown::state(self)
    }
}

/// Implements [`cqrs_es::Aggregate`] around `decide` and an inherent `evolve`.
macro_rules! aggregate {
    ($aggregate:ty, $name:literal, $command:ty, $event:ty, $error:ty) => {
        impl cqrs_es::Aggregate for $aggregate {
            const TYPE: &'static str = $name;
            type Command = $command;
            type Event = $event;
            type Error = $error;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                _services: &(),
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in $crate::Decide::decide(self, command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.evolve(event);
            }
        }
    };
}
pub(crate) use aggregate;

/// Declares an aggregate without state, each of whose streams is one event: a command is recorded as this event unless
/// its own `check` refuses it. A member of the command names the user whose key seals the personal values. Of the event
/// it says what `event_names!` needs: name, version, and the texts that are not personal.
macro_rules! record {
    (
        $(#[$doc:meta])*
        $record:ident $name:literal of $user:ident;
        $(#[$happened:meta])*
        $event:ident::$recorded:ident($command:ident) $event_name:tt @ $version:literal, clear [$($clear:literal),*]
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $record {}

        /// The only event of such a stream.
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(tag = "type")]
        pub enum $event {
            $(#[$happened])*
            #[serde(rename = $event_name)]
            $recorded($command),
        }

        $crate::facts::event_names!($event {
            $recorded => $event_name @ $version Insert, clear [$($clear),*];
        });

        impl $crate::facts::EventFacts for $event {
            fn subject(&self, _aggregate_id: &str) -> Option<String> {
                let $event::$recorded(recorded) = self;
                Some(recorded.$user.to_string())
            }
        }

        impl $record {
            fn evolve(&mut self, _event: $event) {}
        }

        impl $crate::Decide for $record {
            const LOADED: bool = false;

            fn creates(_command: &$command) -> bool {
                true
            }

            fn decide(&self, command: $command) -> Result<Vec<$event>, $crate::values::Finding> {
                command.check()?;
                Ok(vec![$event::$recorded(command)])
            }
        }

        $crate::decide::aggregate!($record, $name, $command, $event, $crate::values::Finding);
    };
}
pub(crate) use record;
