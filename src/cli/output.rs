//! Standard output, and remarks beside it.

use std::io::Write;

/// Writes a line. A closed reader is an error, as for any program with a result.
pub(super) fn line(text: impl std::fmt::Display) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes a line for people, beside the result: on standard error.
pub(super) fn remark(text: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stderr().lock(), "{text}")
}
