//! Line-by-line file reading, and parsing of lines into events.

use crate::journal::StoredEvent;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Longest line of an export; a command's body has a limit far below it.
const LINE_MAX: u64 = 64 << 20;

/// Reasons why the next line cannot be read.
#[derive(Debug)]
pub(crate) enum LineError {
    /// The file cannot be read.
    File(io::Error),
    /// The line is not UTF-8 text.
    NoText,
    /// The file ends in the middle of the line.
    HalfWritten,
}

/// Reader of a file's complete lines.
pub(crate) struct Lines {
    /// File that is read.
    pub(crate) path: PathBuf,
    /// Number of the last line.
    pub(crate) number: u64,
    reader: BufReader<File>,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let reader = BufReader::with_capacity(1 << 18, File::open(path)?);
        Ok(Lines { path: path.to_owned(), number: 0, reader })
    }

    /// The next line, without its line break; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<String>, LineError> {
        let mut line = Vec::new();
        let read = io::Read::take(&mut self.reader, LINE_MAX).read_until(b'\n', &mut line);
        if read.map_err(LineError::File)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let whole = line.pop() == Some(b'\n');
        match String::from_utf8(line) {
            Ok(line) if whole => Ok(Some(line)),
            Ok(_) => Err(LineError::HalfWritten),
            Err(_) => Err(LineError::NoText),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line<'l> {
    aggregate_id: String,
    aggregate_type: String,
    event_type: String,
    event_version: String,
    leaf_hash: String,
    #[serde(borrow)]
    metadata: &'l RawValue,
    #[serde(borrow)]
    payload: &'l RawValue,
    position: u64,
    recorded_at: DateTime<Utc>,
    sequence: u64,
}

/// Parses a line of an NDJSON export; `None` if it is not an event.
pub(crate) fn event(line: &str) -> Option<StoredEvent> {
    let line: Line<'_> = serde_json::from_str(line).ok()?;
    Some(StoredEvent {
        position: line.position,
        recorded_at: line.recorded_at,
        aggregate_type: line.aggregate_type,
        aggregate_id: line.aggregate_id,
        sequence: line.sequence,
        event_type: line.event_type,
        event_version: line.event_version,
        payload: line.payload.get().to_owned(),
        metadata: line.metadata.get().to_owned(),
        leaf_hash: BASE64.decode(line.leaf_hash).ok()?.try_into().ok()?,
    })
}
