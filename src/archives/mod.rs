//! Reading archives: events that left the database are read from files. Each is compared with the leaf hash that the
//! database keeps, so a file is trusted no more than the database.
//!
//! Rebuilds and followers read through [`History`]: archives first, then the database. The publisher and the event
//! stream read the database alone.

pub(crate) mod lines;

use crate::journal::tree::Tree;
use crate::journal::{Journal, JournalError, JournalResult, StoredEvent, codec};
use crate::node::Node;
use crate::store::{Archive, RawJournal};
use lines::{LineError, Lines};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Reasons why history cannot be read. The message tells the operator how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file was not found in any of its possible places.
    #[error(
        "the archive of the events {first} to {last} is missing: there is no {looked}\nPut it back, or name the folder it is in with --archives or REGISTRAR_ARCHIVES."
    )]
    Missing {
        /// First position in the archive.
        first: u64,
        /// Last position in the archive.
        last: u64,
        /// Paths that were tried.
        looked: String,
    },
    /// The file cannot be read.
    #[error("the archive {} cannot be read: {source}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// An event differs from the archived one.
    #[error(
        "the archive {} was altered: the event at position {position} is not the one that was stored there\nUse the file as it was archived.", path.display()
    )]
    Altered {
        /// Path of the file.
        path: PathBuf,
        /// Position of the event.
        position: u64,
    },
    /// The file ends too early.
    #[error(
        "the archive {} is not whole: the event at position {position} is missing\nUse the file as it was archived.", path.display()
    )]
    Short {
        /// Path of the file.
        path: PathBuf,
        /// First position missing from the file.
        position: u64,
    },
    /// The database failed.
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] JournalError),
}

/// All events of a journal from the first on: archived ones from their files, the rest from the database. Made for one
/// sequential reader.
pub struct History {
    journal: Journal,
    raw: Arc<dyn RawJournal>,
    leaves: Tree,
    /// Additional folder to search for the files.
    folder: Option<PathBuf>,
    open: Option<OpenArchive>,
    ahead: Option<ReadAhead>,
}

/// Events of one database scan: short scans end soon, so the database need not keep old row versions for them.
const SCAN_MAX: u64 = 20_000;
/// Minimum for a scan; shorter ranges are read as a page, since a scan takes a connection of its own.
const SCAN_MIN: u64 = 1_000;
/// Pages of a scan buffered ahead of the reader.
const PAGES_AHEAD: usize = 4;

/// Read-ahead: events fetched while earlier ones are processed.
struct ReadAhead {
    pages: mpsc::Receiver<Vec<StoredEvent>>,
    /// Events that were fetched and not yet returned.
    left: VecDeque<StoredEvent>,
    /// Position of the last event that was returned.
    at: u64,
    until: u64,
}

impl ReadAhead {
    /// Up to `limit` events, as far as they arrive without a gap and are readable; fewer only at the end of the scan.
    async fn read(&mut self, limit: usize) -> Vec<StoredEvent> {
        while self.left.len() < limit
            && let Some(page) = self.pages.recv().await
        {
            self.left.extend(page);
        }
        let whole = |(position, event): (u64, &StoredEvent)| event.position == position && event.leaf_hash != [0; 32];
        let readable = (self.at + 1..).zip(&self.left).take(limit).take_while(|pair| whole(*pair)).count();
        self.at += readable as u64;
        self.left.drain(..readable).collect()
    }
}

