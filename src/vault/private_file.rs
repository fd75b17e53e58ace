//! Files that hold secrets: made for their owner alone, and read only where nobody else may write them or, beside a group
//! that was given them, read them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bits of a mode that let others do anything, or the group more than read.
const OTHERS: u32 = 0o037;

/// Files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that lead to its authority, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivateFileError {
    /// Somebody else may read or write it.
    #[error("it may be read or written by others: chmod 600 it, and let its owner be the one who runs this")]
    Exposed,
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Makes a file that only its owner may read or write. Nothing may be there already.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// The text of a file that is one's own or the administrator's and nobody else's.
///
/// # Errors
/// [`PrivateFileError`].
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, PrivateFileError> {
    // What was opened is what is checked: a name may come to stand for another file meanwhile.
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
    fn a_file_is_made_for_its_owner_and_read_while_it_is_nobody_elses() {
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
