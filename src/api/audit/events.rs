//! Events as they were recorded.

use super::{Forbidden, NotFound, TAG, Unauthorized, Unavailable};
use crate::api::AppState;
use crate::api::common::{ApiError, Caller};
use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

/// Returns the event at a position.
#[utoipa::path(get, path = "/audit/events/{position}", operation_id = "findEvent", tag = TAG,
    params(("position" = u64, Path, description = "Place in the order of all events.")),
    responses((status = 200, description = "The event.", body = Object), Unauthorized, Forbidden, NotFound, Unavailable))]
pub(super) async fn find_event(
    State(_app): State<AppState>,
    _caller: Caller,
    Path(_position): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Err(ApiError::NotFound("There is no such event"))
}
