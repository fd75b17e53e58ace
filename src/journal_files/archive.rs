//! Moving old events from the database into a file that still verifies, once the database no longer needs them.
//!
//! Positions, proofs, documents and states stay as they are: leaf hashes are kept, streams whose state needs archived
//! events get a snapshot first, and for aggregates without snapshots copies of the events stay for loading.
//!
//! The tables of an archive: `archives` (where the file is), `archived_leaves`, `carried_events` (the copies), and
//! `archived_organizations` (organizations that the events carried, by which an auditor's question is known to need no
//! archived event). PostgreSQL detaches whole partitions; SQLite deletes rows.

use super::export::{ExportError, ExportFilter, export};
use super::formats::Format;
use super::states::{self, FoldedState};
use crate::followers;
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use crate::publisher::{self, NatsSettings, PublishedPositionError, STREAM};
use crate::store::Leadership;
use registrar_aggregates::AnyAggregate;
use std::path::Path;

/// Streams processed at a time.
const STREAMS: usize = 500;

/// Range of positions that was archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedRange {
    /// First position in the file.
    pub first: u64,
    /// Last position in the file.
    pub last: u64,
}

/// Reasons why nothing was archived.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// No whole partition ends before the position.
    #[error(
        "there is nothing to archive: no whole partition lies between positions {archived} and {before}\nEvents are archived by whole partitions that have been filled."
    )]
    Nothing {
        /// Position up to which events were archived before.
        archived: u64,
        /// Position before which to archive.
        before: u64,
    },
    /// Another process is archiving.
    #[error("another process is archiving events of this database")]
    Busy,
    /// A follower has not read the events yet.
    #[error(
        "the follower {follower} still needs the events: it has come to position {position}, those up to {last} would be archived\nLet a server run until it has passed them (`registrar projections status` tells), or archive less."
    )]
    Followed {
        /// Name of the follower.
        follower: &'static str,
        /// Position of its last event.
        position: u64,
        /// Last position that would be archived.
        last: u64,
    },
    /// The events are not published yet.
    #[error(
        "the events are not all published: the stream {STREAM} ends at position {position}, those up to {last} would be archived\nLet a server publish them (its /readyz tells), or archive less."
    )]
    Unpublished {
        /// Position of the last published event.
        position: u64,
        /// Last position that would be archived.
        last: u64,
    },
    /// NATS does not tell how far the events are published.
    #[error(
        "{0}\nTry again when it can be asked; leave REGISTRAR_NATS_URL out only if nothing is to be published any more."
    )]
    Nats(#[from] PublishedPositionError),
    /// The file could not be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The database failed. The file is complete, and the events are still in the database.
    #[error(
        "the events were not taken out of the database: {0}\nThe file was written and can be removed; try again when less is going on."
    )]
    Journal(#[from] JournalError),
}

/// Writes the events of the whole partitions before position `before` to `path`, with the other files of an export, and
/// removes them from the database. All followers must have read them, and they must be published if `nats` is given.
/// `progress` receives the number of written events and the total.
///
/// # Errors
/// [`ArchiveError`]; no event was removed.
pub async fn archive(
    node: &Node,
    before: u64,
    path: &Path,
    nats: Option<&NatsSettings>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<ArchivedRange, ArchiveError> {
    let Some(_leadership) = Leadership::try_take(&node.store, "archive").await? else { return Err(ArchiveError::Busy) };
    let raw = node.store.raw();
    let archived = node.journal.archived_until().await?;
    let last = raw.archivable(before).await?;
    if last <= archived {
        return Err(ArchiveError::Nothing { archived, before });
    }
    check_followers(node, last).await?;
    if let Some(nats) = nats {
        let position = publisher::published(node, nats).await?;
        if position < last {
            return Err(ArchiveError::Unpublished { position, last });
        }
    }
    // Later readers may run in another working directory.
    let written = std::path::absolute(path).map_err(ExportError::File)?;
    let selection = ExportFilter { after: archived, until: Some(last), ..ExportFilter::all(Format::Ndjson) };
    export(node, path, selection, progress).await?;
    cover(node, last).await?;
    let never_loaded: Vec<&str> = AnyAggregate::never_loaded().collect();
    raw.detach(last, &written.display().to_string(), &never_loaded).await?;
    Ok(ArchivedRange { first: archived + 1, last })
}

/// A follower could read on from the file, but only where the file is accessible. Only followers of the served
/// generation have a checkpoint to check.
async fn check_followers(node: &Node, last: u64) -> Result<(), ArchiveError> {
    for (follower, position) in followers::status(node).await?.followers {
        if position < last {
            return Err(ArchiveError::Followed { follower, position, last });
        }
    }
    Ok(())
}

/// Makes a snapshot for every stream whose state would otherwise need an archived event.
async fn cover(node: &Node, until: u64) -> JournalResult<()> {
    let shapes = states::shapes();
    let mut after = (String::new(), String::new());
    loop {
        let streams = node.store.raw().uncovered(&shapes, until, &after, STREAMS).await?;
        let Some(last) = streams.last() else { return Ok(()) };
        after = last.clone();
        for (aggregate_type, aggregate_id) in streams {
            let mut folded = FoldedState::latest(node, &aggregate_type, &aggregate_id).await?;
            folded.catch_up(node).await?;
            folded.save(node).await?;
        }
    }
}
