//! Tables of a generation, derived from the declarations of collections.
//!
//! A key becomes a column, a multi-valued key an array with a GIN index (PostgreSQL) or a side table (SQLite); a
//! searchable text gets a trigram index (`pg_trgm`, FTS5). The counts table keeps the number of documents for the
//! lists of keys that a collection declares as counted, so that the total count of an unfiltered list costs one
//! look-up.

use super::sql::{Dialect, counts_table, table};
use registrar_projections::{Collection, CollectionId, KeyKind};

/// Raise it when tables or functions of a generation change: the next start then rebuilds.
pub const LAYOUT: u32 = 3;

/// Rows up to this many bytes stay in one piece and uncompressed: packing every longer audit entry would cost a commit
/// more than its index entries do. PostgreSQL allows no more.
const INLINE_BODY_MAX: u32 = 8160;

/// Statements that make a generation for immediate use.
#[must_use]
pub fn create(generation: u64, dialect: Dialect) -> Vec<String> {
    let mut statements = tables(generation, dialect);
    match dialect {
        Dialect::Postgres => statements.extend(indexes(generation)),
        Dialect::Sqlite => {
            for search in searches(generation) {
                statements.push(search.create);
                statements.extend(search.triggers);
            }
        }
    }
    statements
}

/// Statements that make every table of a generation, without those parts that are cheaper to make later: on PostgreSQL
/// the [`indexes`], on SQLite the [`searches`].
#[must_use]
pub fn tables(generation: u64, dialect: Dialect) -> Vec<String> {
    let mut statements = vec![match dialect {
        Dialect::Postgres => format!(
            "CREATE TABLE {} (facet text COLLATE \"C\" PRIMARY KEY, documents bigint NOT NULL) WITH (fillfactor = 50)",
            counts_table(generation)
        ),
        Dialect::Sqlite => format!(
            "CREATE TABLE {} (facet TEXT NOT NULL PRIMARY KEY, documents INTEGER NOT NULL) STRICT, WITHOUT ROWID",
            counts_table(generation)
        ),
    }];
    for id in CollectionId::ALL {
        let collection = id.collection();
        match dialect {
            Dialect::Postgres => create_postgres(collection, generation, &mut statements),
            Dialect::Sqlite => create_sqlite(collection, generation, &mut statements),
        }
    }
    statements
}

/// Statements that make a generation to serve at once, or one to build.
pub(super) fn made(generation: u64, at_once: bool, dialect: Dialect) -> Vec<String> {
    if at_once { create(generation, dialect) } else { tables(generation, dialect) }
}

/// Statements that drop every table of a generation.
#[must_use]
pub fn drop(generation: u64, dialect: Dialect) -> Vec<String> {
    let mut statements = Vec::new();
    if dialect == Dialect::Postgres {
        // Generations of earlier releases had a function for writing.
        statements.push(format!("DROP FUNCTION IF EXISTS documents_write_g{generation}"));
    }
    statements.push(format!("DROP TABLE IF EXISTS {}", counts_table(generation)));
    for id in CollectionId::ALL {
        let collection = id.collection();
        let table = table(collection, generation);
        if dialect == Dialect::Sqlite {
            for key in collection.keys.iter().filter(|key| matches!(key.kind, KeyKind::Texts | KeyKind::Search)) {
                statements.push(format!("DROP TABLE IF EXISTS {table}_{}", key.name));
            }
        }
        statements.push(format!("DROP TABLE IF EXISTS {table}"));
    }
    statements
}

fn create_postgres(collection: &Collection, generation: u64, statements: &mut Vec<String>) {
    let table = table(collection, generation);
    let columns: String = collection
        .keys
        .iter()
        .map(|key| match key.kind {
            KeyKind::Text | KeyKind::Search => format!(", {} text COLLATE \"C\"", key.name),
            KeyKind::Integer | KeyKind::Ordinal => format!(", {} bigint", key.name),
            KeyKind::Texts => format!(", {} text[] COLLATE \"C\"", key.name),
        })
        .collect();
    statements.push(format!(
        "CREATE TABLE {table} (id text COLLATE \"C\" PRIMARY KEY, body text COLLATE \"C\" NOT NULL, \
         digest text COLLATE \"C\"{columns}) \
         WITH (fillfactor = 80, toast_tuple_target = {INLINE_BODY_MAX})"
    ));
}

