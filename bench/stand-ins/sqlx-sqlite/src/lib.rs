//! An empty stand-in; see its `Cargo.toml`.

compile_error!("sqlx 0.8 for SQLite is not part of this workspace: what needs it belongs into bench/stock-sqlite");
