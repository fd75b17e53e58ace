//! Pages of lists and searches, in a large and in a small directory.

use super::Bench;
use crate::contenders::over_http::{ADMINS, HttpContender, MakePath, Requests, StoredCheck};
use crate::directories::scattered;
use crate::report::{Goal, Line, Side};
use crate::rounds::Subject;
use std::sync::Arc;

/// Enough clients to measure queries, few enough not to measure queues.
const CLIENTS: usize = 4;
const TAKE: u64 = 20;

const KINDS: [(&str, MakePath); 3] =
    [("list page", list), ("search for one e-mail", search_email), ("search for a common name", search_name)];

/// The path of one of the first ten pages.
fn list(step: u64, _: u64) -> String {
    format!("{ADMINS}?skip={}&take={TAKE}", step % 10 * TAKE)
}

fn search_email(step: u64, admins: u64) -> String {
    format!("{ADMINS}?searchTerm=admin{}%40example.com&take={TAKE}", scattered(step, admins))
}

/// A search for a name that one of 256 admins has.
fn search_name(_: u64, _: u64) -> String {
    format!("{ADMINS}?searchTerm=ada%20abbott&take={TAKE}")
}

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let sizes = [bench.options.admins, bench.options.few_admins];
    let mut servers = Vec::new();
    for admins in sizes {
        let directory = bench.directories.of(&bench.servers, admins).await?;
        servers.push((admins, directory.token().await?, Arc::new(directory.serve().await?)));
    }
    let mut found = Vec::new();
    for (kind, path) in KINDS {
        let subjects = servers.iter().map(|(admins, token, served)| {
            let name = format!("the same at {admins} admins");
            let pages = Requests::Pages(path, *admins);
            Box::new(HttpContender::new(&name, served, token, pages, StoredCheck::Nothing)) as Box<dyn Subject>
        });
        let measured = bench.measure(&subjects.collect::<Vec<_>>(), CLIENTS).await?;
        let side = |place: usize| Side::of(&measured[place], |round| round.quantile_ms(0.99));
        let line = Line::new(format!("{kind} at {} admins, p99", sizes[0]), "ms", side(0)?, Some(side(1)?));
        found.push(line.at(CLIENTS).goal(Some(Goal::AtMost(1.2))));
    }
    Ok(found)
}