/// Statements that make the indexes of a generation on PostgreSQL; existing ones are left alone.
#[must_use]
pub fn indexes(generation: u64) -> Vec<String> {
    let mut statements = Vec::new();
    for id in CollectionId::ALL {
        let (collection, table) = (id.collection(), table(id.collection(), generation));
        let mut make = |name: &str, on: String| {
            statements.push(format!("CREATE INDEX IF NOT EXISTS {table}_{name} ON {table} {on}"));
        };
        for index in collection.indexes {
            match index {
                [key] if kind(collection, key) == Some(KeyKind::Texts) => make(key, format!("USING gin ({key})")),
                _ => make(&index.join("_"), format!("({})", indexed(collection, index))),
            }
        }
        for key in collection.keys.iter().filter(|key| key.kind == KeyKind::Search) {
            make(key.name, format!("USING gin ({} gin_trgm_ops)", key.name));
        }
    }
    statements
}

fn kind(collection: &Collection, name: &str) -> Option<KeyKind> {
    collection.keys.iter().find(|key| key.name == name).map(|key| key.kind)
}

fn indexed(collection: &Collection, index: &[&str]) -> String {
    let id: &[&str] = if collection.ends_in_ordinal(index) { &[] } else { &["id"] };
    [index, id].concat().join(", ")
}

fn create_sqlite(collection: &Collection, generation: u64, statements: &mut Vec<String>) {
    let table = table(collection, generation);
    let columns: String = collection
        .keys
        .iter()
        .filter_map(|key| match key.kind {
            KeyKind::Text | KeyKind::Search => Some(format!(", {} TEXT", key.name)),
            KeyKind::Integer | KeyKind::Ordinal => Some(format!(", {} INTEGER", key.name)),
            KeyKind::Texts => None,
        })
        .collect();
    // The search index refers to row numbers, and only a declared one survives VACUUM.
    statements.push(format!(
        "CREATE TABLE {table} (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL, digest TEXT{columns}) \
         STRICT"
    ));
    for index in collection
        .indexes
        .iter()
        .filter(|index| !matches!(index, [key] if kind(collection, key) == Some(KeyKind::Texts)))
    {
        statements.push(format!(
            "CREATE INDEX {table}_{}_index ON {table} ({})",
            index.join("_"),
            indexed(collection, index)
        ));
    }
    for key in collection.keys {
        let name = key.name;
        match key.kind {
            KeyKind::Texts => {
                statements.push(format!(
                    "CREATE TABLE {table}_{name} (value TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (value, id)) STRICT, WITHOUT ROWID"
                ));
                statements.push(format!("CREATE INDEX {table}_{name}_id ON {table}_{name} (id)"));
            }
            KeyKind::Search | KeyKind::Text | KeyKind::Integer | KeyKind::Ordinal => {}
        }
    }
}

/// Search index of a key on SQLite: a full-text table of trigrams over the column, maintained by triggers; it stores no
/// text of its own.
#[derive(Debug)]
pub struct Search {
    /// Name of the full-text table.
    pub name: String,
    /// Creates the table if it does not exist, without rows.
    pub create: String,
    /// Indexes up to `$2` documents by number, from number `$1` on.
    pub fill: String,
    /// Selects the number of the last indexed document.
    pub filled: String,
    /// Create the triggers.
    pub triggers: [String; 3],
    /// Name of the last trigger.
    pub last_trigger: String,
}

/// The searchable keys of a generation on SQLite.
#[must_use]
pub fn searches(generation: u64) -> Vec<Search> {
    let keys = CollectionId::ALL.iter().flat_map(|id| {
        let keys = id.collection().keys.iter().filter(|key| key.kind == KeyKind::Search);
        keys.map(|key| search(&table(id.collection(), generation), key.name))
    });
    keys.collect()
}

fn search(table: &str, key: &str) -> Search {
    let search = format!("{table}_{key}");
    let remove = format!("INSERT INTO {search}({search}, rowid, {key}) VALUES ('delete', old.rowid, old.{key});");
    let add = format!("INSERT INTO {search}(rowid, {key}) VALUES (new.rowid, new.{key});");
    Search {
        create: format!(
            "CREATE VIRTUAL TABLE IF NOT EXISTS {search} \
             USING fts5({key}, content='{table}', tokenize='trigram case_sensitive 1')"
        ),
        fill: format!(
            "INSERT INTO {search}(rowid, {key}) SELECT number, {key} FROM {table} WHERE number > $1 ORDER BY number LIMIT $2"
        ),
        filled: format!("SELECT coalesce(max(id), 0) FROM {search}_docsize"),
        triggers: [
            format!("CREATE TRIGGER {search}_insert AFTER INSERT ON {table} BEGIN {add} END"),
            format!("CREATE TRIGGER {search}_delete AFTER DELETE ON {table} BEGIN {remove} END"),
            format!(
                "CREATE TRIGGER {search}_update AFTER UPDATE OF {key} ON {table} \
                 WHEN old.{key} IS NOT new.{key} BEGIN {remove} {add} END"
            ),
        ],
        last_trigger: format!("{search}_update"),
        name: search,
    }
}
