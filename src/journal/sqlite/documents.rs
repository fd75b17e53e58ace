//! Writing the documents of a commit or a rebuild: one statement for each collection and kind of change.

use crate::journal::{DocumentStep, JournalResult};
use crate::read_store::sql;
use registrar_projections::{ChangeKind, Collection, CollectionId, KeyKind, KeyValue};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use std::collections::{HashMap, HashSet};

pub(super) async fn write_documents(
    connection: &mut SqliteConnection,
    generation: u64,
    documents: &[DocumentStep],
    counts: &HashMap<String, i64>,
) -> JournalResult<()> {
    if !counts.is_empty() {
        let text = format!(
            "INSERT INTO {} (facet, documents) SELECT value ->> 0, value ->> 1 FROM json_each($1) WHERE true \
             ON CONFLICT (facet) DO UPDATE SET documents = documents + excluded.documents",
            sql::counts_table(generation)
        );
        let rows: Vec<Value> = counts.iter().map(|(facet, by)| json!([facet, by])).collect();
        sqlx::query(&text).bind(Value::Array(rows).to_string()).execute(&mut *connection).await?;
    }
    for id in CollectionId::ALL {
        for kind in [ChangeKind::Insert, ChangeKind::Update, ChangeKind::Delete] {
            let steps: Vec<_> =
                documents.iter().filter(|step| step.key.collection == *id && step.kind == kind).collect();
            if !steps.is_empty() {
                write_collection(connection, id.collection(), generation, kind, &steps).await?;
            }
        }
    }
    Ok(())
}

async fn write_collection(
    connection: &mut SqliteConnection,
    collection: &'static Collection,
    generation: u64,
    kind: ChangeKind,
    steps: &[&DocumentStep],
) -> JournalResult<()> {
    let table = sql::table(collection, generation);
    let scalar: Vec<(usize, &str)> = (0..)
        .zip(collection.keys)
        .filter(|(_, key)| key.kind != KeyKind::Texts)
        .map(|(n, key)| (n, key.name))
        .collect();
    let columns: String = scalar.iter().map(|(_, name)| format!(", {name}")).collect();
    let values: String = (2..scalar.len() + 2).map(|n| format!(", value ->> {n}")).collect();
    let text = match kind {
        ChangeKind::Insert => format!(
            "INSERT INTO {table} (id, body{columns}) SELECT value ->> 0, value ->> 1{values} FROM json_each($1)"
        ),
        ChangeKind::Update => {
            let assignments: String =
                (2..).zip(&scalar).map(|(n, (_, name))| format!(", {name} = u.value ->> {n}")).collect();
            format!(
                "UPDATE {table} SET body = u.value ->> 1{assignments} FROM json_each($1) u WHERE {table}.id = u.value ->> 0"
            )
        }
        ChangeKind::Delete => format!("DELETE FROM {table} WHERE id IN (SELECT value ->> 0 FROM json_each($1))"),
    };
    let rows: Vec<Value> = steps
        .iter()
        .map(|step| {
            let mut row = vec![json!(step.key.id), json!(step.body)];
            row.extend(scalar.iter().map(|(n, _)| step.keys.get(*n).map_or(Value::Null, key_value)));
            Value::Array(row)
        })
        .collect();
    sqlx::query(&text).bind(Value::Array(rows).to_string()).execute(&mut *connection).await?;
    for (n, key) in (0..).zip(collection.keys).filter(|(_, key)| key.kind == KeyKind::Texts) {
        write_values(connection, &format!("{table}_{}", key.name), n, kind, steps).await?;
    }
    Ok(())
}

/// The values of a multi-valued key, which stand in a table of their own.
async fn write_values(
    connection: &mut SqliteConnection,
    table: &str,
    key: usize,
    kind: ChangeKind,
    steps: &[&DocumentStep],
) -> JournalResult<()> {
    if kind != ChangeKind::Insert {
        let ids: Vec<&str> = steps.iter().map(|step| step.key.id.as_str()).collect();
        let text = format!("DELETE FROM {table} WHERE id IN (SELECT value FROM json_each($1))");
        sqlx::query(&text).bind(json!(ids).to_string()).execute(&mut *connection).await?;
    }
    let mut seen = HashSet::new();
    let rows: Vec<Value> = steps
        .iter()
        .flat_map(|step| match step.keys.get(key) {
            Some(KeyValue::Texts(texts)) => texts.iter().map(|text| (text, &step.key.id)).collect(),
            _ => Vec::new(),
        })
        .filter(|pair| seen.insert(*pair))
        .map(|(text, id)| json!([text, id]))
        .collect();
    if !rows.is_empty() {
        let text = format!("INSERT INTO {table} (value, id) SELECT value ->> 0, value ->> 1 FROM json_each($1)");
        sqlx::query(&text).bind(Value::Array(rows).to_string()).execute(&mut *connection).await?;
    }
    Ok(())
}

fn key_value(value: &KeyValue) -> Value {
    match value {
        KeyValue::Text(text) => json!(text),
        KeyValue::Integer(number) => json!(number),
        KeyValue::Texts(texts) => json!(texts),
    }
}
