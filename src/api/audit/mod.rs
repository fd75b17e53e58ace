//! The auditor's API: what happened, what the state was at any moment, and proof that nothing was altered.
//!
//! It reads the journal and nothing else, so that it tells what is there whatever the read models say. Who is narrowed
//! to an organization reads the journal as if it held the events of that organization alone: those that carried it
//! when they were written. Every reading is an event itself, stored before the answer begins.

pub mod events;
mod problems;
mod reading;

pub use problems::{BadRequest, Forbidden, NotFound, Problem, Unauthorized, Unavailable};
pub use reading::record;

use crate::api::AppState;
use crate::api::common::routes::guarded;
use crate::auth::Permission;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Heading of the operations in the document.
pub const TAG: &str = "Audit";

/// The operations, each with the permission that it needs.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(guarded(Permission::AuditRead, routes!(events::find_event)))
}
