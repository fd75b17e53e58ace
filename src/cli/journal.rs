//! `registrar journal`.

use super::progress::Progress;
use super::{output, start};
use crate::checkpoint::{self, NoteVerifier};
use crate::config::{self, ClearTextArgs, NatsArgs, Secrets, StoreArgs};
use crate::followers;
use crate::journal_files::{self, ExportFilter, Format};
use crate::node::{Node, Store};
use anyhow::Context;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum JournalCommand {
    /// Checks the whole journal and names the first position that was altered
    Verify(VerifyArgs),
    /// Writes the events to a file, with a signed checkpoint, proofs and wrapped keys beside it
    Export(ExportArgs),
    /// Restores an exported journal into an empty database
    Import(ImportArgs),
    /// Takes old events out of the database into a file that still verifies
    Archive(ArchiveArgs),
    /// Makes states anew, from archives, that an earlier release archived in another shape
    Resnapshot(StoreArgs),
    /// Prints the key that checkpoints of the journal are verified with
    Key(StoreArgs),
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// File to write; .checkpoint, .proofs and .keys are added to its name for those beside it
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Format of the events; only ndjson can be imported
    #[arg(long, value_enum, default_value = "ndjson")]
    format: Format,
    /// Only events after this position [default: the last archived one]
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Only events up to this position
    #[arg(long, value_name = "POSITION")]
    until: Option<u64>,
    /// Only events of aggregates of this type, such as admin
    #[arg(long, value_name = "TYPE")]
    aggregate_type: Option<String>,
    /// Only events of this aggregate
    #[arg(long, value_name = "ID")]
    aggregate_id: Option<String>,
    /// Only events of this name, such as admin.registered
    #[arg(long, value_name = "NAME")]
    event_type: Option<String>,
    /// Only events that carried this organization when they were written
    #[arg(long, value_name = "ID")]
    organization: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub(super) struct ArchiveArgs {
    /// Archives the whole partitions before this position
    #[arg(long, value_name = "POSITION")]
    before: u64,
    /// File to write; .checkpoint, .proofs and .keys are added to its name for those beside it
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    // If servers are named here, they must have the events first.
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    clear_text: ClearTextArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The exported file; of a journal with archives all files in their order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Key that the checkpoint must be signed with, name+id+base64 [default: the one in the journal]
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<NoteVerifier>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Holds the journal to this signed checkpoint too
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Key that the checkpoint must be signed with, name+id+base64 [default: the one in the journal]
    #[arg(long, value_name = "KEY", requires = "checkpoint", value_parser = key)]
    key: Option<NoteVerifier>,
    /// Compares the read models with the journal too
    #[arg(long)]
    documents: bool,
    #[command(flatten)]
    store: StoreArgs,
}

fn key(text: &str) -> Result<NoteVerifier, String> {
    NoteVerifier::parse(text.trim()).ok_or_else(|| "must be a verifier key as GET /audit/checkpoint/key answers".into())
}

pub(super) async fn run(command: JournalCommand) -> anyhow::Result<()> {
    match command {
        JournalCommand::Verify(args) => verify(args).await,
        JournalCommand::Export(args) => export(args).await,
        JournalCommand::Import(args) => import(args).await,
        JournalCommand::Archive(args) => archive(args).await,
        JournalCommand::Resnapshot(store) => resnapshot(store).await,
        JournalCommand::Key(store) => print_key(store).await,
    }
}

async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let node = start::look_with_checkpoint_key(&args.store.resolve(), &Secrets::from_env()).await?;
    let archived = node.journal.archived_until().await?;
    let selection = ExportFilter {
        format: args.format,
        after: args.after.unwrap_or(archived),
        until: args.until,
        aggregate_type: args.aggregate_type,
        aggregate_id: args.aggregate_id,
        event_type: args.event_type,
        organization_id: args.organization,
    };
    let progress = Progress::start("exporting the journal");
    let exported =
        journal_files::export(&node, &args.output, selection, &|done, total| progress.show(done, total)).await;
    node.close().await;
    let exported = exported?;
    progress.finish(exported.events);
    let (events, size, path) = (exported.events, exported.tree_size, args.output.display());
    Ok(output::line(format_args!("{events} events of {size} in {path}"))?)
}

