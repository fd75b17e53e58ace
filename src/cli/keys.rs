//! `registrar keys`.

use super::start;
use crate::auth::{self, Former};
use crate::config::{Secrets, StoreArgs};
use crate::executor::RequestContext;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Signs with a new key from now on; tokens that are out are accepted until they end
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// The former key has leaked: no token that it signed is accepted any more, on any server
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) async fn run(command: KeysCommand) -> anyhow::Result<()> {
    let KeysCommand::Rotate(RotateArgs { now, store }) = command;
    let former = if now { Former::EndsNow } else { Former::LivesOut };
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    auth::rotate(&node, &RequestContext::system(), former).await?;
    node.close().await;
    Ok(())
}
