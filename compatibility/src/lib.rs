//! Registrar as a program on a database of its own, and the unmodified readers of `postgres-es` and `sqlite-es` on the
//! same database. `./scripts/test` sets the paths of the program and of a private PostgreSQL.

pub mod program;
pub mod stock;
