//! Registrar's domain, pure: commands, refusals and events.
//!
//! An aggregate decides synchronously from its state and a command; every input from outside (time, ids, hashes, data
//! of other aggregates) comes in with the command. There is deliberately no database, network, clock, randomness or
//! async code here; the test `domain_is_pure` enforces it.
//!
//! A decision over one aggregate is in the aggregate's module; one over several is in [`processes`]. The declaration
//! of all aggregates is in [`event`].

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
pub mod granting;
pub mod group;
pub mod individual;
pub mod key_ring;
pub mod metadata;
pub mod organization;
pub mod personal;
pub mod processes;
pub mod refusal;
#[cfg(test)]
pub(crate) mod samples;
pub mod session;
pub mod shown;
pub mod task;
pub mod text;
pub mod totp;
pub mod upcast;
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
