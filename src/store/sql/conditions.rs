//! Conditions of queries: filters, related documents and search.

use super::{Argument, Arguments, Dialect, SOUGHT_BY_INDEX_MAX, table};
use registrar_projections::collection::SEPARATOR;
use registrar_projections::query::{AnyQuery, Comparison};
use registrar_projections::{Collection, Filter, KeyKind, KeyValue};
use std::fmt::Write;

/// Length from which the part before the `@` is selective enough alone.
const LOCAL_PART_MIN: usize = 5;

/// A condition that no document meets.
const NOTHING: &str = "1 = 0";

/// Condition of a query on the rows `d` of its collection.
pub(super) fn condition(generation: u64, query: &AnyQuery, dialect: Dialect, arguments: &mut Arguments) -> String {
    let collection = query.collection.collection();
    let mut condition = narrowed(collection, generation, &query.filters, query.search.as_ref(), dialect, arguments);
    for related in &query.related {
        let (others, key) = (table(related.collection, generation), related.key);
        let on_them =
            narrowed(related.collection, generation, &related.filters, related.search.as_ref(), dialect, arguments);
        let operator = if related.kept { "IN" } else { "NOT IN" };
        let _ = write!(condition, " AND d.id {operator} (SELECT d.{key} FROM {others} d WHERE {on_them})");
    }
    condition
}

fn narrowed(
    collection: &Collection,
    generation: u64,
    filters: &[Filter],
    term: Option<&(&'static str, String)>,
    dialect: Dialect,
    arguments: &mut Arguments,
) -> String {
    let table = table(collection, generation);
    let mut condition = String::from("1 = 1");
    for filter in filters {
        let _ = write!(condition, " AND {}", comparison(&table, filter, dialect, arguments));
    }
    if let Some((key, term)) = term {
        debug_assert!(collection.keys.iter().any(|column| column.name == *key && column.kind == KeyKind::Search));
        let _ = write!(condition, " AND {}", search(&table, key, term, dialect, arguments));
    }
    condition
}

fn comparison(table: &str, filter: &Filter, dialect: Dialect, arguments: &mut Arguments) -> String {
    let key = filter.key;
    if let KeyValue::Text(text) = &filter.value
        && let Some((before, _)) = text.split_once('\0')
    {
        return beside_nul(key, before, filter.comparison, arguments);
    }
    if let KeyValue::Texts(texts) = &filter.value {
        return among(table, key, texts, filter.comparison, dialect, arguments);
    }
    let value = match &filter.value {
        KeyValue::Integer(number) => arguments.push(Argument::Integer(*number)),
        KeyValue::Text(text) => arguments.text(text.clone()),
        KeyValue::Texts(_) => return NOTHING.to_owned(),
    };
    let operator = match filter.comparison {
        Comparison::Equal => "=",
        Comparison::AtLeast => ">=",
        Comparison::AtMost => "<=",
        Comparison::Below => "<",
        Comparison::Above => ">",
        Comparison::OneOf | Comparison::NoneOf | Comparison::ContainsAny => return NOTHING.to_owned(),
        Comparison::Contains => return contains(table, key, &value, dialect),
        Comparison::Lacks => return format!("NOT ({})", contains(table, key, &value, dialect)),
    };
    format!("d.{key} {operator} {value}")
}

/// Comparison with several texts.
fn among(
    table: &str,
    key: &str,
    texts: &[String],
    comparison: Comparison,
    dialect: Dialect,
    arguments: &mut Arguments,
) -> String {
    let many = texts.len() > SOUGHT_BY_INDEX_MAX;
    let texts = arguments.texts(texts);
    match (comparison, dialect) {
        (Comparison::ContainsAny, Dialect::Postgres) if many => {
            format!("EXISTS (SELECT FROM unnest(d.{key}) v WHERE v = ANY ({texts}))")
        }
        (Comparison::ContainsAny, Dialect::Postgres) => format!("d.{key} && {texts}::text[]"),
        (Comparison::ContainsAny, Dialect::Sqlite) => {
            format!("d.id IN (SELECT id FROM {table}_{key} WHERE value IN (SELECT value FROM json_each({texts})))")
        }
        (Comparison::NoneOf, Dialect::Postgres) => format!("NOT (d.{key} = ANY ({texts}))"),
        (Comparison::NoneOf, Dialect::Sqlite) => format!("d.{key} NOT IN (SELECT value FROM json_each({texts}))"),
        (_, Dialect::Postgres) => format!("d.{key} = ANY ({texts})"),
        (_, Dialect::Sqlite) => format!("d.{key} IN (SELECT value FROM json_each({texts}))"),
    }
}

fn contains(table: &str, key: &str, value: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Postgres => format!("d.{key} @> ARRAY[{value}]::text[]"),
        Dialect::Sqlite => format!("d.id IN (SELECT id FROM {table}_{key} WHERE value = {value})"),
    }
}

/// Comparison with a text that contains U+0000. No stored text does, and PostgreSQL rejects it; `before` is the part
/// before the character. A stored text larger than that part is larger than the whole.
fn beside_nul(key: &str, before: &str, comparison: Comparison, arguments: &mut Arguments) -> String {
    let operator = match comparison {
        Comparison::Equal | Comparison::Contains => return NOTHING.to_owned(),
        Comparison::OneOf | Comparison::ContainsAny => return NOTHING.to_owned(),
        Comparison::Lacks | Comparison::NoneOf => return "1 = 1".to_owned(),
        Comparison::AtLeast | Comparison::Above => ">",
        Comparison::AtMost | Comparison::Below => "<=",
    };
    format!("d.{key} {operator} {}", arguments.text(before.to_owned()))
}

/// Substring search. Both stores use trigrams and recheck, so matches are exact; terms shorter than a trigram are
/// compared with every document.
fn search(table: &str, key: &str, term: &str, dialect: Dialect, arguments: &mut Arguments) -> String {
    if term.contains(['\0', SEPARATOR]) {
        return NOTHING.to_owned();
    }
    let indexed = telling(term);
    let in_index = match dialect {
        Dialect::Postgres => {
            let escaped = indexed.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            Some(format!("d.{key} LIKE {}", arguments.text(format!("%{escaped}%"))))
        }
        Dialect::Sqlite if indexed.chars().count() < 3 => None,
        Dialect::Sqlite => {
            let phrase = arguments.text(format!("\"{}\"", indexed.replace('"', "\"\"")));
            Some(format!("d.rowid IN (SELECT rowid FROM {table}_{key} WHERE {table}_{key} MATCH {phrase})"))
        }
    };
    let position = match dialect {
        Dialect::Postgres => "strpos",
        Dialect::Sqlite => "instr",
    };
    let exact = (in_index.is_none() || indexed != term)
        .then(|| format!("{position}(d.{key}, {}) > 0", arguments.text(term.to_owned())));
    in_index.into_iter().chain(exact).collect::<Vec<_>>().join(" AND ")
}

/// The part of a term to search in the index. Search time grows with the number of trigrams, and those of a domain are
/// in most e-mail addresses of a directory.
fn telling(term: &str) -> &str {
    match term.split_once('@') {
        Some((local, _)) if local.chars().count() >= LOCAL_PART_MIN => local,
        _ => term,
    }
}
