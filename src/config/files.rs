//! Settings that name files.

use super::{ConfigError, FORMER_MASTER_KEY, FORMER_MASTER_KEY_FILE, MASTER_KEY, MASTER_KEY_FILE, Secrets};
use crate::vault::{MasterKey, MasterKeyError, MasterKeys, TlsFiles};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The files for TLS, certificate and key, each with its setting: both or none.
pub(super) fn tls(
    [(certificate_name, certificate), (key_name, key)]: [(&'static str, Option<OsString>); 2],
) -> Result<Option<TlsFiles>, ConfigError> {
    match (path(certificate), path(key)) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::new(key_name, format!("is needed with {certificate_name}"))),
        (None, Some(_)) => Err(ConfigError::new(certificate_name, format!("is needed with {key_name}"))),
    }
}

/// The path, unless it is empty.
pub(super) fn path(given: Option<OsString>) -> Option<PathBuf> {
    given.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The content of a file, if one is named.
pub(super) fn file<T: Default>(
    name: &'static str,
    named: Option<OsString>,
    read: fn(&Path) -> Result<T, String>,
) -> Result<T, ConfigError> {
    let Some(path) = path(named) else { return Ok(T::default()) };
    read(&path).map_err(|problem| ConfigError::new(name, format!("{} cannot be used: {problem}", path.display())))
}

/// The master key: from the environment, else from the file in the data folder, which is created if missing. The folder
/// must exist. The former key has the same sources, but is never created.
///
/// # Errors
/// [`MasterKeyError`], which names its source.
pub fn master_keys(secrets: &Secrets, data: &Path) -> Result<MasterKeys, MasterKeyError> {
    // The former key first: no new key is created beside an invalid former one.
    let former = match &secrets.former_master_key {
        Some(text) => Some(MasterKey::parse(text, FORMER_MASTER_KEY)?),
        None => MasterKey::from_existing_file(&data.join(FORMER_MASTER_KEY_FILE))?,
    };
    let configured = match &secrets.master_key {
        Some(text) => MasterKey::parse(text, MASTER_KEY)?,
        None => MasterKey::from_file(&master_key_file(data))?,
    };
    MasterKeys::new(configured, former)
}

/// File of the master key if the environment has none.
#[must_use]
pub fn master_key_file(data: &Path) -> PathBuf {
    data.join(MASTER_KEY_FILE)
}
