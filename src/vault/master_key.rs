//! Master keys: their sources, and the ones that a process has.

use super::{KEY_LENGTH, mac, random};
use crate::vault::private_file::{self, PrivateFileError};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use std::path::Path;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The key that wraps all others: 32 bytes from the configuration.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey(pub(super) [u8; KEY_LENGTH]);

/// Reasons why a master key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Not 32 bytes of base64.
    #[error("{origin} must hold 32 bytes as base64 (try: openssl rand -base64 32)")]
    Malformed {
        /// Setting or file that it was read from.
        origin: String,
    },
    /// The former and the current key are the same.
    #[error(
        "REGISTRAR_FORMER_MASTER_KEY is the same key as REGISTRAR_MASTER_KEY: leave it out, or name the former one"
    )]
    Same,
    /// Other users may read or write the key file.
    #[error(
        "the key file {path} may be read or written by others: chmod 600 {path}, and let its owner be the one who runs this"
    )]
    Exposed {
        /// Path of the key file.
        path: String,
    },
    /// The key file cannot be read or created.
    #[error("cannot use the key file {path}: {source}")]
    File {
        /// Path of the key file.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
}

impl MasterKey {
    /// Parses base64 text.
    ///
    /// # Errors
    /// `Malformed`, naming `origin`.
    pub fn parse(text: &str, origin: &str) -> Result<Self, MasterKeyError> {
        let bytes = Zeroizing::new(BASE64.decode(text.trim()).unwrap_or_default());
        let key = bytes.as_slice().try_into().map_err(|_| MasterKeyError::Malformed { origin: origin.to_owned() })?;
        Ok(MasterKey(key))
    }

    /// Reads the key file; if it does not exist, creates one that only its owner may read.
    ///
    /// # Errors
    /// `Malformed`, `Exposed`, `File`.
    pub fn from_file(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |source| MasterKeyError::File { path: path.display().to_string(), source };
        match Self::from_existing_file(path)? {
            Some(key) => Ok(key),
            None => Self::create(path).map_err(failed),
        }
    }

    /// Reads a key file; `None` if it does not exist.
    ///
    /// # Errors
    /// `Malformed`, `Exposed`, `File`.
    pub fn from_existing_file(path: &Path) -> Result<Option<Self>, MasterKeyError> {
        let name = || path.display().to_string();
        match private_file::read(path) {
            Ok(text) => Self::parse(&text, &name()).map(Some),
            Err(PrivateFileError::Exposed) => Err(MasterKeyError::Exposed { path: name() }),
            Err(PrivateFileError::File(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(PrivateFileError::File(source)) => Err(MasterKeyError::File { path: name(), source }),
        }
    }

    fn create(path: &Path) -> std::io::Result<Self> {
        use std::io::Write;
        let key = random();
        // Written aside and linked into place: two simultaneous first starts end up with one key, never with half of
        // one. The name is random, since processes in two containers may have the same id.
        let aside = path.with_extension(format!("{:016x}.tmp", u64::from_ne_bytes(random())));
        let mut file = private_file::create(&aside)?;
        file.write_all(format!("{}\n", BASE64.encode(key)).as_bytes())?;
        file.sync_all()?;
        let linked = std::fs::hard_link(&aside, path);
        std::fs::remove_file(&aside)?;
        match linked {
            Ok(()) => Ok(MasterKey(key)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Self::parse(&std::fs::read_to_string(path)?, "the key file").map_err(std::io::Error::other)
            }
            Err(error) => Err(error),
        }
    }

    /// Derives a key for one purpose, independent of other purposes (HMAC-SHA-256 as the extract-free step of HKDF).
    pub(super) fn derive(&self, purpose: &str) -> Zeroizing<[u8; KEY_LENGTH]> {
        Zeroizing::new(mac(&self.0, &[b"registrar/v1/", purpose.as_bytes()]))
    }
}

/// The master keys of a process: the current one, and the former one while boxes may still be wrapped by it.
#[derive(Clone)]
pub struct MasterKeys {
    pub(super) configured: MasterKey,
    pub(super) former: Option<MasterKey>,
}

impl MasterKeys {
    /// `configured` alone, or both while it replaces `former`.
    ///
    /// # Errors
    /// `Same` if both are one key.
    pub fn new(configured: MasterKey, former: Option<MasterKey>) -> Result<Self, MasterKeyError> {
        match former {
            Some(former) if former.0 == configured.0 => Err(MasterKeyError::Same),
            former => Ok(MasterKeys { configured, former }),
        }
    }
}

impl From<&MasterKey> for MasterKeys {
    fn from(key: &MasterKey) -> Self {
        MasterKeys { configured: key.clone(), former: None }
    }
}

impl From<&MasterKeys> for MasterKeys {
    fn from(keys: &MasterKeys) -> Self {
        keys.clone()
    }
}
