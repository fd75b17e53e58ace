//! The bench: the source of Registrar's published figures. Traffic stays on loopback, runs are bounded. The library is
//! linked in, so the `registrar` process that it starts is from the same build.

mod audit;
mod client;
mod commands;
mod comparisons;
mod contenders;
mod directories;
mod filling;
mod http;
mod mail_sink;
mod options;
mod peers;
mod plot;
mod report;
mod server;

use anyhow::Context;
use chrono::Utc;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use comparisons::{ALL, Bench, Comparison};
use contenders::LoadDriver;
use contenders::registrar::Registrar;
use directories::Directories;
use options::Options;
use registrar::node::StoreSettings;
use registrar_bench_common::{protocol, rounds, workload};
use report::Report;
use server::Servers;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use workload::Work;

/// One allocator for all contenders in this program, the same as in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "registrar-bench", about = "Measures Registrar")]
struct Arguments {
    #[command(subcommand)]
    measure: Measure,
}

#[derive(Subcommand)]
enum Measure {
    /// Commands in process: a registration with an account and a rename per admin, each answered with its document.
    Commands {
        /// A private PostgreSQL; without it SQLite in a folder of its own.
        #[arg(long)]
        database_url: Option<String>,
        /// Concurrent commands.
        #[arg(long, default_value_t = 64)]
        clients: usize,
        /// Number of admins to register.
        #[arg(long, default_value_t = 20_000)]
        admins: usize,
    },
    /// The auditor's API in process: pages by each filter, states of the past, lines.
    Audit {
        /// A private PostgreSQL; without it SQLite in a folder of its own.
        #[arg(long)]
        database_url: Option<String>,
        /// Events in the filled journal.
        #[arg(long, default_value_t = 100_000)]
        events: u64,
        /// Requests of each kind.
        #[arg(long, default_value_t = 500)]
        requests: u64,
    },
    /// Commands and reads over HTTP, keep-alive, against a server that runs on this machine.
    Http {
        /// Root URL of the server.
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        url: String,
        /// Token of an administrator (`registrar token create`).
        #[arg(long)]
        token: String,
        /// Concurrent requests.
        #[arg(long, default_value_t = 64)]
        clients: usize,
        /// Number of admins to register, rename and read.
        #[arg(long, default_value_t = 10_000)]
        admins: usize,
    },
    /// Executes commands on a database as its input says; started by the bench itself.
    #[command(hide = true)]
    Drive {
        #[arg(long)]
        database_url: String,
        #[arg(long)]
        data: PathBuf,
    },
    /// Serves a contender over HTTP; started by the bench itself.
    #[command(hide = true)]
    Peer(peers::PeerArgs),
}

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|name| name == server::REGISTRAR) {
        return registrar::cli::run();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> anyhow::Result<()> {
    let matches = command().get_matches();
    let (name, chosen) = matches.subcommand().context("nothing to do")?;
    let comparisons: Vec<&Comparison> =
        ALL.iter().filter(|comparison| name == "all" || name == comparison.name).collect();
    if !comparisons.is_empty() {
        return compare(&comparisons, Options::from_arg_matches(chosen)?.resolve()).await;
    }
    match Arguments::from_arg_matches(&matches)?.measure {
        Measure::Commands { database_url, clients, admins } => commands::run(database_url, clients, admins).await,
        Measure::Audit { database_url, events, requests } => {
            audit::run(audit::Journal { database_url, events, requests }).await
        }
        Measure::Http { url, token, clients, admins } => http::run(http::Load { url, token, clients, admins }).await,
        Measure::Drive { database_url, data } => {
            let settings = StoreSettings { database_url: Some(database_url), data, archives: None };
            let registrar = Registrar::open(settings, Work::Directory).await?;
            protocol::answer(&LoadDriver::new(registrar, Work::Directory)).await
        }
        Measure::Peer(args) => peers::serve(args).await,
    }
}

/// The command line: the sub-commands declared above, `all`, and one per comparison.
fn command() -> clap::Command {
    let compared = |name, about| Options::augment_args(clap::Command::new(name)).about(about).long_about(None);
    Arguments::command()
        .subcommand(compared("all", "Every comparison, one after the other"))
        .subcommands(ALL.iter().map(|comparison| compared(comparison.name, comparison.about)))
}

async fn compare(comparisons: &[&Comparison], options: Options) -> anyhow::Result<()> {
    let began_at = Utc::now();
    let servers = Servers::start(options.folder.as_deref().unwrap_or(&program_folder()?))?;
    let mut settings = report::postgres_settings(&mut servers.postgres().await?).await?;
    settings.insert("bench".into(), format!("{} rounds of {} ms each", options.rounds, options.round_ms));
    if options.smoke {
        settings.insert("smoke".into(), "only shows that everything works; the figures mean nothing".into());
    }
    if cfg!(debug_assertions) {
        settings.insert("build".into(), "without optimisation; the figures mean nothing".into());
    }
    let (machine, json) = (report::machine(servers.folder()), options.json.clone());
    for (name, value) in &settings {
        progress(format_args!("{name} = {value}"));
    }
    let directories = Directories::default();
    let mut bench = Bench { options, servers, directories, settings, left_out: Vec::new() };
    let (mut lines, mut failed) = (Vec::new(), Vec::new());
    for comparison in comparisons {
        progress(format_args!("== {}: {}", comparison.name, comparison.about));
        match (comparison.run)(&mut bench).await {
            Ok(found) => {
                progress(format_args!("\n{}", report::table(&found)));
                lines.extend(found);
            }
            // The figures of the other comparisons are still useful.
            Err(error) => {
                progress(format_args!("{}: {error:#}", comparison.name));
                failed.push(comparison.name);
                bench.left_out.push(format!("{}: {error:#}", comparison.name));
            }
        }
    }
    let (settings, left_out) = (std::mem::take(&mut bench.settings), std::mem::take(&mut bench.left_out));
    let report = Report { began_at, machine, settings, lines, left_out };
    tell(&report.markdown());
    if let Some(json) = json {
        std::fs::write(&json, serde_json::to_vec_pretty(&report)?).with_context(|| json.display().to_string())?;
    }
    anyhow::ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// The folder of the program, which is on a disk and outside of version control.
pub(crate) fn program_folder() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.parent().context("no folder")?.to_owned())
}

/// Prints a progress message with the time of day.
#[expect(clippy::print_stderr, reason = "how a run gets on")]
pub(crate) fn progress(what: std::fmt::Arguments<'_>) {
    eprintln!("{} {what}", Utc::now().format("%H:%M:%S"));
}

#[expect(clippy::print_stdout, reason = "the result")]
fn tell(text: &str) {
    println!("{text}");
}
