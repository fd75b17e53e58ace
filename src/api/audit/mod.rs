//! The auditor's API: past events, past states, and proof that nothing was altered.
//!
//! It reads only the journal, so its answers do not depend on the read models. A caller narrowed to an organization
//! reads the journal as if it held only that organization's events: those that carried it when they were written. Every
//! reading is an event itself, stored before the response begins.

mod aggregates;
mod cursor;
mod events;
mod organizations;
mod parameters;
mod problems;
pub mod proofs;
mod reading;
pub mod replay;
mod stream;
mod views;

pub use problems::{BadRequest, Forbidden, Gone, NotFound, Problem, Unauthorized, Unavailable};
pub use reading::{Scope, record};

use crate::api::AppState;
use crate::api::common::routes::guarded;
use crate::auth::Permission;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// OpenAPI tag of the operations.
pub const TAG: &str = "Audit";

/// The operations, each with its required permission.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(guarded(Permission::AuditRead, routes!(events::list_events)))
        .routes(guarded(Permission::AuditRead, routes!(events::find_event)))
        .routes(guarded(Permission::AuditRead, routes!(aggregates::list_history)))
        .routes(guarded(Permission::AuditRead, routes!(aggregates::find_state)))
        .routes(guarded(Permission::AuditRead, routes!(aggregates::find_differences)))
        .routes(guarded(Permission::AuditRead, routes!(organizations::find_snapshot)))
        .routes(guarded(Permission::AuditRead, routes!(proofs::read_checkpoint)))
        .routes(guarded(Permission::AuditRead, routes!(proofs::read_checkpoint_key)))
        .routes(guarded(Permission::AuditRead, routes!(proofs::prove_inclusion)))
        .routes(guarded(Permission::AuditRead, routes!(proofs::prove_consistency)))
}
