//! Parts shared by all dialects: authentication, errors, request bodies, queries, freshness, and the handling of a
//! request before and after its handler. No dialect's shapes except those of its errors.

pub mod boundary;
pub mod client;
pub mod commit;
pub mod error;
pub mod findings;
pub mod freshness;
pub mod guard;
pub mod idempotency;
pub mod json;
pub mod limits;
pub mod members;
pub mod precondition;
pub mod query;
pub mod refusal;
pub mod repeat;
pub mod routes;
pub mod strangers;

pub use error::ApiError;
pub use guard::Caller;
