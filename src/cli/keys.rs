//! `registrar keys`.

use super::start;
use crate::auth;
use crate::config::{Secrets, StoreArgs};
use crate::executor::RequestContext;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Signs with a new key from now on; tokens that are out are accepted until they end
    Rotate(StoreArgs),
}

pub(super) async fn run(command: KeysCommand) -> anyhow::Result<()> {
    let KeysCommand::Rotate(store) = command;
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    auth::rotate(&node, &RequestContext::system()).await?;
    node.close().await;
    Ok(())
}
