//! Sequential readers of the journal with a checkpoint: rebuilds of the documents, the projections that follow the
//! commit, and the leadership by which one of several nodes runs them.
//!
//! A node whose release has other projections than the served generation refuses requests and reports not ready until
//! a rebuild has made documents of its own.

mod folder;
pub mod following;
mod pipeline;
pub mod rebuild;
pub mod verify;

pub use rebuild::{RebuildError, rebuild};
pub use verify::{DocumentVerification, verify};

use crate::journal::JournalResult;
use crate::node::Node;
use crate::store::Generation;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Progress of the documents, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Position of the journal's last event.
    pub head: u64,
    /// All generations of documents.
    pub generations: Vec<Generation>,
    /// Name and checkpoint of every follower, in the served generation.
    pub followers: Vec<(&'static str, u64)>,
}

/// Progress of the documents in a node's database.
///
/// # Errors
/// `Unavailable`.
pub async fn status(node: &Node) -> JournalResult<Status> {
    let head = node.journal.head().await?;
    let mut writer = node.journal.writer().await?;
    let mut followers = Vec::new();
    for projection in registrar_projections::FOLLOWING {
        followers.push((projection.name, writer.checkpoint(head.generation, projection.name).await?));
    }
    Ok(Status { head: head.position, generations: node.read_store.generations().await?, followers })
}

/// Interval at which a node checks that its documents are still the served ones.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// Delay before dropping the tables of former generations is retried.
const DROP_AGAIN: Duration = Duration::from_secs(10);

/// Keeps documents of this release in service while the server runs: those of another node's rebuild are taken over,
/// and those of an older release are rebuilt. If the rebuilding node ends, another one continues.
///
/// The outcome is noted on the node, for operators to see; a failure stops the rebuild, not the server. Documents of a
/// newer release are left alone: this node is the one to be replaced.
pub async fn keep_documents(node: Arc<Node>) {
    let mut kept = GenerationNotes::default();
    loop {
        if let Err(error) = keep_documents_once(&node, &mut kept).await {
            // Requests report an unavailable database to their callers.
            tracing::debug!(error = &error as &dyn std::error::Error, "the documents were not looked at");
        }
        tokio::time::sleep(LOOK_AROUND).await;
    }
}

/// Generations of documents, as last seen.
#[derive(Default)]
struct GenerationNotes {
    /// The generation for which this node is known to be unable to build better documents.
    given_up: Option<u64>,
    /// The generation before which no other is left.
    alone: Option<u64>,
    /// Time of the last failed drop of earlier generations.
    not_dropped: Option<Instant>,
}

impl GenerationNotes {
    /// Drops the remaining generations before the served one, once for each served generation.
    async fn tidy_up(&mut self, node: &Node, served: u64) {
        let waits = self.not_dropped.is_some_and(|at| at.elapsed() < DROP_AGAIN);
        if self.alone == Some(served) || waits {
            return;
        }
        match rebuild::tidy_up(node).await {
            Ok(true) => (self.alone, self.not_dropped) = (Some(served), None),
            // The rebuilding process drops them as well, unless it ends early.
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "tables of former documents are not dropped");
                self.not_dropped = Some(Instant::now());
            }
        }
    }
}

async fn keep_documents_once(node: &Node, kept: &mut GenerationNotes) -> JournalResult<()> {
    let served = node.journal.head().await?.generation;
    if served == node.status().generation {
        kept.tidy_up(node, served).await;
        return Ok(());
    }
    if kept.given_up == Some(served) {
        return Ok(());
    }
    if node.read_store.signature(served).await? == Some(crate::read_store::signature()) {
        tracing::info!(generation = served, "the documents were rebuilt by another node");
        node.serve(served);
        node.note_rebuild(None);
        return Ok(());
    }
    match rebuild_unless_newer(node).await {
        Ok(generation) => {
            tracing::info!(generation, "the documents were rebuilt");
            node.serve(generation);
            node.note_rebuild(None);
        }
        // Until that process has finished or given up.
        Err(error @ RebuildError::Busy) => node.note_rebuild(Some(error.to_string())),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the documents are not rebuilt");
            node.note_rebuild(Some(error.to_string()));
            if !matches!(error, RebuildError::Journal(_)) {
                kept.given_up = Some(served);
            }
        }
    }
    Ok(())
}

async fn rebuild_unless_newer(node: &Node) -> Result<u64, RebuildError> {
    let live = node.read_store.generations().await?.into_iter().find(|generation| generation.state == "live");
    if let Some(live) = live
        && is_newer(&live.signature, &crate::read_store::signature())
    {
        return Err(RebuildError::NewerRelease);
    }
    let noted = |done: u64, total: u64| {
        node.note_rebuild(Some(format!("rebuilding the documents: event {done} of {total}")));
    };
    rebuild(node, &noted).await
}

/// Whether some projection of `stored` has a higher version than in `own`. Both read `name:version,...`.
fn is_newer(stored: &str, own: &str) -> bool {
    let versions = |text: &str| -> HashMap<String, u32> {
        text.split(',')
            .filter_map(|part| part.split_once(':'))
            .filter_map(|(name, version)| Some((name.to_owned(), version.parse().ok()?)))
            .collect()
    };
    let own = versions(own);
    versions(stored).iter().any(|(name, version)| own.get(name).is_none_or(|own| version > own))
}

#[cfg(test)]
mod tests {
    use super::is_newer;

    #[test]
    fn a_higher_version_or_an_unknown_projection_is_newer() {
        assert!(is_newer("admins:2,audit_trail:1", "admins:1,audit_trail:1"));
        assert!(is_newer("admins:1,groups:1", "admins:1"));
        assert!(!is_newer("admins:1", "admins:1,groups:1"));
        assert!(!is_newer("admins:1", "admins:2"));
    }
}
