//! The table as it is read: blank lines and those that begin with `#` are for people, the first other one names the
//! callers.

use super::world::CALLERS;

const TABLE: &str = include_str!("table.txt");

/// The answers to one request, by caller.
pub struct Line {
    /// Name of the operation, after a colon that of the request, if there are several.
    pub variant: String,
    /// The status for each caller, in the order of the columns.
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

/// Names of the callers.
pub fn columns() -> Vec<&'static str> {
    rows().next().unwrap().split_off(1)
}

/// Everything that is decided.
pub fn lines() -> Vec<Line> {
    let read = |row: Vec<&str>| {
        let expected: Vec<u16> = row[1..].iter().map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(expected.len(), CALLERS.len(), "{} has too many cells, or too few", row[0]);
        Line { variant: row[0].to_owned(), expected }
    };
    rows().skip(1).map(read).collect()
}
