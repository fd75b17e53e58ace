//! Queries as SQL for both stores, with differences handled by [`Dialect`].
//!
//! Every statement also returns the position and the generation of its own snapshot.

mod conditions;

use conditions::condition;
use registrar_projections::query::{AnyQuery, Comparison};
use registrar_projections::{Collection, Direction, Filter, KeyKind, KeyValue};
use std::collections::BTreeMap;

/// SQL dialect of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// A value bound to a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// Text.
    Text(String),
    /// Integer.
    Integer(i64),
    /// List of texts: an array on PostgreSQL, a JSON array on SQLite.
    Texts(Vec<String>),
}

impl Argument {
    /// Whether there are too many texts to search one by one. PostgreSQL hashes them only if it plans with them.
    #[must_use]
    pub fn is_long(&self) -> bool {
        matches!(self, Argument::Texts(texts) if texts.len() > SOUGHT_BY_INDEX_MAX)
    }
}

/// SQL with its arguments, `$1` first. Columns: position, generation, total, body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Text with `$n` placeholders.
    pub sql: String,
    /// Values of the placeholders.
    pub arguments: Vec<Argument>,
}

/// Most texts searched in list columns by index. For each document that PostgreSQL finds, its GIN goes through all the
/// texts: 100,000 documents and 4,600 texts took 2.6 s. More texts are hashed, and each document's list is scanned,
/// which takes 2 us a document.
pub const SOUGHT_BY_INDEX_MAX: usize = 600;

/// Table of a collection in a generation.
#[must_use]
pub fn table(collection: &Collection, generation: u64) -> String {
    format!("{}_g{generation}", collection.name)
}

/// Body, digest and keys of the document `row` of a generation, in one text.
fn whole_row(collection: &Collection, generation: u64, dialect: Dialect, row: &str) -> String {
    let mut columns = vec![format!("{row}.body"), format!("{row}.digest")];
    columns.extend(collection.keys.iter().map(|key| match (key.kind, dialect) {
        (KeyKind::Texts, Dialect::Sqlite) => format!(
            "(SELECT json_group_array(value ORDER BY value) FROM {}_{} WHERE id = {row}.id)",
            table(collection, generation),
            key.name
        ),
        _ => format!("{row}.{}", key.name),
    }));
    let columns = columns.join(", ");
    match dialect {
        Dialect::Postgres => format!("jsonb_build_array({columns})::text"),
        Dialect::Sqlite => format!("json_array({columns})"),
    }
}

/// Identifiers of up to `$1` documents that differ between two generations, in order.
#[must_use]
pub fn differing(collection: &Collection, one: u64, other: u64, dialect: Dialect) -> String {
    let [former, latter] = [(one, "a"), (other, "b")]
        .map(|(generation, row)| (table(collection, generation), whole_row(collection, generation, dialect, row)));
    format!(
        "SELECT coalesce(a.id, b.id) FROM {} a FULL JOIN {} b ON a.id = b.id WHERE {} IS DISTINCT FROM {} ORDER BY 1 LIMIT $1",
        former.0, latter.0, former.1, latter.1
    )
}

/// Identifier, and body, digest and keys in one text, of the documents with the ids `$1`.
#[must_use]
pub fn rows(collection: &Collection, generation: u64, dialect: Dialect) -> String {
    let (table, row) = (table(collection, generation), whole_row(collection, generation, dialect, "a"));
    let named = match dialect {
        Dialect::Postgres => "= ANY ($1)",
        Dialect::Sqlite => "IN (SELECT value FROM json_each($1))",
    };
    format!("SELECT a.id, {row} FROM {table} a WHERE a.id {named}")
}

/// Up to `$2` documents after the identifier `$1`, as identifier and body, by identifier.
#[must_use]
pub fn page_by_id(collection: &Collection, generation: u64, dialect: Dialect) -> String {
    format!("SELECT id, {} FROM {} WHERE id > $1 ORDER BY id LIMIT $2", text(dialect), table(collection, generation))
}

/// Body of the document `$1`.
#[must_use]
pub fn body(collection: &Collection, generation: u64, dialect: Dialect) -> String {
    format!("SELECT {} FROM {} WHERE id = $1", text(dialect), table(collection, generation))
}

/// Identifier and body of all documents, by identifier.
#[must_use]
pub fn all(collection: &Collection, generation: u64, dialect: Dialect) -> String {
    format!("SELECT id, {} FROM {} ORDER BY id", text(dialect), table(collection, generation))
}

/// The body column as text; on PostgreSQL it once had another type.
fn text(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "body::text",
        Dialect::Sqlite => "body",
    }
}

/// Table of a generation's counts.
#[must_use]
pub fn counts_table(generation: u64) -> String {
    format!("counts_g{generation}")
}

/// Name of the identifier column.
pub use registrar_projections::query::ID;

/// The end of the journal, the served generation, and the least schema that may serve it.
pub const MOMENT: &str = "SELECT position, generation, least_schema FROM journal_head";

/// Look-up of documents by values of a scalar key, `$1`. On PostgreSQL, where each result row is expensive, one row:
/// position, generation, and the values, ids, bodies and digests as arrays, null if nothing was found; `$1` is an
/// array. On SQLite one row each: position, generation, value, id, body and digest, or position and generation alone if
/// nothing was found; `$1` is a JSON array.
#[must_use]
pub fn look_up(collection: &Collection, generation: u64, key: &'static str, dialect: Dialect) -> String {
    let table = table(collection, generation);
    match dialect {
        Dialect::Postgres => format!(
            "SELECT h.position, h.generation, f.* FROM journal_head h, \
             (SELECT array_agg({key}), array_agg(id), array_agg(body), array_agg(digest) \
             FROM {table} WHERE {key} = ANY ($1)) f"
        ),
        Dialect::Sqlite => format!(
            "SELECT h.position, h.generation, d.{key}, d.id, d.body, d.digest FROM journal_head h \
             LEFT JOIN {table} d ON d.{key} IN (SELECT value FROM json_each($1))"
        ),
    }
}

