//! Commands in process, each answered after its read model is written.

use super::{Bench, goal_at};
use crate::contenders::crud::{Crud, Style};
use crate::contenders::driven;
use crate::contenders::registrar::Registrar;
use crate::contenders::spawned::SpawnedContender;
use crate::contenders::stock;
use crate::report::{Goal, Line, Side};
use crate::rounds::{Round, Rounds};
use crate::workload::Work;
use registrar::node::StoreSettings;
use tokio::process::Command;

const WORK: Work = Work::Directory;

/// A line in commands per second for each contender compared with Registrar, which comes first.
pub(super) fn lines(
    work: &str,
    clients: usize,
    measured: &[Rounds],
    goals: &[Option<Goal>],
) -> anyhow::Result<Vec<Line>> {
    let (ours, others) = measured.split_first().ok_or_else(|| anyhow::anyhow!("nothing was measured"))?;
    let lines = others.iter().enumerate().map(|(place, other)| {
        let sides = (Side::of(ours, Round::per_second)?, Side::of(other, Round::per_second)?);
        let goal = goals.get(place).copied().flatten();
        Ok(Line::new(work, "commands/s", sides.0, Some(sides.1)).at(clients).goal(goal))
    });
    lines.collect()
}

pub(super) async fn postgres(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let mut found = Vec::new();
    for clients in bench.clients(&[1, 16, 64, 256]) {
        let connections = bench.connections(clients);
        let mut databases = Vec::new();
        for _ in 0..4 {
            databases.push(bench.servers.database().await?);
        }
        let subjects = [
            driven(Registrar::open(databases[0].settings(), WORK).await?, WORK),
            driven(stock::postgres(&databases[1].url, connections).await?, WORK),
            driven(Crud::open(&databases[2].url, connections, Style::Transaction).await?, WORK),
            driven(Crud::open(&databases[3].url, connections, Style::Statement).await?, WORK),
        ];
        let measured = bench.measure(&subjects, clients).await?;
        drop(subjects);
        for database in databases {
            bench.servers.drop(database).await?;
        }
        let goals = [
            goal_at(&[(1, 1.5), (16, 4.0), (64, 5.0), (256, 5.0)], clients),
            goal_at(&[(1, 0.9), (16, 1.3), (64, 1.8)], clients),
        ];
        found.extend(lines("commands in process, PostgreSQL", clients, &measured, &goals)?);
    }
    Ok(found)
}

pub(super) async fn sqlite(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let mut found = Vec::new();
    for clients in bench.clients(&[1, 16, 64]) {
        let folders = [bench.servers.sqlite()?, bench.servers.sqlite()?];
        let settings = StoreSettings { database_url: None, data: folders[0].path().to_owned(), archives: None };
        let subjects = [
            driven(Registrar::open(settings, WORK).await?, WORK),
            stock::sqlite(&folders[1].path().join("stock.sqlite3"), bench.connections(clients)).await?,
        ];
        let measured = bench.measure(&subjects, clients).await?;
        let goals = [goal_at(&[(1, 1.0), (16, 4.0), (64, 8.0)], clients)];
        found.extend(lines("commands in process, SQLite, synchronous=FULL", clients, &measured, &goals)?);
    }
    Ok(found)
}

pub(super) async fn nodes(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let clients = if bench.options.smoke { 4 } else { 64 };
    let (shared, alone) = (bench.servers.database().await?, bench.servers.database().await?);
    // Migrated beforehand, so that the two processes do not race for the migrations.
    shared.run_registrar(&["migrate"]).await?;
    let subjects = [
        Box::new(SpawnedContender::start("Registrar, two processes", vec![drive(&shared)?, drive(&shared)?])?) as _,
        Box::new(SpawnedContender::start("Registrar, one process", vec![drive(&alone)?])?) as _,
    ];
    let measured = bench.measure(&subjects, clients).await?;
    drop(subjects);
    for database in [shared, alone] {
        bench.servers.drop(database).await?;
    }
    lines("commands in two processes on one PostgreSQL", clients, &measured, &[Some(Goal::AtLeast(0.8))])
}

/// A process of this program that executes commands on a database; see `protocol`.
fn drive(database: &crate::server::Database) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["drive", "--database-url", &database.url]).arg("--data").arg(database.settings().data);
    Ok(command)
}
