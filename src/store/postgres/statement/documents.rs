//! The parts of a statement that write documents: one for each collection and kind of change.

use super::{Statement, WRITTEN};
use crate::store::{DocumentStep, JournalError, JournalResult, sql};
use registrar_projections::{ChangeKind, Collection, CollectionId, KeyKind, KeyValue};
use std::collections::{BTreeMap, HashMap};

impl Statement {
    pub(super) fn documents<'q>(
        &mut self,
        generation: u64,
        documents: impl IntoIterator<Item = &'q DocumentStep>,
        counts: &'q HashMap<String, i64>,
    ) -> JournalResult<()> {
        let mut lists: BTreeMap<(CollectionId, ChangeKind), Vec<&'q DocumentStep>> = BTreeMap::new();
        for step in documents {
            lists.entry((step.key.collection, step.kind)).or_default().push(step);
        }
        for ((id, kind), steps) in lists {
            let collection = id.collection();
            let table = sql::table(collection, generation);
            let ids = self.argument(steps.iter().map(|step| step.key.id.as_str()).collect::<Vec<_>>())?;
            match kind {
                ChangeKind::Delete => self.part(
                    &format!("deleted_{}", collection.name),
                    &format!(
                        "DELETE FROM {table} d USING checked, unnest({ids}) u (id) \
                         WHERE d.id = u.id AND checked.status = {WRITTEN}"
                    ),
                ),
                ChangeKind::Insert => {
                    let (lists, columns) = self.columns(collection, &steps)?;
                    let names: String = columns.iter().map(|(name, _)| format!(", {name}")).collect();
                    let values: String = columns.iter().map(|(_, value)| format!(", {value}")).collect();
                    self.part(
                        &format!("new_{}", collection.name),
                        &format!(
                            "INSERT INTO {table} (id{names}) SELECT u.id{values} \
                             FROM checked, unnest({ids}{lists}) u (id{names}) WHERE checked.status = {WRITTEN}"
                        ),
                    );
                }
                ChangeKind::Update => {
                    let (lists, columns) = self.columns(collection, &steps)?;
                    let names: String = columns.iter().map(|(name, _)| format!(", {name}")).collect();
                    let set: Vec<_> = columns.iter().map(|(name, value)| format!("{name} = {value}")).collect();
                    self.part(
                        &format!("changed_{}", collection.name),
                        &format!(
                            "UPDATE {table} d SET {} FROM checked, unnest({ids}{lists}) u (id{names}) \
                             WHERE d.id = u.id AND checked.status = {WRITTEN}",
                            set.join(", ")
                        ),
                    );
                }
            }
        }
        if !counts.is_empty() {
            let table = sql::counts_table(generation);
            let facets = self.argument(counts.keys().map(String::as_str).collect::<Vec<_>>())?;
            let deltas = self.argument(counts.values().copied().collect::<Vec<_>>())?;
            self.insert(
                "counted",
                &format!("{table} AS c (facet, documents)"),
                &format!("{facets}, {deltas}"),
                " ON CONFLICT (facet) DO UPDATE SET documents = c.documents + excluded.documents",
            );
        }
        Ok(())
    }

    /// The columns of documents beside their ids: the lists of their values, each after a comma; each column with the
    /// expression for a row's value.
    fn columns(
        &mut self,
        collection: &Collection,
        steps: &[&DocumentStep],
    ) -> JournalResult<(String, Vec<(&'static str, String)>)> {
        let bodies = self.argument(steps.iter().map(|step| step.body.as_str()).collect::<Vec<_>>())?;
        let digests = self.argument(steps.iter().map(|step| step.digest.as_str()).collect::<Vec<_>>())?;
        let mut lists = format!(", {bodies}, {digests}");
        let mut columns = vec![("body", "u.body".to_owned()), ("digest", "u.digest".to_owned())];
        for (n, key) in collection.keys.iter().enumerate() {
            let values = steps.iter().map(|step| step.keys.get(n));
            let (list, value) = match key.kind {
                KeyKind::Text | KeyKind::Search => {
                    let values = values.map(|value| match value {
                        Some(KeyValue::Text(text)) => Ok(text.as_str()),
                        _ => Err(unlike(key.name)),
                    });
                    (self.argument(values.collect::<JournalResult<Vec<_>>>()?)?, format!("u.{}", key.name))
                }
                KeyKind::Integer | KeyKind::Ordinal => {
                    let values = values.map(|value| match value {
                        Some(KeyValue::Integer(number)) => Ok(*number),
                        _ => Err(unlike(key.name)),
                    });
                    (self.argument(values.collect::<JournalResult<Vec<_>>>()?)?, format!("u.{}", key.name))
                }
                // Nested arrays must be of equal length.
                KeyKind::Texts => {
                    let values = values.map(|value| match value {
                        Some(KeyValue::Texts(texts)) => serde_json::to_string(texts).map_err(JournalError::corrupt),
                        _ => Err(unlike(key.name)),
                    });
                    let list = self.argument(values.collect::<JournalResult<Vec<_>>>()?)?;
                    (list, format!("ARRAY(SELECT json_array_elements_text(u.{}::json))", key.name))
                }
            };
            lists.push_str(", ");
            lists.push_str(&list);
            columns.push((key.name, value));
        }
        Ok((lists, columns))
    }
}

fn unlike(key: &str) -> JournalError {
    JournalError::corrupt(format!("a document's key {key} is not of the kind that its collection declares"))
}
