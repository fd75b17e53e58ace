//! Standard output.

use std::io::Write;

/// Writes a line. A reader that has gone away is an error, as for any program that is asked for an answer.
pub(super) fn line(text: impl std::fmt::Display) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
