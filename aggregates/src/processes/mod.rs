//! Processes: decisions over several aggregates, each committed as a whole or not at all.
//!
//! A process is a plain function over [`Streams`]. It decides by the loaded states and adds events to them. On a stream
//! that is not loaded it stops with [`Stop::Need`]; its runner loads the stream and runs it again from its start, so it
//! must be a pure function: all other inputs (new identifiers, the time, hashes) are arguments. There is no I/O here:
//! the executor loads, commits and retries.

pub mod accounts;
pub mod codes;
pub mod features;
pub mod general_messages;
pub mod groups;
pub mod guards;
pub mod membership;
pub mod messages;
pub mod moves;
pub mod onboarding;
pub mod organization_codes;
pub mod organizations;
pub mod registration_invitations;
pub mod second_factor;
pub mod service_documents;
pub mod sessions;
pub mod sign_in;
pub mod sign_up;
pub mod streams;
pub mod templates;
#[cfg(test)]
mod testing;
pub mod url_shorteners;

pub use streams::{DecidedStream, LoadedStream, MissingStream, Need, State, StreamId, Streams};

use crate::{Decide, Refusal};
use std::fmt::Display;

/// The reason why a process stops before its end.
#[derive(Debug)]
pub enum Stop<E> {
    /// Streams are not loaded.
    Need(Vec<MissingStream>),
    /// A stream is not at the version that the caller named.
    OtherVersion,
    /// The process refuses.
    Refused(E),
}

impl<E> From<Need> for Stop<E> {
    fn from(Need(streams): Need) -> Self {
        Stop::Need(streams)
    }
}

impl<E: Into<Refusal>> From<E> for Stop<Refusal> {
    fn from(refusal: E) -> Self {
        Stop::Refused(refusal.into())
    }
}

impl<E> Stop<E> {
    /// Converts the refusal.
    pub fn map<F>(self, refusal: impl FnOnce(E) -> F) -> Stop<F> {
        match self {
            Stop::Need(streams) => Stop::Need(streams),
            Stop::OtherVersion => Stop::OtherVersion,
            Stop::Refused(refused) => Stop::Refused(refusal(refused)),
        }
    }
}

/// Result of a process over several aggregates.
pub type Step<T> = Result<T, Stop<Refusal>>;

fn refused<T>(refusal: impl Into<Refusal>) -> Step<T> {
    Err(Stop::Refused(refusal.into()))
}

/// Stops unless the aggregate is at the version that the caller named, if any.
fn check_version<A: Decide>(streams: &mut Streams, id: impl Display, expected: Option<u64>) -> Step<()> {
    match expected {
        Some(expected) if streams.version::<A>(id)? != expected => Err(Stop::OtherVersion),
        _ => Ok(()),
    }
}
