//! `registrar backup`.

use super::output;
use crate::config::StoreArgs;
use crate::node::Store;
use crate::vault::private_file;
use anyhow::{Context, bail};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
}

/// Copies the embedded database as of one moment, also beside a running server.
pub(super) async fn run(args: BackupArgs) -> anyhow::Result<()> {
    let store = Store::open(&args.store.resolve())?;
    if !store.is_file() {
        bail!(
            "a PostgreSQL database is backed up with its own tools\nUse pg_dump --format=custom, or continuous archiving."
        );
    }
    // SQLite fills the file and keeps its mode.
    private_file::create(&args.output).with_context(|| format!("cannot write {}", args.output.display()))?;
    store.copy_to(&args.output).await.with_context(|| format!("cannot back up to {}", args.output.display()))?;
    std::fs::File::open(&args.output)?.sync_all()?;
    Ok(output::line(args.output.display())?)
}
