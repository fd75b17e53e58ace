//! The load generator that Registrar's figures come from. Traffic stays on loopback, runs are bounded.

mod audit;
mod commands;
mod http;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures Registrar")]
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
        /// Commands under way at once.
        #[arg(long, default_value_t = 64)]
        clients: usize,
        /// Admins registered.
        #[arg(long, default_value_t = 20_000)]
        admins: usize,
    },
    /// The auditor's API in process: pages by each filter, states of the past, lines.
    Audit {
        /// A private PostgreSQL; without it SQLite in a folder of its own.
        #[arg(long)]
        database_url: Option<String>,
        /// Events that the journal is filled with.
        #[arg(long, default_value_t = 100_000)]
        events: u64,
        /// Requests of each kind.
        #[arg(long, default_value_t = 500)]
        requests: u64,
    },
    /// Commands and reads over HTTP, keep-alive, against a server that runs on this machine.
    Http {
        /// Root of the server.
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        url: String,
        /// Token of an administrator (`registrar token create`).
        #[arg(long)]
        token: String,
        /// Requests under way at once.
        #[arg(long, default_value_t = 64)]
        clients: usize,
        /// Admins registered, renamed and read.
        #[arg(long, default_value_t = 10_000)]
        admins: usize,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().measure {
        Measure::Commands { database_url, clients, admins } => commands::run(database_url, clients, admins).await,
        Measure::Audit { database_url, events, requests } => {
            audit::run(audit::Journal { database_url, events, requests }).await
        }
        Measure::Http { url, token, clients, admins } => http::run(http::Load { url, token, clients, admins }).await,
    }
}
