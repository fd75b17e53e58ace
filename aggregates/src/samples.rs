//! Sample events for the tests of every aggregate.

use crate::facts::EventTypes;

/// Sample events of one aggregate. A test fails for an event type without one.
pub(crate) trait Samples: EventTypes + Sized {
    /// The largest event of every type, in the order of the types.
    fn samples() -> Vec<Self>;

    /// Further events of these types, with members that exclude those of the samples.
    fn alternatives() -> Vec<Self> {
        vec![]
    }
}
