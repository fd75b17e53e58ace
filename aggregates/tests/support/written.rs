//! Generated files. The domain itself touches no file, so this helper lives beside its sources and not among them.

use std::path::PathBuf;

/// Compares a file of the repository with its expected text; `UPDATE=1` writes it.
pub(super) fn assert_written(path: &str, expected: &str) {
    let file = repository().join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, expected).expect("the file is written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let line = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "{path} does not say what the code says, first in line {}. Run the test with UPDATE=1 and look at the difference.",
        line.unwrap_or_else(|| found.lines().count().min(expected.lines().count())) + 1
    );
}

/// A file of the repository; empty if missing.
pub(super) fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_default()
}

/// Whether files are written instead of compared.
pub(super) fn is_updating() -> bool {
    std::env::var_os("UPDATE").is_some()
}

fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
