//! `registrar inbox`.

use super::{output, start};
use crate::config::{Secrets, StoreArgs};
use crate::messages::inbox::InboxReader;
use crate::node::Node;
use anyhow::Context;
use clap::Args;
use std::time::Duration;

/// Interval at which a reader that follows looks for further messages.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct InboxArgs {
    /// E-mail address or telephone number whose messages are printed [default: all]
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Goes on with messages that are captured from now on, until it is stopped
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Prints captured messages, the earliest first, one JSON object a line. The database is only read, so that it does not
/// matter whether a server runs beside.
pub(super) async fn run(args: InboxArgs) -> anyhow::Result<()> {
    let InboxArgs { to, follow, store } = args;
    let node = start::look(&store.resolve(), &Secrets::from_env()).await?;
    let mut reader = InboxReader::default();
    loop {
        let printed = print_next(&node, &mut reader, to.as_deref()).await.context("the messages cannot be read")?;
        if printed {
            continue;
        }
        if !follow {
            break;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    node.close().await;
    Ok(())
}

/// Prints a page of messages; `false` at the end.
async fn print_next(node: &Node, reader: &mut InboxReader, to: Option<&str>) -> anyhow::Result<bool> {
    let messages = reader.next(node).await?;
    for message in messages.iter().filter(|message| to.is_none_or(|to| message.is_to(to))) {
        output::line(message.to_json())?;
    }
    Ok(!messages.is_empty())
}
