//! The ECG admins dialect: eight operations on admins and their audit trail, at their documented paths.
//!
//! Translation only: wire shapes to commands and queries and back.

pub mod parameters;
pub mod patch;
pub mod periods;
pub mod refusals;
pub mod requests;
pub mod responses;
pub mod routes;
pub mod schemas;
pub mod trails;
