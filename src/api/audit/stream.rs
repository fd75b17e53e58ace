//! Answers of any size, written as they are read: a piece at a time, and none before the client has taken the last.

use crate::journal::{JournalError, JournalResult, Portion};
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};
use serde::Serialize;

/// Most that is read at once for an answer without pages: of each client that takes nothing so much waits in memory.
pub(super) const PIECE: Portion = Portion { events: 500, bytes: 1024 * 1024 };
/// Most bytes of a page, which may end before it has as many events as the client wants.
pub(super) const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One JSON value a line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// Whether a client wants one value a line rather than pages.
pub(super) fn wants_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types =
        accepted.flat_map(|value| value.split(',')).map(|range| range.split(';').next().unwrap_or_default());
    types.any(|accepted| accepted.trim().eq_ignore_ascii_case(NDJSON))
}

/// Values as lines.
pub(super) fn lines<T: Serialize>(values: &[T]) -> JournalResult<Bytes> {
    let mut bytes = Vec::new();
    for value in values {
        serde_json::to_writer(&mut bytes, value).map_err(JournalError::corrupt)?;
        bytes.push(b'\n');
    }
    Ok(bytes.into())
}

/// An answer that begins with `first` and goes on with `rest`. An error on the way breaks the connection off, since
/// the status is long sent: no client that looks can take what it got for the whole.
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
    // Proxies that gather answers (nginx) would hold it back.
    ([(CONTENT_TYPE, content_type), (HeaderName::from_static("x-accel-buffering"), "no")], body).into_response()
}
