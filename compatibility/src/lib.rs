//! Registrar as a program on a database of its own, and the readers of `postgres-es` and `sqlite-es`, as they come, on the
//! same database. `./scripts/test` says where the program and a private PostgreSQL are.

pub mod program;
pub mod stock;
