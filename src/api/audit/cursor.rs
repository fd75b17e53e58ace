//! Cursors: where the next page begins and where the last one ends, sealed by the vault so that nobody can make one up,
//! change one, or use one for another question.

use crate::vault::Vault;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};

/// First byte of every cursor, so that another form can come later; as text it makes a letter, which no position is.
const VERSION: u8 = 2;
const SCOPE: &str = "audit-cursor";
const SEAL_LENGTH: usize = 16;
const LENGTH: usize = 1 + 8 + 8 + LEAF_LENGTH + SEAL_LENGTH;
/// Bytes of a leaf hash that tell an event from others at its position.
pub(super) const LEAF_LENGTH: usize = 8;

/// Where the next page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Position after which it does.
    pub(super) after: u64,
    /// Position of the journal's last event when the first page was asked for: what came later, the record of this
    /// reading above all, is on none of the pages.
    pub(super) head: u64,
    /// Of the leaf hash of the event at `after`, if it is in the database: another history has another event there.
    pub(super) leaf: [u8; LEAF_LENGTH],
}

impl Cursor {
    /// The cursor as text, good for `question` alone.
    pub(super) fn seal(self, vault: &Vault, question: &str) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.after.to_be_bytes());
        bytes.extend_from_slice(&self.head.to_be_bytes());
        bytes.extend_from_slice(&self.leaf);
        let seal = vault.digest(SCOPE, &[&bytes, question.as_bytes()]);
        bytes.extend_from_slice(&seal[..SEAL_LENGTH]);
        BASE64URL.encode(bytes)
    }

    /// Reads a cursor; `None` for whatever [`Cursor::seal`] did not make for `question`.
    pub(super) fn open(text: &str, vault: &Vault, question: &str) -> Option<Self> {
        let bytes: [u8; LENGTH] = BASE64URL.decode(text).ok()?.try_into().ok()?;
        let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let leaf = bytes[17..17 + LEAF_LENGTH].try_into().ok()?;
        let cursor = Cursor { after: number(1)?, head: number(9)?, leaf };
        // Compared plainly: a cursor holds nothing that its caller could not ask for in the clear.
        (cursor.seal(vault, question) == text).then_some(cursor)
    }
}
