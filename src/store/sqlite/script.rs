//! Writing many rows with few round trips to the connection's thread.
//!
//! A statement takes any number of rows; but each number of rows is a text of its own that SQLite must compile. Powers
//! of two are few and add up to any number. The statements of a single command form one text: there are few of these as
//! well.

use crate::store::{JournalResult, assembled};
use registrar_projections::KeyValue;
use sqlx::sqlite::SqliteConnection;
use std::borrow::Cow;

/// Most rows in one statement. SQLite takes 32,766 values.
const ROWS_MAX: usize = 64;
/// Compiled statements cached by a connection; there are a few dozen of them, each for up to seven numbers of rows.
pub(super) const STATEMENTS_KEPT: usize = 400;

/// Most statements, and rows of each, that are sent as one text.
const SHORT_STATEMENTS_MAX: usize = 16;
const SHORT_ROWS_MAX: usize = 2;

/// A value of a row.
#[derive(Debug, Clone)]
pub(super) enum Cell<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Bytes(Cow<'a, [u8]>),
    Null,
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a [u8]> for Cell<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Cell::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Cell::Integer(number)
    }
}

impl<'a> Cell<'a> {
    /// The cell of a scalar key.
    pub(super) fn of_key(value: Option<&'a KeyValue>) -> Self {
        match value {
            Some(KeyValue::Text(text)) => Cell::from(text.as_str()),
            Some(KeyValue::Integer(number)) => Cell::Integer(*number),
            // Lists are stored in a table of their own.
            Some(KeyValue::Texts(_)) | None => Cell::Null,
        }
    }
}

/// Statements to run in order.
#[derive(Default)]
pub(super) struct Script<'a>(Vec<(Cow<'static, str>, Vec<Cell<'a>>)>);

impl<'a> Script<'a> {
    /// Adds a statement with the values of its placeholders.
    pub(super) fn add(&mut self, text: impl Into<Cow<'static, str>>, cells: Vec<Cell<'a>>) {
        self.0.push((text.into(), cells));
    }

    /// Adds `before VALUES (...), (...) after` for all rows, which have equal lengths.
    pub(super) fn add_rows(&mut self, before: &str, after: &str, rows: Vec<Vec<Cell<'a>>>) {
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let count = 1 << rows.len().min(ROWS_MAX).ilog2();
            let chunk: Vec<Vec<Cell>> = rows.by_ref().take(count).collect();
            let width = chunk.first().map_or(0, Vec::len);
            let row = format!("({})", vec!["?"; width].join(", "));
            let text = format!("{before} VALUES {} {after}", vec![row.as_str(); count].join(", "));
            self.add(text, chunk.into_iter().flatten().collect());
        }
    }

    /// Whether the script is as small as one command's; few different ones exist.
    fn is_short(&self) -> bool {
        let rows = |text: &str| text.matches("), (").count() + 1;
        self.0.len() <= SHORT_STATEMENTS_MAX && self.0.iter().all(|(text, _)| rows(text) <= SHORT_ROWS_MAX)
    }

    /// Runs the statements.
    pub(super) async fn run(self, connection: &mut SqliteConnection) -> JournalResult<()> {
        if self.is_short() {
            let (texts, cells): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
            return run(connection, texts.join("; ").into(), cells.into_iter().flatten()).await;
        }
        for (text, cells) in self.0 {
            run(connection, text, cells.into_iter()).await?;
        }
        Ok(())
    }
}

async fn run<'a>(
    connection: &mut SqliteConnection,
    text: Cow<'static, str>,
    cells: impl Iterator<Item = Cell<'a>>,
) -> JournalResult<()> {
    let mut query = sqlx::query(assembled(text));
    for cell in cells {
        query = match cell {
            Cell::Text(text) => query.bind(text),
            Cell::Integer(number) => query.bind(number),
            Cell::Bytes(Cow::Borrowed(bytes)) => query.bind(bytes),
            Cell::Bytes(Cow::Owned(bytes)) => query.bind(bytes),
            Cell::Null => query.bind(None::<i64>),
        };
    }
    query.execute(connection).await?;
    Ok(())
}
