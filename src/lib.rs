//! Registrar's server: storage, APIs and publishing. The rules are in `registrar-aggregates`, the read models in
//! `registrar-projections`.
//!
//! Imports between the modules go one way (the test `tests/e2e/rooms.rs`); `ARCHITECTURE.md` has the picture.

pub mod access;
pub mod api;
pub mod archives;
pub mod auth;
pub mod checkpoint;
pub mod cli;
pub mod committer;
pub mod config;
pub mod executor;
pub mod followers;
pub mod journal;
pub mod journal_files;
pub mod json_schema;
pub mod merkle;
pub mod messages;
pub mod node;
pub mod processes;
pub mod publisher;
pub mod read_store;
pub mod security;
pub mod store;
pub mod telemetry;
pub mod vault;
