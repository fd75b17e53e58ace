//! `registrar keys`.

use super::progress::Progress;
use super::{output, start};
use crate::auth::{self, FormerKey};
use crate::config::{Secrets, StoreArgs};
use crate::executor::{ExecuteError, RequestContext};
use crate::vault::{self, RewrapCounts};
use clap::{Args, Subcommand};
use registrar_aggregates::key_ring::KeyRingError;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Signs with a new key from now on; tokens that are out are accepted until they end
    Rotate(RotateArgs),
    /// Ends a key that signs no longer: no token that it signed is accepted any more, on any server
    Retire(RetireArgs),
    /// Puts the database under REGISTRAR_MASTER_KEY, beside running servers; REGISTRAR_FORMER_MASTER_KEY names the key that
    /// it was under
    Rewrap(StoreArgs),
}

#[derive(Debug, Args)]
pub(super) struct RetireArgs {
    /// Identifier of the key, `kid` in /.well-known/jwks.json and in the head of tokens
    #[arg(value_name = "KEY-ID")]
    key_id: String,
    #[command(flatten)]
    store: StoreArgs,
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
    match command {
        KeysCommand::Rotate(args) => rotate(args).await,
        KeysCommand::Retire(args) => retire(args).await,
        KeysCommand::Rewrap(store) => rewrap(store).await,
    }
}

async fn retire(RetireArgs { key_id, store }: RetireArgs) -> anyhow::Result<()> {
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    let retired = auth::retire(&node, &RequestContext::system(), key_id).await;
    node.close().await;
    retired.map_err(|error| match error {
        ExecuteError::Refused(KeyRingError::NotFound) => anyhow::anyhow!("there is no such key"),
        ExecuteError::Refused(KeyRingError::Signs) => {
            anyhow::anyhow!("this key signs now\nEnd it with `registrar keys rotate --now`.")
        }
        ExecuteError::Journal(error) => error.into(),
    })
}

async fn rotate(RotateArgs { now, store }: RotateArgs) -> anyhow::Result<()> {
    let former = if now { FormerKey::EndsNow } else { FormerKey::LivesOut };
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    auth::rotate(&node, &RequestContext::system(), former).await?;
    node.close().await;
    Ok(())
}

async fn rewrap(store: StoreArgs) -> anyhow::Result<()> {
    let node = start::open(&store.resolve(), &Secrets::from_env()).await?;
    let progress = Progress::start("wrapping keys by the master key");
    let shown = |done, total| progress.show(done, total);
    let rewrapped = vault::rewrap(&node.vault, &*node.store.wrapped_keys(), &shown).await;
    node.close().await;
    let RewrapCounts { keys, answers } = rewrapped?;
    progress.finish(keys + answers);
    Ok(output::line(format_args!(
        "{keys} keys and {answers} answers wrapped anew: nothing is left under a former master key"
    ))?)
}
