//! The shape all aggregates share.

use crate::{DomainEvent, EventFacts, OfDomain};

/// How states of an aggregate are kept as snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshots {
    /// Number of the shape in which states are serialised, from 1 up. A snapshot of another shape is not read: a change of
    /// the shape raises it, and a test holds the two together.
    pub shape: u32,
    /// Members of the state with personal values, as the patterns of [`crate::personal`].
    pub personal: &'static [&'static str],
}

/// An aggregate whose decisions are plain functions of state and command.
pub trait Decide:
    cqrs_es::Aggregate<
        Command: Clone + Send + Sync,
        Event: EventFacts + OfDomain + Into<DomainEvent>,
        Error: Send + Sync + 'static,
    > + Clone
    + 'static
{
    /// For an aggregate whose streams grow long enough to be worth snapshots; `None` for one that is always read from its
    /// events.
    const SNAPSHOT: Option<Snapshots> = None;

    /// Whether a command is ever decided by what happened before. Of an aggregate for which that is not so nothing has
    /// to be kept when its events are archived.
    const LOADED: bool = true;

    /// Whether `command` can only be meant for an aggregate that does not exist yet. It is then decided without
    /// looking for one first; should there be one after all, the commit finds out and it is decided again.
    fn creates(_command: &Self::Command) -> bool {
        false
    }

    /// Decides what `command` means in this state. Changes nothing, reads no clock.
    ///
    /// An empty list means that what was asked for is already so.
    ///
    /// # Errors
    /// The aggregate's own refusals.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// The state as auditors see it, `None` as long as the aggregate does not exist; see [`crate::shown`].
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
