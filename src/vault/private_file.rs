//! Files with secrets: created for their owner alone, and read only if no other user may write them or, except for the
//! file's group, read them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Mode bits that give others any access, or the group more than read access.
const OTHERS: u32 = 0o037;

/// Files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain to the authority, as PEM.
    pub certificate: PathBuf,
    /// Private key of the certificate, as PEM.
    pub key: PathBuf,
}

/// Reasons why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivateFileError {
    /// Other users may read or write it.
    #[error("it may be read or written by others: chmod 600 it, and let its owner be the one who runs this")]
    Exposed,
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Creates a file that only its owner may read or write. It must not exist.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// The text of a private file owned by this user or the administrator.
///
/// # Errors
/// [`PrivateFileError`].
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, PrivateFileError> {
    // The opened file is checked, not its path: the path may be replaced meanwhile.
    let mut file = File::open(path)?;
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text)?;
    let meta = file.metadata()?;
    let owned = meta.uid() == 0 || meta.uid() == rustix::process::geteuid().as_raw();
    if !owned || meta.mode() & OTHERS != 0 {
        return Err(PrivateFileError::Exposed);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_private_file_is_created_for_its_owner_and_refused_once_exposed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        drop(create(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        std::fs::write(&path, "text").unwrap();
        for (mode, fits) in
            [(0o644, false), (0o604, false), (0o620, false), (0o640, true), (0o400, true), (0o600, true)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match read(&path) {
                Ok(text) => assert!(fits && *text == "text", "{mode:o}"),
                Err(error) => assert!(!fits && matches!(error, PrivateFileError::Exposed), "{mode:o} {error}"),
            }
        }
        assert!(matches!(read(&folder.path().join("none")), Err(PrivateFileError::File(_))));
        assert!(matches!(read(folder.path()), Err(PrivateFileError::File(_))));
    }
}
