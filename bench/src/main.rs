//! The load generator that Registrar's figures come from. Traffic stays on loopback, runs are bounded.

mod commands;

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
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().measure {
        Measure::Commands { database_url, clients, admins } => commands::run(database_url, clients, admins).await,
    }
}
