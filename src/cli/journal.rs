//! `registrar journal`.

use super::output;
use super::progress::Progress;
use crate::checkpoint::NoteVerifier;
use crate::config::StoreArgs;
use crate::files;
use crate::node::Store;
use anyhow::Context;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Checks the whole journal and names the first position that was altered
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Holds the journal to this signed checkpoint too
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Key that the checkpoint must be signed with, name+id+base64 [default: the one in the journal]
    #[arg(long, value_name = "KEY", requires = "checkpoint", value_parser = key)]
    key: Option<NoteVerifier>,
    #[command(flatten)]
    store: StoreArgs,
}

fn key(text: &str) -> Result<NoteVerifier, String> {
    NoteVerifier::parse(text.trim()).ok_or_else(|| "must be a verifier key as GET /audit/checkpoint/key answers".into())
}

pub(super) async fn run(command: JournalCommand) -> anyhow::Result<()> {
    match command {
        JournalCommand::Verify(args) => verify(args).await,
    }
}

async fn verify(args: VerifyArgs) -> anyhow::Result<()> {
    let held = match args.checkpoint {
        Some(path) => Some(files::verify::Held { note: read(&path)?, key: args.key }),
        None => None,
    };
    let store = Store::prepare(&args.store.resolve())?;
    store.migrate().await?;
    let progress = Progress::start("verifying the journal");
    let verified = files::verify(&store, held.as_ref(), &|done, total| progress.show(done, total)).await?;
    progress.finish(verified.position);
    let root = verified.root_text();
    output::line(format_args!("{} events, root {root}: nothing was altered", verified.position))?;
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}
