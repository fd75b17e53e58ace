//! Followers: projections folded after the commit. One node leads each projection; another takes over when its
//! leadership ends. Documents and checkpoint are written in one transaction, so no event is folded twice or skipped.

use super::folder::{Folder, FolderError};
use crate::archives::History;
use crate::journal::JournalError;
use crate::node::Node;
use crate::store::Leadership;
use registrar_projections::Projection;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Events per page, folded and written together.
const PAGE: usize = 1_000;
/// Delay before a node tries again to lead, or retries after a failure.
const RETRY: Duration = Duration::from_secs(2);

/// Interval at which an idle leader checks that its generation is still served.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// Follows the journal with every following projection, until `shutdown`.
pub fn start(node: &Arc<Node>, shutdown: &CancellationToken) {
    for projection in registrar_projections::FOLLOWING {
        let node = Arc::clone(node);
        let followed = async move {
            loop {
                if let Err(error) = lead(&node, projection).await {
                    tracing::warn!(
                        follower = projection.name,
                        error = &error as &dyn std::error::Error,
                        "a follower stopped"
                    );
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::spawn(shutdown.clone().run_until_cancelled_owned(followed));
    }
}

/// Leads one projection until an error occurs or the generation is no longer served.
async fn lead(node: &Node, projection: &'static Projection) -> Result<(), FolderError> {
    let generation = node.status().generation;
    if node.needs_rebuild() {
        return Ok(());
    }
    let Some(_leadership) = Leadership::try_take(&node.store, projection.name).await? else { return Ok(()) };
    let mut writer = node.journal.writer().await?;
    let checkpoint = writer.checkpoint(generation, projection.name).await?;
    let mut folder = Folder::new(Arc::clone(&node.vault), std::slice::from_ref(projection), generation, checkpoint);
    let mut history = History::of(node);
    loop {
        let events = history.read(folder.at, PAGE).await?;
        if events.is_empty() {
            let news = tokio::time::timeout(LOOK_AROUND, node.heads.reach(folder.at + 1)).await;
            if let Ok(Err(closed)) = news {
                return Err(JournalError::unavailable(closed).into());
            }
            if node.status().generation != generation {
                return Ok(());
            }
            continue;
        }
        let from = folder.at;
        let rows = folder.fold(&mut *writer, events).await?;
        if !writer.follow(generation, projection.name, &rows, (from, folder.at)).await? {
            return Ok(());
        }
    }
}

/// Waits until a follower has passed `position` in the served documents.
///
/// # Errors
/// `Unavailable` if it has not done so within `timeout`.
pub async fn wait_for(
    node: &Node,
    projection: &Projection,
    position: u64,
    timeout: Duration,
) -> Result<(), JournalError> {
    let passed = async {
        let mut writer = node.journal.writer().await?;
        while writer.checkpoint(node.status().generation, projection.name).await? < position {
            // Another node may lead, so only the checkpoint on disk counts.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    tokio::time::timeout(timeout, passed).await.unwrap_or_else(|elapsed| Err(JournalError::unavailable(elapsed)))
}
