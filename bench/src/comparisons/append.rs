//! One event per command, into a new stream that must not exist yet.

use super::Bench;
use crate::contenders::disintegrate::Disintegrate;
use crate::contenders::message_db::{self, MessageDb};
use crate::contenders::pgbench::PgBench;
use crate::contenders::registrar::Registrar;
use crate::contenders::{driven, emmett, npm};
use crate::report::{Goal, Line, Side};
use crate::rounds::{Round, Rounds, Subject};
use crate::workload::Work;
use std::path::PathBuf;

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let message_db = installed(bench, "message-db", "bench-npm", message_db::PACKAGES).await;
    let emmett = if bench.options.emmett {
        installed(bench, "Emmett", "bench-npm-emmett", emmett::PACKAGES).await
    } else {
        bench.left_out.push("Emmett: it has no licence, so it runs only with `--emmett`".into());
        None
    };
    if cfg!(not(feature = "esrs")) {
        bench.left_out.push("esrs: built without `--features esrs`, which needs OpenSSL's headers".into());
    }
    let clients = if bench.options.smoke { 4 } else { 64 };
    let connections = bench.connections(clients);
    let mut found = Vec::new();
    for (what, work) in [("append of a registration", Work::Registrations), ("append of a note", Work::Notes)] {
        let mut databases = Vec::new();
        for _ in 0..6 {
            databases.push(bench.servers.database().await?);
        }
        let url = |place: usize| databases[place].url.as_str();
        let mut subjects: Vec<Box<dyn Subject>> = vec![
            driven(Registrar::open(databases[0].settings(), work).await?, work),
            driven(Disintegrate::open(url(1), connections).await?, work),
        ];
        #[cfg(feature = "esrs")]
        subjects.push(driven(crate::contenders::esrs::Esrs::open(url(2), connections).await?, work));
        if let Some(node_modules) = &message_db {
            subjects.push(driven(MessageDb::open(url(3), connections, node_modules).await?, work));
        }
        if let Some(node_modules) = &emmett {
            subjects.push(emmett::start(url(4), connections, work, node_modules)?);
        }
        subjects.push(Box::new(PgBench::open(url(5), work, bench.servers.folder()).await?));
        let measured = bench.measure(&subjects, clients).await?;
        drop(subjects);
        for database in databases {
            bench.servers.drop(database).await?;
        }
        found.extend(lines(what, clients, &measured)?);
    }
    Ok(found)
}

/// The installed packages of a contender; `None`, with a note in the report, if they cannot be installed here.
async fn installed(bench: &mut Bench, what: &str, folder: &str, packages: &str) -> Option<PathBuf> {
    let installed = npm::install(folder, packages, !bench.options.smoke).await;
    installed.map_err(|reason| bench.left_out.push(format!("{what}: {reason}"))).ok()
}

/// A line for every store; the goal is on that of the fastest. The last contender, the floor, is no store.
fn lines(what: &str, clients: usize, measured: &[Rounds]) -> anyhow::Result<Vec<Line>> {
    let (ours, others) = measured.split_first().ok_or_else(|| anyhow::anyhow!("nothing was measured"))?;
    let (stores, _) = others.split_at(others.len() - 1);
    let rate = |rounds: &Rounds| Side::of(rounds, Round::per_second).map(|side| side.figure.median);
    let mut fastest = (0, 0.0);
    for (place, store) in stores.iter().enumerate() {
        if rate(store)? > fastest.1 {
            fastest = (place, rate(store)?);
        }
    }
    let lines = others.iter().enumerate().map(|(place, other)| {
        let sides = (Side::of(ours, Round::per_second)?, Side::of(other, Round::per_second)?);
        let line = Line::new(what, "commands/s", sides.0, Some(sides.1)).at(clients);
        Ok(if place == fastest.0 {
            line.goal(Some(Goal::AtLeast(2.0))).note("The fastest of the other stores in this run.")
        } else {
            line
        })
    });
    lines.collect()
}