/// One page of documents and the total count.
#[must_use]
pub fn page(generation: u64, query: &AnyQuery, dialect: Dialect) -> Statement {
    // Bodies are looked up for the page alone: skipped rows are skipped in the index.
    let body = format!("(SELECT b.body FROM {} b WHERE b.id = p.id)", table(query.collection.collection(), generation));
    page_of(&body, generation, query, dialect)
}

/// As [`page`], with each document as a JSON array of identifier, body and digest.
#[must_use]
pub fn digested_page(generation: u64, query: &AnyQuery, dialect: Dialect) -> Statement {
    let row = match dialect {
        Dialect::Postgres => "json_build_array(b.id, b.body, b.digest)::text",
        Dialect::Sqlite => "json_array(b.id, b.body, b.digest)",
    };
    let row = format!("(SELECT {row} FROM {} b WHERE b.id = p.id)", table(query.collection.collection(), generation));
    page_of(&row, generation, query, dialect)
}

/// As [`page`], with identifiers instead of documents.
#[must_use]
pub fn ids(generation: u64, query: &AnyQuery, dialect: Dialect) -> Statement {
    page_of("p.id", generation, query, dialect)
}

fn page_of(what: &str, generation: u64, query: &AnyQuery, dialect: Dialect) -> Statement {
    let collection = query.collection.collection();
    let table = table(collection, generation);
    let mut arguments = Arguments(Vec::new());
    let condition = condition(generation, query, dialect, &mut arguments);
    let direction = match query.direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    };
    let id: &[&str] = if collection.ends_in_ordinal(query.sort) { &[] } else { &["id"] };
    let columns = query.sort.iter().chain(id);
    let order =
        |alias: &str| columns.clone().map(|key| format!("{alias}.{key} {direction}")).collect::<Vec<_>>().join(", ");
    let keys = query.sort.iter().map(|key| format!(", d.{key}")).collect::<String>();
    let matching = format!("SELECT d.id{keys} FROM {table} d WHERE {condition}");
    let (before, total, matching) = match counted_facet(query) {
        _ if !query.counts => (String::new(), "0".to_owned(), matching),
        Some(facet) => {
            let counts = counts_table(generation);
            let facet = arguments.text(facet);
            let total = format!("coalesce((SELECT documents FROM {counts} WHERE facet = {facet}), 0)");
            (String::new(), total, matching)
        }
        // Matches of a partial search have no index order, so both page and total count need all of them: searched once
        // for both.
        None if finds_by_parts(query) => {
            let before = format!("WITH m AS MATERIALIZED ({matching}) ");
            (before, "(SELECT count(*) FROM m)".to_owned(), "SELECT d.* FROM m d".to_owned())
        }
        None => (String::new(), format!("(SELECT count(*) FROM {table} d WHERE {condition})"), matching),
    };
    let take = arguments.integer(query.take);
    let skip = arguments.integer(query.skip);
    let sql = format!(
        "{before}SELECT h.position, h.generation, {total} AS total, {what} AS body FROM journal_head h \
         LEFT JOIN ({matching} ORDER BY {} LIMIT {take} OFFSET {skip}) p ON 1 = 1 ORDER BY {}",
        order("d"),
        order("p"),
    );
    Statement { sql, arguments: arguments.0 }
}

/// Whether the query searches for a part of a text or list, whose index has no order.
fn finds_by_parts(query: &AnyQuery) -> bool {
    let in_list = |filter: &Filter| matches!(filter.comparison, Comparison::Contains | Comparison::ContainsAny);
    query.search.is_some() || query.filters.iter().any(in_list)
}

struct Arguments(Vec<Argument>);

impl Arguments {
    fn push(&mut self, argument: Argument) -> String {
        self.0.push(argument);
        format!("${}", self.0.len())
    }

    fn text(&mut self, text: String) -> String {
        self.push(Argument::Text(text))
    }

    fn texts(&mut self, texts: &[String]) -> String {
        // No stored text has the character, and PostgreSQL rejects it.
        self.push(Argument::Texts(texts.iter().filter(|text| !text.contains('\0')).cloned().collect()))
    }

    fn integer(&mut self, number: u64) -> String {
        self.push(Argument::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

/// The facet whose stored count equals the number of documents that match the query.
fn counted_facet(query: &AnyQuery) -> Option<String> {
    let collection = query.collection.collection();
    if query.search.is_some() || !query.related.is_empty() {
        return None;
    }
    let mut scalars = BTreeMap::new();
    let mut each = None;
    for filter in &query.filters {
        let KeyValue::Text(text) = &filter.value else { return None };
        let taken = match filter.comparison {
            Comparison::Equal => scalars.insert(filter.key, text.as_str()).is_some(),
            Comparison::Contains => each.replace((filter.key, text.as_str())).is_some(),
            _ => true,
        };
        if taken || text.contains('\0') {
            return None;
        }
    }
    let counted = collection.counted.iter().find(|counted| {
        let same = match (counted.each, each) {
            (None, None) => true,
            (Some(counted), Some((key, text))) => counted.key == key && text.starts_with(counted.prefix),
            (None, Some(_)) | (Some(_), None) => false,
        };
        same && counted.keys.len() == scalars.len() && counted.keys.iter().all(|key| scalars.contains_key(key))
    })?;
    let values = counted.keys.iter().filter_map(|key| Some((*key, *scalars.get(key)?)));
    Some(collection.facet(values.chain(each)))
}

#[cfg(test)]
mod tests;
