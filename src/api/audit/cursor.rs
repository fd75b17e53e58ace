//! Pagination cursors: start of the next page and end of the list, sealed by the vault against forgery, alteration and
//! use for another question.

use crate::vault::Vault;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};

/// First byte of every cursor, for later formats; encoded it is a letter, so no cursor reads as a position.
const VERSION: u8 = 2;
const SCOPE: &str = "audit-cursor";
const SEAL_LENGTH: usize = 16;
const LENGTH: usize = 1 + 8 + 8 + LEAF_LENGTH + SEAL_LENGTH;
/// Bytes kept of a leaf hash, to tell the event from others at its position.
pub(super) const LEAF_LENGTH: usize = 8;

/// Start of the next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Position after which the page begins.
    pub(super) after: u64,
    /// Head of the journal when the first page was requested: later events, above all the record of this reading, are
    /// on none of the pages.
    pub(super) head: u64,
    /// Beginning of the leaf hash of the event at `after`, if the database holds it: another history has another event
    /// there.
    pub(super) leaf: [u8; LEAF_LENGTH],
}

impl Cursor {
    /// The cursor as text, valid for `question` only.
    pub(super) fn seal(self, vault: &Vault, question: &str) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.after.to_be_bytes());
        bytes.extend_from_slice(&self.head.to_be_bytes());
        bytes.extend_from_slice(&self.leaf);
        let seal = vault.digest(SCOPE, &[&bytes, question.as_bytes()]);
        bytes.extend_from_slice(&seal[..SEAL_LENGTH]);
        BASE64URL.encode(bytes)
    }

    /// Reads a cursor; `None` unless [`Cursor::seal`] made the text for `question`.
    pub(super) fn open(text: &str, vault: &Vault, question: &str) -> Option<Self> {
        let bytes: [u8; LENGTH] = BASE64URL.decode(text).ok()?.try_into().ok()?;
        let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let leaf = bytes[17..17 + LEAF_LENGTH].try_into().ok()?;
        let cursor = Cursor { after: number(1)?, head: number(9)?, leaf };
        // No constant-time comparison: a cursor holds nothing that its caller could not request in the clear.
        (cursor.seal(vault, question) == text).then_some(cursor)
    }
}