async fn archive(args: ArchiveArgs) -> anyhow::Result<()> {
    let nats = args.nats.resolve(false, &args.clear_text.resolve()?)?;
    let node = start::open(&args.store.resolve(), &Secrets::from_env()).await?;
    let progress = Progress::start("archiving events");
    let shown = |done, total| progress.show(done, total);
    let archived = journal_files::archive(&node, args.before, &args.output, nats.as_ref(), &shown).await;
    node.close().await;
    let journal_files::ArchivedRange { first, last } = archived?;
    progress.finish(last + 1 - first);
    Ok(output::line(format_args!("events {first} to {last} in {}", args.output.display()))?)
}

async fn resnapshot(store: StoreArgs) -> anyhow::Result<()> {
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    let progress = Progress::start("reading archives");
    let archived = node.journal.archived_until().await?;
    let made = journal_files::resnapshot(&node, &|done, total| progress.show(done, total)).await;
    node.close().await;
    let made = made?;
    progress.finish(archived);
    Ok(output::line(format_args!("{made} states made anew"))?)
}

async fn import(args: ImportArgs) -> anyhow::Result<()> {
    let (store, secrets) = (args.store.resolve(), Secrets::from_env());
    // Any other command would create a key for an empty database. This one is for a database whose key is elsewhere.
    anyhow::ensure!(
        secrets.master_key.is_some() || config::master_key_file(&store.data).exists(),
        "the master key of the exported journal is missing\nCopy its master.key into {}, or set REGISTRAR_MASTER_KEY to it.",
        store.data.display()
    );
    let node = start::open(&store, &secrets).await?;
    let imported = restore(&node, &args.files, args.key.as_ref()).await;
    node.close().await;
    let position = imported?;
    Ok(output::line(format_args!("{position} events imported"))?)
}

async fn restore(node: &Node, files: &[PathBuf], key: Option<&NoteVerifier>) -> anyhow::Result<u64> {
    let progress = Progress::start("importing the journal");
    let imported = journal_files::import(node, files, key, &|done, total| progress.show(done, total)).await?;
    progress.finish(imported.position);
    let progress = Progress::start("rebuilding the read models");
    followers::rebuild(node, &|done, total| progress.show(done, total)).await?;
    progress.finish(imported.position);
    Ok(imported.position)
}

async fn print_key(store: StoreArgs) -> anyhow::Result<()> {
    let node = start::look_with_checkpoint_key(&store.resolve(), &Secrets::from_env()).await?;
    let signer = checkpoint::signer(&node).await;
    node.close().await;
    Ok(output::line(signer?.verifier().text())?)
}

async fn verify(args: VerifyArgs) -> anyhow::Result<()> {
    let held = match args.checkpoint {
        Some(path) => Some(journal_files::verify::ExpectedCheckpoint { note: read(&path)?, key: args.key }),
        None => None,
    };
    let settings = args.store.resolve();
    let store = Store::open_to_look(&settings)?;
    store.look().await?;
    let progress = Progress::start("verifying the journal");
    let verified = journal_files::verify(&store, held.as_ref(), &|done, total| progress.show(done, total)).await?;
    progress.finish(verified.position);
    let root = verified.root_text();
    output::line(format_args!("{} events, root {root}: nothing was altered", verified.position))?;
    if !args.documents {
        return Ok(output::remark("Read models were not looked at: `--documents` compares them with the journal.")?);
    }
    let node = start::open_as_it_is(&settings, &Secrets::from_env()).await?;
    let compared = super::projections::verify(&node).await;
    node.close().await;
    compared
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}
