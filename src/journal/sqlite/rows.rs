//! Writing many rows with few statements.
//!
//! A statement costs a trip to the connection's thread, so it takes as many rows as there are; but each number of rows
//! is a text of its own that SQLite must compile. Powers of two are few and add up to any number.

use crate::journal::JournalResult;
use registrar_projections::KeyValue;
use sqlx::sqlite::SqliteConnection;
use std::borrow::Cow;

/// Rows in one statement, at most. SQLite takes 32,766 values.
const ROWS_MAX: usize = 64;
/// Statements that a connection keeps compiled; there are a few dozen of them, each for up to seven numbers of rows.
pub(super) const STATEMENTS_KEPT: usize = 400;

/// A value of a row.
#[derive(Debug, Clone)]
pub(super) enum Cell<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Bytes(&'a [u8]),
    Null,
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Text(Cow::Borrowed(text))
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
            // Several values stand in a table of their own.
            Some(KeyValue::Texts(_)) | None => Cell::Null,
        }
    }
}

/// Runs `before VALUES (...), (...) after` until every row, each of the same length, has had its turn.
pub(super) async fn write_rows(
    connection: &mut SqliteConnection,
    before: &str,
    after: &str,
    rows: Vec<Vec<Cell<'_>>>,
) -> JournalResult<()> {
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let count = 1 << rows.len().min(ROWS_MAX).ilog2();
        let chunk: Vec<Vec<Cell>> = rows.by_ref().take(count).collect();
        let width = chunk.first().map_or(0, Vec::len);
        let row = format!("({})", vec!["?"; width].join(", "));
        let text = format!("{before} VALUES {} {after}", vec![row.as_str(); count].join(", "));
        let mut query = sqlx::query(&text);
        for cell in chunk.into_iter().flatten() {
            query = match cell {
                Cell::Text(text) => query.bind(text),
                Cell::Integer(number) => query.bind(number),
                Cell::Bytes(bytes) => query.bind(bytes),
                Cell::Null => query.bind(None::<i64>),
            };
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
