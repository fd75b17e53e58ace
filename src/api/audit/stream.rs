//! Streamed responses of any size: a piece at a time, each read after the client has taken the last.

use crate::journal::{JournalError, JournalResult, Portion};
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};
use serde::Serialize;

/// Most that is read at once for a response without pages: a stalled client holds this much memory.
pub(super) const PIECE: Portion = Portion { events: 500, bytes: 1024 * 1024 };
/// Most bytes of a page; it may end before it has as many events as requested.
pub(super) const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One JSON value a line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// Whether the client accepts one value a line instead of pages.
pub(super) fn wants_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types =
        accepted.flat_map(|value| value.split(',')).map(|range| range.split(';').next().unwrap_or_default());
    types.any(|accepted| accepted.trim().eq_ignore_ascii_case(NDJSON))
}

/// Values as NDJSON.
pub(super) fn lines<T: Serialize>(values: &[T]) -> JournalResult<Bytes> {
    let mut bytes = Vec::new();
    for value in values {
        serde_json::to_writer(&mut bytes, value).map_err(JournalError::corrupt)?;
        bytes.push(b'\n');
    }
    Ok(bytes.into())
}

/// A response of `first` followed by `rest`. An error on the way aborts the connection, since the status is already
/// sent: a client that checks cannot mistake the part for the whole.
pub(super) fn answer(
    content_type: &'static str,
    first: Bytes,
    rest: impl Stream<Item = JournalResult<Bytes>> + Send + 'static,
) -> Response {
    let span = tracing::Span::current();
    let rest = rest.inspect(move |piece| {
        if let Err(error) = piece {
            let _entered = span.enter();
            tracing::error!(error = error as &dyn std::error::Error, "an answer was broken off");
        }
    });
    let body = Body::from_stream(stream::once(async { Ok(first) }).chain(rest));
    // Buffering proxies (nginx) would delay it.
    ([(CONTENT_TYPE, content_type), (HeaderName::from_static("x-accel-buffering"), "no")], body).into_response()
}
