//! Registrar's server: everything that touches the world. The rules are in `registrar-aggregates`, the read models in
//! `registrar-projections`; here they are stored, served and published.

pub mod access;
pub mod api;
pub mod auth;
pub mod bootstrap;
pub mod checkpoint;
pub mod cli;
pub mod committer;
pub mod config;
mod descriptors;
pub mod executor;
pub mod files;
pub mod folding;
pub mod followers;
pub mod heads;
pub mod history;
mod hosts;
pub mod idempotency;
pub mod journal;
pub mod merkle;
pub mod node;
pub mod outcome;
mod priority;
mod private_file;
pub mod processes;
pub mod publisher;
pub mod read_store;
pub mod replay;
pub mod security;
pub mod service_documents;
pub mod store;
pub mod telemetry;
pub mod vault;
pub mod workloads;
