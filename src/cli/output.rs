//! Standard output, and what is said beside it.

use std::io::Write;

/// Writes a line. A reader that has gone away is an error, as for any program that is asked for an answer.
pub(super) fn line(text: impl std::fmt::Display) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes a line that is for people, beside the answer: on standard error.
pub(super) fn remark(text: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stderr().lock(), "{text}")
}
