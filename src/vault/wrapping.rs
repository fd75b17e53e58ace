//! Boxes wrapped directly by a master key. Each names its key, so a key can be replaced while both are in use; boxes of
//! earlier releases name none.

use super::master_key::{MasterKey, MasterKeys};
use super::sealing_key::{BOX_VERSION, SealingKey, UnsealError};
use super::{KEY_LENGTH, digests::DigestKey};
use crate::store::JournalError;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// First byte of a box that names its master key.
const NAMED: u8 = 2;
const ID_LENGTH: usize = 8;
/// Length of the common prefix of a master key's boxes.
const PREFIX_LENGTH: usize = 1 + ID_LENGTH;

/// Name of a master key: a digest, which reveals nothing of the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; ID_LENGTH]);

impl KeyId {
    /// The prefix of every box of this key, and of no other box.
    #[must_use]
    pub fn prefix(self) -> [u8; PREFIX_LENGTH] {
        let mut prefix = [NAMED; PREFIX_LENGTH];
        prefix[1..].copy_from_slice(&self.0);
        prefix
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Kinds of wrapped values. Each has a key of its own, derived from the master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Another key.
    Key,
    /// The answer to an idempotent request.
    Answer,
}

/// Reasons why a box cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// The box names a master key that this process does not have.
    #[error(
        "this is wrapped by the master key {0}, which is not at hand: is it REGISTRAR_MASTER_KEY or REGISTRAR_FORMER_MASTER_KEY of another server?"
    )]
    UnknownKey(KeyId),
    /// Altered bytes, or a box of an earlier release under another master key.
    #[error(transparent)]
    NotOpened(#[from] UnsealError),
}

impl From<WrapError> for JournalError {
    /// A missing key is no corruption: the request may be retried at a server that has it, or after a restart.
    fn from(error: WrapError) -> Self {
        match error {
            WrapError::UnknownKey(_) => JournalError::unavailable(error),
            WrapError::NotOpened(source) => JournalError::corrupt(source),
        }
    }
}

/// Keys derived from one master key.
pub(super) struct WrappingKey {
    pub(super) id: KeyId,
    keys: SealingKey,
    answers: SealingKey,
    /// Digest key of earlier releases, derived from the master key directly.
    pub(super) derived_digests: DigestKey,
}

impl WrappingKey {
    fn of(master: &MasterKey) -> Self {
        let mut id = [0; ID_LENGTH];
        id.copy_from_slice(&master.derive("key-id")[..ID_LENGTH]);
        WrappingKey {
            id: KeyId(id),
            keys: SealingKey::new(&master.derive("wrap")),
            answers: SealingKey::new(&master.derive("answers")),
            derived_digests: DigestKey::new(master.derive("digest")),
        }
    }

    fn sealing(&self, kind: Kind) -> &SealingKey {
        match kind {
            Kind::Key => &self.keys,
            Kind::Answer => &self.answers,
        }
    }

    /// Wraps `plain`, to be opened under the same `name` only.
    pub(super) fn wrap(&self, kind: Kind, name: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut boxed = self.id.prefix().to_vec();
        self.sealing(kind).seal_into(&mut boxed, name, b"", plain);
        boxed
    }
}

/// The master keys of this process, ready to wrap and open.
pub(super) struct WrappingKeys {
    pub(super) configured: Arc<WrappingKey>,
    pub(super) former: Option<Arc<WrappingKey>>,
}

impl WrappingKeys {
    pub(super) fn of(masters: &MasterKeys) -> Self {
        WrappingKeys {
            configured: Arc::new(WrappingKey::of(&masters.configured)),
            former: masters.former.as_ref().map(|master| Arc::new(WrappingKey::of(master))),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<WrappingKey>> {
        std::iter::once(&self.configured).chain(&self.former)
    }

    /// Opens a box, and returns the key that wrapped it.
    pub(super) fn open(
        &self,
        kind: Kind,
        name: &[u8],
        boxed: &[u8],
    ) -> Result<(Zeroizing<Vec<u8>>, &Arc<WrappingKey>), WrapError> {
        match boxed.split_first_chunk::<PREFIX_LENGTH>() {
            Some((prefix, rest)) if prefix[0] == NAMED => {
                let mut id = [0; ID_LENGTH];
                id.copy_from_slice(&prefix[1..]);
                let key = self.all().find(|key| key.id.0 == id).ok_or(WrapError::UnknownKey(KeyId(id)))?;
                Ok((key.sealing(kind).open_rest(name, rest)?, key))
            }
            _ if boxed.first() == Some(&BOX_VERSION) => {
                let opened = self.all().find_map(|key| Some((key.sealing(kind).open(name, boxed).ok()?, key)));
                Ok(opened.ok_or(UnsealError)?)
            }
            _ => Err(UnsealError.into()),
        }
    }

    /// Opens a box that contains a key.
    pub(super) fn open_key(
        &self,
        name: &str,
        boxed: &[u8],
    ) -> Result<(Zeroizing<[u8; KEY_LENGTH]>, &Arc<WrappingKey>), WrapError> {
        let (opened, by) = self.open(Kind::Key, name.as_bytes(), boxed)?;
        Ok((Zeroizing::new(opened.as_slice().try_into().map_err(|_| UnsealError)?), by))
    }
}
