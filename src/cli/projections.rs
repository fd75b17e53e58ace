//! `registrar projections`.

use super::progress::Progress;
use super::{output, start};
use crate::config::{Secrets, StoreArgs};
use crate::followers;
use crate::node::Node;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum ProjectionsCommand {
    /// Prints the generations of read models and how far each has come
    Status(StoreArgs),
    /// Rebuilds the read models from the whole history beside the served ones, then swaps them
    Rebuild(StoreArgs),
    /// Folds the whole history once more and compares the read models that serve with it
    Verify(StoreArgs),
}

pub(super) async fn run(command: ProjectionsCommand) -> anyhow::Result<()> {
    let (ProjectionsCommand::Status(store) | ProjectionsCommand::Rebuild(store) | ProjectionsCommand::Verify(store)) =
        &command;
    let (store, secrets) = (store.clone().resolve(), Secrets::from_env());
    let node = match command {
        ProjectionsCommand::Status(_) => start::look(&store, &secrets).await?,
        ProjectionsCommand::Rebuild(_) => start::open(&store, &secrets).await?,
        ProjectionsCommand::Verify(_) => start::open_as_it_is(&store, &secrets).await?,
    };
    let done = match command {
        ProjectionsCommand::Status(_) => status(&node).await,
        ProjectionsCommand::Rebuild(_) => rebuild(&node).await,
        ProjectionsCommand::Verify(_) => verify(&node).await,
    };
    node.close().await;
    done
}

async fn rebuild(node: &Node) -> anyhow::Result<()> {
    let progress = Progress::start("rebuilding the read models");
    followers::rebuild(node, &|done, total| progress.show(done, total)).await?;
    progress.finish(node.journal.head().await?.position);
    Ok(())
}

/// Compares the read models of a node with history, and reports the differing ones.
pub(super) async fn verify(node: &Node) -> anyhow::Result<()> {
    let progress = Progress::start("verifying the read models");
    let followers::DocumentVerification { position, altered } =
        followers::verify(node, &|done, total| progress.show(done, total)).await?;
    progress.finish(position);
    match &altered[..] {
        [] => Ok(output::line(format_args!("read models at event {position}: what history makes them"))?),
        [first, ..] => anyhow::bail!(
            "{} documents are not what history makes them; the first is {first}\n\
             `registrar projections rebuild` makes them anew. Find out who may write to the database.",
            altered.len()
        ),
    }
}

async fn status(node: &Node) -> anyhow::Result<()> {
    let status = followers::status(node).await?;
    output::line(format_args!("journal: {} events", status.head))?;
    for generation in status.generations {
        let (id, state, signature) = (generation.id, &generation.state, &generation.signature);
        let at = if state == "live" { status.head } else { generation.checkpoint };
        output::line(format_args!("generation {id}: {state}, at {at}, {signature}"))?;
        if let (Some(position), Some(error)) = (generation.error_position, generation.error) {
            output::line(format_args!("  stopped at event {position}: {error}"))?;
        }
    }
    for (follower, at) in status.followers {
        output::line(format_args!("follower {follower}: at {at}"))?;
    }
    if node.needs_rebuild() {
        output::line("The live generation is of another release; `registrar projections rebuild` makes one of this.")?;
    }
    Ok(())
}
