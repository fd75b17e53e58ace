//! Emmett's PostgreSQL event store, driven by a small program, since it is a library for Node.js. It has no licence
//! (see its README), so it is installed and run only on request.

use super::spawned::SpawnedContender;
use crate::rounds::Subject;
use crate::workload::{Fact, Work};
use anyhow::Context;
use std::path::Path;
use tokio::process::Command;
use uuid::Uuid;

pub(crate) const PACKAGES: &str = "@event-driven-io/emmett@0.42.0\n@event-driven-io/emmett-postgresql@0.42.0\n\
    @event-driven-io/pongo@0.16.11\n";
const PROGRAM: &str = include_str!("emmett.mjs");

pub(crate) fn start(url: &str, connections: u32, work: Work, node_modules: &Path) -> anyhow::Result<Box<dyn Subject>> {
    let folder = node_modules.parent().context("no folder")?;
    let program = folder.join("emmett.mjs");
    std::fs::write(&program, PROGRAM)?;
    // One event as the template of all others; each gets its own identifiers.
    let command = work.commands(Uuid::now_v7())?.into_iter().next().context("no command")?;
    let Fact { aggregate_type, event_type, payload, .. } = command.fact()?;
    let mut node = Command::new("node");
    node.arg(program).env("BENCH_DATABASE_URL", url).env("BENCH_CONNECTIONS", connections.to_string());
    node.env("BENCH_STREAM_TYPE", aggregate_type).env("BENCH_EVENT_TYPE", event_type);
    node.env("BENCH_PAYLOAD", payload.to_string());
    Ok(Box::new(SpawnedContender::start("Emmett (Node.js)", vec![node])?))
}
