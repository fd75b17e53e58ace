//! The cloud organizations dialect: the organization of an API key, what happened in it, and its keys, at their
//! published paths.
//!
//! Translation only: wire shapes to commands and queries and back. Permissions are checked in [`guard`].

pub mod activities;
pub mod envelope;
pub mod guard;
pub mod key_requests;
pub mod key_responses;
pub mod keys;
pub mod parameters;
pub mod refusals;
pub mod requests;
pub mod responses;
pub mod routes;
