//! End-to-end tests. Those that need PostgreSQL or NATS use private servers that `./scripts/test` starts.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs,
    reason = "a test that cannot go on may panic; nobody reads its API"
)]

mod contract;
mod fault_nats;
mod followers;
mod journal;
mod publishing;
mod support;
