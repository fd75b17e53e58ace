//! Comparisons. A comparison is a function from a bench to lines of the report, and one entry in [`ALL`].

mod anonymous;
mod append;
mod coming_in;
mod growth;
mod http;
mod identity;
mod in_process;
mod journal_size;
mod nats;
mod pages;
mod rebuild;
mod running;
mod steady;

use crate::directories::Directories;
use crate::options::Options;
use crate::report::{Goal, Line};
use crate::rounds::{Effort, Rounds, Subject, interleave};
use crate::server::Servers;
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;

pub(crate) struct Comparison {
    /// Name of the sub-command.
    pub(crate) name: &'static str,
    /// Help text of the sub-command.
    pub(crate) about: &'static str,
    pub(crate) run: for<'b> fn(&'b mut Bench) -> LocalBoxFuture<'b, anyhow::Result<Vec<Line>>>,
}

macro_rules! comparisons {
    ($($name:literal $about:literal => $run:path;)*) => {
        /// All comparisons, in the order in which `all` runs them.
        pub(crate) const ALL: &[Comparison] =
            &[$(Comparison { name: $name, about: $about, run: |bench| Box::pin($run(bench)) }),*];
    };
}

comparisons! {
    "postgres" "Commands in process on PostgreSQL: stock cqrs-es and audited CRUD" => in_process::postgres;
    "sqlite" "Commands in process on SQLite: stock cqrs-es" => in_process::sqlite;
    "nodes" "Two processes on one PostgreSQL: one process" => in_process::nodes;
    "http-commands" "Commands over HTTP: stock and audited CRUD over HTTP" => http::commands;
    "http-reads" "GET by id over HTTP: a handler that answers a constant" => http::reads;
    "append" "Appending alone: other event stores, and pgbench" => append::run;
    "growth" "Commands and memory as the directory grows, with a plot" => growth::run;
    "start-up" "From start to /readyz with a large journal in place" => running::start_up;
    "pages" "List and search pages of a large directory: of a small one" => pages::run;
    "rebuild" "Rebuilding all read models while the server answers" => rebuild::run;
    "memory" "Resident memory, idle and with a large directory" => running::memory;
    "nats-latency" "From a commit to a subscriber on NATS" => nats::latency;
    "nats-catch-up" "Publishing what was committed while NATS was away" => nats::catch_up;
    "access" "Single access checks: a handler that answers a constant; lists of what a leader may see" => identity::access;
    "memberships" "Putting somebody into a large group: into a small one" => identity::memberships;
    "sign-in" "Sign-ins, and what they do to others" => identity::sign_in;
    "anonymous" "What strangers who send the worst do to others" => anonymous::run;
    "coming-in-sign-up" "Sign-ups to confirmed, without the hash: registrations of admins" => coming_in::sign_up::run;
    "coming-in-invitations" "Delivering a queue of invitations, and what it does to others" => coming_in::invitations::run;
    "coming-in-list" "Pages of the onboarding requests of a large organization" => coming_in::requests::run;
    "users" "Filters and searches among the members of a large organization" => identity::users;
    "journal-size" "Appending to a huge journal: to a small one" => journal_size::run;
}

/// The servers, directories and settings of a run.
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) servers: Servers,
    /// Filled directories, created once and used by several comparisons.
    pub(crate) directories: Directories,
    /// Settings to report in addition to those of the servers.
    pub(crate) settings: BTreeMap<String, String>,
    /// Contenders left out, since they cannot be installed here.
    pub(crate) left_out: Vec<String>,
}

impl Bench {
    pub(crate) async fn measure(&self, subjects: &[Box<dyn Subject>], clients: usize) -> anyhow::Result<Vec<Rounds>> {
        let effort = Effort { clients, time_ms: self.options.round_ms };
        interleave(subjects, effort, self.options.rounds).await
    }

    /// Connections of a contender's pool: one per client, up to a limit.
    pub(crate) fn connections(&self, clients: usize) -> u32 {
        u32::try_from(clients).unwrap_or(u32::MAX).min(self.options.connections)
    }

    /// Numbers of clients, fewer in a smoke run.
    pub(crate) fn clients(&self, clients: &[usize]) -> Vec<usize> {
        clients.iter().copied().take(if self.options.smoke { 2 } else { usize::MAX }).collect()
    }
}

/// The goal for a number of clients, if there is one.
fn goal_at(goals: &[(usize, f64)], clients: usize) -> Option<Goal> {
    goals.iter().find(|(at, _)| *at == clients).map(|(_, bound)| Goal::AtLeast(*bound))
}
