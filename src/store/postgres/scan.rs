//! Rows by binary COPY: row by row, the driver costs more than all processing.

use super::{PostgresStore, WALK_SETTINGS};
use crate::store::{JournalError, JournalResult, PAGE, StoredEvent};
use chrono::{TimeDelta, TimeZone, Utc};
use futures::TryStreamExt;
use sqlx::Executor;
use tokio::sync::mpsc::Sender;

/// Signature of a binary COPY (PostgreSQL documentation, COPY, binary format).
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

impl PostgresStore {
    /// Sends the rows of a binary COPY of `N` columns, in pages.
    pub(super) async fn copy<const N: usize, T: Send>(
        &self,
        text: &str,
        pages: Sender<Vec<T>>,
        read: impl Fn([&[u8]; N]) -> Option<T> + Send,
    ) -> JournalResult<()> {
        let mut connection = self.connect().await?;
        connection.execute(WALK_SETTINGS).await?;
        let mut copied = connection.copy_out_raw(text).await?;
        let mut rows = Rows::default();
        let mut page = Vec::with_capacity(PAGE);
        while let Some(bytes) = copied.try_next().await? {
            rows.pending.extend_from_slice(&bytes);
            while let Some(row) = rows.next(&read)? {
                page.push(row);
                if page.len() == PAGE
                    && pages.send(std::mem::replace(&mut page, Vec::with_capacity(PAGE))).await.is_err()
                {
                    return Ok(());
                }
            }
        }
        let _ = pages.send(page).await;
        Ok(())
    }
}

/// Buffered rows of a binary COPY.
#[derive(Default)]
struct Rows {
    pending: Vec<u8>,
    read: usize,
    begun: bool,
}

fn broken() -> JournalError {
    JournalError::corrupt("the database's copy of the events is not readable")
}

impl Rows {
    /// The next complete row.
    fn next<const N: usize, T>(&mut self, read: impl Fn([&[u8]; N]) -> Option<T>) -> JournalResult<Option<T>> {
        if !self.begun {
            // Signature, flags, and the length of the header extension, which is empty.
            if self.pending.len() < SIGNATURE.len() + 8 {
                return Ok(None);
            }
            if !self.pending.starts_with(SIGNATURE) {
                return Err(broken());
            }
            (self.begun, self.read) = (true, SIGNATURE.len() + 8);
        }
        let mut cursor = Cursor(&self.pending[self.read..]);
        match cursor.row() {
            Some(fields) => {
                self.read = self.pending.len() - cursor.0.len();
                read(fields).map(Some).ok_or_else(broken)
            }
            None => {
                self.pending.drain(..self.read);
                self.read = 0;
                Ok(None)
            }
        }
    }
}

struct Cursor<'b>(&'b [u8]);

impl<'b> Cursor<'b> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn field(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(i32::from_be_bytes(self.take()?)).ok()?;
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    /// The next row; `None` if it is incomplete or the trailer of the copy.
    fn row<const N: usize>(&mut self) -> Option<[&'b [u8]; N]> {
        if usize::from(u16::from_be_bytes(self.take()?)) != N {
            return None;
        }
        let mut fields = [&[][..]; N];
        for field in &mut fields {
            *field = self.field()?;
        }
        Some(fields)
    }
}

pub(super) fn number_of(field: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(field.try_into().ok()?))
}

pub(super) fn text_of(field: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(field).ok()?.to_owned())
}

pub(super) fn event(fields: [&[u8]; 10]) -> Option<StoredEvent> {
    let [
        position,
        recorded_at,
        aggregate_type,
        aggregate_id,
        sequence,
        event_type,
        event_version,
        payload,
        metadata,
        leaf,
    ] = fields;
    // Microseconds since the beginning of 2000.
    let epoch = Utc.timestamp_opt(946_684_800, 0).single()?;
    Some(StoredEvent {
        position: u64::try_from(number_of(position)?).ok()?,
        recorded_at: epoch.checked_add_signed(TimeDelta::microseconds(number_of(recorded_at)?))?,
        aggregate_type: text_of(aggregate_type)?,
        aggregate_id: text_of(aggregate_id)?,
        sequence: u64::try_from(number_of(sequence)?).ok()?,
        event_type: text_of(event_type)?,
        event_version: text_of(event_version)?,
        payload: text_of(payload)?,
        metadata: text_of(metadata)?,
        // A hash of another length matches no event.
        leaf_hash: leaf.try_into().unwrap_or_default(),
    })
}
