//! Writing the documents of a commit or a rebuild: one statement for each collection and kind of change.

use super::script::{Cell, Script};
use crate::store::{DocumentRows, DocumentStep, JournalResult, sql};
use registrar_projections::{ChangeKind, Collection, CollectionId, KeyKind, KeyValue};
use serde_json::json;
use sqlx::sqlite::SqliteConnection;
use std::collections::{HashMap, HashSet};

/// Writes the documents of a rebuild or a follower.
pub(super) async fn write_documents(
    connection: &mut SqliteConnection,
    generation: u64,
    rows: &DocumentRows,
) -> JournalResult<()> {
    let mut script = Script::default();
    add_documents(&mut script, generation, &rows.documents, &rows.counts);
    script.run(connection).await
}

/// Adds the statements that write `documents` to a script.
pub(super) fn add_documents<'a>(
    script: &mut Script<'a>,
    generation: u64,
    documents: &'a [DocumentStep],
    counts: &'a HashMap<String, i64>,
) {
    if !counts.is_empty() {
        let table = sql::counts_table(generation);
        let before = format!("INSERT INTO {table} (facet, documents)");
        let after = "ON CONFLICT (facet) DO UPDATE SET documents = documents + excluded.documents";
        let rows = counts.iter().map(|(facet, by)| vec![facet.as_str().into(), (*by).into()]).collect();
        script.add_rows(&before, after, rows);
    }
    for id in CollectionId::ALL {
        for kind in [ChangeKind::Insert, ChangeKind::Update, ChangeKind::Delete] {
            let steps: Vec<_> =
                documents.iter().filter(|step| step.key.collection == *id && step.kind == kind).collect();
            if !steps.is_empty() {
                add_collection(script, id.collection(), generation, kind, &steps);
            }
        }
    }
}

fn add_collection<'a>(
    script: &mut Script<'a>,
    collection: &'static Collection,
    generation: u64,
    kind: ChangeKind,
    steps: &[&'a DocumentStep],
) {
    let table = sql::table(collection, generation);
    let scalar: Vec<(usize, &str)> = (0..)
        .zip(collection.keys)
        .filter(|(_, key)| key.kind != KeyKind::Texts)
        .map(|(n, key)| (n, key.name))
        .collect();
    let columns: String = scalar.iter().map(|(_, name)| format!(", {name}")).collect();
    let (before, after) = match kind {
        ChangeKind::Insert => (format!("INSERT INTO {table} (id, body, digest{columns})"), String::new()),
        ChangeKind::Update => {
            let assignments: String =
                (4..).zip(&scalar).map(|(n, (_, name))| format!(", {name} = u.column{n}")).collect();
            (
                format!("UPDATE {table} SET body = u.column2, digest = u.column3{assignments} FROM ("),
                format!(") u WHERE {table}.id = u.column1"),
            )
        }
        ChangeKind::Delete => (format!("DELETE FROM {table} WHERE id IN ("), ")".to_owned()),
    };
    let row = |step: &&'a DocumentStep| -> Vec<Cell<'a>> {
        if kind == ChangeKind::Delete {
            return vec![step.key.id.as_str().into()];
        }
        let step: &'a DocumentStep = step;
        let keys = scalar.iter().map(|(n, _)| Cell::of_key(step.keys.get(*n)));
        let document = [&step.key.id, &step.body, &step.digest];
        document.into_iter().map(|text| text.as_str().into()).chain(keys).collect()
    };
    script.add_rows(&before, &after, steps.iter().map(row).collect());
    for (n, key) in (0..).zip(collection.keys).filter(|(_, key)| key.kind == KeyKind::Texts) {
        add_values(script, &format!("{table}_{}", key.name), n, kind, steps);
    }
}

/// The values of a multi-valued key, which have a table of their own.
fn add_values<'a>(script: &mut Script<'a>, table: &str, key: usize, kind: ChangeKind, steps: &[&'a DocumentStep]) {
    if kind != ChangeKind::Insert {
        let ids: Vec<&str> = steps.iter().map(|step| step.key.id.as_str()).collect();
        let text = format!("DELETE FROM {table} WHERE id IN (SELECT value FROM json_each(?))");
        script.add(text, vec![Cell::Text(json!(ids).to_string().into())]);
    }
    let mut seen = HashSet::new();
    let rows: Vec<Vec<Cell<'a>>> = steps
        .iter()
        .flat_map(|step| match step.keys.get(key) {
            Some(KeyValue::Texts(texts)) => texts.iter().map(|text| (text.as_str(), step.key.id.as_str())).collect(),
            _ => Vec::new(),
        })
        .filter(|pair| seen.insert(*pair))
        .map(|(text, id)| vec![text.into(), id.into()])
        .collect();
    script.add_rows(&format!("INSERT INTO {table} (value, id)"), "", rows);
}
