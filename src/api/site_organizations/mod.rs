//! The site service's organizations dialect: the documented replacement of an organization, and the operations that it
//! needs to create and read one.
//!
//! Translation only: wire shapes to commands and queries and back.

mod objects;
pub mod parameters;
pub mod refusals;
pub mod requests;
pub mod responses;
pub mod routes;
pub mod schemas;
