//! Documents by COPY, which inserts many rows at a fraction of the cost of a statement with arguments.

use crate::store::{DocumentStep, JournalResult, sql};
use registrar_projections::{Collection, CollectionId, KeyValue};
use sqlx::postgres::PgConnection;
use std::fmt::Write;

/// Inserts new documents into the tables of a generation.
pub(super) async fn copy_documents(
    connection: &mut PgConnection,
    generation: u64,
    documents: &[&DocumentStep],
) -> JournalResult<()> {
    for id in CollectionId::ALL {
        let collection = id.collection();
        let rows = rows(collection, documents.iter().filter(|step| step.key.collection == *id));
        if rows.is_empty() {
            continue;
        }
        let columns: String = collection.keys.iter().map(|key| format!(", {}", key.name)).collect();
        let table = sql::table(collection, generation);
        let mut copy = connection.copy_in_raw(&format!("COPY {table} (id, body, digest{columns}) FROM STDIN")).await?;
        match copy.send(rows).await {
            Ok(_) => copy.finish().await?,
            Err(error) => {
                copy.abort("it cannot be sent").await?;
                return Err(error.into());
            }
        };
    }
    Ok(())
}

/// Rows in COPY's text format.
fn rows<'a>(collection: &Collection, steps: impl Iterator<Item = &'a &'a DocumentStep>) -> Vec<u8> {
    let mut text = String::new();
    for step in steps {
        escape(&step.key.id, &mut text);
        text.push('\t');
        escape(&step.body, &mut text);
        text.push('\t');
        escape(&step.digest, &mut text);
        for n in 0..collection.keys.len() {
            text.push('\t');
            match step.keys.get(n) {
                Some(KeyValue::Text(value)) => escape(value, &mut text),
                Some(KeyValue::Integer(number)) => {
                    // Writing to a String does not fail.
                    let _ = write!(text, "{number}");
                }
                Some(KeyValue::Texts(values)) => escape(&array(values), &mut text),
                None => text.push_str("\\N"),
            }
        }
        text.push('\n');
    }
    text.into_bytes()
}

fn escape(value: &str, text: &mut String) {
    let mut plain = 0;
    for (at, byte) in value.bytes().enumerate() {
        let escaped = match byte {
            b'\\' => "\\\\",
            b'\t' => "\\t",
            b'\n' => "\\n",
            b'\r' => "\\r",
            _ => continue,
        };
        text.push_str(&value[plain..at]);
        text.push_str(escaped);
        plain = at + 1;
    }
    text.push_str(&value[plain..]);
}

/// An array in PostgreSQL's text format, every element in quotes.
fn array(values: &[String]) -> String {
    let quoted = values.iter().map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_of_the_copy_format_are_escaped() {
        let mut text = String::new();
        escape("a\\b\tc\nd\re", &mut text);
        assert_eq!(text, "a\\\\b\\tc\\nd\\re");
    }

    #[test]
    fn elements_of_an_array_may_be_anything() {
        let values = ["", "NULL", "a,b", "\"", "\\", "{}"].map(String::from);
        assert_eq!(array(&values), r#"{"","NULL","a,b","\"","\\","{}"}"#);
        assert_eq!(array(&[]), "{}");
    }
}