impl History {
    /// The history of a node's journal.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let (journal, store) = (node.journal.clone(), &node.store);
        History {
            journal,
            raw: store.raw(),
            leaves: store.tree(),
            folder: node.archives.clone(),
            open: None,
            ahead: None,
        }
    }

    /// Position up to which events are read from files.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn archived_until(&self) -> JournalResult<u64> {
        self.journal.archived_until().await
    }

    /// Up to `limit` events after position `after`, in order, without gaps; empty at the end of the journal. A page may
    /// be short, since it ends where a file does.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn read(&mut self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, HistoryError> {
        match self.journal.read(after, limit).await {
            Err(JournalError::Archived { .. }) => self.archived(after, limit).await,
            events => {
                self.open = None;
                Ok(events?)
            }
        }
    }

    /// As [`History::read`], for sequential readers of all events up to `until`, which must not be beyond the journal's
    /// end: the database sends the following events ahead.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn read_on(&mut self, after: u64, until: u64, limit: usize) -> Result<Vec<StoredEvent>, HistoryError> {
        if self.ahead.as_ref().is_none_or(|ahead| ahead.at != after || ahead.at == ahead.until) {
            self.ahead = None;
            if until.saturating_sub(after) >= SCAN_MIN && after >= self.archived_until().await? {
                let (to, (pages, receiver)) = (until.min(after + SCAN_MAX), mpsc::channel(PAGES_AHEAD));
                let raw = Arc::clone(&self.raw);
                // A failed scan shows as missing events.
                tokio::spawn(async move { raw.scan(after, to, pages).await });
                self.ahead = Some(ReadAhead { pages: receiver, left: VecDeque::new(), at: after, until: to });
            }
        }
        if let Some(ahead) = &mut self.ahead {
            let events = ahead.read(limit).await;
            if !events.is_empty() {
                return Ok(events);
            }
            self.ahead = None;
        }
        // Archived just now, or lost: the journal tells the difference.
        self.read(after, limit.min(usize::try_from(until.saturating_sub(after)).unwrap_or(limit))).await
    }

    async fn archived(&mut self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, HistoryError> {
        let mut open = match self.open.take().filter(|open| open.goes_on_after(after)) {
            Some(open) => open,
            None => self.open(after).await?,
        };
        // Files are read on a blocking thread, so no other task waits.
        let read = tokio::task::spawn_blocking(move || open.read(after, limit).map(|events| (open, events)));
        let (open, events) = read.await.map_err(JournalError::corrupt)??;
        let leaves = self.leaves.leaves(after..after + events.len() as u64).await?;
        if let Some((event, _)) = events.iter().zip(&leaves).find(|(event, leaf)| event.leaf_hash != **leaf) {
            return Err(HistoryError::Altered { path: open.lines.path, position: event.position });
        }
        if leaves.len() < events.len() {
            return Err(JournalError::corrupt("leaf hashes of archived events are missing").into());
        }
        self.open = Some(open);
        Ok(events)
    }

    async fn open(&self, after: u64) -> Result<OpenArchive, HistoryError> {
        let archive = self.raw.archive_of(after + 1).await?;
        let unknown = || JournalError::corrupt(format!("no archive is known of the event at position {}", after + 1));
        let archive = archive.ok_or_else(unknown)?;
        let (mut looked, mut unreadable) = (Vec::new(), None);
        for path in places(&archive.file, self.folder.as_deref()) {
            match Lines::open(&path) {
                Ok(lines) => return Ok(OpenArchive { at: archive.first - 1, lines, archive }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => looked.push(path.display().to_string()),
                Err(source) => unreadable = Some(HistoryError::File { path, source }),
            }
        }
        let (first, last, looked) = (archive.first, archive.last, looked.join(" and no "));
        Err(unreadable.unwrap_or(HistoryError::Missing { first, last, looked }))
    }
}

/// Candidate paths of an archive that was written to `file`.
fn places(file: &str, folder: Option<&Path>) -> Vec<PathBuf> {
    let written = PathBuf::from(file);
    let moved = folder.zip(written.file_name()).map(|(folder, name)| folder.join(name));
    let moved = moved.filter(|moved| *moved != written);
    std::iter::once(written).chain(moved).collect()
}

/// An archive being read: one line for each position, in order.
struct OpenArchive {
    archive: Archive,
    lines: Lines,
    /// Position of the last line read.
    at: u64,
}

impl OpenArchive {
    fn goes_on_after(&self, after: u64) -> bool {
        self.at <= after && after < self.archive.last
    }

    fn read(&mut self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, HistoryError> {
        while self.at < after {
            self.line()?;
        }
        let left = usize::try_from(self.archive.last - after).unwrap_or(usize::MAX);
        (0..left.min(limit)).map(|_| self.event()).collect()
    }

    /// The next event, checked against the position and the leaf hash in its own line.
    fn event(&mut self) -> Result<StoredEvent, HistoryError> {
        let line = self.line()?;
        lines::event(&line)
            .filter(|event| event.position == self.at && codec::leaf_hash(event) == event.leaf_hash)
            .ok_or_else(|| HistoryError::Altered { path: self.lines.path.clone(), position: self.at })
    }

    fn line(&mut self) -> Result<String, HistoryError> {
        let (next, path, position) = (self.lines.next(), self.lines.path.clone(), self.at + 1);
        self.at = position;
        match next {
            Ok(Some(line)) => Ok(line),
            Ok(None) | Err(LineError::HalfWritten) => Err(HistoryError::Short { path, position }),
            Err(LineError::NoText) => Err(HistoryError::Altered { path, position }),
            Err(LineError::File(source)) => Err(HistoryError::File { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_searched_at_its_written_path_and_in_the_folder() {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(places("/a/old.ndjson", None), paths(&["/a/old.ndjson"]));
        assert_eq!(places("/a/old.ndjson", Some(Path::new("/b"))), paths(&["/a/old.ndjson", "/b/old.ndjson"]));
        assert_eq!(places("/a/old.ndjson", Some(Path::new("/a"))), paths(&["/a/old.ndjson"]));
    }
}
