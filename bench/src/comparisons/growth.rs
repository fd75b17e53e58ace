//! The cost of growth: the same work in a directory that grows tenfold, twice.

use super::Bench;
use crate::contenders::over_http::{HttpContender, Requests, StoredCheck};
use crate::directories::grow;
use crate::plot::{self, Point};
use crate::report::{Line, Side};
use crate::rounds::{Round, Rounds, Subject};
use std::sync::Arc;

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let clients = if bench.options.smoke { 2 } else { 64 };
    let (few, many) = (bench.options.few_admins, bench.options.admins);
    // Equal steps on a logarithmic scale.
    let between = ((few as f64) * (many as f64)).sqrt().round() as u64;
    let database = bench.servers.database().await?;
    let mut stages: Vec<(u64, Rounds, f64)> = Vec::new();
    for admins in [few, between, many] {
        grow(&database, admins).await?;
        let token = database.token().await?;
        let served = Arc::new(database.serve().await?);
        let subjects = [Box::new(HttpContender::new(
            &format!("Registrar at {admins} admins"),
            &served,
            &token,
            Requests::Renames(admins),
            StoredCheck::Registrar(database.clone()),
        )) as Box<dyn Subject>];
        let measured = bench.measure(&subjects, clients).await?.remove(0);
        stages.push((admins, measured, served.resident_mib()?));
    }
    if bench.directories.get(many).is_none() {
        bench.directories.keep(many, database);
    } else {
        bench.servers.drop(database).await?;
    }
    let rate = |rounds: &Rounds| Side::of(rounds, Round::per_second);
    let mut found = Vec::new();
    let mut points = Vec::new();
    for (admins, measured, memory_mib) in &stages {
        let per_second = rate(measured)?.figure.median;
        points.push(Point { admins: *admins, per_second, memory_mib: *memory_mib });
        if *admins != few {
            let work = format!("renames over HTTP at {admins} admins");
            let line = Line::new(work, "commands/s", rate(measured)?, Some(rate(&stages[0].1)?));
            found.push(line.at(clients).note(format!("{memory_mib:.0} MiB resident after it.")));
        }
    }
    if let Some(file) = &bench.options.plot {
        std::fs::write(file, plot::growth(&points, clients))?;
    }
    Ok(found)
}
