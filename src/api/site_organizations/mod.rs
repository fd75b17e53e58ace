//! The site service's organizations dialect: the documented replacement of an organization, and its siblings, without
//! which nothing could come into being or be read back.
//!
//! Only translation: wire shapes to commands and queries and back.

mod objects;
pub mod parameters;
pub mod refusals;
pub mod requests;
pub mod responses;
pub mod routes;
pub mod schemas;
