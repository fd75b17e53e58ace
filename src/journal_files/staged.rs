//! Files that are published complete or not at all, readable by their owner only.

use crate::vault::private_file;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const BUFFER: usize = 1 << 18;

/// A set of files written under temporary names; dropping it before [`StagedFiles::publish`] removes them.
#[derive(Default)]
pub(super) struct StagedFiles {
    files: Vec<(PathBuf, PathBuf)>,
}

/// Writer of one of the files.
pub(super) type Writer = BufWriter<File>;

impl StagedFiles {
    /// Creates a file to be published as `path`, which must not exist.
    pub(super) fn create(&mut self, path: PathBuf) -> io::Result<Writer> {
        if path.try_exists()? {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is there already", path.display())));
        }
        let name = path.file_name().ok_or_else(|| io::Error::other(format!("{} names no file", path.display())))?;
        let random = u64::from_ne_bytes(crate::vault::random());
        let aside = path.with_file_name(format!(".{}.{random:016x}.part", name.to_string_lossy()));
        let file = private_file::create(&aside).map_err(|error| at(&aside, &error))?;
        self.files.push((aside, path));
        Ok(BufWriter::with_capacity(BUFFER, file))
    }

    /// Publishes the files in the order of their creation, after syncing all of them to disk.
    pub(super) fn publish(mut self, writers: Vec<Writer>) -> io::Result<()> {
        for mut writer in writers {
            writer.flush()?;
            writer.get_ref().sync_all()?;
        }
        for (done, (aside, path)) in self.files.iter().enumerate() {
            // Linking fails if the target was created meanwhile; renaming would replace it.
            if let Err(error) = std::fs::hard_link(aside, path) {
                self.files[..done].iter().for_each(|(_, path)| drop(std::fs::remove_file(path)));
                return Err(at(path, &error));
            }
        }
        if let Some(folder) = self.files.first().and_then(|(_, path)| path.parent()) {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        self.remove();
        Ok(())
    }

    fn remove(&mut self) {
        for (aside, _) in self.files.drain(..) {
            let _ = std::fs::remove_file(aside);
        }
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

impl Drop for StagedFiles {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Path of a file that accompanies the events at `path`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
