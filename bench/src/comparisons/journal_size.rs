//! The cost of an append as the journal grows.

use super::Bench;
use crate::contenders::driven;
use crate::contenders::registrar::Registrar;
use crate::filling;
use crate::report::{Goal, Line, Side};
use crate::workload::Work;

const WORK: Work = Work::Registrations;

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let sizes = [bench.options.events, bench.options.few_events];
    let mut databases = Vec::new();
    for events in sizes {
        let database = bench.servers.database().await?;
        filling::fill(&database, events).await?;
        databases.push(database);
    }
    let mut found = Vec::new();
    for clients in bench.clients(&[1, 64]) {
        let subjects = [
            driven(Registrar::open(databases[0].settings(), WORK).await?, WORK),
            driven(Registrar::open(databases[1].settings(), WORK).await?, WORK),
        ];
        let mut measured = bench.measure(&subjects, clients).await?;
        for (rounds, events) in measured.iter_mut().zip(sizes) {
            rounds.name = format!("the same at {events} events");
        }
        for (quantile, name) in [(0.5, "p50"), (0.99, "p99")] {
            let side = |place: usize| Side::of(&measured[place], |round| round.quantile_ms(quantile));
            let work = format!("append latency at {} events, {name}", sizes[0]);
            let line = Line::new(work, "ms", side(0)?, Some(side(1)?)).at(clients);
            let note = "The journals were filled with notes in streams of four, restored in bulk; what is measured is \
                the registration of admins.";
            found.push(line.goal(Some(Goal::AtMost(1.2))).note(note));
        }
    }
    for database in databases {
        bench.servers.drop(database).await?;
    }
    Ok(found)
}
