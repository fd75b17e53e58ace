//! Freshness of a response: the position it reflects, and waiting for a position that the caller has seen elsewhere.

use crate::api::AppState;
use crate::api::common::ApiError;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// Response header: position of the last event that the response reflects.
pub const POSITION: &str = "registrar-position";
/// Request header: position that the response must reflect at least.
pub const MIN_POSITION: &str = "registrar-min-position";
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A response with the position that it reflects.
pub struct PositionedResponse<T>(pub u64, pub T);

impl<T: IntoResponse> IntoResponse for PositionedResponse<T> {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        response.headers_mut().insert(POSITION, HeaderValue::from(self.0));
        response
    }
}

/// Waits until the node has reached the requested position; returns whether one was requested.
///
/// # Errors
/// `Invalid` for a malformed position; `Unavailable` if it is not reached within five seconds.
pub async fn await_position(app: &AppState, headers: &HeaderMap) -> Result<bool, ApiError> {
    let Some(position) = headers.get(MIN_POSITION) else { return Ok(false) };
    let digits = position.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let position = digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| ApiError::invalid("Registrar-Min-Position must be a position"))?;
    app.node.wait_for(position, WAIT_MAX).await?;
    Ok(true)
}

/// Sets the position header on responses that lack it, such as refusals.
pub fn note_position(response: &mut Response, known_before: u64) {
    response.headers_mut().entry(POSITION).or_insert(HeaderValue::from(known_before));
}
