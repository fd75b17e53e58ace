//! Carrying out a request as of one moment: retried, before anything is written, if a commit overtook its reads.
//!
//! The request is carried out again from the guard on. After the last attempt it is answered 503.

use crate::api::AppState;
use crate::api::common::ApiError;
use crate::api::common::error::carried;
use crate::journal::JournalError;
use crate::read_store::Documents;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Most attempts per request; each takes as long as its look-ups.
const TRIES: usize = 5;

/// Answers a request from documents of one moment. `answer` may be called again with the same request.
pub async fn as_of_one_moment<A>(app: &AppState, request: Request, answer: impl Fn(Request, Documents) -> A) -> Response
where
    A: Future<Output = Response>,
{
    let (parts, body) = request.into_parts();
    let sent = Repeatable::new(body);
    for _ in 0..TRIES {
        let documents = app.node.documents.of_now();
        let request = Request::from_parts(parts.clone(), sent.body());
        let response = documents.within(answer(request, documents.clone())).await;
        match documents.settle().await {
            Ok(true) => return response,
            Ok(false) => metrics::counter!("registrar_requests_repeated_total").increment(1),
            Err(error) if carried(&response).is_none() => return ApiError::from(error).into_response(),
            Err(_) => return response,
        }
    }
    ApiError::from(JournalError::Overtaken).into_response()
}

/// A body that can be replayed, as far as it was read.
enum Repeatable {
    Empty,
    Read(Arc<Mutex<Parts>>),
}

struct Parts {
    read: Vec<Bytes>,
    rest: Body,
}

impl Repeatable {
    fn new(body: Body) -> Self {
        if body.is_end_stream() {
            return Repeatable::Empty;
        }
        Repeatable::Read(Arc::new(Mutex::new(Parts { read: Vec::new(), rest: body })))
    }

    /// The body from its beginning.
    fn body(&self) -> Body {
        let Repeatable::Read(parts) = self else { return Body::empty() };
        let chunks = stream::unfold((Arc::clone(parts), 0), |(parts, at)| async move {
            let chunk = parts.lock().await.chunk(at).await?;
            Some((chunk, (parts, at + 1)))
        });
        Body::from_stream(chunks)
    }
}

impl Parts {
    /// The chunk with this index; `None` at the end. Trailers are dropped.
    async fn chunk(&mut self, at: usize) -> Option<Result<Bytes, axum::Error>> {
        while at >= self.read.len() {
            match self.rest.frame().await? {
                Ok(frame) => self.read.extend(frame.into_data()),
                Err(error) => return Some(Err(error)),
            }
        }
        self.read.get(at).cloned().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn whole(body: Body) -> Bytes {
        body.collect().await.expect("a body").to_bytes()
    }

    #[tokio::test]
    async fn a_partly_read_body_is_read_again_from_its_start() {
        let chunks = ["one ", "two ", "three"].map(|chunk| Ok::<_, axum::Error>(Bytes::from(chunk)));
        let sent = Repeatable::new(Body::from_stream(stream::iter(chunks)));
        let mut first = sent.body();
        first.frame().await.expect("a chunk").expect("readable");
        drop(first);
        for _ in 0..2 {
            assert_eq!(whole(sent.body()).await, "one two three");
        }
        assert_eq!(whole(Repeatable::new(Body::empty()).body()).await, "");
    }
}
