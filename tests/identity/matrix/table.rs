//! The parser of the table: blank lines and lines that begin with `#` are comments, the first other line names the
//! callers.

use super::world::CALLERS;

const TABLE: &str = include_str!("table.txt");

/// The expected answers to one request, by caller.
pub struct Line {
    /// Name of the operation; where it has several requests, the name of the request follows after a colon.
    pub variant: String,
    /// The status for each caller, in column order.
    pub expected: Vec<u16>,
}

impl Line {
    pub fn operation(&self) -> &str {
        self.variant.split(':').next().unwrap_or_default()
    }

    /// The status for a caller.
    pub fn status(&self, caller: &str) -> u16 {
        let column = CALLERS.iter().position(|name| *name == caller).unwrap();
        self.expected[column]
    }
}

fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    let rows = TABLE.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    rows.map(|line| line.split_whitespace().collect())
}

/// Names of the callers, in column order.
pub fn columns() -> Vec<&'static str> {
    rows().next().unwrap().split_off(1)
}

/// All lines of the table.
pub fn lines() -> Vec<Line> {
    let read = |row: Vec<&str>| {
        let expected: Vec<u16> = row[1..].iter().map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(expected.len(), CALLERS.len(), "{} has too many cells, or too few", row[0]);
        Line { variant: row[0].to_owned(), expected }
    };
    rows().skip(1).map(read).collect()
}
